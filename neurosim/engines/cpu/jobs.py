"""One projection as a job for the kernels that generate synapses: arguments, tasks, checks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.cpu.kernels import generate as gen
from neurosim.engines.cpu.kernels import listed
from neurosim.engines.cpu.storage import Layout
from neurosim.errors import NetworkSizeError
from neurosim.lower.connectivity import ConnectionSpec, short_delay_error
from neurosim.lower.rows import Rows, plan_rows
from neurosim.network.distributions import Lowered
from neurosim.network.rules import FixedProbability

I64 = NDArray[np.int64]
_MODES = {
    "draw": gen.DRAW,
    "all": gen.ALL,
    "one": gen.ONE,
    "skip": gen.SKIP,
    "unique": gen.UNIQUE,
}
_GENERATORS = {
    "skip": gen.skip_rows,
    "unique": gen.unique_rows,
    "list": listed.listed_synapses,
}
_GIVEN = Lowered(gen.GIVEN, 0.0)
_TASKS_PER_THREAD = 4  # so that uneven rows still keep all threads busy


class Job:
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
        self.choice = _listed(spec) if self.rows.mode == "list" else _choice(self.rows, spec)
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
        self.statistics = np.zeros((len(self.tasks), gen.N_STATISTICS), np.int64)
        self.smallest = np.full((len(self.tasks), 1), np.inf)

    def _divide(self, owners: int, workers: int) -> list[I64]:
        """Divide rows so that no two tasks touch the same segment of the same thread.

        A list has no rows yet: each task looks for the synapses of one thread.
        """
        if self.rows.mode == "list":
            return list(np.arange(owners)[:, None])
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
        generate = _GENERATORS.get(self.rows.mode, gen.known_rows)
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
        short = self.statistics[self.statistics[:, gen.N_SHORT] > 0]
        if short.size:
            first = short[np.lexsort((short[:, gen.SHORT_NUMBER], short[:, gen.SHORT_ROW]))[0]]
            pre, post = first[gen.SHORT_ROW], first[gen.SHORT_COLUMN]
            if self.rows.by_target:
                pre, post = post, pre
            spec = self.spec
            raise short_delay_error(
                spec,
                int(short[:, gen.N_SHORT].sum()),
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


def run_all(calls: Sequence[Callable[[], Any]], workers: int) -> list[Any]:
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
        excluded=rows.excluded,
        p=spec.rule.p if isinstance(spec.rule, FixedProbability) else 0.0,
        inverse_log=rows.inverse_log,
    )


def _listed(spec: ConnectionSpec) -> listed.Listed:
    rule: Any = spec.rule
    none = np.zeros(0)
    return listed.Listed(
        rule.pre,
        rule.post,
        none if isinstance(spec.weight, Lowered) else spec.weight,
        none if isinstance(spec.delay, Lowered) else spec.delay,
    )


def _values(spec: ConnectionSpec) -> gen.Values:
    weight = spec.weight if isinstance(spec.weight, Lowered) else _GIVEN
    delay = spec.delay if isinstance(spec.delay, Lowered) else _GIVEN
    return gen.Values(
        *_key(spec), weight.kind, np.array(weight[1:]), delay.kind, np.array(delay[1:]),
        spec.dt or 1.0,
    )  # fmt: skip


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
        start, missing = start + missing, missing - sum(run_all(calls, workers))
    total: I64 = counts.sum(axis=0)
    return total
