"""Generalized leaky integrate-and-fire neurons GLIF1 to GLIF5 (Teeter et al. 2018).

The levels differ in three mechanisms, the three flags of NEST's ``glif_psc``: reset rules with a
spike-dependent threshold (2, 4, 5), after-spike currents (3, 4, 5) and a voltage-dependent
threshold (5). Each mechanism is written once and put together with the others below.
"""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state

_MEMBRANE = """
        dV_m/dt   = (-g*(V_m - E_L) + I_syn + I_after + I_e)/C_m : mV
        dI_syn/dt = dI - I_syn/tau_syn : pA
        ddI/dt    = -dI/tau_syn : pA/ms
"""
_NO_CURRENTS = """
        I_after = 0[pA]
"""
_CURRENTS = """
        I_after   = ASC_1 + ASC_2
        dASC_1/dt = -asc_decay_1*ASC_1 : pA
        dASC_2/dt = -asc_decay_2*ASC_2 : pA
"""
_THRESHOLD_SPIKE = """
        V_previous := V_m : mV
        dthreshold_spike/dt = -th_spike_decay*threshold_spike : mV
"""
_THRESHOLD_VOLTAGE = """
        drive = th_voltage_index*(V_m - E_L)
        dthreshold_voltage/dt = drive - th_voltage_decay*threshold_voltage : mV
"""
# Everything but the synaptic current is frozen in the refractory period; the decay over that time
# is part of the reset (Teeter et al. 2018, Methods). The reset starts from the last potential below
# the threshold, that of the step before, as in NEST and in the authors' AllenSDK.
_RESET_CURRENTS = """
        ASC_1 = asc_amps_1 + asc_r_1*ASC_1*exp(-asc_decay_1*t_ref)
        ASC_2 = asc_amps_2 + asc_r_2*ASC_2*exp(-asc_decay_2*t_ref)
"""
_RESET_RULES = """
        V_m = E_L + voltage_reset_fraction*(V_previous - E_L) + voltage_reset_add
        threshold_spike = threshold_spike*exp(-th_spike_decay*t_ref) + th_spike_add
"""


