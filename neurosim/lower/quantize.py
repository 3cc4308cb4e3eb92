"""Weights as whole numbers of a unit, so that sums of input do not depend on their order.

The unit of a receptor of a population is a power of two: 2**-30 of the power of two above the
largest weight that reaches it. A sum of such weights is exact in int64, and in float64 while it is
below 2**22 of the largest weight, so all engines that add in either get the same sum.

Units for sums in 32 bits (``deterministic="int32"``) are 2**-30 of the largest sum that a receptor
of one neuron can get in a step: all of its synapses at once, and its inputs at their largest
counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.errors import NetworkError, NetworkSizeError, ParameterError
from neurosim.lower.plan import Plan, PopulationPlan

#: Bits of the largest weight, or of the largest sum if sums have 32 bits.
BITS = 30
#: Bits that the largest weight must keep then.
_LEAST = 12
#: Values of the option of the engines.
DETERMINISTIC = (False, True, "int32")


def check_option(engine: str, value: object) -> None:
    """Raise ParameterError if a value of the option `deterministic` is none of the three."""
    if not (isinstance(value, bool) or value == "int32"):
        raise ParameterError(
            f"{engine}: deterministic = {value!r}; True, False or 'int32' is needed."
        )


def unit(largest: float) -> float:
    """Return the unit for weights up to `largest`.

    Examples
    --------
    >>> unit(3.0) == 2.0**-28, unit(0.0)
    (True, 1.0)
    """
    return float(2.0 ** (int(np.frexp(largest)[1]) - BITS)) if largest else 1.0


def units(
    plan: Plan, largest: Sequence[np.ndarray], degree: Sequence[np.ndarray] | None = None
) -> tuple[np.ndarray, ...]:
    """Return the units of each population, by receptor.

    Spikes that a source of spikes repeats are counted: their unit is 1.

    Parameters
    ----------
    plan : Plan
    largest : sequence of (n_receptors,) arrays
        Of each population: the largest absolute weight of the synapses that reach a receptor.
    degree : sequence of (n_receptors,) arrays, optional
        Of each population: the most synapses that reach a receptor of one neuron. With it, units
        are such that every sum fits into 32 bits.

    Raises
    ------
    NetworkError
        With `degree`, if it is not known how often a source may spike within a step.
    NetworkSizeError
        With `degree`, if sums in 32 bits leave too little of the weights.
    """
    found = []
    for p in plan.populations:
        most = np.array(largest[p.index], float)
        if p.model is None:
            found.append(np.ones(most.size))
            continue
        # several spikes of a source in a step add its weight several times
        sums = np.zeros(most.size) if degree is None else most * degree[p.index]
        if degree is not None and sums.any():
            sums = sums * max(_at_once(plan, c.pre) for c in plan.connections if c.post == p.index)
        for i in plan.inputs:
            if i.population == p.index:
                most[i.receptor] = max(most[i.receptor], abs(i.weight))
                sums[i.receptor] += abs(i.weight) * _largest_count(i.process.cdf)
        if degree is None:
            sums = most
        _check_bits(p, most, sums)
        found.append(np.array([unit(float(w)) for w in sums]))
    return tuple(found)


def _largest_count(cdf: np.ndarray) -> int:
    """Return the largest count that a word can stand for; the rest of a table is padding."""
    return int((cdf < 0xFFFFFFFF).sum())


def _at_once(plan: Plan, index: int) -> int:
    """Return how often a member of a population can spike within a step."""
    p = plan.populations[index]
    if p.model is not None and p.model.spec.threshold_test != "substep":
        return 1
    if p.process is not None:
        return _largest_count(p.process.cdf)
    if p.given_steps is not None and p.given_ids is not None:
        pairs = np.stack([p.given_steps, p.given_ids])
        return int(np.unique(pairs, axis=1, return_counts=True)[1].max(initial=1))
    raise NetworkError(
        f"deterministic='int32': members of population {p.name!r} may spike any number of times in "
        "a step, so sums of input have no bound. Use deterministic=True, which adds up in 64 bits."
    )


def _check_bits(p: PopulationPlan, weights: np.ndarray, sums: np.ndarray) -> None:
    """Raise NetworkSizeError if the weights of a receptor are too small beside their sums."""
    for r in np.flatnonzero(sums * 2.0 ** (_LEAST - BITS) > weights):
        raise NetworkSizeError(
            f"deterministic='int32': receptor {p.receptors[r]!r} of population {p.name!r} may get "
            f"{sums[r]:.3g} in a step from weights up to {weights[r]:.3g}; in 32 bits that leaves "
            f"less than {_LEAST} bits of a weight. Use deterministic=True, which adds up in 64."
        )


def rounded(weights: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return weights as multiples of their units."""
    multiples: np.ndarray = np.rint(weights / units) * units
    return multiples
