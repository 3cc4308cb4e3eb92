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
from neurosim.engines.gpu.device import Device
from neurosim.engines.gpu.layout import layout_of
from neurosim.engines.gpu.plastic import PlasticNetwork
from neurosim.engines.gpu.source import Format, build_text
from neurosim.engines.gpu.source_counts import SourceCounter
from neurosim.engines.gpu.synapses import Rows, Synapses
from neurosim.errors import DelayError
from neurosim.lower.expand import expand
from neurosim.lower.plan import lower
from neurosim.lower.rows import plan_rows

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
    plan: Any, device: Device, real: str = "double", deterministic: bool = False,
    half: bool = False, procedural: Any = False,
) -> tuple[Synapses, Any]:  # fmt: skip
    layout = layout_of(plan, device.tile)
    form = Format(real, deterministic, False, device.tile, device.chunk, half)
    plastic = PlasticNetwork(plan, layout, np.dtype(np.float64), device)
    builder = Synapses(plan, layout, device, form, procedural, plastic)
    rows = builder.build()
    return builder, Rows(
        device.fetch(rows.row), device.fetch(rows.words), device.fetch(rows.weights)
    )


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


@few(50)
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


@pytest.mark.parametrize(("multapses", "listed"), [(True, 64), (False, 64), (False, 1 << 26)])
def test_totals_are_divided_among_sources(monkeypatch, multapses, listed):
    monkeypatch.setattr("neurosim.engines.gpu.source_counts._LISTED", listed)
    net = ns.Network()
    cells = net.population(20, ns.models.iaf_psc_exp(), name="cells")
    rule = ns.FixedTotalNumber(200, multapses=multapses, autapses=False)
    net.connect(cells[3:17], cells, rule, weight=1.0, delay=1.0)
    spec = plan_of(net).connections[0].spec
    rows, device = plan_rows(spec), EmulatedDevice(1)
    program = device.compile(build_text(Format("double", False, False, 64, 32)), exact=True)
    found = SourceCounter(device, program)(spec, rows.excluded)
    np.testing.assert_array_equal(found, rows.degree)
    assert found.sum() == 200
    assert multapses or found.max() <= 19


@few(6)
@given(networks(), st.integers(0, 2))
def test_weights_are_stored_as_the_form_says(net, seed):
    plan = plan_of(net)
    try:
        builder, rows = build(plan, EmulatedDevice(seed))
    except DelayError:
        return
    exact = table(builder, rows)
    largest = np.abs(exact[:, 3]).max(initial=1e-9)
    for options, error in (
        ({"real": "float"}, 2.0**-24), ({"half": True}, 2.0**-11),
        ({"deterministic": True}, 2.0**-30), ({"half": True, "deterministic": True}, 2.0**-11),
    ):  # fmt: skip
        builder, rows = build(plan, EmulatedDevice(seed), **options)
        found = table(builder, rows)
        found[:, 3] = values(builder, rows, found)
        assert found.shape == exact.shape
        np.testing.assert_array_equal(found[:, :3], exact[:, :3])
        a, b = ordered(found)[:, 3], ordered(exact)[:, 3]
        assert (np.abs(a - b) <= error * np.abs(b) + 2.0**-24 * largest).all()


def values(builder: Synapses, rows: Any, found: np.ndarray) -> np.ndarray:
    """Return what the synapses of a table add to the states of their targets."""
    amount = found[:, 3].copy()
    n = builder.n_weighted
    if builder._form.half:
        halves = rows.weights.view(np.float16).astype(float)
        factor = np.empty(n)
        for group in builder._groups:
            if group.weighted:
                last = group.first_row + builder._plan.populations[group.population].n
                factor[rows.row[group.first_row] : rows.row[last]] = group.amount
        amount[:n] = halves * factor
    scale = np.concatenate(
        [np.repeat(s, p.n) for s, p in zip(builder.scale, builder._plan.populations, strict=True)]
    )
    return amount * scale[found[:, 2].astype(int)]


def test_half_precision_rounds_to_the_nearest_even():
    net = ns.Network()
    cells = net.population(6, ns.models.iaf_psc_exp(), name="cells")
    ulp = 2.0**-10  # of numbers from 1 on
    given_weights = np.array([1.0, 1 + 0.5 * ulp, 1 + 1.5 * ulp, 1.3333, -3.999, 1e-6])
    rule = ns.Explicit(np.zeros(6, int), np.arange(6))
    net.connect(cells, cells, rule, weight=given_weights, delay=1.0)
    builder, rows = build(plan_of(net), EmulatedDevice(), half=True)
    halves = rows.weights.view(np.float16)
    # relative to 4, the power of two above the largest
    order = np.argsort(table(builder, rows)[:, 2])
    channels = np.argsort(expected(builder._plan, builder._layout)[:, 2])
    np.testing.assert_array_equal(halves[order] * 4.0, 4 * np.float16(given_weights[channels] / 4))
    assert set(halves.astype(float) * 4) >= {1.0, 1 + 2 * ulp}


@pytest.mark.parametrize("bytes_of_block", [64, 1 << 15])
def test_long_rows_are_ordered_in_global_memory(bytes_of_block):
    net = ns.Network()
    cells = net.population(150, ns.models.iaf_psc_exp(), name="cells")
    net.connect(cells[:3], cells, weight=ns.Uniform(-1.0, 1.0), delay=ns.Uniform(0.1, 9.0))
    net.connect(cells[:3], cells, weight=1.0, delay=ns.Uniform(0.1, 9.0))
    plan = plan_of(net)
    device = EmulatedDevice(2, flags=(f"-DNS_SORT_BYTES={bytes_of_block}",))
    builder, rows = build(plan, device)
    found = table(builder, rows)
    np.testing.assert_array_equal(ordered(found), ordered(expected(plan, builder._layout)))
    for begin, end in zip(rows.row[:-1], rows.row[1:], strict=True):
        np.testing.assert_array_equal(found[begin:end], ordered(found[begin:end]))


def test_bytes_a_synapse():
    def each(weight: Any, **options: Any) -> float:
        net = ns.Network()
        cells = net.population(64, ns.models.iaf_psc_exp(), name="cells")
        net.connect(cells, cells, weight=weight, delay=1.0)
        builder, rows = build(plan_of(net), EmulatedDevice(), **options)
        held = sum(getattr(rows, name).nbytes for name in ("row", "words", "weights"))
        assert builder.nbytes == held
        return (held - 8 * 65) / 64**2

    varied = ns.Normal(1.0, 0.1)
    assert each(2.0) == each(2.0, half=True) == each(2.0, deterministic=True) == 4
    assert each(varied, real="float") == each(varied, deterministic=True) == 8
    assert each(varied, half=True) == 6
    assert each(varied) == 12


def test_one_row_holds_all_synapses_of_one_weight():
    net = ns.Network()
    cells = net.population(10, ns.models.iaf_psc_exp(), name="cells")
    for weight, delay in ((2.0, 0.5), (2.0, 1.0), (-1.0, 1.0), (ns.Normal(1, 1), 2.0)):
        net.connect(cells, cells, ns.FixedOutdegree(4), weight=weight, delay=delay)
    builder, rows = build(plan_of(net), EmulatedDevice())
    assert [(g.weighted, g.amount) for g in builder._groups][1:] == [(False, 2.0), (False, -1.0)]
    np.testing.assert_array_equal(np.diff(rows.row), np.repeat([4, 8, 4], 10))
