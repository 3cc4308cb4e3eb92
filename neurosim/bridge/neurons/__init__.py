"""Spiking neurons as layers."""

from neurosim.bridge.layer import reset
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.leaky_integrator import LI
from neurosim.bridge.neurons.lif import LIF

__all__ = ["LI", "LIF", "Neuron", "reset"]
