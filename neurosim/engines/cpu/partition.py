"""Which thread owns which neurons, and where their input lies in its ring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.engines.cpu.kernels import layout as L
from neurosim.lower.plan import Plan


@dataclass(frozen=True)
class Partition:
    """Ownership of neurons and channels.

    Attributes
    ----------
    threads : int
    bounds : tuple of (threads + 1,) int64
        Thread t owns neurons bounds[p][t] <= i < bounds[p][t + 1] of population p.
    channels : (threads, n_populations) int64
        First channel of each population on each thread; receptor r follows after r times the
        padded number of neurons.
    padded : (threads, n_populations) int64
        Neurons on each thread, padded to whole vectors.
    bits : int
        A thread has at most 2**bits channels.
    """

    threads: int
    bounds: tuple[np.ndarray, ...]
    channels: np.ndarray
    padded: np.ndarray
    bits: int


def partition(plan: Plan, threads: int) -> Partition:
    """Return the partition of a plan: every population is divided evenly."""
    n_populations = len(plan.populations)
    bounds = tuple(
        np.array([p.n * t // threads for t in range(threads + 1)], dtype=np.int64)
        for p in plan.populations
    )
    channels = np.zeros((threads, n_populations), np.int64)
    padded = np.zeros((threads, n_populations), np.int64)
    widest = 1
    for t in range(threads):
        width = 0
        for p in plan.populations:
            n = int(bounds[p.index][t + 1] - bounds[p.index][t])
            padded[t, p.index] = -(-n // L.PADDING) * L.PADDING
            channels[t, p.index] = width
            width += int(padded[t, p.index]) * len(p.receptors)
        widest = max(widest, width)
    return Partition(threads, bounds, channels, padded, max(6, (widest - 1).bit_length()))
