"""A dendritic segment that detects coincident input, and a cell that such segments depolarise."""

from __future__ import annotations

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state
from neurosim.models.iaf_psc_exp import iaf_psc_exp


class segment(NeuronModel):
    """Active dendritic segment: an NMDA spike where enough synapses are active together.

    The sum x of the weights that arrived within about ``tau_syn`` reaches ``theta``: the segment
    spikes, and its plateau of ``t_plateau`` ignores further input. With weights of 1 the threshold
    is a number of synapses. Segments belong to cells; `Network.segments` makes them. Source:
    Hawkins & Ahmad (2016), Front. Neural Circuits 10:23.
    """

    tau_syn = param(2.0, "ms", gt=0, doc="how long input counts as coincident")
    theta = param(15.0, "1", gt=0, doc="threshold, in synapses of weight 1")
    t_plateau = param(50.0, "ms", ge=0, doc="duration of the plateau")
    x = state("1", doc="input that counts as coincident, in synapses of weight 1")
    equations = "dx/dt = -x/tau_syn : 1"
    receptors = {"exc": "x += weight"}
    threshold = "x >= theta"
    reset = "x = 0"
    refractory = Refractory("t_plateau", hold=["x"], ignore=["exc"])


class iaf_psc_exp_dendrite(iaf_psc_exp):
    """Leaky integrate-and-fire neuron that the plateaus of its dendritic segments depolarise.

    `iaf_psc_exp` with a slow current for segments: each spike of a segment adds its weight to
    ``I_dend``, and a spike of the cell ends the predictive state, ``I_dend = 0``. Source:
    `iaf_psc_exp`; Hawkins & Ahmad (2016), Front. Neural Circuits 10:23.
    """

    tau_dend = param(50.0, "ms", gt=0, doc="decay of the depolarisation by segments")
    I_dend = state("pA", doc="current of the plateaus of its segments")
    equations = (
        iaf_psc_exp.equations.replace("I_e)", "I_e + I_dend)")
        + """
        dI_dend/dt = -I_dend/tau_dend : pA
    """
    )
    receptors = {**iaf_psc_exp.receptors, "dendrite": "I_dend += weight"}
    reset = iaf_psc_exp.reset + "; I_dend = 0"
