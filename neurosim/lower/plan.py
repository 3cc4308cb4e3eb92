"""The Plan: a checked network with numbers, engine-neutral, ready to be built.

`lower` turns a Network into a Plan; every check that needs dt or the whole network is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurosim.errors import NetworkError, ParameterError
from neurosim.lower.axons import steps_on_relay, with_relays, without
from neurosim.lower.connectivity import ConnectionSpec, specify
from neurosim.lower.described import (
    checked_source_ids,
    coherent_values,
    initial_values,
    injected_parameters,
    input_weight,
    used_receptors,
)
from neurosim.lower.gaps import GapPlan, lower_gaps
from neurosim.lower.grid import to_step, to_steps
from neurosim.lower.memory import check_neurons
from neurosim.lower.model import LoweredModel, lower_model
from neurosim.lower.plasticity import PlasticityPlan, lower_plasticity
from neurosim.lower.poisson import PoissonProcess, poisson_process
from neurosim.lower.records import checked_records
from neurosim.lower.signals import SignalPlan, lower_signals
from neurosim.lower.third_factor import listed
from neurosim.models.base import NeuronModel
from neurosim.models.sources import inhomogeneous_poisson, parrot, poisson, spike_source
from neurosim.network import NoiseCurrent, Spikes, StepCurrent, Weights
from neurosim.network.distributions import CONSTANT, Lowered
from neurosim.random import stream_key


@dataclass(frozen=True)
class PopulationPlan:
    """One population: `model` for neurons; `process` or `given` for sources; else a parrot."""

    name: str
    index: int
    n: int
    kind: str
    receptors: tuple[str, ...]
    model: LoweredModel | None = None
    process: PoissonProcess | None = None
    given_steps: np.ndarray | None = None
    given_ids: np.ndarray | None = None
    noise_key: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ConnectionPlan:
    """One projection: where it goes from and to, and its specification.

    Of its delay, `early` steps are spent on a relay that is its source here (`axons`).
    """

    name: str
    pre: int
    post: int
    spec: ConnectionSpec
    plasticity: PlasticityPlan | None = None
    early: int = 0


@dataclass(frozen=True)
class InputPlan:
    """Independent Poisson input: member k of the process drives neuron ids[k]."""

    name: str
    population: int
    receptor: int
    weight: float
    ids: np.ndarray
    process: PoissonProcess


@dataclass(frozen=True)
class InjectionPlan:
    """An injected current: `steps` and `values`, or noise with mean, std, first, last, every."""

    population: int
    ids: np.ndarray
    kind: str
    steps: np.ndarray
    values: np.ndarray
    mean: float = 0.0
    std: float = 0.0
    first: int = 0
    last: int = 0
    every: int = 1
    key: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class StateRecord:
    """Recorded states of some neurons, every `every` steps of `step` ms."""

    population: int
    names: tuple[str, ...]
    ids: np.ndarray
    every: int
    step: float


@dataclass(frozen=True)
class Plan:
    """Everything an engine builds from."""

    dt: float
    seed: int
    connectivity_seed: int
    populations: tuple[PopulationPlan, ...]
    connections: tuple[ConnectionPlan, ...]
    inputs: tuple[InputPlan, ...]
    injections: tuple[InjectionPlan, ...]
    spikes: tuple[Spikes, ...]
    states: tuple[StateRecord, ...]
    weights: tuple[Weights, ...]
    gaps: GapPlan | None = None
    signals: tuple[SignalPlan, ...] = ()

    def stepped_for(self, population: int) -> str | None:
        """Return why a population must be advanced in every step, or None."""
        if self.gaps is not None and population in self.gaps.populations:
            return "gap junctions act on it in every step"
        for signal in self.signals:
            if signal.pre == population:
                return f"coupling {signal.name!r} samples its states"
        return None

    @property
    def delay_unit(self) -> float:
        """What delays of synapses are counted in [ms]."""
        return self.dt


def lower(
    network: Any, dt: float, seed: int, connectivity_seed: int, record: Sequence[Any]
) -> Plan:
    """Return the Plan of a network on a grid of step dt [ms].

    Raises
    ------
    NeurosimError
        For whatever is wrong with the network; the message names it.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise ParameterError(f"dt = {dt!r} ms: the step must be a positive number.")
    inject = injected_parameters(network)
    check_neurons(network)
    used = used_receptors(network)
    populations = tuple(
        _population(p, dt, seed, inject.get(p.index), used[p.index])
        for p in network.populations.values()
    )
    records = _records(network, record, dt)
    models = {p.index: p.model for p in populations if p.model is not None}
    connections = tuple(
        connection_plan(c, dt, connectivity_seed, used, seed) for c in network.projections.values()
    )
    populations, connections = with_relays(populations, connections, dt)
    return Plan(
        dt, seed, connectivity_seed, populations, connections,
        tuple(_input(i, dt, seed, used) for i in network.inputs.values()),
        tuple(_injection(j, dt, seed) for j in network.injections.values()),
        *records,
        lower_gaps(network, models, dt, connectivity_seed),
        lower_signals(network, models, dt, connectivity_seed),
    )  # fmt: skip


