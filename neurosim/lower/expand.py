"""The synapses of a projection in plain NumPy: what every engine must generate.

Every draw is a Philox call with a counter ``(row, draw, purpose, 0)`` and the key of the
projection. A *row* is a source, or a target for FixedIndegree; the other side is called *column*.
The four words of one call make one synapse: words 0 and 3 its column, word 1 its weight, word 2
its delay. So a row can be generated without the others, in any order and on any device.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.lower.connectivity import ConnectionSpec, Edges, short_delay_error
from neurosim.lower.rows import EDGE, Rows, plan_rows
from neurosim.network.distributions import Lowered, draw
from neurosim.network.explicit import Explicit

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def expand(spec: ConnectionSpec) -> Edges:
    """Return all synapses of a projection, in plain NumPy.

    Returns
    -------
    Edges
        Ordered by source, then in the order of generation: by draw, or by target and draw for
        FixedIndegree.

    Raises
    ------
    DelayError
        If a drawn delay rounds to less than one step.
    """
    rows = plan_rows(spec)
    order = np.empty(0, np.int64)
    if isinstance(spec.rule, Explicit):
        order = stable_order(spec.rule.pre)
        row, column = spec.rule.pre[order], spec.rule.post[order]
        number = np.arange(row.size) - np.searchsorted(row, row)
    else:
        row, number, column = _columns(rows, spec.key)
    _, word1, word2, _ = random.philox(row, number, EDGE, 0, *spec.key)
    pre_view, post_view = (column, row) if rows.by_target else (row, column)
    pre = pre_view if spec.pre_ids is None else spec.pre_ids[pre_view]
    post = post_view if spec.post_ids is None else spec.post_ids[post_view]
    weight = draw(spec.weight, word1) if isinstance(spec.weight, Lowered) else spec.weight[order]
    delay = draw(spec.delay, word2) if isinstance(spec.delay, Lowered) else spec.delay[order]
    steps = delay if spec.dt is None else np.rint(delay / spec.dt).astype(np.int64)
    short = np.flatnonzero(steps <= 0)
    if short.size:  # drawn ones: those given have been checked
        first = short[0]
        raise short_delay_error(
            spec, short.size, delay.size, delay.min(), int(pre[first]), int(post[first])
        )
    receptor = np.where(weight < 0, spec.receptors[1], spec.receptors[0]).astype(np.int64)
    stored = (np.abs(weight) if spec.absolute else weight) + 0.0  # never -0.0
    edges = Edges(pre, post, stored, steps, receptor)
    return edges.take(np.argsort(pre, kind="stable"))


def stable_order(rows: I64) -> I64:
    """Return the stable order of numbers below 2**32.

    By halves of 16 bits, for which NumPy has a radix sort: two to four times as fast as at once.
    """
    order = np.argsort((rows & 0xFFFF).astype(np.uint16), kind="stable")
    if rows.size and rows.max() > 0xFFFF:
        high = (rows >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order


def _columns(rows: Rows, key: tuple[int, int]) -> tuple[I64, I64, I64]:
    """Return row, number of the draw, and column of every synapse, ordered by row and draw."""
    if rows.mode == "skip":
        return _skip_columns(rows, key)
    if rows.mode == "unique":
        return _unique_columns(rows, key)
    row = np.repeat(np.arange(rows.n_rows), rows.degree)
    start = np.cumsum(rows.degree) - rows.degree
    number = np.arange(row.size) - np.repeat(start, rows.degree)
    if rows.mode == "one":
        return row, number, row
    if rows.mode == "all":
        return row, number, _around(number, rows.excluded[row])
    return row, number, _drawn(rows, row, number, key)


def _around(position: I64, excluded: I64) -> I64:
    """Turn a position among the allowed columns into a column; `excluded` is -1 for none."""
    return position + ((excluded >= 0) & (position >= excluded))


def _drawn(rows: Rows, row: I64, number: I64, key: tuple[int, int]) -> I64:
    """Return uniform draws of allowed columns."""
    word0, _, _, word3 = random.philox(row, number, EDGE, 0, *key)
    excluded = rows.excluded[row]
    column = np.empty(row.size, np.int64)
    for pool in (rows.n_columns, rows.n_columns - 1):
        chosen = (rows.n_columns - (excluded >= 0)) == pool
        column[chosen] = random.integer_below(pool, word0[chosen], word3[chosen])
    return _around(column, excluded)


def _skip_columns(rows: Rows, key: tuple[int, int]) -> tuple[I64, I64, I64]:
    """Walk all rows in geometric skips: the gaps between the successes of independent trials."""
    active = np.arange(rows.n_rows)
    position = np.full(rows.n_rows, -1, np.int64)
    parts: list[tuple[I64, I64, I64]] = []
    number = 0
    while active.size:
        word0, _, _, word3 = random.philox(active, number, EDGE, 0, *key)
        skip = np.floor(random.log(random.uniform53(word0, word3)) * rows.inverse_log)
        position[active] += 1 + np.minimum(skip, rows.n_columns).astype(np.int64)
        excluded = rows.excluded[active]
        inside = position[active] < rows.n_columns - (excluded >= 0)
        active, excluded = active[inside], excluded[inside]
        parts.append((active, np.full(active.size, number), _around(position[active], excluded)))
        number += 1
    row, draws, column = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(row, kind="stable")
    return row[order], draws[order], column[order]


def _unique_columns(rows: Rows, key: tuple[int, int]) -> tuple[I64, I64, I64]:
    """Draw in each row until it has `degree` different columns."""
    parts: list[tuple[I64, I64, I64]] = [(np.empty(0, np.int64),) * 3]
    for i in np.flatnonzero(rows.degree):
        degree = int(rows.degree[i])
        tries = degree
        while True:
            number = np.arange(tries)
            column = _drawn(rows, np.full(tries, i), number, key)
            _, first = np.unique(column, return_index=True)
            if first.size >= degree:
                break
            tries *= 2
        number = np.sort(first)[:degree]
        parts.append((np.full(degree, i), number, column[number]))
    row, draws, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return row, draws, columns
