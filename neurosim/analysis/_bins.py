"""The one place that says which bin a spike belongs to."""

from __future__ import annotations

import numbers

import numpy as np

from neurosim.errors import ParameterError
from neurosim.results._arrays import FloatArray, IntArray
from neurosim.results.spike_trains import SpikeTrains

# Spike times are n*dt in floating point, edges k*bin: a time this close to an edge is on it.
EDGE_TOLERANCE = 1e-6


def number_of_bins(spikes: SpikeTrains, bin: float) -> int:
    """Return how many whole bins [ms] fit into the recorded interval.

    Raises
    ------
    ParameterError
        If the bin is not positive or longer than the interval.
    """
    if not isinstance(bin, numbers.Real) or not (np.isfinite(bin) and bin > 0):
        raise ParameterError(f"bin = {bin!r} ms: a finite number > 0 is expected.")
    n_bins = int(np.floor(spikes.duration / bin + EDGE_TOLERANCE))
    if n_bins < 1:
        raise ParameterError(
            f"bin = {bin} ms is longer than the recorded interval of spikes {spikes.name!r} "
            f"({spikes.duration} ms): use a shorter bin."
        )
    return n_bins


def edges(spikes: SpikeTrains, bin: float) -> FloatArray:
    """Return the (n_bins + 1,) bin edges [ms]."""
    return spikes.t_start + bin * np.arange(number_of_bins(spikes, bin) + 1, dtype=np.float64)


def bin_index(times: FloatArray, t_start: float, bin: float) -> IntArray:
    """Return the bin of each time; bins are (left, right], the first one [left, right]."""
    index = np.ceil((times - t_start) / bin - EDGE_TOLERANCE).astype(np.int64) - 1
    index[(index == -1) & (times >= t_start)] = 0
    return index
