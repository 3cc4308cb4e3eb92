"""Leaky integrate-and-fire neuron with alpha-shaped synaptic conductances."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class iaf_cond_alpha(NeuronModel):
    """Leaky integrate-and-fire neuron with alpha-shaped synaptic conductances.

    A weight [nS] is the peak of the conductance (its absolute value). Source: NEST
    ``iaf_cond_alpha``.
    """

    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_L = param(16.6667, "nS", gt=0, doc="leak conductance")
    E_L = param(-70.0, "mV", doc="leak reversal potential")
    E_ex = param(0.0, "mV", doc="excitatory reversal potential")
    E_in = param(-85.0, "mV", doc="inhibitory reversal potential")
    tau_syn_ex = param(0.2, "ms", gt=0, doc="rise time of excitatory conductances")
    tau_syn_in = param(2.0, "ms", gt=0, doc="rise time of inhibitory conductances")
    V_th = param(-55.0, "mV", doc="threshold")
    V_reset = param(-60.0, "mV", doc="reset potential")
    t_ref = param(2.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    g_ex = state("nS", doc="excitatory synaptic conductance")
    g_in = state("nS", doc="inhibitory synaptic conductance")
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
    threshold = "V_m >= V_th"
    reset = "V_m = V_reset"
    refractory = Refractory("t_ref", hold=["V_m"])
    method = "rk4"
