"""What a run gives back: spike trains, state traces, weights, and how they came about."""

from neurosim.results.results import NamedResults, Results
from neurosim.results.spike_trains import SpikeTrains
from neurosim.results.traces import Traces
from neurosim.results.weights import WeightTraces

__all__ = ["NamedResults", "Results", "SpikeTrains", "Traces", "WeightTraces"]
