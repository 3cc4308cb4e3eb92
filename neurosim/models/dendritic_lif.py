"""Leaky integrate-and-fire neurons with dendrites: NMDA plateaus and local sodium spikes."""

from collections.abc import Sequence
from typing import Any, ClassVar

from neurosim.models.compartments import (
    Compartment,
    CompartmentalModel,
    Coupling,
    SpikeMechanism,
)
from neurosim.models.mechanisms import (
    conductance_synapse,
    nmda_synapse,
    sodium_spike,
)

_AMPA = conductance_synapse(0.0, 2.0, g_max=3.0)
_NMDA = nmda_synapse(60.0, g_max=3.0)
_GABA = conductance_synapse(-80.0, 10.0, g_max=3.0)
_SOMA = Compartment("soma", C_m=200.0, g_L=10.0, E_L=-60.0, ampa=_AMPA, gaba=_GABA)
_SPIKE = SpikeMechanism(V_th=-40.0, V_reset=-50.0, t_ref=4.0, t_hold=0.8, V_peak=40.0, t_peak=0.8)


def _dendrite(name: str, **active: Any) -> Compartment:
    return Compartment(
        name, C_m=50.0, g_L=2.5, E_L=-60.0, ampa=_AMPA, nmda=_NMDA, gaba=_GABA, **active,
        receptors={"exc": ["ampa", "nmda"]},
    )  # fmt: skip


class lif_dendrite(CompartmentalModel):
    """Leaky integrate-and-fire neuron with a dendrite that sums NMDA input supralinearly.

    Weights are numbers of synapses. ``dend_exc`` opens AMPA and NMDA conductances together. A
    somatic spike runs back: for t_peak the dendrite sees V_peak, while the soma stands still at its
    reset potential. Source of the equations and of the parameters: Pagkalos, Chavlis & Poirazi
    (2023), Nat. Commun. 14:131, and the example of their program Dendrify, where the soma decays
    freely from V_peak meanwhile. The decay time and conductance of GABA synapses are not from
    there.
    """

    compartments: ClassVar[Sequence[Compartment]] = (_SOMA, _dendrite("dend"))
    couplings: ClassVar[Sequence[Coupling]] = (Coupling("soma", "dend", 15.0),)
    spike = _SPIKE


class lif_dendrite_na(lif_dendrite):
    """Leaky integrate-and-fire neuron whose dendrite fires local sodium spikes.

    `lif_dendrite` with an event-driven spike in the dendrite, which begins one step after the
    crossing of dend_V_th_na. Source: Pagkalos, Chavlis & Poirazi (2023), Nat. Commun. 14:131.
    """

    compartments = (_SOMA, _dendrite("dend", na=sodium_spike()))


class lif_two_dendrites(lif_dendrite):
    """Leaky integrate-and-fire neuron with two dendrites on its soma, each with NMDA plateaus.

    Both dendrites are that of `lif_dendrite`. A plateau needs its synapses on one dendrite: twelve
    make one there, but not six on each. Source: as there.
    """

    compartments = (_SOMA, _dendrite("left"), _dendrite("right"))
    couplings = (Coupling("soma", "left", 15.0), Coupling("soma", "right", 15.0))
