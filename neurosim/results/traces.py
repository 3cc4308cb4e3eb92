"""Recorded states of neurons over time."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError, require, unknown_name
from neurosim.results._arrays import FloatArray, IntArray, float_vector, int_vector


class Traces(Mapping[str, FloatArray]):
    """State values of some neurons of one population at sampled times.

    Parameters
    ----------
    values : mapping of str to (n_times, n_neurons) array_like
        One array [time, neuron] for each state, in the state's unit.
    t : (n_times,) array_like
        Sampling times [ms], ascending: interval, 2 * interval, ...
    ids : (n_neurons,) array_like of int
        The recorded neurons, numbered within their population.
    units : mapping of str to str
        Unit of each state, such as ``{"V_m": "mV"}``.
    name : str
        Name of the population.

    Raises
    ------
    ParameterError
        If a shape is not (n_times, n_neurons) or a unit is missing.

    Examples
    --------
    >>> traces = Traces({"V_m": [[-70.0], [-69.0]]}, t=[0.1, 0.2], ids=[4], units={"V_m": "mV"})
    >>> traces["V_m"].shape
    (2, 1)
    >>> traces.of(4)["V_m"]
    array([-70., -69.])
    """

    def __init__(
        self,
        values: Mapping[str, ArrayLike],
        t: ArrayLike,
        ids: ArrayLike,
        units: Mapping[str, str],
        name: str = "traces",
    ) -> None:
        self.name = str(name)
        self.t: FloatArray = float_vector(t, f"t of traces {name!r}")
        self.ids: IntArray = int_vector(ids, f"ids of traces {name!r}")
        if np.any(np.diff(self.t) <= 0):
            raise ParameterError(f"traces {name!r}: the sampling times t are not ascending.")
        self._values = {state: np.asarray(array) for state, array in values.items()}
        shape = (len(self.t), len(self.ids))
        for state, array in self._values.items():
            if array.shape != shape:
                raise ParameterError(
                    f"traces {name!r}: {state} has shape {array.shape}, "
                    f"[time, neuron] = {shape} is expected."
                )
            if state not in units:
                raise ParameterError(f"traces {name!r}: units has no entry for {state!r}.")
        self.units = {state: str(units[state]) for state in self._values}

    @property
    def states(self) -> list[str]:
        """Names of the recorded states."""
        return list(self._values)

    @property
    def interval(self) -> float:
        """Mean distance of two samples [ms]; the only sample's time if there is but one."""
        if len(self.t) < 2:
            return float(self.t[0]) if len(self.t) else 0.0
        return float(self.t[-1] - self.t[0]) / (len(self.t) - 1)

    def __getitem__(self, state: str) -> FloatArray:
        if state not in self._values:
            raise unknown_name("state", state, self._values, f"traces {self.name!r}")
        return self._values[state]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def of(self, neuron: int) -> dict[str, FloatArray]:
        """Return the states of one neuron, each (n_times,).

        Raises
        ------
        ParameterError
            If the neuron was not recorded.
        """
        place = np.flatnonzero(self.ids == neuron)
        if not len(place):
            raise ParameterError(
                f"traces {self.name!r} hold no neuron {neuron}: "
                f"{', '.join(map(str, self.ids[:8]))}{', ...' if len(self.ids) > 8 else ''} "
                "were recorded."
            )
        return {state: array[:, place[0]] for state, array in self._values.items()}

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` with dims (time, neuron) and units as attributes."""
        xarray = require("xarray", "analysis", "Traces.to_xarray")
        return xarray.Dataset(
            {
                state: (("time", "neuron"), array, {"units": self.units[state]})
                for state, array in self._values.items()
            },
            coords={"time": ("time", self.t, {"units": "ms"}), "neuron": ("neuron", self.ids)},
            attrs={"population": self.name},
        )

    def to_pandas(self) -> Any:
        """Return a tidy DataFrame: time [ms], neuron, population and one column a state."""
        pandas = require("pandas", "analysis", "Traces.to_pandas")
        columns: dict[str, Any] = {
            "time": np.repeat(self.t, len(self.ids)),
            "neuron": np.tile(self.ids, len(self.t)),
            "population": self.name,
        }
        columns.update({state: array.ravel() for state, array in self._values.items()})
        return pandas.DataFrame(columns)

    def to_sonata(self, path: str | Path, state: str) -> None:
        """Write one state as a SONATA report; see `neurosim.io.write_report`."""
        from neurosim.io.sonata_report import write_report

        write_report(path, self, state)

    def plot(self, **options: Any) -> Any:
        """Return a figure of the traces; see `neurosim.plot.traces`."""
        from neurosim.plot import traces

        return traces(self, **options)

    def __repr__(self) -> str:
        states = ", ".join(f"{s} [{u}]" for s, u in self.units.items())
        return f"Traces({self.name!r}: {states}; {len(self.t)} times, {len(self.ids)} neurons)"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(s)}</td><td>{html.escape(self.units[s])}</td>"
            f"<td>{a.min():.4g}</td><td>{a.mean():.4g}</td><td>{a.max():.4g}</td></tr>"
            for s, a in self._values.items()
            if a.size
        )
        return (
            f"<p>{html.escape(self.name)}: {len(self.t)} times, {len(self.ids)} neurons</p>"
            "<table><tr><th>state</th><th>unit</th><th>min</th><th>mean</th><th>max</th></tr>"
            f"{rows}</table>"
        )
