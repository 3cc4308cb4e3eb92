"""Hodgkin-Huxley neurons: the squid axon and the modified Traub-Miles cell."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class hh_psc_alpha(NeuronModel):
    """Hodgkin-Huxley neuron (squid axon) with alpha-shaped synaptic currents.

    A spike is counted at a maximum of the membrane potential above 0 mV. Source: Hodgkin & Huxley
    (1952), J. Physiol. 117:500; NEST ``hh_psc_alpha``.
    """

    C_m = param(100.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_Na = param(12000.0, "nS", ge=0, doc="sodium peak conductance")
    g_K = param(3600.0, "nS", ge=0, doc="potassium peak conductance")
    g_L = param(30.0, "nS", ge=0, doc="leak conductance")
    E_Na = param(50.0, "mV", doc="sodium reversal potential")
    E_K = param(-77.0, "mV", doc="potassium reversal potential")
    E_L = param(-54.402, "mV", doc="leak reversal potential")
    tau_syn_ex = param(0.2, "ms", gt=0, doc="rise time of excitatory currents")
    tau_syn_in = param(2.0, "ms", gt=0, doc="rise time of inhibitory currents")
    t_ref = param(2.0, "ms", ge=0, doc="dead time after a spike")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init=-65.0, doc="membrane potential")
    Act_m = state("1", init=0.05293248525724958, doc="sodium activation")
    Inact_h = state("1", init=0.5961207535084603, doc="sodium inactivation")
    Act_n = state("1", init=0.3176769140606974, doc="potassium activation")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    dI_ex = state("pA/ms", doc="auxiliary state of the excitatory alpha function")
    dI_in = state("pA/ms", doc="auxiliary state of the inhibitory alpha function")
    equations = """
        alpha_m = 1[1/ms]/exprel(-(V_m + 40[mV])/10[mV])
        beta_m  = 4[1/ms]*exp(-(V_m + 65[mV])/18[mV])
        alpha_h = 0.07[1/ms]*exp(-(V_m + 65[mV])/20[mV])
        beta_h  = 1[1/ms]/(1 + exp(-(V_m + 35[mV])/10[mV]))
        alpha_n = 0.1[1/ms]/exprel(-(V_m + 55[mV])/10[mV])
        beta_n  = 0.125[1/ms]*exp(-(V_m + 65[mV])/80[mV])
        I_Na = g_Na*Act_m**3*Inact_h*(V_m - E_Na)
        I_K  = g_K*Act_n**4*(V_m - E_K)
        dV_m/dt = (-I_Na - I_K - g_L*(V_m - E_L) + I_syn_ex + I_syn_in + I_e)/C_m : mV
        dAct_m/dt   = alpha_m*(1 - Act_m) - beta_m*Act_m : 1
        dInact_h/dt = alpha_h*(1 - Inact_h) - beta_h*Inact_h : 1
        dAct_n/dt   = alpha_n*(1 - Act_n) - beta_n*Act_n : 1
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


class hh_cond_exp_traub(NeuronModel):
    """Modified Hodgkin-Huxley neuron of Traub & Miles with exponential conductances.

    A spike is counted at a maximum of the membrane potential above V_T + 30 mV. Source: Traub &
    Miles (1991); Brette et al. (2007), J. Comput. Neurosci. 23:349, benchmark 3; NEST
    ``hh_cond_exp_traub``. The adaptive steps are not NEST's to the last digit: over hundreds of
    spikes one may come a step later or earlier.
    """

    C_m = param(200.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_Na = param(20000.0, "nS", ge=0, doc="sodium peak conductance")
    g_K = param(6000.0, "nS", ge=0, doc="potassium peak conductance")
    g_L = param(10.0, "nS", ge=0, doc="leak conductance")
    E_Na = param(50.0, "mV", doc="sodium reversal potential")
    E_K = param(-90.0, "mV", doc="potassium reversal potential")
    E_L = param(-60.0, "mV", doc="leak reversal potential")
    V_T = param(-63.0, "mV", doc="voltage offset of the channel kinetics")
    E_ex = param(0.0, "mV", doc="excitatory reversal potential")
    E_in = param(-80.0, "mV", doc="inhibitory reversal potential")
    tau_syn_ex = param(5.0, "ms", gt=0, doc="decay time of excitatory conductances")
    tau_syn_in = param(10.0, "ms", gt=0, doc="decay time of inhibitory conductances")
    t_ref = param(2.0, "ms", ge=0, doc="dead time after a spike")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    Act_m = state("1", init=9.895563096746586e-09, doc="sodium activation")
    Inact_h = state("1", init=0.999999999106396, doc="sodium inactivation")
    Act_n = state("1", init=2.551577051602551e-07, doc="potassium activation")
    g_ex = state("nS", doc="excitatory synaptic conductance")
    g_in = state("nS", doc="inhibitory synaptic conductance")
    equations = """
        u = V_m - V_T
        alpha_m = 1.28[1/ms]/exprel((13[mV] - u)/4[mV])
        beta_m  = 1.4[1/ms]/exprel((u - 40[mV])/5[mV])
        alpha_h = 0.128[1/ms]*exp((17[mV] - u)/18[mV])
        beta_h  = 4[1/ms]/(1 + exp((40[mV] - u)/5[mV]))
        alpha_n = 0.16[1/ms]/exprel((15[mV] - u)/5[mV])
        beta_n  = 0.5[1/ms]*exp((10[mV] - u)/40[mV])
        I_Na = g_Na*Act_m**3*Inact_h*(V_m - E_Na)
        I_K  = g_K*Act_n**4*(V_m - E_K)
        I_syn = g_ex*(V_m - E_ex) + g_in*(V_m - E_in)
        dV_m/dt = (-I_Na - I_K - g_L*(V_m - E_L) - I_syn + I_e)/C_m : mV
        dAct_m/dt   = alpha_m*(1 - Act_m) - beta_m*Act_m : 1
        dInact_h/dt = alpha_h*(1 - Inact_h) - beta_h*Inact_h : 1
        dAct_n/dt   = alpha_n*(1 - Act_n) - beta_n*Act_n : 1
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
    """
    receptors = {"exc": "g_ex += weight", "inh": "g_in += weight"}
    threshold = "V_m >= V_T + 30[mV] and previous(V_m) > V_m"
    reset = ""
    refractory = Refractory("t_ref")
    method = "rk45"
