"""ReferenceRunner: the meaning of a Plan, spelled out in NumPy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.engines.base import Runner
from neurosim.engines.reference.couplings import Gaps, Signal
from neurosim.engines.reference.neurons import Neurons
from neurosim.engines.reference.plasticity import PlasticSynapses
from neurosim.engines.reference.sources import given_counts, poisson_counts
from neurosim.errors import SimulationError
from neurosim.lower.connectivity import Edges, count_estimate, largest_projection
from neurosim.lower.expand import expand
from neurosim.lower.injection import injected
from neurosim.lower.memory import require_memory
from neurosim.lower.plan import ConnectionPlan, Plan

#: Most steps between two looks at the clock.
_CHUNK = 200
#: Bytes that a synapse takes while it is drawn with plain NumPy.
_SYNAPSE_BYTES = 160


class _Connection:
    """A projection's synapses, sorted by source."""

    def __init__(self, plan: ConnectionPlan, n_pre: int) -> None:
        self.plan = plan
        self.edges = expand(plan.spec)
        self.first = np.searchsorted(self.edges.pre, np.arange(n_pre + 1))

    def of(self, sources: np.ndarray) -> np.ndarray:
        """Return the synapses of some spikes, in the order of the spikes."""
        parts = [np.arange(self.first[s], self.first[s + 1]) for s in sources]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _check_synapses(plan: Plan) -> None:
    require_memory(
        _SYNAPSE_BYTES * sum(count_estimate(c.spec)[0] for c in plan.connections),
        f"synapses ({largest_projection(plan.connections)}), expanded for the reference engine, "
        "need",
        "Use engine='cpu' or fewer synapses.",
    )


