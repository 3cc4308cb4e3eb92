"""Leaky integrate-and-fire neuron with exponentially decaying synaptic currents."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class iaf_psc_exp(NeuronModel):
    """Leaky integrate-and-fire neuron with exponentially decaying synaptic currents.

    A weight [pA] is the jump of the synaptic current. The membrane is frozen in the refractory
    period while the currents go on. Source: NEST ``iaf_psc_exp``; exact integration after Rotter &
    Diesmann (1999), Biol. Cybern. 81:381.
    """

    tau_m = param(10.0, "ms", gt=0, doc="membrane time constant", usual=(0.5, 1000))
    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    tau_syn_ex = param(2.0, "ms", gt=0, doc="decay time of excitatory currents", usual=(0.05, 1000))
    tau_syn_in = param(2.0, "ms", gt=0, doc="decay time of inhibitory currents", usual=(0.05, 1000))
    E_L = param(-70.0, "mV", doc="resting potential")
    V_th = param(-55.0, "mV", doc="threshold")
    V_reset = param(-70.0, "mV", doc="reset potential")
    t_ref = param(2.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    equations = """
        dV_m/dt      = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_e)/C_m : mV
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA
    """
    receptors = {"exc": "I_syn_ex += weight", "inh": "I_syn_in += weight"}
    threshold = "V_m >= V_th"
    reset = "V_m = V_reset"
    refractory = Refractory("t_ref", hold=["V_m"])
