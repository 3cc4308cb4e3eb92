"""From a projection to what engines generate synapses from, and the form they are read back in.

`neurosim.lower.expand` says which synapses that are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.errors import DelayError
from neurosim.network.distributions import CONSTANT, Distribution, Lowered
from neurosim.network.explicit import Explicit
from neurosim.network.projection import Projection
from neurosim.network.rule import Rule
from neurosim.network.rules import (
    AllToAll,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]
_BLOCK = 1 << 14  # delays checked at a time, so that what is computed of them stays in the cache
_TOLERANCE = 1e-6  # of a step


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
    delay : Lowered or (n_synapses,) float64
        What to draw delays [ms] from, or given delays [ms], already checked (with Explicit only).
        One delay for all is a ``CONSTANT``, also checked.
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
    delay: Lowered | F64
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
        else given_delay(delay, dt, projection.round_delays, f"projection {projection.name!r}"),
        dt=dt,
        key=random.stream_key(connectivity_seed, "connect", pre.name, post.name, projection.name),
        receptors=(names.index(positive), names.index(negative)),
        absolute=absolute,
        constant=isinstance(weight, float) and projection.synapse is None,
    )


def _lowered(value: float | Distribution) -> Lowered:
    return value.lower() if isinstance(value, Distribution) else Lowered(CONSTANT, value)


def given_delay(delay: float | F64, dt: float | None, rounding: bool, what: str) -> Lowered | F64:
    """Check delays given as numbers [ms] against the grid.

    Raises
    ------
    DelayError
        If one is too short or, unless `rounding`, not on the grid; `what` names them.
    """
    if dt is not None:  # that they are positive has been checked by connect
        _check_grid(np.atleast_1d(delay), dt, rounding, what)
    return delay if isinstance(delay, np.ndarray) else Lowered(CONSTANT, float(delay))


def _check_grid(values: F64, dt: float, rounding: bool, what: str) -> None:
    """Raise DelayError if a delay is too short or not on the grid."""
    blocks = (values[i : i + _BLOCK] for i in range(0, values.size, _BLOCK))
    if not any(wrong.any() for block in blocks for wrong in _short_and_off(block, dt, rounding)):
        return
    short, off_grid = _short_and_off(values, dt, rounding)
    if short.any():
        raise DelayError(
            f"{what}: {_which(short, values)} shorter than the step dt = {dt:g} ms "
            f"(smallest {values.min():g}). Use delays of at least {dt:g} ms or a smaller dt."
        )
    remedy = ", or pass round_delays=True to connect" if what.startswith("projection") else ""
    raise DelayError(
        f"{what}: {_which(off_grid, values)} not on the grid of dt = {dt:g} ms. "
        f"Use multiples of dt{remedy}."
    )


def _short_and_off(values: F64, dt: float, rounding: bool) -> tuple[Mask, Mask]:
    """Return which delays are shorter than a step, and which are off the grid and must not be."""
    ratio = values / dt
    steps = np.rint(ratio)
    if rounding:
        return steps < 1, np.zeros(0, np.bool_)
    return values < dt * (1 - _TOLERANCE), np.abs(ratio - steps) > _TOLERANCE


def _which(wrong: Mask, values: F64) -> str:
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


def largest_projection(connections: Sequence[Any]) -> str:
    """Return words on the projection with most synapses, for messages about memory.

    Parameters
    ----------
    connections : sequence of ConnectionPlan
    """
    sizes = {c.name: count_estimate(c.spec)[0] for c in connections}
    name = max(sizes, key=lambda key: sizes[key], default=None)
    if name is None:
        return "there are none"
    return f"projection {name!r} alone has about {sizes[name]:.0f}"


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
