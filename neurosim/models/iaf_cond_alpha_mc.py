"""NEST's leaky integrate-and-fire neuron of three compartments."""

from neurosim.models.compartments import (
    Compartment,
    CompartmentalModel,
    Coupling,
    SpikeMechanism,
)
from neurosim.models.mechanisms import conductance_synapse


def _compartment(name: str, C_m: float, g_L: float) -> Compartment:
    """Return a compartment with an excitatory and an inhibitory alpha-shaped conductance."""
    return Compartment(
        name, C_m=C_m, g_L=g_L, E_L=-70.0,
        exc=conductance_synapse(0.0, 0.5, tau_rise=0.5),
        inh=conductance_synapse(-85.0, 2.0, tau_rise=2.0),
    )  # fmt: skip


class iaf_cond_alpha_mc(CompartmentalModel):
    """Leaky integrate-and-fire neuron of soma, proximal and distal dendrite in a row.

    NEST's ``iaf_cond_alpha_mc``: each compartment has an excitatory and an inhibitory conductance
    with the shape of an alpha function; a weight [nS] is its peak (its absolute value). Only the
    soma fires, and all three potentials stand still in the refractory period. The dictionaries
    ``soma``, ``proximal`` and ``distal`` of NEST are prefixes here: ``soma_g_L``,
    ``distal_tau_syn_ex``; the states ``V_m.s``, ``g_ex.d`` are ``soma_V_m``, ``distal_g_ex``. Its
    current receptors are the parameters ``soma_I_e``, ``proximal_I_e``, ``distal_I_e``, into which
    currents can be injected. Source: NEST ``iaf_cond_alpha_mc``.
    """

    compartments = (
        _compartment("soma", 150.0, 10.0),
        _compartment("proximal", 75.0, 5.0),
        _compartment("distal", 150.0, 10.0),
    )
    couplings = (
        Coupling("soma", "proximal", 2.5, "g_sp"),
        Coupling("proximal", "distal", 1.0, "g_pd"),
    )
    spike = SpikeMechanism(
        V_th=-55.0, V_reset=-60.0, t_ref=2.0, hold=("soma", "proximal", "distal")
    )
