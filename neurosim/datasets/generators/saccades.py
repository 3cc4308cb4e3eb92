"""Images seen by an event camera that makes three small saccades."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from neurosim.datasets.encoders.delta import crossings
from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.generators.base import Generated, Transforming, poisson_spikes
from neurosim.datasets.transforms.base import need_positive, need_whole
from neurosim.errors import ParameterError

FloatArray = NDArray[np.float64]

FRAME_MS = 2.0  # between computed frames; crossings in between are interpolated
# Where the image stands before, between and after the saccades of N-MNIST, relative to the middle
# of the sensor [pixels, x right, y down]: the mean event positions of 1,100 of its recordings.
CORNERS = ((-2.5, -1.5), (0.0, 3.0), (2.75, -1.5), (-2.5, -1.5))
# N-MNIST's events come between about 10 and 90 ms of each saccade, most of them at 50.
MOVING = (0.1, 0.9)


@dataclass(frozen=True, kw_only=True)
class Saccades:
    """Recipe of `saccades`."""

    classes: tuple[str, ...]
    size: tuple[int, int]
    corners: tuple[tuple[float, float], ...]
    saccade: float
    threshold: float
    mismatch: float
    background: float
    blur: float
    refractory: float
    noise_rate: float
    checksum: int  # of the images, for `describe`
    images: NDArray[Any] = field(repr=False)

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Width, height and 2."""
        return (*self.size, 2)

    def path(self) -> tuple[FloatArray, FloatArray]:
        """Return times [ms] (T,) and displacements (T, 2) of the image [pixels].

        Each saccade has the speed of a raised cosine, from rest to rest.
        """
        n_saccades = len(self.corners) - 1
        n_frames = int(np.ceil(n_saccades * self.saccade / FRAME_MS)) + 1
        times = np.minimum(np.arange(n_frames) * FRAME_MS, n_saccades * self.saccade)
        which = np.minimum((times / self.saccade).astype(np.int64), n_saccades - 1)
        begin, end = MOVING
        phase = np.clip((times / self.saccade - which - begin) / (end - begin), 0.0, 1.0)
        share = phase - np.sin(2.0 * np.pi * phase) / (2.0 * np.pi)
        corners = np.array(self.corners)
        return times, corners[which] + share[:, None] * (corners[which + 1] - corners[which])

    def brightness(self, image: FloatArray, displacements: FloatArray) -> FloatArray:
        """Return the (T, H, W) log intensity of an (h, w) image of values 0 to 1."""
        (width, height), (rows, columns) = self.size, image.shape
        # Pixel 0 of the sensor at displacement 0, in coordinates of the image.
        corner_x, corner_y = (columns - width) / 2, (rows - height) / 2
        margin = int(np.ceil(np.abs(displacements).max() + max(-corner_x, -corner_y, 0))) + 2
        blurred = ndimage.gaussian_filter(np.pad(image, margin), self.blur)
        light = np.log(blurred + self.background)
        frames = np.empty((len(displacements), height, width))
        for frame, (dx, dy) in zip(frames, displacements, strict=True):
            frame[:] = _window(light, corner_x + margin - dx, corner_y + margin - dy, width, height)
        return frames

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return the events of an image during the saccades."""
        times, displacements = self.path()
        frames = self.brightness(_unit(self.images[index]), displacements)
        n_pixels = frames[0].size
        on, off = self.threshold * np.exp(self.mismatch * rng.standard_normal((2, n_pixels)))
        t, place, p = crossings(
            frames.reshape(len(frames), -1), times * 1000.0, on=on, off=off, interpolate=True,
            refractory=self.refractory,
        )  # fmt: skip
        duration = int(times[-1] * 1000.0)
        noise_t, noise_place = poisson_spikes(rng, n_pixels, self.noise_rate, duration)
        t_us = np.concatenate([np.floor(t).astype(np.int64), noise_t])
        place = np.concatenate([place, noise_place])
        p = np.concatenate([p, rng.integers(2, size=noise_t.size).astype(bool)])
        order = np.lexsort((place, t_us))
        x, y = place[order] % self.size[0], place[order] // self.size[0]
        return make_events(t=t_us[order], x=x, y=y, p=p[order])


def _window(light: FloatArray, left: float, top: float, width: int, height: int) -> FloatArray:
    """Return a window at a place between pixels, interpolated linearly from its neighbours."""
    x, y = int(np.floor(left)), int(np.floor(top))
    fx, fy = left - x, top - y
    a = light[y : y + height + 1, x : x + width + 1]
    rows = (1.0 - fy) * a[:-1] + fy * a[1:]
    window: FloatArray = (1.0 - fx) * rows[:, :-1] + fx * rows[:, 1:]
    return window


def _unit(image: NDArray[Any]) -> FloatArray:
    """Return an image of 8-bit or floating-point numbers with values from 0 to 1."""
    scale = 255.0 if image.dtype == np.uint8 else 1.0
    values: FloatArray = image.astype(np.float64) / scale
    return values


def _checked(
    name: str, images: ArrayLike, targets: ArrayLike | None, classes: tuple[str, ...] | None
) -> tuple[NDArray[Any], NDArray[np.int64], tuple[str, ...]]:
    """Return images, labels and names of classes, or raise `ParameterError`."""
    pixels = np.asarray(images)
    if pixels.ndim != 3 or not len(pixels):
        raise ParameterError(f"{name}: images of shape {pixels.shape} must be (n, h, w), n >= 1.")
    if pixels.dtype != np.uint8 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ParameterError(
            f"{name}: images of {pixels.dtype} reach from {pixels.min()} to {pixels.max()}: uint8, "
            "or numbers from 0 to 1, are expected."
        )
    labels = np.zeros(len(pixels), np.int64) if targets is None else np.asarray(targets, np.int64)
    if labels.shape != (len(pixels),) or labels.min() < 0:
        raise ParameterError(
            f"{name}: {len(pixels)} images need as many targets >= 0, not shape {labels.shape}."
        )
    names = tuple(str(c) for c in range(int(labels.max()) + 1)) if classes is None else classes
    if labels.max() >= len(names):
        raise ParameterError(f"{name}: target {labels.max()} has no name: {len(names)} classes.")
    return pixels, labels, tuple(names)


def saccades(
    images: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    classes: tuple[str, ...] | None = None,
    split: str = "train",
    seed: int = 0,
    size: tuple[int, int] = (34, 34),
    corners: tuple[tuple[float, float], ...] = CORNERS,
    saccade: float = 100.0,
    threshold: float = 0.335,
    mismatch: float = 0.03,
    background: float = 0.1,
    blur: float = 0.7,
    refractory: float = 0.0,
    noise_rate: float = 0.0,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return images as the events of a camera that moves over them, like N-MNIST.

    The image moves along the sides of a triangle, one saccade a side. A pixel sends an ON (OFF)
    event whenever the logarithm of its light has risen (fallen) by its threshold since its last
    event, at the time that linear interpolation between frames of 2 ms gives.

    Parameters
    ----------
    images : (n, h, w) array_like
        uint8, or floating-point numbers from 0 to 1; what lies outside an image is 0.
    targets : (n,) array_like of int, optional
        Labels; default 0.
    classes : tuple of str, optional
        Names of the labels; default their numbers.
    split : "train", "validation" or "test", default "train"
        Names the stream of random numbers of the images.
    seed : int, default 0
    size : tuple of 2 int, default (34, 34)
        Width and height of the sensor [pixels]; the image moves about its middle.
    corners : tuple of (x, y), optional
        Displacements before and after each saccade [pixels, x right, y down]; default those of
        N-MNIST.
    saccade : float, default 100.0
        Length of a saccade [ms]; it moves between 10 and 90 % of it.
    threshold : float, default 0.335
        Mean change of the natural logarithm of light for an event.
    mismatch : float, default 0.03
        Standard deviation of the logarithm of the thresholds, of ON and OFF of every pixel.
    background : float, default 0.1
        Light of black; white has 1 more.
    blur : float, default 0.7
        Standard deviation of the optics' Gaussian [pixels].
    refractory : float, default 0.0
        Dead time of a pixel [us]; crossings during it are lost.
    noise_rate : float, default 0.0
        Of additional events of random polarity, for each pixel [Hz].
    transform, target_transform : callable, optional
        Applied to events and target.

    Returns
    -------
    dataset : Generated
        Recording i is of image i.

    Raises
    ------
    ParameterError
        If the images have the wrong shape or range, or a setting is impossible.

    Notes
    -----
    The protocol of Orchard, Jayawant, Cohen & Thakor (2015), Front. Neurosci. 9:437. With the
    defaults, 100 test images of MNIST give 3,850 events on average, as their recordings in N-MNIST
    have; the counts of the images are correlated with 0.89.
    """
    name = "saccades"
    pixels, labels, names = _checked(name, images, targets, classes)
    need_whole(name, width=size[0], height=size[1])
    need_positive(name, saccade=saccade, threshold=threshold, background=background)
    for key, value in (
        ("mismatch", mismatch), ("blur", blur), ("refractory", refractory),
        ("noise_rate", noise_rate),
    ):  # fmt: skip
        if not 0 <= value < np.inf:
            raise ParameterError(f"{name}: {key} = {value!r} must not be negative.")
    if len(corners) < 2 or size[1] < 2:
        raise ParameterError(
            f"{name}: corners = {corners!r} must be two points or more, and size = {size!r} two "
            "lines or more."
        )
    recipe = Saccades(
        classes=names, size=(size[0], size[1]), corners=tuple(corners), saccade=saccade,
        threshold=threshold, mismatch=mismatch, background=background, blur=blur,
        refractory=refractory, noise_rate=noise_rate,
        checksum=zlib.crc32(pixels.tobytes()), images=pixels,
    )  # fmt: skip
    return Generated(
        name, recipe, len(pixels), seed=seed, split=split, targets=labels,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip
