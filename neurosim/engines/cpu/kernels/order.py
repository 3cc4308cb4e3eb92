"""Sorting the synapses of every segment by delay, so that input goes out in runs of one slot."""

from __future__ import annotations

import numpy as np

from neurosim.engines.cpu.kernels.cached import cached


@cached(error_model="numpy", nogil=True)
def sort_by_delay(pointers, packed, weights, bits, slots):
    """Sort each segment by delay; synapses of equal delay keep their order (counting sort).

    Parameters
    ----------
    pointers : (n_segments + 1,) int64
    packed : (n_synapses,) uint32
    weights : (n_synapses,) float, or of length 0
    bits, slots : int
        Of the packed index: delay << bits | channel, delay < slots.
    """
    longest = 0
    for s in range(pointers.size - 1):
        longest = max(longest, pointers[s + 1] - pointers[s])
    indices = np.empty(longest, packed.dtype)
    values = np.empty(longest if weights.size else 0, weights.dtype)
    places = np.empty(slots + 1, np.int64)
    for s in range(pointers.size - 1):
        first, last = pointers[s], pointers[s + 1]
        places[:] = 0
        for k in range(first, last):
            places[(packed[k] >> bits) + 1] += 1
        for d in range(slots):
            places[d + 1] += places[d]
        for k in range(first, last):
            d = packed[k] >> bits
            at = places[d]
            places[d] = at + 1
            indices[at] = packed[k]
            if weights.size:
                values[at] = weights[k]
        for k in range(last - first):
            packed[first + k] = indices[k]
            if weights.size:
                weights[first + k] = values[k]
