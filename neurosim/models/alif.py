"""Adaptive leaky integrate-and-fire neuron (ALIF, Bellec et al. 2018)."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class alif_psc_exp(NeuronModel):
    """Leaky integrate-and-fire neuron whose threshold rises by beta at a spike and decays.

    The reset subtracts the resting threshold's distance V_th - E_L (soft reset). Source: Bellec et
    al. (2018), NeurIPS 31, eqs. 1-3, with exponentially decaying currents.
    """

    tau_m = param(20.0, "ms", gt=0, doc="membrane time constant", usual=(0.5, 1000))
    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    tau_syn_ex = param(2.0, "ms", gt=0, doc="decay time of excitatory currents")
    tau_syn_in = param(2.0, "ms", gt=0, doc="decay time of inhibitory currents")
    tau_a = param(200.0, "ms", gt=0, doc="time constant of the threshold")
    beta = param(1.6, "mV", doc="jump of the threshold at a spike")
    E_L = param(-70.0, "mV", doc="resting potential")
    V_th = param(-55.0, "mV", doc="resting threshold")
    t_ref = param(2.0, "ms", ge=0, doc="dead time after a spike")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    A = state("mV", doc="adaptive part of the threshold")
    equations = """
        dV_m/dt      = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_e)/C_m : mV
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA
        dA/dt        = -A/tau_a : mV
    """
    receptors = {"exc": "I_syn_ex += weight", "inh": "I_syn_in += weight"}
    threshold = "V_m >= V_th + A"
    reset = "V_m -= V_th - E_L; A += beta"
    refractory = Refractory("t_ref")
