"""The loop over steps that every thread runs on its own block of neurons.

A step n: (1) inputs due at n are added to slot n of the ring; (2) every population's kernel
propagates, adds what slot n holds, tests and resets; (3) states are recorded. No spike arrives
before the shortest delay has passed, so a thread runs that many steps (`stride`: a window) on its
own; then (4) threads meet; (5) every thread delivers all spikes of the window to its own targets,
step by step. Spike lists alternate between two buffers: a thread that has passed the barrier of
one window knows that all have delivered the one before, so one barrier a window is enough. No
thread writes what another one owns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.cached import cached
from neurosim.engines.cpu.kernels.deliver import (
    ask_for_pointers,
    ask_for_rows,
    deliver_bundle,
    empty_list,
)
from neurosim.engines.cpu.kernels.drive import (
    add_injection,
    generator_spikes,
    given_spikes,
    injection_changes,
    poisson_input,
    white_noise,
)
from neurosim.engines.cpu.kernels.intrinsics import (
    INNER,
    atomic_add,
    atomic_load,
    call_kernel,
    call_peek,
    flush_denormals,
    prefetch,
    restore_denormals,
    view,
    view_field,
    view_rows,
    yield_core,
)

_OPTIONS = {"error_model": "numpy", "nogil": True}
#: Polls of the barrier before the core is offered to others: a few microseconds.
_SPINS = 2000
#: Most spikes of a window whose rows are asked for before any is delivered.
_FEW = 64
#: Events of the next step whose neurons are asked for.
_EARLY = 64


@njit(**INNER)
def wait_for_all(shared_address, threads, arrived):
    """Wait until every thread has arrived `arrived` times at the barrier."""
    address = shared_address + 8 * L.H_BARRIER
    atomic_add(address, 1)
    target = arrived * threads
    spins = 0
    while atomic_load(address) < target:
        spins += 1
        if spins > _SPINS:
            yield_core()


@njit(**INNER)
def inject_currents(pops, currents, means, stds, step, ring):
    """Recompute the injected currents of populations in which one changes at this step."""
    for a in range(currents.shape[0]):
        if not injection_changes(currents[a], step):
            continue
        pop = pops[currents[a, L.J_POPULATION]]
        block = view(pop[L.P_BLOCK], L.STATES, np.int64)
        if pop[L.P_EVENT] == 1:
            # sleeping neurons first live through the time before the change, then wake
            call_kernel(pop[L.P_ADVANCE_FN], pop[L.P_BLOCK], step - 1, 0, 0)
            wake_all(block)
        row = view(block[L.INJECTED], block[L.N], ring.dtype)
        row[:] = 0.0
        for b in range(currents.shape[0]):
            if currents[b, L.J_POPULATION] == currents[a, L.J_POPULATION]:
                if b > a:
                    injection_changes(currents[b], step)
                add_injection(currents[b], means[b], stds[b], row, step)


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
def nothing_due(pop, slot):
    """Whether no input waits for a sleeping population in a slot."""
    n_touched = view(pop[L.P_N_TOUCHED], slot + 1, np.int64)
    n_events = view(pop[L.P_N_EVENTS], slot + 1, np.int64)
    return n_touched[slot] == 0 and n_events[slot] == 0


@njit(**INNER)
def ask_for_records(pop, block, slot):
    """Ask for the neurons that the first events of a later slot reach."""
    if slot >= pop[L.P_SLOTS]:
        return
    n, size = block[L.N], block[L.RECORD_BYTES]
    n_events = view(pop[L.P_N_EVENTS], slot + 1, np.int64)
    count = min(n_events[slot], _EARLY)
    at = pop[L.P_EVENT_CHANNELS] + 4 * slot * pop[L.P_EVENT_CAPACITY]
    channels = view(at, count, np.int32)
    records = view(block[L.RECORDS], n * size, np.uint8)
    for k in range(count):
        i = np.int64(channels[k])
        while i >= n:
            i -= n
        prefetch(records, i * size)


@njit(**INNER)
def step_population(pop, processes, given, ring, bits, slot, step, out_address):
    """Advance one population by a step; return the number of its spikes (ids at `out_address`)."""
    n, lo = pop[L.P_N], pop[L.P_LO]
    out = view(out_address, max(n, 1), np.int32)
    kind = pop[L.P_KIND]
    if kind == L.KIND_POISSON:
        return generator_spikes(processes[pop[L.P_SOURCE]], lo, lo + n, step, out)
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
        ask_for_records(pop, block, slot + 1)
        first = slot * pop[L.P_EVENT_CAPACITY]
        block[L.N_EVENTS] = pop[L.P_N_EVENTS] + 8 * slot
        block[L.EVENT_CHANNELS] = pop[L.P_EVENT_CHANNELS] + 4 * first
        block[L.EVENT_WEIGHTS] = pop[L.P_EVENT_WEIGHTS] + ring.itemsize * first
        count = call_kernel(pop[L.P_EVENT_FN], pop[L.P_BLOCK], step, row, out_address)
    else:
        if pop[L.P_N_NOISE] > 0:
            rows = view_rows(block[L.NOISE], pop[L.P_N_NOISE], block[L.N], ring.dtype)
            scratch = view(block[L.SCRATCH], n, np.float64)
            keys = np.uint32(pop[L.P_KEY0]), np.uint32(pop[L.P_KEY1])
            white_noise(rows, scratch, lo, n, step, keys[0], keys[1])
        count = call_kernel(pop[L.P_CLOCK_FN], pop[L.P_BLOCK], step, row, out_address)
        block[L.UPDATES] += n
    for k in range(count):
        out[k] += lo
    return count


@njit(**INNER)
def record_states(pops, recordings, step, dtype):
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
        x = view(block[L.STATES + r[L.R_STATE]], block[L.N], dtype)
        for k in range(n):
            out[k] = x[ids[k]]


@njit(**INNER)
def next_due(pops, n_always, given, currents, recordings, slots, step):
    """Return the next step at which this thread has anything to do.

    What the ring holds is all that can come, as far as this thread knows.
    """
    if n_always > 0 or currents.shape[0] > 0 or recordings.shape[0] > 0:
        return step + 1
    due = L.FOREVER
    for p in range(pops.shape[0]):
        pop = pops[p]
        if pop[L.P_KIND] == L.KIND_GIVEN:
            g = given[pop[L.P_SOURCE]]
            steps = view(g[L.G_STEPS], g[L.G_COUNT], np.int64)
            if g[L.G_CURSOR] < g[L.G_COUNT]:
                due = min(due, max(steps[g[L.G_CURSOR]], step + 1))
            continue
        if pop[L.P_N] == 0:
            continue
        if pop[L.P_KIND] != L.KIND_NEURON or pop[L.P_EVENT] == 0:
            return step + 1
        block = view(pop[L.P_BLOCK], L.STATES, np.int64)
        if block[L.N_AWAKE] > 0:
            return step + 1
        for later in range(step + 1, min(due, step + slots)):
            if not nothing_due(pop, later % slots):
                due = later
                break
    return due


@njit(**INNER)
def add_poisson_inputs(pops, processes, weights, ring, slot, bits, step):
    """Draw the Poisson inputs of this step (generators are drawn as populations)."""
    for a in range(processes.shape[0]):
        p = processes[a, L.Q_POPULATION]
        if processes[a, L.Q_CHANNEL] >= 0 and pops[p, L.P_N] > 0:
            lo = pops[p, L.P_LO]
            poisson_input(
                processes[a], weights[a], pops[p], lo, lo + pops[p, L.P_N], ring, slot, bits, step
            )


@njit(**INNER)
def advance_populations(
    pops, processes, given, ring, bits, slot, step, buffers, begins, counts,
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
            count = step_population(pops[p], processes, given, ring, bits, slot, step, out)
        counts[p] = count
        spiked += abs(count)
        pops[p, L.P_SPIKES] += count
        if count > 0:
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


@njit(**INNER)
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


@njit(**INNER)
def ask_ahead(threads, bundles, buffers, steps, totals, counts, itemsize):
    """Ask for the rows of a window with few spikes, whose lists are too short to look ahead."""
    emitted = 0
    for thread in range(threads):
        for w in range(steps):
            emitted += totals[thread, w]
    if emitted == 0 or emitted > _FEW:
        return
    for stage in range(2):
        for b in range(bundles.shape[0]):
            source = bundles[b, L.B_SOURCE]
            for thread in range(threads):
                n = 0
                for w in range(steps):
                    n += counts[thread, w, source] if totals[thread, w] > 0 else 0
                if n > 0:
                    ids = view(buffers[thread, source], n, np.int32)
                    if stage == 0:
                        ask_for_pointers(bundles[b], ids, 0, n)
                    else:
                        ask_for_rows(bundles[b], ids, 0, n, itemsize)


@njit(**INNER)
def deliver_window(
    first, last, threads, pops, bundles, segments, constants, ring, bits, slots, lists,
    buffers, totals, counts, positions,
):  # fmt: skip
    """Deliver what all threads emitted in steps first ... last, in the order of the steps."""
    ask_ahead(threads, bundles, buffers, last - first + 1, totals, counts, ring.itemsize)
    positions[:] = 0
    for w in range(last - first + 1):
        emitted = 0
        for thread in range(threads):
            emitted += totals[thread, w]
        if emitted == 0:
            continue
        slot = (first + w) % slots
        for b in range(bundles.shape[0]):
            source = bundles[b, L.B_SOURCE]
            for thread in range(threads):
                if totals[thread, w] == 0 or counts[thread, w, source] <= 0:
                    continue
                at = buffers[thread, source] + 4 * positions[thread, source]
                ids = view(at, counts[thread, w, source], np.int32)
                deliver_bundle(bundles[b], segments, constants, pops, ids, ring, slot, bits, lists)
        for thread in range(threads):
            if totals[thread, w] > 0:
                for p in range(pops.shape[0]):
                    positions[thread, p] += max(0, counts[thread, w, p])


@njit(**INNER)
def run_steps(
    me, threads, first, last, arrived, pops, bundles, segments, constants, processes,
    process_weights, n_always, given, currents, means, stds, recordings, ring, bits, slots, stride,
    lists, buffers, totals, counts, positions, shared, due, reserve, spike_steps, spike_pops,
    spike_ids, n_spikes,
):  # fmt: skip
    """Do what `run_thread` says; apart from it because slices cost reference counts there."""
    stop_address = shared.ctypes.data + 8 * L.H_STOP
    step = first
    while True:
        # alternates from window to window; steps may be skipped, so their parity would not do
        parity = arrived & 1
        start, end = step, min(step + stride - 1, last)
        mine, begins = totals[parity, me], positions[me]
        emitted = 0
        mine[:] = 0
        begins[:] = 0
        while step <= end:
            slot = step % slots
            empty_list(ring, slot, lists)
            if currents.shape[0] > 0:
                inject_currents(pops, currents, means, stds, step, ring)
            add_poisson_inputs(pops, processes, process_weights, ring, slot, bits, step)
            spiked = advance_populations(
                pops, processes, given, ring, bits, slot, step, buffers[parity, me], begins,
                counts[parity, me, step - start], spike_steps, spike_pops, spike_ids, n_spikes,
            )  # fmt: skip
            mine[step - start] = spiked
            emitted += spiked
            if recordings.shape[0] > 0:
                record_states(pops, recordings, step, ring.dtype)
            if failed(pops, counts[parity, me, step - start]):
                shared[L.H_FAILED] = step
                atomic_add(stop_address + 64 * parity, 1)
                break
            step = next_due(pops, n_always, given, currents, recordings, slots, step)
        # what was emitted here arrives after the window
        due[parity, me * 8] = end + 1 if emitted > 0 else max(step, end + 1)
        if spike_ids.size - n_spikes[0] < reserve * stride:
            atomic_add(stop_address + 64 * parity, 1)
        arrived += 1
        if threads > 1:
            wait_for_all(shared.ctypes.data, threads, arrived)
        deliver_window(
            start, end, threads, pops, bundles, segments, constants, ring, bits, slots, lists,
            buffers[parity], totals[parity], counts[parity], positions,
        )  # fmt: skip
        if atomic_load(stop_address + 64 * parity) > 0:
            last = end
        step = last + 1
        for thread in range(threads):
            step = min(step, due[parity, thread * 8])
        if step > last:
            break
    for slot in range(slots):
        empty_list(ring, slot, lists)
    return last


@cached(**_OPTIONS)
def run_thread(
    me, threads, first, last, arrived, pops, bundles, segments, constants, processes,
    process_weights, n_always, given, currents, means, stds, recordings, ring, bits, slots, stride,
    lists, buffers, totals, counts, positions, shared, due, reserve, spike_steps, spike_pops,
    spike_ids, n_spikes,
):  # fmt: skip
    """Run steps first ... last (inclusive) on one thread.

    Parameters
    ----------
    me, threads : int
        This thread and their number.
    arrived : int
        How often each thread has been at the barrier before.
    pops, bundles, segments, processes, given, currents, recordings : int64 (rows, columns)
        This thread's tables; columns in `layout`.
    constants : float (n_segments,)
        Weight of segments that have one weight.
    process_weights : float (n_processes,)
    n_always : int
        Number of processes: with any, no step can be skipped.
    ring : float (slots << bits,)
        Input to come: slot * 2**bits + channel.
    stride : int
        Steps between meetings, at most the shortest delay.
    lists : (uint32 (slots * capacity,), float (slots * capacity,), int64 (slots,))
        Buffers in front of the ring; capacity 0 where it is small.
    buffers : int64 (2, threads, n_populations)
        Addresses of the spike lists of all threads: the spikes of a window, step by step.
    totals : int64 (2, threads, stride + padding)
        Spikes of each thread in each step of the window.
    counts : int64 (2, threads, stride, n_populations)
        The same by population, where there are any; -1 for a list that overflowed.
    positions : int64 (threads, n_populations)
        Scratch.
    shared : int64 (H_SIZE,)
        Barrier, stop flags and the step that failed.
    due : int64 (2, threads * 8)
        Next step at which each thread has something to do.
    reserve : int
        Most spikes that one step can add to the recording.
    spike_steps, spike_pops, spike_ids : int32 arrays
        Where recorded spikes go; n_spikes[0] of them are filled.

    Returns
    -------
    int
        The last step that was run: `last`, or earlier if a buffer was filling up or a state
        stopped being a number.
    """
    control = flush_denormals()
    last = run_steps(
        me, threads, first, last, arrived, pops, bundles, segments, constants, processes,
        process_weights, n_always, given, currents, means, stds, recordings, ring, bits, slots,
        stride, lists, buffers, totals, counts, positions, shared, due, reserve, spike_steps,
        spike_pops, spike_ids, n_spikes,
    )  # fmt: skip
    restore_denormals(control)
    return last
