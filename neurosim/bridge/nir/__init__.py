"""NIR, the Neuromorphic Intermediate Representation: models as graphs that other tools read.

NIR describes a network in continuous time (Pedersen et al. 2024, Nat. Commun. 15:8122); a step is
chosen by who reads it. Here a decay factor beta of a step dt stands for the time constant tau with

- ``discretisation="exact"``: beta = exp(-dt/tau), the solution for an input that is constant
  during a step;
- ``discretisation="euler"``: beta = 1 - dt/tau (snnTorch's convention).

Either way the input enters with R (1 - beta), so that our ``mem = beta*mem + x`` has
R = 1/(1 - beta). A synaptic current is taken likewise, and acts in the step it changes. A reset
acts at the spike. What several edges bring to a node is added (`Graph`). A loop leads from one
neuron node through connections back to it (`Recurrent`), and is one step late beside its delays.
Times are seconds unless `time_unit` says otherwise; what was chosen is written into the metadata
of the graph.

NIR has no word for: reset by subtraction, a neuron without reset, refractory or adapting neurons,
AlphaLIF and other models, delays of single synapses, maxima and activation functions, surrogates,
and what is learnt. The latter two are left out; all others are errors, some of which ``lossy=True``
turns into a `NirLossWarning`. Loops around several neuron nodes cannot be read.
"""

from neurosim.bridge.nir.exporting import save_nir, to_nir
from neurosim.bridge.nir.grid import NirLossWarning
from neurosim.bridge.nir.importing import from_nir, load_nir
from neurosim.bridge.nir.scale import Scale

__all__ = ["NirLossWarning", "Scale", "from_nir", "load_nir", "save_nir", "to_nir"]
