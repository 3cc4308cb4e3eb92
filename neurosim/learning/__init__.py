"""Learning rules outside of a running network: they set weights that a network then uses.

They take and give spikes in NumPy arrays; training by gradients through PyTorch is
`neurosim.bridge`, plasticity while a network runs belongs to its projections.
"""

from neurosim.learning.patterns import SpikePatterns
from neurosim.learning.tempotron import Maximum, Tempotron, TempotronFit

__all__ = ["Maximum", "SpikePatterns", "Tempotron", "TempotronFit"]
