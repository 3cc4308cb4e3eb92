"""One neuron between events: advance, receive, test, reset."""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.continuous.kernels.flow import first_crossing, flow
from neurosim.engines.cpu.continuous.kernels.layout import (
    LOOK,
    N_LOOKS,
    N_UPDATES,
    RELEASE,
    SPIKE,
)
from neurosim.engines.cpu.continuous.kernels.queue import INLINE, set_time


@njit(**INLINE)
def state_at(groups, cells, i, time, out, vectors):
    """Set out to z of neuron i at a time not before its last event; held states stand still."""
    g = cells.group[i]
    flow(groups, g, time - cells.last[i], cells.z[i], out, vectors)
    if cells.until[i] > cells.last[i]:
        for k in range(groups.m[g]):
            if groups.hold[g, k]:
                out[k] = cells.z[i, k]


@njit(**INLINE)
def advance(groups, cells, i, time, vectors, counters):
    """Bring neuron i to a time."""
    if time > cells.last[i]:
        state_at(groups, cells, i, time, vectors[3], vectors)
        for k in range(groups.m[cells.group[i]]):
            cells.z[i, k] = vectors[3][k]
        cells.last[i] = time
        counters[N_UPDATES] += 1


@njit(**INLINE)
def change_current(groups, cells, i, added):
    """Add to the injected current: the fixed point moves, the states do not."""
    old = cells.current[i]
    new = old + added
    cells.current[i] = new
    for k in range(groups.m[cells.group[i]]):
        slope = cells.rest_injected[i, k]
        cells.z[i, k] += slope * old - slope * new


@njit(**INLINE)
def margin(groups, cells, i, z):
    """Return (margin in the fixed point, margin at z, its bound for all later times)."""
    g = cells.group[i]
    y_inf = -cells.theta[i]
    rise, bound = 0.0, 0.0
    for k in range(groups.m[g]):
        c = groups.slopes[g, 0, k]
        y_inf += c * (cells.rest[i, k] + cells.rest_injected[i, k] * cells.current[i])
        rise += c * z[k]
        bound += max(groups.sup[g, k] * z[k], groups.inf[g, k] * z[k])
    return y_inf, y_inf + rise, y_inf + bound


@njit(**INLINE)
def plan_check(groups, cells, i, time, agenda, work, counters):
    """Decide when neuron i must be looked at again; return 1 if it spikes now, -1 if not finite.

    Its state stays that of its last event, so nothing depends on how often it was looked at.
    """
    g = cells.group[i]
    since = time - cells.last[i]
    z = work.vectors[3]
    flow(groups, g, since, cells.z[i], z, work.vectors)
    y_inf, y, bound = margin(groups, cells, i, z)
    if not np.isfinite(y):
        return -1
    if y >= 0.0:
        return 1
    if bound < 0.0:
        set_time(agenda, i, np.inf)
        return 0
    counters[N_LOOKS] += 1
    until = since + max(groups.look[g], since)
    found = first_crossing(groups, g, cells.z[i], y_inf, since, until, work.points, work.vectors)
    cells.due[i] = SPIKE if found >= 0.0 else LOOK
    set_time(agenda, i, cells.last[i] + (found if found >= 0.0 else until))
    return 0


@njit(**INLINE)
def spike(groups, cells, i, time, agenda, work, counters):
    """Reset neuron i at a time and begin its refractory period."""
    advance(groups, cells, i, time, work.vectors, counters)
    g = cells.group[i]
    x = work.vectors[2]
    for k in range(groups.m[g]):
        rest = cells.rest[i, k] + cells.rest_injected[i, k] * cells.current[i]
        x[k] = cells.z[i, k] + rest
    for s in range(groups.n_reset[g]):
        value = cells.reset_offset[i, s]
        for k in range(groups.m[g]):
            value += groups.reset_factor[g, s, k] * x[k]
        x[groups.reset_target[g, s]] = value
    for s in range(groups.n_reset[g]):
        k = groups.reset_target[g, s]
        cells.z[i, k] = x[k] - (cells.rest[i, k] + cells.rest_injected[i, k] * cells.current[i])
    if cells.t_ref[i] > 0.0:
        cells.until[i] = time + cells.t_ref[i]
        cells.due[i] = RELEASE
        set_time(agenda, i, cells.until[i])
