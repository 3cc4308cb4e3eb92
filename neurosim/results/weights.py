"""Synapses of a projection and, where recorded, their weights over time."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError, require
from neurosim.results._arrays import FloatArray, IntArray, float_vector, int_vector


class WeightTraces:
    """Synapses of one projection, their weights at the end and at recorded times.

    Parameters
    ----------
    pre, post : (n_synapses,) array_like of int
        Ids within the two populations.
    weight : (n_synapses,) array_like
        Weights at the end of the run, in the receptor's unit (pA, nS or mV).
    delay : (n_synapses,) array_like
        Delays [ms].
    times : (n_times,) array_like, optional
        When weights were recorded [ms].
    values : (n_times, n_synapses) array_like, optional
        The recorded weights [time, synapse].
    name : str
        Name of the projection.
    unit : str
        Unit of the weights, for labels.

    Raises
    ------
    ParameterError
        If shapes do not fit together.

    Examples
    --------
    >>> weights = WeightTraces([0, 0], [1, 2], [20.0, 30.0], [1.5, 1.5], name="ee")
    >>> weights.to_scipy(shape=(1, 3)).toarray()
    array([[ 0., 20., 30.]])
    """

    def __init__(
        self,
        pre: ArrayLike,
        post: ArrayLike,
        weight: ArrayLike,
        delay: ArrayLike,
        times: ArrayLike | None = None,
        values: ArrayLike | None = None,
        name: str = "weights",
        unit: str = "",
    ) -> None:
        owner = f"weights {name!r}"
        self.name = str(name)
        self.unit = str(unit)
        self.pre: IntArray = int_vector(pre, f"pre of {owner}")
        self.post: IntArray = int_vector(post, f"post of {owner}")
        self.weight: FloatArray = float_vector(weight, f"weight of {owner}")
        self.delay: FloatArray = float_vector(delay, f"delay of {owner}")
        self.times: FloatArray = float_vector([] if times is None else times, f"times of {owner}")
        n = len(self.pre)
        self.values: FloatArray = np.asarray(np.empty((0, n)) if values is None else values)
        sizes = {"post": self.post, "weight": self.weight, "delay": self.delay}
        for part, array in sizes.items():
            if len(array) != n:
                raise ParameterError(f"{owner}: {n} pre but {len(array)} {part}.")
        if self.values.shape != (len(self.times), n):
            raise ParameterError(
                f"{owner}: values has shape {self.values.shape}, "
                f"[time, synapse] = {(len(self.times), n)} is expected."
            )

    def __len__(self) -> int:
        return len(self.pre)

    def to_scipy(self, shape: tuple[int, int] | None = None) -> Any:
        """Return the final weights as a sparse `scipy.sparse.coo_array` [pre, post].

        Several synapses between the same two neurons stay separate entries; conversion to
        another sparse format, and dense ones, add them up.
        """
        from scipy.sparse import coo_array

        return coo_array((self.weight, (self.pre, self.post)), shape=shape)

    def to_pandas(self) -> Any:
        """Return a DataFrame with the columns pre, post, weight and delay [ms]."""
        pandas = require("pandas", "analysis", "WeightTraces.to_pandas")
        return pandas.DataFrame(
            {"pre": self.pre, "post": self.post, "weight": self.weight, "delay": self.delay}
        )

    def to_npz(self, path: str | Path) -> None:
        """Write all arrays to a NumPy archive, under the names they have here."""
        np.savez(
            Path(path),
            pre=self.pre,
            post=self.post,
            weight=self.weight,
            delay=self.delay,
            times=self.times,
            values=self.values,
            name=np.array(self.name),
            unit=np.array(self.unit),
        )

    def plot(self, **options: Any) -> Any:
        """Return a histogram of the final weights; see `neurosim.plot.weight_histogram`."""
        from neurosim.plot import weight_histogram

        return weight_histogram(self, **options)

    def plot_matrix(self, **options: Any) -> Any:
        """Return an image of the final weights; see `neurosim.plot.connectivity_matrix`."""
        from neurosim.plot import connectivity_matrix

        options = {"unit": self.unit} | options
        return connectivity_matrix(self.pre, self.post, self.weight, **options)

    def __repr__(self) -> str:
        return f"WeightTraces({self.name!r}: {len(self)} synapses, {len(self.times)} times)"

    def _repr_html_(self) -> str:
        mean = f"{self.weight.mean():.4g}" if len(self) else "&ndash;"
        return (
            "<table><tr><th>projection</th><th>synapses</th><th>mean weight</th>"
            f"<th>recorded times</th></tr><tr><td>{html.escape(self.name)}</td>"
            f"<td>{len(self)}</td><td>{mean}</td><td>{len(self.times)}</td></tr></table>"
        )
