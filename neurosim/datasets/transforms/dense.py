"""From events to arrays: frames, voxel grids and time surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.transforms.base import (
    Events,
    SensorSize,
    Transform,
    coordinates,
    need_positive,
    need_size,
    need_sorted,
    need_whole,
)
from neurosim.datasets.transforms.kernels import surfaces
from neurosim.errors import ParameterError

# More values than this are a forgotten duration or a clock that does not start near 0.
LARGEST_ARRAY = 2**31


def _span(events: Events, t_start: int | None, duration: int | None) -> tuple[int, int]:
    """Return first time [us] and length [us] of the interval that becomes an array."""
    first, last = (int(events["t"].min()), int(events["t"].max())) if len(events) else (0, -1)
    start = first if t_start is None else t_start
    return start, duration if duration is not None else max(0, last - start + 1)


def _shape(owner: object, n_bins: int, size: SensorSize) -> tuple[int, ...]:
    """Return [T, P, H, W], or [T, C] for the one line of a (C, 1, 1) sensor."""
    width, height, polarities = size
    shape = (n_bins, polarities, height, width)
    if np.prod(shape, dtype=float) > LARGEST_ARRAY:
        raise ParameterError(
            f"{type(owner).__name__}: {n_bins} bins of a {size!r} sensor do not fit into memory: "
            "give duration, a longer time_window or n_bins, and check that times are in us."
        )
    return (n_bins, width) if height == polarities == 1 else shape


def _check(
    owner: object, size: SensorSize, time_window: int | None, n_bins: int | None, **rest: Any
) -> None:
    need_size(owner, size)
    need_whole(owner, time_window=time_window, n_bins=n_bins, **rest)
    if (time_window is None) == (n_bins is None):
        raise ParameterError(
            f"{type(owner).__name__}: give either time_window (us a bin) or n_bins, not "
            f"{'both' if n_bins else 'neither'}."
        )


@dataclass(frozen=True, kw_only=True)
class ToFrames(Transform):
    """Count the events of every pixel in bins of time.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities of the recording; ``(channels, 1, 1)`` for audio. With one
        polarity ON and OFF events are counted together.
    time_window : int, optional
        Length of a bin [us]. Bin k holds the times start + k*time_window <= t < start +
        (k+1)*time_window; the last bin may reach past the end.
    n_bins : int, optional
        Number of bins of equal length, instead of `time_window`.
    t_start : int, optional
        Where the first bin begins [us]; default the first event. Earlier events are left out.
    duration : int, optional
        Length of time covered [us]; default to the last event, inclusive. Events at or after the
        end are left out. Give it when all recordings shall have the same shape.
    binary : bool, default False
        1 where at least one event fell, instead of the count.
    dtype : str, default "float32"
        Type of the result. Counts that it cannot hold are an error.

    Returns
    -------
    frames : (T, P, H, W) array, or (T, C) for a sensor of (C, 1, 1)
        ``p = 1`` (ON) is channel 1. An empty recording gives zeros; without n_bins and duration
        its T is 0.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor, a setting is impossible, or a count overflows.

    Examples
    --------
    >>> import numpy as np
    >>> events = np.array([(0, 0), (5, 1), (12, 1)], dtype=[("t", "i8"), ("x", "i2")])
    >>> ToFrames(sensor_size=(2, 1, 1), time_window=10, dtype="uint8")(events)
    array([[1, 1],
           [0, 1]], dtype=uint8)
    """

    sensor_size: SensorSize
    time_window: int | None = None
    n_bins: int | None = None
    t_start: int | None = None
    duration: int | None = None
    binary: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check(self, self.sensor_size, self.time_window, self.n_bins, duration=self.duration)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> NDArray[Any]:
        """Return the frames of a recording."""
        p, y, x = coordinates(self, events, self.sensor_size)
        start, length = _span(events, self.t_start, self.duration)
        since = events["t"].astype(np.int64) - start
        inside = (since >= 0) & (since < length)
        if self.time_window is not None:
            n_bins = -(-length // self.time_window)
            bins = since // self.time_window
        else:
            n_bins = int(self.n_bins or 0)
            # The whole-number form of floor(since / (length / n_bins)): no rounding at edges.
            bins = since * n_bins // max(length, 1)
        shape = _shape(self, n_bins, self.sensor_size)
        width, height, polarities = self.sensor_size
        flat = ((bins * polarities + p) * height + y) * width + x
        counts = np.bincount(flat[inside], minlength=int(np.prod(shape))).reshape(shape)
        return self._convert(counts)

    def _convert(self, counts: NDArray[np.int64]) -> NDArray[Any]:
        if self.binary:
            return (counts > 0).astype(self.dtype)
        kind = np.dtype(self.dtype)
        if kind.kind in "iu" and counts.size and counts.max() > np.iinfo(kind).max:
            raise ParameterError(
                f"ToFrames: a pixel has {counts.max()} events in one bin, more than {self.dtype} "
                "holds: choose a larger dtype, shorter bins or binary=True."
            )
        return counts.astype(kind)


@dataclass(frozen=True, kw_only=True)
class ToVoxelGrid(Transform):
    """Share every event between the two nearest of `n_bins` points in time.

    An event of polarity s (+1 ON, -1 OFF; +1 always for a one-polarity sensor) at the scaled time
    tau = (n_bins - 1)(t - t0)/(t1 - t0) adds s*max(0, 1 - abs(k - tau)) to bin k (Zhu et al. 2019,
    "Unsupervised event-based learning of optical flow, depth, and egomotion", CVPR, eq. 1-2).

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities; ``(channels, 1, 1)`` for audio.
    n_bins : int
        Points in time.
    t_start, duration : int, optional
        t0 and t1 - t0 [us]; default from the first to the last event. Events before t0 or after
        t1 are left out. If t1 = t0 everything is in bin 0.

    Returns
    -------
    grid : (n_bins, 1, H, W) float32, or (n_bins, C) for a sensor of (C, 1, 1)
        The sum over time is ON minus OFF events. An empty recording gives zeros.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or a setting is impossible.
    """

    sensor_size: SensorSize
    n_bins: int
    t_start: int | None = None
    duration: int | None = None

    def __post_init__(self) -> None:
        _check(self, self.sensor_size, None, self.n_bins, duration=self.duration)

    def __call__(
        self, events: Events, rng: np.random.Generator | None = None
    ) -> NDArray[np.float32]:
        """Return the voxel grid of a recording."""
        p, y, x = coordinates(self, events, self.sensor_size)
        width, height, polarities = self.sensor_size
        start, length = _span(events, self.t_start, self.duration)
        length = length if self.duration is not None else max(length - 1, 0)
        since = events["t"].astype(np.int64) - start
        inside = (since >= 0) & (since <= length)
        scaled = (self.n_bins - 1) * since[inside] / max(length, 1)
        sign = (2.0 * p[inside] - 1.0) if polarities == 2 else np.ones(int(inside.sum()))
        place = y[inside] * width + x[inside]
        below = np.minimum(scaled.astype(np.int64), max(self.n_bins - 2, 0))
        above_share = scaled - below
        n = self.n_bins * height * width
        grid = np.bincount(below * height * width + place, sign * (1.0 - above_share), n)
        if self.n_bins > 1:
            grid += np.bincount((below + 1) * height * width + place, sign * above_share, n)
        shape = _shape(self, self.n_bins, (width, height, 1))
        return grid.reshape(shape).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class ToTimeSurface(Transform):
    """Show how long ago every pixel had its last event, as exp(-age/tau).

    Surface k is taken at the end of bin k and knows the events before that moment (Lagorce et al.
    2017, "HOTS: a hierarchy of event-based time-surfaces", IEEE TPAMI 39:1346, eq. 3, over the
    whole sensor).

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities; ``(channels, 1, 1)`` for audio.
    tau : float
        Time constant [us].
    time_window : int, optional
        Time between surfaces [us].
    n_bins : int, optional
        Number of surfaces, instead of `time_window`.
    t_start, duration : int, optional
        Start and length of the interval [us], as in `ToFrames`. Events before the start are left
        out.

    Returns
    -------
    surfaces : (T, P, H, W) float32, or (T, C) for a sensor of (C, 1, 1)
        0 where no event has been yet.

    Raises
    ------
    ParameterError
        If times decrease, an event lies outside the sensor or a setting is impossible.
    """

    sensor_size: SensorSize
    tau: float
    time_window: int | None = None
    n_bins: int | None = None
    t_start: int | None = None
    duration: int | None = None

    def __post_init__(self) -> None:
        _check(self, self.sensor_size, self.time_window, self.n_bins, duration=self.duration)
        need_positive(self, tau=self.tau)

    def __call__(
        self, events: Events, rng: np.random.Generator | None = None
    ) -> NDArray[np.float32]:
        """Return the time surfaces of a recording."""
        p, y, x = coordinates(self, events, self.sensor_size)
        need_sorted(self, events)
        width, height, polarities = self.sensor_size
        start, length = _span(events, self.t_start, self.duration)
        if self.time_window is not None:
            n_bins = -(-length // self.time_window)
            ends = np.arange(1, n_bins + 1) * float(self.time_window)
        else:
            n_bins = int(self.n_bins or 0)
            ends = np.arange(1, n_bins + 1) * (length / n_bins)
        shape = _shape(self, n_bins, self.sensor_size)
        since = events["t"].astype(np.int64) - start
        inside = since >= 0
        place = ((p * height + y) * width + x)[inside]
        flat = surfaces(since[inside], place, ends, float(self.tau), width * height * polarities)
        return flat.reshape(shape)  # type: ignore[no-any-return]
