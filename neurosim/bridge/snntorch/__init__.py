"""From and to snnTorch: whole networks, and one of our neurons in a network of snnTorch."""

from typing import Any

from neurosim.bridge.snntorch.convert import from_snntorch, to_snntorch
from neurosim.bridge.snntorch.each_step import EachStep, MembraneOutput


def __getattr__(name: str) -> Any:
    # its base class is snnTorch's; the others of this package need snnTorch only when called
    if name == "SnnTorchNeuron":
        from neurosim.bridge.snntorch.neuron import SnnTorchNeuron

        return SnnTorchNeuron
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["EachStep", "MembraneOutput", "SnnTorchNeuron", "from_snntorch", "to_snntorch"]
