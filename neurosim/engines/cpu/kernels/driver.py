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
from neurosim.engines.cpu.kernels.decide import activity, is_quiet, mark_events, tell_activity
from neurosim.engines.cpu.kernels.deliver import (
    ask_for_pointers,
    ask_for_rows,
    deliver_bundle,
    empty_list,
)
from neurosim.engines.cpu.kernels.intrinsics import (
    INNER,
    NAP,
    atomic_add,
    atomic_load,
    call_feature,
    call_kernel,
    flush_denormals,
    nap,
    restore_denormals,
    view,
    yield_core,
)
from neurosim.engines.cpu.kernels.step import (
    INLINED,
    advance_populations,
    ask_for_next,
    failed,
    next_due,
)

_OPTIONS = {"error_model": "numpy", "nogil": True}
#: Polls of the barrier before the core is offered to others: a few microseconds.
_SPINS = 2000
#: Offers before a thread sleeps: a tenth of a millisecond. Whom it waits for may be kept from a
#: core by others, and gets this one only once it is idle.
_YIELDS = 200
#: Most spikes of a window whose rows are asked for before any is delivered.
_FEW = 64


@njit(**INNER)
def wait_for_all(shared_address, threads, arrived):
    """Wait until every thread has arrived `arrived` times at the barrier."""
    address = shared_address + 8 * L.H_BARRIER
    atomic_add(address, 1)
    target = arrived * threads
    spins = 0
    while atomic_load(address) < target:
        spins += 1
        if spins > _SPINS + _YIELDS:
            nap(NAP)
        elif spins > _SPINS:
            yield_core()


@njit(**INLINED)
def emissions(due, threads):
    """Return in which steps of a window (bits) any thread emitted spikes, and how many."""
    steps, emitted = 0, 0
    for thread in range(threads):
        steps |= due[L.D_COLUMNS * thread + L.D_STEPS]
        emitted += due[L.D_COLUMNS * thread + L.D_EMITTED]
    return steps, emitted


@njit(**INLINED)
def next_start(due, threads, start, stride):
    """Return when the first thread goes on, or the first spike of this window arrives."""
    step = L.FOREVER
    for thread in range(threads):
        step = min(step, due[L.D_COLUMNS * thread + L.D_NEXT])
    steps, _ = emissions(due, threads)
    arrives = start + stride
    if steps != 0:
        while steps & 1 == 0:
            steps >>= 1
            arrives += 1
        step = min(step, arrives)
    return step


@njit(**INLINED)
def pass_step(threads, buffers, totals, counts, positions, w):
    """Let `positions` point behind the spikes of step w of a window."""
    for thread in range(threads):
        if totals[thread, w] > 0:
            for p in range(buffers.shape[1]):
                positions[thread, p] += max(0, counts[thread, w, p])


@njit(**INLINED)
def ask_ahead(threads, bundles, buffers, length, steps, totals, counts, positions, itemsize):
    """Ask for the rows of a window with few spikes, whose lists are too short to look ahead."""
    positions[:] = 0
    for w in range(length):
        if (steps >> w) & 1:
            pass_step(threads, buffers, totals, counts, positions, w)
    for stage in range(2):
        for b in range(bundles.shape[0]):
            source = bundles[b, L.B_SOURCE]
            for thread in range(threads):
                n = positions[thread, source]
                if n == 0:
                    continue
                ids = view(buffers[thread, source], n, np.int32)
                if stage == 0:
                    ask_for_pointers(bundles[b], ids, 0, n)
                else:
                    ask_for_rows(bundles[b], ids, 0, n, itemsize)


@njit(**INLINED)
def tell_modulated(bundle, step, threads, buffers, totals, counts, positions, w):
    """Tell a plastic bundle which neurons of its modulator spiked in step w of a window."""
    p = bundle[L.B_MODULATOR]
    for thread in range(threads):
        if totals[thread, w] > 0 and counts[thread, w, p] > 0:
            at = buffers[thread, p] + 4 * positions[thread, p]
            call_kernel(
                bundle[L.B_MODULATE_FN], bundle[L.B_PLASTIC], step, at, counts[thread, w, p]
            )


@njit(**INNER)
def deliver_window(
    first, last, threads, pops, bundles, segments, constants, ring, bits, slots, lists,
    buffers, totals, counts, positions, due,
):  # fmt: skip
    """Deliver what all threads emitted in steps first ... last, in the order of the steps."""
    steps, emitted = emissions(due, threads)
    length = last - first + 1
    if 0 < emitted <= _FEW:
        ask_ahead(
            threads, bundles, buffers, length, steps, totals, counts, positions, ring.itemsize
        )
    positions[:] = 0
    for w in range(length):
        if (steps >> w) & 1 == 0:
            continue
        step = first + w
        slot = step % slots
        for b in range(bundles.shape[0]):
            if bundles[b, L.B_MODULATE_FN] != 0:
                tell_modulated(bundles[b], step, threads, buffers, totals, counts, positions, w)
            source = bundles[b, L.B_SOURCE]
            for thread in range(threads):
                if totals[thread, w] == 0 or counts[thread, w, source] <= 0:
                    continue
                at = buffers[thread, source] + 4 * positions[thread, source]
                ids = view(at, counts[thread, w, source], np.int32)
                deliver_bundle(
                    bundles[b], segments, constants, pops, ids, ring, slot, step, bits, lists
                )
        pass_step(threads, buffers, totals, counts, positions, w)
    for b in range(bundles.shape[0]):
        if bundles[b, L.B_PLASTIC] != 0:
            table = view(bundles[b, L.B_PLASTIC], L.X_COLUMNS, np.int64)
            if table[L.X_NEED] == 1:  # histories are full
                call_feature(bundles[b, L.B_SWEEP_FN], bundles[b, L.B_PLASTIC], 0, last)


