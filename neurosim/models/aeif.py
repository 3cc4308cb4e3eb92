"""Adaptive exponential integrate-and-fire neurons (Brette & Gerstner 2005)."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state

_MEMBRANE = """
    V      = min(V_m, V_peak)
    I_spike = where(Delta_T > 0, g_L*Delta_T*exp(min((V - V_th)/max(Delta_T, 1e-9[mV]), 20)), 0)
    dw/dt   = (a*(V - E_L) - w)/tau_w : pA
"""


class _AdaptiveExponential:
    """What the three models have in common: parameters, adaptation, spikes, integration."""

    C_m = param(281.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_L = param(30.0, "nS", gt=0, doc="leak conductance")
    E_L = param(-70.6, "mV", doc="leak reversal potential")
    V_th = param(-50.4, "mV", doc="threshold of spike initiation")
    Delta_T = param(2.0, "mV", ge=0, doc="slope factor")
    V_peak = param(0.0, "mV", doc="potential at which a spike is counted")
    V_reset = param(-60.0, "mV", doc="reset potential")
    a = param(4.0, "nS", doc="subthreshold adaptation")
    b = param(80.5, "pA", doc="spike-triggered adaptation")
    tau_w = param(144.0, "ms", gt=0, doc="adaptation time constant")
    tau_syn_ex = param(0.2, "ms", gt=0, doc="decay time of excitatory input")
    tau_syn_in = param(2.0, "ms", gt=0, doc="decay time of inhibitory input")
    t_ref = param(0.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    w = state("pA", doc="adaptation current")
    threshold = "V_m >= where(Delta_T > 0, V_peak, V_th)"
    reset = "V_m = V_reset; w += b"
    refractory = Refractory("t_ref", hold=["V_m"])
    method = "rk45"
    threshold_test = "substep"


class aeif_psc_exp(_AdaptiveExponential, NeuronModel):
    """Adaptive exponential integrate-and-fire neuron with exponentially decaying currents.

    Source: Brette & Gerstner (2005), J. Neurophysiol. 94:3637, eqs. 1-3; NEST ``aeif_psc_exp``.
    Delta_T = 0 gives the plain threshold V_th.
    """

    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    equations = (
        _MEMBRANE
        + """
        dV_m/dt = (-g_L*(V - E_L) + I_spike + I_syn_ex + I_syn_in - w + I_e)/C_m : mV
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA
    """
    )
    receptors = {"exc": "I_syn_ex += weight", "inh": "I_syn_in += weight"}


class aeif_cond_exp(_AdaptiveExponential, NeuronModel):
    """Adaptive exponential integrate-and-fire neuron with exponentially decaying conductances.

    Source: Brette & Gerstner (2005), J. Neurophysiol. 94:3637; NEST ``aeif_cond_exp``.
    """

    E_ex = param(0.0, "mV", doc="excitatory reversal potential")
    E_in = param(-85.0, "mV", doc="inhibitory reversal potential")
    g_ex = state("nS", doc="excitatory synaptic conductance")
    g_in = state("nS", doc="inhibitory synaptic conductance")
    equations = (
        _MEMBRANE
        + """
        dV_m/dt = (-g_L*(V - E_L) + I_spike - g_ex*(V - E_ex) - g_in*(V - E_in) - w + I_e)/C_m : mV
        dg_ex/dt = -g_ex/tau_syn_ex : nS
        dg_in/dt = -g_in/tau_syn_in : nS
    """
    )
    receptors = {"exc": "g_ex += weight", "inh": "g_in += weight"}


class aeif_cond_alpha(aeif_cond_exp):
    """Adaptive exponential integrate-and-fire neuron with alpha-shaped conductances.

    Source: Brette & Gerstner (2005), J. Neurophysiol. 94:3637; NEST ``aeif_cond_alpha``.
    """

    dg_ex = state("nS/ms", doc="auxiliary state of the excitatory alpha function")
    dg_in = state("nS/ms", doc="auxiliary state of the inhibitory alpha function")
    equations = (
        _MEMBRANE
        + """
        dV_m/dt = (-g_L*(V - E_L) + I_spike - g_ex*(V - E_ex) - g_in*(V - E_in) - w + I_e)/C_m : mV
        dg_ex/dt = dg_ex - g_ex/tau_syn_ex : nS
        dg_in/dt = dg_in - g_in/tau_syn_in : nS
        ddg_ex/dt = -dg_ex/tau_syn_ex : nS/ms
        ddg_in/dt = -dg_in/tau_syn_in : nS/ms
    """
    )
    receptors = {
        "exc": "dg_ex += weight*exp(1)/tau_syn_ex",
        "inh": "dg_in += weight*exp(1)/tau_syn_in",
    }
