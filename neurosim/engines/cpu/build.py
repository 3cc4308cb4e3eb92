"""Building the synapses of the CPU engine: count, prefix sum, fill, in parallel.

All projections of one source population form a bundle. Each thread holds the synapses onto its
own targets, grouped by source and then by projection. Two passes generate every synapse twice,
so that it goes straight to its place and there is never a list of edges. Lists that the user gave
(Explicit) are read through an index sorted by source.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.cpu.kernels import generate as gen
from neurosim.engines.cpu.partition import Partition
from neurosim.errors import NetworkSizeError
from neurosim.lower.connectivity import ConnectionSpec, Edges, short_delay_error
from neurosim.lower.rows import Rows, plan_rows
from neurosim.network.distributions import Lowered
from neurosim.network.rules import FixedProbability

I64 = NDArray[np.int64]
_MODES = {
    "draw": gen.DRAW,
    "all": gen.ALL,
    "one": gen.ONE,
    "list": gen.LIST,
    "skip": gen.SKIP,
    "unique": gen.UNIQUE,
}
_GENERATORS = {gen.SKIP: gen.skip_rows, gen.UNIQUE: gen.unique_rows}
_TASKS_PER_THREAD = 4  # so that uneven rows still keep all threads busy


@dataclass(frozen=True, eq=False)
class ThreadSynapses:
    """The synapses of a bundle onto the targets of one thread.

    Attributes
    ----------
    ptr : (n_sources * n_projections + 1,) int64
        Projection k of source s holds synapses ``ptr[s * n_projections + k]`` up to the next.
    packed : (n_synapses,) uint32
        ``delay in steps << bits | channel``.
    weight : (n_synapses,) float32 or float64, or None
        Weights as the receptor sees them, never -0.0; None where each projection has one weight.
    n_projections : int
        Number of projections in the bundle.
    """

    ptr: I64
    packed: NDArray[np.uint32]
    weight: NDArray[Any] | None
    n_projections: int

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        weights = 0 if self.weight is None else self.weight.nbytes
        return self.ptr.nbytes + self.packed.nbytes + weights


@dataclass(frozen=True, eq=False)
class Layout:
    """Which thread owns which targets, and their input channels.

    Attributes
    ----------
    bounds : sequence of (n_threads + 1,) int64
        Thread t owns targets ``bounds[p][t] <= i < bounds[p][t + 1]`` of population p.
    chan_base : nested sequence of int
        ``chan_base[t][p][r]``: channel of the first of them for receptor r; the others follow.
    bits : int
        Bits of a packed synapse that the channel takes.
    """

    bounds: Sequence[I64]
    chan_base: Sequence[Sequence[Sequence[int]]]
    bits: int

    @property
    def threads(self) -> int:
        """Number of threads that own targets."""
        return len(self.chan_base)


class _Job:
    """One projection of a bundle: its generator arguments, and its rows divided into tasks."""

    def __init__(
        self,
        spec: ConnectionSpec,
        target: int,
        number: int,
        n_projections: int,
        layout: Layout,
        workers: int,
    ) -> None:
        self.spec = spec
        self.rows = plan_rows(spec, lambda s, excluded: _count_sources(s, excluded, workers))
        self.choice = _choice(self.rows, spec)
        self.values = _values(spec)
        post = np.arange(spec.n_post) if spec.post_ids is None else spec.post_ids
        bounds = layout.bounds[target]
        owner = np.searchsorted(bounds, post, side="right") - 1
        positive, negative = (
            np.array([layout.chan_base[t][target][r] for t in range(layout.threads)], np.int64)
            for r in spec.receptors
        )
        self.owner = owner.astype(np.int32)
        self.channel = positive[owner] + post - bounds[owner]
        self.negative = negative - positive
        pre = np.arange(spec.n_pre) if spec.pre_ids is None else spec.pre_ids
        self.segment = pre * n_projections + number + 1
        self.tasks = self._divide(layout.threads, workers)
        self.statistics = np.zeros((len(self.tasks), 4), np.int64)
        self.smallest = np.full((len(self.tasks), 1), np.inf)

    def _divide(self, owners: int, workers: int) -> list[I64]:
        """Divide rows so that no two tasks touch the same segment of the same thread."""
        rows = np.arange(self.rows.n_rows)
        if self.rows.by_target:
            return [part for part in (rows[self.owner == t] for t in range(owners)) if part.size]
        n_tasks = 1 if workers == 1 else _TASKS_PER_THREAD * workers
        return [part for part in np.array_split(rows, n_tasks) if part.size]

    def place(
        self,
        pointers: I64,
        base: I64,
        packed: NDArray[np.uint32],
        weight: NDArray[Any],
        bits: int,
    ) -> gen.Place:
        """Return where the synapses go."""
        return gen.Place(
            self.rows.by_target, self.spec.absolute, self.owner, self.channel, self.negative,
            self.segment, pointers, base, packed,
            weight if weight.dtype == np.float32 else np.empty(0, np.float32),
            weight if weight.dtype == np.float64 else np.empty(0, np.float64),
            bits,
        )  # fmt: skip

    def calls(self, place: gen.Place, counting: bool) -> list[Callable[[], Any]]:
        """Return one call for each task."""
        generate = _GENERATORS.get(self.choice.mode, gen.known_rows)
        return [
            functools.partial(
                generate, rows, self.choice, self.values, place, counting, s, smallest
            )
            for rows, s, smallest in zip(self.tasks, self.statistics, self.smallest, strict=True)
        ]

    def count_known(self, pointers: I64) -> bool:
        """Count without drawing where one thread owns all targets and degrees are known."""
        known = self.rows.degree.size > 0 and not self.rows.by_target and len(pointers) == 1
        if known:
            pointers[0, self.segment] = self.rows.degree
        return known

    def check(self, total: int, bits: int) -> None:
        """Raise an error for delays that are too short or too long."""
        short = np.flatnonzero(self.statistics[:, gen.N_SHORT])
        if short.size:
            row, column = (
                self.statistics[short, gen.SHORT_ROW],
                self.statistics[short, gen.SHORT_COLUMN],
            )
            first = np.argmin(row)
            pre, post = row[first], column[first]
            if self.rows.by_target:
                pre, post = post, pre
            spec = self.spec
            raise short_delay_error(
                spec,
                int(self.statistics[:, gen.N_SHORT].sum()),
                total,
                float(self.smallest.min()),
                int(pre if spec.pre_ids is None else spec.pre_ids[pre]),
                int(post if spec.post_ids is None else spec.post_ids[post]),
            )
        longest = int(self.statistics[:, gen.LONGEST].max())
        if longest >= 1 << (32 - bits):
            raise NetworkSizeError(
                f"projection {self.spec.name!r}: a delay of {longest} steps of {self.spec.dt:g} ms "
                f"does not fit: {bits} of 32 bits are taken by the input channels of a thread, so "
                f"delays are below {1 << (32 - bits)} steps. Use shorter delays, a larger dt or "
                "more threads."
            )


def build_bundle(
    specs: Sequence[ConnectionSpec],
    targets: Sequence[int],
    layout: Layout,
    n_sources: int,
    workers: int,
    dtype: Any,
) -> list[ThreadSynapses]:
    """Generate all projections of one source population that store weights alike.

    Parameters
    ----------
    specs : sequence of ConnectionSpec
        The projections, all `constant` or none.
    targets : sequence of int
        Index of each projection's target population.
    layout : Layout
        Which thread owns which targets.
    n_sources : int
        Size of the source population.
    workers : int
        Number of Python threads that generate; the result does not depend on it.
    dtype : numpy dtype
        Type of stored weights, float32 or float64.

    Returns
    -------
    list of ThreadSynapses
        One for each thread that owns targets.

    Raises
    ------
    DelayError
        If a drawn delay rounds to less than one step.
    NetworkSizeError
        If a delay does not fit into its bits, or there is not enough memory.
    """
    n = len(specs)
    jobs = [
        _Job(spec, target, k, n, layout, workers)
        for k, (spec, target) in enumerate(zip(specs, targets, strict=True))
    ]
    pointers = np.zeros((layout.threads, n_sources * n + 1), np.int64)
    base = np.zeros(layout.threads, np.int64)
    packed, weight = np.empty(0, np.uint32), np.empty(0, dtype)
    counting = [
        job.calls(job.place(pointers, base, packed, weight, layout.bits), True)
        for job in jobs
        if not job.count_known(pointers)
    ]
    _run([call for calls in counting for call in calls], workers)
    totals = [int(pointers[:, k + 1 :: n].sum()) for k in range(n)]
    ends = np.cumsum(_to_positions(pointers))
    base[1:] = ends[:-1]
    packed, weight = _allocate(int(ends[-1]), specs, dtype)
    filling = [
        job.calls(job.place(pointers, base, packed, weight, layout.bits), False) for job in jobs
    ]
    _run([call for calls in filling for call in calls], workers)
    for job, total in zip(jobs, totals, strict=True):
        job.check(total, layout.bits)
    return [
        ThreadSynapses(
            pointers[t], packed[start:end], None if specs[0].constant else weight[start:end], n
        )
        for t, (start, end) in enumerate(zip(base, ends, strict=True))
    ]


def edges_of(
    parts: Sequence[ThreadSynapses],
    number: int,
    spec: ConnectionSpec,
    target: int,
    partition: Partition,
) -> Edges:
    """Read the synapses of one projection back.

    Parameters
    ----------
    parts : sequence of ThreadSynapses
        The bundle.
    number : int
        Position of the projection in the bundle.
    spec : ConnectionSpec
        The projection.
    target : int
        Index of its target population.
    partition : Partition
        The partition that the bundle was built for.

    Returns
    -------
    Edges
        Sorted by source, then target, then generation, whatever the partition (as
        `Edges.by_target` does).
    """
    pieces = [_decode(part, number, spec, target, partition, t) for t, part in enumerate(parts)]
    columns = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Edges(*columns).by_target()


def _decode(
    part: ThreadSynapses,
    number: int,
    spec: ConnectionSpec,
    target: int,
    partition: Partition,
    thread: int,
) -> tuple[I64, I64, NDArray[np.float64], I64, I64]:
    """Return pre, post, weight, delay and receptor of the synapses on one thread."""
    first = part.ptr[number : -1 : part.n_projections]
    degree = part.ptr[number + 1 :: part.n_projections] - first
    pre = np.repeat(np.arange(first.size), degree)
    slot = np.arange(pre.size) + np.repeat(first - (np.cumsum(degree) - degree), degree)
    packed = part.packed[slot].astype(np.int64)
    channel = (packed & ((1 << partition.bits) - 1)) - partition.channels[thread, target]
    receptor, post = np.divmod(channel, max(partition.padded[thread, target], 1))
    if part.weight is None:
        weight = np.full(pre.size, spec.constant_weight)
    else:
        weight = part.weight[slot].astype(np.float64)
    return (
        pre, post + partition.bounds[target][thread], weight, packed >> partition.bits, receptor
    )  # fmt: skip


def _to_positions(pointers: I64) -> I64:
    """Turn numbers of synapses into first positions, in place; return each thread's total."""
    counts = pointers[:, 1:].copy()
    np.cumsum(counts, axis=1, out=pointers[:, 1:])
    totals = pointers[:, -1].copy()
    pointers[:, 1:] -= counts
    return totals


