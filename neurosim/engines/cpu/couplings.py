"""Continuous couplings in the CPU engine: between steps, by one thread, in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neurosim.engines.cpu.kernels import coupling as kernels
from neurosim.engines.cpu.kernels import layout as L
from neurosim.lower.gaps import GapPlan
from neurosim.lower.plan import Plan
from neurosim.lower.signals import SignalPlan

if TYPE_CHECKING:
    from neurosim.engines.cpu.thread import Thread

_NEVER = 2**62


class GapExchange:
    """What the kernel of gap junctions works on."""

    def __init__(self, plan: GapPlan, threads: list[Thread], real: np.ndarray) -> None:
        n = plan.capacitance.size
        rows, self._local, self._real = [], np.zeros(n, np.int64), real
        for m in plan.membranes:
            for t in threads:
                block = t.blocks[m.population]
                mine = slice(*np.searchsorted(m.ids, [block.lo, block.lo + block.n]))
                nodes = slice(m.first + mine.start, m.first + mine.stop)
                self._local[nodes] = m.ids[mine] - block.lo
                addresses = [block.states[m.state].ctypes.data, block.until.ctypes.data]
                rows.append(
                    [*addresses, m.held, nodes.start, nodes.stop - nodes.start, block.padded]
                )
        self._parts = np.array(rows, np.int64).reshape(-1, kernels.E_COLUMNS)
        self._graph = (plan.first.astype(np.int64), plan.partner.astype(np.int64), plan.conductance)
        self._factor, self._series = 1.0 / plan.capacitance, plan.coefficients
        self._scale = 2.0 / plan.largest if plan.largest > 0 else 0.0
        self._work, self._free = np.zeros((5, n)), np.zeros(n, np.bool_)

    def half_step(self, step: int) -> None:
        """Let currents flow through the junctions for half of a step."""
        kernels.exchange(
            self._parts, self._local, self._graph, self._factor, self._series, self._scale,
            self._work, self._free, step, self._real,
        )  # fmt: skip

    def record(self, threads: list[Thread], step: int) -> None:
        """Record states after a step, which the driver then leaves to this."""
        for t in threads:
            if len(t.records.table):
                kernels.record(t.pops, t.records.table, step)


class Signals:
    """Samples of continuous signals, and what they bring to their targets.

    Attributes
    ----------
    samples : dict of str to (slots, n_pre) float64
        The samples that are kept, by name of the coupling (see `SignalPlan`).
    """

    def __init__(self, plan: Plan, threads: list[Thread]) -> None:
        self._signals: tuple[SignalPlan, ...] = plan.signals
        self._threads, self._dt = threads, plan.dt
        self.samples = {s.name: np.zeros((s.slots, s.n_pre)) for s in plan.signals}
        self._brought = [np.zeros(s.n_post) for s in plan.signals]

    def next_change(self, step: int) -> int:
        """Return the first step after `step` at which there is something to do."""
        return min((s.next_change(step) for s in self._signals), default=_NEVER)

    def update(self, step: int) -> None:
        """Take the samples of a step that has been done, and deliver those that arrive."""
        for k, s in enumerate(self._signals):
            self._sample(s, step)
            self._hold(k, step)

    def reset(self, step: int) -> None:
        """Forget samples on their way; begin again with the states as they are."""
        for k, s in enumerate(self._signals):
            self._brought[k] = s.brought(self.samples[s.name], step - 1)  # what neurons feel
            self.samples[s.name][:] = 0.0
            self._sample(s, step)
            self._hold(k, step)

    def restore(self, saved: Mapping[str, np.ndarray], step: int) -> None:
        """Go on from the samples of a checkpoint, whose neurons carry the values of the step."""
        for k, s in enumerate(self._signals):
            self.samples[s.name][:] = saved[s.name]
            self._brought[k] = s.brought(self.samples[s.name], step - 1)
            self._hold(k, step)

    def _sample(self, s: SignalPlan, step: int) -> None:
        if step % s.every:
            return
        blocks = [t.blocks[s.pre] for t in self._threads]
        states = {
            name: np.concatenate([b.states[name][: b.n] for b in blocks])
            for name in blocks[0].states
        }
        row = step // s.every % s.slots
        self.samples[s.name][row] = s.sampled(states, step * self._dt)

    def _hold(self, k: int, step: int) -> None:
        """Let targets feel what arrives; those that sleep wake only if it is new to them."""
        s = self._signals[k]
        values = s.brought(self.samples[s.name], step)
        changed = not np.array_equal(values, self._brought[k])
        self._brought[k] = values
        for t in self._threads:
            t.tables.hold(k, values, changed=changed)


def may_stop(shared: np.ndarray) -> bool:
    """Return whether a call of the driver asked to stop: a failure, or a buffer filling up."""
    return bool(shared[L.H_STOP] > 0 or (shared[L.H_FAILED :] > 0).any())
