"""Recording the states of a step."""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.intrinsics import INNER, call_peek, view


@njit(**INNER)
def copy_state(x, ids, out):
    """Copy a state of some neurons."""
    for k in range(ids.size):
        out[k] = x[ids[k]]


@njit(**INNER)
def record_states(pops, recordings, step):
    """Copy the recorded states of this thread's neurons; sleeping ones are looked at, not woken."""
    for a in range(recordings.shape[0]):
        r = recordings[a]
        if step % r[L.R_EVERY] != 0:
            continue
        n = r[L.R_N]
        pop = pops[r[L.R_POPULATION]]
        ids = view(r[L.R_IDS], n, np.int64)
        out = view(r[L.R_OUT] + 8 * r[L.R_ROW] * n, n, np.float64)
        r[L.R_ROW] += 1
        if pop[L.P_EVENT] == 1:
            for k in range(n):
                out[k] = call_peek(r[L.R_PEEK_FN], pop[L.P_BLOCK], ids[k], r[L.R_STATE], step)
            continue
        block = view(pop[L.P_BLOCK], L.STATES + r[L.R_STATE] + 1, np.int64)
        at = block[L.STATES + r[L.R_STATE]]
        if r[L.R_SINGLE] == 1:
            copy_state(view(at, block[L.N], np.float32), ids, out)
        else:
            copy_state(view(at, block[L.N], np.float64), ids, out)
