"""A reduced pyramidal neuron whose apical dendrite fires calcium spikes."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state
from neurosim.models.mechanisms import LONGEST


class pyramidal_ca(NeuronModel):
    """Pyramidal neuron of two compartments with calcium spikes in the dendrite, which make bursts.

    A somatic spike drives the dendrite for t_bap; with input to the dendrite at the same time it
    starts a calcium plateau, a self-exciting current g_dend f(V_d) with a slow outward current
    against it, and the plateau drives the soma with g_soma f(V_d): a burst. Either input alone does
    less. The compartments are not coupled by a conductance. Source: Naud & Sprekeler (2018), Proc.
    Natl. Acad. Sci. 115:E6329; equations and parameters as in the program of Payeur et al. (2021),
    Nat. Neurosci. 24:1010. There a moving threshold stands for refractoriness; the refractory
    period and the delay of 0.5 ms that the article has are not in it (t_ref is 0 by default).
    """

    soma_C_m = param(370.0, "pF", gt=0, doc="capacitance of the soma")
    soma_tau_m = param(16.0, "ms", gt=0, doc="membrane time constant of the soma")
    dend_C_m = param(170.0, "pF", gt=0, doc="capacitance of the dendrite")
    dend_tau_m = param(7.0, "ms", gt=0, doc="membrane time constant of the dendrite")
    E_L = param(-70.0, "mV", doc="resting potential")
    g_soma = param(1300.0, "pA", ge=0, doc="largest current of the plateau into the soma")
    g_dend = param(1200.0, "pA", ge=0, doc="largest current of the plateau into the dendrite")
    E_d = param(-38.0, "mV", doc="potential at which half of the plateau current flows")
    D_d = param(6.0, "mV", gt=0, doc="sharpness of the plateau current")
    I_bap = param(2600.0, "pA", doc="current of a somatic spike into the dendrite")
    t_bap = param(2.0, "ms", ge=0, doc="duration of that current")
    b = param(200.0, "pA", doc="somatic adaptation that a spike adds")
    soma_tau_w = param(100.0, "ms", gt=0, doc="time constant of somatic adaptation")
    a = param(13.0, "nS", ge=0, doc="strength of the outward current against the plateau")
    dend_tau_w = param(30.0, "ms", gt=0, doc="time constant of the outward current")
    V_th = param(-50.0, "mV", doc="threshold at rest")
    V_reset = param(-70.0, "mV", doc="reset potential")
    V_jump = param(2.0, "mV", doc="jump of the threshold at a spike")
    tau_jump = param(27.0, "ms", gt=0, doc="time constant of the threshold")
    t_ref = param(0.0, "ms", ge=0, doc="refractory period")
    E_ex = param(0.0, "mV", doc="excitatory reversal potential")
    E_in = param(-80.0, "mV", doc="inhibitory reversal potential")
    tau_syn_ex = param(5.0, "ms", gt=0, doc="decay time of excitatory conductances")
    tau_syn_in = param(10.0, "ms", gt=0, doc="decay time of inhibitory conductances")
    soma_I_e = param(0.0, "pA", doc="constant current into the soma")
    dend_I_e = param(0.0, "pA", doc="constant current into the dendrite")
    soma_V_m = state("mV", init="E_L", doc="membrane potential of the soma")
    dend_V_m = state("mV", init="E_L", doc="membrane potential of the dendrite")
    soma_w = state("pA", doc="somatic adaptation current")
    dend_w = state("pA", doc="outward current of the dendrite")
    V_th_up = state("mV", doc="what spikes have added to the threshold")
    since = state("ms", init=LONGEST, doc="time since the last spike")
    soma_g_ex = state("nS", doc="excitatory conductance of the soma")
    soma_g_in = state("nS", doc="inhibitory conductance of the soma")
    dend_g_ex = state("nS", doc="excitatory conductance of the dendrite")
    dend_g_in = state("nS", doc="inhibitory conductance of the dendrite")
    equations = f"""
        f = 1/(1 + exp(-(dend_V_m - E_d)/D_d))
        soma_syn = soma_g_ex*(E_ex - soma_V_m) + soma_g_in*(E_in - soma_V_m)
        dend_syn = dend_g_ex*(E_ex - dend_V_m) + dend_g_in*(E_in - dend_V_m)
        soma_in = g_soma*f + soma_syn + soma_I_e - soma_w
        dend_in = g_dend*f + where(since < t_bap - dt/2, I_bap, 0) + dend_syn + dend_I_e - dend_w
        dsoma_V_m/dt = (E_L - soma_V_m)/soma_tau_m + soma_in/soma_C_m : mV
        ddend_V_m/dt = (E_L - dend_V_m)/dend_tau_m + dend_in/dend_C_m : mV
        dsoma_w/dt  = -soma_w/soma_tau_w : pA
        ddend_w/dt  = (a*(dend_V_m - E_L) - dend_w)/dend_tau_w : pA
        dV_th_up/dt = -V_th_up/tau_jump : mV
        since := min(since + dt, {LONGEST:g}[ms]) : ms
        dsoma_g_ex/dt = -soma_g_ex/tau_syn_ex : nS
        dsoma_g_in/dt = -soma_g_in/tau_syn_in : nS
        ddend_g_ex/dt = -dend_g_ex/tau_syn_ex : nS
        ddend_g_in/dt = -dend_g_in/tau_syn_in : nS
    """
    receptors = {
        "soma_exc": "soma_g_ex += weight",
        "soma_inh": "soma_g_in += weight",
        "dend_exc": "dend_g_ex += weight",
        "dend_inh": "dend_g_in += weight",
    }
    threshold = "soma_V_m > V_th + V_th_up"
    reset = "soma_V_m = V_reset; soma_w += b; V_th_up += V_jump; since = 0"
    refractory = Refractory("t_ref", hold=["soma_V_m"])
    method = "rk4"
