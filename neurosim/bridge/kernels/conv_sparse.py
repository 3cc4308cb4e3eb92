"""Convolutions at events.

An event in channel c at (y, x) adds the kernel of its channel to the outputs around it::

    out[r, :, oy, ox] += value * weight[:, c, ky, kx]
    where oy * stride = y + padding - ky * dilation, and likewise ox

A row (a step of a sample) is worked on in a buffer with channels contiguous, ``[OH * OW, O]`` with
O rounded up to whole groups of eight: adding a kernel tap is then a vector operation. `shape` is
(C, H, W), `geometry` the six numbers stride, padding, dilation (y, x each).

Blocks as for `run_blocks`: the forward kernel owns the rows of its blocks, the backward kernel one
of a fixed number of partial sums, so no result depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.bridge.kernels.vector import add_scaled_8

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
#: Output channels are rounded up to a multiple of this.
GROUP = 8


@njit(inline="always")
def _target(position, k, stride, padding, dilation, size):
    """Return the output coordinate that a kernel tap reaches from an input one, or -1."""
    n = position + padding - k * dilation
    if n < 0 or n % stride != 0 or n // stride >= size:
        return -1
    return n // stride


@njit(**_OPTIONS)
def convolve(first, last, size, ptr, index, values, shape, geometry, weight, bias, out):
    """Forward product; block k owns `size` rows. Weight [C, KH, KW, O rounded up]."""
    _, n_out, n_y, n_x = out.shape
    _, k_y, k_x, width = weight.shape
    height, breadth = shape[1], shape[2]
    taps = weight.reshape(-1)
    buffer = np.empty(n_y * n_x * width, out.dtype)
    one = out.dtype.type(1)
    for r in range(first * size, min(last * size, out.shape[0])):
        buffer[:] = 0
        for p in range(ptr[r], ptr[r + 1]):
            c = index[p] // (height * breadth)
            y = index[p] // breadth % height
            x = index[p] % breadth
            value = values[p] if values.size else one
            for ky in range(k_y):
                oy = _target(y, ky, geometry[0], geometry[2], geometry[4], n_y)
                if oy < 0:
                    continue
                for kx in range(k_x):
                    ox = _target(x, kx, geometry[1], geometry[3], geometry[5], n_x)
                    if ox < 0:
                        continue
                    to = (oy * n_x + ox) * width
                    tap = ((c * k_y + ky) * k_x + kx) * width
                    for o in range(0, width, GROUP):
                        add_scaled_8(buffer, to + o, value, taps, tap + o)
        for o in range(n_out):
            plane = out[r, o].reshape(-1)
            for q in range(n_y * n_x):
                plane[q] = buffer[q * width + o] + bias[o]


@njit(**_OPTIONS)
def correlate(first, last, size, ptr, index, values, shape, geometry, gradient, partial):
    """Gradient of the weight: block k adds that of its `size` rows to the zeroed ``partial[k]``."""
    _, n_out, n_y, n_x = gradient.shape
    _, _, k_y, k_x, width = partial.shape
    height, breadth = shape[1], shape[2]
    buffer = np.zeros(n_y * n_x * width, gradient.dtype)
    one = gradient.dtype.type(1)
    for block in range(first, last):
        sums = partial[block].reshape(-1)
        for r in range(block * size, min((block + 1) * size, gradient.shape[0])):
            if ptr[r] == ptr[r + 1]:
                continue
            planes = gradient[r].reshape(-1)
            for q in range(n_y * n_x):
                for o in range(n_out):
                    buffer[q * width + o] = planes[o * n_y * n_x + q]
            for p in range(ptr[r], ptr[r + 1]):
                c = index[p] // (height * breadth)
                y = index[p] // breadth % height
                x = index[p] % breadth
                value = values[p] if values.size else one
                for ky in range(k_y):
                    oy = _target(y, ky, geometry[0], geometry[2], geometry[4], n_y)
                    if oy < 0:
                        continue
                    for kx in range(k_x):
                        ox = _target(x, kx, geometry[1], geometry[3], geometry[5], n_x)
                        if ox < 0:
                            continue
                        tap = ((c * k_y + ky) * k_x + kx) * width
                        of = (oy * n_x + ox) * width
                        for o in range(0, width, GROUP):
                            add_scaled_8(sums, tap + o, value, buffer, of + o)
