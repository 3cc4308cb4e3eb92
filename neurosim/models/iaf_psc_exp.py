"""Leaky integrate-and-fire neuron with exponentially decaying synaptic currents."""

from neurosim.models.base import NeuronModel
from neurosim.models.leaky import LeakyCurrents


class iaf_psc_exp(LeakyCurrents, NeuronModel):
    """Leaky integrate-and-fire neuron with exponentially decaying synaptic currents.

    A weight [pA] is the jump of the synaptic current. The membrane is frozen in the refractory
    period while the currents go on. Source: NEST ``iaf_psc_exp``; exact integration after Rotter &
    Diesmann (1999), Biol. Cybern. 81:381. NEST's stochastic threshold (delta, rho; off by default)
    is not offered.
    """

    equations = """
        dV_m/dt      = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_e)/C_m : mV
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA
    """
    receptors = {"exc": "I_syn_ex += weight", "inh": "I_syn_in += weight"}
