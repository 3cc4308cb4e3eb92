"""Input from outside as records of the device: Poisson inputs, generators, given spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.structs import DENSE, GIVEN, PROCESS, SPARSE
from neurosim.lower.plan import InputPlan, Plan
from neurosim.lower.poisson import DENSE_BLOCK, PoissonProcess

Put = Callable[[np.ndarray], int]


@dataclass
class Processes:
    """All processes of a network.

    Attributes
    ----------
    records : (n,) PROCESS
    units : (n_units,) int32
        The process of each unit of work.
    given : dict
        Steps of the given spikes of each such process, sorted.
    """

    records: np.ndarray
    units: np.ndarray
    given: dict[int, np.ndarray]

    def first_of(self, process: int, start: int, n_steps: int) -> np.ndarray:
        """Return where the given spikes of steps start + 1 ... start + n_steps + 1 begin."""
        steps = np.arange(start + 1, start + n_steps + 2)
        return np.searchsorted(self.given[process], steps)


def build_processes(
    plan: Plan, layout: Layout, scale: tuple[np.ndarray, ...], put: Put
) -> Processes:
    """Return the processes of a network.

    Parameters
    ----------
    plan : Plan
    layout : Layout
    scale : tuple
        See `Synapses`.
    put : callable
        Copies an array to the device and returns its address.
    """
    records: list[np.ndarray] = []
    units: list[int] = []
    given: dict[int, np.ndarray] = {}
    for i in plan.inputs:
        record = _poisson(i.process, put)
        record["channel"] = (
            layout.channel[i.population] + i.receptor * plan.populations[i.population].n
        )
        record["weight"] = i.weight
        record["amount"] = round(i.weight / scale[i.population][i.receptor])
        _targets(record, i, put)
        records.append(record)
    for p in plan.populations:
        if p.process is not None:
            record = _poisson(p.process, put)
        elif p.given_steps is not None and p.given_ids is not None:
            given[len(records)] = p.given_steps
            record = np.zeros((), PROCESS)
            record["kind"], record["n"] = GIVEN, p.n
            record["given"] = put(p.given_ids.astype(np.int64))
        else:
            continue
        record["channel"] = layout.channel[p.index]
        record["weight"] = record["amount"] = 1
        records.append(record)
    for number, record in enumerate(records):
        record["first_unit"] = len(units)
        units += [number] * _units(record)
    return Processes(np.array(records, PROCESS), np.array(units, np.int32), given)


def _poisson(process: PoissonProcess, put: Put) -> np.ndarray:
    record = np.zeros((), PROCESS)
    record["kind"] = DENSE if process.dense else SPARSE
    record["n"], record["block"] = process.n, process.block
    record["key"] = process.key[0] | process.key[1] << 32
    record["cdf"], record["n_cdf"] = put(process.cdf), process.cdf.size
    if process.accept is not None:
        record["accept"] = put(process.accept)
    if process.changes.size:
        record["changes"] = put(process.changes.astype(np.int64))
        record["factors"] = put(process.factors.astype(float))
        record["n_changes"] = process.changes.size
    return record


def _targets(record: np.ndarray, i: InputPlan, put: Put) -> None:
    """Set which neuron each member drives; contiguous ones need no table."""
    record["first_target"] = i.ids[0]
    if not np.array_equal(i.ids, np.arange(i.ids[0], i.ids[0] + i.ids.size)):
        record["targets"] = put(i.ids.astype(np.int64))


def _units(record: np.ndarray) -> int:
    """Return the number of units of work, each for 32 threads."""
    if record["kind"] == DENSE:
        return int(-(-record["n"] // DENSE_BLOCK)) * DENSE_BLOCK // 4 // 32
    return int(-(-record["n"] // record["block"])) if record["kind"] == SPARSE else 1
