"""How the rows of a projection are filled: connection rules reduced to six ways of choosing.

See `neurosim.lower.connectivity` for what rows, columns and counters are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.errors import NetworkError
from neurosim.network.rules import (
    AllToAll,
    Explicit,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
    OneToOne,
)

if TYPE_CHECKING:
    from neurosim.lower.connectivity import ConnectionSpec

I64 = NDArray[np.int64]
Mode = Literal["draw", "unique", "skip", "all", "one", "list"]
SOURCE, PAIR = 1, 2  # third counter word: sources of FixedTotalNumber; its different pairs
_BLOCK = 1 << 20  # draws at a time, to bound memory


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a projection and how each gets its columns.

    Attributes
    ----------
    by_target : bool
        Whether rows are targets (columns sources) or the other way round.
    n_rows, n_columns : int
        Sizes of the two views.
    mode : str
        ``"draw"``: uniform draws; ``"unique"``: uniform draws, repeated ones left out;
        ``"skip"``: each column with one probability, by geometric skips; ``"all"``: every column;
        ``"one"``: the column with the row's number; ``"list"``: as listed.
    degree : (n_rows,) int64
        Synapses in each row; empty for ``"skip"``, where the draws decide.
    excluded : (n_rows,) int64
        The column that is the row's own neuron and not allowed; -1 for none.
    inverse_log : float
        ``1 / log(1 - p)`` for ``"skip"``.
    columns : (n_synapses,) int64
        The columns for ``"list"``, by row.
    order : (n_synapses,) int64
        For Explicit, the position of each of these in the user's arrays.
    """

    by_target: bool
    n_rows: int
    n_columns: int
    mode: Mode
    degree: I64
    excluded: I64
    inverse_log: float
    columns: I64
    order: I64


CountSources = Callable[["ConnectionSpec", I64], I64]


def plan_rows(spec: ConnectionSpec, counter: CountSources | None = None) -> Rows:
    """Return how the rows of a projection are filled.

    Parameters
    ----------
    spec : ConnectionSpec
        The projection.
    counter : callable, optional
        A faster function with the result of `count_sources`.

    Raises
    ------
    NetworkError
        If a view has 2**32 members or more.
    """
    if max(spec.n_pre, spec.n_post) >= 2**32:
        raise NetworkError(
            f"projection {spec.name!r}: {max(spec.n_pre, spec.n_post)} members on one side; the "
            "limit is 2**32 - 1."
        )
    rule: Any = spec.rule
    by_target = isinstance(rule, FixedIndegree)
    n_rows, n_columns = (spec.n_post, spec.n_pre) if by_target else (spec.n_pre, spec.n_post)
    excluded = np.full(n_rows, -1, np.int64)
    if spec.same and not getattr(rule, "autapses", True):
        excluded = _own_columns(spec, by_target)
    empty = np.empty(0, np.int64)
    mode: Mode = "draw"
    degree, columns, order, inverse_log = empty, empty, empty, 0.0
    if isinstance(rule, FixedIndegree | FixedOutdegree):
        mode = "draw" if rule.multapses else "unique"
        degree = np.full(n_rows, rule.k, np.int64)
    elif isinstance(rule, FixedTotalNumber) and rule.multapses:
        degree = (counter or count_sources)(spec, excluded)
    elif isinstance(rule, FixedTotalNumber):
        mode = "list"
        pre, columns = _different_pairs(spec, excluded)
        degree = np.bincount(pre, minlength=n_rows)
    elif isinstance(rule, FixedProbability) and 0.0 < rule.p < 1.0:
        mode = "skip"
        inverse_log = 1.0 / random.log1p(-rule.p)
    elif isinstance(rule, AllToAll | FixedProbability):
        mode = "all"
        whole = n_columns - (excluded >= 0)
        degree = np.zeros(n_rows, np.int64) if getattr(rule, "p", 1.0) == 0.0 else whole
    elif isinstance(rule, OneToOne):
        mode = "one"
        degree = np.ones(n_rows, np.int64)
    elif isinstance(rule, Explicit):
        mode = "list"
        order = np.argsort(rule.pre, kind="stable")
        columns = rule.post[order]
        degree = np.bincount(rule.pre, minlength=n_rows)
    else:
        raise NetworkError(f"projection {spec.name!r}: unknown connection rule {rule!r}.")
    return Rows(by_target, n_rows, n_columns, mode, degree, excluded, inverse_log, columns, order)


def _own_columns(spec: ConnectionSpec, by_target: bool) -> I64:
    """Return for each row the column that is the same neuron, or -1."""
    pre = np.arange(spec.n_pre) if spec.pre_ids is None else spec.pre_ids
    post = np.arange(spec.n_post) if spec.post_ids is None else spec.post_ids
    row_ids, column_ids = (post, pre) if by_target else (pre, post)
    column_of = np.full(1 + max(row_ids.max(), column_ids.max()), -1, np.int64)
    column_of[column_ids] = np.arange(column_ids.size)
    return column_of[row_ids]


def count_sources(spec: ConnectionSpec, excluded: I64) -> I64:
    """Return how many synapses of FixedTotalNumber each source gets.

    Draw ``i`` chooses a source and, where autapses are excluded, a trial target; a trial that is
    the source itself is dropped. As many draws follow as were dropped, until none is.
    """
    rule: Any = spec.rule
    counts = np.zeros(spec.n_pre, np.int64)
    start, missing = 0, rule.n
    while missing:
        stop = start + min(missing, _BLOCK)
        index = np.arange(start, stop)
        w0, w1, w2, w3 = random.philox(index & 0xFFFFFFFF, index >> 32, SOURCE, 0, *spec.key)
        source = random.integer_below(spec.n_pre, w0, w3)
        own = excluded[source]
        source = source[(own < 0) | (random.integer_below(spec.n_post, w1, w2) != own)]
        counts += np.bincount(source, minlength=spec.n_pre)
        start, missing = stop, missing - source.size
    return counts


def _different_pairs(spec: ConnectionSpec, excluded: I64) -> tuple[I64, I64]:
    """Return the first `n` different pairs of a stream of uniform ones, stably sorted by source."""
    rule: Any = spec.rule
    pairs = spec.n_pre * spec.n_post - int((excluded >= 0).sum())
    codes = np.empty(0, np.int64)
    start = 0
    while codes.size < rule.n:
        missing = rule.n - codes.size
        # About as many as are needed: a draw is new with probability 1 - codes.size / pairs.
        tries = int(missing * pairs / (pairs - codes.size)) + 64
        index = np.arange(start, start + min(tries, 16 * _BLOCK))
        start += index.size
        w0, w1, w2, w3 = random.philox(index & 0xFFFFFFFF, index >> 32, PAIR, 0, *spec.key)
        pre = random.integer_below(spec.n_pre, w0, w3)
        post = random.integer_below(spec.n_post, w1, w2)
        allowed = post != excluded[pre]
        new = pre[allowed] * spec.n_post + post[allowed]
        codes = np.concatenate([codes, new])
        _, first = np.unique(codes, return_index=True)
        codes = codes[np.sort(first)][: rule.n]
    pre, post = np.divmod(codes, spec.n_post)
    order = np.argsort(pre, kind="stable")
    return pre[order], post[order]
