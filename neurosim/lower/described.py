"""What a network says of its parts whatever the step: numbers, receptors, injected currents."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosim.errors import NetworkError, ParameterError
from neurosim.models.after_spike import check_reset
from neurosim.models.base import NeuronModel, check_values
from neurosim.models.sources import parrot
from neurosim.random import philox, stream_key


def coherent_values(population: Any, seed: int) -> dict[str, Any]:
    """Return a population's parameter values in coherent units, distributions drawn."""
    model = population.model
    values = {}
    for name, value in model.values.items():
        declared = model.parameters[name]
        what = f"{model.name}.{name} of population {population.name!r}"
        drawn = _drawn(value, population, f"parameter {name}", seed)
        if drawn is not value:
            drawn = check_values(drawn, declared, what)
        if np.ndim(drawn) and np.shape(drawn) != (population.n,):
            raise ParameterError(
                f"{what} has {np.size(drawn)} values for {population.n} members; "
                "give one value, or one a member."
            )
        values[name] = drawn * declared.parsed_unit.scale
    if isinstance(model, NeuronModel):
        check_reset(model.spec, values, f"{model.name} of population {population.name!r}")
    return values


def initial_values(population: Any, seed: int) -> dict[str, Any]:
    """Return the given initial values of a population's states, distributions drawn."""
    return {
        state: _drawn(value, population, f"initial {state}", seed)
        for state, value in population.initial.items()
    }


def _drawn(value: Any, population: Any, purpose: str, seed: int) -> Any:
    if not hasattr(value, "draw"):
        return value
    key = stream_key(seed, purpose, population.name)
    return value.draw(philox(np.arange(population.n, dtype=np.uint32), 0, 0, 0, *key)[0])


def injected_parameters(network: Any) -> dict[int, str]:
    """Return into which parameter of each population currents (and signals) are injected.

    Raises
    ------
    NetworkError
        If the network is empty, or a population receives currents in two parameters.
    """
    if not network.populations:
        raise NetworkError("the network has no population; add one with net.population(...).")
    found: dict[int, str] = {}
    for injection in (*network.injections.values(), *network.couplings.values()):
        population = injection.target.population
        before = found.setdefault(population.index, injection.parameter)
        if before != injection.parameter:
            raise NetworkError(
                f"population {population.name!r}: currents are injected into {before} and into "
                f"{injection.parameter}; only one parameter can receive them."
            )
    return found


def used_receptors(network: Any) -> dict[int, tuple[str, ...]]:
    """Return the receptors of each population that input can reach; the others need no memory.

    They follow from the network alone, never from what is recorded.
    """
    found: dict[int, set[str]] = {p.index: set() for p in network.populations.values()}
    for c in network.projections.values():
        positive, negative = c.receptors
        low, high = _range_of(c.weight)
        reached = ({positive} if high >= 0 else set()) | ({negative} if low < 0 else set())
        found[c.post.population.index] |= reached
    for i in network.inputs.values():
        found[i.target.population.index].add(i.receptor)
    return {
        p.index: tuple(r for r in getattr(p.model, "receptors", ()) if r in found[p.index])
        for p in network.populations.values()
    }


def _range_of(weight: Any) -> tuple[float, float]:
    if hasattr(weight, "support"):
        low, high = weight.support
        return float(low), float(high)
    values = np.asarray(weight, dtype=float)
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def checked_source_ids(p: Any) -> np.ndarray:
    """Return the ids of a spike source's spikes; raise ParameterError if one is out of range."""
    ids: np.ndarray = p.model.values["ids"]
    if ids.size and (ids.min() < 0 or ids.max() >= p.n):
        raise ParameterError(
            f"spike_source of population {p.name!r}: ids from {ids.min()} to {ids.max()}, but the "
            f"population has members 0 to {p.n - 1}."
        )
    return ids


def input_weight(i: Any) -> float:
    """Return the weight of a Poisson input as the receptor sees it."""
    model = i.target.population.model
    if isinstance(model, parrot):
        return 1.0
    return float(abs(i.weight) if model.spec.absolute else i.weight)
