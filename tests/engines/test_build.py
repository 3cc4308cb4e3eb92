"""The fast builder against the plain one: bit for bit, for any number of threads."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosim.models as models
from neurosim import random
from neurosim.engines.cpu.build import build_bundle
from neurosim.engines.cpu.kernels import rng
from neurosim.engines.cpu.partition import Partition
from neurosim.engines.cpu.storage import Layout, edges_of
from neurosim.errors import DelayError, NetworkSizeError
from neurosim.lower.connectivity import Edges, specify
from neurosim.lower.expand import expand
from neurosim.network import (
    AllToAll,
    Explicit,
    Exponential,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
    LogNormal,
    Network,
    Normal,
    OneToOne,
    Uniform,
)

RULES = [
    FixedProbability(0.1),
    FixedProbability(0.9, autapses=False),
    FixedProbability(0.0),
    FixedProbability(1.0),
    FixedIndegree(7),
    FixedIndegree(49, autapses=False, multapses=False),
    FixedOutdegree(30, autapses=False),
    FixedOutdegree(40, multapses=False),
    FixedTotalNumber(1500),
    FixedTotalNumber(1500, autapses=False),
    FixedTotalNumber(600, autapses=False, multapses=False),
    AllToAll(autapses=False),
    OneToOne(),
    Explicit([3, 1, 1, 3, 3], [0, 49, 2, 0, 1]),
]
RNG = np.random.default_rng(3)
#: Longer than a batch, in random order, with sources and pairs that repeat.
LONG = Explicit(RNG.integers(0, 50, 5000), RNG.integers(0, 50, 5000))
FIELDS = ("pre", "post", "weight", "delay_steps", "receptor")


def divide(sizes, threads, receptors=2):
    """Return a partition of populations of these sizes, as Partition and as Layout."""
    bounds = tuple(np.array([n * t // threads for t in range(threads + 1)]) for n in sizes)
    padded = np.array([-(-np.diff(b) // 64) * 64 for b in bounds]).T
    widths = receptors * padded
    channels = np.cumsum(widths, axis=1) - widths
    bits = max(6, int(widths.sum(axis=1).max() - 1).bit_length())
    base = channels[:, :, None] + padded[:, :, None] * np.arange(receptors)
    return Partition(threads, bounds, channels, padded, bits), Layout(bounds, base.tolist(), bits)


def assert_equal(found: Edges, wanted: Edges):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(found, field), getattr(wanted, field), err_msg=field)


def build(specs, sizes, threads=1, workers=1, dtype=np.float64):
    partition, layout = divide(sizes, threads)
    targets = [spec.post_population for spec in specs]
    n_sources = sizes[specs[0].pre_population]
    parts = build_bundle(specs, targets, layout, n_sources, workers, dtype)
    edges = [
        edges_of(parts, k, spec, spec.post_population, partition) for k, spec in enumerate(specs)
    ]
    return parts, edges


def specs_of(rules, n=50, *, dt=0.1, seed=5, absolute=False, **kwargs):
    net = Network()
    a = net.population(n, models.iaf_psc_exp(), "a")
    projections = [net.connect(a, a, rule, **kwargs) for rule in rules]
    return [specify(p, dt=dt, connectivity_seed=seed, absolute=absolute) for p in projections]


@pytest.mark.parametrize(("threads", "workers"), [(1, 1), (2, 1), (2, 2), (3, 2), (1, 2)])
def test_every_rule_equals_the_plain_expansion(threads, workers):
    specs = specs_of(RULES, weight=Normal(0, 1), delay=Uniform(0.5, 3))
    _, edges = build(specs, [50], threads, workers)
    for spec, found in zip(specs, edges, strict=True):
        assert_equal(found, expand(spec).by_target())
    assert sum(len(e) for e in edges) > 10_000


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_within_a_segment_the_order_is_that_of_generation(rule):
    (spec,) = specs_of([rule], weight=Normal(0, 1), delay=Uniform(0.5, 3))
    partition, layout = divide([50], 2)
    parts = build_bundle([spec], [0], layout, 50, 2, np.float64)
    plain = expand(spec)
    for t, part in enumerate(parts):
        own = (plain.post >= partition.bounds[0][t]) & (plain.post < partition.bounds[0][t + 1])
        np.testing.assert_array_equal(part.weight, plain.weight[own])
        np.testing.assert_array_equal(part.packed >> partition.bits, plain.delay_steps[own])
        np.testing.assert_array_equal(np.diff(part.ptr), np.bincount(plain.pre[own], minlength=50))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_views_in_any_order(threads):
    net = Network()
    a = net.population(30, models.iaf_psc_exp(), "a")
    b = net.population(20, models.iaf_psc_exp(), "b")
    shuffled = np.random.default_rng(0).permutation(30)[:17]
    projections = [
        net.connect(a[shuffled], b[5:], rule, weight=Normal(1, 1), delay=Uniform(0.5, 1))
        for rule in (FixedProbability(0.4), FixedIndegree(5), FixedTotalNumber(99))
    ]
    projections += [
        net.connect(a[shuffled], a[::-2], rule, weight=Exponential(2), delay=LogNormal(0.5, 0.3))
        for rule in (
            FixedProbability(0.4, autapses=False),
            FixedOutdegree(8, autapses=False, multapses=False),
            FixedTotalNumber(99, autapses=False),
            AllToAll(autapses=False),
        )
    ]
    specs = [specify(p, dt=0.1, connectivity_seed=1) for p in projections]
    _, edges = build(specs, [30, 20], threads, 2)
    for spec, found in zip(specs, edges, strict=True):
        assert_equal(found, expand(spec).by_target())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_stored_in_the_asked_precision_without_negative_zero(dtype):
    rule = Explicit([0, 0, 1], [0, 1, 2])
    (spec,) = specs_of([rule], weight=[-0.0, -1e-60, 0.1], delay=[0.1, 0.2, 0.3])
    (part,), (edges,) = build([spec], [50], dtype=dtype)
    assert part.weight.dtype == dtype
    assert part.weight[2] == dtype(0.1)
    assert not np.signbit(part.weight[0])
    assert not np.signbit(part.weight[1]) or dtype == np.float64
    assert edges.receptor.tolist() == [0, 1, 0]  # -1e-60 is inhibitory even where it rounds to 0
    assert edges.delay_steps.tolist() == [1, 2, 3]


def test_conductances_store_the_size_of_the_weight():
    (spec,) = specs_of([AllToAll()], weight=Normal(0, 1), absolute=True)
    (part,), (edges,) = build([spec], [50])
    assert (part.weight >= 0).all()
    assert_equal(edges, expand(spec).by_target())


def test_one_weight_for_a_projection_is_not_stored():
    specs = specs_of([AllToAll(), OneToOne()], weight=-3.0, delay=1.5)
    (part,), edges = build(specs, [50])
    assert part.weight is None
    assert part.nbytes == 4 * 2550 + 8 * 101
    for spec, found in zip(specs, edges, strict=True):
        assert_equal(found, expand(spec).by_target())


def test_rows_are_source_major_then_projection():
    specs = specs_of([FixedOutdegree(3), FixedOutdegree(4)], weight=Normal(1, 1))
    (part,), _ = build(specs, [50])
    assert np.diff(part.ptr).tolist() == [3, 4] * 50
    assert part.n_projections == 2


def test_short_drawn_delays_get_the_same_error_from_both_builders():
    for rule in (FixedIndegree(20), FixedOutdegree(20), FixedProbability(0.4), LONG):
        (spec,) = specs_of([rule], delay=Normal(0.3, 0.2))
        with pytest.raises(DelayError) as plain:
            expand(spec)
        for threads in (1, 3):
            with pytest.raises(DelayError) as fast:
                build([spec], [50], threads, 2)
            assert str(fast.value) == str(plain.value)


@pytest.mark.parametrize(
    "weight", [Normal(0, 1), 2.0, RNG.normal(0, 1, 5000)], ids=["drawn", "one", "given"]
)
@pytest.mark.parametrize(
    "delay",
    [Uniform(0.5, 3), 1.5, RNG.integers(1, 31, 5000) * 0.1],
    ids=["drawn", "one", "given"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_lists_with_values_drawn_or_given(weight, delay, dtype):
    (spec,) = specs_of([LONG], weight=weight, delay=delay)
    plain = expand(spec)
    for threads in (1, 3):
        partition, layout = divide([50], threads)
        parts = build_bundle([spec], [0], layout, 50, threads, dtype)
        for t, part in enumerate(parts):
            own = (plain.post >= partition.bounds[0][t]) & (plain.post < partition.bounds[0][t + 1])
            assert own.sum() > 1500
            np.testing.assert_array_equal(part.packed >> partition.bits, plain.delay_steps[own])
            if part.weight is not None:
                np.testing.assert_array_equal(part.weight, plain.weight[own].astype(dtype))
        (found,) = [edges_of(parts, 0, spec, 0, partition)]
        np.testing.assert_array_equal(found.post, plain.by_target().post)


def test_lists_of_views_name_members():
    net = Network()
    a = net.population(30, models.iaf_psc_exp(), "a")
    view = a[np.random.default_rng(0).permutation(30)[:17]]
    rule = Explicit(RNG.integers(0, 17, 900), RNG.integers(0, 15, 900))
    projection = net.connect(view, a[::-2], rule, weight=RNG.normal(0, 1, 900), delay=Uniform(1, 2))
    spec = specify(projection, dt=0.1, connectivity_seed=1)
    for threads in (1, 2, 3):
        _, (found,) = build([spec], [30], threads, threads)
        assert_equal(found, expand(spec).by_target())


def test_delays_that_do_not_fit_are_refused_with_figures():
    (spec,) = specs_of([AllToAll()], delay=1e7)
    with pytest.raises(NetworkSizeError, match="a delay of 100000000 steps"):
        build([spec], [50])


def test_rows_longer_than_a_batch():
    rules = [
        FixedProbability(0.9),
        FixedOutdegree(1500, multapses=False),
        FixedIndegree(1500),
        AllToAll(),
    ]
    specs = specs_of(rules, 1600, weight=Normal(0, 1), delay=Uniform(0.5, 3))
    specs = [replace(spec, pre_ids=np.array([3, 1599]), n_pre=2) for spec in specs]
    _, edges = build(specs, [1600], 2, 2)
    for spec, found in zip(specs, edges, strict=True):
        assert_equal(found, expand(spec).by_target())


@pytest.mark.parametrize(
    "rule",
    [
        FixedTotalNumber(1_000_000),
        FixedTotalNumber(500_000, multapses=False),
        FixedIndegree(1000),
        FixedProbability(1.0),
        Explicit(RNG.integers(0, 1000, 1_000_000), RNG.integers(0, 1000, 1_000_000)),
    ],
    ids=repr,
)
def test_building_needs_little_more_memory_than_the_result(rule):
    (small,) = specs_of([FixedOutdegree(1)], weight=Normal(0, 1), delay=Uniform(0.5, 3))
    (spec,) = specs_of([rule], 1000, weight=Normal(0, 1), delay=Uniform(0.5, 3))
    _, layout = divide([1000], 2)
    build([small], [50])  # compiles
    tracemalloc.start()
    parts = build_bundle([spec], [0], layout, 1000, 2, np.float64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The promise is twice; what comes on top are tables over neurons and 40 kB of buffers a task.
    assert peak < 1.2 * sum(part.nbytes for part in parts)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(RULES[:-1]),
    st.integers(50, 60),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2**63),
    st.sampled_from([Normal(0, 1), Normal(2, 1, low=0), LogNormal(0, 1), Exponential(-1), 1.0]),
)
def test_threads_workers_and_seeds(rule, n, threads, workers, seed, weight):
    if isinstance(rule, FixedIndegree) and rule.k == 49:
        n = 50
    (spec,) = specs_of([rule], n, seed=seed, weight=weight, delay=Uniform(0.1, 2))
    _, (found,) = build([spec], [n], threads, workers)
    assert_equal(found, expand(spec).by_target())


@pytest.mark.parametrize(
    "distribution",
    [
        Normal(1.5, 0.75, low=0.1),
        Normal(0, 1, low=8),
        Normal(0, 1, low=-12, high=-9),
        LogNormal(-1, 2),
        Exponential(-3),
        Uniform(1, 2),
    ],
    ids=repr,
)
def test_draws_equal_the_plain_ones_bit_for_bit(distribution):
    words = np.concatenate(
        [random.philox(np.arange(5000), 0, 0, 0, 3, 4)[1], np.array([0, 1, 2**32 - 1], np.uint32)]
    )
    lowered = distribution.lower()
    out = np.empty(words.size)
    rng.draw_buffer(lowered.kind, np.array(lowered[1:]), words, words.size, out)
    np.testing.assert_array_equal(out, distribution.draw(words))


def test_philox_equals_the_plain_one():
    n = 1000
    c0, c1 = np.random.default_rng(1).integers(0, 2**32, (2, n), dtype=np.uint32)
    words = [np.empty(n, np.uint32) for _ in range(4)]
    key = np.uint32(0xFFFFFFFF), np.uint32(0x9E3779B9)
    rng.philox_buffer(c0, c1, n, np.uint32(7), *key, *words)
    for found, wanted in zip(words, random.philox(c0, c1, 7, 0, *map(int, key)), strict=True):
        np.testing.assert_array_equal(found, wanted)
