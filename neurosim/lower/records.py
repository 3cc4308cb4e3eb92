"""Recordings, checked and sorted by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurosim.errors import RecordingError
from neurosim.network import Spikes, State, Weights


def checked_records(
    network: Any, record: Sequence[Any]
) -> tuple[tuple[Spikes, ...], tuple[State, ...], tuple[Weights, ...]]:
    """Return the recordings by kind.

    Raises
    ------
    RecordingError
        If one is no recording, of another network, or given twice.
    """
    spikes: list[Spikes] = []
    states: list[State] = []
    weights: list[Weights] = []
    for item in record:
        if isinstance(item, Weights):
            if item.projection not in network.projections.values():
                raise RecordingError(
                    f"Weights: {item.projection.name!r} belongs to another network. "
                    "Record one of this network."
                )
            rule = item.projection.synapse
            if rule is not None and rule.spec.prune is not None:
                raise RecordingError(
                    f"Weights({item.projection.name!r}): synapses of {rule.name} are replaced "
                    "while it runs, so their weights have no course over time; read "
                    "sim.weights(name) between two runs."
                )
            weights.append(item)
            continue
        if not isinstance(item, Spikes | State):
            raise RecordingError(
                f"record: {item!r} is no recording; use ns.Spikes, ns.State or ns.Weights."
            )
        if not item.target.population.belongs_to(network):
            raise RecordingError(
                f"record: population {item.target.name!r} belongs to another network. "
                "Record one of this network."
            )
        if isinstance(item, Spikes):
            spikes.append(item)
        else:
            states.append(item)
    for name in {s.target.name for s in spikes}:
        if sum(s.target.name == name for s in spikes) > 1:
            raise RecordingError(
                f"record: the spikes of {name!r} are recorded twice; record them once."
            )
    for name in {s.target.population.name for s in states}:
        if sum(s.target.population.name == name for s in states) > 1:
            raise RecordingError(
                f"record: states of {name!r} are recorded twice; name all states in one ns.State."
            )
    return tuple(spikes), tuple(states), tuple(weights)
