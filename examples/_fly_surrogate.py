"""A surrogate wiring with the published counts of the fly brain, for want of the real one.

Plain NumPy, shared by `fly_brain.py` and the benchmark `benchmarks/cases/fly.py`. The surrogate has
as many neurons and connections as the whole brain, its histogram of synapses a connection, its
share of inhibition (a property of the presynaptic neuron), heavy-tailed in- and out-degrees, and
local groups in which the strong connections lie, tuned so that stimulating 21 neurons makes about
400 fire, as in the brain. It knows nothing about who is connected to whom.
"""

from __future__ import annotations

import numpy as np

N, N_STIMULATED = 138_639, 21  # the stimulated neurons come first
N_DRAWN, N_EDGES = 15_280_000, 14_687_178  # without duplicates about the published number is left
DEGREE_SIGMA = 1.0  # of the log-normal in- and out-degrees
EXCITATORY = 8_800_532 / N_EDGES
COUNTS = (7_305_126, 2_611_152, 1_342_881, 813_991, 542_616)  # connections of 1 to 5 synapses
TAIL, N_TAIL, LARGEST = 2.579, 2_071_412, 2_358  # exponent, so that the synapses add up as well


def draw_edges(
    seed: int, group: int, local_share: float, preference: float, shrink: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pre and post ids and the signed number of synapses of every connection.

    Parameters
    ----------
    seed : int
    group : int
        Neurons a local group.
    local_share : float
        Share of the connections that stay within their group.
    preference : float
        How much further up local excitatory connections are in the order by synapses.
    shrink : int
        Take that many times fewer neurons and connections.
    """
    rng = np.random.default_rng(seed)
    n, n_drawn = N // shrink, N_DRAWN // shrink
    propensity = rng.lognormal(0.0, DEGREE_SIGMA, (2, n))
    pre = rng.choice(n, n_drawn, p=propensity[0] / propensity[0].sum())
    post = rng.choice(n, n_drawn, p=propensity[1] / propensity[1].sum())
    local = rng.random(n_drawn) < local_share
    post[local] = pre[local] // group * group + rng.integers(0, group, local.sum())
    key = np.unique(pre * n + post % n)
    pre, post = key // n, key % n
    sizes = np.arange(1, LARGEST + 1)
    tail = np.arange(6, LARGEST + 1) ** -TAIL
    share = np.concatenate([COUNTS, N_TAIL * tail / tail.sum()])
    count = np.sort(rng.choice(sizes, len(key), p=share / share.sum()))
    is_excitatory = rng.random(n) < EXCITATORY
    is_excitatory[:N_STIMULATED] = True
    excitatory = is_excitatory[pre]
    local = excitatory & (pre // group == post // group)
    rank = np.argsort(rng.random(len(key)) + preference * local)
    signed = np.empty(len(key), np.int64)
    signed[rank] = count
    signed[~excitatory] *= -1
    return pre.astype(np.int32), post.astype(np.int32), signed.astype(np.int16)
