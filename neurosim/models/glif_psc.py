"""Generalized leaky integrate-and-fire neurons GLIF1 to GLIF5 (Teeter et al. 2018)."""

from neurosim.models.base import NeuronModel
from neurosim.models.declare import Refractory, param, state
