"""How the rows of a projection are filled: connection rules reduced to six ways of choosing.

See `neurosim.lower.expand` for what rows, columns and counters are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.errors import NetworkError
from neurosim.network.explicit import Explicit
from neurosim.network.rules import (
    AllToAll,
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
#: Third counter word of the draws that make synapses, and of those of sources (FixedTotalNumber).
EDGE, SOURCE = 0, 1
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
        ``"one"``: the column with the row's number; ``"list"``: as the rule lists.
    degree : (n_rows,) int64
        Synapses in each row; empty for ``"skip"`` and ``"list"``, where it is not known before.
    excluded : (n_rows,) int64
        The column that is the row's own neuron and not allowed; -1 for none.
    inverse_log : float
        ``1 / log(1 - p)`` for ``"skip"``.
    """

    by_target: bool
    n_rows: int
    n_columns: int
    mode: Mode
    degree: I64
    excluded: I64
    inverse_log: float


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
    mode: Mode = "draw"
    degree, inverse_log = np.empty(0, np.int64), 0.0
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
    else:
        raise NetworkError(f"projection {spec.name!r}: unknown connection rule {rule!r}.")
    return Rows(by_target, n_rows, n_columns, mode, degree, excluded, inverse_log)


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
