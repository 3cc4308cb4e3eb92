"""Pair-based spike-timing dependent plasticity."""

from __future__ import annotations

from neurosim.models.declare import param
from neurosim.models.synapse import SynapseModel


class stdp(SynapseModel):
    """Spike-timing dependent plasticity with all pairs of spikes, from additive to multiplicative.

    With w' = w/Wmax, a postsynaptic spike adds ``lambda_ (1 - w')^mu_plus`` times the presynaptic
    trace to w', a presynaptic one takes ``alpha lambda_ w'^mu_minus`` times the postsynaptic trace
    away. ``mu_plus = mu_minus = 0`` is additive STDP, 1 multiplicative (Guetig et al. 2003,
    J. Neurosci. 23:3697; NEST's ``stdp_synapse``, where ``lambda_`` is called ``lambda`` and
    ``tau_minus`` belongs to the target neuron).

    Examples
    --------
    >>> stdp(Wmax=50.0)
    stdp(Wmax=50.0)
    """

    tau_plus = param(20.0, "ms", gt=0, doc="time constant of potentiation")
    tau_minus = param(20.0, "ms", gt=0, doc="time constant of depression")
    lambda_ = param(0.01, "1", doc="step size")
    alpha = param(1.0, "1", doc="asymmetry: depression over potentiation")
    mu_plus = param(1.0, "1", ge=0, doc="weight dependence of potentiation")
    mu_minus = param(1.0, "1", ge=0, doc="weight dependence of depression")
    Wmax = param(100.0, "1", gt=0, doc="largest weight")
    presynaptic = "dK_plus/dt = -K_plus/tau_plus : 1"
    postsynaptic = "dK_minus/dt = -K_minus/tau_minus : 1"
    on_pre = """
        w -= Wmax*alpha*lambda_*(w/Wmax)**mu_minus*K_minus
        K_plus += 1
    """
    on_post = """
        w += Wmax*lambda_*(1 - w/Wmax)**mu_plus*K_plus
        K_minus += 1
    """
    bounds = ("0", "Wmax")


class stdp_nn_symm(stdp):
    """Pair-based STDP between nearest neighbours, in both directions.

    A postsynaptic spike pairs with the presynaptic spike before it only, and the other way round
    (Morrison et al. 2008, Biol. Cybern. 98:459, figure 7A; NEST's ``stdp_nn_symm_synapse``).
    """

    on_pre = stdp.on_pre.replace("K_plus += 1", "K_plus = 1")
    on_post = stdp.on_post.replace("K_minus += 1", "K_minus = 1")


class stdp_pl(SynapseModel):
    """STDP with power-law potentiation and multiplicative depression.

    ``w += lambda_ w^mu x`` at a postsynaptic spike, ``w -= alpha lambda_ w y`` at a presynaptic
    one (Morrison et al. 2007, Neural Comput. 19:1437; NEST's ``stdp_pl_synapse_hom``).
    """

    tau_plus = param(20.0, "ms", gt=0, doc="time constant of potentiation")
    tau_minus = param(20.0, "ms", gt=0, doc="time constant of depression")
    lambda_ = param(0.1, "1", doc="learning rate")
    alpha = param(1.0, "1", doc="asymmetry: depression over potentiation")
    mu = param(0.4, "1", ge=0, doc="exponent of the weight in potentiation")
    presynaptic = "dK_plus/dt = -K_plus/tau_plus : 1"
    postsynaptic = "dK_minus/dt = -K_minus/tau_minus : 1"
    on_pre = "w -= lambda_*alpha*w*K_minus; K_plus += 1"
    on_post = "w += lambda_*w**mu*K_plus; K_minus += 1"


class stdp_triplet(SynapseModel):
    """Triplet rule of spike-timing dependent plasticity, all-to-all.

    ``w -= r_y (A2- + A3- x2)`` at a presynaptic and ``w += r_x (A2+ + A3+ y2)`` at a postsynaptic
    spike, each with the slow trace before its own increment (Pfister and Gerstner 2006,
    J. Neurosci. 26:9673, equations 3 and 4; NEST's ``stdp_triplet_synapse``, where ``tau_minus``
    and ``tau_minus_triplet`` belong to the target neuron).
    """

    tau_plus = param(16.8, "ms", gt=0, doc="time constant of the fast presynaptic trace")
    tau_plus_triplet = param(101.0, "ms", gt=0, doc="time constant of the slow presynaptic trace")
    tau_minus = param(20.0, "ms", gt=0, doc="time constant of the fast postsynaptic trace")
    tau_minus_triplet = param(110.0, "ms", gt=0, doc="time constant of the slow postsynaptic trace")
    Aplus = param(5e-10, "1", doc="potentiation by pairs")
    Aplus_triplet = param(6.2e-3, "1", doc="potentiation by triplets")
    Aminus = param(7e-3, "1", doc="depression by pairs")
    Aminus_triplet = param(2.3e-4, "1", doc="depression by triplets")
    Wmax = param(100.0, "1", gt=0, doc="largest weight")
    presynaptic = """
        dK_plus/dt = -K_plus/tau_plus : 1
        dK_plus_triplet/dt = -K_plus_triplet/tau_plus_triplet : 1
    """
    postsynaptic = """
        dK_minus/dt = -K_minus/tau_minus : 1
        dK_minus_triplet/dt = -K_minus_triplet/tau_minus_triplet : 1
    """
    on_pre = """
        w -= K_minus*(Aminus + Aminus_triplet*K_plus_triplet)
        K_plus += 1
        K_plus_triplet += 1
    """
    on_post = """
        w += K_plus*(Aplus + Aplus_triplet*K_minus_triplet)
        K_minus += 1
        K_minus_triplet += 1
    """
    bounds = ("0", "Wmax")


class vogels_sprekeler(SynapseModel):
    """Symmetric inhibitory STDP that drives its target to a fixed rate.

    A pair of spikes in either order adds ``eta`` times its trace, every presynaptic spike takes
    ``alpha eta`` away; ``alpha = 2 rho0 tau`` sets the target rate rho0 (Vogels et al. 2011,
    Science 334:1569; NEST's ``vogels_sprekeler_synapse``).
    """

    tau = param(20.0, "ms", gt=0, doc="time constant of both traces")
    eta = param(0.001, "1", doc="learning rate")
    alpha = param(0.12, "1", doc="depression at each presynaptic spike, 2 rho0 tau")
    Wmax = param(1.0, "1", gt=0, doc="largest magnitude of the weight")
    presynaptic = "dx/dt = -x/tau : 1"
    postsynaptic = "dy/dt = -y/tau : 1"
    on_pre = "w += eta*y; w -= eta*alpha; x += 1"
    on_post = "w += eta*x; y += 1"
    bounds = ("0", "Wmax")
