"""Send on delta: an event whenever a signal has changed by a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from neurosim.datasets.encoders.base import FloatArray
from neurosim.datasets.encoders.kernels import level_crossings
from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.transforms.base import need_fields, need_positive, need_whole
from neurosim.errors import ParameterError


def crossings(
    values: FloatArray,
    times: FloatArray,
    *,
    on: FloatArray,
    off: FloatArray,
    interpolate: bool,
    refractory: float = 0.0,
) -> tuple[FloatArray, np.ndarray, np.ndarray]:
    """Return times, columns and polarities of the threshold crossings, ordered by time.

    Parameters
    ----------
    values : (T, N) float64
        One signal a column.
    times : (T,) float64
        Increasing times of the samples, in any unit.
    on, off : (N,) float64
        Thresholds for increase and decrease, above 0.
    interpolate : bool
        Give the time at which the straight line between two samples crosses, not the sample's.
    refractory : float, default 0.0
        Crossings closer than this to the last event of their column make no event; the level
        moves all the same.

    Returns
    -------
    t : (n,) float64
    column : (n,) int64
    p : (n,) bool
        True for an increase.
    """
    t, column, p = level_crossings(values, times, on, off, interpolate, refractory)
    order = np.lexsort((column, t)) if t.size else np.zeros(0, np.int64)
    return t[order], column[order], p[order]


@dataclass(frozen=True, kw_only=True)
class DeltaEncoder:
    """Turn sampled signals or videos into ON and OFF events.

    A channel remembers a level, at first its first sample. While the signal is at least
    `threshold` above (below) it, the channel sends an ON (OFF) event and the level moves by the
    threshold. So the level stays within one threshold of the signal: `reconstruct` returns it.

    Parameters
    ----------
    threshold : float
        In the unit of the signal.
    dt : float, default 1.0
        Time between samples [ms]; sample k is at k*dt.
    interpolate : bool, default False
        Place events where the straight line between samples crosses, instead of at the sample.

    Raises
    ------
    ParameterError
        If a setting is not above 0, a value is not finite or the shape is none of the three.

    Examples
    --------
    >>> events = DeltaEncoder(threshold=0.5)([0.0, 0.4, 1.1, 0.9, 0.3])
    >>> [(int(e["t"]), bool(e["p"])) for e in events]
    [(2000, True), (2000, True), (4000, False)]
    """

    threshold: float
    dt: float = 1.0
    interpolate: bool = False

    def __post_init__(self) -> None:
        need_positive(self, threshold=self.threshold, dt=self.dt)

    def __call__(self, signal: ArrayLike, rng: np.random.Generator | None = None) -> Events:
        """Return the events of a (T,), (T, C) or (T, H, W) signal; `rng` is not used.

        Returns
        -------
        events : structured array
            Ordered by time. Signals: fields ``t x p``, sensor (C, 1, 2). Videos: ``x y t p``,
            sensor (W, H, 2). p is 1 for an increase.
        """
        values = np.asarray(signal, dtype=np.float64)
        if values.ndim not in (1, 2, 3):
            raise ParameterError(
                f"DeltaEncoder: a signal of shape {values.shape} is none of (T,), (T, C), "
                "(T, H, W)."
            )
        if not np.isfinite(values).all():
            raise ParameterError("DeltaEncoder: the signal has values that are not finite.")
        columns = np.ascontiguousarray(values.reshape(len(values), math.prod(values.shape[1:])))
        threshold = np.full(columns.shape[1], float(self.threshold))
        times: FloatArray = np.arange(len(values), dtype=np.float64) * (self.dt * 1000.0)
        t, column, p = crossings(
            columns, times, on=threshold, off=threshold, interpolate=self.interpolate
        )
        t_us = np.rint(t).astype(np.int64)
        if values.ndim == 3:
            width = values.shape[2]
            return make_events(t=t_us, x=column % width, y=column // width, p=p)
        events = make_events(t=t_us, x=column)
        events["p"] = p
        return events

    def reconstruct(self, events: Events, start: ArrayLike, n_samples: int) -> FloatArray:
        """Return the (n_samples, C) level of every channel at the samples.

        Parameters
        ----------
        events : structured array
            What this encoder made of a (T, C) signal.
        start : (C,) array_like
            The first sample of every channel.
        n_samples : int
            Samples wanted.
        """
        need_fields(self, events, "t", "x", "p")
        need_whole(self, n_samples=n_samples)
        first = np.atleast_1d(np.asarray(start, dtype=np.float64))
        # The sample at or after the event knows it; half a us is the rounding of its time.
        sample = np.ceil((events["t"] - 0.5) / (self.dt * 1000.0)).astype(np.int64)
        steps = np.zeros((n_samples, first.size))
        seen = sample < n_samples
        sign = 2.0 * events["p"][seen] - 1.0
        np.add.at(steps, (np.maximum(sample[seen], 0), events["x"][seen]), sign)
        level: FloatArray = first + self.threshold * np.cumsum(steps, axis=0)
        return level
