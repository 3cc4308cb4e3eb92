"""Statistics of spike trains and operations of networks, with definition and source.

`neurosim.analysis.dendrites` has the theory of sparse patterns on dendritic segments.
"""

import importlib
from typing import Any

from neurosim.analysis.complexity import (
    LempelZivClassifier,
    NearestMean,
    entropy_rate,
    lz76,
    lz78,
    spike_train_complexity,
)
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
    "LempelZivClassifier",
    "NearestMean",
    "Operations",
    "Psth",
    "Spectrum",
    "binned_counts",
    "cv2",
    "dendrites",
    "entropy_rate",
    "fano_factor",
    "first_spike_latency",
    "firing_rates",
    "golomb_chi",
    "instantaneous_rate",
    "isi",
    "isi_cv",
    "ks_distance",
    "lv",
    "lz76",
    "lz78",
    "operations",
    "pairwise_correlation",
    "population_counts",
    "psth",
    "rate_spectrum",
    "sparse_counts",
    "spike_counts",
    "spike_train_complexity",
    "synchrony",
    "van_rossum_distance",
]


def __getattr__(name: str) -> Any:
    if name == "dendrites":  # needs SciPy, which statistics of spikes do not
        return importlib.import_module("neurosim.analysis.dendrites")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
