"""Leaky integrate-and-fire neuron with conductances whose threshold adapts to its own spikes."""

from neurosim.models.declare import param, state
from neurosim.models.iaf_cond_exp import iaf_cond_exp


class iaf_cond_exp_adaptive(iaf_cond_exp):
    """Leaky integrate-and-fire neuron with conductances and an adaptive threshold.

    The threshold is ``V_th + theta``; each spike raises theta by ``theta_plus``, and it decays
    with ``tau_theta``, so that no neuron of a competing population fires for all (Diehl & Cook
    2015, Front. Comput. Neurosci. 9:99, who use 0.05 mV and 1e7 ms).
    """

    theta_plus = param(0.05, "mV", ge=0, doc="rise of the threshold at a spike")
    tau_theta = param(1e7, "ms", gt=0, doc="decay of the threshold")
    theta = state("mV", doc="adaptive part of the threshold")
    equations = iaf_cond_exp.equations + "dtheta/dt = -theta/tau_theta : mV\n"
    threshold = "V_m >= V_th + theta"
    reset = f"{iaf_cond_exp.reset}; theta += theta_plus"
