"""Two-compartment neuron with random spikes, for the dendritic rule `urbanczik`."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class pp_cond_exp_mc_urbanczik(NeuronModel):
    """Soma with conductances, driven by a dendrite with currents; spikes come by chance.

    Spikes are a Poisson process with the rate ``phi(V_m) = phi_max/(1 + rate_slope
    exp(beta (theta - V_m)))``: in each step the sum of two squared normal numbers, which is
    exponentially distributed, is compared with twice ``phi dt``. The dendrite does not feel the
    soma. Source: Urbanczik & Senn (2014), Neuron 81:521; NEST ``pp_cond_exp_mc_urbanczik``, where
    ``V_m``, ``V_dend``, ``I_ex``, ``I_in`` are called ``V_m.s``, ``V_m.p``, ``I_ex.p``, ``I_in.p``.
    """

    C_m = param(300.0, "pF", gt=0, doc="capacitance of the soma", usual=(0.5, 1e5))
    g_L = param(30.0, "nS", gt=0, doc="leak conductance of the soma")
    E_L = param(-70.0, "mV", doc="leak reversal potential")
    E_ex = param(0.0, "mV", doc="excitatory reversal potential")
    E_in = param(-75.0, "mV", doc="inhibitory reversal potential")
    tau_syn_ex = param(3.0, "ms", gt=0, doc="decay of excitatory conductance and current")
    tau_syn_in = param(3.0, "ms", gt=0, doc="decay of inhibitory conductance and current")
    C_m_dend = param(300.0, "pF", gt=0, doc="capacitance of the dendrite", usual=(0.5, 1e5))
    g_L_dend = param(30.0, "nS", gt=0, doc="leak conductance of the dendrite")
    g_sp = param(600.0, "nS", ge=0, doc="coupling of the dendrite to the soma")
    phi_max = param(0.15, "1/ms", gt=0, doc="largest rate")
    rate_slope = param(0.5, "1", gt=0, doc="slope of the rate")
    beta = param(1.0 / 3.0, "1/mV", gt=0, doc="steepness of the rate")
    theta = param(-55.0, "mV", doc="potential of half the rate")
    t_ref = param(3.0, "ms", ge=0, doc="dead time after a spike")
    I_e = param(0.0, "pA", doc="constant current into the soma")
    V_m = state("mV", init="E_L", doc="potential of the soma")
    V_dend = state("mV", init="E_L", doc="potential of the dendrite")
    g_ex = state("nS", doc="excitatory conductance of the soma")
    g_in = state("nS", doc="inhibitory conductance of the soma")
    I_ex = state("pA", doc="excitatory current into the dendrite")
    I_in = state("pA", doc="inhibitory current into the dendrite")
    spiked = state("1", doc="1 in the step of a spike, else 0")
    chance_1 = state("1", doc="normal number, another one in every step")
    chance_2 = state("1", doc="normal number, another one in every step")
    equations = """
        I_soma = I_e - g_ex*(V_m - E_ex) - g_in*(V_m - E_in)
        dV_m/dt = (-g_L*(V_m - E_L) + g_sp*(V_dend - V_m) + I_soma)/C_m : mV
        dV_dend/dt = (-g_L_dend*(V_dend - E_L) + I_ex + I_in)/C_m_dend : mV
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
        dI_ex/dt = -I_ex/tau_syn_ex : pA
        dI_in/dt = -I_in/tau_syn_in : pA
        dchance_1/dt = -chance_1*40/dt + (80/dt)**0.5*xi : 1
        dchance_2/dt = -chance_2*40/dt + (80/dt)**0.5*xi : 1
        spiked := 0*spiked : 1
    """
    receptors = {
        "dendrite_exc": "I_ex += weight",
        "dendrite_inh": "I_in += weight",
        "soma_exc": "g_ex += weight",
        "soma_inh": "g_in += weight",
    }
    threshold = "chance_1**2 + chance_2**2 < 2*dt*phi_max/(1 + rate_slope*exp(beta*(theta - V_m)))"
    reset = "spiked = 1"
    refractory = Refractory("t_ref")
    method = "rk4"
