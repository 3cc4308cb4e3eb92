"""Reward-modulated STDP: pairs leave a trace that dopamine turns into a change of the weight."""

from __future__ import annotations

from neurosim.models.declare import param
from neurosim.models.synapse import SynapseModel


class stdp_dopamine(SynapseModel):
    """STDP modulated by dopamine, with an eligibility trace in every synapse.

    Pairs of spikes change the eligibility ``c``; the weight follows ``dw/dt = c (n - b)`` with
    the concentration ``n`` of dopamine, which every spike of the modulator raises by
    ``1/tau_n`` (Izhikevich 2007, Cereb. Cortex 17:2443; Potjans et al. 2010, Front. Comput.
    Neurosci. 4:141; NEST's ``stdp_dopamine_synapse``, where ``tau_minus`` belongs to the target
    neuron and the modulator is a volume transmitter). Name the modulator with
    ``connect(..., modulator=population)``.
    """

    tau_plus = param(20.0, "ms", gt=0, doc="time constant of potentiation")
    tau_minus = param(20.0, "ms", gt=0, doc="time constant of depression")
    tau_c = param(1000.0, "ms", gt=0, doc="time constant of the eligibility trace")
    tau_n = param(200.0, "ms", gt=0, doc="time constant of dopamine")
    A_plus = param(1.0, "1", doc="eligibility from a presynaptic spike before a postsynaptic one")
    A_minus = param(1.5, "1", doc="eligibility taken by the other order")
    b = param(0.0, "1/ms", doc="baseline concentration of dopamine")
    Wmin = param(0.0, "1", ge=0, doc="smallest weight")
    Wmax = param(200.0, "1", gt=0, doc="largest weight")
    presynaptic = "dK_plus/dt = -K_plus/tau_plus : 1"
    postsynaptic = "dK_minus/dt = -K_minus/tau_minus : 1"
    modulator = "dn/dt = -n/tau_n : 1/ms"
    equations = """
        dc/dt = -c/tau_c : 1
        dw/dt = c*(n - b) : 1
    """
    on_pre = "c -= A_minus*K_minus; K_plus += 1"
    on_post = "c += A_plus*K_plus; K_minus += 1"
    on_modulator = "n += 1/tau_n"
    bounds = ("Wmin", "Wmax")
