"""Transforms of positions and polarities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    need_whole,
    per_event,
)
from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class CropSpace(Transform):
    """Keep the events of a window and count positions from its corner.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities of the recording; ``(channels, 1, 1)`` for audio.
    size : tuple of 2 int
        Width and height of the window.
    offset : tuple of 2 int or "centre" or "random", default "centre"
        Its corner with the smallest x and y. An odd remainder puts the centre at the smaller one;
        a random corner is drawn for each recording, uniformly among those that fit.
    seed : int, default 0
        Used when no ``rng`` is passed and the corner is drawn.

    Attributes
    ----------
    output_size : tuple of 3 int
        `sensor_size` after the crop.

    Raises
    ------
    ParameterError
        If the window does not lie inside the sensor, or an event outside of it.
    """

    sensor_size: SensorSize
    size: tuple[int, int]
    offset: tuple[int, int] | str = "centre"
    seed: int = 0

    def __post_init__(self) -> None:
        need_size(self, self.sensor_size)
        need_whole(self, width=self.size[0], height=self.size[1])
        room = self._room()
        if min(room) < 0:
            raise ParameterError(
                f"CropSpace: a window of {self.size!r} does not fit on {self.sensor_size!r}."
            )
        if isinstance(self.offset, str):
            if self.offset not in ("centre", "random"):
                raise ParameterError(
                    f"CropSpace: offset = {self.offset!r}: give 'centre', 'random' or (x, y)."
                )
        elif not all(0 <= at <= free for at, free in zip(self.offset, room, strict=True)):
            raise ParameterError(
                f"CropSpace: a window of {self.size!r} at {self.offset!r} leaves the sensor "
                f"{self.sensor_size!r}: offsets up to {room!r} fit."
            )

    @property
    def output_size(self) -> SensorSize:
        """Width, height and polarities after the crop."""
        return (*self.size, self.sensor_size[2])

    def _room(self) -> tuple[int, int]:
        return self.sensor_size[0] - self.size[0], self.sensor_size[1] - self.size[1]

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events of the window."""
        _, y, x = coordinates(self, events, self.sensor_size)
        across, down = self._room()
        if self.offset == "random":
            rng = generator(self, events, self.seed, rng)
            left, top = int(rng.integers(across + 1)), int(rng.integers(down + 1))
        elif isinstance(self.offset, str):
            left, top = across // 2, down // 2
        else:
            left, top = self.offset
        x, y = x - left, y - top
        inside = (x >= 0) & (x < self.size[0]) & (y >= 0) & (y < self.size[1])
        return _moved(events[inside], self.sensor_size, x[inside], y[inside])


@dataclass(frozen=True, kw_only=True)
class SpaceJitter(Transform):
    """Move every event by its own normally distributed distance, rounded to whole pixels.

    Events that would leave the sensor are dropped. Only ``x`` moves on a sensor of height 1.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities; ``(channels, 1, 1)`` for audio.
    sd : float
        Standard deviation in each direction [pixels or channels].
    seed : int, default 0
        Used when no ``rng`` is passed.

    Raises
    ------
    ParameterError
        If `sd` is not above 0 or an event lies outside the sensor.
    """

    sensor_size: SensorSize
    sd: float
    seed: int = 0

    def __post_init__(self) -> None:
        need_size(self, self.sensor_size)
        need_positive(self, sd=self.sd)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events at jittered positions."""
        _, y, x = coordinates(self, events, self.sensor_size)
        rng = generator(self, events, self.seed, rng)
        width, height, _ = self.sensor_size
        x = x + np.rint(rng.normal(0.0, self.sd, len(events))).astype(np.int64)
        if height > 1:
            y = y + np.rint(rng.normal(0.0, self.sd, len(events))).astype(np.int64)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return _moved(events[inside], self.sensor_size, x[inside], y[inside])


@dataclass(frozen=True, kw_only=True)
class FlipX(Transform):
    """Mirror a recording left to right: x becomes width - 1 - x. For audio: the channels.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities; ``(channels, 1, 1)`` for audio.
    probability : float, default 0.5
        With which a recording is mirrored as a whole; 1 mirrors always.
    seed : int, default 0
        Used when no ``rng`` is passed.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or the probability outside [0, 1].
    """

    sensor_size: SensorSize
    probability: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        need_size(self, self.sensor_size)
        need_probability(self, self.probability)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the recording, perhaps mirrored."""
        _, y, x = coordinates(self, events, self.sensor_size)
        if generator(self, events, self.seed, rng).random() >= self.probability:
            return events
        return _moved(events, self.sensor_size, self.sensor_size[0] - 1 - x, y)


