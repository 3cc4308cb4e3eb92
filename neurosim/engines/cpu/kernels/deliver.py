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
from neurosim.engines.cpu.kernels.inbox import fold
from neurosim.engines.cpu.kernels.intrinsics import (
    INNER,
    call_feature,
    fetch,
    prefetch,
    store,
    view,
)

#: Sources whose rows memory is asked for ahead of their use.
_AHEAD = 2
_LINE, _LINES = 64, 8  # bytes of a line of the cache, lines of a row that are asked for


@njit(**INNER)
def scatter(packed, weights, constant, first, last, ring, base):
    """Add the weights of a row to the ring."""
    size = ring.size
    stored = weights.size > 0
    for k in range(first, last):
        index = np.int64(fetch(packed, k)) + base
        index -= size if index >= size else 0
        weight = fetch(weights, k) if stored else constant
        store(ring, index, fetch(ring, index) + weight)


@njit(**INNER, inline="always")
def append_run(packed, weights, constant, first, last, shift, bits, indices, amounts, at):
    """Append the synapses of one delay to a list; return the first that is left.

    The length of the list stays in a register; appending synapse by synapse would wait for the
    length that the one before has just stored.
    """
    delay = fetch(packed, first) >> bits
    stored = weights.size > 0
    k = first
    while k < last and fetch(packed, k) >> bits == delay:
        store(indices, at, np.int64(fetch(packed, k)) + shift)
        store(amounts, at, fetch(weights, k) if stored else constant)
        at += 1
        k += 1
    return k


@njit(**INNER)
def scatter_buffered(packed, weights, constant, first, last, ring, base, bits, lists):
    """Append a row, sorted by delay, to the lists of its slots: (indices, weights, lengths)."""
    size = ring.size
    indices, amounts, lengths = lists
    capacity = indices.size // lengths.size
    k = first
    while k < last:
        delay = np.int64(fetch(packed, k) >> bits) << bits
        shift = base - (size if delay + base >= size else 0)
        slot = (delay + shift) >> bits
        at = fetch(lengths, slot)
        room = min(last, k + capacity - at)
        end = append_run(
            packed, weights, constant, k, room, shift, bits, indices, amounts, slot * capacity + at
        )
        store(lengths, slot, at + end - k)
        if at + end - k == capacity:
            empty_list(ring, slot, lists)
        k = end


@njit(**INNER)
def empty_list(ring, slot, lists):
    """Add what a slot's list holds to the ring."""
    indices, amounts, lengths = lists
    first = slot * (indices.size // lengths.size)
    for k in range(first, first + lengths[slot]):
        index = np.int64(fetch(indices, k))
        store(ring, index, fetch(ring, index) + fetch(amounts, k))
    lengths[slot] = 0


@njit(**INNER)
def scatter_listed(packed, weights, constant, first, last, pop, ring, slot, bits):
    """Append a row to the lists of a population that sleeps."""
    slots = ring.size >> bits
    capacity = pop[L.P_EVENT_CAPACITY]
    n_events = view(pop[L.P_N_EVENTS], slots, np.int64)
    indices = view(pop[L.P_EVENT_CHANNELS], slots * capacity, np.int32)
    amounts = view(pop[L.P_EVENT_WEIGHTS], slots * capacity, ring.dtype)
    k = first
    while k < last:
        delay = np.int64(fetch(packed, k) >> bits)
        due = slot + delay - (slots if slot + delay >= slots else 0)
        if fetch(n_events, due) == capacity:
            fold(pop, ring, due, bits)
        at = fetch(n_events, due)
        shift = -(delay << bits) - pop[L.P_CHANNEL]
        room = min(last, k + capacity - at)
        end = append_run(
            packed, weights, constant, k, room, shift, bits, indices, amounts, due * capacity + at
        )
        store(n_events, due, at + end - k)
        k = end


@njit(**INNER)
def ask_for_pointers(bundle, sources, first, last):
    """Ask for the memory that says where the rows of some sources lie."""
    pointers = view(bundle[L.B_POINTERS], 1, np.int64)
    for k in range(first, min(last, sources.size)):
        prefetch(pointers, sources[k] * bundle[L.B_SEGMENTS])


@njit(**INNER)
def ask_for_rows(bundle, sources, first, last, itemsize):
    """Ask for the beginnings of the rows of some sources; processors go on by themselves."""
    pointers = view(bundle[L.B_POINTERS], 1, np.int64)
    packed = view(bundle[L.B_PACKED], 1, np.uint8)
    weights = view(bundle[L.B_WEIGHTS], 1, np.uint8)
    for k in range(first, min(last, sources.size)):
        row = sources[k] * bundle[L.B_SEGMENTS]
        begin, end = pointers[row], pointers[row + bundle[L.B_SEGMENTS]]
        for line in range(min(_LINES, ((end - begin) * 4 + _LINE - 1) // _LINE)):
            prefetch(packed, begin * 4 + line * _LINE)
            if bundle[L.B_WEIGHTS] != 0:
                prefetch(weights, begin * itemsize + line * _LINE)


@njit(**INNER)
def deliver_bundle(bundle, segments, constants, pops, sources, ring, slot, step, bits, lists):
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
    buffered = lists[0].size > 0
    whole = bundle[L.B_DENSE] == 1 and (stored or bundle[L.B_UNIFORM] == 1)
    ask_for_pointers(bundle, sources, 0, 2 * _AHEAD)
    for at in range(sources.size):
        ask_for_pointers(bundle, sources, at + 2 * _AHEAD, at + 2 * _AHEAD + 1)
        ask_for_rows(bundle, sources, at + _AHEAD, at + _AHEAD + 1, ring.itemsize)
        row = sources[at] * n_segments
        for k in range(n_segments):
            count = pointers[row + k + 1] - pointers[row + k]
            segments[first_segment + k, L.S_EVENTS] += count
        # rows of all projections lie side by side: one stretch if they are treated alike
        pieces = 1 if whole else n_segments
        for k in range(pieces):
            first, last = pointers[row + k], pointers[row + k + n_segments // pieces]
            if bundle[L.B_PLASTIC] != 0:  # also for rows that are empty on this thread
                call_feature(bundle[L.B_UPDATE_FN], bundle[L.B_PLASTIC], sources[at], step)
            if first == last:
                continue
            if bundle[L.B_SCRATCH] != 0:  # what is sent is not the weight
                start = bundle[L.B_SCRATCH] - first * ring.itemsize
                weights = view(start, size, ring.dtype)
            constant = constants[first_segment + k]
            pop = pops[segments[first_segment + k, L.S_TARGET]]
            if not whole and pop[L.P_EVENT] == 1:
                scatter_listed(packed, weights, constant, first, last, pop, ring, slot, bits)
            elif buffered:
                scatter_buffered(packed, weights, constant, first, last, ring, base, bits, lists)
            else:
                scatter(packed, weights, constant, first, last, ring, base)
