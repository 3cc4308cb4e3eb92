"""Leaky integrate-and-fire neuron with delta-shaped synaptic currents."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state


class iaf_psc_delta(NeuronModel):
    """Leaky integrate-and-fire neuron whose membrane jumps by the weight [mV] at each arrival.

    Input that arrives in the refractory period is discarded. Source: NEST ``iaf_psc_delta``,
    without its options V_min (no lower limit, as by default) and refractory_input.
    """

    tau_m = param(10.0, "ms", gt=0, doc="membrane time constant", usual=(0.5, 1000))
    C_m = param(250.0, "pF", gt=0, doc="membrane capacitance", usual=(0.5, 1e5))
    E_L = param(-70.0, "mV", doc="resting potential")
    V_th = param(-55.0, "mV", doc="threshold")
    V_reset = param(-70.0, "mV", doc="reset potential")
    t_ref = param(2.0, "ms", ge=0, doc="refractory period")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init="E_L", doc="membrane potential")
    equations = "dV_m/dt = -(V_m - E_L)/tau_m + I_e/C_m : mV"
    receptors = {"in": "V_m += weight"}
    threshold = "V_m >= V_th"
    reset = "V_m = V_reset"
    refractory = Refractory("t_ref", hold=["V_m"], ignore=["in"])
