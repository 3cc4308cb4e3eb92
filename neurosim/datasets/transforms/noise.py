"""Transforms that leave events out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.transforms.base import (
    Events,
    SensorSize,
    Transform,
    coordinates,
    generator,
    need_fields,
    need_positive,
    need_probability,
    need_size,
    need_sorted,
)
from neurosim.datasets.transforms.kernels import supported


@dataclass(frozen=True, kw_only=True)
class DropEvents(Transform):
    """Leave every event out with the same probability, independently.

    Parameters
    ----------
    probability : float
        Between 0 and 1.
    seed : int, default 0
        Used when no ``rng`` is passed.

    Raises
    ------
    ParameterError
        If the probability lies outside [0, 1].
    """

    probability: float
    seed: int = 0

    def __post_init__(self) -> None:
        need_probability(self, self.probability)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events that stay."""
        need_fields(self, events, "t")
        rng = generator(self, events, self.seed, rng)
        return events[rng.random(len(events)) >= self.probability]


@dataclass(frozen=True, kw_only=True)
class Denoise(Transform):
    """Keep events that a neighbour supports (background-activity filter).

    An event stays if one of the 8 pixels around it (2 channels for audio) had an event, of any
    polarity, at most `time_window` before, whether or not that one was kept itself (Delbruck 2008,
    "Frame-free dynamic digital vision"). The first event never stays. Pixels at the border have
    fewer neighbours.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities; ``(channels, 1, 1)`` for audio.
    time_window : int
        Oldest age of the supporting event, inclusive [us].

    Raises
    ------
    ParameterError
        If times decrease or an event lies outside the sensor.
    """

    sensor_size: SensorSize
    time_window: int

    def __post_init__(self) -> None:
        need_size(self, self.sensor_size)
        need_positive(self, time_window=self.time_window)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the supported events."""
        _, y, x = coordinates(self, events, self.sensor_size)
        need_sorted(self, events)
        width, height, _ = self.sensor_size
        t = events["t"].astype(np.int64)
        kept: NDArray[np.bool_] = supported(t, x, y, width, height, self.time_window)
        return events[kept]
