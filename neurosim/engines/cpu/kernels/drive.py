"""Input from outside: Poisson processes, given spikes, injected currents, white noise.

A Poisson process is a pure function of (key, step): nothing is carried from step to step, so any
thread can draw its part. Two methods, chosen by the mean per neuron and step:

- dense: one 32-bit word a neuron and step, compared with the cumulative distribution;
- sparse: the count of a whole block of neurons, then a uniform member for each event (splitting
  a Poisson process gives independent ones); members are thinned to their own rate.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.inbox import list_event
from neurosim.engines.cpu.kernels.intrinsics import INNER, view
from neurosim.engines.cpu.kernels.rng import philox4, ppf_centre, ppf_tail, uniform
from neurosim.lower.poisson import DENSE_BLOCK
from neurosim.random import PPF_CENTRE

_U0 = np.uint32(0)


@njit(**INNER)
def dense_words(words, block, step, k0, k1):
    """Draw the words of a block of members: word j of counter i belongs to member j * 128 + i."""
    low, high = np.uint32(step & 0xFFFFFFFF), np.uint32(step >> 32)
    quarter = words.size // 4
    w0, w1, w2, w3 = words[:quarter], words[quarter:], words[2 * quarter :], words[3 * quarter :]
    for i in range(quarter):
        w0[i], w1[i], w2[i], w3[i] = philox4(np.uint32(block * quarter + i), low, high, _U0, k0, k1)


@njit(**INNER)
def add_counts(row, words, cdf, weight):
    """Add weight times a Poisson count to every neuron.

    Eight thresholds a pass, unrolled: a simple loop that becomes vector code. The thresholds are
    padded to a multiple of eight with the largest word, which counts (nearly) nothing.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    for j in range(0, cdf.size, 8):
        c0, c1, c2, c3 = cdf[j], cdf[j + 1], cdf[j + 2], cdf[j + 3]
        c4, c5, c6, c7 = cdf[j + 4], cdf[j + 5], cdf[j + 6], cdf[j + 7]
        for i in range(row.size):
            w = words[i]
            count = one if w > c0 else zero
            count += one if w > c1 else zero
            count += one if w > c2 else zero
            count += one if w > c3 else zero
            count += one if w > c4 else zero
            count += one if w > c5 else zero
            count += one if w > c6 else zero
            count += one if w > c7 else zero
            row[i] += weight * count


@njit(**INNER)
def sparse_count(q, cdf, block, step):
    """Return the number of events of a block of neurons in a step."""
    word = philox4(
        np.uint32(block), np.uint32(step & 0xFFFFFFFF), np.uint32(step >> 32), _U0,
        np.uint32(q[L.Q_KEY0]), np.uint32(q[L.Q_KEY1]),
    )[0]  # fmt: skip
    count = 0
    while count < cdf.size and word > cdf[count]:
        count += 1
    return count


@njit(**INNER)
def sparse_member(q, accept, block, step, event, factor):
    """Return the member of the process that an event of a block falls on, or -1 if thinned away."""
    n = q[L.Q_N]
    first = block * q[L.Q_BLOCK]
    size = min(q[L.Q_BLOCK], n - first)
    a, b, _, d = philox4(
        np.uint32(block), np.uint32(step & 0xFFFFFFFF), np.uint32(step >> 32), np.uint32(event + 1),
        np.uint32(q[L.Q_KEY0]), np.uint32(q[L.Q_KEY1]),
    )  # fmt: skip
    # all blocks are drawn at full size: a member beyond the end of the last one is no event
    member = (np.int64(a) * q[L.Q_BLOCK] + ((np.int64(d) * q[L.Q_BLOCK]) >> 32)) >> 32
    if member >= size:
        return -1
    keep = factor
    if q[L.Q_ACCEPT] != 0:
        keep *= accept[first + member]
    return first + member if uniform(b) < keep else -1


