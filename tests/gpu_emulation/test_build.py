"""Rows of synapses that kernels draw: the same synapses as on the host, in order, in few bytes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from emulator import EmulatedDevice
from hypothesis import given
from hypothesis import strategies as st
from runs import few

import neurosim as ns
from neurosim.engines.gpu.layout import layout_of
from neurosim.engines.gpu.source import Format
from neurosim.engines.gpu.synapses import Synapses
from neurosim.errors import DelayError
from neurosim.lower.expand import expand
from neurosim.lower.plan import lower

WEIGHTS = {
    "one": 3.0, "negative": -0.7, "uniform": ns.Uniform(-1.0, 2.0), "normal": ns.Normal(0.3, 1.0),
    "cut": ns.Normal(0.1, 1.0, low=-0.5), "lognormal": ns.LogNormal(-0.5, 1.0),
    "exponential": ns.Exponential(-2.0),
}  # fmt: skip
DELAYS = {
    "one": 1.2, "uniform": ns.Uniform(0.1, 3.0), "normal": ns.Normal(1.5, 0.75, low=0.1),
    "lognormal": ns.LogNormal(0.0, 0.5), "short": ns.Exponential(2.0),
}  # fmt: skip


def rules(n_pre: int, n_post: int, same: bool) -> st.SearchStrategy[Any]:
    """Return a strategy of every rule that two views of these sizes can have."""
    probability = st.sampled_from([0.0, 0.03, 0.5, 0.97, 1.0])
    autapses, both = st.booleans() if same else st.just(True), st.booleans()
    # without multapses at most as many as there are others
    others = [max(0, n - same) for n in (n_pre, n_post)]

    def total(most: int, rule: Any) -> st.SearchStrategy[Any]:
        repeated = st.builds(rule, st.integers(0, 2 * most), autapses=autapses if most else both)
        once = st.builds(
            rule, st.integers(0, most), multapses=st.just(False), autapses=st.just(not same)
        )
        return repeated | once

    options = [
        st.builds(ns.FixedProbability, probability, autapses=autapses),
        st.builds(ns.AllToAll, autapses=autapses),
        total(others[0], ns.FixedIndegree),
        total(others[1], ns.FixedOutdegree),
        total(others[0] * others[1] // 2, ns.FixedTotalNumber),
    ]
    if n_pre == n_post:
        options.append(st.builds(ns.OneToOne))
    return st.one_of(options)


def view(population: Any, draw: Any) -> Any:
    """Return a view of some members, in any order."""
    if draw(st.booleans()):
        return population
    ids = draw(st.permutations(range(population.n)))
    return population[ids[: draw(st.integers(1, population.n))]]


@st.composite
def networks(draw: Any) -> ns.Network:
    """Draw two populations with several projections between and within them."""
    net = ns.Network()
    cells = [
        net.population(draw(st.integers(2, 50)), model, name=name)
        for name, model in (("a", ns.models.iaf_psc_exp()), ("b", ns.models.iaf_cond_exp()))
    ]
    for _ in range(draw(st.integers(2, 6))):
        pre, post = (draw(st.sampled_from(cells)) for _ in range(2))
        left, right = view(pre, draw), view(post, draw)
        weight = WEIGHTS[draw(st.sampled_from(list(WEIGHTS)))]
        delay = DELAYS[draw(st.sampled_from(list(DELAYS)))]
        if draw(st.integers(0, 4)) == 0:
            count = draw(st.integers(0, 80))
            rng = np.random.default_rng(draw(st.integers(0, 99)))
            rule: Any = ns.Explicit(rng.integers(0, left.n, count), rng.integers(0, right.n, count))
            if draw(st.booleans()):
                weight, delay = rng.normal(size=count), rng.integers(1, 40, count) * 0.1
        else:
            rule = draw(rules(left.n, right.n, pre is post))
        net.connect(left, right, rule, weight=weight, delay=delay)
    return net


def build(
    plan: Any, device: EmulatedDevice, real: str = "double", deterministic: bool = False,
    half: bool = False, procedural: Any = False,
) -> tuple[Synapses, Any]:  # fmt: skip
    layout = layout_of(plan, device.tile)
    form = Format(real, deterministic, False, device.tile, device.chunk, half)
    builder = Synapses(plan, layout, device, form, procedural)
    return builder, builder.build()


def plan_of(net: ns.Network, seed: int = 1) -> Any:
    return lower(net, 0.1, seed, seed, [])


def table(builder: Synapses, rows: Any) -> np.ndarray:
    """Return all stored synapses: source, delay, channel, weight, in the order of the table."""
    layout, plan = builder._layout, builder._plan
    words = rows.words.astype(np.uint64)
    mask = np.uint64(builder.n_slots - 1)
    source, weight = np.empty(words.size, np.int64), np.empty(words.size)
    weight[: builder.n_weighted] = rows.weights
    for group in builder._groups:
        n = plan.populations[group.population].n
        ends = rows.row[group.first_row : group.first_row + n + 1]
        source[ends[0] : ends[-1]] = np.repeat(
            layout.source[group.population] + np.arange(n), np.diff(ends)
        )
        if not group.weighted:
            weight[ends[0] : ends[-1]] = group.amount
    assert rows.row[0] == 0
    assert rows.row[-1] == words.size
    columns = source, (words & mask), words >> np.uint64(builder.delay_bits), weight
    return np.stack([c.astype(float) for c in columns], axis=1)


def expected(plan: Any, layout: Any) -> np.ndarray:
    """Return the same of the synapses that the host draws."""
    parts = [np.zeros((0, 4))]
    for c in plan.connections:
        e = expand(c.spec)
        channel = layout.channel[c.post] + e.receptor * plan.populations[c.post].n + e.post
        columns = layout.source[c.pre] + e.pre, e.delay_steps, channel, e.weight
        parts.append(np.stack([x.astype(float) for x in columns], axis=1))
    return np.concatenate(parts)


def ordered(synapses: np.ndarray) -> np.ndarray:
    return synapses[np.lexsort(synapses.T[::-1])]


@few(25)
@given(networks(), st.integers(0, 3))
def test_kernels_draw_the_synapses_of_every_rule_and_distribution(net, seed):
    plan, device = plan_of(net), EmulatedDevice(seed)
    try:
        synapses = ordered(expected(plan, layout_of(plan, device.tile)))
    except DelayError as error:
        with pytest.raises(DelayError, match=f"^{re.escape(str(error))}$"):
            build(plan, device)
        return
    builder, rows = build(plan, device)
    found = table(builder, rows)
    np.testing.assert_array_equal(ordered(found), synapses)
    for begin, end in zip(rows.row[:-1], rows.row[1:], strict=True):
        np.testing.assert_array_equal(found[begin:end], ordered(found[begin:end]))
