"""Synapses that the user listed (Explicit), from the user's order to that of the threads.

A task reads the whole list and takes the synapses onto the targets of one thread: reading in order
costs little beside writing, which goes to the segments of all sources. Nothing is sorted and
nothing is kept beside the list and the result; segments keep the order of the list, whatever the
number of threads. Race-free, because a thread's line of `pointers` and its synapses belong to one
task.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels.cached import cached
from neurosim.engines.cpu.kernels.generate import BATCH, GIVEN, fill, make_words, new_batch
from neurosim.engines.cpu.kernels.intrinsics import ALLOCATES
from neurosim.network.distributions import CONSTANT


class Listed(NamedTuple):
    """The list of one projection."""

    pre: Any  # int64 (n_synapses,), numbers within the view
    post: Any  # int64 (n_synapses,)
    weight: Any  # float64 (n_synapses,), or empty where weights are drawn
    delay: Any  # float64 (n_synapses,) in ms, or empty where delays are drawn


@cached(error_model="numpy", nogil=True)
def listed_synapses(owners, listed, values, place, counting, statistics, smallest):
    """Count or place the listed synapses onto the targets of the threads `owners`.

    The other arguments are those of `neurosim.engines.cpu.kernels.generate`.
    """
    for owner in owners:
        if counting:
            _count(owner, listed, place)
        else:
            _place(owner, listed, values, place, statistics, smallest)


@njit(**ALLOCATES)
def _count(owner, listed, place):
    for i in range(listed.pre.size):
        own = place.owner[listed.post[i]] == owner
        place.pointers[owner, place.segment[listed.pre[i]]] += own


@njit(**ALLOCATES)
def _place(owner, listed, values, place, statistics, smallest):
    batch = new_batch()
    drawn = _is_drawn(values.weight_kind) or _is_drawn(values.delay_kind)
    # draws are numbered within a source over all threads
    numbers = np.zeros(place.segment.size if drawn else 0, np.uint32)
    for first in range(0, listed.pre.size, BATCH):
        n = _gather(owner, listed, first, place, numbers, batch)
        if n == 0:
            continue
        if drawn:
            make_words(n, batch, values)
        fill(n, batch, values, place, statistics, smallest)


@njit(**ALLOCATES)
def _is_drawn(kind):
    return kind != GIVEN and kind != CONSTANT


@njit(**ALLOCATES)
def _gather(owner, listed, first, place, numbers, batch):
    """Take the owner's synapses of the next part of the list; return how many there are."""
    n = 0
    for i in range(first, min(first + BATCH, listed.pre.size)):
        pre, post = listed.pre[i], listed.post[i]
        batch.row[n] = pre
        batch.column[n] = post
        if listed.weight.size > 0:
            batch.weight[n] = listed.weight[i]
        if listed.delay.size > 0:
            batch.delay[n] = listed.delay[i]
        if numbers.size > 0:
            batch.number[n] = numbers[pre]
            numbers[pre] += 1
        n += place.owner[post] == owner
    return n
