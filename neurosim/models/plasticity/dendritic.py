"""Learning by the dendritic prediction of somatic spiking (Urbanczik and Senn 2014)."""

from __future__ import annotations

from neurosim.models.declare import param
from neurosim.models.synapse import SynapseModel


class urbanczik(SynapseModel):
    """Plasticity that makes a dendrite predict the spikes of its soma.

    Each step the difference between a spike of the target and the rate ``phi(V*)`` that the
    dendritic potential predicts, times ``h(V*)`` and the potential that the source has caused,
    enters an eligibility ``PI``; the weight follows its low-pass with ``tau_Delta``
    (Urbanczik & Senn 2014, Neuron 81:521, equations 2 to 5; NEST's ``urbanczik_synapse``, where
    all but ``eta``, ``tau_Delta`` and the bounds belongs to the target neuron).
    ``V* = (g_L_soma E_L + g_sp V_dend)/(g_L_soma + g_sp)`` is the somatic potential with
    dendritic input alone. ``w`` is limited at every change; NEST limits only what it reports.

    The target needs the states ``V_dend`` and ``spiked`` (1 in the step of a spike, else 0), as
    `pp_cond_exp_mc_urbanczik` has them. Its every step is an event, so the cost is that of a
    clock.
    """

    eta = param(0.07, "mV/ms", ge=0, doc="learning rate")
    tau_Delta = param(100.0, "ms", gt=0, doc="low-pass of the change")
    phi_max = param(0.15, "1/ms", gt=0, doc="largest rate")
    rate_slope = param(0.5, "1", gt=0, doc="slope of the rate")
    beta = param(1.0 / 3.0, "1/mV", gt=0, doc="steepness of the rate")
    theta = param(-55.0, "mV", doc="potential of half the rate")
    g_sp = param(600.0, "nS", gt=0, doc="coupling of the dendrite to the soma")
    g_L_soma = param(30.0, "nS", gt=0, doc="leak conductance of the soma")
    E_L = param(-70.0, "mV", doc="leak reversal potential of the soma")
    g_L = param(30.0, "nS", gt=0, doc="leak conductance of the dendrite")
    C_m = param(300.0, "pF", gt=0, doc="capacitance of the dendrite")
    tau_syn = param(3.0, "ms", gt=0, doc="decay of the dendritic current; not C_m/g_L")
    Wmin = param(0.0, "1", ge=0, doc="smallest weight")
    Wmax = param(100.0, "1", gt=0, doc="largest weight")
    presynaptic = """
        dx_membrane/dt = -x_membrane*g_L/C_m : 1
        dx_current/dt = -x_current/tau_syn : 1
    """
    equations = """
        dPI/dt = -PI/tau_Delta : 1
        dw/dt = PI/tau_Delta : 1
    """
    on_pre = "x_membrane += 1; x_current += 1"
    post_event = "spiked_post >= 0"
    on_post = """
        odds = exp(beta*(theta - (g_L_soma*E_L + g_sp*V_dend_post)/(g_L_soma + g_sp)))
        rate = phi_max/(1 + rate_slope*odds)
        h = 15*beta/(1 + 1/(rate_slope*odds))
        scale = 15*eta*C_m*tau_syn/(C_m - g_L*tau_syn)
        PI += scale*(spiked_post - rate*dt)*h*(x_membrane - x_current)
    """
    bounds = ("Wmin", "Wmax")
