"""Synapses of every rule in plain NumPy: numbers, degree distributions, exclusions, delays."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosim.models as models
from neurosim.errors import DelayError
from neurosim.lower.connectivity import count_estimate, specify
from neurosim.lower.expand import expand
from neurosim.network import (
    AllToAll,
    Explicit,
    FixedIndegree,
    FixedOutdegree,
    FixedProbability,
    FixedTotalNumber,
    Network,
    Normal,
    OneToOne,
    Uniform,
)

# Every statistical test here has a fixed seed and a false-alarm rate of 1e-3.
ALPHA = 1e-3


def make(rule, n_pre=60, n_post=40, *, same=False, pre=None, post=None, seed=1, dt=0.1, **kwargs):
    net = Network()
    a = net.population(n_pre, models.iaf_psc_exp(), "a")
    b = a if same else net.population(n_post, models.iaf_psc_exp(), "b")
    pre_view = a if pre is None else a[pre]
    post_view = b if post is None else b[post]
    projection = net.connect(pre_view, post_view, rule, **kwargs)
    return specify(projection, dt=dt, connectivity_seed=seed)


def pairs(edges):
    return list(zip(edges.pre.tolist(), edges.post.tolist(), strict=True))


def chi_square(counts, expected):
    return scipy.stats.chisquare(counts, expected).pvalue


def test_fixed_probability_connects_each_pair_alike():
    hits = np.zeros((30, 20))
    n = 400
    for seed in range(n):
        edges = expand(make(FixedProbability(0.2), 30, 20, seed=seed))
        np.add.at(hits, (edges.pre, edges.post), 1)
        assert len(set(pairs(edges))) == len(edges)
    # Each pair is a binomial variable; their standardised squares sum to a chi-square one.
    z = (hits - n * 0.2) / np.sqrt(n * 0.2 * 0.8)
    assert scipy.stats.chi2.sf((z**2).sum(), hits.size) > ALPHA
    assert scipy.stats.chi2.cdf((z**2).sum(), hits.size) > ALPHA


@pytest.mark.parametrize("p", [0.001, 0.3, 0.9])
def test_fixed_probability_has_binomial_outdegrees(p):
    edges = expand(make(FixedProbability(p), 2000, 300))
    degree = np.bincount(edges.pre, minlength=2000)
    law = scipy.stats.binom(300, p)
    cuts = np.unique(law.ppf(np.linspace(0.1, 0.9, 9)))
    edges_of_bins = np.concatenate([[-1], cuts, [300]])
    expected = 2000 * np.diff(law.cdf(edges_of_bins))
    counts = np.histogram(degree, edges_of_bins + 0.5)[0]
    keep = expected > 0
    assert chi_square(counts[keep], expected[keep]) > ALPHA


@pytest.mark.parametrize(("p", "n"), [(0.0, 0), (1.0, 60 * 40)])
def test_fixed_probability_at_its_ends(p, n):
    assert len(expand(make(FixedProbability(p)))) == n


def test_fixed_indegree_is_exact_and_its_outdegrees_multinomial():
    edges = expand(make(FixedIndegree(30), 100, 500))
    assert set(np.bincount(edges.post, minlength=500)) == {30}
    assert chi_square(np.bincount(edges.pre, minlength=100), np.full(100, 150.0)) > ALPHA


def test_fixed_outdegree_is_exact_and_its_indegrees_multinomial():
    edges = expand(make(FixedOutdegree(30), 500, 100))
    assert set(np.bincount(edges.pre, minlength=500)) == {30}
    assert chi_square(np.bincount(edges.post, minlength=100), np.full(100, 150.0)) > ALPHA


@pytest.mark.parametrize("multapses", [True, False])
def test_fixed_total_number_is_exact_and_uniform_over_pairs(multapses):
    hits = np.zeros((10, 8))
    for seed in range(200):
        edges = expand(make(FixedTotalNumber(40, multapses=multapses), 10, 8, seed=seed))
        assert len(edges) == 40
        np.add.at(hits, (edges.pre, edges.post), 1)
    expected = 200 * 40 / 80
    variance = expected * (1 - 1 / 80 if multapses else 0.5)  # multinomial; half of all pairs
    # One constraint: the total is fixed.
    statistic = ((hits - expected) ** 2).sum() / variance * (1 - 1 / 80)
    assert scipy.stats.chi2.sf(statistic, 79) > ALPHA
    assert scipy.stats.chi2.cdf(statistic, 79) > ALPHA


def test_partly_overlapping_views_leave_all_allowed_pairs_alike():
    # Sources 0-5, targets 3-8 of one population: sources 0-2 have six targets, 3-5 only five.
    hits = np.zeros((6, 9))
    for seed in range(100):
        rule = FixedTotalNumber(330, autapses=False)
        edges = expand(make(rule, 9, same=True, pre=slice(0, 6), post=slice(3, 9), seed=seed))
        np.add.at(hits, (edges.pre, edges.post), 1)
    allowed = [(i, j) for i in range(6) for j in range(3, 9) if i != j]
    counts = np.array([hits[pair] for pair in allowed])
    assert counts.sum() == hits.sum() == 33_000
    assert chi_square(counts, np.full(33, 1000.0)) > ALPHA


@pytest.mark.parametrize(
    "rule",
    [
        FixedProbability(0.3, autapses=False),
        FixedIndegree(39, autapses=False),
        FixedOutdegree(39, autapses=False),
        FixedTotalNumber(1500, autapses=False),
        AllToAll(autapses=False),
    ],
)
def test_autapses_can_be_excluded_and_every_other_pair_occurs(rule):
    found = set()
    for seed in range(12):
        edges = expand(make(rule, 40, same=True, seed=seed))
        assert (edges.pre != edges.post).all()
        found |= set(pairs(edges))
    assert len(found) > 0.97 * 40 * 39
    own = {(i, i) for i in range(40)}
    assert found.isdisjoint(own)


@pytest.mark.parametrize(
    ("rule", "n"),
    [
        (FixedIndegree(25, multapses=False), 1000),
        (FixedOutdegree(39, multapses=False, autapses=False), 1560),
        (FixedTotalNumber(1560, multapses=False, autapses=False), 1560),
        (FixedTotalNumber(800, multapses=False), 800),
    ],
)
def test_multapses_can_be_excluded(rule, n):
    edges = expand(make(rule, 40, same=True))
    assert len(edges) == n == len(set(pairs(edges)))


def test_all_to_all_and_one_to_one():
    assert set(pairs(expand(make(AllToAll(), 3, 2)))) == {(i, j) for i in range(3) for j in (0, 1)}
    assert pairs(expand(make(OneToOne(), 4, 4))) == [(i, i) for i in range(4)]


def test_explicit_keeps_values_with_their_pairs_and_order_within_a_source():
    rule = Explicit([2, 0, 2, 0], [1, 3, 0, 3])
    edges = expand(make(rule, weight=[1.0, 2.0, -3.0, 4.0], delay=[0.1, 0.2, 0.3, 0.4]))
    assert pairs(edges) == [(0, 3), (0, 3), (2, 1), (2, 0)]
    assert edges.weight.tolist() == [2.0, 4.0, 1.0, -3.0]
    assert edges.delay_steps.tolist() == [2, 4, 1, 3]
    assert edges.receptor.tolist() == [0, 0, 0, 1]


def test_explicit_edges_of_a_large_population_are_sorted_stably():
    pre = np.random.default_rng(1).integers(0, 200_000, 5000)
    pre[::2] = pre[0]
    edges = expand(make(Explicit(pre, np.arange(5000)), 200_000, 5000))
    assert edges.post.tolist() == np.argsort(pre, kind="stable").tolist()


def test_views_are_mapped_to_ids():
    edges = expand(make(AllToAll(), pre=[5, 3], post=[9]))
    assert pairs(edges) == [(3, 9), (5, 9)]


def test_weights_and_delays_follow_their_distributions():
    spec = make(
        FixedTotalNumber(20_000), weight=Normal(20, 2, low=0), delay=Uniform(0.45, 3.05), seed=3
    )
    edges = expand(spec)
    assert scipy.stats.kstest(edges.weight, scipy.stats.norm(20, 2).cdf).pvalue > ALPHA
    # 5 ... 30 steps, each an interval of 0.1 ms of the uniform range.
    counts = np.bincount(edges.delay_steps, minlength=31)[5:]
    assert chi_square(counts, np.full(26, 20_000 / 26)) > ALPHA
    assert abs(np.corrcoef(edges.weight, edges.delay_steps)[0, 1]) < 3.3 / np.sqrt(20_000)


def test_conductances_store_the_size_of_the_weight_and_the_sign_picks_the_receptor():
    net = Network()
    a = net.population(50, models.iaf_psc_exp(), "a")
    projection = net.connect(a, a, weight=Normal(0, 1))
    edges = expand(specify(projection, dt=0.1, connectivity_seed=1, absolute=True))
    assert (edges.weight >= 0).all()
    assert set(edges.receptor) == {0, 1}


def test_negative_zero_is_never_stored():
    edges = expand(make(AllToAll(), weight=-0.0))
    assert not np.signbit(edges.weight).any()


def test_draws_depend_on_seed_and_names_only():
    spec = make(FixedTotalNumber(500), weight=Normal(0, 1))
    again = make(FixedTotalNumber(500), weight=Normal(0, 1))
    other = make(FixedTotalNumber(500), weight=Normal(0, 1), seed=2)
    named = make(FixedTotalNumber(500), weight=Normal(0, 1), name="else")
    assert pairs(expand(spec)) == pairs(expand(again))
    assert pairs(expand(spec)) != pairs(expand(other))
    assert pairs(expand(spec)) != pairs(expand(named))


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        (
            {"delay": 0.05},
            "projection 'a->b': delay 0.05 ms is shorter than the step dt = 0.1 ms",
        ),
        ({"delay": 0.25}, "delay 0.25 ms is not on the grid of dt = 0.1 ms. Use multiples of dt"),
        ({"delay": 0.04, "round_delays": True}, "use delays of at least 0.1 ms"),
        (
            {"rule": Explicit([0, 1, 2], [0, 1, 2]), "delay": [0.1, 0.25, 0.35]},
            "2 of 3 delays (first 0.25 ms at synapse 1) are not on the grid",
        ),
        (
            {"rule": Explicit([0, 1, 2], [0, 1, 2]), "delay": [0.1, 0.02, 0.04]},
            "2 of 3 delays (first 0.02 ms at synapse 1) are shorter than the step dt = 0.1 ms "
            "(smallest 0.02)",
        ),
    ],
)
def test_given_delays_off_the_grid_are_refused(kwargs, text):
    with pytest.raises(DelayError) as caught:
        make(**({"rule": AllToAll()} | kwargs))
    assert text.lower() in str(caught.value).lower()


def test_given_delays_are_rounded_on_request_and_near_multiples_accepted():
    rule = Explicit([0, 1, 2], [0, 1, 2])
    spec = make(rule, delay=[0.06, 0.14, 0.26], round_delays=True)
    assert expand(spec).delay_steps.tolist() == [1, 1, 3]
    assert expand(make(AllToAll(), delay=0.1 * 3)).delay_steps[0] == 3


@pytest.mark.parametrize("wrong", [0.25, 0.04])
def test_one_wrong_delay_far_down_a_long_list_is_found(wrong):
    delay = np.full(50_000, 0.3)
    delay[40_000] = wrong
    nobody = np.zeros(50_000, int)
    with pytest.raises(DelayError, match=rf"1 of 50000 delays \(first {wrong} ms at synapse 40000"):
        make(Explicit(nobody, nobody), delay=delay)


def test_drawn_delays_below_one_step_are_refused():
    with pytest.raises(
        DelayError, match=r"projection 'a->b': \d+ of 2400 drawn delays are below"
    ) as e:
        expand(make(AllToAll(), delay=Normal(0.5, 0.3)))
    assert "or lower dt" in str(e.value)


@pytest.mark.parametrize(
    ("rule", "same"),
    [
        (FixedProbability(0.3), False),
        (FixedProbability(0.3, autapses=False), True),
        (FixedIndegree(7), False),
        (FixedOutdegree(7), False),
        (FixedTotalNumber(123), False),
        (AllToAll(autapses=False), True),
        (OneToOne(), True),
        (Explicit([0], [0]), False),
    ],
)
def test_count_estimates(rule, same):
    spec = make(rule, same=same)
    expected, upper = count_estimate(spec)
    n = len(expand(spec))
    assert n <= upper
    if isinstance(rule, FixedProbability):
        assert abs(n - expected) < 4 * np.sqrt(expected)
    else:
        assert n == expected == upper


options = {"autapses": st.booleans(), "multapses": st.booleans()}
rules = st.one_of(
    st.builds(FixedProbability, st.floats(0, 1), autapses=st.booleans()),
    st.builds(FixedIndegree, st.integers(0, 9), **options),
    st.builds(FixedOutdegree, st.integers(0, 9), **options),
    st.builds(FixedTotalNumber, st.integers(0, 80), **options),
    st.builds(AllToAll, autapses=st.booleans()),
)


@settings(deadline=None, max_examples=60)
@given(rules, st.integers(10, 14), st.booleans(), st.integers(0, 2**64))
def test_any_rule_keeps_its_promises(rule, n, same, seed):
    edges = expand(make(rule, n, 12, same=same, seed=seed, weight=Normal(0, 1), delay=0.2))
    assert (np.diff(edges.pre) >= 0).all()
    assert edges.pre.size == 0 or (edges.pre.min() >= 0 and edges.pre.max() < n)
    assert edges.post.size == 0 or (
        edges.post.min() >= 0 and edges.post.max() < (n if same else 12)
    )
    if same and not rule.autapses:
        assert (edges.pre != edges.post).all()
    if not getattr(rule, "multapses", False):
        assert len(set(pairs(edges))) == len(edges)
    assert len(edges.by_target()) == len(edges)


def test_the_smallest_probability_makes_no_synapse_and_no_warning():
    net = Network()
    cells = net.population(10, models.iaf_psc_exp(), name="cells")
    projection = net.connect(cells, cells, FixedProbability(np.finfo(float).tiny))
    assert len(expand(specify(projection, dt=0.1, connectivity_seed=0))) == 0
