"""Delivery: the spikes of a step are scattered into the ring of input to come.

Rows are read as a stream; the scatter is bound by cache misses, so delay and channel are one packed
index: delay << bits | channel. A target belongs to one thread, hence no atomics.

A ring that is larger than the cache gets a buffer in front: every slot has a short list to which
input is appended (streams of writes), and which is emptied into the slot's row when it is full or
the slot is due; the row then stays in the cache. The order of additions to a channel, and so every
bit of the sum, is that of adding directly.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.drive import touch
from neurosim.engines.cpu.kernels.intrinsics import INNER, prefetch, view

#: Synapses that memory is asked for ahead of their use.
_AHEAD = 16


@njit(**INNER)
def scatter(packed, weights, first, last, ring, base):
    """Add the weights of a row to the ring."""
    size = ring.size
    for k in range(first, last):
        index = np.int64(packed[k]) + base
        index -= size if index >= size else 0
        ring[index] += weights[k]


@njit(**INNER)
def scatter_constant(packed, weight, first, last, ring, base):
    """Add one weight to the ring for every synapse of a row."""
    size = ring.size
    for k in range(first, last):
        index = np.int64(packed[k]) + base
        index -= size if index >= size else 0
        ring[index] += weight


@njit(**INNER)
def scatter_buffered(packed, weights, constant, first, last, ring, base, bits, lists):
    """Append a row, sorted by delay, to the lists of its slots: (indices, weights, lengths).

    Each run of equal delays is copied in one go; appending synapse by synapse would wait for
    the length of the list that the one before has just changed.
    """
    size = ring.size
    indices, amounts, lengths = lists
    capacity = indices.shape[1]
    k = first
    while k < last:
        delay = packed[k] >> bits
        shift = base - (size if (np.int64(delay) << bits) + base >= size else 0)
        slot = (np.int64(packed[k]) + shift) >> bits
        at = lengths[slot]
        room = min(last - k, capacity - at)
        count = 1
        while count < room and packed[k + count] >> bits == delay:
            count += 1
        for j in range(count):
            indices[slot, at + j] = np.uint32(np.int64(packed[k + j]) + shift)
        if weights.size > 0:
            for j in range(count):
                amounts[slot, at + j] = weights[k + j]
        else:
            for j in range(count):
                amounts[slot, at + j] = constant
        lengths[slot] = at + count
        k += count
        if at + count == capacity:
            empty_list(ring, slot, lists)


@njit(**INNER)
def empty_list(ring, slot, lists):
    """Add what a slot's list holds to the ring."""
    indices, amounts, lengths = lists
    for k in range(lengths[slot]):
        ring[indices[slot, k]] += amounts[slot, k]
    lengths[slot] = 0


@njit(**INNER)
def scatter_touching(packed, weights, constant, first, last, pop, ring, base, bits):
    """Add a row to the ring of a population that sleeps, and list what was touched."""
    size = ring.size
    mask = (1 << bits) - 1
    n_touched = view(pop[L.P_N_TOUCHED], 1, np.int64)
    touched = view(pop[L.P_TOUCHED], 1, np.int32)
    for k in range(first, last):
        ahead = np.int64(packed[min(k + _AHEAD, last - 1)]) + base
        prefetch(ring, ahead - (size if ahead >= size else 0))
        index = np.int64(packed[k]) + base
        index -= size if index >= size else 0
        weight = weights[k] if weights.size > 0 else constant
        touch(ring, index, weight, (index & mask) - pop[L.P_CHANNEL], index >> bits, pop,
              n_touched, touched)  # fmt: skip


@njit(**INNER)
def deliver_bundle(bundle, segments, constants, pops, sources, ring, slot, bits, lists):
    """Deliver the spikes of some sources through all segments (projections) of a bundle."""
    n_segments = bundle[L.B_SEGMENTS]
    first_segment = bundle[L.B_FIRST]
    base = slot << bits
    size = ring.size
    # the arrays end where the last row ends; their length is not needed
    pointers = view(bundle[L.B_POINTERS], 1, np.int64)
    packed = view(bundle[L.B_PACKED], size, np.uint32)
    stored = bundle[L.B_WEIGHTS] != 0
    weights = view(bundle[L.B_WEIGHTS], size if stored else 0, ring.dtype)
    buffered = lists[0].shape[1] > 0
    whole = bundle[L.B_DENSE] == 1 and (stored or bundle[L.B_UNIFORM] == 1)
    for source in sources:
        row = source * n_segments
        for k in range(n_segments):
            count = pointers[row + k + 1] - pointers[row + k]
            segments[first_segment + k, L.S_EVENTS] += count
        # rows of all projections lie side by side: one stretch if they are treated alike
        pieces = 1 if whole else n_segments
        for k in range(pieces):
            first, last = pointers[row + k], pointers[row + k + n_segments // pieces]
            if first == last:
                continue
            constant = constants[first_segment + k]
            pop = pops[segments[first_segment + k, L.S_TARGET]]
            if not whole and pop[L.P_EVENT] == 1:
                scatter_touching(packed, weights, constant, first, last, pop, ring, base, bits)
            elif buffered:
                scatter_buffered(packed, weights, constant, first, last, ring, base, bits, lists)
            elif stored:
                scatter(packed, weights, first, last, ring, base)
            else:
                scatter_constant(packed, constant, first, last, ring, base)
