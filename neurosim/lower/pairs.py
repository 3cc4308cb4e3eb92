"""What pairs of a coupling are drawn from: the specification of a projection without receptors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.lower.connectivity import ConnectionSpec
from neurosim.network.distributions import CONSTANT, Distribution, Lowered

F64 = NDArray[np.float64]


def pairs_of(
    c: Any, pre: Any, post: Any, rule: Any, weight: Any, delay: Any, key: tuple[int, int],
    dt: float | None = None,
) -> ConnectionSpec:  # fmt: skip
    """Return what pairs, weights and delays are drawn from."""
    return ConnectionSpec(
        name=c.name, pre_population=pre.population.index, post_population=post.population.index,
        n_pre=pre.n, n_post=post.n, pre_ids=None if pre.is_whole else pre.ids,
        post_ids=None if post.is_whole else post.ids, same=pre.population is post.population,
        rule=rule, weight=_lowered(weight), delay=_lowered(delay), dt=dt,
        key=key, receptors=(0, 0), absolute=False, constant=False,
    )  # fmt: skip


def _lowered(value: Any) -> Lowered | F64:
    if isinstance(value, Distribution):
        return value.lower()
    return value if isinstance(value, np.ndarray | Lowered) else Lowered(CONSTANT, float(value))
