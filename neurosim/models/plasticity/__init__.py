"""Built-in plastic synapses, with the names and the meaning of parameters of NEST."""

from neurosim.models.plasticity.dendritic import urbanczik
from neurosim.models.plasticity.dopamine import stdp_dopamine
from neurosim.models.plasticity.homeostasis import homeostatic_scaling, weight_normalization
from neurosim.models.plasticity.jonke import jonke
from neurosim.models.plasticity.nearest import stdp_nn_pre_centered, stdp_nn_restr
from neurosim.models.plasticity.short_term import bernoulli_synapse, tsodyks2
from neurosim.models.plasticity.stdp import (
    stdp,
    stdp_nn_symm,
    stdp_pl,
    stdp_triplet,
    vogels_sprekeler,
)
from neurosim.models.plasticity.voltage import clopath

__all__ = [
    "bernoulli_synapse",
    "clopath",
    "homeostatic_scaling",
    "jonke",
    "stdp",
    "stdp_dopamine",
    "stdp_nn_pre_centered",
    "stdp_nn_restr",
    "stdp_nn_symm",
    "stdp_pl",
    "stdp_triplet",
    "tsodyks2",
    "urbanczik",
    "vogels_sprekeler",
    "weight_normalization",
]
