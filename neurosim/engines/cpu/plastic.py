"""A plastic projection on the threads of the CPU engine: its arrays, kernels, and read-back."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.engines.cpu.compile import load
from neurosim.engines.cpu.emit_plastic import PlasticityEmitter
from neurosim.engines.cpu.emit_row import RECENT
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.rewire import new_places
from neurosim.engines.cpu.storage import decode, ranks
from neurosim.lower.plan import ConnectionPlan, Plan
from neurosim.lower.plasticity import PlasticityPlan
from neurosim.lower.rewiring import replace_sources

if TYPE_CHECKING:
    from neurosim.engines.cpu.runner import CpuRunner
    from neurosim.engines.cpu.thread import Thread

#: Before anything: the history of each target begins with an event that long ago.
LONG_AGO = -(2**30)
#: Histories of the targets take at most one part in so many of the memory of their synapses (unless
#: they have to be longer), and have at most so many events.
_HISTORY_SHARE, _LONGEST = 8, 1 << 12
#: Bytes of a line of the cache.
_LINE = 64


@dataclass(frozen=True)
class Rule:
    """The compiled kernels of a plastic projection and the numbers that they take."""

    connection: ConnectionPlan
    plan: PlasticityPlan
    module: ModuleType
    emitter: PlasticityEmitter
    source: str
    numbers: np.ndarray

    def address(self, kernel: str) -> int:
        """Return the address of a kernel, 0 if the rule does not have it."""
        function = getattr(self.module, kernel, None)
        return 0 if function is None else int(function.address)


def compile_rule(plan: Plan, connection: ConnectionPlan, dtype: Any) -> Rule:
    """Generate and compile the kernels of a plastic projection."""
    rule = connection.plasticity
    assert rule is not None
    target = plan.populations[connection.post]
    states = target.model.states if target.model is not None else ()
    emitter = PlasticityEmitter(
        rule, plan.dt, np.dtype(dtype).name, not connection.spec.absolute, states
    )
    source = emitter.source()
    largest = np.finfo(dtype).max  # a bound may be beyond single precision
    numbers = np.clip(emitter.numbers or [0.0], -largest, largest).astype(dtype)
    return Rule(connection, rule, load(rule.spec.name, source), emitter, source, numbers)


def _on_lines(shape: tuple[int, int], dtype: Any) -> np.ndarray:
    """Return an array that begins with a line of the cache."""
    size = int(np.prod(shape))
    array = np.zeros(size + _LINE // np.dtype(dtype).itemsize, dtype)
    first = -array.ctypes.data % _LINE // array.itemsize
    return array[first : first + size].reshape(shape)


def run_interval(thread: Thread, name: str, step: int) -> None:
    """Run the interval event of a projection for a thread's synapses."""
    thread.plastic[name].interval(step)


def make_plastic(runner: CpuRunner) -> None:
    """Make the plastic projections of all threads."""
    for thread in runner.threads:
        thread.make_plastic(runner)
    for name, rule in runner.rules.items():
        if rule.emitter.uses_random:
            _number(runner, name)


def renumber(runner: CpuRunner, name: str) -> None:
    """Give synapses that moved the numbers that their random draws are counted by."""
    if runner.threads[0].plastic[name].renumbers:
        _number(runner, name)


def _number(runner: CpuRunner, name: str) -> None:
    """Number the synapses of a projection by their places, which are found once for all threads."""
    parts = [t.plastic[name] for t in runner.threads]
    for part, rank in zip(parts, parts[0].ranks(runner), strict=True):
        part.random[:] = rank


