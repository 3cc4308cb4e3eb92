"""Statistics of spike trains and operations of networks, with definition and source."""

from neurosim.analysis.counts import (
    Psth,
    binned_counts,
    firing_rates,
    first_spike_latency,
    instantaneous_rate,
    population_counts,
    psth,
    sparse_counts,
    spike_counts,
)
from neurosim.analysis.dependence import (
    Correlations,
    Spectrum,
    golomb_chi,
    pairwise_correlation,
    rate_spectrum,
    synchrony,
    van_rossum_distance,
)
from neurosim.analysis.intervals import cv2, fano_factor, isi, isi_cv, ks_distance, lv
from neurosim.analysis.operations import EnergyTable, Operations, operations

__all__ = [
    "Correlations",
    "EnergyTable",
    "Operations",
    "Psth",
    "Spectrum",
    "binned_counts",
    "cv2",
    "fano_factor",
    "first_spike_latency",
    "firing_rates",
    "golomb_chi",
    "instantaneous_rate",
    "isi",
    "isi_cv",
    "ks_distance",
    "lv",
    "operations",
    "pairwise_correlation",
    "population_counts",
    "psth",
    "rate_spectrum",
    "sparse_counts",
    "spike_counts",
    "synchrony",
    "van_rossum_distance",
]
