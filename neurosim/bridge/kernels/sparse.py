"""Event lists and products with them.

Dense activity is ``x [R, N]`` with row r = t * B + b. Its events are rows of a CSR matrix:
``index[ptr[r]:ptr[r + 1]]`` are the active columns, ascending; `values` their amplitudes, of size
zero where all of them are 1.

Every kernel works on blocks ``first <= k < last`` for `run_blocks`. A block owns its rows of the
output and sums them in the order of the event list, so no result depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.bridge.kernels.vector import (
    WORD,
    count_bits,
    nonzero_64,
    other_than_one_64,
)
from neurosim.engines.cpu.kernels.intrinsics import prefetch

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
#: Products may be contracted to fused multiply-adds, but are never reordered.
_SUM = {**_OPTIONS, "fastmath": {"contract"}}
#: Values between what is read and what is asked for.
_AHEAD = 2048


@njit(**_OPTIONS)
def scan(first, last, size, x, words, counts, others):
    """Mark the values of each row that are not zero, and count them.

    Blocks have `size` rows of ``x [R, N]``. Writes, for every row, ``counts[r]`` and a bit for
    every value in ``words [R, ceil(N / 64)]``; for every block ``others[k]``: not 0 if some value
    is neither 0 nor 1. The one pass over the values is vector code, 0.05 ns a value in the cache;
    what is in memory is asked for some thousand values before (0.17 instead of 0.45 ns).
    """
    flat, n = x.reshape(-1), x.shape[1]
    whole = n // WORD
    for k in range(first, last):
        other = np.uint64(0)
        for r in range(k * size, min((k + 1) * size, x.shape[0])):
            total = 0
            for w in range(whole):
                for line in range(0, WORD, 16):
                    prefetch(flat, r * n + w * WORD + line + _AHEAD)
                word = nonzero_64(flat, r * n + w * WORD)
                other |= word & other_than_one_64(flat, r * n + w * WORD)
                words[r, w] = word
                total += count_bits(word)
            if whole * WORD < n:
                word = np.uint64(0)
                for i in range(whole * WORD, n):
                    value = flat[r * n + i]
                    word |= np.uint64(value != 0) << np.uint64(i - whole * WORD)
                    other |= np.uint64(value != 0 and value != 1)
                words[r, whole] = word
                total += count_bits(word)
            counts[r] = total
        others[k] = other


@njit(**_OPTIONS)
def fill_values(first, last, size, x, ptr, index, values):
    """Write the amplitudes of the events of blocks into `values`."""
    for r in range(first * size, min(last * size, x.shape[0])):
        for p in range(ptr[r], ptr[r + 1]):
            values[p] = x[r, index[p]]


@njit(**_OPTIONS)
def to_dense(first, last, size, ptr, index, values, out):
    """Add the events of blocks to zeroed rows."""
    for r in range(first * size, min(last * size, out.shape[0])):
        for p in range(ptr[r], ptr[r + 1]):
            out[r, index[p]] += values[p] if values.size else out.dtype.type(1)


@njit(**_OPTIONS)
def by_column(ptr, index, values, column_ptr, rows, column_values):
    """Sort events by column: a counting sort that keeps rows ascending within a column."""
    column_ptr[:] = 0
    for p in range(index.size):
        column_ptr[index[p] + 1] += 1
    for i in range(column_ptr.size - 1):
        column_ptr[i + 1] += column_ptr[i]
    free = column_ptr[:-1].copy()
    for r in range(ptr.size - 1):
        for p in range(ptr[r], ptr[r + 1]):
            q = free[index[p]]
            free[index[p]] += 1
            rows[q] = r
            if values.size:
                column_values[q] = values[p]


@njit(**_SUM)
def gather(first, last, stride, ptr, index, values, table, bias, out):
    """Sum rows of a table at events: ``out[r] = bias + sum_p values[p] * table[index[p]]``.

    Block k owns the rows k, k + stride, ...: activity that changes slowly along the rows is then
    spread evenly over threads. Four table rows are added at a time, so that a value of `out` is
    loaded and stored once for four events; rows of the table are contiguous and the loops over
    them vector code. `bias` and `values` may have size zero.

    With the table of transposed weights [in, out] this is the forward product; with events sorted
    by column (`by_column`) and the gradient [R, out] as the table it is the weight gradient.
    """
    one = table.dtype.type(1)
    graded = values.size > 0
    for k in range(first, last):
        for r in range(k, out.shape[0], stride):
            o = out[r]
            if bias.size:
                for j in range(o.size):
                    o[j] = bias[j]
            else:
                for j in range(o.size):
                    o[j] = 0
            p = ptr[r]
            end = ptr[r + 1]
            while p + 4 <= end:
                a, b = table[index[p]], table[index[p + 1]]
                c, d = table[index[p + 2]], table[index[p + 3]]
                va = values[p] if graded else one
                vb = values[p + 1] if graded else one
                vc = values[p + 2] if graded else one
                vd = values[p + 3] if graded else one
                for j in range(o.size):
                    o[j] += (va * a[j] + vb * b[j]) + (vc * c[j] + vd * d[j])
                p += 4
            while p < end:
                a = table[index[p]]
                va = values[p] if graded else one
                for j in range(o.size):
                    o[j] += va * a[j]
                p += 1
