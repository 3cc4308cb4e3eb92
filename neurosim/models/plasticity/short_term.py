"""Short-term plasticity and chance: what a spike releases."""

from __future__ import annotations

from neurosim.models.declare import param, state
from neurosim.models.synapse import SynapseModel


class tsodyks2(SynapseModel):
    """Short-term depression and facilitation.

    A spike releases the part u x of the weight; x recovers to 1 with ``tau_rec``, u falls to 0
    with ``tau_fac`` and rises by ``U (1 - u)`` at each spike (Maass and Markram 2002, Neural
    Networks 15:155; Tsodyks et al. 1998; NEST's ``tsodyks2_synapse``). ``tau_fac = 0`` is pure
    depression.
    """

    U = param(0.5, "1", ge=0, le=1, doc="release probability at rest")
    tau_rec = param(800.0, "ms", gt=0, doc="recovery from depression")
    tau_fac = param(0.0, "ms", ge=0, doc="decay of facilitation")
    u_first = param(-1.0, "1", le=1, doc="u at the very first spike (NEST's initial u); < 0: U")
    x = state("1", 1.0)
    presynaptic = """
        dx/dt = (1 - x)/tau_rec : 1
        du/dt = -u/tau_fac : 1
        dfired/dt = 0*fired/tau_rec : 1
    """
    on_pre = """
        u = where(fired < 1 and u_first >= 0, u_first, u + U*(1 - u))
        fired = 1
        released = u*x
        x -= released
    """
    transmit = "w*released"


class bernoulli_synapse(SynapseModel):
    """A synapse that delivers each spike with probability ``p_transmit``.

    Source: Lefort et al. (2009), Neuron 61:301; NEST's ``bernoulli_synapse``. Each synapse draws
    for itself.
    """

    p_transmit = param(1.0, "1", ge=0, le=1, doc="probability of delivery")
    on_pre = "delivered = where(random < p_transmit, 1, 0)"
    transmit = "w*delivered"
