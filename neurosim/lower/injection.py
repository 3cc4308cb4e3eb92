"""Injected currents: their values during a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.lower.plan import InjectionPlan
from neurosim.random import normal_ppf, philox, uniform


def injected(injections: Sequence[InjectionPlan], population: int, n: int, step: int) -> np.ndarray:
    """Return the current injected into each neuron of a population during a step."""
    current = np.zeros(n)
    for j in injections:
        if j.population != population:
            continue
        if j.kind == "steps":
            k = int(np.searchsorted(j.steps, step, side="left"))
            current[j.ids] += j.values[k - 1] if k > 0 else 0.0
        elif j.first < step <= j.last:
            interval = (step - 1 - j.first) // j.every
            word = philox(j.ids, interval & 0xFFFFFFFF, interval >> 32, 0, *j.key)[0]
            current[j.ids] += j.mean + j.std * normal_ppf(uniform(word))
    return current
