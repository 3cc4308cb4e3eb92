"""Leaky integrate-and-fire neuron with alpha-shaped synaptic conductances."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import param, state
from neurosim.models.leaky import LeakyConductances


class iaf_cond_alpha(LeakyConductances, NeuronModel):
    """Leaky integrate-and-fire neuron with alpha-shaped synaptic conductances.

    A weight [nS] is the peak of the conductance (its absolute value). Source: NEST
    ``iaf_cond_alpha``.
    """

    tau_syn_ex = param(0.2, "ms", gt=0, doc="rise time of excitatory conductances")
    tau_syn_in = param(2.0, "ms", gt=0, doc="rise time of inhibitory conductances")
    dg_ex = state("nS/ms", doc="auxiliary state of the excitatory alpha function")
    dg_in = state("nS/ms", doc="auxiliary state of the inhibitory alpha function")
    equations = """
        dV_m/dt   = (-g_L*(V_m - E_L) - g_ex*(V_m - E_ex) - g_in*(V_m - E_in) + I_e)/C_m : mV
        dg_ex/dt  = dg_ex - g_ex/tau_syn_ex : nS
        dg_in/dt  = dg_in - g_in/tau_syn_in : nS
        ddg_ex/dt = -dg_ex/tau_syn_ex : nS/ms
        ddg_in/dt = -dg_in/tau_syn_in : nS/ms
    """
    receptors = {
        "exc": "dg_ex += weight*exp(1)/tau_syn_ex",
        "inh": "dg_in += weight*exp(1)/tau_syn_in",
    }
    method = "rk4"
