"""Leaky integrate-and-fire neuron with alpha-shaped synaptic currents."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class iaf_psc_alpha(NeuronModel):
    """Leaky integrate-and-fire neuron with alpha-shaped synaptic currents.

    A weight [pA] is the peak of the current, reached one synaptic time constant after the arrival:
    i(t) = weight * (e/tau_syn) t exp(-t/tau_syn). Source: NEST ``iaf_psc_alpha``.
    """

    tau_m = param(10.0, "ms", gt=0, doc="membrane time constant", usual=(0.5, 1000))
    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    tau_syn_ex = param(2.0, "ms", gt=0, doc="rise time of excitatory currents", usual=(0.05, 1000))
    tau_syn_in = param(2.0, "ms", gt=0, doc="rise time of inhibitory currents", usual=(0.05, 1000))
    E_L = param(-70.0, "mV", doc="resting potential")
    V_th = param(-55.0, "mV", doc="threshold")
    V_reset = param(-70.0, "mV", doc="reset potential")
    t_ref = param(2.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    dI_ex = state("pA/ms", doc="auxiliary state of the excitatory alpha function")
    dI_in = state("pA/ms", doc="auxiliary state of the inhibitory alpha function")
    equations = """
        dV_m/dt       = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_e)/C_m : mV
        dI_syn_ex/dt  = dI_ex - I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt  = dI_in - I_syn_in/tau_syn_in : pA
        ddI_ex/dt     = -dI_ex/tau_syn_ex : pA/ms
        ddI_in/dt     = -dI_in/tau_syn_in : pA/ms
    """
    receptors = {
        "exc": "dI_ex += weight*exp(1)/tau_syn_ex",
        "inh": "dI_in += weight*exp(1)/tau_syn_in",
    }
    threshold = "V_m >= V_th"
    reset = "V_m = V_reset"
    refractory = Refractory("t_ref", hold=["V_m"])
