"""Straight edges that move over a camera: event times in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.generators.base import Generated, Transforming, poisson_spikes
from neurosim.datasets.transforms.base import need_positive, need_whole
from neurosim.errors import ParameterError


def motion_classes(directions: int, speeds: tuple[float, ...]) -> tuple[str, ...]:
    """Return the names of all motions: every direction at the first speed, then at the next."""
    return tuple(
        f"{360 * d / directions:g} deg, {speed:g} px/ms"
        for speed in speeds
        for d in range(directions)
    )


def velocity_of(target: int, directions: int, speeds: tuple[float, ...]) -> tuple[float, float]:
    """Return the velocity (along x, along y) of a motion [pixels/ms]; y points down."""
    angle = 2.0 * np.pi * (target % directions) / directions
    speed = speeds[target // directions]
    return speed * float(np.cos(angle)), speed * float(np.sin(angle))


@dataclass(frozen=True, kw_only=True)
class MovingEdges:
    """Recipe of `moving_edges`."""

    size: tuple[int, int]
    directions: int
    speeds: tuple[float, ...]
    duration: int
    offset: float
    jitter: float
    noise_rate: float

    @property
    def classes(self) -> tuple[str, ...]:
        """Direction and speed."""
        return motion_classes(self.directions, self.speeds)

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Width, height and 2."""
        return (*self.size, 2)

    def times(self, target: int, offset: float) -> NDArray[np.float64]:
        """Return the (H, W) times [us] at which the edge crosses the pixels.

        t = duration/2 + (n . (r - c) - offset)/speed, with n the direction of motion, r the pixel
        and c the centre of the sensor.
        """
        vx, vy = velocity_of(target, self.directions, self.speeds)
        speed = np.hypot(vx, vy)
        width, height = self.size
        along = vx / speed * (np.arange(width) - (width - 1) / 2)
        across = vy / speed * (np.arange(height) - (height - 1) / 2)
        distance = across[:, None] + along[None, :] - offset
        times: NDArray[np.float64] = self.duration / 2 + 1000.0 * distance / speed
        return times

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return one pass of an edge, brighter or darker than what it covers."""
        offset = rng.uniform(-self.offset, self.offset)
        brighter = bool(rng.integers(2))
        times = self.times(target, offset)
        if self.jitter:
            times = times + self.jitter * rng.standard_normal(times.shape)
        t = np.rint(times).astype(np.int64).ravel()
        place = np.arange(t.size)
        inside = (t >= 0) & (t < self.duration)
        p = np.full(int(inside.sum()), brighter)
        noise_t, noise_place = poisson_spikes(rng, t.size, self.noise_rate, self.duration)
        p = np.concatenate([p, rng.integers(2, size=noise_t.size).astype(bool)])
        t, place = (
            np.concatenate([t[inside], noise_t]),
            np.concatenate([place[inside], noise_place]),
        )
        order = np.lexsort((place, t))
        t, place, p = t[order], place[order], p[order]
        return make_events(t=t, x=place % self.size[0], y=place // self.size[0], p=p)


def moving_edges(
    n: int = 1000,
    *,
    split: str = "train",
    seed: int = 0,
    size: tuple[int, int] = (32, 32),
    directions: int = 8,
    speeds: tuple[float, ...] = (0.5,),
    duration: int | None = None,
    offset: float = 3.0,
    jitter: float = 0.0,
    noise_rate: float = 0.0,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return recordings of a straight edge that crosses the sensor once.

    The edge is perpendicular to its motion and passes the centre of the sensor near the middle of
    the recording. Every pixel has one event when the edge reaches it; ON or OFF is drawn for each
    recording, so that polarity says nothing about the class.

    Parameters
    ----------
    n : int, default 1000
        Recordings; recording i is of class i modulo the number of classes.
    split : "train", "validation" or "test", default "train"
        Other draws.
    seed : int, default 0
    size : tuple of 2 int, default (32, 32)
        Width and height [pixels].
    directions : int, default 8
        Evenly spaced directions of motion; 0 is to the right, 90 degrees is down.
    speeds : tuple of float, default (0.5,)
        [pixels/ms]. The class is direction + directions * (index of the speed).
    duration : int, optional
        Length [us]; default long enough for the slowest edge to cross all pixels. Events outside
        are dropped.
    offset : float, default 3.0
        The place of the edge at half time is uniform within this distance of the centre [pixels].
    jitter : float, default 0.0
        Standard deviation of event times [us].
    noise_rate : float, default 0.0
        Of additional events of random polarity, for each pixel [Hz].
    transform, target_transform : callable, optional
        Applied to events and target.

    Returns
    -------
    dataset : Generated

    Raises
    ------
    ParameterError
        If a setting is impossible.
    """
    name = "moving_edges"
    check_motion(name, size, directions, speeds)
    for key, value in (("offset", offset), ("jitter", jitter), ("noise_rate", noise_rate)):
        if not 0 <= value < np.inf:
            raise ParameterError(f"{name}: {key} = {value!r} must not be negative.")
    if duration is None:
        reach = np.hypot(*size) / 2 + offset
        duration = int(np.ceil(2 * 1000.0 * reach / min(speeds) + 10 * jitter))
    need_whole(name, duration=duration)
    recipe = MovingEdges(
        size=(size[0], size[1]), directions=directions, speeds=tuple(speeds), duration=duration,
        offset=offset, jitter=jitter, noise_rate=noise_rate,
    )  # fmt: skip
    return Generated(
        name, recipe, n, seed=seed, split=split,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip


def check_motion(
    name: str, size: tuple[int, int], directions: int, speeds: tuple[float, ...]
) -> None:
    """Raise `ParameterError` unless these make a sensor and a set of motions."""
    need_whole(name, width=size[0], height=size[1], directions=directions)
    if size[1] == 1 or not speeds:
        raise ParameterError(
            f"{name}: size = {size!r} needs at least 2 lines, and speeds = {speeds!r} one speed."
        )
    for speed in speeds:
        need_positive(name, speed=speed)
