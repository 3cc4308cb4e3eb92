"""Structural plasticity: which sources take the place of synapses that were pruned.

A target keeps its number of synapses: each one that is pruned is replaced by one from a source
that is drawn evenly. Draws are counted by target, so that they do not depend on how an engine
divides the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.lower.connectivity import ConnectionSpec
from neurosim.lower.plasticity import PlasticityPlan
from neurosim.random import integer_below, philox

I64 = NDArray[np.int64]
_PURPOSE = 7  # fourth counter word of these draws
#: Draws after which a synapse stays where it is: its target is connected to (nearly) everyone.
_ATTEMPTS = 64


def replace_sources(
    spec: ConnectionSpec,
    plan: PlasticityPlan,
    event: int,
    pre: I64,
    post: I64,
    delay: I64,
    pruned: NDArray[np.bool_],
) -> I64:
    """Return the new sources of the pruned synapses.

    Parameters
    ----------
    spec : ConnectionSpec
        The projection; whether it may have autapses and multapses.
    plan : PlasticityPlan
    event : int
        Number of the interval event.
    pre, post, delay : (n_synapses,) int64
        All synapses of some targets: ids within the populations, delays in steps.
    pruned : (n_synapses,) bool

    Returns
    -------
    (n_pruned,) int64
        In the order of the pruned synapses.
    """
    chosen = np.flatnonzero(pruned)
    order = np.lexsort((delay[chosen], pre[chosen], post[chosen]))
    targets = post[chosen][order]
    first = np.searchsorted(targets, targets)
    number = np.arange(targets.size) - first  # k-th pruned synapse of its target
    members = np.arange(spec.n_pre) if spec.pre_ids is None else spec.pre_ids
    multapses = bool(getattr(spec.rule, "multapses", False))
    autapses = bool(getattr(spec.rule, "autapses", True)) or not spec.same
    width = int(members.max(initial=0)) + 1
    taken = np.zeros(0, np.int64) if multapses else np.sort((post * width + pre)[~pruned])
    found = pre[chosen][order].copy()
    open_ = np.arange(targets.size)
    for attempt in range(_ATTEMPTS):
        if open_.size == 0:
            break
        words = philox(
            targets[open_].astype(np.uint32), number[open_].astype(np.uint32),
            np.uint32(event), np.uint32(_PURPOSE + 256 * attempt), *plan.key,
        )  # fmt: skip
        source = members[integer_below(spec.n_pre, words[0], words[3])]
        good = np.ones(open_.size, bool) if autapses else source != targets[open_]
        if not multapses:
            good &= _new(targets[open_] * width + source, taken)
            taken = np.sort(np.concatenate([taken, (targets[open_] * width + source)[good]]))
        found[open_[good]] = source[good]
        open_ = open_[~good]
    result = np.empty(chosen.size, np.int64)
    result[order] = found
    return result


def _new(keys: I64, taken: I64) -> NDArray[np.bool_]:
    """Return which keys are neither taken nor there before in the same list."""
    at = np.searchsorted(taken, keys)
    free: NDArray[Any] = np.ones(keys.size, bool)
    inside = at < taken.size
    free[inside] = taken[at[inside]] != keys[inside]
    first = np.zeros(keys.size, bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return free & first
