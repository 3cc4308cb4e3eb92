"""Simple spiking neuron of Izhikevich (2003)."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import param, state


class izhikevich(NeuronModel):
    """Izhikevich's two-variable neuron, by forward Euler as in NEST (``consistent_integration``).

    Source: Izhikevich (2003), IEEE Trans. Neural Netw. 14:1569, eqs. 1-3. A weight [mV] is the
    jump of the membrane potential. I_e is in pA with an implied conductance of 1 nS, as in NEST.
    NEST's option V_min is not offered (no lower limit, as by default).
    """

    a = param(0.02, "1/ms", doc="rate of recovery")
    b = param(0.2, "1", doc="sensitivity of recovery to the membrane")
    c = param(-65.0, "mV", doc="reset potential")
    d = param(8.0, "mV", doc="jump of recovery at a spike")
    V_th = param(30.0, "mV", doc="threshold (peak of the spike)")
    I_e = param(0.0, "pA", doc="constant input current")
    V_m = state("mV", init=-65.0, doc="membrane potential")
    U_m = state("mV", init="b*(-65[mV])", doc="recovery variable")
    equations = """
        dV_m/dt = 0.04[1/(mV*ms)]*V_m**2 + 5[1/ms]*V_m + 140[mV/ms] - U_m/1[ms] + I_e/1[pF] : mV
        dU_m/dt = a*(b*V_m - U_m) : mV
    """
    receptors = {"in": "V_m += weight"}
    threshold = "V_m >= V_th"
    reset = "V_m = c; U_m += d"
    method = "euler"
