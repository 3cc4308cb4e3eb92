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

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
#: Sums of integers may be reordered, which turns the counting loops into vector code; products of
#: floats may be contracted to fused multiply-adds, but are never reordered.
_COUNT = {**_OPTIONS, "fastmath": {"reassoc"}}
_SUM = {**_OPTIONS, "fastmath": {"contract"}}


@njit(**_COUNT)
def count(first, last, size, x, counts, others):
    """Count the events of each row, and how many of a block are not exactly 1.

    Writes ``counts[r]`` for the rows of its blocks of `size` rows, and ``others[k]``.
    """
    for k in range(first, last):
        n_other = 0
        for r in range(k * size, min((k + 1) * size, x.shape[0])):
            row = x[r]
            n = np.int32(0)
            ones = np.int32(0)
            for i in range(row.size):
                n += np.int32(row[i] != 0)
                ones += np.int32(row[i] == 1)
            counts[r] = n
            n_other += n - ones
        others[k] = n_other


@njit(**_OPTIONS)
def fill(first, last, size, x, ptr, index):
    """Write the active columns of the rows of blocks into `index`.

    The inner loop writes every column and advances after an active one: without a branch it takes
    the same 0.3 ns a value at any density, several times less than mispredicted branches do.
    """
    columns = np.empty(x.shape[1] + 1, np.int32)
    for r in range(first * size, min(last * size, x.shape[0])):
        start = ptr[r]
        n = ptr[r + 1] - start
        if n > 0:
            row = x[r]
            p = 0
            for i in range(row.size):
                columns[p] = i
                p += np.int64(row[i] != 0)
            for k in range(n):
                index[start + k] = columns[k]


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