@njit(**INNER)
def rate_factor(q, step):
    """Return the current rate of an inhomogeneous process relative to its largest."""
    n = q[L.Q_N_CHANGES]
    if n == 0:
        return 1.0
    changes = view(q[L.Q_CHANGES], n, np.int64)
    factors = view(q[L.Q_FACTORS], n, np.float64)
    below, above = 0, n
    while below < above:
        middle = (below + above) // 2
        if changes[middle] <= step:
            below = middle + 1
        else:
            above = middle
    return factors[below - 1] if below > 0 else 0.0


@njit(**INNER)
def generator_spikes(q, lo, hi, step, spikes):
    """Write the sorted spikes of members lo <= i < hi of a generator; return their number."""
    cdf = view(q[L.Q_CDF], q[L.Q_N_CDF], np.uint32)
    accept = view(q[L.Q_ACCEPT], q[L.Q_N], np.float64)
    factor = rate_factor(q, step)
    count = 0
    if factor == 0.0 or hi <= lo:
        return 0
    for block in range(lo // q[L.Q_BLOCK], (hi - 1) // q[L.Q_BLOCK] + 1):
        for event in range(sparse_count(q, cdf, block, step)):
            member = sparse_member(q, accept, block, step, event, factor)
            if lo <= member < hi:
                b = count
                while b > 0 and spikes[b - 1] > member:
                    spikes[b] = spikes[b - 1]
                    b -= 1
                spikes[b] = member
                count += 1
    return count


@njit(**INNER)
def dense_input(q, weight, pop, ring, start, offset, slot, bits, cdf):
    """Draw the counts of this thread's members, block by block, and add them to the ring.

    Members Q_START <= m < Q_START + Q_N are the local neurons from Q_TARGETS on.
    """
    size = DENSE_BLOCK
    words = view(q[L.Q_WORDS], size, np.uint32)
    k0, k1 = np.uint32(q[L.Q_KEY0]), np.uint32(q[L.Q_KEY1])
    first, last = q[L.Q_START], q[L.Q_START] + q[L.Q_N]
    for block in range(first // size, (last - 1) // size + 1):
        dense_words(words, block, q[L.Q_STEP], k0, k1)
        begin, end = max(first, block * size), min(last, block * size + size)
        part = words[begin - block * size : end - block * size]
        local = q[L.Q_TARGETS] + begin - first
        if pop[L.P_EVENT] == 0:
            add_counts(ring[start + local : start + local + part.size], part, cdf, weight)
            continue
        for i in range(part.size):
            count = 0
            while count < cdf.size and part[i] > cdf[count]:
                count += 1
            if count > 0:
                list_event(pop, ring, slot, bits, offset + local + i, weight * count)


@njit(**INNER)
def poisson_input(q, weight, pop, lo, hi, ring, slot, bits, step):
    """Add a Poisson input to its targets on this thread, ids lo <= i < hi of the population."""
    base = slot << bits
    cdf = view(q[L.Q_CDF], q[L.Q_N_CDF], np.uint32)
    event = pop[L.P_EVENT] == 1
    channel = q[L.Q_CHANNEL]
    offset = channel - pop[L.P_CHANNEL]
    q[L.Q_STEP] = step
    if q[L.Q_DENSE] == 1:
        dense_input(q, weight, pop, ring, base + channel, offset, slot, bits, cdf)
        q[L.Q_EVENTS] += q[L.Q_N]
        return
    accept = view(q[L.Q_ACCEPT], q[L.Q_N], np.float64)
    targets = view(q[L.Q_TARGETS], q[L.Q_N], np.int64)
    first_block, last_block = 0, (q[L.Q_N] - 1) // q[L.Q_BLOCK]
    if q[L.Q_TARGETS] == 0:
        start = q[L.Q_START]
        first_block = max(lo - start, 0) // q[L.Q_BLOCK]
        last_block = min(last_block, (hi - 1 - start) // q[L.Q_BLOCK])
    for block in range(first_block, last_block + 1):
        for number in range(sparse_count(q, cdf, block, step)):
            member = sparse_member(q, accept, block, step, number, 1.0)
            if member < 0:
                continue
            i = targets[member] if q[L.Q_TARGETS] != 0 else q[L.Q_START] + member
            if i < lo or i >= hi:
                continue
            q[L.Q_EVENTS] += 1
            index = base + channel + (i - lo)
            if event:
                list_event(pop, ring, slot, bits, offset + i - lo, weight)
            else:
                ring[index] += weight


@njit(**INNER)
def given_spikes(g, lo, hi, step, spikes):
    """Write the spikes of this step of a source with given times; return their number."""
    n = g[L.G_COUNT]
    steps = view(g[L.G_STEPS], n, np.int64)
    ids = view(g[L.G_IDS], n, np.int64)
    k = g[L.G_CURSOR]
    count = 0
    while k < n and steps[k] <= step:
        if steps[k] == step and lo <= ids[k] < hi:
            spikes[count] = np.int32(ids[k])
            count += 1
        k += 1
    g[L.G_CURSOR] = k
    return count


@njit(**INNER)
def normal_numbers(u, n, out):
    """Turn probabilities into normal numbers: the centre in a vector loop, then the tails."""
    for i in range(n):
        out[i] = ppf_centre(u[i] - 0.5)
    for i in range(n):
        if abs(u[i] - 0.5) > PPF_CENTRE:
            out[i] = ppf_tail(u[i])


@njit(**INNER)
def normal_rows(rows, scratch, first, n, step, k0, k1):
    """Fill rows (sources, padded n) with standard normal numbers of this step."""
    low, high = np.uint32(step & 0xFFFFFFFF), np.uint32(step >> 32)
    for source in range(rows.shape[0]):
        for i in range(n):
            words = philox4(np.uint32(first + i), low, high, np.uint32(source), k0, k1)
            scratch[i] = uniform(words[0])
        normal_numbers(scratch, n, rows[source])


@njit(**INNER)
def injection_changes(j, step):
    """Return whether an injected current takes a new value at the beginning of this step."""
    if j[L.J_KIND] == L.KIND_STEPS:
        steps = view(j[L.J_STEPS], j[L.J_COUNT], np.int64)
        changed = False
        while j[L.J_CURSOR] < j[L.J_COUNT] and steps[j[L.J_CURSOR]] < step:
            j[L.J_CURSOR] += 1
            changed = True
        return changed
    if j[L.J_KIND] == L.KIND_HELD:
        changed = j[L.J_CURSOR] > 0
        j[L.J_CURSOR] = 0
        return changed
    if step - 1 < j[L.J_FIRST] or step - 1 > j[L.J_LAST]:
        return False
    return step - 1 == j[L.J_LAST] or (step - 1 - j[L.J_FIRST]) % j[L.J_EVERY] == 0


@njit(**INNER)
def add_injection(j, mean, std, row, step):
    """Add the present value of an injected current to its targets' row."""
    n = j[L.J_N]
    targets = view(j[L.J_TARGETS], n, np.int64)
    if j[L.J_KIND] == L.KIND_STEPS:
        values = view(j[L.J_VALUES], j[L.J_COUNT], np.float64)
        value = values[j[L.J_CURSOR] - 1] if j[L.J_CURSOR] > 0 else 0.0
        for k in range(n):
            row[targets[k]] += value
        return
    if j[L.J_KIND] == L.KIND_HELD:
        values = view(j[L.J_VALUES], n, np.float64)
        for k in range(n):
            row[targets[k]] += values[k]
        return
    if step - 1 < j[L.J_FIRST] or step - 1 >= j[L.J_LAST]:
        return
    interval = (step - 1 - j[L.J_FIRST]) // j[L.J_EVERY]
    ids = view(j[L.J_IDS], n, np.int64)
    k0, k1 = np.uint32(j[L.J_KEY0]), np.uint32(j[L.J_KEY1])
    low, high = np.uint32(interval & 0xFFFFFFFF), np.uint32(interval >> 32)
    u, normal = view(j[L.J_SCRATCH], n, np.float64), view(j[L.J_SCRATCH] + 8 * n, n, np.float64)
    for k in range(n):
        u[k] = uniform(philox4(np.uint32(ids[k]), low, high, _U0, k0, k1)[0])
    normal_numbers(u, n, normal)
    for k in range(n):
        row[targets[k]] += mean + std * normal[k]
