"""Random textures that drift over a camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.generators.base import Generated, Transforming
from neurosim.datasets.generators.edges import check_motion, motion_classes, velocity_of
from neurosim.datasets.transforms.base import need_positive, need_whole
from neurosim.errors import ParameterError

FloatArray = NDArray[np.float64]

FRAME_US = 1000


@dataclass(frozen=True, kw_only=True)
class MovingTexture:
    """Recipe of `moving_texture`."""

    size: tuple[int, int]
    directions: int
    speeds: tuple[float, ...]
    n_frames: int
    selectivity: float
    exponent: float
    orientation: str
    bandwidth: float

    @property
    def classes(self) -> tuple[str, ...]:
        """Direction and speed."""
        return motion_classes(self.directions, self.speeds)

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Width, height and 2."""
        return (*self.size, 2)

    def spectrum(self, target: int, rng: np.random.Generator) -> NDArray[np.complex128]:
        """Return the (H, W) Fourier coefficients of a texture for a motion."""
        width, height = self.size
        fx, fy = np.fft.fftfreq(width)[None, :], np.fft.fftfreq(height)[:, None]
        frequency = np.hypot(fx, fy)
        frequency[0, 0] = np.inf  # no mean
        envelope = frequency**-self.exponent if self.exponent else np.isfinite(frequency) * 1.0
        if self.orientation != "isotropic":
            vx, vy = velocity_of(target, self.directions, self.speeds)
            # The wave vectors of a grating point along its motion where its bars are perpendicular.
            angle = (
                np.arctan2(vy, vx) if self.orientation == "perpendicular" else rng.uniform(0, np.pi)
            )
            off = np.arctan2(fy, fx) - angle
            # von Mises over orientations, standard deviation `bandwidth` where that is small
            envelope = envelope * np.exp((np.cos(2.0 * off) - 1.0) / (4.0 * self.bandwidth**2))
        noise: NDArray[np.complex128] = np.fft.fft2(rng.standard_normal((height, width)))
        return np.asarray(noise * envelope, np.complex128)

    def movie(self, target: int, rng: np.random.Generator) -> FloatArray:
        """Return the (n_frames + 1, H, W) brightness, a frame a ms, of unit variance.

        The texture repeats itself beyond the sensor and is moved by a phase ramp of its Fourier
        transform, exact for any fraction of a pixel.
        """
        width, height = self.size
        fx, fy = _odd_frequencies(width)[None, :], _odd_frequencies(height)[:, None]
        vx, vy = velocity_of(target, self.directions, self.speeds)
        t = np.arange(self.n_frames + 1)[:, None, None]
        ramp = np.exp(-2j * np.pi * t * (fx * vx + fy * vy))
        movie = np.fft.ifft2(self.spectrum(target, rng) * ramp).real
        return np.asarray(movie / movie.std(), np.float64)

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return the events of a movie; frame k is at k ms."""
        return events_of_movie(self.movie(target, rng), self.selectivity)


def _odd_frequencies(n: int) -> FloatArray:
    """Return the frequencies of a transform; that of n/2 cannot move and stays real."""
    frequencies = np.asarray(np.fft.fftfreq(n), np.float64)
    if n % 2 == 0:
        frequencies[n // 2] = 0.0
    return frequencies


def events_of_movie(movie: FloatArray, selectivity: float) -> Events:
    """Return the events of a movie of one frame a ms.

    The differences of successive frames are summed in every pixel. Where the sum exceeds theta =
    selectivity * (standard deviation of all differences) an ON event is sent and theta subtracted;
    below -theta an OFF event, and theta added: at most one event a pixel and frame.

    Parameters
    ----------
    movie : (n_frames + 1, H, W) float64
    selectivity : float
        Above 0.

    Returns
    -------
    events : structured array
        The event of the change from frame k - 1 to k is at 1000*k us.
    """
    change = np.diff(movie, axis=0)
    theta = selectivity * change.std()
    rest = np.zeros(movie.shape[1:])
    sign = np.zeros(change.shape, np.int8)
    for k, step in enumerate(change):
        rest += step
        sign[k] = (rest > theta).astype(np.int8) - (rest < -theta).astype(np.int8)
        rest -= theta * sign[k]
    frame, y, x = np.nonzero(sign)
    return make_events(t=(frame + 1) * FRAME_US, x=x, y=y, p=sign[frame, y, x] > 0)


def moving_texture(
    n: int = 400,
    *,
    split: str = "train",
    seed: int = 0,
    size: tuple[int, int] = (32, 32),
    directions: int = 8,
    speeds: tuple[float, ...] = (0.5,),
    n_frames: int = 60,
    selectivity: float = 1.0,
    exponent: float = 1.0,
    orientation: str = "isotropic",
    bandwidth: float = 15.0,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return recordings of random textures that drift in one direction.

    Parameters
    ----------
    n : int, default 400
        Recordings; recording i is of class i modulo the number of classes.
    split : "train", "validation" or "test", default "train"
        Other textures.
    seed : int, default 0
    size : tuple of 2 int, default (32, 32)
        Width and height [pixels]; the texture repeats itself beyond.
    directions : int, default 8
        Evenly spaced directions of motion; 0 is to the right, 90 degrees is down.
    speeds : tuple of float, default (0.5,)
        [pixels/ms]. The class is direction + directions * (index of the speed).
    n_frames : int, default 60
        Changes of frame, one a ms: events are at 1000, 2000, ..., 1000*n_frames us.
    selectivity : float, default 1.0
        Threshold of an event in standard deviations of the change from frame to frame.
    exponent : float, default 1.0
        The amplitude falls with spatial frequency as f^-exponent: 0 is white noise, 1 like natural
        images.
    orientation : "isotropic", "perpendicular" or "random", default "isotropic"
        Whether the texture has a preferred orientation: bars perpendicular to the motion, or of
        random orientation, whose motion along themselves cannot be seen (aperture problem).
    bandwidth : float, default 15.0
        Standard deviation of orientations about the preferred one [degrees].
    transform, target_transform : callable, optional
        Applied to events and target.

    Returns
    -------
    dataset : Generated

    Raises
    ------
    ParameterError
        If a setting is impossible.

    Notes
    -----
    The stimuli of Grimaldi & Perrinet (2023), Biological Cybernetics 117:373, with random textures
    in place of photographs; their 36 motions are ``directions=12, speeds=(0.25, 0.397, 0.63)``.
    """
    name = "moving_texture"
    check_motion(name, size, directions, speeds)
    need_whole(name, n_frames=n_frames)
    need_positive(name, selectivity=selectivity, bandwidth=bandwidth)
    if orientation not in ("isotropic", "perpendicular", "random"):
        raise ParameterError(
            f"{name}: orientation = {orientation!r}: 'isotropic', 'perpendicular' or 'random' is "
            "expected."
        )
    if not np.isfinite(exponent):
        raise ParameterError(f"{name}: exponent = {exponent!r} must be finite.")
    recipe = MovingTexture(
        size=(size[0], size[1]), directions=directions, speeds=tuple(speeds), n_frames=n_frames,
        selectivity=selectivity, exponent=exponent, orientation=orientation,
        bandwidth=float(np.deg2rad(bandwidth)),
    )  # fmt: skip
    return Generated(
        name, recipe, n, seed=seed, split=split,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip
