"""GpuRunner: a network on a device, run many steps at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from neurosim.engines.base import Runner
from neurosim.engines.gpu.device import Device, Grid
from neurosim.engines.gpu.network import NO_FAILURE, STATUS, DeviceNetwork
from neurosim.engines.gpu.options import GPU
from neurosim.engines.gpu.owner import OwnerVariant
from neurosim.errors import SimulationError
from neurosim.lower.connectivity import Edges
from neurosim.lower.expand import expand
from neurosim.lower.injection import injected
from neurosim.lower.plan import Plan
from neurosim.lower.sleep import advanced, sleep_of

#: Seconds of work that a call of `advance` aims at, and steps of the first one.
_AIM, _FIRST = 0.1, 64
#: Steps of a captured graph.
_GRAPH = 50


class GpuRunner(Runner):
    """A built network on a device.

    Parameters
    ----------
    plan : Plan
        One that `supported` returned.
    options : GPU
    device : Device
    """

    def __init__(self, plan: Plan, options: GPU, device: Device) -> None:
        started = time.perf_counter()
        self.plan = plan
        self._device = device
        self._network = DeviceNetwork(
            plan, device, options.precision, options.deterministic, options.weights,
            options.procedural,
        )  # fmt: skip
        self._launches = options.launch
        if self._launches == "auto":
            self._launches = "cooperative" if device.is_cooperative else "graph"
        self._owner = None
        if options.variant == "owner":
            self._owner = OwnerVariant(self._network)
        else:
            _ = self._grid  # compiles the kernels
        self._graph: Callable[[], None] | None = None
        self._step, self._chunk = 0, _FIRST
        self._counts = {"spikes": 0, "synaptic_events": 0, "neuron_updates": 0}
        self._n_neurons = sum(p.n for p in plan.populations if p.model is not None)
        recorded = sorted({s.target.population.index for s in plan.spikes})
        self._spikes: dict[int, list[tuple[np.ndarray, ...]]] = {p: [] for p in recorded}
        self._states: list[list[np.ndarray]] = [[] for _ in plan.states]
        self._seconds = {"build": time.perf_counter() - started, "run": 0.0}

    @cached_property
    def _grid(self) -> Grid:
        return self._network.program.grid(
            self._network.layout.n_tiles, cooperative=self._launches == "cooperative"
        )

    @property
    def time(self) -> float:
        """Model time [ms]."""
        return self._step * self.plan.dt

    # ---- running

    def advance(self, stop: float) -> None:
        """Run some steps, at most to time `stop`."""
        started = time.perf_counter()
        start = self._step
        n_steps = min(
            round(stop / self.plan.dt) - start, self._chunk, self._network.most_steps(start)
        )
        if n_steps > 0:
            self._launch(start, n_steps)
            self._step = start + n_steps
            self._counts["neuron_updates"] += n_steps * self._n_neurons
            self._collect(start, n_steps)
        seconds = time.perf_counter() - started
        self._seconds["run"] += seconds
        if n_steps == self._chunk:
            self._chunk = max(1, self._chunk * 2 if seconds < _AIM / 2 else self._chunk)
        if seconds > 2 * _AIM:
            self._chunk = max(1, n_steps // 2)

    def _launch(self, start: int, n_steps: int) -> None:
        self._network.begin(start, n_steps)
        if self._owner is not None:
            self._owner.launch(n_steps)
            return
        program = self._network.program
        if self._launches == "cooperative":
            arguments = (self._network.net, np.int32(n_steps))
            program.launch("run", self._grid, arguments, cooperative=True)
            return
        while self._launches == "graph" and n_steps >= _GRAPH:
            if self._graph is None:
                self._graph = program.capture(self._phases(_GRAPH), self._grid)
            self._graph()
            n_steps -= _GRAPH
        for kernel, arguments in self._phases(n_steps):
            program.launch(kernel, self._grid, arguments)

    def _phases(self, n_steps: int) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the launches of some steps."""
        net, last = self._network.net, np.int32(n_steps)
        launches: list[tuple[str, tuple[Any, ...]]] = []
        if n_steps:
            launches.append(("drive", (net,)))
        for k in range(1, n_steps + 1):
            launches += [("update", (net, np.int32(k))), ("after", (net, np.int32(k), last))]
            if self._network.plastic:
                launches.append(("sweep", (net, np.int32(k))))
        return [*launches, ("tick", (net, last))]

    # ---- recordings

    def _collect(self, start: int, n_steps: int) -> None:
        """Take over what the last launch recorded; raise if a state stopped being a number."""
        status = self._device.fetch(self._network.status)
        counts = dict(zip(STATUS, (int(x) for x in status), strict=True))
        self._counts["spikes"] += counts["spikes"]
        self._counts["synaptic_events"] += counts["events"]
        end = start + n_steps
        if counts["failure"] != NO_FAILURE:
            end = (counts["failure"] >> 32) - 1
        self._collect_spikes(end, counts["records"])
        self._collect_states(start, end)
        self._device.store(
            self._network.status, np.array([0, 0, 0, 0, 0, NO_FAILURE], status.dtype)
        )
        if counts["failure"] != NO_FAILURE:
            self._fail(counts["failure"] >> 32, counts["failure"] & 0xFFFFFFFF)
        self._network.plastic.check()

    def _collect_spikes(self, end: int, n: int) -> None:
        rows = self._device.fetch(self._network.records, 3 * n).reshape(n, 3).astype(np.int64)
        source, step, count = rows.T
        order = np.lexsort((source, step))
        order = np.repeat(order, count[order])
        source, step = source[order], step[order]
        for p, parts in self._spikes.items():
            first = self._network.layout.source[p]
            mine = (source >= first) & (source < first + self.plan.populations[p].n)
            mine &= step <= end
            parts.append((step[mine], source[mine] - first))

    def _collect_states(self, start: int, end: int) -> None:
        for k, record in enumerate(self.plan.states):
            n_rows, size = end // record.every - start // record.every, self._network.row_sizes[k]
            values = self._device.fetch(self._network.outs[k], n_rows * size).astype(float)
            self._states[k].append(values.reshape(n_rows, len(record.names), record.ids.size))

    def _fail(self, step: int, source: int) -> None:
        self._step = step
        first = self._network.layout.source
        p = self.plan.populations[int(np.searchsorted(first, source, side="right")) - 1]
        raise SimulationError(
            f"a state of neuron {source - first[p.index]} of population {p.name!r} stopped being a "
            f"finite number at t = {self.time:g} ms. Use a smaller dt, another method, or check "
            "the weights."
        )

    def drain(self) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """Return what was recorded since the last call."""
        spikes = {}
        for p, parts in self._spikes.items():
            none = np.zeros(0, np.int64)
            steps, ids = (np.concatenate(x) for x in zip(*[(none, none), *parts], strict=True))
            spikes[p] = (steps * self.plan.dt, ids)
            parts.clear()
        states = []
        for rows, record in zip(self._states, self.plan.states, strict=True):
            shape = (0, len(record.names), record.ids.size)
            states.append(np.concatenate([np.zeros(shape), *rows]))
            rows.clear()
        return spikes, states

    # ---- looking at it

    def edges(self, name: str) -> Edges:
        """Return the synapses of a projection; those of static ones as they were drawn."""
        plastic = self._network.plastic
        part = plastic[name]
        if part is not None:
            self._settle()
            return plastic.edges(part, self._launch_one, self._network.net)
        return expand(next(c.spec for c in self.plan.connections if c.name == name)).by_target()

    def _launch_one(self, kernel: str, arguments: tuple[Any, ...]) -> None:
        self._network.program.launch(kernel, self._grid, arguments)

    def _settle(self) -> None:
        """Let plastic synapses catch up with all that has reached them."""
        if self._network.plastic:
            self._device.store(self._network.clock, np.array([self._step, self._step]))
            self._network.plastic.settle(self._step, self._launch_one, self._network.net)

    def counters(self) -> dict[str, Any]:
        """Return the work done so far."""
        return dict(self._counts) | {
            "steps": self._step, "bytes": self._network.nbytes, "seconds": dict(self._seconds),
        }  # fmt: skip

    def sources(self) -> dict[str, str]:
        """Return the generated step of each population of neurons."""
        return {
            p.name: self._network.bodies[p.index]
            for p in self.plan.populations
            if p.model is not None
        }

    # ---- state

    def state(self) -> dict[str, Any]:
        """Return everything that a continued run needs."""
        self._settle()
        plastic = self._network.plastic.state(self._step, self._launch_one, self._network.net)
        populations = {}
        for index, array in self._network.states.items():
            p = self.plan.populations[index]
            assert p.model is not None
            rows = self._device.fetch(array).astype(float).reshape(-1, p.n)
            populations[index] = {
                "states": dict(zip(p.model.states, rows, strict=True)),
                "until": self._device.fetch(self._network.until[index]).astype(np.int64),
                "substep": self._substep(index),
                "last": np.full(p.n, self._step), "is_awake": np.zeros(p.n, bool),
                "injected": injected(self.plan.injections, index, p.n, self._step),
            }  # fmt: skip
        return {
            "step": self._step, "counters": dict(self._counts), "event": {},
            "populations": populations, "arrivals": self._pending(), "samples": {},
            "plastic": plastic,
        }  # fmt: skip

    def _substep(self, index: int) -> np.ndarray:
        """Return the length of the next substep of each neuron (adaptive method)."""
        array = self._network.substep.get(index)
        if array is None:
            return np.full(self.plan.populations[index].n, self.plan.dt)
        return self._device.fetch(array).astype(float)

    def _ring(self) -> np.ndarray:
        return self._device.fetch(self._network.ring).reshape(self._network.synapses.n_slots, -1)

    def _part(self, ring: np.ndarray, index: int) -> np.ndarray:
        """Return the view (slot, row, neuron) of a population's channels."""
        layout, n = self._network.layout, self.plan.populations[index].n
        first, rows = layout.channel[index], layout.rows[index]
        return ring[:, first : first + rows * n].reshape(ring.shape[0], rows, n)

    def _pending(self) -> dict[int, tuple[np.ndarray, ...]]:
        """Return the input to come of each population: delay, receptor, neuron, amount."""
        ring, n_slots = self._ring(), self._network.synapses.n_slots
        pending: dict[int, tuple[np.ndarray, ...]] = {}
        for p in self.plan.populations:
            part = self._part(ring, p.index)
            slot, receptor, neuron = np.nonzero(part)
            scale = self._network.synapses.scale[p.index][receptor]
            amount = part[slot, receptor, neuron].astype(float)
            if ring.dtype.kind == "i":
                amount *= scale
            pending[p.index] = ((slot - self._step) % n_slots, receptor, neuron, amount)
        return pending

    def reset(self) -> None:
        """Put neurons back to their initial states and drop input in flight; time goes on."""
        network = self._network
        self._settle()
        network.plastic.reset(self._step, self._launch_one, network.net)
        for index, array in network.states.items():
            p = self.plan.populations[index]
            assert p.model is not None
            self._device.store(array, network.initial(p.model))
            self._device.store(network.until[index], np.zeros(p.n, np.int32))
            if index in network.substep:
                self._device.store(network.substep[index], np.full(p.n, self.plan.dt))
        self._device.store(network.ring, np.zeros_like(self._ring()))

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        network = self._network
        self._step = int(state["step"])
        self._counts |= {k: int(v) for k, v in state["counters"].items() if k in self._counts}
        for index, saved in state["populations"].items():
            model = self.plan.populations[index].model
            assert model is not None
            states = saved["states"]
            if (saved["last"] != self._step).any():
                sleep = sleep_of(model)
                if isinstance(sleep, str):
                    raise TypeError(f"a checkpoint with sleeping neurons, but {sleep}")
                states = advanced(model, sleep, saved, self._step)
            self._device.store(network.states[index], network.stacked(states, model))
            self._device.store(network.until[index], np.asarray(saved["until"]))
            if index in network.substep and "substep" in saved:
                self._device.store(network.substep[index], np.asarray(saved["substep"]))
        network.plastic.restore(state["plastic"], self._step)
        ring = np.zeros_like(self._ring())
        for index, (ahead, receptor, neuron, amount) in state["arrivals"].items():
            if ring.dtype.kind == "i":
                amount = np.rint(amount / network.synapses.scale[index][receptor])
            part = self._part(ring, index)
            part[(self._step + ahead) % network.synapses.n_slots, receptor, neuron] = amount
        self._device.store(network.ring, ring)