class PlasticPart:
    """The synapses of one plastic projection on one thread.

    Parameters
    ----------
    runner : CpuRunner
    thread : Thread
    rule : Rule
    row : int64 (B_COLUMNS,)
        The thread's bundle of this projection.
    """

    def __init__(self, runner: CpuRunner, thread: Thread, rule: Rule, row: np.ndarray) -> None:
        self.rule, self.plan, self.me = rule, rule.plan, thread.me
        self.dtype = runner.dtype
        self.bundle = next(b for b in runner.bundles if rule.connection in b.connections)
        self.synapses = self.bundle.parts[thread.me]
        post = rule.connection.post
        self.lo, hi = (int(b) for b in runner.parts.bounds[post][thread.me : thread.me + 2])
        self.n = hi - self.lo
        self.table = np.zeros(L.X_COLUMNS, np.int64)
        self._owned: list[np.ndarray] = []
        self._synapse_columns(runner, post)
        self._histories(runner, thread, post)
        self._modulator(runner)
        self.begin()
        self._row = row
        row[L.B_PLASTIC] = self.table.ctypes.data
        row[L.B_UPDATE_FN] = self.table[L.X_UPDATE_FN] = rule.address("update")
        row[L.B_SWEEP_FN] = rule.address("sweep")
        row[L.B_MODULATE_FN] = rule.address("modulate")
        row[L.B_MODULATOR] = -1 if self.plan.modulator is None else self.plan.modulator
        if not self.plan.transmits_weight:
            row[L.B_SCRATCH] = self.scratch.ctypes.data

    def _set(self, column: int, array: np.ndarray) -> np.ndarray:
        self._owned.append(array)
        self.table[column] = array.ctypes.data
        return array

    def _synapse_columns(self, runner: CpuRunner, post: int) -> None:
        plan, part, x = self.plan, self.synapses, self.table
        assert part.weight is not None
        plan.check_drawn(part.weight, self.rule.connection.name)
        n_sources, size = part.ptr.size - 1, part.packed.size
        self._set(L.X_POINTERS, part.ptr)
        self._set(L.X_PACKED, part.packed)
        self._set(L.X_WEIGHTS, part.weight)
        x[L.X_SOURCES], x[L.X_SYNAPSES] = n_sources, size
        x[L.X_BITS] = self.bits = runner.parts.bits
        self.by_delay = runner.buffered
        self.decoded = functools.partial(
            decode, part, 0, self.rule.connection.spec, post, runner.parts, self.me
        )
        x[L.X_BASE] = runner.parts.channels[self.me, post]
        x[L.X_PADDED] = max(1, runner.parts.padded[self.me, post])
        self._set(L.X_NUMBERS, self.rule.numbers)
        self.last = self._set(L.X_LAST, np.zeros(n_sources, np.int32))
        traces = plan.traces["presynaptic"]
        self.pre = self._set(
            L.X_PRE, np.array([np.full(n_sources, t.init) for t in traces], self.dtype)
            .reshape(len(traces), n_sources),
        )  # fmt: skip
        self.states = self._set(
            L.X_STATES, np.array([np.full(size, plan.init[s]) for s in plan.states], self.dtype)
            .reshape(len(plan.states), size),
        )  # fmt: skip
        longest = int(np.diff(part.ptr).max(initial=0))
        sent = 0 if plan.transmits_weight else longest
        self.scratch: np.ndarray = self._set(L.X_SCRATCH, np.zeros(sent, self.dtype))
        if self.rule.emitter.uses_random:
            self.random = self._set(L.X_RANDOM, np.zeros(part.packed.size, np.uint32))
            self.rounds = self._set(L.X_ROUNDS, np.zeros(n_sources, np.int32))
            x[L.X_KEY0], x[L.X_KEY1] = plan.key

    @property
    def renumbers(self) -> bool:
        """Whether synapses that move need new numbers, by which random draws are counted."""
        return self.rule.emitter.uses_random and self.plan.prune is not None

    def grow_scratch(self, size: int) -> None:
        """Make room for the longest row of what is sent."""
        self.scratch = self._set(L.X_SCRATCH, np.zeros(size, self.dtype))
        self._row[L.B_SCRATCH] = self.scratch.ctypes.data

    def ranks(self, runner: CpuRunner) -> list[np.ndarray]:
        """Return the place of each synapse in the order of results, for each thread."""
        c = self.rule.connection
        return ranks(self.bundle.parts, c.spec, c.post, runner.parts)

    def _histories(self, runner: CpuRunner, thread: Thread, post: int) -> None:
        plan, x = self.plan, self.table
        x[L.X_N], x[L.X_LO] = self.n, self.lo
        longest = int(plan.shift(runner.slots - 1))
        x[L.X_LONGEST] = longest
        model = runner.plan.populations[post].model
        often = 1
        if plan.spec.post_event is None and model is not None:
            often = max(1, int(np.min(model.refractory_steps)))
        a_step = -(-int(thread.pops[post, L.P_CAPACITY]) // max(1, self.n))
        in_a_window = (runner.stride // often + 1) * a_step
        pending = ((longest + runner.stride) // often + 2) * a_step
        emitter = self.rule.emitter
        # long enough that all synapses need to catch up only now and then
        share = 2 * self.synapses.packed.size // (_HISTORY_SHARE * max(1, self.n) * emitter.record)
        capacity = 1 << max(2 * (pending + in_a_window) + 7, min(share, _LONGEST) // 2).bit_length()
        x[L.X_CAPACITY], x[L.X_LIMIT] = capacity, capacity - 2 - in_a_window
        self.history = self._set(
            L.X_HISTORY, np.zeros((self.n, capacity, emitter.record), self.dtype)
        )
        self._set(L.X_WORK, np.zeros(emitter.work(capacity), self.dtype))
        self.recent = self._set(L.X_RECENT, _on_lines((self.n, emitter.recent), self.dtype))
        self.counts = self._set(L.X_COUNTS, np.ones(self.n, np.int32))
        self.swept = self._set(L.X_SWEPT, np.ones(self.n, np.int32))
        if post in thread.blocks:
            x[L.X_BLOCK] = thread.blocks[post].table.ctypes.data
        x[L.X_SAMPLE_SLOTS] = slots = longest + plan.lag + runner.stride + 1
        # a sleeping population keeps its states elsewhere; it is not allowed to sleep
        initial = [thread.blocks[post].states[s][: self.n] for s in plan.sampled]
        self._initial = np.array(initial, self.dtype).reshape(len(initial), 1, self.n)
        self.samples = self._set(L.X_SAMPLES, np.repeat(self._initial, slots, axis=1))

    @property
    def steps(self) -> np.ndarray:
        """Steps of the events in the histories: (targets, capacity)."""
        whole = np.dtype(f"int{8 * self.dtype.itemsize}")
        return self.history.view(whole)[:, :, 0]

    def _modulator(self, runner: CpuRunner) -> None:
        plan, x = self.plan, self.table
        if plan.modulator is None:
            return
        n = runner.plan.populations[plan.modulator].n
        most = 64 * n if runner.plan.populations[plan.modulator].kind == "poisson" else n
        window = most * runner.stride
        capacity = 1 << (4 * (window + most * (plan.modulator_delay + 1)) + 64).bit_length()
        self.m_steps = self._set(L.X_M_STEPS, np.full(capacity, LONG_AGO, np.int64))
        traces = plan.traces["modulator"]
        values = np.zeros((capacity, max(1, len(traces))), self.dtype)
        self.m_values = self._set(L.X_M_VALUES, values)
        x[L.X_M_CAPACITY], x[L.X_M_LIMIT] = capacity, capacity - 2 - window
        x[L.X_M_DELAY], x[L.X_M_N] = plan.modulator_delay, n
        member = np.ones(n, np.uint8)
        if plan.modulator_ids is not None:
            member[:] = 0
            member[plan.modulator_ids] = 1
        self._set(L.X_M_MEMBER, member)

    @property
    def nbytes(self) -> int:
        """Bytes beyond the synapses' own."""
        shared = (self.synapses.ptr, self.synapses.packed, self.synapses.weight)
        return sum(a.nbytes for a in self._owned if not any(a is s for s in shared))

    def call(self, kernel: str, argument: int, step: int) -> None:
        """Run one of the kernels over all synapses."""
        getattr(self.rule.module, kernel).ctypes(self.table.ctypes.data, argument, step)

    def weights_now(self, step: int) -> np.ndarray:
        """Return the weights as they are at a step, with all that has reached the synapses."""
        self.call("sweep", 0, step)
        assert self.synapses.weight is not None
        if not self.rule.emitter.evolving:
            return self.synapses.weight
        out = np.empty_like(self.synapses.weight)
        self.call("read_w", out.ctypes.data, step)
        return out

    def states_now(self, state: int, step: int) -> np.ndarray:
        """Return a state of the synapses as it is at a step, after `weights_now`."""
        out: np.ndarray = np.empty_like(self.states[state])
        self.call(f"read_{self.plan.states[state]}", out.ctypes.data, step)
        return out

    def reset(self, step: int) -> None:
        """Forget traces and what is on its way at a step; weights and states stay as they are."""
        weights = self.weights_now(step)
        if self.rule.emitter.evolving:
            states = [self.states_now(j, step) for j in range(len(self.states))]
            for old, new in zip(self.states, states, strict=True):
                old[:] = new
        assert self.synapses.weight is not None
        self.synapses.weight[:] = weights
        for j, t in enumerate(self.plan.traces["presynaptic"]):
            self.pre[j] = t.init
        self.last[:] = step
        self.begin()

    def begin(self) -> None:
        """Let the histories begin with an event of long ago."""
        self.counts[:] = self.swept[:] = 1
        self.steps[:] = LONG_AGO
        posts = self.plan.traces["postsynaptic"]
        self.history[:, 0, 1 : 1 + len(posts)] = [t.init for t in posts]
        self.note_recent()
        self.samples[:] = self._initial
        if self.plan.modulator is not None:
            modulators = self.plan.traces["modulator"]
            self.m_steps[0] = LONG_AGO
            self.m_values[0, : len(modulators)] = [t.init for t in modulators]
            self.table[L.X_M_COUNT] = self.table[L.X_M_SWEPT] = 1

    def note_recent(self) -> None:
        """Put the latest events of each target side by side, the last one first."""
        if not self.recent.size:
            return
        n, capacity, width = self.history.shape
        back = (self.counts[:, None] - 1 - np.arange(RECENT)) % capacity
        events = self.history[np.arange(n)[:, None], back]
        self.recent[:, : RECENT * width] = events.reshape(n, RECENT * width)

    def interval(self, step: int) -> None:
        """Run the interval event of a step."""
        totals = np.zeros(max(1, self.n), self.dtype)
        self.call("sweep", 0, step)
        self.call("total", totals.ctypes.data, step)
        self.call("interval", totals.ctypes.data, step)
        if self.plan.prune is not None:
            self._rewire(step)

    def _rewire(self, step: int) -> None:
        """Replace the synapses that the rule prunes; nothing is allocated for good."""
        part, plan, c = self.synapses, self.plan, self.rule.connection
        marks = np.zeros(part.packed.size, np.uint8)
        self.call("prune", marks.ctypes.data, step)
        moving = np.flatnonzero(marks)
        if not moving.size:
            return
        pre, post, _, delay, _ = self.decoded()
        source = replace_sources(
            c.spec, plan, step // plan.interval, pre, post, delay, marks.astype(bool)
        )
        assert part.weight is not None
        part.weight[moving] = np.copysign(plan.regrow, part.weight[moving])
        for j, s in enumerate(plan.states):
            self.states[j, moving] = plan.init[s]
        away = source != pre[moving]  # one that gets its own source again keeps its place
        self.move(moving[away], source[away])

    def move(self, moving: np.ndarray, source: np.ndarray) -> None:
        """Move synapses to the rows of other sources, with all that they carry."""
        part = self.synapses
        moved = np.full(part.packed.size, -1, np.int64)
        moved[moving] = np.arange(moving.size)
        old = new_places(part.ptr, part.packed, self.bits, moved, source, self.by_delay)
        for column in (part.packed, part.weight, *self.states):
            column[:] = column[old]
        longest = int(np.diff(part.ptr).max(initial=0))
        if longest > self.scratch.size and not self.plan.transmits_weight:
            self.grow_scratch(longest)
