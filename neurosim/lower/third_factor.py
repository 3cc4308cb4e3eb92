"""The third partners of the synapses of a projection: `ThirdFactor` as a list of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.errors import NetworkError
from neurosim.lower.connectivity import Edges, specify
from neurosim.lower.expand import expand
from neurosim.network.explicit import Explicit
from neurosim.network.rule import Rule
from neurosim.network.third_factor import ThirdFactor

I64 = NDArray[np.int64]
#: Numbers that are shuffled at a time, to bound memory.
_AT_ONCE = 1 << 22


def listed(
    rule: Rule, network: Any, dt: float | None, connectivity_seed: int, partners: Any
) -> Rule:
    """Return a rule that says by itself which pairs it connects.

    Parameters
    ----------
    rule : Rule
        Any rule; only `ThirdFactor` is changed.
    network : Network
    dt : float or None
        Step [ms].
    connectivity_seed : int
    partners : Population or PopulationView
        The third partners.

    Raises
    ------
    NetworkError
        If the primary projection is not in the network.
    """
    if not isinstance(rule, ThirdFactor):
        return rule
    primary = network.projections.get(rule.primary)
    if primary is None:
        raise NetworkError(
            f"ThirdFactor: the network has no projection {rule.primary!r}, whose synapses would "
            "get third partners."
        )
    edges = expand(specify(primary, dt=dt, connectivity_seed=connectivity_seed))
    where = f"third partners of {rule.primary!r}"
    rule.check_pool(partners.n, primary.post.n, where)
    key = random.stream_key(connectivity_seed, "third factor", rule.primary, partners.name)
    chosen, partner = _partners(rule, edges, primary.post, partners.n, key)
    if rule.side == "in":
        return Explicit(_positions(primary.pre)[edges.pre[chosen]], partner)
    return Explicit(partner, _positions(primary.post)[edges.post[chosen]])


def _positions(target: Any) -> I64:
    """Return the position of each neuron within a view of its population."""
    positions = np.full(target.population.n, -1, np.int64)
    positions[target.ids] = np.arange(target.n)
    return positions


def _partners(
    rule: ThirdFactor, edges: Edges, post: Any, n: int, key: tuple[int, int]
) -> tuple[I64, I64]:
    """Return which synapses get a partner, and the partner (position in its view).

    Synapse e draws with the counter (e, e >> 32, 0, 0): word 0 decides, words 1 and 2 choose.
    """
    e = np.arange(len(edges))
    w0, w1, w2, _ = random.philox(e & 0xFFFFFFFF, e >> 32, 0, 0, *key)
    chosen = np.flatnonzero(random.uniform(w0) < rule.p)
    size = rule.size_of_pool(n)
    place = random.integer_below(size, w1[chosen], w2[chosen])
    target = _positions(post)[edges.post[chosen]]
    if rule.pool == "block":
        return chosen, target * n // post.n if size == 1 else target * size + place
    return chosen, _random_pools(post.n, n, size, key)[target, place]


def _random_pools(targets: int, n: int, size: int, key: tuple[int, int]) -> I64:
    """Return the pool of every target, without repetition: (targets, size).

    Draw k of target t has the counter (t, k, 1, 0); it swaps partner k with itself or one of those
    after it (Fisher and Yates).
    """
    if size == n:
        return np.broadcast_to(np.arange(n), (targets, n))
    block = max(1, _AT_ONCE // n)
    parts = [np.arange(a, min(a + block, targets)) for a in range(0, targets, block)]
    return np.concatenate([_shuffled(part, n, size, key) for part in parts])


def _shuffled(targets: I64, n: int, size: int, key: tuple[int, int]) -> I64:
    order = np.tile(np.arange(n), (targets.size, 1))
    row = np.arange(targets.size)
    for k in range(size):
        words = random.philox(targets, k, 1, 0, *key)
        other = k + random.integer_below(n - k, words[0], words[3])
        order[row, k], order[row, other] = order[row, other], order[row, k]
    return order[:, :size]
