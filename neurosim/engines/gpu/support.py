"""What the GPU engine cannot run; each refusal names the part and what to use instead."""

from __future__ import annotations

from neurosim.errors import NetworkError
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.plan import Plan


def supported(plan: Plan | ContinuousPlan) -> Plan:
    """Return the plan if this engine can run it.

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
        if c.plasticity is not None:
            raise NetworkError(
                f"engine 'gpu' cannot run projection {c.name!r}: its synapses "
                f"({c.plasticity.spec.name}) are plastic, and this engine has static ones only. "
                "Use engine='cpu'."
            )
    if plan.gaps is not None:
        raise NetworkError("engine 'gpu' cannot run gap junctions. Use engine='cpu'.")
    for signal in plan.signals:
        raise NetworkError(
            f"engine 'gpu' cannot run the continuous signal {signal.name!r}. Use engine='cpu'."
        )
    return plan