class glif_psc(NeuronModel):
    """GLIF1, a leaky integrate-and-fire neuron with alpha-shaped currents; base of GLIF2 to GLIF5.

    NEST's ``glif_psc`` with its default flags, all False; ``glif1_psc`` is another name of it. A
    weight [pA] of either sign is the peak of the current, tau_syn after the arrival. The membrane
    is frozen in the refractory period while the current goes on. NEST's array parameters are
    scalars with a number here (``asc_decay_1``, ``asc_decay_2``); of its ``tau_syn`` array there
    is one entry. Source: Teeter et al. (2018), Nat. Commun. 9:709; the defaults are the cell
    490626718 of the Allen Cell Types Database.
    """

    g = param(9.43, "nS", gt=0, doc="leak conductance")
    C_m = param(58.72, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    E_L = param(-78.85, "mV", doc="resting potential")
    V_th = param(-51.68, "mV", doc="threshold at rest")
    V_reset = param(-78.85, "mV", doc="reset potential (GLIF1 and GLIF3)")
    t_ref = param(3.75, "ms", ge=0, doc="refractory period")
    tau_syn = param(2.0, "ms", gt=0, doc="rise time of synaptic currents", usual=(0.05, 1000))
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    I_syn = state("pA", doc="synaptic current")
    dI = state("pA/ms", doc="auxiliary state of the alpha function")
    equations = _NO_CURRENTS + _MEMBRANE
    receptors = {"in": "dI += weight*exp(1)/tau_syn"}
    threshold = "V_m > V_th"
    reset = "V_m = V_reset"
    refractory = Refractory("t_ref", hold=["V_m"])


class glif1_psc(glif_psc):
    """GLIF1: leaky integrate-and-fire. The same as `glif_psc`.

    Source: Teeter et al. (2018), Nat. Commun. 9:709.
    """


class glif2_psc(glif_psc):
    """GLIF2: reset rules and a threshold that rises at each spike.

    NEST's ``glif_psc`` with ``spike_dependent_threshold``. A spike keeps the fraction
    voltage_reset_fraction of the depolarisation and adds voltage_reset_add; V_reset is not used.
    The neuron never stops firing unless voltage_reset_fraction*(V_th - E_L) + voltage_reset_add <
    V_th - E_L + th_spike_add. Source: Teeter et al. (2018), Nat. Commun. 9:709.
    """

    th_spike_add = param(0.37, "mV", doc="jump of the threshold at a spike")
    th_spike_decay = param(0.009, "1/ms", gt=0, doc="decay rate of the spike part of the threshold")
    voltage_reset_fraction = param(0.2, "1", ge=0, le=1, doc="depolarisation kept at a spike")
    voltage_reset_add = param(18.51, "mV", doc="depolarisation added at a spike")
    threshold_spike = state("mV", doc="spike part of the threshold")
    V_previous = state("mV", init="E_L", doc="membrane potential one step before")
    equations = _NO_CURRENTS + _MEMBRANE + _THRESHOLD_SPIKE
    threshold = "V_m > V_th + threshold_spike"
    reset = _RESET_RULES
    refractory = Refractory("t_ref", hold=["V_m", "V_previous", "threshold_spike"])


class glif3_psc(glif_psc):
    """GLIF3: two after-spike currents.

    NEST's ``glif_psc`` with ``after_spike_currents``. At a spike a current keeps the fraction asc_r
    of what is left of it at the end of the refractory period and gets asc_amps added. Membrane and
    currents are integrated exactly together; NEST takes the mean of the currents over each step.
    Source: Teeter et al. (2018), Nat. Commun. 9:709.
    """

    asc_init_1 = param(0.0, "pA", doc="initial value of the slow after-spike current")
    asc_init_2 = param(0.0, "pA", doc="initial value of the fast after-spike current")
    asc_decay_1 = param(0.003, "1/ms", gt=0, doc="decay rate of the slow after-spike current")
    asc_decay_2 = param(0.1, "1/ms", gt=0, doc="decay rate of the fast after-spike current")
    asc_amps_1 = param(-9.18, "pA", doc="jump of the slow after-spike current at a spike")
    asc_amps_2 = param(-198.94, "pA", doc="jump of the fast after-spike current at a spike")
    asc_r_1 = param(1.0, "1", ge=0, le=1, doc="fraction of the slow current kept at a spike")
    asc_r_2 = param(1.0, "1", ge=0, le=1, doc="fraction of the fast current kept at a spike")
    ASC_1 = state("pA", init="asc_init_1", doc="slow after-spike current")
    ASC_2 = state("pA", init="asc_init_2", doc="fast after-spike current")
    equations = _CURRENTS + _MEMBRANE
    reset = "V_m = V_reset" + _RESET_CURRENTS
    refractory = Refractory("t_ref", hold=["V_m", "ASC_1", "ASC_2"])


class glif4_psc(glif2_psc, glif3_psc):
    """GLIF4: reset rules, spike-dependent threshold (GLIF2) and after-spike currents (GLIF3).

    NEST's ``glif_psc`` with ``spike_dependent_threshold`` and ``after_spike_currents``. Source:
    Teeter et al. (2018), Nat. Commun. 9:709.
    """

    equations = _CURRENTS + _MEMBRANE + _THRESHOLD_SPIKE
    reset = _RESET_RULES + _RESET_CURRENTS
    refractory = Refractory(
        "t_ref", hold=["V_m", "V_previous", "threshold_spike", "ASC_1", "ASC_2"]
    )


class glif5_psc(glif4_psc):
    """GLIF5: GLIF4 and a threshold that follows the membrane potential.

    NEST's ``glif_psc`` with all three flags. The voltage part of the threshold is integrated
    exactly with the membrane, synaptic currents included; NEST leaves these out within a step, so
    single spikes may differ. Source: Teeter et al. (2018), Nat. Commun. 9:709.
    """

    th_voltage_index = param(0.005, "1/ms", doc="coupling of the threshold to the membrane")
    th_voltage_decay = param(0.09, "1/ms", gt=0, doc="decay rate of the voltage part")
    threshold_voltage = state("mV", doc="voltage part of the threshold")
    equations = _CURRENTS + _MEMBRANE + _THRESHOLD_SPIKE + _THRESHOLD_VOLTAGE
    threshold = "V_m > V_th + threshold_spike + threshold_voltage"
    refractory = Refractory(
        "t_ref",
        hold=["V_m", "V_previous", "threshold_spike", "ASC_1", "ASC_2", "threshold_voltage"],
    )
