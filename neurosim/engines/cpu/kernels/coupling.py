"""What gap junctions exchange in half a step, and recording after it.

Gathering, the expansion and scattering are done by one thread in a fixed order, whatever the
number of threads that step the neurons: the result has the same bits for any.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels.cached import cached
from neurosim.engines.cpu.kernels.intrinsics import (
    INNER,
    flush_denormals,
    restore_denormals,
    view,
)
from neurosim.engines.cpu.kernels.record import record_states

_OPTIONS = {"error_model": "numpy", "nogil": True}
# parts: the nodes of a membrane on one thread, one row each
E_STATE, E_UNTIL, E_HELD, E_FIRST, E_N, E_SIZE = range(6)
E_COLUMNS = 6


@njit(**INNER)
def velocities(first, partner, conductance, factor, free, v, out):
    """Write A v, with A = L/c: what flows out of every node over its capacitance."""
    for i in range(v.size):
        total = 0.0
        if free[i]:
            for e in range(first[i], first[i + 1]):
                total += conductance[e] * (v[i] - v[partner[e]])
            total *= factor[i]
        out[i] = total


@cached(**_OPTIONS)
def exchange(parts, local, graph, factor, series, scale, work, free, step, real):
    """Advance the coupled potentials by half a step of their junctions' currents.

    Parameters
    ----------
    parts : int64 (n_parts, E_COLUMNS)
        Addresses of the potentials and of the ends of refractoriness, whether potentials are held
        meanwhile, first node and number of nodes, size of the block.
    local : int64 (n_nodes,)
        Position of each node in its block.
    graph : (int64 (n_nodes + 1,), int64 (n_edges,), float64 (n_edges,))
        First junction of each node; partner and conductance of each junction.
    factor : float64 (n_nodes,)
        One over the capacitance.
    series : float64 (k,)
        Chebyshev coefficients; the argument is 1 - 2 A/largest.
    scale : float
        2/largest.
    work : float64 (5, n_nodes)
        Scratch.
    free : bool (n_nodes,)
        Scratch: which potentials are not held.
    step : int
        The step that this is part of.
    real : float array
        Of the precision of the engine.
    """
    control = flush_denormals()
    first, partner, conductance = graph
    v, last, now, product, total = work[0], work[1], work[2], work[3], work[4]
    for p in range(parts.shape[0]):
        x = view(parts[p, E_STATE], parts[p, E_SIZE], real.dtype)
        until = view(parts[p, E_UNTIL], parts[p, E_SIZE], np.int32)
        for k in range(parts[p, E_FIRST], parts[p, E_FIRST] + parts[p, E_N]):
            v[k] = x[local[k]]
            free[k] = parts[p, E_HELD] == 0 or until[local[k]] < step
    # T_0 w and T_1 w of the velocities w = A v; then T_(k+1) = 2 (1 - scale A) T_k - T_(k-1)
    velocities(first, partner, conductance, factor, free, v, last)
    for i in range(v.size):
        total[i] = series[0] * last[i]
    if series.size > 1:
        velocities(first, partner, conductance, factor, free, last, product)
        for i in range(v.size):
            now[i] = last[i] - scale * product[i]
            total[i] += series[1] * now[i]
    for k in range(2, series.size):
        velocities(first, partner, conductance, factor, free, now, product)
        for i in range(v.size):
            following = 2.0 * (now[i] - scale * product[i]) - last[i]
            last[i] = now[i]
            now[i] = following
            total[i] += series[k] * following
    for p in range(parts.shape[0]):
        x = view(parts[p, E_STATE], parts[p, E_SIZE], real.dtype)
        for k in range(parts[p, E_FIRST], parts[p, E_FIRST] + parts[p, E_N]):
            if free[k]:
                x[local[k]] += total[k]
    restore_denormals(control)


@cached(**_OPTIONS)
def record(pops, recordings, step):
    """Copy the recorded states of a thread's neurons after a step."""
    record_states(pops, recordings, step)
