"""What the GPU engine cannot run; each refusal names the part and what to use instead."""

from __future__ import annotations

from neurosim.errors import NetworkError
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.plan import Plan
from neurosim.lower.plasticity import PlasticityPlan


def refused(rule: PlasticityPlan) -> str | None:
    """Return what this engine cannot do for a plasticity rule, None if it can run it."""
    if rule.spec.uses_modulator:
        return "has a third factor"
    if rule.prune is not None:
        return "replaces synapses"
    if rule.interval:
        return f"acts at intervals ({rule.spec.interval})"
    return None


def supported(plan: Plan | ContinuousPlan, *, narrow: bool = False) -> Plan:
    """Return the plan if this engine can run it; `narrow`: with sums in 32 bits.

    Raises
    ------
    NetworkError
        Naming the first part that it cannot run.
    """
    if isinstance(plan, ContinuousPlan):
        raise NetworkError(
            "engine 'gpu' steps on a grid and cannot run in continuous time (dt=None); use "
            "engine='cpu', or a step such as dt=0.1."
        )
    for c in plan.connections:
        reason = None if c.plasticity is None else refused(c.plasticity)
        if c.plasticity is not None and reason is not None:
            raise NetworkError(
                f"engine 'gpu' cannot run projection {c.name!r}: its rule "
                f"{c.plasticity.spec.name} {reason}. Use engine='cpu'."
            )
        if c.plasticity is not None and narrow:
            raise NetworkError(
                f"GPU(deterministic='int32') needs a bound of all sums, but the weights of "
                f"projection {c.name!r} change ({c.plasticity.spec.name}). Use deterministic=True."
            )
    if plan.gaps is not None:
        raise NetworkError("engine 'gpu' cannot run gap junctions. Use engine='cpu'.")
    for signal in plan.signals:
        raise NetworkError(
            f"engine 'gpu' cannot run the continuous signal {signal.name!r}. Use engine='cpu'."
        )
    return plan