@dataclass(frozen=True, kw_only=True)
class FlipY(Transform):
    """Mirror a recording top to bottom: y becomes height - 1 - y.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities.
    probability : float, default 0.5
        With which a recording is mirrored as a whole; 1 mirrors always.
    seed : int, default 0
        Used when no ``rng`` is passed.

    Raises
    ------
    ParameterError
        If the sensor has only one line, an event lies outside of it or the probability outside
        [0, 1].
    """

    sensor_size: SensorSize
    probability: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        need_size(self, self.sensor_size)
        need_probability(self, self.probability)
        if self.sensor_size[1] == 1:
            raise ParameterError(
                f"FlipY: the sensor {self.sensor_size!r} has one line: FlipX mirrors channels."
            )

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the recording, perhaps mirrored."""
        _, y, x = coordinates(self, events, self.sensor_size)
        if generator(self, events, self.seed, rng).random() >= self.probability:
            return events
        return _moved(events, self.sensor_size, x, self.sensor_size[1] - 1 - y)


@dataclass(frozen=True, kw_only=True)
class FlipPolarity(Transform):
    """Exchange ON and OFF in a whole recording.

    Parameters
    ----------
    probability : float, default 0.5
        With which a recording is inverted; 1 inverts always.
    seed : int, default 0
        Used when no ``rng`` is passed.

    Raises
    ------
    ParameterError
        If the events have no polarity, one other than 0 and 1, or the probability is impossible.
    """

    probability: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        need_probability(self, self.probability)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the recording, perhaps inverted."""
        need_fields(self, events, "t", "p")
        p = events["p"].astype(np.int64)
        if np.any((p != 0) & (p != 1)):
            raise ParameterError(
                f"FlipPolarity: polarities are {np.unique(p).tolist()}: 0 and 1 are expected."
            )
        if generator(self, events, self.seed, rng).random() >= self.probability:
            return events
        return per_event(events, p=1 - p)


@dataclass(frozen=True, kw_only=True)
class Downsample(Transform):
    """Make the sensor coarser: x and y become x // factor and y // factor.

    All events are kept; those of a block of pixels are now events of one pixel. The last block is
    smaller where the factor does not divide the sensor.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        Width, height and polarities of the recording.
    factor : int
        Pixels a block in each direction; ``y`` of a sensor of height 1 stays.

    Attributes
    ----------
    output_size : tuple of 3 int
        `sensor_size` afterwards.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or the factor is below 1.
    """

    sensor_size: SensorSize
    factor: int

    def __post_init__(self) -> None:
        need_size(self, self.sensor_size)
        need_whole(self, factor=self.factor)

    @property
    def output_size(self) -> SensorSize:
        """Width, height and polarities of the coarser sensor."""
        width, height, polarities = self.sensor_size
        return -(-width // self.factor), -(-height // self.factor), polarities

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events at coarser positions."""
        _, y, x = coordinates(self, events, self.sensor_size)
        return _moved(events, self.sensor_size, x // self.factor, y // self.factor)


@dataclass(frozen=True, kw_only=True)
class GroupChannels(Transform):
    """Join neighbouring channels of a cochlea: x becomes x // group.

    All events are kept. The last group is smaller where `group` does not divide the channels.

    Parameters
    ----------
    sensor_size : tuple of 3 int
        ``(channels, 1, 1)``.
    group : int
        Channels a group: 5 makes 140 of the 700 of Spiking Heidelberg Digits.

    Attributes
    ----------
    output_size : tuple of 3 int
        `sensor_size` afterwards.

    Raises
    ------
    ParameterError
        If the sensor has more than one line, or an event lies outside of it.
    """

    sensor_size: SensorSize
    group: int

    def __post_init__(self) -> None:
        need_size(self, self.sensor_size)
        need_whole(self, group=self.group)
        if self.sensor_size[1] != 1:
            raise ParameterError(
                f"GroupChannels: {self.sensor_size!r} is a camera: Downsample makes it coarser."
            )

    @property
    def output_size(self) -> SensorSize:
        """Number of groups, 1, and polarities."""
        return -(-self.sensor_size[0] // self.group), 1, self.sensor_size[2]

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Events:
        """Return the events with group numbers as channels."""
        _, _, x = coordinates(self, events, self.sensor_size)
        return per_event(events, x=x // self.group)


def _moved(events: Events, size: SensorSize, x: np.ndarray, y: np.ndarray) -> Events:
    """Return the events at new places; a sensor of height 1 has no y to write."""
    return per_event(events, x=x, y=y) if size[1] > 1 else per_event(events, x=x)
