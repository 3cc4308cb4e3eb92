"""Leaky integrate-and-fire neuron with exponentially decaying synaptic conductances."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class iaf_cond_exp(NeuronModel):
    """Leaky integrate-and-fire neuron with exponentially decaying synaptic conductances.

    A weight [nS] is the jump of the conductance (its absolute value; the sign chooses the receptor
    where none is named). Source: NEST ``iaf_cond_exp``.
    """

    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_L = param(16.6667, "nS", gt=0, doc="leak conductance")
    E_L = param(-70.0, "mV", doc="leak reversal potential")
    E_ex = param(0.0, "mV", doc="excitatory reversal potential")
    E_in = param(-85.0, "mV", doc="inhibitory reversal potential")
    tau_syn_ex = param(0.2, "ms", gt=0, doc="decay time of excitatory conductances")
    tau_syn_in = param(2.0, "ms", gt=0, doc="decay time of inhibitory conductances")
    V_th = param(-55.0, "mV", doc="threshold")
    V_reset = param(-60.0, "mV", doc="reset potential")
    t_ref = param(2.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    g_ex = state("nS", doc="excitatory synaptic conductance")
    g_in = state("nS", doc="inhibitory synaptic conductance")
    equations = """
        dV_m/dt  = (-g_L*(V_m - E_L) - g_ex*(V_m - E_ex) - g_in*(V_m - E_in) + I_e)/C_m : mV
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
    """
    receptors = {"exc": "g_ex += weight", "inh": "g_in += weight"}
    threshold = "V_m >= V_th"
    reset = "V_m = V_reset"
    refractory = Refractory("t_ref", hold=["V_m"])
    method = "rk4"
