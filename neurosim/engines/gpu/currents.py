"""Injected currents as records of the device, which computes their values itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurosim.engines.gpu.structs import CURRENT
from neurosim.lower.plan import InjectionPlan, Plan

Put = Callable[[np.ndarray], int]


def build_currents(plan: Plan, population: int, put: Put) -> np.ndarray:
    """Return the currents injected into a population: (n,) CURRENT, in the order of the plan.

    Parameters
    ----------
    plan : Plan
    population : int
    put : callable
        Copies an array to the device and returns its address.
    """
    records = [_record(j, put) for j in plan.injections if j.population == population]
    return np.array(records, CURRENT)


def _record(j: InjectionPlan, put: Put) -> np.ndarray:
    record = np.zeros((), CURRENT)
    begin, end = (int(j.ids.min()), int(j.ids.max()) + 1) if j.ids.size else (0, 0)
    record["begin"], record["end"] = begin, end
    if j.ids.size < end - begin:
        members = np.zeros(end - begin, np.uint8)
        members[j.ids - begin] = 1
        record["members"] = put(members)
    if j.steps.size:
        record["n_steps"] = j.steps.size
        record["steps"] = put(j.steps.astype(np.int64))
        record["values"] = put(j.values.astype(float))
    record["mean"], record["std"], record["every"] = j.mean, j.std, j.every
    record["first"], record["last"] = j.first, j.last
    record["key"] = j.key[0] | j.key[1] << 32
    return record
