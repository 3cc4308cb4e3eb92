"""From sound to spikes: the inner-ear model behind Spiking Heidelberg Digits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from neurosim.datasets.encoders.basilar_membrane import BasilarMembrane
from neurosim.datasets.encoders.kernels import fibres, integrate_and_fire, transmitter
from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.transforms.base import generator, need_positive, need_whole
from neurosim.errors import ParameterError

FloatArray = NDArray[np.float64]

SOUND_RATE = 48_000  # Hz; the rate of the recordings for which the model was made
STEP_RATE = SOUND_RATE // 2  # what `BasilarMembrane` returns


@dataclass(frozen=True, kw_only=True)
class HairCell:
    """Transmitter pools that turn the velocity s of the membrane into spike probabilities.

    Release k = g (s + A)/(s + A + B) if s + A > 0, else 0. Free transmitter dq = y (M - q) + x w -
    k q (the first term only if q < M), cleft dc = k q - (l + r) c, store dw = r c - x w; Euler
    steps, pools never below 0. The probability of a spike in a step is h c dt. It starts in the
    steady state of silence.

    Parameters
    ----------
    y, g, l, r, x, A, B, h, M : float
        5.05, 2000, 2500, 6580, 66.3 [1/s], 5, 300, 50000 [1/s], 1.

    Notes
    -----
    Meddis (1986), J. Acoust. Soc. Am. 79:702, and (1988) 83:1056.

    Raises
    ------
    ParameterError
        If a parameter is not above 0.
    """

    y: float = 5.05
    g: float = 2000.0
    l: float = 2500.0  # noqa: E741
    r: float = 6580.0
    x: float = 66.3
    A: float = 5.0
    B: float = 300.0
    h: float = 50_000.0
    M: float = 1.0

    def __post_init__(self) -> None:
        need_positive(self, **vars(self))

    def probability(self, velocity: FloatArray, rate: float = STEP_RATE) -> FloatArray:
        """Return the spike probability of every step, (channels, T), for velocities like it."""
        out = np.empty_like(velocity)
        for channel, row in zip(velocity, out, strict=True):
            transmitter(channel, float(rate), *(float(v) for v in vars(self).values()), row)
        return out

    def spontaneous(self, rate: float = STEP_RATE) -> float:
        """Return the spike probability of a step in silence."""
        k = self.g * self.A / (self.A + self.B)
        cleft = self.M * self.y * k / (self.l * k + self.y * (self.l + self.r))
        return self.h * cleft / rate


@dataclass(frozen=True, kw_only=True)
class BushyCell:
    """Auditory-nerve fibres of one place and the neuron on which they converge.

    Every fibre spikes with the given probability in each step, unless it did within `t_ref`. The
    neuron is a leaky integrate-and-fire cell with an exponentially decaying synaptic current, both
    in units of the threshold.

    Parameters
    ----------
    n_fibres : int, default 40
        Fibres a channel.
    tau_m, tau_syn : float, default 1.0 and 0.5
        Time constants of membrane and current [ms].
    t_ref : float, default 1.0
        Refractory time of fibres and neuron [ms].
    weight : float, default 13000.0
        Charge of one spike of all fibres together [threshold/s]: each adds weight/n_fibres to the
        current, which moves the membrane by current*dt a step.

    Raises
    ------
    ParameterError
        If a parameter is not above 0.
    """

    n_fibres: int = 40
    tau_m: float = 1.0
    tau_syn: float = 0.5
    t_ref: float = 1.0
    weight: float = 13_000.0

    def __post_init__(self) -> None:
        need_whole(self, n_fibres=self.n_fibres)
        need_positive(self, **vars(self))

    def arrivals(
        self, probability: FloatArray, rng: np.random.Generator, rate: float = STEP_RATE
    ) -> FloatArray:
        """Return the fibre spikes of every step, (T,), for the (T,) probabilities of a channel."""
        counts = np.zeros(probability.size)
        hazard = np.empty(probability.size + 1)
        fibres(probability, self.n_fibres, self._dead_steps(rate), rng, hazard, counts)
        return counts

    def spikes(self, arrivals: FloatArray, rate: float = STEP_RATE) -> NDArray[np.int64]:
        """Return the steps in which the neuron spikes, for the (T,) fibre spikes it receives."""
        out = np.empty(arrivals.size, np.int64)
        dt_ms = 1000.0 / rate
        jump = self.weight / self.n_fibres / rate
        keep_current, keep_voltage = math.exp(-dt_ms / self.tau_syn), math.exp(-dt_ms / self.tau_m)
        dead = self._dead_steps(rate)
        return out[: integrate_and_fire(arrivals, jump, keep_current, keep_voltage, dead, out)]

    def _dead_steps(self, rate: float) -> int:
        return max(1, math.ceil(self.t_ref * rate / 1000.0 - 1e-9))


@dataclass(frozen=True, kw_only=True)
class Cochlea:
    """Sound to the spikes of the bushy cells of a cochlea.

    Sound at 48 kHz, its root mean square set to `level` and its ends ramped, moves the
    `BasilarMembrane`; at each place a `HairCell` drives fibres and a `BushyCell`, in steps of
    1/24000 s.

    Parameters
    ----------
    channels : int, default 700
        Places; channel 0 is the base (high frequencies).
    level : float, default 0.3
        Root mean square of the sound. A sound of zeros stays silent.
    ramp : float, default 30.0
        Length of the half-Hann ramps at both ends [ms]; 0 for none.
    hair_cell, bushy_cell : optional
        Their parameters.
    seed : int, default 0
        Used when no ``rng`` is passed.

    Attributes
    ----------
    sensor_size : tuple of 3 int
        ``(channels, 1, 1)``.

    Notes
    -----
    Cramer, Stradmann, Schemmel & Zenke (2020), IEEE TNNLS 33:2744. On one core at 2.8 GHz about as
    long as the sound lasts at 700 channels; the first sound of a length also computes the response
    of the membrane, some seconds.

    Raises
    ------
    ParameterError
        If a setting is impossible, the sound is not (n,) finite samples, or shorter than 2 ramps.

    Examples
    --------
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(1600) / 16000)
    >>> spikes = Cochlea(channels=10)(tone, 16000)
    >>> spikes.dtype.names
    ('t', 'x', 'p')
    """

    channels: int = 700
    level: float = 0.3
    ramp: float = 30.0
    hair_cell: HairCell = field(default_factory=HairCell)
    bushy_cell: BushyCell = field(default_factory=BushyCell)
    seed: int = 0

    def __post_init__(self) -> None:
        need_whole(self, channels=self.channels)
        need_positive(self, level=self.level)
        if not (np.isfinite(self.ramp) and self.ramp >= 0):
            raise ParameterError(f"Cochlea: ramp = {self.ramp!r} ms must be at least 0.")

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Channels, 1 and 1."""
        return self.channels, 1, 1

    @property
    def membrane(self) -> BasilarMembrane:
        """The basilar membrane with this number of places."""
        return BasilarMembrane(channels=self.channels)

    def sound(self, audio: ArrayLike, rate: float) -> FloatArray:
        """Return the sound that enters the ear: at 48 kHz, scaled and ramped.

        Parameters
        ----------
        audio : (n,) array_like
            Samples, of any scale.
        rate : float
            Samples a second; a whole number.
        """
        samples = np.asarray(audio, dtype=np.float64)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise ParameterError(
                f"Cochlea: audio of shape {samples.shape} must be (n,) finite samples of one "
                "channel: take the mean of stereo channels first."
            )
        need_whole(self, rate=rate)
        if samples.size:
            common = math.gcd(SOUND_RATE, int(rate))
            samples = signal.resample_poly(samples, SOUND_RATE // common, int(rate) // common)
        ramp = round(self.ramp * SOUND_RATE / 1000.0)
        if samples.size < 2 * ramp:
            raise ParameterError(
                f"Cochlea: the sound lasts {1000.0 * samples.size / SOUND_RATE:.4g} ms, shorter "
                f"than its two ramps of {self.ramp} ms: give a longer sound or a smaller ramp."
            )
        power = math.sqrt(np.mean(samples**2)) if samples.size else 0.0
        samples = samples * (self.level / power if power > 0.0 else 1.0)
        window = np.hanning(2 * ramp)[:ramp]
        samples[:ramp] *= window
        samples[samples.size - ramp :] *= window[::-1]
        return samples

    def __call__(
        self, audio: ArrayLike, rate: float, rng: np.random.Generator | None = None
    ) -> Events:
        """Return the spikes of a sound.

        Parameters
        ----------
        audio : (n,) array_like
            Samples of one channel, of any scale.
        rate : float
            Samples a second.
        rng : numpy.random.Generator, optional
            Source of the fibres' randomness.

        Returns
        -------
        events : structured array, fields t [us], x (channel), p (1)
            Ordered by time, then channel.
        """
        sound = self.sound(audio, rate)
        rng = generator(self, sound, self.seed, rng)
        steps, channels = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for first, velocity in self.membrane.blocks(sound, SOUND_RATE):
            for channel, row in enumerate(self.hair_cell.probability(velocity), first):
                spikes = self.bushy_cell.spikes(self.bushy_cell.arrivals(row, rng))
                steps.append(spikes)
                channels.append(np.full(spikes.size, channel))
        step, channel_of = np.concatenate(steps), np.concatenate(channels)
        order = np.lexsort((channel_of, step))
        t = np.rint(step[order] * (1e6 / STEP_RATE)).astype(np.int64)
        return make_events(t=t, x=channel_of[order])
