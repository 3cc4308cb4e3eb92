"""Convolutions at events.

An event in channel c at (y, x) adds the kernel of its channel to the outputs around it::

    out[r, :, oy, ox] += value * weight[:, c, ky, kx]
    where oy * stride = y + padding - ky * dilation, and likewise ox

A row (a step of a sample) is worked on in a buffer with channels contiguous, ``[OH * OW, width]``,
width being the O channels rounded up to whole vectors: a kernel tap is then one or two vector
operations. The gradient of the weight walks over the same taps and adds in the other direction.
Buffers are transposed to and from the planes of PyTorch in blocks of 8 x 8.

`shape` is (C, H, W); `reach_y [H, KH]` and `reach_x [W, KW]` are the output coordinates that a tap
reaches, or -1 (`reach`).

Blocks as for `run_blocks`: the forward kernel owns the rows of its blocks, the backward kernel one
of a fixed number of partial sums, so no result depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.bridge.kernels.vector import BLOCK, LANES, add_scaled_8, add_scaled_16, transpose_8

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def width(n_out: int) -> int:
    """Return the channels of a buffer: one short vector, or whole long ones."""
    return BLOCK if n_out <= BLOCK else -(-n_out // LANES) * LANES


def reach(size: int, n_taps: int, stride: int, padding: int, dilation: int, n: int) -> np.ndarray:
    """Return for inputs and taps of one dimension the output coordinate below n reached, or -1."""
    position = np.arange(size)[:, None] + padding - np.arange(n_taps) * dilation
    inside = (position >= 0) & (position % stride == 0) & (position // stride < n)
    return np.where(inside, position // stride, -1)


@njit(inline="always")
def _walk(forward, r, ptr, index, values, shape, reach_y, reach_x, n_x, width, rows, taps):
    """Add the taps at the events of a row to ``rows``, or (not `forward`) the other way round.

    `forward` is a constant of the caller, which leaves one of the two.
    """
    height, breadth = shape[1], shape[2]
    k_y, k_x = reach_y.shape[1], reach_x.shape[1]
    one = rows.dtype.type(1)
    for p in range(ptr[r], ptr[r + 1]):
        c = index[p] // (height * breadth)
        y = index[p] // breadth % height
        x = index[p] % breadth
        value = values[p] if values.size else one
        for ky in range(k_y):
            oy = reach_y[y, ky]
            if oy < 0:
                continue
            for kx in range(k_x):
                ox = reach_x[x, kx]
                if ox < 0:
                    continue
                at = (oy * n_x + ox) * width
                tap = ((c * k_y + ky) * k_x + kx) * width
                if width == BLOCK:
                    if forward:
                        add_scaled_8(rows, at, value, taps, tap)
                    else:
                        add_scaled_8(taps, tap, value, rows, at)
                else:
                    for o in range(0, width, LANES):
                        if forward:
                            add_scaled_16(rows, at + o, value, taps, tap + o)
                        else:
                            add_scaled_16(taps, tap + o, value, rows, at + o)


@njit(**_OPTIONS)
def _transpose(n, m, of, q, of_stride, to, p, to_stride):
    """``to[p + j * to_stride + i] = of[q + i * of_stride + j]`` for i < n, j < m.

    The last blocks overlap those before them, unless there is less than one.
    """
    if n < BLOCK or m < BLOCK:
        for j in range(m):
            for i in range(n):
                to[p + j * to_stride + i] = of[q + i * of_stride + j]
        return
    for k in range(0, n, BLOCK):
        i = min(k, n - BLOCK)
        for h in range(0, m, BLOCK):
            j = min(h, m - BLOCK)
            transpose_8(of, q + i * of_stride + j, of_stride, to, p + j * to_stride + i, to_stride)


@njit(**_OPTIONS)
def convolve(first, last, size, ptr, index, values, shape, reach_y, reach_x, weight, bias, out):
    """Forward product; block k owns `size` rows. Weight [C, KH, KW, width], bias [width]."""
    _, n_out, n_y, n_x = out.shape
    width = bias.size
    planes, taps = out.reshape(-1), weight.reshape(-1)
    buffer = np.empty(n_y * n_x * width, out.dtype)
    for r in range(first * size, min(last * size, out.shape[0])):
        for q in range(n_y * n_x):
            for o in range(width):
                buffer[q * width + o] = bias[o]
        _walk(
            True, r, ptr, index, values, shape, reach_y, reach_x, n_x, width, buffer, taps
        )  # fmt: skip
        at = r * n_out * n_y * n_x
        _transpose(n_y * n_x, n_out, buffer, 0, width, planes, at, n_y * n_x)


@njit(**_OPTIONS)
def correlate(
    first, last, size, ptr, index, values, shape, reach_y, reach_x, gradient, partial
):  # fmt: skip
    """Gradient of the weight: block k adds that of its `size` rows to the zeroed ``partial[k]``."""
    _, n_out, n_y, n_x = gradient.shape
    width = partial.shape[4]
    planes = gradient.reshape(-1)
    buffer = np.zeros(n_y * n_x * width, gradient.dtype)
    for block in range(first, last):
        sums = partial[block].reshape(-1)
        for r in range(block * size, min((block + 1) * size, gradient.shape[0])):
            if ptr[r] == ptr[r + 1]:
                continue
            at = r * n_out * n_y * n_x
            _transpose(n_out, n_y * n_x, planes, at, n_y * n_x, buffer, 0, width)
            _walk(
                False, r, ptr, index, values, shape, reach_y, reach_x, n_x, width, buffer, sums
            )  # fmt: skip
