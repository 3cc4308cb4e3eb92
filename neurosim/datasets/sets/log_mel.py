"""Sound as the logarithm of a mel spectrogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """Logarithm of the power in bands of equal width on the mel scale.

    Frames are centred on the samples 0, hop, 2 hop, ... (the sound is mirrored at its ends),
    windowed (Hann, periodic) and Fourier-transformed; the power is summed with triangular weights
    whose corners lie at equal distances on the mel scale, 2595 log10(1 + f / 700 Hz), and given in
    dB (10 log10, at least 1e-10).

    Parameters
    ----------
    rate : int, default 8000
        Samples a second of the sound that is analysed [Hz].
    n_fft : int, default 256
        Samples of a frame.
    hop : int, default 80
        Samples between frames; 80 are 10 ms.
    n_mels : int, default 140
        Bands.
    f_min, f_max : float, default 50.0 and 14000.0
        Lower corner of the first band and upper corner of the last [Hz].

    Raises
    ------
    ParameterError
        If a setting is not above 0 or f_min >= f_max.

    Notes
    -----
    The defaults are those of the Speech Commands experiment with learned delays (Hammouamri,
    Khalfaoui-Hassani, Masquelier 2024, arXiv:2306.17670). Two facts of theirs: at 8,000 samples a
    second nothing is above 4 kHz, and the lowest bands are narrower than the 31 Hz between the
    frequencies of the transform; so bands without any frequency stay at -100 dB
    (`silent_bands`). n_mels=40, f_max=4000 has none.

    Examples
    --------
    >>> LogMel()(np.zeros(8000)).shape
    (101, 140)
    """

    rate: int = 8000
    n_fft: int = 256
    hop: int = 80
    n_mels: int = 140
    f_min: float = 50.0
    f_max: float = 14000.0

    def __post_init__(self) -> None:
        for name in ("rate", "n_fft", "hop", "n_mels"):
            value = getattr(self, name)
            if value != int(value) or value < 1:
                raise ParameterError(f"LogMel: {name} = {value!r} must be a whole number above 0.")
        if not 0.0 <= self.f_min < self.f_max < math.inf:
            raise ParameterError(
                f"LogMel: f_min = {self.f_min!r}, f_max = {self.f_max!r}: 0 <= f_min < f_max is "
                "needed."
            )

    @property
    def dt(self) -> float:
        """Time between frames [ms]."""
        return 1000.0 * self.hop / self.rate

    def silent_bands(self) -> NDArray[np.int64]:
        """Return the indices of bands that contain no frequency of the transform."""
        return np.flatnonzero(_bands(self).sum(axis=1) == 0.0)

    def __call__(self, sound: ArrayLike) -> NDArray[np.float32]:
        """Return the spectrogram of a sound.

        Parameters
        ----------
        sound : (n,) array_like
            Samples at `rate`, n > n_fft / 2.

        Returns
        -------
        spectrogram : (n // hop + 1, n_mels) float32
            [dB]

        Raises
        ------
        ParameterError
            If the sound is too short or not of one dimension.
        """
        samples = np.asarray(sound, np.float64)
        if samples.ndim != 1 or samples.size <= self.n_fft // 2:
            raise ParameterError(
                f"LogMel: a sound of shape {samples.shape} is too short or has several channels: "
                f"more than {self.n_fft // 2} samples in one dimension are needed."
            )
        padded = np.pad(samples, self.n_fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop]
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(self.n_fft) / self.n_fft)
        power = np.abs(np.fft.rfft(frames * window)) ** 2
        decibel = 10.0 * np.log10(np.maximum(power @ _bands(self).T, 1e-10))
        return decibel.astype(np.float32)


@lru_cache(maxsize=8)
def _bands(setting: LogMel) -> NDArray[np.float64]:
    """Return the weights of the frequencies in the bands, (n_mels, n_fft // 2 + 1)."""
    frequency = np.arange(setting.n_fft // 2 + 1) * setting.rate / setting.n_fft
    mel = np.linspace(_mel(setting.f_min), _mel(setting.f_max), setting.n_mels + 2)
    corner = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    low, centre, high = corner[:-2, None], corner[1:-1, None], corner[2:, None]
    rising = (frequency - low) / (centre - low)
    falling = (high - frequency) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _mel(frequency: float) -> float:
    return 2595.0 * math.log10(1.0 + frequency / 700.0)
