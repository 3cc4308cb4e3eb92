"""Weights of stored synapses as multiples of the units of their channels."""

from __future__ import annotations

import numpy as np

from neurosim.engines.cpu.kernels.cached import cached

_OPTIONS = {"error_model": "numpy", "nogil": True}


@cached(**_OPTIONS)
def note_largest(packed, weight, mask, largest):
    """Raise ``largest`` (n_channels,) to the largest absolute weight that reaches each channel."""
    for k in range(packed.size):
        channel = np.int64(packed[k]) & mask
        largest[channel] = max(largest[channel], abs(weight[k]))


@cached(**_OPTIONS)
def count_synapses(packed, mask, counts):
    """Add the number of synapses that reach each channel to ``counts`` (n_channels,)."""
    for k in range(packed.size):
        counts[np.int64(packed[k]) & mask] += 1.0


@cached(**_OPTIONS)
def round_to_units(packed, weight, mask, unit):
    """Round weights to multiples of ``unit`` (n_channels,), in place."""
    for k in range(packed.size):
        u = unit[np.int64(packed[k]) & mask]
        weight[k] = np.rint(weight[k] / u) * u
