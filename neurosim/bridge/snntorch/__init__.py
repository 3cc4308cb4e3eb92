"""From and to snnTorch: whole networks, and one of our neurons in a network of snnTorch."""

from neurosim.bridge.snntorch.convert import from_snntorch, to_snntorch
from neurosim.bridge.snntorch.each_step import EachStep, MembraneOutput
from neurosim.bridge.snntorch.neuron import SnnTorchNeuron

__all__ = ["EachStep", "MembraneOutput", "SnnTorchNeuron", "from_snntorch", "to_snntorch"]
