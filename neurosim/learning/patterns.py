"""Many short spike patterns on the same afferents, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError
from neurosim.random import stream_key
from neurosim.results._arrays import FloatArray, IntArray
from neurosim.results.spike_trains import SpikeTrains


@dataclass(frozen=True)
class SpikePatterns:
    """Spike patterns of equal duration, each sorted by time.

    Attributes
    ----------
    times : (n_spikes,) float64
        Times within the pattern [ms], from 0 to the duration.
    ids : (n_spikes,) int64
        The afferent of each spike.
    start : (n_patterns + 1,) int64
        Pattern p has the spikes ``start[p]`` to ``start[p + 1]``.
    n : int
        Afferents.
    duration : float
        Of every pattern [ms].

    Raises
    ------
    ParameterError
        If a time lies outside the pattern or an id is not one of the afferents.

    Examples
    --------
    >>> patterns = SpikePatterns.from_latencies([[3.0, 1.0], [np.nan, 4.0]], 5.0)
    >>> patterns[0], patterns[1]
    ((array([1., 3.]), array([1, 0])), (array([4.]), array([1])))
    """

    times: FloatArray
    ids: IntArray
    start: IntArray
    n: int
    duration: float

    def __post_init__(self) -> None:
        if self.n < 1 or not (np.isfinite(self.duration) and self.duration > 0):
            raise ParameterError(
                f"SpikePatterns: n = {self.n} afferents and duration = {self.duration} ms: both "
                "must be finite and > 0."
            )
        wrong = ~((self.times >= 0) & (self.times <= self.duration))
        if wrong.any():
            raise ParameterError(
                f"SpikePatterns: a spike at {self.times[wrong][0]} ms lies outside of the pattern, "
                f"0 to {self.duration} ms."
            )
        unknown = (self.ids < 0) | (self.ids >= self.n)
        if unknown.any():
            raise ParameterError(
                f"SpikePatterns: a spike of afferent {self.ids[unknown][0]}, but there are "
                f"{self.n} (0 to {self.n - 1})."
            )

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, pattern: int) -> tuple[FloatArray, IntArray]:
        """Return times and ids of one pattern."""
        if not -len(self) <= pattern < len(self):
            raise IndexError(f"pattern {pattern} of {len(self)}")
        own = slice(self.start[pattern % len(self)], self.start[pattern % len(self) + 1])
        return self.times[own], self.ids[own]

    @classmethod
    def from_arrays(
        cls, patterns: Sequence[tuple[ArrayLike, ArrayLike]], n: int, duration: float
    ) -> SpikePatterns:
        """Return the patterns given as times [ms] and ids, each in any order."""
        times, ids = [], []
        for when, who in patterns:
            t, i = np.asarray(when, np.float64), np.asarray(who, np.int64)
            if t.shape != i.shape or t.ndim != 1:
                raise ParameterError(
                    f"SpikePatterns: times of shape {t.shape} and ids of shape {i.shape}; every "
                    "spike has one of each."
                )
            order = np.lexsort((i, t))
            times.append(t[order])
            ids.append(i[order])
        start = np.cumsum([0, *map(len, times)], dtype=np.int64)
        if not times:
            return cls(np.empty(0), np.empty(0, np.int64), start, n, float(duration))
        return cls(np.concatenate(times), np.concatenate(ids), start, n, float(duration))

    @classmethod
    def from_latencies(cls, latencies: ArrayLike, duration: float) -> SpikePatterns:
        """Return patterns with at most one spike an afferent.

        Parameters
        ----------
        latencies : (n_patterns, n) array_like
            Spike times [ms]; NaN where an afferent is silent.
        duration : float
            [ms].
        """
        table = np.asarray(latencies, np.float64)
        if table.ndim != 2:
            raise ParameterError(
                f"SpikePatterns.from_latencies: latencies have shape {table.shape}: (n_patterns, n)"
                " is expected."
            )
        fires = ~np.isnan(table)
        found = [(row[own], np.flatnonzero(own)) for row, own in zip(table, fires, strict=True)]
        return cls.from_arrays(found, table.shape[1], duration)

    @classmethod
    def from_trains(cls, recordings: Sequence[SpikeTrains]) -> SpikePatterns:
        """Return recordings of one population, of equal duration; times count from t_start."""
        sizes = {(trains.n, trains.duration) for trains in recordings}
        if len(sizes) != 1:
            raise ParameterError(
                f"SpikePatterns.from_trains: recordings of (neurons, ms) {sorted(sizes)}; all must "
                "be alike, and there must be at least one."
            )
        ((n, duration),) = sizes
        found = [(r.times - r.t_start, r.positions(r.ids)) for r in recordings]
        return cls.from_arrays(found, n, duration)

    @classmethod
    def from_events(cls, recordings: Iterable[Any], n: int, duration: float) -> SpikePatterns:
        """Return the recordings of an audio-like data set.

        Parameters
        ----------
        recordings : iterable of structured arrays
            With fields ``t`` [us] and ``x``, as of `neurosim.datasets.poisson_patterns`.
        n : int
            Channels.
        duration : float
            [ms].
        """
        return cls.from_arrays([(e["t"] * 1e-3, e["x"]) for e in recordings], n, duration)

    @classmethod
    def random_latencies(
        cls, n_patterns: int, n: int, duration: float, *, seed: int = 0
    ) -> SpikePatterns:
        """Return patterns in which every afferent spikes once, at a uniform time."""
        return cls.from_latencies(
            duration * _rng(seed, "latencies").random((n_patterns, n)), duration
        )

    @classmethod
    def random_poisson(
        cls, n_patterns: int, n: int, rate: float, duration: float, *, seed: int = 0
    ) -> SpikePatterns:
        """Return frozen pieces of Poisson trains of a `rate` [Hz]."""
        rng = _rng(seed, "poisson")
        found = []
        for _ in range(n_patterns):
            count = rng.poisson(rate * 1e-3 * duration * n)
            found.append((duration * rng.random(count), rng.integers(n, size=count)))
        return cls.from_arrays(found, n, duration)

    def jittered(self, width: float, *, seed: int = 0) -> SpikePatterns:
        """Return the patterns with normal jitter [ms] of every spike, kept inside by reflection."""
        moved = self.times + width * _rng(seed, "jitter").standard_normal(len(self.times))
        moved = np.abs(moved) % (2 * self.duration)
        moved = np.where(moved > self.duration, 2 * self.duration - moved, moved)
        pieces = [slice(*edge) for edge in zip(self.start[:-1], self.start[1:], strict=True)]
        return self.from_arrays([(moved[p], self.ids[p]) for p in pieces], self.n, self.duration)


def _rng(seed: int, purpose: str) -> np.random.Generator:
    low, high = stream_key(seed, "SpikePatterns", purpose)
    return np.random.Generator(np.random.Philox(key=low | high << 32))
