"""What one thread of the CPU engine owns, and how its populations fall asleep and wake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurosim.engines.cpu.block import Block
from neurosim.engines.cpu.exact import round_tables
from neurosim.engines.cpu.features import address, feature_table
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.plastic import PlasticPart
from neurosim.engines.cpu.synapses import synapse_tables
from neurosim.engines.cpu.tables import StateBuffers, Tables
from neurosim.lower.plan import PopulationPlan

if TYPE_CHECKING:
    from neurosim.engines.cpu.runner import CpuRunner

_KINDS = {"neuron": L.KIND_NEURON, "poisson": L.KIND_POISSON, "given": L.KIND_GIVEN,
          "parrot": L.KIND_PARROT}  # fmt: skip
_SPIKE_BUFFER = 1 << 18


@dataclass(frozen=True)
class Inbox:
    """Input on its way to a sleeping population, slot by slot.

    What arrives is listed in its order; a list that is full is added to the ring, whose filled
    channels are then listed as touched.
    """

    touched: np.ndarray
    n_touched: np.ndarray
    channels: np.ndarray
    weights: np.ndarray
    n_events: np.ndarray


def inbox_capacity(channels: int) -> int:
    """Return how much input a slot's list holds before it is added to the ring."""
    return max(256, channels // 4)


class Thread:
    """What one thread owns: its blocks, tables, ring and buffers."""

    def __init__(self, runner: CpuRunner, me: int) -> None:
        plan, parts, dtype = runner.plan, runner.parts, runner.dtype
        self.me = me
        self.blocks: dict[int, Block] = {}
        for p in plan.populations:
            if p.model is not None:
                lo, hi = (int(b) for b in parts.bounds[p.index][me : me + 2])
                kernel, module, sleep = runner.kernels[p.index]
                self.blocks[p.index] = Block(
                    p.model, sleep, kernel, module, lo, hi, int(parts.padded[me, p.index]), dtype
                )
        inbox = runner.inbox
        self.tables = Tables(plan, parts, me, inbox)
        self.bundles, self.segments, self.constants = synapse_tables(runner.bundles, me, inbox)
        self.ring = np.full(runner.slots << parts.bits, L.UNTOUCHED, inbox)
        self.pending = self._pending_lists(runner)
        self.slots = runner.slots
        self.inboxes: dict[int, Inbox] = {}
        self.pops = np.array([self._row(runner, p) for p in plan.populations], np.int64)
        if runner.units is not None:
            round_tables(self, runner.bundles, runner.units)
        self.positions = np.zeros((parts.threads, len(plan.populations) + 8), np.int64)
        capacities = self.pops[:, L.P_CAPACITY]
        self.reserve = int(capacities[self.pops[:, L.P_RECORD] == 1].sum())
        self.n_spikes = np.zeros(1, np.int64)
        self.records = StateBuffers(plan.states, parts, me, self.blocks)
        self.features = feature_table(self, parts.bits, dtype)

    def make_lists(self, stride: int) -> None:
        """Make the lists of the spikes of `stride` steps (two of them) and of recorded ones.

        They are only touched as far as they are used.
        """
        capacities = self.pops[:, L.P_CAPACITY]
        self.lists = [
            [np.zeros(max(1, int(c) * stride), np.int32) for c in capacities] for _ in range(2)
        ]
        size = max(_SPIKE_BUFFER, 4 * self.reserve * stride) if self.reserve else 1
        self.spikes = [np.zeros(size, np.int32) for _ in range(3)]

    def make_plastic(self, runner: CpuRunner) -> None:
        """Make what plastic projections need, and tell populations who looks at them."""
        self.plastic: dict[str, PlasticPart] = {}
        self.hooks: dict[int, np.ndarray] = {}
        for row, bundle in zip(self.bundles, runner.bundles, strict=True):
            name = bundle.connections[0].name
            if name in runner.rules:
                self.plastic[name] = PlasticPart(runner, self, runner.rules[name], row)
        for p in {part.rule.connection.post for part in self.plastic.values()}:
            pairs = [
                (part.rule.address("post"), part.table.ctypes.data)
                for part in self.plastic.values()
                if part.rule.connection.post == p
            ]
            self.hooks[p] = np.array(pairs, np.int64).ravel()
            self.pops[p, L.P_HOOKS] = self.hooks[p].ctypes.data
            self.pops[p, L.P_N_HOOKS] = len(pairs)

    def _pending_lists(self, runner: CpuRunner) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the buffers in front of the ring, empty ones if the ring stays in the cache."""
        # a list of a quarter of the channels adds several times to each cache line of the row
        capacity = max(1024, runner.channels(self.me) // 4) if runner.buffered else 0
        size = runner.slots * capacity
        return (
            np.empty(size, np.uint32),
            np.empty(size, runner.inbox),
            np.zeros(runner.slots, np.int64),
        )

    def _row(self, runner: CpuRunner, p: PopulationPlan) -> np.ndarray:
        row = np.zeros(L.P_COLUMNS, np.int64)
        bounds = runner.parts.bounds[p.index]
        n = int(bounds[self.me + 1] - bounds[self.me])
        row[L.P_KIND], row[L.P_N], row[L.P_LO] = _KINDS[p.kind], n, bounds[self.me]
        row[L.P_CHANNEL] = runner.parts.channels[self.me, p.index]
        row[L.P_CHANNELS] = runner.parts.padded[self.me, p.index] * len(p.receptors)
        row[L.P_RECORD] = p.index in runner.recorded
        row[L.P_CAPACITY] = n
        row[L.P_SOURCE] = self.tables.source_row.get(p.index, 0)
        if p.process is not None:
            blocks = -(-n // p.process.block) + 1
            row[L.P_CAPACITY] = blocks * p.process.cdf.size
            process = self.tables.processes[self.tables.source_row[p.index]]
            row[L.P_PROCESS] = process.ctypes.data
            row[L.P_DRAW_FN] = address("poisson_generator", self.ring.dtype)
        if p.given_steps is not None and p.given_steps.size:
            row[L.P_CAPACITY] = int(np.unique(p.given_steps, return_counts=True)[1].max())
        if p.kind == "parrot":
            row[L.P_CAPACITY] = max(64 * n, 1024)
        if p.model is None:
            return row
        block = self.blocks[p.index]
        kernel, _, sleep = runner.kernels[p.index]
        if kernel.adaptive and p.model.spec.threshold_test == "substep":
            row[L.P_CAPACITY] = 64 * n  # several spikes a step are possible, at most 63
        row[L.P_BLOCK] = block.table.ctypes.data
        row[L.P_CLOCK_FN], row[L.P_EVENT_FN] = block.address("clock"), block.address("event")
        row[L.P_ADVANCE_FN], row[L.P_N_NOISE] = block.address("advance"), kernel.n_noise
        row[L.P_KEY0], row[L.P_KEY1] = p.noise_key
        if kernel.n_noise:
            row[L.P_DRAW_FN] = address("white_noise", runner.dtype)
        if sleep is not None and n:
            self._make_inbox(p.index, row, runner.slots)
        return row

    def _make_inbox(self, p: int, row: np.ndarray, slots: int) -> None:
        """Make the lists of input for a population that sleeps; only touched as far as used."""
        channels = int(row[L.P_CHANNELS])
        capacity = inbox_capacity(channels)
        dtype = self.ring.dtype
        inbox = Inbox(
            touched=np.empty((slots, channels), np.int32),
            n_touched=np.zeros(slots, np.int64),
            channels=np.empty((slots, capacity), np.int32),
            weights=np.empty((slots, capacity), dtype),
            n_events=np.zeros(slots, np.int64),
        )
        row[L.P_TOUCHED], row[L.P_N_TOUCHED] = (
            inbox.touched.ctypes.data,
            inbox.n_touched.ctypes.data,
        )
        row[L.P_EVENT_CHANNELS] = inbox.channels.ctypes.data
        row[L.P_EVENT_WEIGHTS] = inbox.weights.ctypes.data
        row[L.P_N_EVENTS], row[L.P_EVENT_CAPACITY] = inbox.n_events.ctypes.data, capacity
        row[L.P_SLOTS] = slots
        self.inboxes[p] = inbox

    def rows(self, p: int) -> np.ndarray:
        """Return the part of the ring that belongs to a population: (slots, channels)."""
        first, size = int(self.pops[p, L.P_CHANNEL]), int(self.pops[p, L.P_CHANNELS])
        return self.ring.reshape(self.slots, -1)[:, first : first + size]

    def fold(self, p: int) -> None:
        """Move a population's lists of input into the ring; sums keep their order."""
        inbox = self.inboxes[p]
        for slot, row in enumerate(self.rows(p)):
            n = int(inbox.n_events[slot])
            np.add.at(row, inbox.channels[slot, :n], inbox.weights[slot, :n])
        inbox.n_events[:] = 0

    def list_touched(self, p: int) -> None:
        """List the channels of a population that input is waiting for, slot by slot."""
        inbox = self.inboxes[p]
        for slot, row in enumerate(self.rows(p)):
            channels = np.flatnonzero(~((row == 0) & np.signbit(row)))
            inbox.touched[slot, : channels.size] = channels
            inbox.n_touched[slot] = channels.size

    def reset(self, step: int, event: Mapping[int, bool]) -> None:
        """Put neurons back to their initial states at a step and drop input in flight."""
        self.ring[:] = L.UNTOUCHED
        for inbox in self.inboxes.values():
            inbox.n_events[:] = 0
            inbox.n_touched[:] = 0
        for part in self.plastic.values():
            part.reset(step)
        for p, block in self.blocks.items():
            block.reset(step)
            if event[p]:
                self.sleep(p, step)

    def sleep(self, p: int, step: int) -> None:
        """Change a population to the event strategy."""
        if not self.pops[p, L.P_N]:
            return
        self.blocks[p].call("settle", step)
        self.resume_sleep(p)

    def resume_sleep(self, p: int) -> None:
        """Use the event strategy for a population whose arrays say who is awake."""
        self.blocks[p].to_records()
        self.list_touched(p)
        self.pops[p, L.P_EVENT] = 1

    def show_sleeping(self, p: int) -> None:
        """Let arrays and ring show what a sleeping population is; it goes on sleeping."""
        if not self.pops[p, L.P_N]:
            return
        self.blocks[p].from_records()
        self.fold(p)
        self.list_touched(p)

    def wake(self, p: int, step: int) -> None:
        """Change a population to the clock strategy."""
        if not self.pops[p, L.P_N]:
            return
        self.blocks[p].call("advance", step)
        self.blocks[p].from_records()
        self.fold(p)
        self.pops[p, L.P_EVENT] = 0
