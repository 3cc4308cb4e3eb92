"""Leaky integrate-and-fire neuron with exponentially decaying synaptic conductances."""

from neurosim.models.base import NeuronModel
from neurosim.models.leaky import LeakyConductances


class iaf_cond_exp(LeakyConductances, NeuronModel):
    """Leaky integrate-and-fire neuron with exponentially decaying synaptic conductances.

    A weight [nS] is the jump of the conductance (its absolute value; the sign chooses the receptor
    where none is named). Source: NEST ``iaf_cond_exp``.
    """

    equations = """
        dV_m/dt  = (-g_L*(V_m - E_L) - g_ex*(V_m - E_ex) - g_in*(V_m - E_in) + I_e)/C_m : mV
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
    """
    receptors = {"exc": "g_ex += weight", "inh": "g_in += weight"}
    method = "rk4"
