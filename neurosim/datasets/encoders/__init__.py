"""From values, images and sounds to spikes."""

from neurosim.datasets.encoders.base import Encoder, spikes_to_events
from neurosim.datasets.encoders.cochlea import BushyCell, Cochlea, HairCell
from neurosim.datasets.encoders.delta import DeltaEncoder
from neurosim.datasets.encoders.latency import LatencyEncoder
from neurosim.datasets.encoders.population import PopulationEncoder
from neurosim.datasets.encoders.rate import RateEncoder

__all__ = [
    "BushyCell",
    "Cochlea",
    "DeltaEncoder",
    "Encoder",
    "HairCell",
    "LatencyEncoder",
    "PopulationEncoder",
    "RateEncoder",
    "spikes_to_events",
]
