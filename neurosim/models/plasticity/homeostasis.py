"""Slow rules that keep the activity of a neuron or its total input in range."""

from __future__ import annotations

from neurosim.models.declare import param
from neurosim.models.synapse import SynapseModel


class homeostatic_scaling(SynapseModel):
    """Synaptic scaling: all weights of a neuron follow its firing rate, in proportion.

    Every ``interval`` the weights change by the factor ``1 + beta (target_rate - rate)``, where
    ``rate`` is the low-pass of the target's spikes (Turrigiano et al. 1998, Nature 391:892; van
    Rossum et al. 2000, J. Neurosci. 20:8812, equation 2 without its integral term). Ratios of
    weights stay.
    """

    target_rate = param(5.0, "Hz", ge=0, doc="rate that the target shall have")
    tau_rate = param(10000.0, "ms", gt=0, doc="time over which the rate is averaged")
    beta = param(1e-3, "ms", ge=0, doc="relative change at an interval, per rate")
    interval_ = param(100.0, "ms", gt=0, doc="time between two changes")
    postsynaptic = "drate/dt = -rate/tau_rate : 1/ms"
    on_post = "rate += 1/tau_rate"
    on_interval = "w *= max(1 + beta*(target_rate - rate), 0)"
    interval = "interval_"


class weight_normalization(SynapseModel):
    """Every ``interval`` the weights onto each neuron are scaled to a given sum.

    Source: Oja (1982), J. Math. Biol. 15:267; Diehl & Cook (2015), Front. Comput. Neurosci. 9:99.
    The sum is over the synapses of the projection.
    """

    total = param(1000.0, "1", gt=0, doc="sum of the weights onto each target")
    interval_ = param(100.0, "ms", gt=0, doc="time between two changes")
    on_interval = "w *= total/w_total"
    interval = "interval_"
