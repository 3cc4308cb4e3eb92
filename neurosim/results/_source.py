"""Where the spikes of a `SpikeTrains` come from: memory, or a file that is read on demand."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from neurosim.results._arrays import FloatArray, IntArray


class SpikeSource(Protocol):
    """Spikes in order of time, of which any stretch can be read."""

    n_spikes: int

    def read(self, start: int, stop: int) -> tuple[FloatArray, IntArray]:
        """Return times [ms] and ids of spikes `start` to `stop` (exclusive)."""
        ...

    def search(self, time: float) -> int:
        """Return the number of spikes at or before `time` [ms]."""
        ...


class MemorySource:
    """Spikes held in two arrays, already sorted by time, then id."""

    def __init__(self, times: FloatArray, ids: IntArray) -> None:
        self.times = times
        self.ids = ids
        self.n_spikes = len(times)

    def read(self, start: int, stop: int) -> tuple[FloatArray, IntArray]:
        """Return times [ms] and ids of spikes `start` to `stop` (exclusive)."""
        return self.times[start:stop], self.ids[start:stop]

    def search(self, time: float) -> int:
        """Return the number of spikes at or before `time` [ms]."""
        return int(np.searchsorted(self.times, time, side="right"))


def by_time(times: FloatArray, ids: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the spikes sorted by time, then id; unchanged where they already are."""
    step = np.diff(times)
    if np.all(step >= 0):
        ties = step == 0
        if not np.any(np.diff(ids)[ties] < 0):
            return times, ids
    order = np.lexsort((ids, times))
    return times[order], ids[order]
