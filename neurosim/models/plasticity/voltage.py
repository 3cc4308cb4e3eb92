"""Voltage-based STDP (Clopath et al. 2010)."""

from __future__ import annotations

from neurosim.models.declare import param
from neurosim.models.synapse import SynapseModel


class clopath(SynapseModel):
    """Plasticity by the potential of the target and its low-pass filters.

    A presynaptic spike takes ``A_LTD (u_bar_minus - theta_minus)+`` away. In every step in which
    the potential is above ``theta_plus``, ``A_LTP (V_m - theta_plus) (u_bar_plus - theta_minus)+
    x_bar dt`` is added, where ``x_bar`` is the low-pass of the presynaptic train. With
    ``A_LTD_const = 0`` depression grows with ``u_bar_bar^2/u_ref_squared``, which is homeostatic
    (Clopath et al. 2010, Nat. Neurosci. 13:344, equations 1 to 4; NEST's ``clopath_synapse``,
    where all but ``tau_x`` and the bounds belongs to the target neuron).

    Both filters are read late by ``delay_u_bars``, about the width of a spike, so that a spike does
    not act on itself; depression sees them later still by the dendritic part of the delay. What is
    earlier than the first step is as at the beginning (NEST: 0 mV).

    The target needs the states ``V_m``, ``u_bar_plus``, ``u_bar_minus`` and ``u_bar_bar``:
    `aeif_psc_delta_clopath`, `hh_psc_alpha_clopath`, or a model of your own.
    """

    A_LTP = param(8e-5, "1/mV**2", ge=0, doc="amplitude of potentiation")
    A_LTD = param(14e-5, "1/mV", ge=0, doc="amplitude of depression")
    A_LTD_const = param(1.0, "1", ge=0, le=1, doc="1: A_LTD is constant; 0: homeostatic")
    theta_plus = param(-45.3, "mV", doc="potential above which there is potentiation")
    theta_minus = param(-70.6, "mV", doc="filtered potential above which weights change")
    u_ref_squared = param(60.0, "mV**2", gt=0, doc="reference of homeostatic depression")
    tau_x = param(15.0, "ms", gt=0, doc="low-pass of the presynaptic train")
    delay_u_bars = param(5.0, "ms", ge=0, doc="how late u_bar_plus and u_bar_minus are read")
    Wmin = param(0.0, "1", ge=0, doc="smallest weight")
    Wmax = param(100.0, "1", gt=0, doc="largest weight")
    presynaptic = "dx_bar/dt = -x_bar/tau_x : 1/ms"
    post_event = "V_m_post > theta_plus"
    on_post = """
        late = delayed(u_bar_plus_post, delay_u_bars)
        w += A_LTP*(V_m_post - theta_plus)*max(late - theta_minus, 0[mV])*x_bar*dt
    """
    on_pre = """
        amplitude = where(A_LTD_const > 0.5, A_LTD, A_LTD*u_bar_bar_post**2/u_ref_squared)
        w -= amplitude*max(delayed(u_bar_minus_post, delay_u_bars) - theta_minus, 0[mV])
        x_bar += 1/tau_x
    """
    bounds = ("Wmin", "Wmax")
