"""Parts of a step that only some networks need, compiled when one does.

Each is a function of a table's address, a slot of the ring and a step; the driver calls it by its
address (`neurosim.engines.cpu.features`). `real` is the precision of the engine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.drive import (
    add_injection,
    generator_spikes,
    injection_changes,
    normal_rows,
    poisson_input,
)
from neurosim.engines.cpu.kernels.intrinsics import (
    INNER,
    call_kernel,
    view,
    view_field,
    view_rows,
)
from neurosim.engines.cpu.kernels.record import record_states


@njit(**INNER)
def poisson_inputs(table, slot, step, real):
    """Draw the Poisson inputs of this step."""
    t = view(table, L.T_COLUMNS, np.int64)
    pops = view_rows(t[L.T_POPS], t[L.T_N_POPS], L.P_COLUMNS, np.int64)
    processes = view_rows(t[L.T_PROCESSES], t[L.T_N_PROCESSES], L.Q_COLUMNS, np.int64)
    weights = view(t[L.T_WEIGHTS], t[L.T_N_PROCESSES], real)
    ring = view(t[L.T_RING], t[L.T_RING_SIZE], real)
    for a in range(processes.shape[0]):
        p = processes[a, L.Q_POPULATION]
        if processes[a, L.Q_CHANNEL] >= 0 and pops[p, L.P_N] > 0:
            lo = pops[p, L.P_LO]
            hi = lo + pops[p, L.P_N]
            poisson_input(processes[a], weights[a], pops[p], lo, hi, ring, slot, t[L.T_BITS], step)
    return 0


@njit(**INNER)
def injected_currents(table, slot, step, real):
    """Recompute the injected currents of populations in which one changes at this step."""
    t = view(table, L.T_COLUMNS, np.int64)
    pops = view_rows(t[L.T_POPS], t[L.T_N_POPS], L.P_COLUMNS, np.int64)
    currents = view_rows(t[L.T_CURRENTS], t[L.T_N_CURRENTS], L.J_COLUMNS, np.int64)
    means = view(t[L.T_MEANS], t[L.T_N_CURRENTS], np.float64)
    stds = view(t[L.T_STDS], t[L.T_N_CURRENTS], np.float64)
    for a in range(currents.shape[0]):
        if not injection_changes(currents[a], step):
            continue
        pop = pops[currents[a, L.J_POPULATION]]
        block = view(pop[L.P_BLOCK], L.STATES, np.int64)
        if pop[L.P_EVENT] == 1:
            # sleeping neurons first live through the time before the change, then wake
            call_kernel(pop[L.P_ADVANCE_FN], pop[L.P_BLOCK], step - 1, 0, 0)
            wake_all(block)
        row = view(block[L.INJECTED], block[L.N], real)
        row[:] = 0.0
        for b in range(currents.shape[0]):
            if currents[b, L.J_POPULATION] == currents[a, L.J_POPULATION]:
                if b > a:
                    injection_changes(currents[b], step)
                add_injection(currents[b], means[b], stds[b], row, step)
    return 0


@njit(**INNER)
def wake_all(block):
    """Put every neuron of a block on the awake list."""
    awake = view(block[L.AWAKE], block[L.N], np.int32)
    is_awake = view_field(block[L.MARKS], block[L.N], block[L.RECORD_BYTES], np.int32)
    for i in range(block[L.N_REAL]):
        awake[i] = i
        is_awake[i] = 1
    block[L.N_AWAKE] = block[L.N_REAL]


@njit(**INNER)
def white_noise(table, slot, step, real):
    """Draw the standard normal numbers of a population; the table is its row."""
    pop = view(table, L.P_COLUMNS, np.int64)
    block = view(pop[L.P_BLOCK], L.STATES, np.int64)
    rows = view_rows(block[L.NOISE], pop[L.P_N_NOISE], block[L.N], real)
    scratch = view(block[L.SCRATCH], pop[L.P_N], np.float64)
    keys = np.uint32(pop[L.P_KEY0]), np.uint32(pop[L.P_KEY1])
    normal_rows(rows, scratch, pop[L.P_LO], pop[L.P_N], step, keys[0], keys[1])
    return 0


@njit(**INNER)
def poisson_generator(table, slot, step, real):
    """Draw the spikes of a population of generators; the table is its row."""
    pop = view(table, L.P_COLUMNS, np.int64)
    process = view(pop[L.P_PROCESS], L.Q_COLUMNS, np.int64)
    out = view(pop[L.P_OUT], pop[L.P_CAPACITY], np.int32)
    return generator_spikes(process, pop[L.P_LO], pop[L.P_LO] + pop[L.P_N], step, out)


@njit(**INNER)
def recordings(table, slot, step, real):
    """Record the states of this step."""
    t = view(table, L.T_COLUMNS, np.int64)
    pops = view_rows(t[L.T_POPS], t[L.T_N_POPS], L.P_COLUMNS, np.int64)
    rows = view_rows(t[L.T_RECORDINGS], t[L.T_N_RECORDINGS], L.R_COLUMNS, np.int64)
    record_states(pops, rows, step)
    return 0