def _allocate(
    n: int, specs: Sequence[ConnectionSpec], dtype: Any
) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    n_weights = 0 if specs[0].constant else n
    try:
        return np.empty(n, np.uint32), np.empty(n_weights, dtype)
    except MemoryError as error:
        needed = (4 * n + np.dtype(dtype).itemsize * n_weights) / 2**30
        names = ", ".join(spec.name for spec in specs)
        raise NetworkSizeError(
            f"projections {names}: {n} synapses need {needed:.1f} GiB, more than there is. Use "
            "precision='float32', one weight for each projection, or fewer synapses."
        ) from error


def _run(calls: Sequence[Callable[[], Any]], workers: int) -> list[Any]:
    """Make all calls and return their results, in parallel where there are workers."""
    if workers == 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda call: call(), calls))


def _key(spec: ConnectionSpec) -> tuple[np.uint32, np.uint32]:
    return np.uint32(spec.key[0]), np.uint32(spec.key[1])


def _choice(rows: Rows, spec: ConnectionSpec) -> gen.Choice:
    return gen.Choice(
        mode=_MODES[rows.mode],
        n_columns=rows.n_columns,
        degree=rows.degree,
        start=np.cumsum(rows.degree) - rows.degree,
        excluded=rows.excluded,
        columns=rows.columns,
        order=rows.order,
        p=spec.rule.p if isinstance(spec.rule, FixedProbability) else 0.0,
        inverse_log=rows.inverse_log,
    )


