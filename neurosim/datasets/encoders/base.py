"""What an encoder is, and how spikes on a grid become events."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.transforms.base import need_positive
from neurosim.errors import ParameterError

FloatArray = NDArray[np.float64]
Spikes = NDArray[np.uint8]


class Encoder(abc.ABC):
    """A function from values to spikes on a grid of time.

    Encoders are frozen dataclasses, called as ``encoder(values)`` or ``encoder(values, rng)``. They
    return ``(T, *values.shape)`` uint8, time first: ready for ``[T, B, ...]`` layers after a cast,
    and for `spikes_to_events`. Random ones draw from ``rng`` and nothing else; without it the
    generator is derived from their ``seed`` and the values.
    """

    @abc.abstractmethod
    def __call__(self, values: ArrayLike, rng: np.random.Generator | None = None) -> Spikes:
        """Return the spikes of an array of values."""


def unit_values(owner: object, values: ArrayLike) -> FloatArray:
    """Return values as float64, or raise `ParameterError` for one outside [0, 1]."""
    array = np.asarray(values, dtype=np.float64)
    bad = ~((array >= 0.0) & (array <= 1.0))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ParameterError(
            f"{type(owner).__name__}: value {array[where]} at {where} lies outside 0 to 1: scale "
            "the input first (images: pixels / 255)."
        )
    return array


def spikes_to_events(spikes: ArrayLike, dt: float = 1.0) -> Events:
    """Return spikes on a grid as a structured array of events.

    Parameters
    ----------
    spikes : (T, C), (T, H, W) or (T, P, H, W) array_like
        Number of spikes in each step. P is 1 or 2; channel 1 of two holds the ON events.
    dt : float, default 1.0
        Length of a step [ms].

    Returns
    -------
    events : structured array
        Ordered by time: audio (fields ``t x p``) for (T, C), else vision (``x y t p``, ON where
        there is no second polarity). Spikes of step k are at k*dt, rounded to whole us. A count of
        n gives n equal events.

    Raises
    ------
    ParameterError
        If the shape is none of these, a count is negative or `dt` is not above 0.

    Examples
    --------
    >>> spikes_to_events([[0, 1], [1, 0]], dt=2.0)
    array([(   0, 1, 1), (2000, 0, 1)],
          dtype=[('t', '<i8'), ('x', '<i2'), ('p', 'i1')])
    """
    need_positive("spikes_to_events", dt=dt)
    array = np.asarray(spikes)
    if array.ndim not in (2, 3, 4) or (array.ndim == 4 and array.shape[1] not in (1, 2)):
        raise ParameterError(
            f"spikes_to_events: shape {array.shape} is none of (T, C), (T, H, W), (T, P, H, W)."
        )
    if array.size and array.min() < 0:
        raise ParameterError(f"spikes_to_events: a count is {array.min()}; none can be negative.")
    where = np.nonzero(array)
    times = array[where].astype(np.int64)
    index: list[NDArray[Any]] = [np.repeat(axis, times) for axis in where]
    t = np.rint(index[0] * (dt * 1000.0)).astype(np.int64)
    if array.ndim == 2:
        return make_events(t=t, x=index[1])
    p = index[1] if array.ndim == 4 and array.shape[1] == 2 else np.ones(t.size, np.int64)
    return make_events(t=t, x=index[-1], y=index[-2], p=p)
