"""All synapses of a network as rows of one table, ordered by source, delay and target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.engines.gpu.layout import Layout
from neurosim.lower.connectivity import count_estimate
from neurosim.lower.expand import expand
from neurosim.lower.memory import require_memory
from neurosim.lower.plan import Plan
from neurosim.lower.quantize import units

#: Words up to which a synapse takes 32 bits.
_NARROW = 2**32
#: Bytes that a synapse takes while it is drawn and sorted with NumPy.
_BUILD_BYTES = 240


@dataclass(frozen=True)
class Synapses:
    """Rows of synapses, one row a source.

    Attributes
    ----------
    row : (n_sources + 1,) int64
        Where rows begin.
    words : (n_synapses,) uint32 or uint64
        ``channel << delay_bits | delay``.
    weights : (n_synapses,)
        In the precision of the engine, or int32 in units of the channel's scale.
    delay_bits, n_slots : int
        Bits of a delay; slots of the ring, a power of two above the longest delay.
    scale : tuple of (n_rows,) float64
        Of each population: what one unit of each row of channels stands for.
    """

    row: np.ndarray
    words: np.ndarray
    weights: np.ndarray
    delay_bits: int
    n_slots: int
    scale: tuple[np.ndarray, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        return self.row.nbytes + self.words.nbytes + self.weights.nbytes

    def n_items(self, chunk: int) -> int:
        """Return how many work items there are if every source spikes."""
        return int((-(-np.diff(self.row) // chunk)).sum())


def build_synapses(plan: Plan, layout: Layout, real: np.dtype, deterministic: bool) -> Synapses:
    """Return the synapses of a network.

    Raises
    ------
    NetworkSizeError
        If they do not fit into the memory of the host.
    """
    require_memory(
        _BUILD_BYTES * sum(count_estimate(c.spec)[0] for c in plan.connections),
        "synapses, expanded on the host for engine 'gpu', need",
        "Use fewer synapses or engine='cpu'.",
    )
    source, channel, delay, weight, plastic = _expanded(plan, layout)
    delay_bits = max(1, int(delay.max(initial=1)).bit_length())
    scale = _scales(plan, layout, channel, weight, deterministic)
    order = np.lexsort((channel, delay, source))
    order = order[~plastic[order]]  # those have tables of their own, see plastic.py
    source, channel, delay, weight = (x[order] for x in (source, channel, delay, weight))
    row = np.searchsorted(source, np.arange(layout.n_sources + 1))
    wide = layout.n_channels << delay_bits > _NARROW
    words = (channel << delay_bits | delay).astype(np.uint64 if wide else np.uint32)
    if deterministic:
        each = np.concatenate(
            [np.repeat(s, p.n) for s, p in zip(scale, plan.populations, strict=True)]
        )
        weights = np.rint(weight / each[channel]).astype(np.int32)
    else:
        weights = weight.astype(real)
    return Synapses(row, words, weights, delay_bits, 1 << delay_bits, scale)


def _expanded(plan: Plan, layout: Layout) -> tuple[np.ndarray, ...]:
    """Return source, channel, delay and weight of every synapse, and whether it is plastic."""
    none = np.zeros(0, np.int64)
    parts: list[tuple[np.ndarray, ...]] = [(none, none, none, np.zeros(0), np.zeros(0, bool))]
    for c in plan.connections:
        e = expand(c.spec)
        first, n = layout.channel[c.post], plan.populations[c.post].n
        channel = first + e.receptor * n + e.post
        plastic = np.full(len(e), c.plasticity is not None)
        parts.append((layout.source[c.pre] + e.pre, channel, e.delay_steps, e.weight, plastic))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _scales(
    plan: Plan, layout: Layout, channel: np.ndarray, weight: np.ndarray, deterministic: bool
) -> tuple[np.ndarray, ...]:
    """Return the scales of each population: the units of its weights, else 1."""
    if not deterministic:
        return tuple(np.ones(rows) for rows in layout.rows)
    largest = []
    for p in plan.populations:
        first = layout.channel[p.index]
        most = [
            np.abs(weight[(channel >= first + r * p.n) & (channel < first + (r + 1) * p.n)])
            for r in range(layout.rows[p.index])
        ]
        largest.append(np.array([w.max(initial=0.0) for w in most]))
    return units(plan, largest)
