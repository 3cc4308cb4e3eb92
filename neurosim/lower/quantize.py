"""Weights as whole numbers of a unit, so that sums of input do not depend on their order.

The unit of a receptor of a population is a power of two: 2**-30 of the power of two above the
largest weight that reaches it. A sum of such weights is exact in int64, and in float64 while it is
below 2**22 of the largest weight, so all engines that add in either get the same sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.lower.plan import Plan

#: Bits of the largest weight.
BITS = 30


def unit(largest: float) -> float:
    """Return the unit for weights up to `largest`.

    Examples
    --------
    >>> unit(3.0) == 2.0**-28, unit(0.0)
    (True, 1.0)
    """
    return float(2.0 ** (int(np.frexp(largest)[1]) - BITS)) if largest else 1.0


def units(plan: Plan, largest: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return the units of each population, by receptor.

    Spikes that a source of spikes repeats are counted: their unit is 1.

    Parameters
    ----------
    plan : Plan
    largest : sequence of (n_receptors,) arrays
        Of each population: the largest absolute weight of the synapses that reach a receptor.
    """
    found = []
    for p in plan.populations:
        most = np.array(largest[p.index], float)
        if p.model is None:
            found.append(np.ones(most.size))
            continue
        for i in plan.inputs:
            if i.population == p.index:
                most[i.receptor] = max(most[i.receptor], abs(i.weight))
        found.append(np.array([unit(float(w)) for w in most]))
    return tuple(found)


def rounded(weights: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return weights as multiples of their units."""
    multiples: np.ndarray = np.rint(weights / units) * units
    return multiples
