"""A network on the device: its arrays, and the records that tell kernels where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from neurosim.engines.gpu.currents import build_currents
from neurosim.engines.gpu.device import Device, Program
from neurosim.engines.gpu.emit import StepEmitter
from neurosim.engines.gpu.layout import layout_of
from neurosim.engines.gpu.plastic import PlasticNetwork
from neurosim.engines.gpu.processes import build_processes
from neurosim.engines.gpu.source import RELAY, Format, source_text
from neurosim.engines.gpu.structs import GIVEN, ITEM, NET, POPULATION, SAMPLE
from neurosim.engines.gpu.synapses import Procedural, Synapses
from neurosim.errors import NetworkSizeError
from neurosim.lower.memory import gib
from neurosim.lower.model import LoweredModel
from neurosim.lower.plan import Plan, PopulationPlan

#: Words that kernels count in: items of even and odd steps, records, spikes, events, failure.
STATUS = ("items", "odd items", "records", "spikes", "events", "failure")
NO_FAILURE = 2**64 - 1
#: Spikes that are recorded before they are fetched, and bytes of a recording of states.
_MOST_RECORDS, _SAMPLE_BYTES = 1 << 22, 1 << 25
_MOST_STEPS = 4096
#: More steps than a launch has, in 31 bits.
_NEVER = 2**30


class DeviceNetwork:
    """Everything that kernels read and write.

    Parameters
    ----------
    plan : Plan
    device : Device
    real : {"float32", "float64"}
    deterministic : bool or "int32"
    weights : {"auto", "float16"}
    procedural : bool, str or sequence of str

    Raises
    ------
    NetworkSizeError
        If the device has too little memory.
    """

    def __init__(
        self, plan: Plan, device: Device, real: str, deterministic: bool | str,
        weights: str = "auto", procedural: Procedural = False,
    ) -> None:  # fmt: skip
        self.plan, self.device, self.real = plan, device, np.dtype(real)
        self.layout = layout_of(plan, device.tile)
        self.form = Format(
            "double" if self.real.itemsize == 8 else "float", bool(deterministic), False,
            device.tile, device.chunk, weights == "float16", narrow=deterministic == "int32",
        )  # fmt: skip
        self.plastic = PlasticNetwork(plan, self.layout, self.real, device)
        self.synapses = Synapses(plan, self.layout, device, self.form, procedural, self.plastic)
        whole = np.dtype(np.int32 if self.form.narrow else np.int64)
        self.amount = whole if deterministic else self.real
        emitters = {p.index: StepEmitter(p.model) for p in plan.populations if p.model is not None}
        self.bodies = {
            p.index: emitters[p.index].body() if p.model is not None else RELAY
            for p in plan.populations
        }
        self._recorded = {s.target.population.index for s in plan.spikes}
        self.emitters = emitters
        self._sizes()
        if procedural == "auto":
            self.synapses.draw_more(lambda: sum(self._parts().values()) - device.free_bytes())
        self._check_memory()
        self._allocate()

    def _sizes(self) -> None:
        plan = self.plan
        self.worst_records = sum(plan.populations[p].n for p in self._recorded)
        # each member is recorded at most once a step
        self.n_records = max(
            self.worst_records, min(_MOST_RECORDS, self.worst_records * _MOST_STEPS)
        )
        self.row_sizes = [len(r.names) * r.ids.size for r in plan.states]
        self.sample_rows = [
            max(1, min(_MOST_STEPS, _SAMPLE_BYTES // (n * self.real.itemsize)))
            for n in self.row_sizes
        ]

    def _parts(self) -> dict[str, int]:
        """Return the bytes that are needed, by what needs them."""
        item, layout, synapses = self.real.itemsize, self.layout, self.synapses
        neurons = 0
        for p in self.plan.populations:
            if p.model is not None:
                arrays = len(self.emitters[p.index].coefficient.arrays)
                neurons += p.n * ((len(p.model.states) + arrays + 2) * item + 4)
        each = synapses.nbytes / max(1, synapses.n_synapses)
        return {
            f"{synapses.n_synapses} synapses of {each:.1f} bytes": synapses.nbytes,
            f"{self.plastic.n_synapses} plastic synapses": self.plastic.nbytes,
            f"input on its way, {synapses.n_slots} steps long": (
                synapses.n_slots * layout.n_channels * self.amount.itemsize
            ),
            "neurons": neurons,
            "spikes on their way": synapses.n_items(self.device.chunk) * ITEM.itemsize,
            "recordings": 12 * self.n_records
            + item * sum(r * n for r, n in zip(self.sample_rows, self.row_sizes, strict=True)),
        }

    def _check_memory(self) -> None:
        """Raise NetworkSizeError, with the figures, if the device has too little memory."""
        parts = self._parts()
        self.nbytes = sum(parts.values())
        free = self.device.free_bytes()
        if self.nbytes > free:
            figures = ", ".join(f"{name} {gib(size)}" for name, size in parts.items())
            raise NetworkSizeError(
                f"engine 'gpu': the network needs {gib(self.nbytes)} ({figures}), but "
                f"{self.device.describe()} has {gib(free)} free. Use {self._remedies()}."
            )

    def _remedies(self) -> str:
        """Return what would make the network smaller."""
        ways, synapses = ["fewer synapses", "shorter delays"], self.synapses
        if self.plan.spikes or self.plan.states:
            ways.append("fewer recordings")
        if synapses.n_weighted and not self.form.half:
            ways.append("GPU(weights='float16')")
        saved = sum(synapses.size(k) for k in synapses.drawable())
        if saved:
            ways.append(
                f"rows that are drawn when needed (GPU(procedural=True), {gib(saved)} less)"
            )
        return ", ".join([*ways, "or engine='cpu'"])

    # ---- memory

    def _put(self, values: np.ndarray) -> int:
        array = self.device.to_device(values)
        self._kept.append(array)
        return self.device.address(array)

    def _allocate(self) -> None:
        device, layout, synapses = self.device, self.layout, self.synapses
        self._kept: list[Any] = []
        rows = synapses.build()
        drawings, groups = synapses.drawings(), synapses.groups()
        self.ring = device.to_device(np.zeros(synapses.n_slots * layout.n_channels, self.amount))
        self.status = device.to_device(np.array([0, 0, 0, 0, 0, NO_FAILURE], np.uint64))
        self.records = device.empty(3 * self.n_records, np.uint32)
        self.states: dict[int, Any] = {}
        self.until: dict[int, Any] = {}
        self.substep: dict[int, Any] = {}
        populations = np.array([self._population(p) for p in self.plan.populations], POPULATION)
        self.processes = build_processes(self.plan, layout, synapses.scale, self._put)
        self._given_first = {
            k: device.empty(_MOST_STEPS + 1, np.int64) for k in self.processes.given
        }
        for k, array in self._given_first.items():
            assert self.processes.records[k]["kind"] == GIVEN
            self.processes.records[k]["given_first"] = device.address(array)
        self.clock = device.to_device(np.zeros(2, np.int64))
        self.net = np.zeros(1, NET)  # what kernels take by value
        tiles = [-(-p.n // device.tile) for p in self.plan.populations]
        items = device.empty(max(1, synapses.n_items(device.chunk)), ITEM)
        self._kept.append(items)
        status = device.address(self.status)
        for name, value in {
            "clock": device.address(self.clock),
            "n_tiles": layout.n_tiles, "n_units": self.processes.units.size,
            "n_slots": synapses.n_slots, "n_channels": layout.n_channels,
            "delay_bits": synapses.delay_bits, "populations": self._put(populations),
            "tile_population": self._put(np.repeat(np.arange(len(tiles)), tiles).astype(np.int32)),
            "processes": self._put(self.processes.records),
            "unit_process": self._put(self.processes.units),
            "ring": device.address(self.ring), "row": device.address(rows.row),
            "synapses": device.address(rows.words),
            "weights": device.address(rows.weights), "n_weighted": synapses.n_weighted,
            "groups": self._put(groups), "drawn": self._put(drawings),
            "items": device.address(items), "records": device.address(self.records),
            "n_items": status, "n_records": status + 16, "n_spikes": status + 24,
            "n_events": status + 32, "failure": status + 40,
        }.items():  # fmt: skip
            self.net[name] = value
        self.plastic.allocate(self.net, synapses.scale)
        self.samples = self._samples()
        self._samples_on_device = device.to_device(self.samples)
        self.net["samples"] = device.address(self._samples_on_device)
        self.net["n_samples"] = self.samples.size

    def _population(self, p: PopulationPlan) -> np.ndarray:
        """Return the record of a population, its arrays allocated."""
        device, layout = self.device, self.layout
        kinds = list(dict.fromkeys(self.bodies.values()))
        record = np.zeros((), POPULATION)
        record["kind"], record["n"] = kinds.index(self.bodies[p.index]), p.n
        record["source"], record["channel"] = layout.source[p.index], layout.channel[p.index]
        record["first_tile"], record["recorded"] = layout.tile[p.index], p.index in self._recorded
        record["key"] = p.noise_key[0] | p.noise_key[1] << 32
        record["scale"] = self._put(self.synapses.scale[p.index])
        record["first_group"], record["n_groups"] = self.synapses.groups_of(p.index)
        record["first_drawn"], record["n_drawn"] = self.synapses.drawn_of(p.index)
        if p.model is None:
            return record
        coefficients = self.emitters[p.index].coefficient
        self.states[p.index] = device.to_device(self.initial(p.model))
        self.until[p.index] = device.to_device(np.zeros(p.n, np.int32))
        record["state"] = device.address(self.states[p.index])
        record["until"] = device.address(self.until[p.index])
        record["scalars"] = self._put(np.array(coefficients.scalars, self.real))
        record["arrays"] = self._put(np.array(coefficients.arrays, self.real).reshape(-1))
        if self.emitters[p.index].adaptive:
            self.substep[p.index] = device.to_device(np.full(p.n, p.model.dt, self.real))
            record["substep"] = device.address(self.substep[p.index])
        currents = build_currents(self.plan, p.index, self._put)
        record["currents"], record["n_currents"] = self._put(currents), currents.size
        return record

    def initial(self, model: LoweredModel) -> np.ndarray:
        """Return the initial states of a population as they lie on the device."""
        return self.stacked(model.initial, model)

    def stacked(self, states: Mapping[str, np.ndarray], model: LoweredModel) -> np.ndarray:
        """Return states by name as one array: state by state."""
        rows = [np.asarray(states[s], self.real) for s in model.states]
        return np.concatenate(rows) if rows else np.zeros(0, self.real)

    def _samples(self) -> np.ndarray:
        self.outs, rows = [], []
        for k, r in enumerate(self.plan.states):
            p = self.plan.populations[r.population]
            assert p.model is not None
            out = self.device.empty(self.sample_rows[k] * self.row_sizes[k], self.real)
            self.outs.append(out)
            ids = self._put(r.ids.astype(np.int64))
            for j, name in enumerate(r.names):
                sample = np.zeros((), SAMPLE)
                at = p.model.states.index(name) * p.n * self.real.itemsize
                sample["state"] = self.device.address(self.states[p.index]) + at
                sample["ids"], sample["n"], sample["every"] = ids, r.ids.size, min(r.every, _NEVER)
                sample["out"] = self.device.address(out) + j * r.ids.size * self.real.itemsize
                sample["stride"] = self.row_sizes[k]
                rows.append(sample)
        return np.array(rows, SAMPLE)

    @cached_property
    def program(self) -> Program:
        """The kernels of the ring variant, compiled when they are first needed."""
        synapses = self.synapses
        form = replace(self.form, wide=synapses.word.itemsize == 8, drawn=bool(synapses.drawn))
        bodies = list(dict.fromkeys(self.bodies.values()))
        self.source = source_text(bodies, form, self.plastic.text)
        # drawn again, synapses have to be the same to the last bit
        return self.device.compile(self.source, exact=form.deterministic or form.drawn)

    # ---- running

    def most_steps(self, start: int) -> int:
        """Return how many steps after `start` can be run before recordings must be fetched."""
        most = _MOST_STEPS
        if self.worst_records:
            most = min(most, self.n_records // self.worst_records)
        for r, rows in zip(self.plan.states, self.sample_rows, strict=True):
            most = min(most, (start // r.every + rows + 1) * r.every - 1 - start)
        return most

    def begin(self, start: int, n_steps: int) -> None:
        """Prepare for the steps after `start`."""
        for k, array in self._given_first.items():
            first = np.zeros(_MOST_STEPS + 1, np.int64)
            first[: n_steps + 1] = self.processes.first_of(k, start, n_steps)
            self.device.store(array, first)
        if self.samples.size:
            every = np.repeat(
                [r.every for r in self.plan.states], [len(r.names) for r in self.plan.states]
            )
            self.samples["first"] = np.minimum(every - start % every, _NEVER)
            self.device.store(self._samples_on_device, self.samples)
        self.device.store(self.clock, np.array([start, start]))
