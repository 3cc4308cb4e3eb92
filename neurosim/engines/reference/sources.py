"""Input from outside, in NumPy: the same draws as `neurosim.engines.cpu.kernels.drive`."""

from __future__ import annotations

import numpy as np

from neurosim.lower.poisson import DENSE_BLOCK, PoissonProcess
from neurosim.random import philox, uniform


def poisson_counts(process: PoissonProcess, step: int) -> np.ndarray:
    """Return the number of events of every member of a process in a step."""
    low, high = step & 0xFFFFFFFF, step >> 32
    if process.dense:
        quarter = DENSE_BLOCK // 4
        blocks = -(-process.n // DENSE_BLOCK)
        words = philox(np.arange(blocks * quarter), low, high, 0, *process.key)
        # word j of counter i of a block belongs to its member j * 128 + i
        word = np.stack([w.reshape(blocks, quarter) for w in words], axis=1).ravel()[: process.n]
        dense: np.ndarray = (word[:, None] > process.cdf[None, :]).sum(axis=1)
        return dense
    counts = np.zeros(process.n, np.int64)
    factor = _rate_factor(process, step)
    for block in range(-(-process.n // process.block)):
        word = philox(block, low, high, 0, *process.key)[0]
        n_events = int((word > process.cdf).sum())
        if factor == 0.0 or not n_events:
            continue
        event = np.arange(1, n_events + 1, dtype=np.uint32)
        a, b, _, d = (w.astype(np.uint64) for w in philox(block, low, high, event, *process.key))
        size = np.uint64(process.block)
        half = np.uint64(32)
        member = (block * process.block + ((a * size + ((d * size) >> half)) >> half)).astype(
            np.int64
        )
        keep = np.full(n_events, factor)
        inside = member < process.n
        if process.accept is not None:
            keep *= process.accept[np.minimum(member, process.n - 1)]
        np.add.at(counts, member[inside & (uniform(b.astype(np.uint32)) < keep)], 1)
    return counts


def _rate_factor(process: PoissonProcess, step: int) -> float:
    if not process.changes.size:
        return 1.0
    k = int(np.searchsorted(process.changes, step, side="right")) - 1
    return float(process.factors[k]) if k >= 0 else 0.0


def given_counts(steps: np.ndarray, ids: np.ndarray, step: int) -> np.ndarray:
    """Return the ids of a source's given spikes in a step, ascending."""
    first, last = np.searchsorted(steps, [step, step + 1])
    return np.sort(ids[first:last])
