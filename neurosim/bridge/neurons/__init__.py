"""Spiking neurons as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurosim.bridge.layer import reset
from neurosim.bridge.neurons.adaptive import ALIF, AdLIF
from neurosim.bridge.neurons.astrocyte import AstroLIF
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.dendritic import DendriticLIF
from neurosim.bridge.neurons.lapicque import Lapicque
from neurosim.bridge.neurons.leaky_integrator import LI
from neurosim.bridge.neurons.lif import LIF
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.neurons.synaptic import AlphaLIF, CubaLIF

if TYPE_CHECKING:
    from neurosim.bridge.neurons.model_neuron import ModelNeuron

__all__ = [
    "ALIF", "LI", "LIF", "AdLIF", "AlphaLIF", "AstroLIF", "CubaLIF", "DendriticLIF", "Lapicque",
    "ModelNeuron", "Neuron", "Recurrent", "reset",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "ModelNeuron":  # with it come the lowering of models and scipy.linalg
        from neurosim.bridge.neurons.model_neuron import ModelNeuron

        return ModelNeuron
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
