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
SOURCE = 1  # third counter word of the draws of sources for FixedTotalNumber
_BLOCK = 1 << 20  # draws at a time, to bound memory
_LARGEST_GAP = 1e300


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
        The columns for ``"list"``, in the user's order.
    order : (n_synapses,) int64
        For ``"list"``, positions in the user's arrays, sorted by row.
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
    elif isinstance(rule, FixedTotalNumber):
        mode = "draw" if rule.multapses else "unique"
        degree = (counter or count_sources)(spec, excluded)
    elif isinstance(rule, FixedProbability) and 0.0 < rule.p < 1.0:
        mode = "skip"
        # limited, so that a product with the logarithm of a uniform number stays finite: a gap of
        # that size leaves any row, as it should for a probability that small
        inverse_log = max(1.0 / random.log1p(-rule.p), -_LARGEST_GAP)
    elif isinstance(rule, AllToAll | FixedProbability):
        mode = "all"
        whole = n_columns - (excluded >= 0)
        degree = np.zeros(n_rows, np.int64) if getattr(rule, "p", 1.0) == 0.0 else whole
    elif isinstance(rule, OneToOne):
        mode = "one"
        degree = np.ones(n_rows, np.int64)
    elif isinstance(rule, Explicit):
        mode = "list"
        order = _stable_order(rule.pre)
        columns = rule.post
        degree = np.bincount(rule.pre, minlength=n_rows)
    else:
        raise NetworkError(f"projection {spec.name!r}: unknown connection rule {rule!r}.")
    return Rows(by_target, n_rows, n_columns, mode, degree, excluded, inverse_log, columns, order)


def _stable_order(rows: I64) -> I64:
    """Return the stable order of numbers below 2**32.

    By halves of 16 bits, for which NumPy has a radix sort: two to four times as fast as at once.
    """
    order = np.argsort((rows & 0xFFFF).astype(np.uint16), kind="stable")
    if rows.size and rows.max() > 0xFFFF:
        high = (rows >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order


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

    Draw ``i`` chooses a source and a trial number below the number of targets. With multapses a
    draw counts unless the trial is the source itself and autapses are excluded. Without, it counts
    if the trial is below the number of targets that the source has left: so each pair left is
    equally likely, as in drawing pairs from an urn; which targets they are is drawn by row.
    """
    rule: Any = spec.rule
    counts = np.zeros(spec.n_pre, np.int64)
    start, missing = 0, rule.n
    while missing:
        stop = start + min(missing, _BLOCK)
        index = np.arange(start, stop)
        w0, w1, w2, w3 = random.philox(index & 0xFFFFFFFF, index >> 32, SOURCE, 0, *spec.key)
        source = random.integer_below(spec.n_pre, w0, w3)
        trial = random.integer_below(spec.n_post, w1, w2)
        if rule.multapses:
            counts += np.bincount(source[trial != excluded[source]], minlength=spec.n_pre)
        else:
            pool = spec.n_post - (excluded >= 0)
            for s, t in zip(source, trial, strict=True):
                counts[s] += t < pool[s] - counts[s]
        start, missing = stop, rule.n - int(counts.sum())
    return counts
