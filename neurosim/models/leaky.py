"""Parts that leaky integrate-and-fire models share, whatever the shape of their synapses."""

from neurosim.models.declare import Refractory, param, state


class _Leaky:
    """Threshold, reset and refractory time of the membrane."""

    threshold = "V_m >= V_th"
    reset = "V_m = V_reset"
    refractory = Refractory("t_ref", hold=["V_m"])


class LeakyCurrents(_Leaky):
    """A leaky membrane with excitatory and inhibitory synaptic currents."""

    tau_m = param(10.0, "ms", gt=0, doc="membrane time constant", usual=(0.5, 1000))
    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    tau_syn_ex = param(2.0, "ms", gt=0, doc="decay time of excitatory currents", usual=(0.05, 1000))
    tau_syn_in = param(2.0, "ms", gt=0, doc="decay time of inhibitory currents", usual=(0.05, 1000))
    E_L = param(-70.0, "mV", doc="resting potential")
    V_th = param(-55.0, "mV", doc="threshold")
    V_reset = param(-70.0, "mV", doc="reset potential")
    t_ref = param(2.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    I_syn_ex = state("pA", doc="excitatory synaptic current")
    I_syn_in = state("pA", doc="inhibitory synaptic current")


class LeakyConductances(_Leaky):
    """A leaky membrane with excitatory and inhibitory synaptic conductances."""

    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    g_L = param(16.6667, "nS", gt=0, doc="leak conductance")
    E_L = param(-70.0, "mV", doc="leak reversal potential")
    E_ex = param(0.0, "mV", doc="excitatory reversal potential")
    E_in = param(-85.0, "mV", doc="inhibitory reversal potential")
    tau_syn_ex = param(0.2, "ms", gt=0, doc="decay time of excitatory conductances")
    tau_syn_in = param(2.0, "ms", gt=0, doc="decay time of inhibitory conductances")
    V_th = param(-55.0, "mV", doc="threshold")
    V_reset = param(-60.0, "mV", doc="reset potential")
    t_ref = param(2.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    g_ex = state("nS", doc="excitatory synaptic conductance")
    g_in = state("nS", doc="inhibitory synaptic conductance")
