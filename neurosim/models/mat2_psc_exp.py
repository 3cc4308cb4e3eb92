"""Multi-timescale adaptive threshold neuron (Kobayashi et al. 2009)."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class mat2_psc_exp(NeuronModel):
    """Leaky integrator without reset whose threshold jumps at spikes and decays on two timescales.

    Source: Kobayashi, Tsubo & Shinomoto (2009), Front. Comput. Neurosci. 3:9; NEST
    ``mat2_psc_exp``. The dead time t_ref holds nothing.
    """

    tau_m = param(5.0, "ms", gt=0, doc="membrane time constant", usual=(0.5, 1000))
    C_m = param(100.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    tau_syn_ex = param(1.0, "ms", gt=0, doc="decay time of excitatory currents")
    tau_syn_in = param(3.0, "ms", gt=0, doc="decay time of inhibitory currents")
    E_L = param(-70.0, "mV", doc="resting potential")
    t_ref = param(2.0, "ms", ge=0, doc="dead time after a spike")
    I_e = param(0.0, "pA", doc="constant input current")
    tau_1 = param(10.0, "ms", gt=0, doc="short time constant of the threshold")
    tau_2 = param(200.0, "ms", gt=0, doc="long time constant of the threshold")
    alpha_1 = param(37.0, "mV", doc="jump of the fast threshold part")
    alpha_2 = param(2.0, "mV", doc="jump of the slow threshold part")
    omega = param(-51.0, "mV", doc="resting threshold")
    V_m = state("mV", init="E_L", doc="membrane potential")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    V_th_alpha_1 = state("mV", doc="fast part of the threshold")
    V_th_alpha_2 = state("mV", doc="slow part of the threshold")
    equations = """
        dV_m/dt        = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_e)/C_m : mV
        dI_syn_ex/dt   = -I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt   = -I_syn_in/tau_syn_in : pA
        dV_th_alpha_1/dt = -V_th_alpha_1/tau_1 : mV
        dV_th_alpha_2/dt = -V_th_alpha_2/tau_2 : mV
    """
    receptors = {"exc": "I_syn_ex += weight", "inh": "I_syn_in += weight"}
    threshold = "V_m >= omega + V_th_alpha_1 + V_th_alpha_2"
    reset = "V_th_alpha_1 += alpha_1; V_th_alpha_2 += alpha_2"
    refractory = Refractory("t_ref")
