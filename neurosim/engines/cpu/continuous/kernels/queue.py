"""Two priority queues. Ties are broken by number, so that events always have the same order."""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.continuous.kernels.layout import Q_COLUMNS
from neurosim.engines.cpu.kernels.cached import cached

#: Kernels that allocate nothing need no reference counts: counting for every array that is passed
#: on took seven eighths of the time.
OPTIONS = {"error_model": "numpy", "nogil": True, "_nrt": False}
ALLOCATES = {k: v for k, v in OPTIONS.items() if k != "_nrt"}
#: Passing a hundred arrays costs more than what most kernels do, so they become part of their
#: callers (four times as fast): in Numba, which compiles them once, or, into callers with reference
#: counts, in LLVM.
INLINE = OPTIONS | {"inline": "always"}
MERGED = OPTIONS | {"forceinline": True}


@njit(**INLINE)
def _earlier(agenda, a, b):
    return agenda.time[a] < agenda.time[b] or (agenda.time[a] == agenda.time[b] and a < b)


@njit(**INLINE)
def _place(agenda, k, item):
    agenda.heap[k] = item
    agenda.position[item] = k


@cached(**OPTIONS)
def _up(agenda, k):
    item = agenda.heap[k]
    while k > 0:
        parent = (k - 1) >> 1
        if not _earlier(agenda, item, agenda.heap[parent]):
            break
        _place(agenda, k, agenda.heap[parent])
        k = parent
    _place(agenda, k, item)


@cached(**OPTIONS)
def _down(agenda, k):
    n = agenda.size[0]
    item = agenda.heap[k]
    while True:
        child = 2 * k + 1
        if child >= n:
            break
        if child + 1 < n and _earlier(agenda, agenda.heap[child + 1], agenda.heap[child]):
            child += 1
        if not _earlier(agenda, agenda.heap[child], item):
            break
        _place(agenda, k, agenda.heap[child])
        k = child
    _place(agenda, k, item)


@cached(**OPTIONS)
def set_time(agenda, item, time):
    """Put an item at a time, or take it out where the time is infinite."""
    k = agenda.position[item]
    if time == np.inf:
        if k >= 0:
            agenda.size[0] -= 1
            moved = agenda.heap[agenda.size[0]]
            agenda.position[item] = -1
            if moved != item:
                _place(agenda, k, moved)
                _up(agenda, k)
                _down(agenda, agenda.position[moved])
        agenda.time[item] = time
        return
    earlier = k < 0 or time < agenda.time[item]
    agenda.time[item] = time
    if k < 0:
        k = agenda.size[0]
        agenda.size[0] += 1
        _place(agenda, k, item)
    if earlier:
        _up(agenda, k)
    else:
        _down(agenda, k)


@njit(**INLINE)
def next_time(agenda):
    """Return the earliest time, infinite if there is none."""
    return agenda.time[agenda.heap[0]] if agenda.size[0] > 0 else np.inf


@cached(**OPTIONS)
def _before(queue, a, b):
    for column in range(Q_COLUMNS):
        if queue[a, column] != queue[b, column]:
            return queue[a, column] < queue[b, column]
    return False


@cached(**OPTIONS)
def _swap(queue, a, b):
    for column in range(Q_COLUMNS):
        queue[a, column], queue[b, column] = queue[b, column], queue[a, column]


@cached(**OPTIONS)
def sift_up(queue, k):
    """Restore the order of the delivery queue after entry k became earlier."""
    while k > 0 and _before(queue, k, (k - 1) >> 1):
        _swap(queue, k, (k - 1) >> 1)
        k = (k - 1) >> 1


@cached(**OPTIONS)
def sift_down(queue, n):
    """Restore the order of the delivery queue after its first entry became later."""
    k = 0
    while True:
        child = 2 * k + 1
        if child >= n:
            return
        if child + 1 < n and _before(queue, child + 1, child):
            child += 1
        if not _before(queue, child, k):
            return
        _swap(queue, k, child)
        k = child
