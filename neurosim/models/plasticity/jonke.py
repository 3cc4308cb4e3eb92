"""STDP whose steps depend exponentially on the weight."""

from __future__ import annotations

from neurosim.models.declare import param
from neurosim.models.synapse import SynapseModel


class jonke(SynapseModel):
    """STDP with exponential dependence on the weight and a constant depression.

    ``w += lambda_ (exp(mu_plus w) x - beta)`` at a postsynaptic spike,
    ``w -= lambda_ (alpha exp(mu_minus w) y + beta)`` at a presynaptic one (Nessler et al.
    2013, PLoS Comput. Biol. 9:e1003037; Jonke et al. 2017, J. Neurosci. 37:8511; NEST's
    ``jonke_synapse``, where ``lambda_`` is called ``lambda``). With ``mu_plus = -1`` weights
    become logarithms of probabilities.
    """

    tau_plus = param(20.0, "ms", gt=0, doc="time constant of potentiation")
    tau_minus = param(20.0, "ms", gt=0, doc="time constant of depression")
    lambda_ = param(0.01, "1", doc="step size")
    alpha = param(1.0, "1", doc="asymmetry: depression over potentiation")
    beta = param(0.0, "1", doc="depression at every spike")
    mu_plus = param(0.0, "1", doc="exponent of potentiation, per weight")
    mu_minus = param(0.0, "1", doc="exponent of depression, per weight")
    Wmax = param(100.0, "1", gt=0, doc="largest weight")
    presynaptic = "dK_plus/dt = -K_plus/tau_plus : 1"
    postsynaptic = "dK_minus/dt = -K_minus/tau_minus : 1"
    on_pre = """
        w -= lambda_*(alpha*K_minus*exp(mu_minus*w) + beta)
        K_plus += 1
    """
    on_post = """
        w += lambda_*(K_plus*exp(mu_plus*w) - beta)
        K_minus += 1
    """
    bounds = ("0", "Wmax")
