"""Recurrent connections with delays: spikes write future currents, adjoints are gathered back.

A spike of neuron i in step t reaches neuron j in the steps ``t + 1 + start[i, j] + k`` with the
taps k of the synapse (see `delay`); the step of the recurrence comes on top of the delay. The
loop over time calls, in each step, the kernel of the neurons and one of these two:

``deliver_step``
    forward: adds the taps of all spikes of a step to ``future [B, N, width]``, the currents to
    come, whose column t + 1 is the feedback of the next step. Cost: spikes x N x taps.
``collect_step``
    backward: sums for every neuron what its spike in step t would have caused, from the adjoints
    of all later currents, ``adjoints [T, N, lanes]``. Samples are contiguous (their number rounded
    up to whole vectors), so a synapse is a scaled vector sum and nothing is gathered singly. Cost:
    N x N x taps x B, whatever the largest delay.

Blocks as for `run_blocks`: of the first kernel samples, of the second `LANES` samples each.
"""

from __future__ import annotations

from numba import njit

from neurosim.bridge.kernels.delay import GROUP
from neurosim.bridge.kernels.vector import LANES, add_scaled_2, add_scaled_8, add_scaled_16

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


@njit(**_OPTIONS)
def deliver_step(first, last, t, spikes, start, taps, future):
    """Add what the spikes [B, N] of step t cause to ``future``; a block is a sample."""
    n, n_taps, width = start.shape[0], taps.shape[2], future.shape[2]
    currents, weights = future.reshape(-1), taps.reshape(-1)
    for b in range(first, last):
        for i in range(n):
            value = spikes[b, i]
            if value == 0:
                continue
            for j in range(n):
                position = (b * n + j) * width + t + 1 + start[i, j]
                synapse = (i * n + j) * n_taps
                if n_taps == 2:
                    add_scaled_2(currents, position, value, weights, synapse)
                else:
                    for k in range(0, n_taps, GROUP):
                        add_scaled_8(currents, position + k, value, weights, synapse + k)


@njit(**_OPTIONS)
def collect_step(first, last, t, start, taps, adjoints, out):
    """Write the adjoint of the spikes of step t to ``out [N, lanes]``; a block is `LANES` lanes."""
    n_steps, n, lanes = adjoints.shape
    n_taps = taps.shape[2]
    rows, sums = adjoints.reshape(-1), out.reshape(-1)
    for i in range(n):
        out[i, first * LANES : last * LANES] = 0
        for j in range(n):
            for k in range(min(n_taps, n_steps - t - 1 - start[i, j])):
                value = taps[i, j, k]
                if value != 0:
                    row = ((t + 1 + start[i, j] + k) * n + j) * lanes
                    for lane in range(first * LANES, last * LANES, LANES):
                        add_scaled_16(sums, i * lanes + lane, value, rows, row + lane)
