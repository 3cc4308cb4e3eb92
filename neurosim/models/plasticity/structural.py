"""Structural plasticity: weak synapses are replaced, or transmit only once they are mature."""

from __future__ import annotations

from neurosim.models.declare import param
from neurosim.models.plasticity.stdp import stdp
from neurosim.models.synapse import SynapseModel


class stdp_rewiring(stdp):
    """Pair-based STDP whose weak synapses are replaced by ones from other sources.

    Every ``interval_`` synapses weaker than ``w_prune`` are taken away, and each target gets as
    many new ones of the weight ``w_new`` from sources that are drawn evenly, with the delays of the
    old ones. So a neuron keeps its number of synapses, and storage stays compact. No pair is
    connected twice unless the connection rule allows it.
    """

    interval_ = param(1000.0, "ms", gt=0, doc="time between two replacements")
    w_prune = param(5.0, "1", ge=0, doc="weight below which a synapse is replaced")
    w_new = param(20.0, "1", ge=0, doc="weight of a new synapse")
    prune = "w < w_prune"
    regrow = "w_new"
    interval = "interval_"


#: Whether the last presynaptic spike came within the window (1 or 0), and whether it came too late
#: to have contributed. Times lie on the grid; half a step keeps the comparisons away from rounding.
_WINDOW = """
    longest = exp(-(dt_max - 0.5*dt)/tau_x)
    within = where(recent > longest and recent < exp(-(dt_min + 0.5*dt)/tau_x), 1, 0)
    late = where(recent > exp(-(dt_min - 0.5*dt)/tau_x), 1, 0)
"""


class stdsp(SynapseModel):
    """Structural STDP of the spiking temporal memory, on permanences.

    The synapse's ``w`` is its permanence, 0 to ``Pmax``: set it with ``weight=ns.Uniform(0, 8)``,
    read it with ``Simulation.weights``. What is transmitted is ``Wmax`` where the permanence
    exceeds ``th_perm`` and 0 otherwise. A postsynaptic spike adds
    ``Pmax lambda_ (1 - w/Pmax)^mu_plus x`` if the last presynaptic spike came between ``dt_min``
    and ``dt_max`` before it; if less than ``dt_min`` before, that spike is left out of the trace
    x. A presynaptic spike takes ``Pmax lambda_minus (w/Pmax)^mu_minus y`` away, down to ``Pmin``,
    if a postsynaptic one came less than ``dt_max`` before. Without spikes the permanence drifts to
    ``Pmin``.

    Source: Bouhadjar, Wouters, Diesmann & Tetzlaff (2022), PLoS Comput. Biol. 18:e1010233, in the
    form of the authors' current implementation (``stdsp_synapse`` in NESTML, where ``lambda_`` is
    called ``lambda``); see `stdsp_homeostasis` for that of the paper.
    """

    tau_x = param(20.0, "ms", gt=0, doc="time constant of the presynaptic trace")
    tau_y = param(20.0, "ms", gt=0, doc="time constant of the postsynaptic trace")
    tau_perm = param(70000.0, "ms", gt=0, doc="time constant of the drift to Pmin")
    lambda_ = param(0.6, "1", ge=0, doc="step of potentiation")
    lambda_minus = param(0.02, "1", ge=0, doc="step of depression")
    mu_plus = param(0.0, "1", ge=0, doc="dependence of potentiation on the permanence")
    mu_minus = param(0.0, "1", ge=0, doc="dependence of depression on the permanence")
    Wmax = param(12.98, "1", ge=0, doc="weight of a mature synapse, in the receptor's unit")
    Pmax = param(20.0, "1", gt=0, doc="largest permanence")
    Pmin = param(1.0, "1", ge=0, doc="permanence at rest, and the smallest after depression")
    th_perm = param(10.0, "1", ge=0, doc="permanence above which the synapse transmits")
    dt_min = param(4.0, "ms", ge=0, doc="shortest lag of potentiation")
    dt_max = param(50.0, "ms", gt=0, doc="longest lag")
    presynaptic = """
        dx/dt = -x/tau_x : 1
        drecent/dt = -recent/tau_x : 1
    """
    postsynaptic = """
        dy/dt = -y/tau_y : 1
        danswer/dt = -answer/tau_y : 1
    """
    equations = "dw/dt = (Pmin - w)/tau_perm : 1"
    on_pre = """
        lowered = max(Pmin, w - Pmax*lambda_minus*(w/Pmax)**mu_minus*y)
        w = where(answer > exp(-(dt_max - 0.5*dt)/tau_y), lowered, w)
        x += 1
        recent = 1
    """
    on_post = f"""{_WINDOW}
        w += Pmax*lambda_*(1 - w/Pmax)**mu_plus*(within*x + late*(x - recent))
        y += 1
        answer = 1
    """
    transmit = "where(w > th_perm, Wmax, 0)"
    bounds = ("0", "Pmax")


class stdsp_homeostasis(stdsp):
    """Structural STDP with a homeostatic term, as in the paper on spiking temporal memory.

    Like `stdsp`, but every presynaptic spike takes ``Pmax lambda_minus (w/Pmax)^mu_minus`` away,
    nothing drifts, and a postsynaptic spike within the window also adds
    ``Pmax lambda_h (zt - z)``, where z is the target's trace of dendritic action potentials
    (a state ``z``, as that of `iaf_psc_exp_nonlineardendrite`, with a memory ``tau_h`` of about
    the time in which every sequence is shown once). Source: Bouhadjar et al. (2022), PLoS Comput.
    Biol. 18:e1010233.
    """

    lambda_ = param(0.28, "1", ge=0, doc="step of potentiation")
    lambda_minus = param(0.0061, "1", ge=0, doc="step of depression")
    lambda_h = param(0.024, "1", ge=0, doc="step of homeostasis")
    zt = param(1.0, "1", ge=0, doc="target of the trace z")
    Pmin = param(0.0, "1", ge=0, doc="smallest permanence after depression")
    equations = ""
    on_pre = """
        w = max(Pmin, w - Pmax*lambda_minus*(w/Pmax)**mu_minus)
        x += 1
        recent = 1
    """
    on_post = f"""{_WINDOW}
        change = lambda_*(1 - w/Pmax)**mu_plus*(within*x + late*(x - recent))
        w += Pmax*(change + lambda_h*(zt - z_post)*within)
        y += 1
        answer = 1
    """
