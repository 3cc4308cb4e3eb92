"""The driver's tables of sources, inputs, currents and recordings, for one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurosim.engines.cpu.block import Block
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.partition import Partition
from neurosim.errors import ParameterError
from neurosim.lower.plan import InjectionPlan, InputPlan, Plan, PopulationPlan, StateRecord
from neurosim.lower.poisson import DENSE_BLOCK, PoissonProcess
from neurosim.lower.signals import SignalPlan


class Tables:
    """Rows of int64 with the arrays that they point to, kept alive."""

    def __init__(self, plan: Plan, parts: Partition, thread: int, dtype: Any) -> None:
        self._plan, self._parts, self._thread, self._dtype = plan, parts, thread, dtype
        self._owned: list[np.ndarray] = []
        generators = [p for p in plan.populations if p.process is not None]
        inputs = [row for row in (self._input(i) for i in plan.inputs) if row is not None]
        self.processes = _stack(
            [*(self._generator(p) for p in generators), *(row for row, _ in inputs)], L.Q_COLUMNS
        )
        self.weights = as_weights([0.0] * len(generators) + [w for _, w in inputs], dtype)
        self.source_row = {p.index: k for k, p in enumerate(generators)}
        givens = [p for p in plan.populations if p.given_steps is not None]
        self.given = _stack([self._given(p) for p in givens], L.G_COLUMNS)
        self.source_row |= {p.index: k for k, p in enumerate(givens)}
        self.held: list[np.ndarray] = []
        currents = [self._current(j) for j in plan.injections]
        currents += [self._held_current(s) for s in plan.signals]
        self.currents = _stack(currents, L.J_COLUMNS)
        none = [0.0] * len(plan.signals)
        self.means = np.array([j.mean for j in plan.injections] + none)
        self.stds = np.array([j.std for j in plan.injections] + none)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(a.nbytes for a in self._owned)

    def _address(self, array: np.ndarray) -> int:
        self._owned.append(array)
        return int(array.ctypes.data)

    def _range(self, population: int) -> tuple[int, int]:
        bounds = self._parts.bounds[population]
        return int(bounds[self._thread]), int(bounds[self._thread + 1])

    def _process(self, process: PoissonProcess) -> np.ndarray:
        row = np.zeros(L.Q_COLUMNS, np.int64)
        row[L.Q_N], row[L.Q_BLOCK], row[L.Q_DENSE] = process.n, process.block, process.dense
        row[L.Q_KEY0], row[L.Q_KEY1] = process.key
        row[L.Q_CDF], row[L.Q_N_CDF] = self._address(process.cdf), process.cdf.size
        if process.accept is not None:
            row[L.Q_ACCEPT] = self._address(process.accept)
        row[L.Q_CHANGES] = self._address(process.changes.astype(np.int64))
        row[L.Q_FACTORS] = self._address(process.factors.astype(float))
        row[L.Q_N_CHANGES] = process.changes.size
        return row

    def _generator(self, p: PopulationPlan) -> np.ndarray:
        assert p.process is not None
        row = self._process(p.process)
        row[L.Q_POPULATION], row[L.Q_CHANNEL] = p.index, -1
        return row

    def _input(self, i: InputPlan) -> tuple[np.ndarray, float] | None:
        """Return the row of an input, or None if none of its targets is on this thread."""
        lo, hi = self._range(i.population)
        row = self._process(i.process)
        channel = int(self._parts.channels[self._thread, i.population])
        row[L.Q_POPULATION] = i.population
        row[L.Q_CHANNEL] = channel + i.receptor * self._parts.padded[self._thread, i.population]
        start = int(i.ids[0])
        if i.process.mean == 0.0 or not ((i.ids >= lo) & (i.ids < hi)).any():
            return None
        if not i.process.dense:
            row[L.Q_START] = start
            if not np.array_equal(i.ids, np.arange(start, start + i.ids.size)):
                row[L.Q_TARGETS] = self._address(i.ids.astype(np.int64))
            return row, i.weight
        # the dense method is chosen for contiguous targets only
        first, last = max(lo, start), min(hi, start + i.ids.size)
        row[L.Q_START], row[L.Q_N], row[L.Q_TARGETS] = first - start, last - first, first - lo
        row[L.Q_WORDS] = self._address(np.zeros(DENSE_BLOCK, np.uint32))
        return row, i.weight

    def _given(self, p: PopulationPlan) -> np.ndarray:
        assert p.given_steps is not None and p.given_ids is not None
        lo, hi = self._range(p.index)
        mine = (p.given_ids >= lo) & (p.given_ids < hi)
        row = np.zeros(L.G_COLUMNS, np.int64)
        row[L.G_STEPS] = self._address(np.ascontiguousarray(p.given_steps[mine]))
        row[L.G_IDS] = self._address(np.ascontiguousarray(p.given_ids[mine]))
        row[L.G_COUNT] = int(mine.sum())
        return row

    def _current(self, j: InjectionPlan) -> np.ndarray:
        lo, hi = self._range(j.population)
        mine = np.ascontiguousarray(j.ids[(j.ids >= lo) & (j.ids < hi)])
        row = np.zeros(L.J_COLUMNS, np.int64)
        row[L.J_POPULATION], row[L.J_N] = j.population, mine.size
        row[L.J_TARGETS], row[L.J_IDS] = self._address(mine - lo), self._address(mine)
        if j.kind == "noise":
            row[L.J_SCRATCH] = self._address(np.zeros(2 * mine.size))
        row[L.J_KIND] = L.KIND_STEPS if j.kind == "steps" else L.KIND_NOISE
        row[L.J_STEPS] = self._address(j.steps.astype(np.int64))
        row[L.J_VALUES] = self._address(np.ascontiguousarray(j.values, dtype=float))
        row[L.J_COUNT] = j.steps.size
        row[L.J_KEY0], row[L.J_KEY1] = j.key
        row[L.J_FIRST], row[L.J_LAST], row[L.J_EVERY] = j.first, j.last, j.every
        return row

    def _held_current(self, signal: SignalPlan) -> np.ndarray:
        """Return the row of what a signal brings to the neurons of this thread."""
        lo, hi = self._range(signal.post)
        self.held.append(np.zeros(hi - lo))
        row = np.zeros(L.J_COLUMNS, np.int64)
        row[L.J_POPULATION], row[L.J_N], row[L.J_KIND] = signal.post, hi - lo, L.KIND_HELD
        row[L.J_TARGETS] = self._address(np.arange(hi - lo))
        row[L.J_VALUES] = self._address(self.held[-1])
        return row

    def hold(self, signal: int, values: np.ndarray, *, changed: bool) -> None:
        """Set what signal number `signal` brings to every neuron of its target population.

        Where it is `changed` it takes effect at the beginning of the next step.
        """
        row = self.currents[len(self.currents) - len(self.held) + signal]
        lo, hi = self._range(int(row[L.J_POPULATION]))
        self.held[signal][:] = values[lo:hi]
        row[L.J_CURSOR] = changed

    def seek(self, step: int) -> None:
        """Set the cursors of given spikes and currents as if `step` steps had been run."""
        for row in self.given:
            steps = next(a for a in self._owned if a.ctypes.data == row[L.G_STEPS])
            row[L.G_CURSOR] = np.searchsorted(steps, step, side="right")
        for row in self.currents[: len(self.currents) - len(self.held)]:
            steps = next(a for a in self._owned if a.ctypes.data == row[L.J_STEPS])
            row[L.J_CURSOR] = np.searchsorted(steps, step, side="left")


class StateBuffers:
    """Where a thread writes recorded states, for some rows of samples at a time."""

    ROWS = 4096

    def __init__(
        self,
        records: Sequence[StateRecord],
        parts: Partition,
        thread: int,
        blocks: dict[int, Block],
    ) -> None:
        self.arrays: list[np.ndarray] = []
        self.columns: list[tuple[int, int, np.ndarray]] = []
        self._ids: list[np.ndarray] = []
        rows = []
        for k, record in enumerate(records):
            lo, hi = (int(b) for b in parts.bounds[record.population][thread : thread + 2])
            where = np.flatnonzero((record.ids >= lo) & (record.ids < hi))
            if not where.size:
                continue
            block = blocks[record.population]
            local = np.ascontiguousarray(record.ids[where] - lo)
            self._ids.append(local)
            for j, name in enumerate(record.names):
                out = np.zeros((min(self.ROWS, max(16, (1 << 24) // where.size)), where.size))
                self.arrays.append(out)
                self.columns.append((k, j, where))
                row = np.zeros(L.R_COLUMNS, np.int64)
                row[L.R_POPULATION], row[L.R_N] = record.population, where.size
                row[L.R_STATE] = list(block.states).index(name)
                row[L.R_IDS], row[L.R_OUT] = local.ctypes.data, out.ctypes.data
                row[L.R_EVERY], row[L.R_PEEK_FN] = record.every, block.address("peek")
                row[L.R_SINGLE] = block.injected.dtype == np.float32
                rows.append(row)
        self.table = _stack(rows, L.R_COLUMNS)

    def room(self) -> int:
        """Return how many steps can be run before a buffer is full."""
        free = [
            (a.shape[0] - int(r[L.R_ROW])) * int(r[L.R_EVERY])
            for a, r in zip(self.arrays, self.table, strict=True)
        ]
        return min(free, default=2**62)


def as_weights(values: Sequence[float], dtype: Any) -> np.ndarray:
    """Return weights in the precision of the engine, very small ones as 0 (see `layout`)."""
    smallest = L.SMALLEST32 if np.dtype(dtype) == np.float32 else L.SMALLEST64
    weights = np.array(values, float)
    weights[np.abs(weights) < smallest] = 0.0
    if np.abs(weights).max(initial=0.0) > np.finfo(dtype).max:
        raise ParameterError(
            f"weight = {np.abs(weights).max():g} does not fit {np.dtype(dtype).name}; use "
            "precision='float64' or smaller weights."
        )
    return weights.astype(dtype)


def _stack(rows: Sequence[np.ndarray], columns: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(len(rows), columns)
