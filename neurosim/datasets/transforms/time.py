"""Transforms of event times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.datasets.transforms.base import (
    Events,
    Transform,
    by_time,
    generator,
    need_fields,
    need_positive,
    per_event,
)
from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class CropTime(Transform):
    """Keep the events of an interval.

    Parameters
    ----------
    t_min : int, default 0
        First time kept [us].
    t_max : int, optional
        First time no longer kept [us]; default none.
    shift : bool, default True
        Subtract `t_min`, so that the interval begins at 0.

    Raises
    ------
    ParameterError
        If `t_max` is not above `t_min`.
    """

    t_min: int = 0
    t_max: int | None = None
    shift: bool = True

    def __post_init__(self) -> None:
        if self.t_max is not None and self.t_max <= self.t_min:
            raise ParameterError(
                f"CropTime: t_max = {self.t_max} us must be above t_min = {self.t_min} us."
            )

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events with t_min <= t < t_max."""
        need_fields(self, events, "t")
        t = events["t"]
        inside = t >= self.t_min
        if self.t_max is not None:
            inside &= t < self.t_max
        kept = events[inside]
        return per_event(kept, t=kept["t"] - self.t_min) if self.shift else kept


@dataclass(frozen=True, kw_only=True)
class TimeJitter(Transform):
    """Move every event by its own normally distributed time.

    Times are rounded to whole us. A time that would be negative is mirrored at 0, so that no event
    is lost and none piles up at 0. The result is ordered by time.

    Parameters
    ----------
    sd : float
        Standard deviation [us].
    seed : int, default 0
        Used when no ``rng`` is passed.

    Raises
    ------
    ParameterError
        If `sd` is not above 0.
    """

    sd: float
    seed: int = 0

    def __post_init__(self) -> None:
        need_positive(self, sd=self.sd)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events with jittered times."""
        need_fields(self, events, "t")
        rng = generator(self, events, self.seed, rng)
        shift = np.rint(rng.normal(0.0, self.sd, len(events))).astype(np.int64)
        moved = events["t"].astype(np.int64) + shift
        # A recording that itself starts below 0 has no natural edge there.
        if not np.any(events["t"] < 0):
            moved = np.abs(moved)
        return by_time(per_event(events, t=moved))


@dataclass(frozen=True, kw_only=True)
class ScaleTime(Transform):
    """Stretch or squeeze time about 0: t becomes the nearest whole us to factor*t.

    Parameters
    ----------
    factor : float or tuple of 2 float
        The factor, or the interval from which one is drawn uniformly for each recording.
    seed : int, default 0
        Used when no ``rng`` is passed and the factor is drawn.

    Raises
    ------
    ParameterError
        If a factor is not above 0 or the interval is reversed.

    Examples
    --------
    >>> import numpy as np
    >>> events = np.array([(10, 0), (20, 1)], dtype=[("t", "i8"), ("x", "i2")])
    >>> ScaleTime(factor=1.5)(events)["t"]
    array([15, 30])
    """

    factor: float | tuple[float, float]
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self._range()
        need_positive(self, factor=low)
        if not low <= high < np.inf:
            raise ParameterError(f"ScaleTime: factor = {self.factor!r}: low <= high is expected.")

    def _range(self) -> tuple[float, float]:
        return self.factor if isinstance(self.factor, tuple) else (self.factor, self.factor)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events with scaled times."""
        need_fields(self, events, "t")
        low, high = self._range()
        factor = low
        if high > low:
            factor = generator(self, events, self.seed, rng).uniform(low, high)
        return per_event(events, t=np.rint(events["t"] * factor).astype(np.int64))
