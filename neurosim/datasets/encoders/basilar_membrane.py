"""How the basilar membrane of the inner ear moves: a shallow-water model in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from neurosim.datasets.transforms.base import need_positive, need_whole
from neurosim.errors import ParameterError

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

# Beyond its place of resonance a wave decays as exp(-Im G); what is below exp(-30) = 1e-13 of the
# wave at the base is left out.
NEGLIGIBLE_DECAY = 30.0
# Lengths of the Fourier transform. A sound that does not fit the longest is cut into pieces.
TRANSFORMS_S = (0.5, 1.0)
# A sound may move a place this long before it begins (see `BasilarMembrane`); silence of this
# length keeps the periodic transform from folding that onto its end.
SILENCE_S = 0.2
# Pieces overlap and fade into each other: a cut would be heard as a click.
FADE_S = 0.02
BLOCK = 32


@dataclass(frozen=True, kw_only=True)
class BasilarMembrane:
    """Velocity of evenly spaced places of the membrane, driven by a sound.

    With x the distance from the base [cm] and w the angular frequency: stiffness S(x) = S0
    exp(-alpha x) - a, damping R(x) = R0 exp(-alpha x/2), R0 = delta sqrt(S0 m), impedance xi = S -
    m w^2 - i w R, wave number g = w sqrt(rho/(h xi)). The WKB pressure is p = sqrt(G/g) H0(G), H0
    the Hankel function of the first kind, with the phase G(x) = 2 g(0)/alpha + (integral of g from
    0 to x). The velocity is v = 2 w/xi * p(x)/p(0) * Z(w), with Z = sqrt(2 S0/h) (i J0(u) +
    Y0(u))/(J1(u) - i Y1(u)) and u = (2 w/alpha) sqrt(2/(h S0)).

    Parameters
    ----------
    channels : int, default 700
        Places, from the base (high frequencies, channel 0) to the apex.
    length : float, default 3.5
        Position of the last place [cm].
    S0, alpha, a : float
        Stiffness: 1e9, 3 (1/cm), 3500.
    rho, h, m, delta : float
        Density of the fluid 1, height of the duct 0.1 [cm], mass 0.05, damping 0.15.

    Notes
    -----
    Sieroka, Dosch & Rupp (2006), J. Acoust. Soc. Am. 120:297; parameters of Cramer et al. (2020),
    IEEE TNNLS 33:2744. In this form, which made Spiking Heidelberg Digits, a place moves *before*
    the sound that moves it, by up to 19 ms at the apex: the wave travels as exp(-i w t), the
    transform as exp(+i w t). The responses are computed at the first sound and kept: about 90 MB
    for 700 channels and sounds of up to 0.3 s, twice that for longer ones.

    Raises
    ------
    ParameterError
        If a parameter is not above 0.
    """

    channels: int = 700
    length: float = 3.5
    S0: float = 1e9
    alpha: float = 3.0
    a: float = 3500.0
    rho: float = 1.0
    h: float = 0.1
    m: float = 0.05
    delta: float = 0.15

    def __post_init__(self) -> None:
        need_whole(self, channels=self.channels)
        need_positive(self, **{name: v for name, v in vars(self).items() if name != "channels"})

    @property
    def places(self) -> FloatArray:
        """Distances of the channels from the base [cm]."""
        return np.linspace(0.0, self.length, self.channels)

    def impedance(self, omega: FloatArray, x: float) -> ComplexArray:
        """Return xi(w, x)."""
        stiffness = self.S0 * np.exp(-self.alpha * x) - self.a
        damping = float(self._damping * np.exp(-self.alpha * x / 2.0))
        return np.asarray(stiffness - self.m * omega**2 - 1j * omega * damping, np.complex128)

    def wave_number(self, omega: FloatArray, x: float) -> ComplexArray:
        """Return g(w, x)."""
        wave = omega * np.sqrt(self.rho / (self.h * self.impedance(omega, x)))
        return np.asarray(wave, np.complex128)

    def phase(self, omega: FloatArray, x: float) -> ComplexArray:
        """Return G(w, x).

        With s = exp(alpha x/2) and c = a + m w^2 the integral of g is (2 w/alpha) sqrt(rho/h) times
        that of ds/sqrt(S0 - i w R0 s - c s^2), whose antiderivative is asin(A(s))/sqrt(c) with
        A(s) = (2 c s + i w R0)/sqrt(4 c S0 - w^2 R0^2). The imaginary part of A is positive, so
        that no branch cut is met on the way.
        """
        c = self.a + self.m * omega**2
        loss = omega * self._damping
        root = np.sqrt(4.0 * c * self.S0 - loss**2)
        end = np.arcsin((2.0 * c * np.exp(self.alpha * x / 2.0) + 1j * loss) / root)
        begin = np.arcsin((2.0 * c + 1j * loss) / root)
        factor = 2.0 * omega / self.alpha * np.sqrt(self.rho / self.h) / np.sqrt(c)
        start = 2.0 * self.wave_number(omega, 0.0) / self.alpha
        return np.asarray(start + factor * (end - begin), np.complex128)

    def response(self, omega: FloatArray, x: float) -> ComplexArray:
        """Return v(w, x) up to the highest frequency at which it is not negligible.

        Parameters
        ----------
        omega : (n,) float64
            Angular frequencies [1/s], increasing and above 0.
        x : float
            Place [cm].

        Returns
        -------
        response : (at most n,) complex128
        """
        return self._response(omega, x, self._entrance(omega))

    def _entrance(self, omega: FloatArray) -> ComplexArray:
        """Return what the response of all places shares: Z(w)/p(w, 0)."""
        u = 2.0 * omega / self.alpha * np.sqrt(2.0 / (self.h * self.S0))
        drive = np.sqrt(2.0 * self.S0 / self.h) * (1j * special.j0(u) + special.y0(u))
        drive = drive / (special.j1(u) - 1j * special.y1(u))
        ratio: ComplexArray = drive / self._pressure(omega, self.phase(omega, 0.0), 0.0)
        return ratio

    def _pressure(self, omega: FloatArray, phase: ComplexArray, x: float) -> ComplexArray:
        root = np.sqrt(phase / self.wave_number(omega, x))
        pressure: ComplexArray = root * special.hankel1(0, phase)
        return pressure

    def _response(self, omega: FloatArray, x: float, entrance: ComplexArray) -> ComplexArray:
        phase = self.phase(omega, x)
        alive = np.flatnonzero(phase.imag - self.phase(omega, 0.0).imag < NEGLIGIBLE_DECAY)
        cut = slice(0, int(alive[-1]) + 1)
        omega, phase = omega[cut], phase[cut]
        pressure = self._pressure(omega, phase, x)
        velocity: ComplexArray = 2.0 * omega / self.impedance(omega, x) * pressure * entrance[cut]
        return velocity

    def blocks(self, sound: FloatArray, rate: float) -> Iterator[tuple[int, FloatArray]]:
        """Yield (first channel, velocities) for a few channels at a time.

        Parameters
        ----------
        sound : (n,) float64
            Samples of the sound.
        rate : float
            Samples a second; the velocities have half of it.

        Yields
        ------
        first : int
        velocity : (at most 32, n // 2) float64

        Notes
        -----
        Only the positive frequencies are transformed back, and the real part is kept: half the
        bins, therefore half the rate. The grid of frequencies begins at 1 Hz, since the response
        is singular at 0, and ends at rate/2: as in the published code, times are stretched by one
        sample over a transform. Sounds above 0.8 s are cut into pieces whose responses are added.
        """
        if sound.ndim != 1:
            raise ParameterError(f"BasilarMembrane: a sound of shape {sound.shape} is not (n,).")
        silence = round(SILENCE_S * rate)
        lengths = [round(seconds * rate) for seconds in TRANSFORMS_S]
        length = next((n for n in lengths if n >= sound.size + silence), lengths[-1])
        n_bins = int(fft.next_fast_len(length // 2 + 1))
        spectra = [
            (start // 2, fft.fft(piece, 2 * (n_bins - 1))[:n_bins])
            for start, piece in _pieces(
                sound, 2 * (n_bins - 1) - silence, 2 * round(FADE_S * rate / 2)
            )
        ]
        responses = _responses(self, n_bins, rate)
        for first in range(0, self.channels, BLOCK):
            chosen = responses[first : first + BLOCK]
            velocity = np.zeros((len(chosen), sound.size // 2))
            for start, spectrum in spectra:
                _add(velocity, _waves(chosen, spectrum), start, silence // 2)
            yield first, velocity

    def velocity(self, sound: FloatArray, rate: float) -> FloatArray:
        """Return the (channels, n // 2) velocities of all places; see `blocks`."""
        return np.concatenate([wave for _, wave in self.blocks(sound, rate)])

    @property
    def _damping(self) -> float:
        return float(self.delta * np.sqrt(self.S0 * self.m))


def _pieces(sound: FloatArray, length: int, fade: int) -> Iterator[tuple[int, FloatArray]]:
    """Yield (start, piece) of a sound: the pieces overlap by `fade`, even, and add up to it."""
    rise = np.sin(np.pi / 2.0 * (np.arange(fade) + 0.5) / fade) ** 2
    hop = (length - fade) // 2 * 2
    for start in range(0, max(sound.size - fade, min(sound.size, 1)), hop):
        piece = sound[start : start + hop + fade].copy()
        if start:
            piece[:fade] *= rise
        if start + hop + fade < sound.size:
            piece[-fade:] *= rise[::-1]
        yield start, piece


def _waves(responses: tuple[ComplexArray, ...], spectrum: ComplexArray) -> FloatArray:
    """Return the (places, n_bins) velocities for one piece of sound."""
    product = np.zeros((len(responses), spectrum.size), np.complex128)
    for row, response in zip(product, responses, strict=True):
        row[: response.size] = response * spectrum[: response.size]
    waves: FloatArray = fft.ifft(product, axis=1, overwrite_x=True).real
    return waves


def _add(velocity: FloatArray, waves: FloatArray, start: int, before: int) -> None:
    """Add the waves of the piece that begins at `start`; their last `before` samples precede it."""
    after = waves[:, : waves.shape[1] - before]
    end = min(start + after.shape[1], velocity.shape[1])
    velocity[:, start:end] += after[:, : end - start]
    early = min(before, start)
    if early:
        velocity[:, start - early : start] += waves[:, -early:]


@lru_cache(maxsize=len(TRANSFORMS_S))
def _responses(membrane: BasilarMembrane, n_bins: int, rate: float) -> tuple[ComplexArray, ...]:
    """Return the response of every channel at the frequencies of a transform."""
    omega = 2.0 * np.pi * np.linspace(1.0, rate / 2.0, n_bins)
    entrance = membrane._entrance(omega)
    return tuple(membrane._response(omega, float(x), entrance) for x in membrane.places)
