"""One step of the populations of a thread."""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.drive import given_spikes
from neurosim.engines.cpu.kernels.intrinsics import (
    INNER,
    call_feature,
    call_kernel,
    fetch,
    prefetch,
    view,
)

#: For functions with one caller: handing over their arrays, word by word, takes as long as they do.
INLINED = INNER | {"inline": "always"}
#: Events of the next step whose neurons are asked for.
_EARLY = 64


@njit(**INLINED)
def nothing_due(pop, slot):
    """Whether no input waits for a sleeping population in a slot."""
    n_touched = view(pop[L.P_N_TOUCHED], slot + 1, np.int64)
    n_events = view(pop[L.P_N_EVENTS], slot + 1, np.int64)
    return n_touched[slot] == 0 and n_events[slot] == 0


@njit(**INNER)
def ask_for_records(pop, block, slot):
    """Ask for the neurons that the first events of a later slot reach."""
    n, size = block[L.N], block[L.RECORD_BYTES]
    n_events = view(pop[L.P_N_EVENTS], slot + 1, np.int64)
    count = min(n_events[slot], _EARLY)
    at = pop[L.P_EVENT_CHANNELS] + 4 * slot * pop[L.P_EVENT_CAPACITY]
    channels = view(at, count, np.int32)
    records = view(block[L.RECORDS], n * size, np.uint8)
    for k in range(count):
        i = np.int64(fetch(channels, k))
        while i >= n:
            i -= n
        prefetch(records, i * size)


@njit(**INLINED)
def ask_for_next(pops, slot):
    """Ask for the neurons of the next step where none was run before it."""
    for p in range(pops.shape[0]):
        if pops[p, L.P_EVENT] == 1:
            ask_for_records(pops[p], view(pops[p, L.P_BLOCK], L.STATES, np.int64), slot)


@njit(**INLINED)
def step_population(pop, given, ring, bits, slot, step, out_address):
    """Advance one population by a step; return the number of its spikes (ids at `out_address`)."""
    n, lo = pop[L.P_N], pop[L.P_LO]
    out = view(out_address, max(n, 1), np.int32)
    kind = pop[L.P_KIND]
    if kind == L.KIND_POISSON:
        pop[L.P_OUT] = out_address
        return call_feature(pop[L.P_DRAW_FN], pop.ctypes.data, slot, step)
    if kind == L.KIND_GIVEN:
        return given_spikes(given[pop[L.P_SOURCE]], lo, lo + n, step, out)
    first = (slot << bits) + pop[L.P_CHANNEL]
    if kind == L.KIND_PARROT:
        count = 0
        for i in range(min(n, pop[L.P_CHANNELS])):
            for _ in range(int(ring[first + i])):
                if count == pop[L.P_CAPACITY]:
                    return -1
                out[count] = lo + i
                count += 1
            ring[first + i] = L.UNTOUCHED
        return count
    block = view(pop[L.P_BLOCK], L.STATES, np.int64)
    row = ring.ctypes.data + first * ring.itemsize
    if pop[L.P_EVENT] == 1:
        if nothing_due(pop, slot) and block[L.N_AWAKE] == 0:
            return 0
        block[L.N_TOUCHED] = pop[L.P_N_TOUCHED] + 8 * slot
        block[L.TOUCHED] = pop[L.P_TOUCHED] + 4 * slot * pop[L.P_CHANNELS]
        if slot + 1 < pop[L.P_SLOTS]:
            ask_for_records(pop, block, slot + 1)
        first = slot * pop[L.P_EVENT_CAPACITY]
        block[L.N_EVENTS] = pop[L.P_N_EVENTS] + 8 * slot
        block[L.EVENT_CHANNELS] = pop[L.P_EVENT_CHANNELS] + 4 * first
        block[L.EVENT_WEIGHTS] = pop[L.P_EVENT_WEIGHTS] + ring.itemsize * first
        count = call_kernel(pop[L.P_EVENT_FN], pop[L.P_BLOCK], step, row, out_address)
    else:
        if pop[L.P_N_NOISE] > 0:
            call_feature(pop[L.P_DRAW_FN], pop.ctypes.data, slot, step)
        count = call_kernel(pop[L.P_CLOCK_FN], pop[L.P_BLOCK], step, row, out_address)
        block[L.UPDATES] += n
    for k in range(count):
        out[k] += lo
    return count


