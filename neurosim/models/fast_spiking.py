"""The fast-spiking Hodgkin-Huxley neuron that gap junctions are studied with."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class hh_psc_alpha_gap(NeuronModel):
    """Fast-spiking Hodgkin-Huxley neuron with alpha-shaped synaptic currents.

    An interneuron of the neocortex with two kinds of potassium channels (Kv1 and Kv3), which
    `Network.gap_junctions` joins; any other model can be joined as well. A spike is counted at a
    maximum of the membrane potential above 0 mV. Source: Mancilla et al. (2007), J. Neurosci.
    27:2058; NEST ``hh_psc_alpha_gap``.
    """

    C_m = param(40.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_Na = param(4500.0, "nS", ge=0, doc="sodium peak conductance")
    g_Kv1 = param(9.0, "nS", ge=0, doc="peak conductance of the Kv1 potassium channels")
    g_Kv3 = param(9000.0, "nS", ge=0, doc="peak conductance of the Kv3 potassium channels")
    g_L = param(10.0, "nS", ge=0, doc="leak conductance")
    E_Na = param(74.0, "mV", doc="sodium reversal potential")
    E_K = param(-90.0, "mV", doc="potassium reversal potential")
    E_L = param(-70.0, "mV", doc="leak reversal potential")
    tau_syn_ex = param(0.2, "ms", gt=0, doc="rise time of excitatory currents")
    tau_syn_in = param(2.0, "ms", gt=0, doc="rise time of inhibitory currents")
    t_ref = param(2.0, "ms", ge=0, doc="dead time after a spike")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init=-69.60401191631222, doc="membrane potential")
    Act_m = state("1", init=0.019198766985083732, doc="sodium activation")
    Inact_h = state("1", init=0.868462041294399, doc="sodium inactivation")
    Act_n = state("1", init=0.0005741576228359767, doc="activation of Kv1")
    Inact_p = state("1", init=0.0002511318227150632, doc="activation of Kv3 (NEST's name)")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    dI_ex = state("pA/ms", doc="auxiliary state of the excitatory alpha function")
    dI_in = state("pA/ms", doc="auxiliary state of the inhibitory alpha function")
    equations = """
        alpha_m = 540[1/ms]/exprel(-(V_m - 75.5[mV])/13.5[mV])
        beta_m  = 1.2262[1/ms]*exp(-V_m/42.248[mV])
        alpha_h = 0.0035[1/ms]*exp(-V_m/24.186[mV])
        beta_h  = 0.0884[1/ms]/exprel(-(V_m + 51.25[mV])/5.2[mV])
        alpha_p = 11.8[1/ms]/exprel(-(V_m - 95[mV])/11.8[mV])
        beta_p  = 0.025[1/ms]*exp(-V_m/22.222[mV])
        alpha_n = 0.0322[1/ms]/exprel(-(V_m + 44[mV])/2.3[mV])
        beta_n  = 0.0043[1/ms]*exp(-(V_m + 44[mV])/34[mV])
        I_Na = g_Na*Act_m**3*Inact_h*(V_m - E_Na)
        I_K  = (g_Kv1*Act_n**4 + g_Kv3*Inact_p**2)*(V_m - E_K)
        dV_m/dt = (-I_Na - I_K - g_L*(V_m - E_L) + I_syn_ex + I_syn_in + I_e)/C_m : mV
        dAct_m/dt   = alpha_m*(1 - Act_m) - beta_m*Act_m : 1
        dInact_h/dt = alpha_h*(1 - Inact_h) - beta_h*Inact_h : 1
        dAct_n/dt   = alpha_n*(1 - Act_n) - beta_n*Act_n : 1
        dInact_p/dt = alpha_p*(1 - Inact_p) - beta_p*Inact_p : 1
        dI_syn_ex/dt = dI_ex - I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt = dI_in - I_syn_in/tau_syn_in : pA
        ddI_ex/dt    = -dI_ex/tau_syn_ex : pA/ms
        ddI_in/dt    = -dI_in/tau_syn_in : pA/ms
    """
    receptors = {
        "exc": "dI_ex += weight*exp(1)/tau_syn_ex",
        "inh": "dI_in += weight*exp(1)/tau_syn_in",
    }
    threshold = "V_m >= 0[mV] and previous(V_m) > V_m"
    reset = ""
    refractory = Refractory("t_ref")
    method = "rk45"
