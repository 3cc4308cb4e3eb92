"""Plastic projections on the device: rows, histories of targets, and reading them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from neurosim.engines.gpu import plastic_state
from neurosim.engines.gpu.device import Device
from neurosim.engines.gpu.drawing import Drawing
from neurosim.engines.gpu.emit_plastic import RuleEmitter, dispatch
from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.measured import number
from neurosim.engines.gpu.plastic_structs import RULE, SPIKE, declarations
from neurosim.engines.gpu.source import Format, plastic_text
from neurosim.errors import SimulationError
from neurosim.lower.connectivity import Edges
from neurosim.lower.expand import expand
from neurosim.lower.plan import ConnectionPlan, Plan

#: Before anything: the history of each target begins with an event that long ago.
LONG_AGO = -(2**30)
#: Words of `net.plastic`, see plastic.cu.
_WORDS, _SWEPT, _OVERFLOW = 6, 4, 5
_NO_OVERFLOW = 2**64 - 1
#: Spikes of a neuron within a step of the adaptive method that a history has room for.
_AT_ONCE = 4
_C_TYPES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
#: Launches a kernel with its arguments.
Launch = Callable[[str, tuple[Any, ...]], None]


class PlasticProjection:
    """The synapses of one plastic projection.

    Parameters
    ----------
    plan : Plan
    connection : ConnectionPlan
    layout : Layout
    real : dtype
    counts : (n_sources,) array
        Synapses of each source.
    measured : dict
        What else the device has measured (`MEASURED`).
    """

    def __init__(
        self, plan: Plan, connection: ConnectionPlan, layout: Layout, real: np.dtype,
        counts: np.ndarray, measured: Mapping[str, int],
    ) -> None:  # fmt: skip
        assert connection.plasticity is not None
        self.connection, self.plan, self.real = connection, connection.plasticity, real
        pre, post = (plan.populations[p] for p in (connection.pre, connection.post))
        assert post.model is not None
        self.n_sources, self.n_targets = pre.n, post.n
        self.target, self.target_name = post.model, post.name
        self.channel = int(layout.channel[post.index])
        self.emitter = RuleEmitter(
            self.plan, plan.dt, not connection.spec.absolute, post.model.states
        )
        self.lengths, self.n_synapses = counts.astype(np.int64), int(counts.sum())
        signs = ("POSITIVE", "NEGATIVE")
        self.largest = list(
            zip(connection.spec.receptors, (number(measured[s]) for s in signs), strict=True)
        )
        if self.n_synapses:
            extremes = [-number(measured["NEGATIVE"]), number(measured["POSITIVE"])]
            extremes = [w for w in extremes if w] + [number(measured["LEAST"])]
            self.plan.check_drawn(np.array(extremes), connection.name)
        self.longest_delay = measured["LONGEST_DELAY"]
        self.delay_bits = max(1, self.longest_delay).bit_length()
        n_channels = int(layout.rows[post.index]) * post.n
        self.is_wide = n_channels << self.delay_bits > 2**32
        self.longest = int(self.plan.shift(self.longest_delay))
        self.capacity, self.limit = self._room()
        self.edge = 0
        self.arrays: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Name of the projection."""
        return self.connection.name

    @property
    def n_kept(self) -> int:
        """Steps for which states of the targets are kept."""
        return self.longest + self.plan.lag + 2

    @cached_property
    def edges(self) -> Edges:
        """The synapses in the order of results, drawn on the host when somebody looks at them."""
        return expand(self.connection.spec).by_target()

    @cached_property
    def rank(self) -> np.ndarray:
        """Place of each synapse of the rows in the order of results."""
        e = self.edges
        channel = e.receptor * self.n_targets + e.post
        # those that are alike in all of this are alike forever
        return np.lexsort((e.weight.astype(self.real), channel, e.delay_steps, e.pre))

    def _room(self) -> tuple[int, int]:
        """Return the length of the histories, and at which one a sweep is due.

        What is on its way to the synapses has to fit twice, so that sweeps are rare.
        """
        model, often, at_once = self.target, 1, 1
        if self.plan.spec.post_event is None:
            often = max(1, int(np.min(model.refractory_steps)))
            if model.spec.threshold_test == "substep":
                at_once = _AT_ONCE
        waiting = (self.longest // often + 2) * at_once
        capacity = 1 << (2 * (waiting + 2 * at_once) + 23).bit_length()
        return capacity, capacity - 4 - 2 * at_once

    def columns(self) -> dict[str, np.ndarray]:
        """Return the arrays of the device that are made on the host, before the first step."""
        plan, real = self.plan, self.real
        largest = np.finfo(real).max  # a bound may be beyond single precision
        numbers = np.clip(self.emitter.numbers or [0.0], -largest, largest)
        traces = np.repeat([t.init for t in plan.traces["presynaptic"]], self.n_sources)
        history, counts = self.begun()
        columns = {
            "numbers": numbers.astype(real),
            "last": np.zeros(self.n_sources, np.int64),
            "past": np.zeros(self.n_sources, np.int64),
            "traces": traces.astype(real), "before": traces.astype(real),
            "history": history, "counts": counts, "swept": counts,
        }  # fmt: skip
        if self.emitter.uses_random:
            columns["ranks"] = self.rank.astype(np.uint32)
        if plan.sampled:
            columns["samples"] = self.first_samples()
        return columns

    def first_samples(self) -> np.ndarray:
        """Return what targets were before the first step: (states, n_kept, targets)."""
        rows = [self.target.initial[s] for s in self.plan.sampled]
        now = np.broadcast_to(rows, (len(rows), self.n_targets))
        return np.repeat(now[:, None], self.n_kept, axis=1).astype(self.real)

    def begun(self) -> tuple[np.ndarray, np.ndarray]:
        """Return histories that begin with an event of long ago, and how long they are."""
        posts = self.plan.traces["postsynaptic"]
        history = np.zeros((self.n_targets, self.capacity, self.emitter.record), self.real)
        self.steps_of(history)[:, 0] = LONG_AGO
        history[:, 0, 1 : 1 + len(posts)] = [t.init for t in posts]
        return history, np.ones(self.n_targets, np.int32)

    def steps_of(self, history: np.ndarray) -> np.ndarray:
        """Return the view of the events' steps: (targets, capacity)."""
        whole = np.dtype(f"int{8 * self.real.itemsize}")
        return history.view(whole)[:, :, 0]

    def record(self, kind: int, addresses: dict[str, int]) -> np.ndarray:
        """Return what kernels know of the projection."""
        record = np.zeros((), RULE)
        known = {
            "kind": kind, "pre": self.connection.pre, "post": self.connection.post,
            "every": self.emitter.every, "channel": self.channel, "n_sources": self.n_sources,
            "n_targets": self.n_targets, "n_synapses": self.n_synapses,
            "delay_bits": self.delay_bits, "edge": self.edge, "record": self.emitter.record,
            "capacity": self.capacity, "limit": self.limit, "longest": self.longest,
            "key": self.plan.key[0] | self.plan.key[1] << 32, "n_kept": self.n_kept,
        }  # fmt: skip
        for name, value in (known | addresses).items():
            record[name] = value
        return record


class PlasticNetwork:
    """All plastic projections of a network; there may be none.

    Parameters
    ----------
    plan : Plan
    layout : Layout
    real : dtype
    device : Device
    """

    def __init__(self, plan: Plan, layout: Layout, real: np.dtype, device: Device) -> None:
        self.device, self.dt, self.real = device, plan.dt, real
        connections = [c for c in plan.connections if c.plasticity is not None]
        self.parts: list[PlasticProjection] = []
        if connections:
            form = Format(_C_TYPES[real], False, False, device.tile, device.chunk)
            self._drawing = Drawing(plan, layout, device, form, connections)
            found = self._drawing.counts, self._drawing.measured
            self.parts = [
                PlasticProjection(plan, c, layout, real, counts, measured)
                for c, counts, measured in zip(connections, *found, strict=True)
            ]
            for name in ("positive", "negative"):  # channels of targets are counted from their own
                self._drawing.records[name] -= [part.channel for part in self.parts]
        self.wide = any(part.is_wide for part in self.parts)
        sources = [part.emitter.source for part in self.parts]
        kinds = list(dict.fromkeys(sources))
        self._kinds = [kinds.index(source) for source in sources]
        self._columns = [part.columns() for part in self.parts]
        self.n_synapses = sum(part.n_synapses for part in self.parts)
        self.n_spikes = sum(int((-(-part.lengths // device.chunk)).sum()) for part in self.parts)
        self.nbytes = self.n_spikes * SPIKE.itemsize + sum(
            column.nbytes for columns in self._columns for column in columns.values()
        )
        for part in self.parts:
            each = self.word.itemsize + real.itemsize * (1 + len(part.plan.states))
            self.nbytes += each * part.n_synapses + 8 * (part.n_sources + 1)

    @property
    def word(self) -> np.dtype[Any]:
        """Type of a synapse."""
        return np.dtype(np.uint64 if self.wide else np.uint32)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __getitem__(self, name: str) -> PlasticProjection | None:
        """Return a projection, None if it is not plastic."""
        return next((part for part in self.parts if part.name == name), None)

    def longest_delays(self) -> list[int]:
        """Return the longest delay of each projection [steps]."""
        return [max(1, part.longest_delay) for part in self.parts]

    def note_largest(self, largest: list[np.ndarray]) -> None:
        """Raise the largest absolute weights, by population and receptor, to those drawn here."""
        for part in self.parts:
            of = largest[part.connection.post]
            for receptor, weight in part.largest:
                of[receptor] = max(of[receptor], weight)

    @property
    def text(self) -> str:
        """What plastic synapses add to the source of a network."""
        if not self.parts:
            return ""
        first = [self._kinds.index(k) for k in range(max(self._kinds) + 1)]
        rules = dispatch([self.parts[i].emitter for i in first])
        every = any(part.emitter.every for part in self.parts)
        return plastic_text(declarations(_C_TYPES[self.real], self.wide), rules, every)

    def allocate(self, net: np.ndarray, scale: Sequence[np.ndarray]) -> None:
        """Put everything on the device, and tell the network's record where it is.

        Parameters
        ----------
        net : NET
        scale : sequence of arrays
            Of each population: what one unit of each row of channels stands for.
        """
        device = self.device
        for k, (part, columns) in enumerate(zip(self.parts, self._columns, strict=True)):
            columns["scale"] = scale[part.connection.post]
            part.arrays = {name: device.to_device(column) for name, column in columns.items()}
            rows = self._drawing.fill(
                [(k, 0)], part.lengths, part.n_synapses, part.delay_bits, self.word
            )
            part.arrays |= {"row": rows.row, "words": rows.words, "weights": rows.weights}
            init = [part.plan.init[s] for s in part.plan.states]
            part.arrays["states"] = self._drawing.repeated(init, part.n_synapses)
            self._drawing.forget(k)
        self._columns = []
        self._rules = device.to_device(self._records())
        self._spikes = device.empty(max(1, self.n_spikes), SPIKE)
        self._words = device.to_device(self._begun(0))
        net["n_rules"] = len(self.parts)
        for name, array in (
            ("rules", self._rules), ("spikes", self._spikes), ("plastic", self._words)
        ):  # fmt: skip
            net[name] = device.address(array)

    def _records(self) -> np.ndarray:
        records = [
            part.record(kind, {n: self.device.address(a) for n, a in part.arrays.items()})
            for part, kind in zip(self.parts, self._kinds, strict=True)
        ]
        return np.array(records, RULE)

    @staticmethod
    def _begun(step: int) -> np.ndarray:
        words = np.zeros(_WORDS, np.uint64)
        words[_SWEPT], words[_OVERFLOW] = step, _NO_OVERFLOW
        return words

    def _begin(self, step: int) -> None:
        """Take over arrays that have been replaced, as of a step."""
        if self.parts:
            self.device.store(self._rules, self._records())
            self.device.store(self._words, self._begun(step))

    def check(self) -> None:
        """Raise SimulationError if the history of a target has overflowed."""
        if not self.parts:
            return
        overflow = int(self.device.fetch(self._words)[_OVERFLOW])
        if overflow != _NO_OVERFLOW:
            part = self.parts[overflow & 0xFFFFFFFF]
            raise SimulationError(
                f"projection {part.name!r}: at t = {(overflow >> 32) * self.dt:g} ms more than "
                f"{part.capacity - 2} spikes of one neuron of population {part.target_name!r} were "
                "on their way to its plastic synapses, which is more than engine 'gpu' keeps. Use "
                "engine='cpu', or a refractory time."
            )

    # ---- reading and saving

    def settle(self, step: int, launch: Launch, net: np.ndarray) -> None:
        """Let all synapses catch up with the step of the clock; no bit of what follows changes."""
        launch("catch_up", (net,))
        words = self.device.fetch(self._words)
        words[_SWEPT] = step
        self.device.store(self._words, words)

    def _now(self, part: PlasticProjection, launch: Launch, net: np.ndarray) -> list[np.ndarray]:
        """Return weights and states as they are, after `settle`, in the order of the rows."""
        n, n_states = part.n_synapses, len(part.plan.states)
        if not part.emitter.evolving:
            states = self.device.fetch(part.arrays["states"]).reshape(n_states, n)
            return [self.device.fetch(part.arrays["weights"]), *states]
        out = self.device.empty((1 + n_states) * n, self.real)
        number = np.int32(self.parts.index(part))
        launch("peek", (net, number, np.uint64(self.device.address(out))))
        return list(self.device.fetch(out).reshape(1 + n_states, n))

    def edges(self, part: PlasticProjection, launch: Launch, net: np.ndarray) -> Edges:
        """Return the synapses of a projection, with their weights as they are after `settle`."""
        e, weight = part.edges, np.empty(part.n_synapses)
        weight[part.rank] = self._now(part, launch, net)[0]
        return Edges(e.pre, e.post, weight, e.delay_steps, e.receptor)

    def state(self, step: int, launch: Launch, net: np.ndarray) -> dict[str, Any]:
        """Return everything that a continued run needs, after `settle`."""
        return {
            part.name: plastic_state.state_of(part, self.device, self._now(part, launch, net), step)
            for part in self.parts
        }

    def reset(self, step: int, launch: Launch, net: np.ndarray) -> None:
        """Forget traces and what is on its way, after `settle`; weights and states stay."""
        for part in self.parts:
            plastic_state.reset(part, self.device, self._now(part, launch, net), step)
        self._begin(step)

    def restore(self, saved: Mapping[str, Any], step: int) -> None:
        """Continue from what `state` returned."""
        for part in self.parts:
            plastic_state.restore(part, self.device, saved[part.name], step)
        self._begin(step)
