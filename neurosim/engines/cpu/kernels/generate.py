"""Generation of synapses: every rule fills a batch of (row, column), `emit` puts it in place.

What rows, columns and counters are is said in `neurosim.lower.expand`; the results equal
those of `expand` there, bit for bit.

A pass over the rows either counts or fills. While counting, ``pointers[t, s]`` gathers the number
of synapses of segment s - 1 of thread t; the caller then turns these numbers into positions, and
filling moves each on, to the start of the next segment. Race-free, because a task has either rows
of its own (sources, hence segments) or targets of its own (a thread, hence a line of `pointers`).

Three functions generate rows: `known_rows`, `skip_rows`, `unique_rows`; the caller chooses by the
rule's mode, so that only what is needed is compiled. Their arguments:

rows : int64 array, not empty
    Rows of this task, ascending.
choice, values, place : Choice, Values, Place
counting : bool
    Whether to count (first pass) or to fill (second pass).
statistics : (N_STATISTICS,) int64
    Updated: number of delays below one step, row, number and column of the first, longest delay
    in steps.
smallest : (1,) float64
    Updated: smallest delay below one step [ms].
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels.cached import cached
from neurosim.engines.cpu.kernels.intrinsics import ALLOCATES
from neurosim.engines.cpu.kernels.layout import SMALLEST32, SMALLEST64
from neurosim.engines.cpu.kernels.rng import (
    draw_buffer,
    integer_below,
    log64,
    philox4,
    philox_buffer,
    uniform53,
)
from neurosim.lower.rows import EDGE, SOURCE

_OPTIONS = {"error_model": "numpy", "nogil": True}
DRAW, ALL, ONE, SKIP, UNIQUE = range(5)
GIVEN = -1  # kind of weights and delays that are not drawn (see `listed`)
BATCH = 512  # synapses at a time: all buffers stay in the first-level cache
_EDGE, _SOURCE, _ZERO = np.uint32(EDGE), np.uint32(SOURCE), np.uint32(0)
_ZERO32 = np.float32(0.0)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_LONGEST = 2.0**40  # steps; limited before the conversion to int64, refused by the caller

# statistics of a task: int64
N_SHORT, SHORT_ROW, SHORT_NUMBER, SHORT_COLUMN, LONGEST, N_STATISTICS = range(6)


class Choice(NamedTuple):
    """How the rows of one projection choose their columns (see `neurosim.lower.rows.Rows`).

    ``p`` is the probability of SKIP.
    """

    mode: int
    n_columns: int
    degree: Any  # int64 (n_rows,)
    excluded: Any  # int64 (n_rows,)
    p: float
    inverse_log: float


class Values(NamedTuple):
    """What is drawn for each synapse of one projection."""

    key0: Any  # uint32
    key1: Any  # uint32
    weight_kind: int
    weight: Any  # float64 (4,) parameters
    delay_kind: int
    delay: Any  # float64 (4,), ms
    dt: float


class Place(NamedTuple):
    """Where the synapses of one projection go.

    ``owner`` and ``channel`` (n_post,) give the thread of each target and its channel for weights
    >= 0, to which ``negative`` (n_threads,) is added for weights < 0; ``segment`` (n_pre,) is the
    column of each source in ``pointers`` (n_threads, n_segments + 1); thread t writes to
    ``packed[base[t] + position]`` and likewise to ``weight32`` and ``weight64`` unless these are
    empty (both are here, so that the kernels are compiled once and not for each precision).
    """

    by_target: bool
    absolute: bool
    owner: Any  # int32
    channel: Any  # int64
    negative: Any  # int64
    segment: Any  # int64
    pointers: Any  # int64
    base: Any  # int64
    packed: Any  # uint32
    weight32: Any  # float32
    weight64: Any  # float64
    bits: int


class Batch(NamedTuple):
    """Buffers of one task."""

    row: Any  # uint32
    number: Any  # uint32
    column: Any  # int64
    w0: Any
    w1: Any
    w2: Any
    w3: Any
    weight: Any  # float64
    delay: Any  # float64
    steps: Any  # int64


@njit(**ALLOCATES)
def new_batch():
    """Return empty buffers."""
    n = BATCH
    return Batch(
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.int64),
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.uint32),
        np.empty(n, np.float64),
        np.empty(n, np.float64),
        np.empty(n, np.int64),
    )


@njit(**ALLOCATES)
def _emit(n, batch, values, place, counting, statistics, smallest):
    """Count or place the first n synapses of the batch."""
    if counting:
        for i in range(n):
            row, column = np.int64(batch.row[i]), batch.column[i]
            pre = column if place.by_target else row
            post = row if place.by_target else column
            place.pointers[place.owner[post], place.segment[pre]] += 1
    else:
        fill(n, batch, values, place, statistics, smallest)


@njit(**ALLOCATES)
def fill(n, batch, values, place, statistics, smallest):
    """Place the first n synapses of the batch, which holds values that are GIVEN."""
    if values.weight_kind != GIVEN:
        draw_buffer(values.weight_kind, values.weight, batch.w1, n, batch.weight)
    if values.delay_kind != GIVEN:
        draw_buffer(values.delay_kind, values.delay, batch.w2, n, batch.delay)
    _round_delays(n, batch, values.dt, statistics, smallest)
    _scatter(n, batch, place)


@njit(**ALLOCATES)
def _round_delays(n, batch, dt, statistics, smallest):
    """Round delays to steps; note the longest, and those below one step."""
    shortest, longest = np.int64(1), np.int64(0)
    for i in range(n):
        steps = np.int64(min(np.rint(batch.delay[i] / dt), _LONGEST))
        batch.steps[i] = steps
        shortest = min(shortest, steps)
        longest = max(longest, steps)
    statistics[LONGEST] = max(statistics[LONGEST], longest)
    if shortest >= 1:
        return
    for i in range(n):
        if batch.steps[i] < 1:
            row, number = np.int64(batch.row[i]), np.int64(batch.number[i])
            first = row < statistics[SHORT_ROW] or (
                row == statistics[SHORT_ROW] and number < statistics[SHORT_NUMBER]
            )
            if statistics[N_SHORT] == 0 or first:
                statistics[SHORT_ROW], statistics[SHORT_NUMBER] = row, number
                statistics[SHORT_COLUMN] = batch.column[i]
            statistics[N_SHORT] += 1
            smallest[0] = min(smallest[0], batch.delay[i])
            batch.steps[i] = 1


@njit(**ALLOCATES)
def _scatter(n, batch, place):
    for i in range(n):
        row, column = np.int64(batch.row[i]), batch.column[i]
        pre = column if place.by_target else row
        post = row if place.by_target else column
        owner = place.owner[post]
        segment = place.segment[pre]
        at = place.pointers[owner, segment]
        place.pointers[owner, segment] = at + 1
        at += place.base[owner]
        weight = batch.weight[i]
        channel = place.channel[post] + (place.negative[owner] if weight < 0.0 else 0)
        place.packed[at] = np.uint32((batch.steps[i] << place.bits) | channel)
        stored = abs(weight) if place.absolute else weight
        if place.weight32.size > 0:
            # the engine needs +0.0, never -0.0
            place.weight32[at] = np.float32(stored) if abs(stored) >= SMALLEST32 else _ZERO32
        if place.weight64.size > 0:
            place.weight64[at] = stored if abs(stored) >= SMALLEST64 else 0.0


@njit(**ALLOCATES)
def _draw_columns(n, choice, batch):
    """Turn words 0 and 3 into allowed columns."""
    for i in range(n):
        excluded = choice.excluded[batch.row[i]]
        pool = np.uint64(choice.n_columns - (excluded >= 0))
        column = integer_below(pool, batch.w0[i], batch.w3[i])
        batch.column[i] = column + ((excluded >= 0) & (column >= excluded))


@njit(**ALLOCATES)
def _columns(n, choice, batch):
    """Fill the columns of a batch of DRAW, ALL or ONE."""
    if choice.mode == DRAW:
        _draw_columns(n, choice, batch)
    elif choice.mode == ALL:
        for i in range(n):
            excluded = choice.excluded[batch.row[i]]
            column = np.int64(batch.number[i])
            batch.column[i] = column + ((excluded >= 0) & (column >= excluded))
    else:
        for i in range(n):
            batch.column[i] = batch.row[i]


@cached(**_OPTIONS)
def known_rows(rows, choice, values, place, counting, statistics, smallest):
    """Fill rows whose degree is known; a batch goes on over the ends of rows."""
    batch = new_batch()
    n = 0
    for row in rows:
        number = 0
        while number < choice.degree[row]:
            more = min(choice.degree[row] - number, BATCH - n)
            for i in range(more):
                batch.row[n + i] = row
                batch.number[n + i] = number + i
            n += more
            number += more
            if n == BATCH:
                _flush(n, batch, choice, values, place, counting, statistics, smallest)
                n = 0
    _flush(n, batch, choice, values, place, counting, statistics, smallest)


@njit(**ALLOCATES)
def _flush(n, batch, choice, values, place, counting, statistics, smallest):
    if n == 0:
        return
    make_words(n, batch, values)
    _columns(n, choice, batch)
    _emit(n, batch, values, place, counting, statistics, smallest)


@njit(**ALLOCATES)
def make_words(n, batch, values):
    """Draw the four words of the first n synapses of the batch."""
    philox_buffer(
        batch.row, batch.number, n, _EDGE, values.key0, values.key1,
        batch.w0, batch.w1, batch.w2, batch.w3,
    )  # fmt: skip


@njit(**ALLOCATES)
def _number(n, row, number, batch):
    for i in range(n):
        batch.row[i] = row
        batch.number[i] = number + i


@cached(**_OPTIONS)
def skip_rows(rows, choice, values, place, counting, statistics, smallest):
    """Fill rows by geometric skips."""
    batch = new_batch()
    for row in rows:
        excluded = choice.excluded[row]
        pool = choice.n_columns - (excluded >= 0)
        position, number = -1, 0
        while position < pool:
            m = min(BATCH, np.int64(1.1 * choice.p * (pool - position)) + 8)
            _number(m, row, number, batch)
            number += m
            make_words(m, batch, values)
            for i in range(m):
                gap = np.floor(log64(uniform53(batch.w0[i], batch.w3[i])) * choice.inverse_log)
                batch.column[i] = 1 + np.int64(min(gap, np.float64(choice.n_columns)))
            n = 0
            while n < m:
                position += batch.column[n]
                if position >= pool:
                    break
                batch.column[n] = position + ((excluded >= 0) & (position >= excluded))
                n += 1
            if n > 0:
                _emit(n, batch, values, place, counting, statistics, smallest)


@cached(**_OPTIONS)
def unique_rows(rows, choice, values, place, counting, statistics, smallest):
    """Fill rows with different columns: draws that repeat an earlier one are left out."""
    batch = new_batch()
    seen_by = np.full(choice.n_columns, -1, np.int64)
    for row in rows:
        missing, number = choice.degree[row], 0
        while missing > 0:
            m = min(BATCH, missing + 4)
            _number(m, row, number, batch)
            number += m
            make_words(m, batch, values)
            _draw_columns(m, choice, batch)
            n = 0
            for i in range(m):
                column = batch.column[i]
                if n < missing and seen_by[column] != row:
                    seen_by[column] = row
                    batch.column[n] = column
                    batch.w1[n], batch.w2[n] = batch.w1[i], batch.w2[i]
                    n += 1
            missing -= n
            if n > 0:
                _emit(n, batch, values, place, counting, statistics, smallest)


@njit(**ALLOCATES)
def _source_and_trial(i, n_pre, n_post, key0, key1):
    index = np.uint64(i)
    w0, w1, w2, w3 = philox4(
        np.uint32(index & _LOW), np.uint32(index >> _HALF), _SOURCE, _ZERO, key0, key1
    )
    return integer_below(np.uint64(n_pre), w0, w3), integer_below(np.uint64(n_post), w1, w2)


@cached(**_OPTIONS)
def count_sources_between(start, stop, n_post, excluded, key0, key1, counts):
    """Do draws start ... stop - 1 of `neurosim.lower.rows.count_sources` with multapses.

    Return how many count.
    """
    kept = 0
    for i in range(start, stop):
        source, trial = _source_and_trial(i, counts.size, n_post, key0, key1)
        counted = trial != excluded[source]
        counts[source] += counted
        kept += counted
    return kept


@cached(**_OPTIONS)
def count_different(n, n_post, excluded, key0, key1, counts):
    """Do `neurosim.lower.rows.count_sources` without multapses."""
    i = 0
    while n > 0:
        source, trial = _source_and_trial(i, counts.size, n_post, key0, key1)
        counted = trial < n_post - (excluded[source] >= 0) - counts[source]
        counts[source] += counted
        n -= counted
        i += 1
