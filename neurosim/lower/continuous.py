"""The plan of a network in continuous time: no step, times and delays as they were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import NetworkError, ParameterError
from neurosim.lower.described import (
    checked_source_ids,
    coherent_values,
    initial_values,
    injected_parameters,
    input_weight,
    used_receptors,
)
from neurosim.lower.flow import Flow, lower_flow
from neurosim.lower.memory import check_neurons
from neurosim.lower.model import LoweredModel
from neurosim.lower.plan import ConnectionPlan, StateRecord, connection_plan
from neurosim.lower.records import checked_records
from neurosim.models.base import NeuronModel
from neurosim.models.sources import inhomogeneous_poisson, parrot, poisson, spike_source
from neurosim.network import Spikes, StepCurrent, Weights
from neurosim.random import stream_key

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trains:
    """Poisson processes in continuous time, one for each member.

    Attributes
    ----------
    rate : (n,) float64
        Rate of each member where the factor is 1 [1/ms].
    times, factors : (k,) float64
        Times [ms] from which the rates are multiplied by each factor; 0 before the first.
    key : tuple of int
        Philox key; event e of member i has the counter (i, e, e >> 32, 0).
    """

    rate: F64
    times: F64
    factors: F64
    key: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ContinuousPopulation:
    """One population: `flow` for neurons; `trains` or `given_times` for sources; else a parrot."""

    name: str
    index: int
    n: int
    kind: str
    receptors: tuple[str, ...]
    model: LoweredModel | None = None
    flow: Flow | None = None
    trains: Trains | None = None
    given_times: F64 | None = None
    given_ids: I64 | None = None


@dataclass(frozen=True, eq=False)
class ContinuousInput:
    """Independent Poisson input: member k of the trains drives neuron ids[k]."""

    name: str
    population: int
    receptor: int
    weight: float
    ids: I64
    trains: Trains


@dataclass(frozen=True, eq=False)
class ContinuousInjection:
    """A current that takes values[k] from times[k] on."""

    population: int
    ids: I64
    times: F64
    values: F64


@dataclass(frozen=True, eq=False)
class ContinuousPlan:
    """Everything an engine builds a network in continuous time from (see `Plan`)."""

    seed: int
    connectivity_seed: int
    populations: tuple[ContinuousPopulation, ...]
    connections: tuple[ConnectionPlan, ...]
    inputs: tuple[ContinuousInput, ...]
    injections: tuple[ContinuousInjection, ...]
    spikes: tuple[Spikes, ...]
    states: tuple[StateRecord, ...]
    weights: tuple[Weights, ...]

    @property
    def delay_unit(self) -> float:
        """What delays of synapses are counted in [ms]."""
        return 1.0


def lower_continuous(
    network: Any, seed: int, connectivity_seed: int, record: Sequence[Any]
) -> ContinuousPlan:
    """Return the plan of a network in continuous time.

    Raises
    ------
    NeurosimError
        For whatever is wrong with the network; the message names it.
    """
    if network.gaps or network.couplings:
        name = next(iter([*network.gaps, *network.couplings]))
        raise NetworkError(
            f"{name!r} couples neurons all the time and has no exact solution in continuous time "
            "(dt=None); use a step, such as dt=0.1."
        )
    inject = injected_parameters(network)
    check_neurons(network)
    used = used_receptors(network)
    spikes, states, weights = checked_records(network, record)
    return ContinuousPlan(
        seed, connectivity_seed,
        tuple(_population(p, seed, inject.get(p.index), used[p.index])
              for p in network.populations.values()),
        tuple(connection_plan(c, None, connectivity_seed, used)
              for c in network.projections.values()),
        tuple(_input(i, seed, used) for i in network.inputs.values()),
        tuple(_injection(j) for j in network.injections.values()),
        spikes,
        tuple(StateRecord(s.target.population.index, tuple(s.names), s.target.ids, 1, s.interval)
              for s in states),
        weights,
    )  # fmt: skip


def _population(
    p: Any, seed: int, inject: str | None, receptors: tuple[str, ...]
) -> ContinuousPopulation:
    model = p.model
    base = (p.name, p.index, p.n)
    if isinstance(model, NeuronModel):
        lowered, flow = lower_flow(
            model, coherent_values(p, seed), initial_values(p, seed), p.n, inject, receptors, p.name
        )
        return ContinuousPopulation(*base, "neuron", receptors, lowered, flow)
    if isinstance(model, parrot):
        return ContinuousPopulation(*base, "parrot", receptors)
    if isinstance(model, poisson):
        rate = np.broadcast_to(coherent_values(p, seed)["rate"], (p.n,))
        return ContinuousPopulation(*base, "poisson", (), trains=_trains(rate, p.name, seed))
    if isinstance(model, inhomogeneous_poisson):
        values = model.values
        trains = _trains(np.full(p.n, 1e-3), p.name, seed, values["times"], values["rates"])
        return ContinuousPopulation(*base, "poisson", (), trains=trains)
    if isinstance(model, spike_source):
        ids = checked_source_ids(p)
        return ContinuousPopulation(
            *base, "given", (), given_times=model.values["times"], given_ids=ids
        )
    raise NetworkError(f"population {p.name!r}: {type(model).__name__} is no model that can run.")


def _trains(
    rate: F64, name: str, seed: int, times: F64 | None = None, factors: F64 | None = None
) -> Trains:
    if times is None or factors is None:
        times, factors = np.zeros(1), np.ones(1)
    rate = np.ascontiguousarray(rate, dtype=float)
    return Trains(rate, times, factors, stream_key(seed, "poisson times", name))


def _input(i: Any, seed: int, used: dict[int, tuple[str, ...]]) -> ContinuousInput:
    index, ids = i.target.population.index, i.target.ids
    trains = _trains(np.full(ids.size, i.rate * 1e-3 * i.n), i.name, seed)
    receptor = used[index].index(i.receptor)
    return ContinuousInput(i.name, index, receptor, input_weight(i), ids, trains)


def _injection(j: Any) -> ContinuousInjection:
    population, ids = j.target.population, j.target.ids
    if not isinstance(j.current, StepCurrent):
        raise ParameterError(
            f"{j.name}: a {type(j.current).__name__} into population {population.name!r} is drawn "
            "once a step and has no exact solution in continuous time (dt=None); use a step, such "
            "as dt=0.1, or ns.StepCurrent."
        )
    scale = population.model.parameters[j.parameter].parsed_unit.scale
    return ContinuousInjection(population.index, ids, j.current.times, j.current.values * scale)
