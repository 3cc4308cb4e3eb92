"""Built-in plastic synapses, with the names and the meaning of parameters of NEST."""

from neurosim.models.plasticity.short_term import tsodyks2
from neurosim.models.plasticity.stdp import (
    stdp,
    stdp_nn_symm,
    stdp_pl,
    stdp_triplet,
    vogels_sprekeler,
)

__all__ = [
    "stdp",
    "stdp_nn_symm",
    "stdp_pl",
    "stdp_triplet",
    "tsodyks2",
    "vogels_sprekeler",
]
