"""Pair-based STDP between nearest neighbours, counted in each synapse."""

from __future__ import annotations

from neurosim.models.declare import state
from neurosim.models.plasticity.stdp import stdp


class stdp_nn_pre_centered(stdp):
    """Pair-based STDP between nearest neighbours, centred on the source.

    A presynaptic spike pairs with the postsynaptic spike before it and the one after it
    (Morrison et al. 2008, Biol. Cybern. 98:459, figure 7B; NEST's
    ``stdp_nn_pre_centered_synapse``). ``K_plus``, the sum over the presynaptic spikes since the
    last postsynaptic one, belongs to each synapse.
    """

    presynaptic = ""
    equations = "dK_plus/dt = -K_plus/tau_plus : 1"
    on_post = stdp.on_post.replace("K_minus += 1", "K_plus = 0; K_minus = 1")


class stdp_nn_restr(stdp):
    """Pair-based STDP between nearest neighbours, restricted to immediate pairs.

    Only spikes that follow each other without another in between make a pair (Morrison et al.
    2008, Biol. Cybern. 98:459, figure 7C; NEST's ``stdp_nn_restr_synapse``). ``answered`` is 1
    when a postsynaptic spike has come since the last presynaptic one.
    """

    answered = state("1")
    presynaptic = ""
    equations = "dK_plus/dt = -K_plus/tau_plus : 1"
    on_pre = """
        w -= Wmax*alpha*lambda_*(w/Wmax)**mu_minus*K_minus*answered
        answered = 0
        K_plus = 1
    """
    on_post = stdp.on_post.replace("K_minus += 1", "K_plus = 0; answered = 1; K_minus = 1")