@njit(**INNER)
def run_steps(
    me, threads, first, last, arrived, pops, bundles, segments, constants, given, recordings,
    features, ring, bits, slots, stride, lists, buffers, totals, counts, positions, shared, due,
    reserve, spike_steps, spike_pops, spike_ids, n_spikes,
):  # fmt: skip
    """Do what `run_thread` says; apart from it because slices cost reference counts there."""
    stop_address = shared.ctypes.data + 8 * L.H_STOP
    every_step = features[L.T_N_PROCESSES] + features[L.T_N_CURRENTS] + recordings.shape[0] > 0
    buffered = lists[0].size > 0
    decision, since, before = shared[L.H_DECISION], shared[L.H_SINCE], shared[L.H_REACHED]
    decided = 0
    step = first
    while True:
        # alternates from window to window; steps may be skipped, so their parity would not do
        parity = arrived & 1
        start, end = step, min(step + stride - 1, last, decision)
        mine, begins = totals[parity, me], positions[me]
        steps, emitted = 0, 0
        mine[:] = 0
        begins[:] = 0
        while step <= end:
            slot = step % slots
            if buffered:
                empty_list(ring, slot, lists)
            if features[L.T_CURRENTS_FN] != 0:
                call_feature(features[L.T_CURRENTS_FN], features.ctypes.data, slot, step)
            if features[L.T_INPUTS_FN] != 0:
                call_feature(features[L.T_INPUTS_FN], features.ctypes.data, slot, step)
            spiked = advance_populations(
                pops, given, ring, bits, slot, step, buffers[parity, me], begins,
                counts[parity, me, step - start], spike_steps, spike_pops, spike_ids, n_spikes,
            )  # fmt: skip
            if spiked > 0:
                mine[step - start] = spiked
                emitted += spiked
                steps |= 1 << (step - start)
            if recordings.shape[0] > 0:
                call_feature(features[L.T_RECORD_FN], features.ctypes.data, slot, step)
            if failed(pops, counts[parity, me, step - start]):
                shared[L.H_FAILED + me] = step
                atomic_add(stop_address + 64 * parity, 1)
                break
            done = step
            step = next_due(pops, every_step, given, slots, done)
            if done + 1 < step <= end:
                ask_for_next(pops, step % slots)
        line = due[parity, L.D_COLUMNS * me : L.D_COLUMNS * (me + 1)]
        line[L.D_NEXT], line[L.D_STEPS] = max(step, end + 1), steps
        line[L.D_EMITTED] = emitted
        if spike_ids.size - n_spikes[0] < reserve * stride:
            atomic_add(stop_address + 64 * parity, 1)
        arrived += 1
        if threads > 1:
            wait_for_all(shared.ctypes.data, threads, arrived)
        deliver_window(
            start, end, threads, pops, bundles, segments, constants, ring, bits, slots, lists,
            buffers[parity], totals[parity], counts[parity], positions, due[parity],
        )  # fmt: skip
        if atomic_load(stop_address + 64 * parity) > 0:
            last = end
        step = next_start(due[parity], threads, start, stride)
        if decision < min(step, last):
            tell_activity(pops, segments, line)
            arrived += 1
            if threads > 1:
                wait_for_all(shared.ctypes.data, threads, arrived)
            reached, awake = activity(due[parity], threads)
            if is_quiet(shared, reached - before, awake, decision - since):
                mark_events(segments)
                period = shared[L.H_PERIOD]
                decided = (min(step, last) - 1) // period * period
                since, before, decision = decided, reached, decided + period
            else:
                last = decision
        if step > last:
            break
        if step > end + 1:
            ask_for_next(pops, step % slots)
    if me == 0:
        shared[L.H_NEXT] = step
        shared[L.H_DECIDED] = decided
    for slot in range(slots):
        empty_list(ring, slot, lists)
    return last


@cached(**_OPTIONS)
def run_thread(
    me, threads, first, last, arrived, pops, bundles, segments, constants, given, recordings,
    features, ring, bits, slots, stride, lists, buffers, totals, counts, positions, shared, due,
    reserve, spike_steps, spike_pops, spike_ids, n_spikes,
):  # fmt: skip
    """Run steps first ... last (inclusive) on one thread.

    Parameters
    ----------
    me, threads : int
        This thread and their number.
    arrived : int
        How often each thread has been at the barrier before.
    pops, bundles, segments, given, recordings : int64 (rows, columns)
        This thread's tables; columns in `layout`.
    constants : float (n_segments,)
        Weight of segments that have one weight.
    features : int64 (T_COLUMNS,)
        Poisson inputs and injected currents, if there are any, and how to call what draws them.
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
    shared : int64 (H_FAILED + threads,)
        Barrier, stop flags, and the step in which each thread failed (0: none).
    due : int64 (2, threads * D_COLUMNS)
        What each thread tells the others at a meeting.
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
        me, threads, first, last, arrived, pops, bundles, segments, constants, given, recordings,
        features, ring, bits, slots, stride, lists, buffers, totals, counts, positions, shared,
        due, reserve, spike_steps, spike_pops, spike_ids, n_spikes,
    )  # fmt: skip
    restore_denormals(control)
    return last
