"""Decisions at which nothing changes, taken without leaving the compiled loop.

Python reconsiders which populations sleep at fixed steps (`neurosim.engines.cpu.strategy`). While
all that can sleep do, and so few neurons are reached that even the smallest population would go on
sleeping, asking Python would cost more than the quiet steps in between.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.intrinsics import view
from neurosim.engines.cpu.kernels.step import INLINED


@njit(**INLINED)
def tell_activity(pops, segments, line):
    """Write how many events reached this thread's neurons so far, and how many are awake."""
    reached, awake = 0, 0
    for k in range(segments.shape[0]):
        reached += segments[k, L.S_EVENTS]
    for p in range(pops.shape[0]):
        if pops[p, L.P_EVENT] == 1:
            block = view(pops[p, L.P_BLOCK], L.STATES, np.int64)
            awake += block[L.N_AWAKE]
    line[L.D_REACHED], line[L.D_AWAKE] = reached, awake


@njit(**INLINED)
def activity(due, threads):
    """Return what all threads told: events so far, and neurons awake."""
    reached, awake = 0, 0
    for thread in range(threads):
        reached += due[L.D_COLUMNS * thread + L.D_REACHED]
        awake += due[L.D_COLUMNS * thread + L.D_AWAKE]
    return reached, awake


@njit(**INLINED)
def is_quiet(shared, events, awake, steps):
    """Whether all populations would go on sleeping after `steps` steps with so many events."""
    return (events + awake * steps) * shared[L.H_PERIOD] < shared[L.H_MOST] * steps


@njit(**INLINED)
def mark_events(segments):
    """Note the counts of events at a decision."""
    for k in range(segments.shape[0]):
        segments[k, L.S_MARKED] = segments[k, L.S_EVENTS]
