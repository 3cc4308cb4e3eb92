"""Leaky integrate-and-fire neuron with alpha-shaped synaptic currents."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import param, state
from neurosim.models.leaky import LeakyCurrents


class iaf_psc_alpha(LeakyCurrents, NeuronModel):
    """Leaky integrate-and-fire neuron with alpha-shaped synaptic currents.

    A weight [pA] is the peak of the current, reached one synaptic time constant after the arrival:
    i(t) = weight * (e/tau_syn) t exp(-t/tau_syn). Source: NEST ``iaf_psc_alpha``,
    without its option V_min (no lower limit, as by default).
    """

    tau_syn_ex = param(2.0, "ms", gt=0, doc="rise time of excitatory currents", usual=(0.05, 1000))
    tau_syn_in = param(2.0, "ms", gt=0, doc="rise time of inhibitory currents", usual=(0.05, 1000))
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
