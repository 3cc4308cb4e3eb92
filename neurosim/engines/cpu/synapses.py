"""The synapses of a plan, built thread by thread, and the driver's tables of them."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.engines.cpu.build import build_bundle
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.order import sort_by_delay
from neurosim.engines.cpu.partition import Partition
from neurosim.engines.cpu.storage import Layout, ThreadSynapses
from neurosim.engines.cpu.tables import as_weights
from neurosim.lower.connectivity import count_estimate, largest_projection
from neurosim.lower.memory import gib, require_memory
from neurosim.lower.plan import ConnectionPlan, Plan


@dataclass(frozen=True)
class Bundle:
    """All projections of one source population that store weights alike."""

    source: int
    connections: tuple[ConnectionPlan, ...]
    parts: tuple[ThreadSynapses, ...]


def check_memory(plan: Plan, parts: Partition, itemsize: int) -> None:
    """Raise NetworkSizeError if the network cannot fit, before anything is allocated."""
    synapses = 0.0
    for c in plan.connections:
        states = len(c.plasticity.states) if c.plasticity is not None else 0
        each = 4 if c.spec.constant else 4 + itemsize * (1 + states)
        synapses += count_estimate(c.spec)[0] * each
    neurons = sum(p.n * (len(p.model.states) + 8) for p in plan.populations if p.model) * itemsize
    rows = sum(8 * (plan.populations[c.pre].n + 1) * parts.threads for c in plan.connections)
    require_memory(
        synapses + neurons + rows,
        f"the network needs (with {gib(int(synapses))} for synapses; "
        f"{largest_projection(plan.connections)})",
        "Use precision='float32', one weight for each projection, fewer synapses, or a larger "
        "machine.",
    )


def check_ring(plan: Plan, parts: Partition, slots: int, itemsize: int) -> None:
    """Raise NetworkSizeError if the ring of input to come cannot fit."""
    require_memory(
        (slots << parts.bits) * parts.threads * itemsize,
        f"the input on its way to the neurons, up to {(slots - 1) * plan.dt:g} ms ({slots - 1} "
        "steps) long, needs",
        "Use shorter delays or a larger dt.",
    )


def build_bundles(plan: Plan, parts: Partition, dtype: Any) -> list[Bundle]:
    """Generate all synapses.

    Projections with the same source population and storage are interleaved row by row, so that a
    spike reads one stretch of memory.
    """
    groups: dict[tuple[int, Any], list[ConnectionPlan]] = {}
    for c in plan.connections:
        alone = c.name if c.plasticity is not None else None  # its rows are treated apart
        groups.setdefault((c.pre, alone or c.spec.constant), []).append(c)
    layout = Layout(
        bounds=parts.bounds,
        chan_base=[
            [
                [int(parts.channels[t, p.index] + r * parts.padded[t, p.index])
                 for r in range(len(p.receptors))]
                for p in plan.populations
            ]
            for t in range(parts.threads)
        ],
        bits=parts.bits,
    )  # fmt: skip
    return [
        Bundle(
            source,
            tuple(members),
            tuple(
                build_bundle(
                    [m.spec for m in members], [m.post for m in members], layout,
                    plan.populations[source].n, parts.threads, dtype,
                )
            ),
        )
        for (source, _), members in groups.items()
    ]  # fmt: skip


def delay_range(bundles: list[Bundle], bits: int) -> tuple[int, int]:
    """Return the shortest and the longest delay in steps; without synapses the widest range."""
    parts = [part.packed for b in bundles for part in b.parts if part.packed.size]
    shortest = min((int(packed.min() >> bits) for packed in parts), default=2**31)
    return shortest, max((int(packed.max() >> bits) for packed in parts), default=1)


def order_rows(bundles: list[Bundle], bits: int, slots: int, pool: Executor) -> None:
    """Sort the synapses of every row and projection by delay (see `kernels.deliver`)."""
    none = np.zeros(0, np.float32)
    jobs = [
        pool.submit(
            sort_by_delay, part.ptr, part.packed, none if part.weight is None else part.weight,
            bits, slots,
        )
        for bundle in bundles
        for part in bundle.parts
        if part.packed.size
    ]  # fmt: skip
    for job in jobs:
        job.result()


def synapse_tables(bundles: list[Bundle], thread: int, dtype: Any) -> tuple[np.ndarray, ...]:
    """Return a thread's tables of bundles and segments, and the constant weights of segments."""
    rows: list[np.ndarray] = []
    segments: list[list[int]] = []
    constants: list[float] = []
    for bundle in bundles:
        part = bundle.parts[thread]
        row = np.zeros(L.B_COLUMNS, np.int64)
        row[L.B_SOURCE], row[L.B_SEGMENTS] = bundle.source, len(bundle.connections)
        row[L.B_POINTERS], row[L.B_PACKED] = part.ptr.ctypes.data, part.packed.ctypes.data
        row[L.B_WEIGHTS] = 0 if part.weight is None else part.weight.ctypes.data
        row[L.B_FIRST] = len(segments)
        weights = {c.spec.constant_weight for c in bundle.connections if c.spec.constant}
        row[L.B_UNIFORM] = len(weights) == 1
        rows.append(row)
        for c in bundle.connections:
            segments.append([c.post, 0, 0])
            constants.append(c.spec.constant_weight if c.spec.constant else 0.0)
    return (
        np.array(rows, np.int64).reshape(len(rows), L.B_COLUMNS),
        np.array(segments, np.int64).reshape(len(segments), L.S_COLUMNS),
        as_weights(constants, dtype),
    )
