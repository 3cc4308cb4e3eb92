"""Connections with a delay per synapse: taps in time at events.

A synapse i -> j has `m` taps, weights of consecutive lags ``start[i, j] + k`` [steps]::

    out[t, b, j] = sum over i, k of taps[i, j, k] * x[t - start[i, j] - k, b, i]

Two taps are a fractional delay by linear interpolation, more a window around it; the number of
lags that a delay may take never enters the cost. A sample is worked on in a buffer with time
contiguous, ``[J, width]``: the taps of a synapse are then one short vector, and the sums over
time are shifted vector sums without gathers. `width` covers the last step, the largest start and
the taps, and is an odd number of cache lines (a power of two would map all rows to few sets).

Kernels work on blocks ``first <= k < last`` for `run_blocks`. A block owns what it writes (a part
of the targets of one sample, or a part of the targets for all samples) and sums it in an order
that is fixed, so no result depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.bridge.kernels.vector import LANES, add_rows, add_scaled_2, add_scaled_8

#: Products may be contracted to fused multiply-adds; nothing is reordered.
_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
#: Taps are two, or whole groups of this many.
GROUP = 8


def buffer_width(n_steps: int, largest_start: int, n_taps: int, itemsize: int) -> int:
    """Return the length of a row of a buffer: an odd number of cache lines."""
    line = 64 // itemsize
    lines = -(-(n_steps + largest_start + n_taps + LANES) // line)
    return line * (lines + 1 - lines % 2)


@njit(**_OPTIONS)
def _load(x, b, low, high, shift, buffer):
    """Copy ``x[:, b, low:high]`` to the rows of a zeroed buffer, from column `shift` on."""
    for t in range(x.shape[0]):
        for j in range(low, high):
            buffer[j - low, shift + t] = x[t, b, j]


@njit(**_OPTIONS)
def _store(buffer, b, low, high, out):
    """Copy the rows of a buffer to ``out[:, b, low:high]``."""
    for t in range(out.shape[0]):
        for j in range(low, high):
            out[t, b, j] = buffer[j - low, t]


@njit(inline="always")
def _walk(forward, b, low, high, width, ptr, index, values, start, shape, rows, taps):
    """Add the taps at the events of sample b to ``rows``, or (not `forward`) the other way round.

    `rows` is a buffer of the targets `low` to `high`, `taps` those of all synapses, both flat;
    `shape` is (T, B, J, taps a synapse). `forward` is a constant of the caller, which leaves one
    of the two.
    """
    n_steps, n_samples, n_targets, n_taps = shape
    one = rows.dtype.type(1)
    for t in range(n_steps):
        r = t * n_samples + b
        for p in range(ptr[r], ptr[r + 1]):
            i = index[p]
            value = values[p] if values.size else one
            for j in range(low, high):
                at = (j - low) * width + t + start[i, j]
                tap = (i * n_targets + j) * n_taps
                if n_taps == 2:
                    if forward:
                        add_scaled_2(rows, at, value, taps, tap)
                    else:
                        add_scaled_2(taps, tap, value, rows, at)
                else:
                    for k in range(0, n_taps, GROUP):
                        if forward:
                            add_scaled_8(rows, at + k, value, taps, tap + k)
                        else:
                            add_scaled_8(taps, tap + k, value, rows, at + k)


@njit(**_OPTIONS)
def deliver(first, last, parts, width, ptr, index, values, start, taps, out):
    """Forward product at events; block k is a part k % parts of the targets of sample k // parts.

    `ptr`, `index`, `values`: events of rows t * B + b. Writes ``out [T, B, J]``.
    """
    n_targets = out.shape[2]
    shape = (out.shape[0], out.shape[1], n_targets, taps.shape[2])
    buffer = np.empty((-(-n_targets // parts), width), out.dtype)
    currents, weights = buffer.reshape(-1), taps.reshape(-1)
    for block in range(first, last):
        b, part = block // parts, block % parts
        low, high = part * n_targets // parts, (part + 1) * n_targets // parts
        buffer[:] = 0
        _walk(True, b, low, high, width, ptr, index, values, start, shape, currents, weights)
        _store(buffer, b, low, high, out)


@njit(**_OPTIONS)
def correlate(first, last, parts, width, ptr, index, values, start, gradient, by_taps):
    """Gradient of the taps at events; block k is a part of the targets, for all samples.

    Adds ``value * gradient[t + start[i, j] + k, b, j]`` to ``by_taps[i, j, k]``.
    """
    _, n_samples, n_targets = gradient.shape
    shape = (gradient.shape[0], n_samples, n_targets, by_taps.shape[2])
    buffer = np.zeros((-(-n_targets // parts), width), gradient.dtype)
    upstream, sums = buffer.reshape(-1), by_taps.reshape(-1)
    for part in range(first, last):
        low, high = part * n_targets // parts, (part + 1) * n_targets // parts
        for b in range(n_samples):
            _load(gradient, b, low, high, 0, buffer)
            _walk(False, b, low, high, width, ptr, index, values, start, shape, upstream, sums)


@njit(**_OPTIONS)
def shifted(first, last, parts, width, lead, offset, taps, x, out):
    """Sum shifted rows; block k is a part k % parts of the outputs of sample k // parts.

    ``out[t, b, a] = sum over c, k of taps[a, c, k] * row_c[t + offset[a, c] + k]``, row_c being
    ``x[:, b, c]`` with `lead` zeros before it and zeros after it. Dense over time: the gradient
    of the input, and the forward product of activity that is not sparse. `offset` and `taps` have
    a multiple of four channels, those beyond the channels of x being zero.

    A row is loaded once for two taps: ``sums[k]`` collects all channels for tap k, and the taps
    are moved against each other once, at the end.
    """
    n_steps, _, n_outputs = out.shape
    n_channels, n_taps = offset.shape[1], taps.shape[2]
    length = (n_steps + n_taps + LANES - 2) // LANES * LANES
    buffer = np.zeros((n_channels, width), out.dtype)
    sums = np.empty((n_taps, length), out.dtype)
    result = np.empty((-(-n_outputs // parts), n_steps), out.dtype)
    rows, totals = buffer.reshape(-1), sums.reshape(-1)
    loaded = -1
    for block in range(first, last):
        b, part = block // parts, block % parts
        low, high = part * n_outputs // parts, (part + 1) * n_outputs // parts
        if b != loaded:
            _load(x, b, 0, x.shape[2], lead, buffer)
            loaded = b
        for a in range(low, high):
            sums[:] = 0
            for c in range(0, n_channels, 4):
                q0 = c * width + offset[a, c]
                q1 = (c + 1) * width + offset[a, c + 1]
                q2 = (c + 2) * width + offset[a, c + 2]
                q3 = (c + 3) * width + offset[a, c + 3]
                for k in range(0, n_taps, 2):
                    a0, b0 = taps[a, c, k], taps[a, c, k + 1]
                    a1, b1 = taps[a, c + 1, k], taps[a, c + 1, k + 1]
                    a2, b2 = taps[a, c + 2, k], taps[a, c + 2, k + 1]
                    a3, b3 = taps[a, c + 3, k], taps[a, c + 3, k + 1]
                    for t in range(0, length, LANES):
                        add_rows(
                            totals, k * length + t, (k + 1) * length + t,
                            rows, q0 + t, q1 + t, q2 + t, q3 + t, a0, b0, a1, b1, a2, b2, a3, b3,
                        )  # fmt: skip
            row = result[a - low]
            row[:] = 0
            for k in range(n_taps):
                part_k = sums[k]
                for t in range(n_steps):
                    row[t] += part_k[t + k]
        _store(result, b, low, high, out)


@njit(**_OPTIONS)
def filter_axons(first, last, ptr, rows, values, start, gains, out):
    """Delay whole columns: ``out[t + start[i] + k, b, i] += gains[i, k] * x[t, b, i]``.

    A block is a column; `ptr`, `rows`, `values` are its events (`SpikeEvents.by_column`).
    """
    n_steps, n_samples, _ = out.shape
    one = out.dtype.type(1)
    for i in range(first, last):
        for p in range(ptr[i], ptr[i + 1]):
            value = values[p] if values.size else one
            t, b = rows[p] // n_samples, rows[p] % n_samples
            for k in range(min(gains.shape[1], n_steps - t - start[i])):
                out[t + start[i] + k, b, i] += gains[i, k] * value


@njit(**_OPTIONS)
def correlate_axons(first, last, ptr, rows, values, start, gradient, by_gains):
    """Gradient of the gains of `filter_axons`; a block is a column."""
    n_steps, n_samples, _ = gradient.shape
    one = gradient.dtype.type(1)
    for i in range(first, last):
        for p in range(ptr[i], ptr[i + 1]):
            value = values[p] if values.size else one
            t, b = rows[p] // n_samples, rows[p] % n_samples
            for k in range(min(by_gains.shape[1], n_steps - t - start[i])):
                by_gains[i, k] += value * gradient[t + start[i] + k, b, i]


@njit(**_OPTIONS)
def advance_axons(first, last, start, gains, gradient, out):
    """Gradient of the input of `filter_axons`; a block is a time step."""
    n_steps, n_samples, n = gradient.shape
    for t in range(first, last):
        for b in range(n_samples):
            for i in range(n):
                total = out.dtype.type(0)
                for k in range(min(gains.shape[1], n_steps - t - start[i])):
                    total += gains[i, k] * gradient[t + start[i] + k, b, i]
                out[t, b, i] = total
