"""From a projection to its synapses: what every engine must generate, and the plain way to do it.

Every draw is a Philox call with a counter ``(row, draw, purpose, 0)`` and the key of the
projection. A *row* is a source, or a target for FixedIndegree; the other side is called *column*.
The four words of one call make one synapse: words 0 and 3 its column, word 1 its weight, word 2
its delay. So a row can be generated without the others, in any order and on any device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.errors import DelayError
from neurosim.lower.rows import Rows, plan_rows
from neurosim.network.distributions import CONSTANT, Distribution, Lowered, draw
from neurosim.network.projection import Projection
from neurosim.network.rules import (
    AllToAll,
    Explicit,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
    Rule,
)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
EDGE = 0  # third counter word of the draws that make synapses; lower/rows.py has the others


@dataclass(frozen=True, kw_only=True, eq=False)
class ConnectionSpec:
    """A projection after checks: what the engines generate synapses from.

    Attributes
    ----------
    name : str
        Name of the projection.
    pre_population, post_population : int
        Indices of the two populations in the network.
    n_pre, n_post : int
        Sizes of the two views.
    pre_ids, post_ids : (n,) int64 or None
        Id within the population of each member of the view; None: the whole population.
    same : bool
        Whether both views are of one population.
    rule : Rule
        Which pairs are connected.
    weight : Lowered or (n_synapses,) float64
        Weights in the receptor's unit, with their signs; an array with Explicit only.
    delay : Lowered or (n_synapses,) int64 or float64
        What to draw delays [ms] from, or given delays in steps (with Explicit only; in ms in
        continuous time). One delay for all is a ``CONSTANT`` in ms, already checked.
    dt : float or None
        Step [ms]; None in continuous time, where delays are not rounded.
    key : tuple of int
        Philox key words.
    receptors : tuple of int
        Receptor index for weights >= 0 and for weights < 0.
    absolute : bool
        Whether the size of the weight is stored, without its sign.
    constant : bool
        Whether one weight holds for the whole projection, so that none need be stored.
    """

    name: str
    pre_population: int
    post_population: int
    n_pre: int
    n_post: int
    pre_ids: I64 | None
    post_ids: I64 | None
    same: bool
    rule: Rule
    weight: Lowered | F64
    delay: Lowered | I64 | F64
    dt: float | None
    key: tuple[int, int]
    receptors: tuple[int, int]
    absolute: bool
    constant: bool

    @property
    def constant_weight(self) -> float:
        """The weight as the receptor sees it, where `constant`."""
        if not isinstance(self.weight, Lowered) or self.weight.kind != CONSTANT:
            raise ValueError(f"projection {self.name!r} has more than one weight")
        return (abs(self.weight.p0) if self.absolute else self.weight.p0) + 0.0


@dataclass(frozen=True, eq=False)
class Edges:
    """Synapses of one projection.

    Attributes
    ----------
    pre, post : (n_synapses,) int64
        Ids within the two populations.
    weight : (n_synapses,) float64
        Weights as the receptor sees them.
    delay_steps : (n_synapses,) int64 or float64
        Delays in steps; in continuous time in ms (float64).
    receptor : (n_synapses,) int64
        Index of the receptor in the target's model.
    """

    pre: I64
    post: I64
    weight: F64
    delay_steps: I64 | F64
    receptor: I64

    def __len__(self) -> int:
        return self.pre.size

    def take(self, order: I64) -> Edges:
        """Return the chosen synapses in the given order."""
        return Edges(
            self.pre[order],
            self.post[order],
            self.weight[order],
            self.delay_steps[order],
            self.receptor[order],
        )

    def by_target(self) -> Edges:
        """Return the synapses sorted by source, target, delay and order of generation.

        This order does not depend on how an engine divides the targets, and is that of all results.
        """
        return self.take(np.lexsort((self.delay_steps, self.post, self.pre)))


def specify(
    projection: Projection, *, dt: float | None, connectivity_seed: int, absolute: bool = False
) -> ConnectionSpec:
    """Return the specification of a projection for the step `dt`.

    Parameters
    ----------
    projection : Projection
        The description.
    dt : float or None
        Step [ms]; None for continuous time.
    connectivity_seed : int
        Seed of edges, weights and delays.
    absolute : bool, default False
        Store the size of each weight without its sign (conductances).

    Raises
    ------
    DelayError
        If a given delay is shorter than `dt` or not on the grid.
    """
    pre, post = projection.pre.population, projection.post.population
    names = list(post.model.receptors)
    positive, negative = projection.receptors
    weight, delay = projection.weight, projection.delay
    return ConnectionSpec(
        name=projection.name,
        pre_population=pre.index,
        post_population=post.index,
        n_pre=projection.pre.n,
        n_post=projection.post.n,
        pre_ids=None if projection.pre.is_whole else projection.pre.ids,
        post_ids=None if projection.post.is_whole else projection.post.ids,
        same=pre is post,
        rule=projection.rule,
        weight=weight if isinstance(weight, np.ndarray) else _lowered(weight),
        delay=_lowered(delay)
        if isinstance(delay, Distribution)
        else _given_delay(delay, dt, projection.round_delays, projection.name),
        dt=dt,
        key=random.stream_key(connectivity_seed, "connect", pre.name, post.name, projection.name),
        receptors=(names.index(positive), names.index(negative)),
        absolute=absolute,
        constant=isinstance(weight, float) and projection.synapse is None,
    )


def _lowered(value: float | Distribution) -> Lowered:
    return value.lower() if isinstance(value, Distribution) else Lowered(CONSTANT, value)


def _given_delay(
    delay: float | F64, dt: float | None, rounding: bool, name: str
) -> Lowered | I64 | F64:
    """Check delays given as numbers [ms] against the grid; arrays become steps."""
    if dt is None:  # that they are positive has been checked by connect
        return delay if isinstance(delay, np.ndarray) else Lowered(CONSTANT, float(delay))
    values = np.atleast_1d(delay)
    steps = np.rint(values / dt)
    short = steps < 1 if rounding else values < dt * (1 - 1e-6)
    off_grid = np.abs(values / dt - steps) > 1e-6
    if short.any():
        raise DelayError(
            f"projection {name!r}: {_which(short, values)} shorter than the step dt = {dt:g} ms "
            f"(smallest {values.min():g}). Use delays of at least {dt:g} ms or a smaller dt."
        )
    if off_grid.any() and not rounding:
        raise DelayError(
            f"projection {name!r}: {_which(off_grid, values)} not on the grid of dt = {dt:g} ms. "
            "Use multiples of dt, or pass round_delays=True to connect."
        )
    if isinstance(delay, np.ndarray):
        return steps.astype(np.int64)
    return Lowered(CONSTANT, float(delay))


def _which(wrong: NDArray[np.bool_], values: F64) -> str:
    if values.size == 1:
        return f"delay {values[0]:g} ms is"
    first = int(np.argmax(wrong))
    return (
        f"{int(wrong.sum())} of {values.size} delays (first {values[first]:g} ms at synapse "
        f"{first}) are"
    )


def short_delay_error(
    spec: ConnectionSpec, count: int, total: int, smallest: float, pre: int, post: int
) -> DelayError:
    """Return the error for drawn delays that round to less than one step.

    Parameters
    ----------
    spec : ConnectionSpec
        The projection.
    count, total : int
        Number of such delays and of all synapses.
    smallest : float
        The smallest delay drawn [ms].
    pre, post : int
        Ids of the first pair concerned.
    """
    if spec.dt is None:
        return DelayError(
            f"projection {spec.name!r}: {count} of {total} drawn delays are not positive "
            f"(smallest {smallest:.3g}, first from {pre} to {post}). Raise them, for instance "
            "with low=0.1 in Normal(...)."
        )
    return DelayError(
        f"projection {spec.name!r}: {count} of {total} drawn delays are below dt = {spec.dt:g} ms "
        f"even when rounded (smallest {smallest:.3g}, first from {pre} to {post}). Raise them, "
        f"for instance with low={spec.dt:g} in Normal(...), or lower dt."
    )


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
    row, number, column = _columns(rows, spec.key)
    _, word1, word2, _ = random.philox(row, number, EDGE, 0, *spec.key)
    pre_view, post_view = (column, row) if rows.by_target else (row, column)
    pre = pre_view if spec.pre_ids is None else spec.pre_ids[pre_view]
    post = post_view if spec.post_ids is None else spec.post_ids[post_view]
    weight = (
        draw(spec.weight, word1) if isinstance(spec.weight, Lowered) else spec.weight[rows.order]
    )
    if isinstance(spec.delay, Lowered):
        delay = draw(spec.delay, word2)
        steps: I64 | F64 = delay
        if spec.dt is not None:
            steps = np.rint(delay / spec.dt).astype(np.int64)
        short = np.flatnonzero(steps <= 0)
        if short.size:
            first = short[0]
            raise short_delay_error(
                spec, short.size, delay.size, delay.min(), int(pre[first]), int(post[first])
            )
    else:
        steps = spec.delay[rows.order]
    receptor = np.where(weight < 0, spec.receptors[1], spec.receptors[0]).astype(np.int64)
    stored = (np.abs(weight) if spec.absolute else weight) + 0.0  # never -0.0
    edges = Edges(pre, post, stored, steps, receptor)
    return edges.take(np.argsort(pre, kind="stable"))


def _columns(rows: Rows, key: tuple[int, int]) -> tuple[I64, I64, I64]:
    """Return row, number of the draw, and column of every synapse, ordered by row and draw."""
    if rows.mode == "skip":
        return _skip_columns(rows, key)
    if rows.mode == "unique":
        return _unique_columns(rows, key)
    row = np.repeat(np.arange(rows.n_rows), rows.degree)
    start = np.cumsum(rows.degree) - rows.degree
    number = np.arange(row.size) - np.repeat(start, rows.degree)
    if rows.mode == "list":
        return row, number, rows.columns[rows.order]
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


def count_estimate(spec: ConnectionSpec) -> tuple[float, int]:
    """Return the expected number of synapses and a number that is (nearly) never exceeded.

    Returns
    -------
    expected : float
        Mean over seeds; exact for all rules but FixedProbability.
    upper : int
        For FixedProbability the mean plus ten standard deviations (exceeded with a probability
        below 1e-20), else the exact number.
    """
    rule: Any = spec.rule
    pairs = spec.n_pre * spec.n_post
    if isinstance(rule, FixedProbability | AllToAll) and spec.same and not rule.autapses:
        pre = np.arange(spec.n_pre) if spec.pre_ids is None else spec.pre_ids
        post = np.arange(spec.n_post) if spec.post_ids is None else spec.post_ids
        pairs -= np.intersect1d(pre, post).size
    if isinstance(rule, FixedProbability):
        mean = pairs * rule.p
        spread = 10.0 * math.sqrt(mean * (1.0 - rule.p)) + 10.0
        return mean, min(pairs, math.ceil(mean + spread))
    if isinstance(rule, FixedIndegree):
        exact = rule.k * spec.n_post
    elif isinstance(rule, FixedOutdegree):
        exact = rule.k * spec.n_pre
    elif isinstance(rule, FixedTotalNumber):
        exact = rule.n
    elif isinstance(rule, Explicit):
        exact = rule.pre.size
    else:
        exact = pairs if isinstance(rule, AllToAll) else spec.n_pre
    return float(exact), int(exact)
