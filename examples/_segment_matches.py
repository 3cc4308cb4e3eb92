"""Matches of random patterns counted with dendritic segments that are simulated."""

from __future__ import annotations

import numpy as np

import neurosim as ns
from neurosim.analysis import dendrites

#: Time between two patterns [ms]: long after a segment has forgotten the one before.
_APART = 10.0


def simulated_matches(
    n: int,
    a: int,
    s: int,
    theta: int,
    *,
    segments: int,
    patterns: int,
    n_patterns: int = 1,
    n_silent: int | None = None,
    seed: int = 0,
) -> float:
    """Return the share of segments and patterns for which the segment spikes.

    Parameters
    ----------
    n, a, s, theta : int
        Cells, active cells of a pattern, synapses on a segment for each pattern that it stores,
        and its threshold.
    segments, patterns : int
        How many there are; every pattern is shown to every segment.
    n_patterns : int, default 1
        Patterns that each segment stores.
    n_silent : int, optional
        Show the segments their own pattern, with that many of its cells silent, instead of random
        ones.
    seed : int
    """
    rng = np.random.default_rng(seed)
    own = n_silent is not None
    pool = a if own else n  # cells of the one stored pattern are the first a
    pairs = [
        (cells.ravel(), np.repeat(np.arange(segments), s))
        for cells in (dendrites.random_subsets(pool, s, segments, rng) for _ in range(n_patterns))
    ]
    synapses = np.unique(np.stack([np.concatenate(p) for p in zip(*pairs, strict=True)]), axis=1)
    active = a - n_silent if n_silent is not None else a
    shown = dendrites.random_subsets(pool, active, patterns, rng)
    times = np.repeat(_APART * np.arange(1, patterns + 1), active)

    net = ns.Network()
    source = ns.models.spike_source(times=times, ids=shown.ravel())
    inputs = net.population(n, source, name="inputs")
    cell = net.population(1, ns.models.iaf_psc_exp_dendrite(), name="cell")
    # half a synapse below the threshold: sums of weights of 1 are not exact after a decay
    model = ns.models.segment(theta=theta - 0.5, tau_syn=0.5, t_plateau=1.0)
    detectors = net.segments(cell, segments, model, weight=0.0)
    net.connect(inputs, cell, ns.Explicit(synapses[0], np.zeros(synapses.shape[1], int)),
                receptor="segment", segment=synapses[1], weight=1.0, delay=1.0)  # fmt: skip
    results = ns.simulate(
        net, _APART * (patterns + 1), record=[ns.Spikes(detectors)], engine=ns.CPU(threads=1)
    )
    return len(results.spikes[detectors.name].times) / (segments * patterns)
