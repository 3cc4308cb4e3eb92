"""Integrate-and-fire neuron with dendritic action potentials."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class iaf_psc_exp_nonlineardendrite(NeuronModel):
    """Leaky integrate-and-fire neuron with a dendrite that holds a prediction.

    External and inhibitory currents decay exponentially, a dendritic one is an alpha function
    with the peak `weight`. When the dendritic current reaches ``theta_dAP``, a dendritic action
    potential (dAP) begins: the current is clamped to ``I_p`` for ``tau_dAP`` and then 0, and
    what arrives meanwhile is lost. A somatic spike cancels it. The dAP is too weak to make the
    soma fire, but the cell now answers to external input before its neighbours do: it is
    predictive.

    ``dAP`` is the time that is left of the dAP (0: there is none), ``z`` counts dAPs with the
    memory ``tau_h``. Source: Bouhadjar, Wouters, Diesmann & Tetzlaff (2022), PLoS Comput. Biol.
    18:e1010233; the neuron of that name in NESTML, whose three ports are the receptors here.
    Within a step the potential sees the dendritic current of the step's middle.
    """

    tau_m = param(10.0, "ms", gt=0, doc="membrane time constant", usual=(1, 500))
    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance")
    E_L = param(0.0, "mV", doc="resting potential")
    V_reset = param(0.0, "mV", doc="reset potential")
    V_th = param(20.0, "mV", doc="spike threshold")
    t_ref = param(10.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant current")
    tau_syn1 = param(2.0, "ms", gt=0, doc="decay time of external currents")
    tau_syn2 = param(5.0, "ms", gt=0, doc="rise time of dendritic currents")
    tau_syn3 = param(1.0, "ms", gt=0, doc="decay time of inhibitory currents")
    theta_dAP = param(59.0, "pA", gt=0, doc="dendritic current that starts a dAP")
    I_p = param(200.0, "pA", doc="dendritic current in a dAP")
    tau_dAP = param(60.0, "ms", gt=0, doc="duration of a dAP")
    tau_h = param(440.0, "ms", gt=0, doc="memory of the dAP rate")
    V_m = state("mV", init="E_L", doc="membrane potential")
    I_dend = state("pA", doc="dendritic current, I_p during a dendritic action potential")
    dI_dend = state("pA/ms", doc="auxiliary state of the alpha function")
    dAP = state("ms", doc="time left of a dendritic action potential")
    z = state("1", doc="trace of dendritic action potentials")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")
    equations = """
        active  = dAP > 0.5*dt
        goes_on = dAP > 1.5*dt
        ahead   = exp(-dt/tau_syn2)*(I_dend + dt*dI_dend)
        onset   = ahead >= theta_dAP and not active
        I_mean  = where(active, I_dend, exp(-0.5*dt/tau_syn2)*(I_dend + 0.5*dt*dI_dend))
        dV_m/dt      = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_mean + I_e)/C_m : mV
        dI_syn_ex/dt = -I_syn_ex/tau_syn1 : pA
        dI_syn_in/dt = -I_syn_in/tau_syn3 : pA
        dI_dend := where(active or onset, 0, exp(-dt/tau_syn2)*dI_dend) : pA/ms
        I_dend  := where(onset or goes_on, I_p, where(active, 0, ahead)) : pA
        dAP     := where(onset, tau_dAP, where(goes_on, dAP - dt, 0)) : ms
        z       := exp(-dt/tau_h)*z + where(onset, 1, 0) : 1
    """
    receptors = {
        "exc": "I_syn_ex += weight",
        "inh": "I_syn_in += weight",
        "dend": "dI_dend += weight*exp(1)/tau_syn2",
    }
    threshold = "V_m >= V_th"
    reset = "V_m = V_reset; I_dend = 0; dI_dend = 0; dAP = 0"
    refractory = Refractory("t_ref", hold=["V_m"])
