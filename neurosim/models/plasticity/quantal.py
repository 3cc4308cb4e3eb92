"""Stochastic short-term plasticity: release sites that release by chance."""

from __future__ import annotations

from neurosim.models.declare import param, state
from neurosim.models.plasticity.short_term import tsodyks2
from neurosim.models.synapse import SynapseModel


class quantal_stp(SynapseModel):
    """Short-term plasticity with random release of vesicles at ``n`` sites.

    At a spike every empty site has been filled again with probability ``1 - exp(-dt/tau_rec)``
    since the last one, and every filled one releases with probability u, which behaves as in
    `tsodyks2`. What arrives is ``w`` times the number of sites that released: on average ``n w``
    times what `tsodyks2` transmits (Fuhrmann et al. 2002, J. Neurophysiol. 87:140; NEST's
    ``quantal_stp_synapse``).
    """

    n = param(1.0, "1", ge=1, le=1000, doc="release sites (a whole number)")
    U = param(0.5, "1", ge=0, le=1, doc="release probability at rest")
    tau_rec = param(800.0, "ms", gt=0, doc="recovery from depression")
    tau_fac = param(0.0, "ms", ge=0, doc="decay of facilitation")
    u_first = tsodyks2.u_first
    a = state("1", "n")
    presynaptic = """
        dempty/dt = -empty/tau_rec : 1
        du/dt = -u/tau_fac : 1
        dfired/dt = 0*fired/tau_rec : 1
    """
    on_pre = """
        u = where(fired < 1 and u_first >= 0, u_first, u + U*(1 - u))
        fired = 1
        refill = 1 - empty
        empty = 1
        a += binomial(n - a, refill)
        released = binomial(a, u)
        a -= released
    """
    transmit = "w*released"
