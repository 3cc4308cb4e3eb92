"""Neurons with low-pass filters of their potential, for the voltage-based rule `clopath`."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import param, state
from neurosim.models.hodgkin_huxley import hh_psc_alpha

_FILTERS = """
    du_bar_plus/dt  = (V - u_bar_plus)/tau_u_bar_plus : mV
    du_bar_minus/dt = (V - u_bar_minus)/tau_u_bar_minus : mV
    du_bar_bar/dt   = (u_bar_minus - u_bar_bar)/tau_u_bar_bar : mV
"""


class aeif_psc_delta_clopath(NeuronModel):
    """Adaptive exponential integrate-and-fire neuron with filters of its potential.

    A spike holds the potential at ``V_clamp`` for ``t_clamp``, raises the threshold to
    ``V_th_max`` and starts the depolarising current z. A weight [mV] is the jump of the potential.
    Source: Clopath et al. (2010), Nat. Neurosci. 13:344, methods; NEST
    ``aeif_psc_delta_clopath``, whose parameters of plasticity belong to the synapse here.
    """

    C_m = param(281.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_L = param(30.0, "nS", gt=0, doc="leak conductance")
    E_L = param(-70.6, "mV", doc="leak reversal potential")
    Delta_T = param(2.0, "mV", gt=0, doc="slope factor")
    V_peak = param(33.0, "mV", doc="potential at which a spike is counted")
    V_clamp = param(33.0, "mV", doc="potential during a spike")
    V_reset = param(-60.0, "mV", doc="potential after a spike")
    V_th_rest = param(-50.4, "mV", doc="resting threshold")
    V_th_max = param(30.4, "mV", doc="threshold after a spike")
    tau_V_th = param(50.0, "ms", gt=0, doc="decay of the threshold")
    t_clamp = param(2.0, "ms", gt=0, doc="duration of a spike")
    t_ref = param(0.0, "ms", ge=0, doc="refractory period after the spike")
    a = param(4.0, "nS", doc="subthreshold adaptation")
    b = param(80.5, "pA", doc="spike-triggered adaptation")
    tau_w = param(144.0, "ms", gt=0, doc="adaptation time constant")
    I_sp = param(400.0, "pA", doc="depolarising current after a spike")
    tau_z = param(40.0, "ms", gt=0, doc="decay of the depolarising current")
    tau_u_bar_plus = param(7.0, "ms", gt=0, doc="filter of u_bar_plus")
    tau_u_bar_minus = param(10.0, "ms", gt=0, doc="filter of u_bar_minus")
    tau_u_bar_bar = param(500.0, "ms", gt=0, doc="filter of u_bar_bar")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    w = state("pA", doc="adaptation current")
    z = state("pA", doc="depolarising current after a spike")
    V_th = state("mV", init="V_th_rest", doc="threshold of spike initiation")
    u_bar_plus = state("mV", init="E_L", doc="low-pass of the potential, for potentiation")
    u_bar_minus = state("mV", init="E_L", doc="low-pass of the potential, for depression")
    u_bar_bar = state("mV", init="E_L", doc="low-pass of u_bar_minus, for homeostasis")
    left = state("ms", doc="what is left of a spike and the refractory period")
    equations = (
        """
        clamped = left > t_ref + 0.5*dt
        V = where(clamped, V_clamp, min(V_m, V_peak))
        I_spike = g_L*Delta_T*exp(min((V - V_th)/Delta_T, 20))
        slope = (-g_L*(V - E_L) + I_spike - w + z + I_e)/C_m
        ends = where(left < t_ref + 1.5*dt, (V_reset - V_clamp)/dt, 0[mV/ms])
        dV_m/dt  = where(clamped, ends, where(left > 0.5*dt, 0[mV/ms], slope)) : mV
        dw/dt    = where(clamped, 0[pA/ms], (a*(V - E_L) - w)/tau_w) : pA
        dz/dt    = -z/tau_z : pA
        dV_th/dt = (V_th_rest - V_th)/tau_V_th : mV
        left := max(left - dt, 0[ms]) : ms
    """
        + _FILTERS
    )
    receptors = {"in": "V_m += weight"}
    threshold = "V_m >= V_peak and left < 0.5*dt"
    reset = "V_m = V_clamp; w += b; z = I_sp; V_th = V_th_max; left = t_clamp + t_ref"
    method = "rk4"


class hh_psc_alpha_clopath(hh_psc_alpha):
    """Hodgkin-Huxley neuron with alpha-shaped currents and filters of its potential.

    Source: `hh_psc_alpha`; Clopath et al. (2010), Nat. Neurosci. 13:344; NEST
    ``hh_psc_alpha_clopath``, whose parameters of plasticity belong to the synapse here. The
    filters begin at the resting potential (NEST: at 0 mV).
    """

    tau_u_bar_plus = param(114.0, "ms", gt=0, doc="filter of u_bar_plus")
    tau_u_bar_minus = param(10.0, "ms", gt=0, doc="filter of u_bar_minus")
    tau_u_bar_bar = param(500.0, "ms", gt=0, doc="filter of u_bar_bar")
    u_bar_plus = state("mV", init=-65.0, doc="low-pass of the potential, for potentiation")
    u_bar_minus = state("mV", init=-65.0, doc="low-pass of the potential, for depression")
    u_bar_bar = state("mV", init=-65.0, doc="low-pass of u_bar_minus, for homeostasis")
    equations = hh_psc_alpha.equations + "V = V_m\n" + _FILTERS