class ReferenceRunner(Runner):
    """A built network in NumPy."""

    def __init__(self, plan: Plan) -> None:
        started = time.perf_counter()
        _check_synapses(plan)
        self.plan = plan
        self._step = 0
        self.neurons = {
            p.index: Neurons(p.model, p.noise_key) for p in plan.populations if p.model is not None
        }
        self.connections = [_Connection(c, plan.populations[c.pre].n) for c in plan.connections]
        self.plastic = {
            c.plan.name: PlasticSynapses(
                c.plan.plasticity, c.plan.spec, c.edges, plan.populations[c.plan.pre].n,
                plan.populations[c.plan.post].n, plan.dt,
                getattr(plan.populations[c.plan.post].model, "initial", {}),
            )
            for c in self.connections
            if c.plan.plasticity is not None
        }  # fmt: skip
        slots = max(
            (int(c.edges.delay_steps.max()) for c in self.connections if len(c.edges)), default=1
        )
        self.slots = slots + 1
        require_memory(
            8 * self.slots * sum(p.n * len(p.receptors) for p in plan.populations),
            f"the input on its way to the neurons, up to {slots} steps long, needs",
            "Use shorter delays or a larger dt.",
        )
        # input to come: slot, receptor, neuron
        self.ring = {
            p.index: np.zeros((self.slots, len(p.receptors), p.n)) for p in plan.populations
        }
        self.gaps = None if plan.gaps is None else Gaps(plan.gaps, self.neurons, plan.dt)
        self.signals = {s.name: Signal(s, plan.dt) for s in plan.signals}
        self._sample(0)
        self._recorded = sorted({s.target.population.index for s in plan.spikes})
        self._spikes: dict[int, list[tuple[int, np.ndarray]]] = {p: [] for p in self._recorded}
        self._states: list[list[np.ndarray]] = [[] for _ in plan.states]
        self._counts = {"spikes": 0, "synaptic_events": 0, "neuron_updates": 0}
        self._seconds = {"build": time.perf_counter() - started, "run": 0.0}

    @property
    def time(self) -> float:
        """Model time [ms]."""
        return self._step * self.plan.dt

    def advance(self, stop: float) -> None:
        """Run some steps, at most to time `stop`."""
        started = time.perf_counter()
        last = min(round(stop / self.plan.dt), self._step + _CHUNK)
        while self._step < last:
            self._step += 1
            self._one_step(self._step)
        self._seconds["run"] += time.perf_counter() - started

    def _one_step(self, step: int) -> None:
        plan = self.plan
        slot = step % self.slots
        if self.gaps is not None:
            self.gaps.half_step(step)
        for i in plan.inputs:
            counts = poisson_counts(i.process, step)
            np.add.at(self.ring[i.population][slot, i.receptor], i.ids, i.weight * counts)
        spikes = [self._population_step(p.index, step, slot) for p in plan.populations]
        for connection in self.connections:
            edges = connection.edges
            if connection.plan.plasticity is None:
                chosen = connection.of(spikes[connection.plan.pre])
                weights = edges.weight[chosen]
            else:
                edges = self.plastic[connection.plan.name].edges
                chosen, weights = self._plastic_step(connection.plan, step, spikes)
            slots = (step + edges.delay_steps[chosen]) % self.slots
            where = (slots, edges.receptor[chosen], edges.post[chosen])
            np.add.at(self.ring[connection.plan.post], where, weights)
            self._counts["synaptic_events"] += chosen.size
        if self.gaps is not None:
            self.gaps.half_step(step)
        self._sample(step)
        for p in self._recorded:
            self._spikes[p].append((step, spikes[p]))
        for k, record in enumerate(plan.states):
            if step % record.every == 0:
                states = self.neurons[record.population].states
                self._states[k].append(np.array([states[s][record.ids] for s in record.names]))

    def _current(self, index: int, step: int) -> np.ndarray:
        """Return the current into every neuron of a population during a step."""
        current = injected(self.plan.injections, index, self.plan.populations[index].n, step)
        for signal in self.signals.values():
            if signal.plan.post == index:
                current = current + signal.current(step)
        return current

    def _sample(self, step: int) -> None:
        for signal in self.signals.values():
            signal.sample(step, self.neurons[signal.plan.pre].states)

    def _plastic_step(
        self, c: ConnectionPlan, step: int, spikes: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Advance a plastic projection; return what its synapses send."""
        p, target = c.plasticity, self.neurons.get(c.post)
        assert p is not None
        emitted = np.zeros(0) if p.modulator is None else spikes[p.modulator]
        if p.modulator_ids is not None:
            emitted = emitted[np.isin(emitted, p.modulator_ids)]
        return self.plastic[c.name].step(
            step, spikes[c.pre], spikes[c.post], {} if target is None else target.states,
            emitted.size,
        )  # fmt: skip

    def _population_step(self, index: int, step: int, slot: int) -> np.ndarray:
        """Advance a population; return the ids of its spikes, ascending."""
        p = self.plan.populations[index]
        arrivals = self.ring[index][slot]
        if p.process is not None:
            ids = np.repeat(np.arange(p.n), poisson_counts(p.process, step))
        elif p.given_steps is not None and p.given_ids is not None:
            ids = given_counts(p.given_steps, p.given_ids, step)
        elif p.model is None:
            ids = np.repeat(np.arange(p.n), arrivals.sum(axis=0).astype(np.int64))
        else:
            current = self._current(index, step)
            neurons = self.neurons[index]
            ids = neurons.step(step, arrivals, current)
            self._counts["neuron_updates"] += p.n
            bad = neurons.not_finite()
            if bad is not None:
                raise SimulationError(
                    f"a state of neuron {bad} of population {p.name!r} stopped being a finite "
                    f"number at t = {self.time:g} ms. Use a smaller dt, another method, or check "
                    "the weights."
                )
        arrivals[:] = 0.0
        self._counts["spikes"] += ids.size
        return ids

    def drain(self) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """Return what was recorded since the last call."""
        spikes = {}
        for p, rows in self._spikes.items():
            ids = np.concatenate([np.zeros(0, np.int64), *(i for _, i in rows)])
            steps = np.repeat([s for s, _ in rows], [i.size for _, i in rows]).astype(np.int64)
            spikes[p] = (steps * self.plan.dt, ids)
            rows.clear()
        states = []
        for rows_of, record in zip(self._states, self.plan.states, strict=True):
            shape = (len(rows_of), len(record.names), record.ids.size)
            states.append(np.array(rows_of).reshape(shape))
            rows_of.clear()
        return spikes, states

    def edges(self, name: str) -> Edges:
        """Return the synapses of a projection."""
        if name in self.plastic:
            return self.plastic[name].edges_now().by_target()
        return next(c.edges for c in self.connections if c.plan.name == name).by_target()

    def counters(self) -> dict[str, Any]:
        """Return the work done so far."""
        size = sum(r.nbytes for r in self.ring.values())
        return dict(self._counts) | {
            "steps": self._step, "bytes": size, "seconds": dict(self._seconds),
        }  # fmt: skip

    def sources(self) -> dict[str, str]:
        """Return nothing: this engine generates no source."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return everything that a continued run needs."""
        return {
            "step": self._step,
            "counters": dict(self._counts),
            "event": {},
            "populations": {
                index: {
                    "states": dict(n.states), "until": n.until, "substep": n.substep,
                    "last": np.full(n.model.n, self._step), "is_awake": np.zeros(n.model.n, bool),
                    "injected": self._current(index, self._step),
                }
                for index, n in self.neurons.items()
            },
            "arrivals": self._pending(),
            "samples": {name: s.samples for name, s in self.signals.items()},
            "plastic": {name: p.state(self._step) for name, p in self.plastic.items()},
        }  # fmt: skip

    def _pending(self) -> dict[int, tuple[np.ndarray, ...]]:
        """Return the input to come of each population: delay, receptor, neuron, amount."""
        pending: dict[int, tuple[np.ndarray, ...]] = {}
        for index, ring in self.ring.items():
            slot, receptor, neuron = np.nonzero(ring)
            ahead = (slot - self._step) % self.slots
            pending[index] = (ahead, receptor, neuron, ring[slot, receptor, neuron])
        return pending

    def reset(self) -> None:
        """Put neurons back to their initial states and drop input in flight; time goes on."""
        for neurons in self.neurons.values():
            neurons.reset_states()
        for synapses in self.plastic.values():
            synapses.reset()
        for ring in self.ring.values():
            ring[:] = 0.0
        for signal in self.signals.values():
            signal.samples[:] = 0.0
        self._sample(self._step)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._step = int(state["step"])
        self._counts |= {k: int(v) for k, v in state["counters"].items() if k in self._counts}
        for index, saved in state["populations"].items():
            self.neurons[index].restore(saved, self._step)
        for name, synapses in self.plastic.items():
            synapses.restore(state["plastic"][name], self._step)
        for index, (ahead, receptor, neuron, amount) in state["arrivals"].items():
            self.ring[index][(self._step + ahead) % self.slots, receptor, neuron] = amount
        for name, signal in self.signals.items():
            signal.samples[:] = state["samples"][name]
