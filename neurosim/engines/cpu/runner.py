"""CpuRunner: a network on CPU threads."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from neurosim.engines.base import Runner
from neurosim.engines.cpu import checkpoint, readout
from neurosim.engines.cpu.codegen import generate
from neurosim.engines.cpu.compile import load
from neurosim.engines.cpu.couplings import GapExchange, Signals, may_stop
from neurosim.engines.cpu.exact import round_weights
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.driver import run_thread
from neurosim.engines.cpu.options import CPU, LONGEST_STRIDE
from neurosim.engines.cpu.partition import partition
from neurosim.engines.cpu.plastic import compile_rule, make_plastic, renumber, run_interval
from neurosim.engines.cpu.sleeping import Sleeping
from neurosim.engines.cpu.storage import edges_of
from neurosim.engines.cpu.strategy import next_decision
from neurosim.engines.cpu.synapses import (
    build_bundles,
    check_memory,
    check_ring,
    delay_range,
    order_rows,
)
from neurosim.engines.cpu.thread import Thread
from neurosim.engines.cpu.warm import start_compiling
from neurosim.errors import ModelError, SimulationError
from neurosim.lower.connectivity import Edges
from neurosim.lower.plan import Plan, PopulationPlan
from neurosim.lower.sleep import Sleep, never_sleeps, sleep_of

#: Bytes of a ring that stay in the second-level cache of a core.
_CACHE = 1 << 20
_CHUNK_SECONDS = 0.1
#: Most spikes that the lists of a thread hold between meetings.
_LONGEST_LIST = 1 << 23


class CpuRunner(Runner):
    """A built network on CPU threads (see `neurosim.engines.cpu.kernels.driver`)."""

    #: Counters that go on counting after a checkpoint.
    COUNTED = ("spikes", "synaptic_events", "input_draws", "neuron_updates")

    def __init__(self, plan: Plan, options: CPU, threads: int) -> None:
        started = time.perf_counter()
        self.plan, self.options = plan, options
        self.dtype = np.dtype(options.precision)
        #: Of input on its way, and of the weights that make it up.
        self.inbox = np.dtype(float) if options.deterministic else self.dtype
        self._compiling = start_compiling(self.inbox.name)
        self.parts = partition(plan, threads)
        self.recorded = {s.target.population.index for s in plan.spikes}
        self.seconds = {"compile": 0.0, "build": 0.0, "run": 0.0, "drain": 0.0}
        self.rules = {
            c.name: compile_rule(plan, c, self.dtype) for c in plan.connections if c.plasticity
        }
        self.kernels = {p.index: self._kernel(p) for p in plan.populations if p.model is not None}
        compiled = time.perf_counter()
        check_memory(plan, self.parts, self.inbox.itemsize)
        self.bundles = build_bundles(plan, self.parts, self.inbox)
        self.units = None
        if options.deterministic:
            narrow = options.deterministic == "int32"
            self.units = round_weights(plan, self.parts, self.bundles, narrow)
        shortest, longest = delay_range(self.bundles, self.parts.bits)
        self.slots = longest + 1
        check_ring(plan, self.parts, self.slots, self.inbox.itemsize)
        self.buffered = self._needs_buffer()
        if self.buffered:
            with ThreadPoolExecutor(threads) as pool:
                order_rows(self.bundles, self.parts.bits, self.slots, pool)
        self.threads = [Thread(self, t) for t in range(threads)]
        self.stride = self._stride(shortest)
        for thread in self.threads:
            thread.make_lists(self.stride)
        make_plastic(self)
        self._shared = np.zeros(L.H_FAILED + threads, np.int64)
        self._due = np.zeros((2, threads * L.D_COLUMNS), np.int64)
        # rows of different threads stay on cache lines of their own
        self._totals = np.zeros((2, threads, self.stride + 8), np.int64)
        self.spike_counts = np.zeros((2, threads, self.stride, len(plan.populations) + 8), np.int64)
        self._buffers = np.array(
            [[[a.ctypes.data for a in t.lists[k]] for t in self.threads] for k in range(2)],
            np.int64,
        ).reshape(2, threads, len(plan.populations))
        self._pool = ThreadPoolExecutor(threads - 1, "neurosim") if threads > 1 else None
        self._step = self.drained = 0
        self.next_due = 0  # the step before which nothing happens; 0 if that is not known
        self._chunk = 64
        self.before: dict[str, int] = dict.fromkeys(self.COUNTED, 0)
        self.sleeping = Sleeping(self)
        self._real = np.zeros(0, self.dtype)
        self._unrecorded = np.zeros((0, L.R_COLUMNS), np.int64)
        self.gaps = None
        if plan.gaps is not None:
            self.gaps = GapExchange(plan.gaps, self.threads, self._real)
        self.signals = Signals(plan, self.threads)
        self.signals.update(0)
        self.seconds["compile"] = compiled - started
        self.seconds["build"] = time.perf_counter() - compiled

    def _stride(self, shortest: int) -> int:
        """Return how many steps threads run between meetings, at most the shortest delay."""
        most = max(int(t.pops[:, L.P_CAPACITY].sum()) for t in self.threads)
        return max(1, min(shortest, LONGEST_STRIDE, _LONGEST_LIST // max(1, most)))

    def channels(self, thread: int) -> int:
        """Return the number of input channels on a thread."""
        padded = self.parts.padded[thread]
        return sum(int(padded[p.index]) * len(p.receptors) for p in self.plan.populations)

    def _needs_buffer(self) -> bool:
        """Whether rings are larger than the cache and delays spread over many of their slots."""
        widest = max(self.channels(t) for t in range(self.parts.threads))
        return self.slots > 3 and widest * self.slots * self.inbox.itemsize > _CACHE

    def _kernel(self, p: PopulationPlan) -> tuple[Any, Any, Sleep | None]:
        assert p.model is not None
        exact = bool(self.options.deterministic)
        sleep = None if exact or self.options.strategy == "clock" else sleep_of(p.model)
        watched = self._watched(p.index)
        if sleep is not None and watched:
            sleep = watched
        if isinstance(sleep, str):
            if self.options.strategy == "event":
                raise ModelError(
                    f"population {p.name!r}: {p.model.spec.name} cannot use strategy='event', "
                    f"because {sleep}; use strategy='auto' or 'clock'."
                )
            sleep = None
        elif sleep and self.options.strategy == "auto" and never_sleeps(p.model, sleep):
            sleep = None  # half of the kernels need not be compiled
        kernel = generate(p.model, sleep, self.options.precision, exact=exact)
        return kernel, load(p.model.spec.name, kernel.source), sleep

    def _watched(self, population: int) -> str | None:
        """Return why a population must be stepped in every step, or None."""
        for name, rule in self.rules.items():
            if rule.connection.post == population and rule.plan.reads_target:
                return f"projection {name!r} reads its states in every step"
        return self.plan.stepped_for(population)

    # ---- running

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._step

    @property
    def time(self) -> float:
        """Model time [ms]."""
        return self._step * self.plan.dt

    def advance(self, stop: float) -> None:
        """Run about a tenth of a second of work, at most to time `stop`."""
        self._check_failures()  # a run that had to stop does not go on
        last = round(stop / self.plan.dt)
        if last >= L.FOREVER:
            raise SimulationError(
                f"t = {stop:g} ms is step {last}, but steps are counted up to {L.FOREVER - 1}; use "
                "a larger dt or begin a new simulation."
            )
        last = min(last, self._next_interval())
        self._skip_silence(last)
        if self._step < last:
            self._run(last)
        self._intervals()

    def _next_interval(self) -> int:
        """Return the next step after which a plastic projection has an interval event."""
        periods = [rule.plan.interval for rule in self.rules.values()]
        return min(((self._step // p + 1) * p for p in periods if p), default=L.FOREVER)

    def _intervals(self) -> None:
        """Run the interval events that are due at this step."""
        for name, rule in self.rules.items():
            if rule.plan.interval and self._step % rule.plan.interval == 0:
                self._each_thread(functools.partial(run_interval, name=name, step=self._step))
                renumber(self, name)

    def _each_thread(self, do: Callable[[Thread], None]) -> None:
        """Do something for each thread's part, in parallel."""
        if self._pool is None:
            do(self.threads[0])
            return
        futures = [self._pool.submit(do, t) for t in self.threads[1:]]
        do(self.threads[0])
        for future in futures:
            future.result()

    def _run(self, last: int) -> None:
        """Run some steps, at most to step `last`."""
        until = min(last, self._step + self._chunk, self.sleeping.limit())
        until = min(until, self._step + min(t.records.room() for t in self.threads))
        change = self.signals.next_change(self._step)
        until = min(until, change)
        if self._compiling is not None:
            self._compiling.join()
            self._compiling = None
        started = time.perf_counter()
        first = self._step
        if self.gaps is None:
            self._drive(until)
        else:
            self._drive_coupled(self.gaps, until)
        self._check_failures()
        if self._step == change:
            self.signals.update(change)
        elapsed = time.perf_counter() - started
        self.seconds["run"] += elapsed
        if until - first == self._chunk and elapsed < _CHUNK_SECONDS / 2:
            self._chunk *= 2
        elif elapsed > 2 * _CHUNK_SECONDS and self._chunk > 1:
            self._chunk //= 2
        self.sleeping.after_run()

    def _drive(self, until: int, *, recording: bool = True) -> None:
        """Let all threads run up to a step, or less far if one has to stop."""
        self._shared[:] = 0
        self.sleeping.offer(self._shared)
        first = self._step + 1
        arguments = [self._arguments(t, first, until, recording) for t in self.threads]
        futures = [self._pool.submit(run_thread, *a) for a in arguments[1:]] if self._pool else []
        self._step = int(run_thread(*arguments[0]))
        for future in futures:
            future.result()
        failed = self._shared[L.H_FAILED :]
        self._step = int(failed[failed > 0].min(initial=self._step))
        self.next_due = int(self._shared[L.H_NEXT])
        self.sleeping.accept(self._shared)

    def _drive_coupled(self, gaps: GapExchange, until: int) -> None:
        """Run step by step, with half a step of the gap junctions before and after each."""
        while self._step < until:
            gaps.half_step(self._step + 1)
            self._drive(self._step + 1, recording=False)
            if not (self._shared[L.H_FAILED :] > 0).any():
                gaps.half_step(self._step)
            gaps.record(self.threads, self._step)
            if may_stop(self._shared):
                return

    def _skip_silence(self, last: int) -> None:
        """Go to the step before the next one at which anything happens, at most to `last`.

        Decisions that are due meanwhile are taken until one has seen no event; later ones would
        see none either.
        """
        quiet = min(last, self.next_due - 1)
        while self._step < quiet:
            self._step = min(quiet, next_decision(self._step))
            if not self.sleeping.decides_at(self._step):
                continue
            before = self.sleeping.window
            self.sleeping.reconsider()
            if self.next_due == 0:  # a population woke
                return
            if self.sleeping.window == before:
                self._step = quiet
                self.sleeping.after_silence(quiet)

    def _arguments(self, t: Thread, first: int, last: int, recording: bool) -> tuple[Any, ...]:
        recordings = t.records.table if recording else self._unrecorded
        return (
            t.me, len(self.threads), first, last, 0, t.pops, t.bundles, t.segments, t.constants,
            t.tables.given, recordings, t.features, t.ring, self.parts.bits, self.slots,
            self.stride, t.pending, self._buffers, self._totals, self.spike_counts, t.positions,
            self._shared, self._due, t.reserve, *t.spikes, t.n_spikes,
        )  # fmt: skip

    def _check_failures(self) -> None:
        """Raise an error for a thread that failed at this step; others may have failed later."""
        for t in self.threads:
            if 0 < self._shared[L.H_FAILED + t.me] == self._step:
                raise readout.failure(self, t)

    # ---- results

    def drain(self) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """Return what was recorded since the last call."""
        return readout.drain(self)

    def edges(self, name: str) -> Edges:
        """Return the synapses of a projection."""
        for bundle in self.bundles:
            for k, connection in enumerate(bundle.connections):
                if connection.name == name:
                    parts = bundle.parts
                    if name in self.rules:
                        parts = tuple(
                            replace(part, weight=t.plastic[name].weights_now(self._step))
                            for t, part in zip(self.threads, parts, strict=True)
                        )
                    return edges_of(parts, k, connection.spec, connection.post, self.parts)
        raise KeyError(name)

    def counters(self) -> dict[str, Any]:
        """Return the work done so far."""
        return readout.counters(self)

    def sources(self) -> dict[str, str]:
        """Return the generated kernels of each population."""
        names = {p.index: p.name for p in self.plan.populations}
        return {names[index]: kernel.source for index, (kernel, _, _) in self.kernels.items()}

    def state(self) -> dict[str, Any]:
        """Return everything that a continued run needs."""
        return checkpoint.state_of(self)

    def reset(self) -> None:
        """Put neurons back to their initial states and drop input in flight; time goes on."""
        self.next_due = 0
        for t in self.threads:
            t.reset(self._step, self.sleeping.event)
        self.signals.reset(self._step)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        self._step = self.drained = int(state["step"])
        self.next_due = 0
        checkpoint.restore(self, state)
        self.before = {k: int(state["counters"].get(k, 0)) for k in self.COUNTED}
        self.sleeping.restore(state, self._step)
        for t in self.threads:
            t.tables.seek(self._step)
        self.signals.restore(state.get("samples", {}), self._step)