@njit(**INLINED)
def advance_populations(
    pops, given, ring, bits, slot, step, buffers, begins, counts,
    spike_steps, spike_pops, spike_ids, n_spikes,
):  # fmt: skip
    """Step every population and record its spikes; return the number of spikes.

    The spikes of population p go to its list from position `begins[p]` on; where those of the
    next step would begin stays in `begins`.
    """
    spiked = 0
    for p in range(pops.shape[0]):
        count = 0
        out = buffers[p] + 4 * begins[p]
        if pops[p, L.P_N] > 0:
            count = step_population(pops[p], given, ring, bits, slot, step, out)
        counts[p] = count
        spiked += abs(count)
        if pops[p, L.P_N_HOOKS] > 0 and count >= 0:
            hooks = view(pops[p, L.P_HOOKS], 2 * pops[p, L.P_N_HOOKS], np.int64)
            for k in range(pops[p, L.P_N_HOOKS]):
                call_kernel(hooks[2 * k], hooks[2 * k + 1], step, out, count)
        if count > 0:
            pops[p, L.P_SPIKES] += count
            begins[p] += count
            if pops[p, L.P_RECORD] == 1:
                ids = view(out, count, np.int32)
                at = n_spikes[0]
                for k in range(count):
                    spike_steps[at + k] = step
                    spike_pops[at + k] = p
                    spike_ids[at + k] = ids[k]
                n_spikes[0] = at + count
    return spiked


@njit(**INLINED)
def failed(pops, counts):
    """Whether a state stopped being a number or a spike list overflowed (count below 0)."""
    for p in range(pops.shape[0]):
        if counts[p] < 0:
            return True
        if pops[p, L.P_KIND] == L.KIND_NEURON and pops[p, L.P_N] > 0:
            block = view(pops[p, L.P_BLOCK], L.STATES, np.int64)
            if block[L.STATUS] >= 0:
                return True
    return False


@njit(**INLINED)
def next_given(g, lo, n, step):
    """Return the next step, from `step` on, of a given spike of members lo <= i < lo + n."""
    steps = view(g[L.G_STEPS], g[L.G_COUNT], np.int64)
    ids = view(g[L.G_IDS], g[L.G_COUNT], np.int64)
    k = g[L.G_CURSOR]
    while k < g[L.G_COUNT] and not lo <= fetch(ids, k) < lo + n:
        k += 1
    g[L.G_CURSOR] = k
    return max(fetch(steps, k), step) if k < g[L.G_COUNT] else L.FOREVER


@njit(**INLINED)
def next_input(pop, slots, step, limit):
    """Return the next step before `limit` for which input waits for a sleeping population."""
    n_touched = view(pop[L.P_N_TOUCHED], slots, np.int64)
    n_events = view(pop[L.P_N_EVENTS], slots, np.int64)
    slot = step % slots
    for later in range(step + 1, min(limit, step + slots)):
        slot = slot + 1 if slot + 1 < slots else 0
        if fetch(n_touched, slot) != 0 or fetch(n_events, slot) != 0:
            return later
    return limit


@njit(**INLINED)
def next_due(pops, every_step, given, slots, step):
    """Return the next step at which this thread has anything to do.

    What the ring holds is all that can come, as far as this thread knows.
    """
    if every_step:
        return step + 1
    due = L.FOREVER
    for p in range(pops.shape[0]):
        pop = pops[p]
        if pop[L.P_KIND] == L.KIND_GIVEN:
            due = min(due, next_given(given[pop[L.P_SOURCE]], pop[L.P_LO], pop[L.P_N], step + 1))
            continue
        if pop[L.P_N] == 0:
            continue
        if pop[L.P_KIND] != L.KIND_NEURON or pop[L.P_EVENT] == 0:
            return step + 1
        block = view(pop[L.P_BLOCK], L.STATES, np.int64)
        if block[L.N_AWAKE] > 0:
            return step + 1
        due = min(due, next_input(pop, slots, step, due))
    return due