def _values(spec: ConnectionSpec) -> gen.Values:
    weight_kind, delay_kind = gen.GIVEN, gen.GIVEN
    weight: NDArray[np.float64]
    delay = np.zeros(4)
    delay_steps: NDArray[Any] = np.zeros(0, np.int64)
    if isinstance(spec.weight, Lowered):
        weight_kind, weight = spec.weight.kind, np.array(spec.weight[1:])
    else:
        weight = spec.weight
    if isinstance(spec.delay, Lowered):
        delay_kind, delay = spec.delay.kind, np.array(spec.delay[1:])
    else:
        delay_steps = spec.delay
    key0, key1 = _key(spec)
    dt = spec.dt or 1.0
    return gen.Values(key0, key1, weight_kind, weight, delay_kind, delay, delay_steps, dt)


def _count_sources(spec: ConnectionSpec, excluded: I64, workers: int) -> I64:
    """Do what `neurosim.lower.rows.count_sources` does, faster."""
    rule: Any = spec.rule
    if not rule.multapses:
        different = np.zeros(spec.n_pre, np.int64)
        gen.count_different(rule.n, spec.n_post, excluded, *_key(spec), different)
        return different
    counts = np.zeros((workers, spec.n_pre), np.int64)
    start, missing = 0, rule.n
    while missing:
        edges = np.linspace(start, start + missing, workers + 1).astype(np.int64)
        calls = [
            functools.partial(
                gen.count_sources_between, first, last, spec.n_post, excluded, *_key(spec), part
            )
            for first, last, part in zip(edges[:-1], edges[1:], counts, strict=True)
        ]  # fmt: skip
        start, missing = start + missing, missing - sum(_run(calls, workers))
    total: I64 = counts.sum(axis=0)
    return total
