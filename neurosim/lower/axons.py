"""Plastic synapses with a delay that is mostly axonal: their spikes wait on the way.

A synapse with the axonal share a of its delay d sees a spike of its source a d after it was sent,
and one of its target (1 - a) d after. Up to one half, the order is that of dendritic delays, and
the weight is known when the spike leaves. Beyond, it depends on spikes of the target (2 a - 1) d
later. So a relay of the source's spikes sends them by that time later, and half of the delay that
is left is axonal: every event reaches the synapse in the same order, and input its target at the
same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from neurosim.errors import ParameterError
from neurosim.lower.connectivity import ConnectionSpec
from neurosim.network.distributions import CONSTANT, Lowered
from neurosim.network.rules import OneToOne


def steps_on_relay(spec: ConnectionSpec, axonal: float) -> int:
    """Return how many steps the spikes of a plastic projection wait before they are sent.

    A step of the delay is always left: input of a step cannot depend on spikes of that step.

    Raises
    ------
    ParameterError
        If there is a wait and delays differ from synapse to synapse.
    """
    if axonal <= 0.5:
        return 0
    delay = spec.delay
    if not isinstance(delay, Lowered) or delay.kind != CONSTANT:
        raise ParameterError(
            f"projection {spec.name!r}: axonal = {axonal:g} with delays that differ. Above 0.5 "
            "weights depend on spikes of the target after the source's spike was sent, so the "
            "spikes wait, for all synapses equally long. Give one delay, or a share up to 0.5."
        )
    assert spec.dt is not None
    steps = round(delay.p0 / spec.dt)
    return min(round((2.0 * axonal - 1.0) * steps), steps - 1)


def without(spec: ConnectionSpec, steps: int) -> ConnectionSpec:
    """Return a specification whose one delay is shorter by some steps."""
    if not steps:
        return spec
    assert isinstance(spec.delay, Lowered) and spec.dt is not None
    return replace(spec, delay=Lowered(CONSTANT, spec.delay.p0 - steps * spec.dt))


def relay_spec(source: Any, target: Any, steps: int, dt: float) -> ConnectionSpec:
    """Return the specification of the connection from a population to its relay."""
    return ConnectionSpec(
        name=target.name, pre_population=source.index, post_population=target.index,
        n_pre=source.n, n_post=source.n, pre_ids=None, post_ids=None, same=False, rule=OneToOne(),
        weight=Lowered(CONSTANT, 1.0), delay=Lowered(CONSTANT, steps * dt), dt=dt, key=(0, 0),
        receptors=(0, 0), absolute=False, constant=True,
    )  # fmt: skip


def with_relays(
    populations: Sequence[Any], connections: Sequence[Any], dt: float
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return populations and connections with a relay for each source and time that needs one.

    Parameters
    ----------
    populations : sequence of PopulationPlan
    connections : sequence of ConnectionPlan
        Those with `early` above 0 get a relay as their source.
    dt : float
        Step [ms].
    """
    made = list(populations)
    relays: dict[tuple[int, int], int] = {}
    changed, added = [], []
    for c in connections:
        if not c.early:
            changed.append(c)
            continue
        if (c.pre, c.early) not in relays:
            source = populations[c.pre]
            relay = type(source)(
                f"{source.name}, axons of {c.early * dt:g} ms",
                len(made),
                source.n,
                "parrot",
                ("in",),
            )
            relays[c.pre, c.early] = relay.index
            made.append(relay)
            spec = relay_spec(source, relay, c.early, dt)
            added.append(type(c)(relay.name, source.index, relay.index, spec))
        changed.append(replace(c, pre=relays[c.pre, c.early]))
    return tuple(made), (*changed, *added)
