"""A network as plain data (JSON values and NumPy arrays) and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.models import model_from_dict, synapse_from_dict
from neurosim.network.distributions import Distribution, distribution_from_dict
from neurosim.network.inputs import current_from_dict
from neurosim.network.population import Target
from neurosim.network.rules import rule_from_dict
from neurosim.network.segments import Segments

if TYPE_CHECKING:
    from neurosim.network.network import Network


def network_to_dict(network: Network) -> dict[str, Any]:
    """Return a description from which `fill_network` makes an equal network."""
    return {
        "populations": [
            {
                "name": p.name,
                "n": p.n,
                "model": _encode(p.model.to_dict()),
                "initial": _encode(p.initial),
            }
            for p in network.populations.values()
        ],
        "projections": [
            {
                "name": p.name,
                "pre": _encode_target(p.pre),
                "post": _encode_target(p.post),
                "rule": p.rule.to_dict(),
                "weight": _encode(p.weight),
                "delay": _encode(p.delay),
                "receptor": p.receptor,
                "synapse": None if p.synapse is None else _encode(p.synapse.to_dict()),
                "round_delays": p.round_delays,
                "modulator": None if p.modulator is None else _encode_target(p.modulator),
                "modulator_delay": p.modulator_delay,
                "axonal": p.axonal,
            }
            for p in network.projections.values()
        ],
        "inputs": [
            {
                "name": i.name,
                "target": _encode_target(i.target),
                "rate": i.rate,
                "n": i.n,
                "weight": i.weight,
                "receptor": i.receptor,
            }
            for i in network.inputs.values()
        ],
        "injections": [
            {
                "name": i.name,
                "target": _encode_target(i.target),
                "current": i.current.to_dict(),
                "parameter": i.parameter,
            }
            for i in network.injections.values()
        ],
        "gaps": [
            {
                "name": j.name,
                "a": _encode_target(j.a),
                "b": _encode_target(j.b),
                "rule": j.rule.to_dict(),
                "g": _encode(j.g),
                "state": j.state,
                "into": j.into,
            }
            for j in network.gaps.values()
        ],
        "segments": _segments_to_list(network),
        "couplings": [
            {
                "name": c.name,
                "pre": _encode_target(c.pre),
                "post": _encode_target(c.post),
                "rule": c.rule.to_dict(),
                "signal": c.signal,
                "weight": _encode(c.weight),
                "delay": _encode(c.delay),
                "interval": c.interval,
                "into": c.parameter,
            }
            for c in network.couplings.values()
        ],
    }


def _segments_to_list(network: Network) -> list[dict[str, Any]]:
    return [
        {"cells": _encode_target(s.cells), "per_cell": s.per_cell, "name": s.population.name}
        for s in network.segmented.values()
    ]


def fill_network(network: Network, data: Mapping[str, Any]) -> None:
    """Add to an empty network what `network_to_dict` described."""
    for p in data["populations"]:
        model = model_from_dict(_decode(p["model"]))
        network.population(p["n"], model, p["name"], **_decode(p["initial"]))
    for s in data.get("segments", ()):
        cells = _decode_target(network, s["cells"])
        network.note_segments(Segments(cells, s["per_cell"], network.populations[s["name"]]))
    for p in data["projections"]:
        network.connect(
            _decode_target(network, p["pre"]),
            _decode_target(network, p["post"]),
            rule_from_dict(p["rule"]),
            weight=_decode(p["weight"]),
            delay=_decode(p["delay"]),
            receptor=p["receptor"],
            synapse=None if p["synapse"] is None else synapse_from_dict(p["synapse"]),
            name=p["name"],
            round_delays=p["round_delays"],
            modulator=_decode_target(network, p["modulator"]) if p.get("modulator") else None,
            modulator_delay=p.get("modulator_delay"),
            axonal=p.get("axonal", 0.0),
        )
    for i in data["inputs"]:
        rest = {k: v for k, v in i.items() if k != "target"}
        network.poisson_input(_decode_target(network, i["target"]), **rest)
    for i in data["injections"]:
        network.inject(
            _decode_target(network, i["target"]),
            current_from_dict(i["current"]),
            i["parameter"],
            name=i["name"],
        )
    for j in data.get("gaps", ()):
        _fill_sides(network, network.gap_junctions, j, ("a", "b"))
    for c in data.get("couplings", ()):
        _fill_sides(network, network.couple, c, ("pre", "post"))


def _fill_sides(
    network: Network, add: Callable[..., Any], data: Mapping[str, Any], sides: tuple[str, str]
) -> None:
    """Call a method that takes two sides, a rule and options."""
    targets = (_decode_target(network, data[side]) for side in sides)
    options = {k: _decode(v) for k, v in data.items() if k not in (*sides, "rule")}
    add(*targets, rule_from_dict(data["rule"]), **options)


def _encode(value: Any) -> Any:
    """Replace the distributions inside nested dictionaries and lists by dictionaries."""
    if isinstance(value, Distribution):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {k: _encode(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "distribution" in value:
            return distribution_from_dict(dict(value))
        return {k: _decode(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_decode(v) for v in value]
    return value


def _encode_target(target: Target) -> dict[str, Any]:
    return {"population": target.name, "ids": None if target.is_whole else target.ids}


def _decode_target(network: Network, data: Mapping[str, Any]) -> Target:
    population = network.populations[data["population"]]
    return population if data["ids"] is None else population[np.asarray(data["ids"])]
