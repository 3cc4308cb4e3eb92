"""Deterministic sums: weights rounded so that float64 adds them up exactly, in any order.

The units are those of the GPU engine (`neurosim.lower.quantize`), so both give the same sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.exact import count_synapses, note_largest, round_to_units
from neurosim.engines.cpu.partition import Partition
from neurosim.engines.cpu.synapses import Bundle
from neurosim.errors import NetworkError
from neurosim.lower.connectivity import ConnectionSpec
from neurosim.lower.plan import Plan
from neurosim.lower.quantize import rounded, units
from neurosim.network.distributions import Lowered

if TYPE_CHECKING:
    from neurosim.engines.cpu.thread import Thread

Units = tuple[np.ndarray, ...]


def check_static(plan: Plan) -> None:
    """Raise NetworkError if weights change while the network runs."""
    for c in plan.connections:
        if c.plasticity is not None:
            raise NetworkError(
                f"CPU(deterministic=True): the weights of projection {c.name!r} change "
                f"({c.plasticity.spec.name}), so they are no multiples of a unit. Use static "
                "synapses, or leave the option out: the CPU engine gives the same results in "
                "every run and for any number of threads anyway."
            )


def round_weights(plan: Plan, parts: Partition, bundles: Sequence[Bundle], narrow: bool) -> Units:
    """Round all stored weights, in place; return the units of each population, by receptor.

    With `narrow`, they are such that sums fit into 32 bits.
    """
    largest = [np.zeros(len(p.receptors) if p.model else 1) for p in plan.populations]
    mask = (1 << parts.bits) - 1
    for bundle in bundles:
        for t, part in enumerate(bundle.parts):
            if part.weight is None:
                _note_constants(largest, bundle, t)
                continue
            found = np.zeros(1 << parts.bits)
            note_largest(part.packed, part.weight, mask, found)
            for p, view in _channels(plan, parts, t, found):
                np.maximum(largest[p], view.max(axis=1, initial=0.0), out=largest[p])
    result = units(plan, largest, _degrees(plan, parts, bundles) if narrow else None)
    for t in range(parts.threads):
        each = np.ones(1 << parts.bits)
        for p, view in _channels(plan, parts, t, each):
            view[:] = result[p][:, None]
        for bundle in bundles:
            part = bundle.parts[t]
            if part.weight is not None:
                round_to_units(part.packed, part.weight, mask, each)
    return result


def _degrees(plan: Plan, parts: Partition, bundles: Sequence[Bundle]) -> list[np.ndarray]:
    """Return the most synapses that reach a receptor of one neuron, by population."""
    degree = [np.zeros(len(p.receptors) if p.model else 1) for p in plan.populations]
    for t in range(parts.threads):
        found = np.zeros(1 << parts.bits)
        for bundle in bundles:
            count_synapses(bundle.parts[t].packed, (1 << parts.bits) - 1, found)
        for p, view in _channels(plan, parts, t, found):
            np.maximum(degree[p], view.max(axis=1, initial=0.0), out=degree[p])
    return degree


def _channels(
    plan: Plan, parts: Partition, thread: int, values: np.ndarray
) -> list[tuple[int, np.ndarray]]:
    """Return views of the channels of each population of neurons: (receptor, neuron)."""
    views = []
    for p in plan.populations:
        if p.model is not None and p.receptors:
            first, padded = parts.channels[thread, p.index], parts.padded[thread, p.index]
            part = values[first : first + padded * len(p.receptors)]
            views.append((p.index, part.reshape(len(p.receptors), padded)))
    return views


def _note_constants(largest: list[np.ndarray], bundle: Bundle, thread: int) -> None:
    """Raise `largest` to the weights of the projections that have synapses on a thread."""
    part, n = bundle.parts[thread], len(bundle.connections)
    for k, c in enumerate(bundle.connections):
        if (part.ptr[k + 1 :: n] - part.ptr[k:-1:n]).any():
            r = _receptor(c.spec)
            largest[c.post][r] = max(largest[c.post][r], abs(c.spec.constant_weight))


def _receptor(spec: ConnectionSpec) -> int:
    """Return which receptor a projection with one weight reaches."""
    assert isinstance(spec.weight, Lowered)
    return spec.receptors[1] if spec.weight.p0 < 0 else spec.receptors[0]


def round_tables(thread: Thread, bundles: Sequence[Bundle], units: Units) -> None:
    """Round the weights in the tables of a thread: constant ones, and those of inputs."""
    segment = 0
    for bundle in bundles:
        for c in bundle.connections:
            if c.spec.constant:
                r = _receptor(c.spec)
                thread.constants[segment] = rounded(thread.constants[segment], units[c.post][r])
            segment += 1
    for k, row in enumerate(thread.tables.processes):
        p = int(row[L.Q_POPULATION])
        padded = int(thread.pops[p, L.P_CHANNELS]) // max(1, len(units[p]))
        if row[L.Q_CHANNEL] >= 0:
            r = int(row[L.Q_CHANNEL] - thread.pops[p, L.P_CHANNEL]) // padded
            thread.tables.weights[k] = rounded(thread.tables.weights[k], units[p][r])
