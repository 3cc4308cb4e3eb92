"""From a trained model to a network of the event engine that emits the same spikes."""

from neurosim.bridge.convert.conversion import Conversion, to_network
from neurosim.bridge.convert.run import ConvertedRun

__all__ = ["Conversion", "ConvertedRun", "to_network"]
