"""Sums of weight rows at spikes, inlined into the kernels of recurrent layers."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def add_rows(x, bias, spikes, W, out):
    """Set ``out = x + bias + spikes @ W``, touching only rows of W whose spike is not zero.

    Parameters
    ----------
    x, out : (M,) arrays
    bias : (M,) array, or of size zero
    spikes : (N,) array
    W : (N, M) array
        Rows are contiguous: the loops over them are vector code. Four rows are added at a time,
        so that a value of `out` is loaded and stored once for four spikes.
    """
    active = np.empty(spikes.size + 1, np.int64)
    n = np.int64(0)
    for i in range(spikes.size):  # written always, counted if active: no branch to mispredict
        active[n] = i
        n += np.int64(spikes[i] != 0)
    if bias.size:
        for j in range(out.size):
            out[j] = x[j] + bias[j]
    else:
        for j in range(out.size):
            out[j] = x[j]
    p = 0
    while p + 4 <= n:
        i, k, m, q = active[p], active[p + 1], active[p + 2], active[p + 3]
        a, b, c, d = W[i], W[k], W[m], W[q]
        sa, sb, sc, sd = spikes[i], spikes[k], spikes[m], spikes[q]
        for j in range(out.size):
            out[j] += (sa * a[j] + sb * b[j]) + (sc * c[j] + sd * d[j])
        p += 4
    while p < n:
        a, sa = W[active[p]], spikes[active[p]]
        for j in range(out.size):
            out[j] += sa * a[j]
        p += 1