def _population(
    p: Any, dt: float, seed: int, inject: str | None, receptors: tuple[str, ...]
) -> PopulationPlan:
    model = p.model
    base = (p.name, p.index, p.n)
    if isinstance(model, NeuronModel):
        lowered = lower_model(
            model, coherent_values(p, seed), initial_values(p, seed), p.n, dt, inject, receptors
        )
        key = stream_key(seed, "white noise", p.name)
        return PopulationPlan(*base, "neuron", receptors, lowered, noise_key=key)
    if isinstance(model, parrot):
        return PopulationPlan(*base, "parrot", receptors)
    if isinstance(model, poisson):
        rate = coherent_values(p, seed)["rate"]
        process = poisson_process(rate * dt, p.n, p.name, seed)
        return PopulationPlan(*base, "poisson", (), process=process)
    if isinstance(model, inhomogeneous_poisson):
        times, rates = model.values["times"], model.values["rates"]
        changes = to_steps(times, dt, f"{p.name}: times", exact=False)
        largest = float(rates.max())
        process = poisson_process(
            largest * 1e-3 * dt, p.n, p.name, seed, changes + 1, rates / (largest or 1.0)
        )
        return PopulationPlan(*base, "poisson", (), process=process)
    if isinstance(model, spike_source):
        return _given(p, dt, base)
    raise NetworkError(f"population {p.name!r}: {type(model).__name__} is no model that can run.")


def _given(p: Any, dt: float, base: tuple[str, int, int]) -> PopulationPlan:
    values, ids = p.model.values, checked_source_ids(p)
    steps = to_steps(
        values["times"], dt, f"spike_source of population {p.name!r}: times",
        exact=not values["round_times"], remedy="round_times=True",
    )  # fmt: skip
    order = np.lexsort((ids, steps))
    return PopulationPlan(
        *base, "given", (), given_steps=np.maximum(steps[order], 1), given_ids=ids[order]
    )


def connection_plan(
    c: Any,
    dt: float | None,
    connectivity_seed: int,
    used: dict[int, tuple[str, ...]],
    seed: int = 0,
) -> ConnectionPlan:
    """Return the plan of a projection; without `dt` its delays stay as they are."""
    model = c.post.population.model
    absolute = isinstance(model, NeuronModel) and model.spec.absolute
    spec = specify(c, dt=dt, connectivity_seed=connectivity_seed, absolute=absolute)
    if isinstance(model, parrot) and c.synapse is not None:
        raise NetworkError(
            f"projection {c.name!r}: parrots repeat spikes whatever their weight; plastic synapses "
            "need a neuron as target."
        )
    if isinstance(model, parrot):  # it counts the spikes that reach it, whatever their weight
        spec = replace(spec, weight=Lowered(CONSTANT, 1.0), constant=True)
    names = used[spec.post_population]
    # a receptor that no weight reaches has no index; 0 stands in for it
    rows = tuple(names.index(r) if r in names else 0 for r in c.receptors)
    rule = listed(c.rule, c.pre.population.network, dt, connectivity_seed, c.post)
    spec = replace(spec, receptors=(rows[0], rows[1]), rule=rule)
    plasticity, early = None, 0
    if c.synapse is not None:
        if dt is None:
            raise NetworkError(
                f"projection {c.name!r}: plastic synapses run on a grid; give a step such as "
                "dt=0.1 instead of dt=None."
            )
        plasticity = lower_plasticity(c, dt, seed)
        early = steps_on_relay(spec, c.axonal)
        plasticity = replace(plasticity, axonal=min(c.axonal, 0.5))
    return ConnectionPlan(
        c.name, spec.pre_population, spec.post_population, without(spec, early), plasticity, early
    )


def _input(i: Any, dt: float, seed: int, used: dict[int, tuple[str, ...]]) -> InputPlan:
    population = i.target.population
    ids = i.target.ids
    contiguous = bool(np.array_equal(ids, np.arange(ids[0], ids[0] + ids.size)))
    process = poisson_process(
        i.rate * 1e-3 * i.n * dt, ids.size, i.name, seed, is_input=True, dense_allowed=contiguous
    )
    receptor = used[population.index].index(i.receptor)
    return InputPlan(i.name, population.index, receptor, input_weight(i), ids, process)


def _injection(j: Any, dt: float, seed: int) -> InjectionPlan:
    index, ids = j.target.population.index, j.target.ids
    scale = j.target.population.model.parameters[j.parameter].parsed_unit.scale
    none = np.zeros(0, np.int64)
    if isinstance(j.current, StepCurrent):
        steps = to_steps(j.current.times, dt, f"{j.name}: times", exact=True)
        return InjectionPlan(index, ids, "steps", steps, j.current.values * scale)
    current: NoiseCurrent = j.current
    every = 1
    if current.dt is not None:
        every = to_step(current.dt, dt, f"{j.name}: dt", at_least=1)
    first = to_step(current.start, dt, f"{j.name}: start")
    last = 2**62
    if np.isfinite(current.stop):
        last = to_step(current.stop, dt, f"{j.name}: stop")
    return InjectionPlan(
        index, ids, "noise", none, np.zeros(0), current.mean * scale, current.std * scale,
        first, last, every, stream_key(seed, "current", j.name),
    )  # fmt: skip


def _records(
    network: Any, record: Sequence[Any], dt: float
) -> tuple[tuple[Spikes, ...], tuple[StateRecord, ...], tuple[Weights, ...]]:
    spikes, states, weights = checked_records(network, record)
    rows = []
    for item in states:
        every = to_step(item.interval, dt, f"State({item.target.name!r}): interval", at_least=1)
        rows.append(
            StateRecord(item.target.population.index, tuple(item.names), item.target.ids, every, dt)
        )
    return spikes, tuple(rows), weights
