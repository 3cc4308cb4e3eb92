"""Frozen Poisson patterns hidden in Poisson noise, and pairs of spikes that differ in delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.generators.base import Generated, Transforming, item_rng, poisson_spikes
from neurosim.datasets.transforms.base import need_positive, need_whole
from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class HiddenPatterns:
    """Recipe of `poisson_patterns`; `patterns` holds (times, channels) for each class."""

    n_classes: int
    n_channels: int
    rate: float
    duration: int
    pattern_duration: int
    jitter: float
    noise_class: bool
    patterns: tuple[Any, ...] = field(repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """One for each pattern, and perhaps one for none."""
        names = tuple(f"pattern {c}" for c in range(self.n_classes))
        return (*names, "noise") if self.noise_class else names

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Channels, 1 and 1."""
        return self.n_channels, 1, 1

    def onset(self, rng: np.random.Generator) -> int:
        """Return the time at which the pattern begins [us]: the first draw of a recording."""
        return int(rng.integers(self.duration - self.pattern_duration + 1))

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return noise with the pattern of the class in place of a piece of it."""
        onset = self.onset(rng)
        t, x = poisson_spikes(rng, self.n_channels, self.rate, self.duration)
        if target < self.n_classes:
            times, channels = self.patterns[target]
            moved = np.rint(onset + times + self.jitter * rng.standard_normal(times.size))
            inside = (moved >= 0) & (moved < self.duration)
            noise = (t < onset) | (t >= onset + self.pattern_duration)
            t = np.concatenate([t[noise], moved[inside].astype(np.int64)])
            x = np.concatenate([x[noise], channels[inside]])
        order = np.lexsort((x, t))
        return make_events(t=t[order], x=x[order])


def poisson_patterns(
    n: int = 1000,
    *,
    split: str = "train",
    seed: int = 0,
    n_classes: int = 5,
    n_channels: int = 100,
    rate: float = 10.0,
    duration: int = 500_000,
    pattern_duration: int = 50_000,
    jitter: float = 1000.0,
    noise_class: bool = False,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return recordings of Poisson noise, each with one of a few frozen patterns inside.

    A pattern is a piece of Poisson noise of the same rate, drawn once. It replaces the noise at a
    random place of the recording, its spikes jittered. Rates are the same inside and outside, so
    neither counts nor their time course tell the class.

    Parameters
    ----------
    n : int, default 1000
        Recordings; recording i is of class i modulo the number of classes.
    split : "train", "validation" or "test", default "train"
        Other noise around the same patterns.
    seed : int, default 0
        Of patterns and noise.
    n_classes, n_channels : int, default 5 and 100
        Patterns and channels.
    rate : float, default 10.0
        Of every channel [Hz].
    duration, pattern_duration : int, default 500000 and 50000
        Length of a recording and of a pattern [us].
    jitter : float, default 1000.0
        Standard deviation of the pattern's spike times [us]; spikes that it moves out of the
        recording are dropped.
    noise_class : bool, default False
        Add a last class without any pattern.
    transform, target_transform : callable, optional
        Applied to events and target.

    Returns
    -------
    dataset : Generated
        ``dataset.recipe.patterns[c]`` has the times [us] and channels of pattern c.

    Raises
    ------
    ParameterError
        If a setting is impossible or the pattern longer than the recording.

    Notes
    -----
    In the manner of Masquelier, Guyonneau & Thorpe (2008), PLoS ONE 3:e1377.
    """
    need_whole(
        "poisson_patterns", n_classes=n_classes, n_channels=n_channels, duration=duration,
        pattern_duration=pattern_duration,
    )  # fmt: skip
    need_positive("poisson_patterns", rate=rate)
    if pattern_duration > duration or not 0 <= jitter < np.inf:
        raise ParameterError(
            f"poisson_patterns: pattern_duration = {pattern_duration} us must not exceed duration "
            f"= {duration} us, and jitter = {jitter} us must not be negative."
        )
    patterns = tuple(
        poisson_spikes(
            item_rng(seed, "poisson_patterns", "pattern", str(c)), n_channels, rate,
            pattern_duration,
        )
        for c in range(n_classes)
    )  # fmt: skip
    recipe = HiddenPatterns(
        n_classes=n_classes, n_channels=n_channels, rate=rate, duration=duration,
        pattern_duration=pattern_duration, jitter=jitter, noise_class=noise_class,
        patterns=patterns,
    )  # fmt: skip
    return Generated(
        "poisson_patterns", recipe, n, seed=seed, split=split,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DelayedPairs:
    """Recipe of `delayed_coincidence`."""

    delays: tuple[int, ...]
    n_pairs: int
    duration: int
    jitter: float
    noise_rate: float
    sensor_size = (2, 1, 1)

    @property
    def classes(self) -> tuple[str, ...]:
        """One for each delay."""
        return tuple(f"{delay} us" for delay in self.delays)

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return the pairs of a recording and noise."""
        room = max(max(self.delays), -min(self.delays), 0)
        first = rng.integers(room, self.duration - room, self.n_pairs)
        second = first + self.delays[target] + self.jitter * rng.standard_normal(self.n_pairs)
        t, x = poisson_spikes(rng, 2, self.noise_rate, self.duration)
        t = np.concatenate([first, np.rint(second).astype(np.int64), t])
        x = np.concatenate([np.repeat([0, 1], self.n_pairs), x])
        inside = (t >= 0) & (t < self.duration)
        t, x = t[inside], x[inside]
        order = np.lexsort((x, t))
        return make_events(t=t[order], x=x[order])


def delayed_coincidence(
    n: int = 1000,
    *,
    split: str = "train",
    seed: int = 0,
    delays: tuple[int, ...] = (0, 10_000),
    n_pairs: int = 5,
    duration: int = 200_000,
    jitter: float = 500.0,
    noise_rate: float = 0.0,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return recordings of two channels in which the second follows the first by a delay.

    Channel 0 spikes at `n_pairs` random times, channel 1 one delay later; which delay is the
    class. Both channels have the same counts in all classes: a neuron tells the classes apart only
    if its own delays bring the two spikes together.

    Parameters
    ----------
    n : int, default 1000
        Recordings; recording i is of class i modulo the number of delays.
    split : "train", "validation" or "test", default "train"
        Other draws.
    seed : int, default 0
    delays : tuple of int, default (0, 10000)
        From channel 0 to channel 1 [us], one a class; negative if channel 1 leads.
    n_pairs : int, default 5
        Pairs a recording.
    duration : int, default 200000
        Length [us]. Pairs begin at least the longest delay from both ends.
    jitter : float, default 500.0
        Standard deviation of the delay [us]; spikes that it moves out are dropped.
    noise_rate : float, default 0.0
        Additional Poisson spikes on each channel [Hz].
    transform, target_transform : callable, optional
        Applied to events and target.

    Returns
    -------
    dataset : Generated

    Raises
    ------
    ParameterError
        If a setting is impossible or a delay does not fit twice into the recording.
    """
    need_whole("delayed_coincidence", n_pairs=n_pairs, duration=duration)
    if not delays or 2 * max(abs(delay) for delay in delays) >= duration:
        raise ParameterError(
            f"delayed_coincidence: delays = {delays} us must be given and shorter than half the "
            f"duration, {duration} us."
        )
    if not (0 <= jitter < np.inf and 0 <= noise_rate < np.inf):
        raise ParameterError(
            f"delayed_coincidence: jitter = {jitter} us and noise_rate = {noise_rate} Hz must not "
            "be negative."
        )
    recipe = DelayedPairs(
        delays=tuple(delays), n_pairs=n_pairs, duration=duration, jitter=jitter,
        noise_rate=noise_rate,
    )  # fmt: skip
    return Generated(
        "delayed_coincidence", recipe, n, seed=seed, split=split,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip
