"""Figures of spikes, states, connections and training; each function returns a matplotlib Figure.

No pyplot, no global state: figures are made without a screen and are shown by notebooks or
written with ``figure.savefig(path)``.
"""

from neurosim.plot._style import PALETTE
from neurosim.plot.distributions import (
    first_spike_latency,
    isi_histogram,
    rate_distribution,
    weight_histogram,
)
from neurosim.plot.lines import traces
from neurosim.plot.matrices import connectivity_matrix
from neurosim.plot.overviews import overview
from neurosim.plot.rasters import raster
from neurosim.plot.training import confusion_matrix, training

__all__ = [
    "PALETTE",
    "confusion_matrix",
    "connectivity_matrix",
    "first_spike_latency",
    "isi_histogram",
    "overview",
    "raster",
    "rate_distribution",
    "traces",
    "training",
    "weight_histogram",
]
