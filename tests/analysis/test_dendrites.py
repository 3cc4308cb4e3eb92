"""Theory of sparse patterns on dendritic segments, against reference numbers and sampling.

The numbers are those of the notebooks of Ahmad & Hawkins (2016), and of their equations evaluated
independently, to all digits printed.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim import errors
from neurosim.analysis import dendrites


def same_digits(value, printed):
    """Return whether a number, rounded to as many digits as were printed, is the printed one."""
    digits = len(printed.lower().split("e")[0].replace(".", "").lstrip("0"))
    return float(f"{float(value):.{digits - 1}e}") == float(printed)


FALSE_MATCH = [
    (10000, 300, 24, 12, "8.37585e-13"),
    (10000, 64, 24, 12, "4.0416e-21"),
    (2000, 40, 20, 15, "2.47192e-23"),
    (2000, 40, 20, 10, "4.94363e-13"),
    (200000, 2000, 10, 10, "9.77936e-21"),
    (100000, 2000, 6, 6, "6.35309e-11"),
    (100000, 2000, 8, 8, "2.52507e-14"),
    (100000, 2000, 10, 10, "1.00163e-17"),
    (100000, 2000, 12, 6, "5.29387e-08"),
    (100000, 2000, 16, 8, "2.81725e-10"),
    (100000, 2000, 20, 10, "1.54193e-12"),
    (100000, 2000, 24, 12, "8.58694e-15"),
    (100000, 2000, 40, 10, "4.91542e-09"),
    (100000, 2000, 80, 10, "4.62568e-06"),
    (100000, 2000, 120, 10, "1.588e-04"),
    (100000, 2000, 240, 20, "1.07991e-07"),
    (400, 8, 4, 2, "0.00206315"),
    (300, 64, 24, 12, "1.09462e-03"),
    (500, 64, 24, 12, "5.69571e-06"),
    (2100, 64, 24, 12, "4.51268e-13"),
    (4100, 64, 24, 12, "1.66259e-16"),
    (1024, 8, 8, 4, "1.06241e-07"),
    (10000, 200, 20, 10, "1.27006e-12"),
]
LOST = (26, 38, 51, 64, 77)
FALSE_NEGATIVE = {
    8: ("3.14e-16", "7.90e-10", "3.456e-06", "7.354e-04", "2.687e-02"),
    12: ("7.927e-10", "1.092e-05", "2.796e-03", "7.17e-02", "0.4265"),
    16: ("1.973e-05", "6.275e-03", "0.1391", "0.5825", "0.9339"),
}
GRID = {  # mean, median, max
    4: ("8.09e-3", "1.99e-3", "6.25e-2"),
    6: ("2.65e-4", "1.2e-5", "3.67e-3"),
    8: ("5.23e-6", "3.3e-8", "1.1e-4"),
    9: ("6.18e-7", None, None),
    10: ("6.57e-8", "4.8e-11", "1.89e-6"),
    12: ("5.5e-10", "3.4e-14", "2.0e-8"),
    15: ("2.1e-13", None, None),
    20: ("8.0e-20", None, None),
}
UNION = {  # patterns: (probability, synapses) for two segments
    1: (("1.270e-12", 20), ("7.14e-24", 30)),
    2: (("4.113e-09", 40), ("2.05e-18", 60)),
    5: (("2.962e-05", 100), ("2.983e-12", 148)),
    10: (("6.411e-03", 198), ("4.319e-08", 290)),
    20: (("0.2594", 392), ("1.718e-04", 559)),
    40: (("0.9506", 770), ("7.23e-02", 1040)),
}


class TestReferenceNumbers:
    @pytest.mark.parametrize("n, a, s, theta, printed", FALSE_MATCH)
    def test_false_match(self, n, a, s, theta, printed):
        assert same_digits(dendrites.false_match(n, a, s, theta), printed)
        assert same_digits(dendrites.exact_false_match(n, a, s, theta), printed)

    @pytest.mark.parametrize("theta", FALSE_NEGATIVE)
    def test_false_negative(self, theta):
        found = dendrites.false_negative(128, 30, theta, LOST)
        for value, lost, printed in zip(found, LOST, FALSE_NEGATIVE[theta], strict=True):
            assert same_digits(value, printed)
            assert same_digits(dendrites.exact_false_negative(128, 30, theta, lost), printed)

    def test_thresholds_over_the_grid(self):
        found = dendrites.threshold_errors()
        assert found.theta.tolist() == list(range(3, 25))
        for theta, (mean, median, largest) in GRID.items():
            k = theta - 3
            assert same_digits(found.mean[k], mean)
            assert median is None or same_digits(found.median[k], median)
            assert largest is None or same_digits(found.max[k], largest)

    def test_grid_is_what_it_says(self):
        """Every statistic from one list over the product, for a small grid."""
        found = dendrites.threshold_errors([3, 5], n=[100, 200], s=[10, 20], sparsity=[0.03, 0.1])
        for k, theta in enumerate((3, 5)):
            grid = itertools.product((100, 200), (10, 20), (0.03, 0.1))
            each = [float(dendrites.false_match(n, round(p * n), s, theta)) for n, s, p in grid]
            assert found.mean[k] == pytest.approx(np.mean(each))
            assert found.std[k] == pytest.approx(np.std(each))
            assert (found.min[k], found.max[k]) == pytest.approx((min(each), max(each)))
            assert found.median[k] == pytest.approx(np.median(each))

    @pytest.mark.parametrize("m", UNION)
    def test_union(self, m):
        for (n, a, s, theta), (printed, synapses) in zip(
            ((10000, 200, 20, 10), (4000, 40, 30, 15)), UNION[m], strict=True
        ):
            assert round(float(dendrites.union_synapses(n, s, m))) == synapses
            assert same_digits(dendrites.union_false_match(n, a, s, theta, m), printed)


class TestSampling:
    """Within 4 standard errors of theory: one false alarm in 16,000 for each comparison."""

    def within(self, estimate, theory):
        error = np.sqrt(theory * (1 - theory) / estimate.n_draws)
        return np.all(np.abs(estimate.probability - theory) < 4 * error)

    def test_false_matches(self):
        theta = np.arange(8, 12)
        found = dendrites.sample_matches(500, 64, 24, theta, n_draws=250_000, seed=2)
        assert found.probability[-1] > 0
        assert self.within(found, dendrites.false_match(500, 64, 24, theta))

    def test_false_negatives(self):
        found = dendrites.sample_matches(1000, 128, 30, 12, n_draws=100_000, n_silent=64)
        assert found.standard_error == pytest.approx(8e-4, rel=0.05)
        assert self.within(found, 1 - dendrites.false_negative(128, 30, 12, 64))

    def test_union(self):
        found = dendrites.sample_matches(10000, 200, 20, 10, n_draws=20_000, n_patterns=10)
        assert 5.5e-3 < found.probability < 7.5e-3

    def test_an_intact_pattern_of_a_union_is_never_missed(self):
        found = dendrites.sample_overlaps(300, 20, 10, n_draws=500, n_patterns=5, n_silent=0)
        assert found.min() >= 10  # more where the other patterns share cells
        assert found.max() > 10

    def test_subsets_are_uniform(self):
        """All C(5, 3) subsets, none with a cell twice; chi-square below its 0.999 quantile."""
        rng = np.random.default_rng(3)
        drawn = np.sort(dendrites.random_subsets(5, 3, 20_000, rng), axis=1)
        assert (np.diff(drawn, axis=1) > 0).all()
        subsets, counts = np.unique(drawn, axis=0, return_counts=True)
        assert len(subsets) == math.comb(5, 3)
        assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # 9 degrees of freedom

    def test_seed_decides(self):
        first, again, other = (
            dendrites.sample_overlaps(200, 20, 10, n_draws=200, seed=seed) for seed in (1, 1, 2)
        )
        assert (first == again).all()
        assert (first != other).any()

    def test_estimate_counts(self):
        found = dendrites.estimate([0, 3, 3, 7], [0, 3, 4, 8])
        assert found.probability.tolist() == [1.0, 0.75, 0.25, 0.0]
        assert found.standard_error[2] == pytest.approx(np.sqrt(0.25 * 0.75 / 4))
        assert found.n_draws == 4


sizes = st.integers(1, 60).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n), st.integers(0, n + 2))
)


class TestMathematics:
    @given(sizes)
    @settings(deadline=None)
    def test_floats_equal_fractions(self, size):
        n, a, s, theta = size
        exact = dendrites.exact_false_match(*size)
        assert float(dendrites.false_match(*size)) == pytest.approx(float(exact), rel=1e-11)
        assert 0 <= exact <= 1
        if s <= n:
            lost = dendrites.exact_false_negative(n, s, theta, a)
            found = float(dendrites.false_negative(n, s, theta, a))
            assert found == pytest.approx(float(lost), rel=1e-11)

    @given(sizes)
    def test_overlap_sets_are_all_patterns(self, size):
        n, a, s, _ = size
        total = sum(dendrites.overlap_set(n, a, s, b) for b in range(s + 1))
        assert total == math.comb(n, a)

    @given(sizes)
    @settings(deadline=None)
    def test_segment_and_pattern_change_places(self, size):
        """The overlap of two random sets does not know which of them is the segment."""
        n, a, s, theta = size
        one, two = dendrites.false_match(n, a, s, theta), dendrites.false_match(n, s, a, theta)
        assert float(one) == pytest.approx(float(two), rel=1e-10)

    @given(sizes)
    @settings(deadline=None)
    def test_leading_term_is_a_bound(self, size):
        exact = float(dendrites.exact_false_match(*size))
        assert exact <= float(dendrites.leading_term(*size)) * (1 + 1e-10)

    def test_leading_term_is_the_limit_of_sparse_activity(self):
        ratio = dendrites.leading_term(10**6, 300, 20, 10) / dendrites.false_match(
            10**6, 300, 20, 10
        )
        # C(a, theta)/a^theta falls short of 1 by theta (theta - 1)/(2 a)
        assert ratio == pytest.approx(1.0, rel=0.2)
        assert ratio > 1.0

    def test_large_numbers_keep_their_digits(self):
        exact = dendrites.exact_false_match(1_000_000, 20_000, 40, 20)
        found = dendrites.false_match(1_000_000, 20_000, 40, 20)
        assert found == pytest.approx(float(exact), rel=1e-9)

    def test_any_match(self):
        exact = 1 - (1 - Fraction(1, 1000)) ** 50
        assert float(dendrites.any_match(1e-3, 50)) == pytest.approx(float(exact), rel=1e-14)
        assert dendrites.any_match(1e-20, 1000) == pytest.approx(1e-17)  # 1 - (1 - p)^k gives 0
        assert dendrites.any_match([0.0, 1.0, 1.0], [5, 5, 0]).tolist() == [0.0, 1.0, 0.0]

    def test_union_of_one_pattern_is_the_pattern(self):
        assert dendrites.union_synapses(1000, 20, [0, 1]).tolist() == pytest.approx([0, 20])
        one = dendrites.union_false_match(1000, 20, 20, 10, 1)
        assert one == dendrites.false_match(1000, 20, 20, 10)

    def test_pattern_union(self):
        density = 1 - 0.98**20
        assert dendrites.pattern_union_match(1000, 20, 5, 20) == pytest.approx(density**5)
        assert dendrites.pattern_union_match(1000, 20, 0, 20) == 1.0

    def test_arrays_broadcast(self):
        found = dendrites.false_match([[500], [1000]], 64, 24, np.arange(8, 12))
        assert found.shape == (2, 4)
        assert found[1, 2] == dendrites.false_match(1000, 64, 24, 10)
        assert (np.diff(found, axis=1) < 0).all()
        assert (found[0] > found[1]).all()

    def test_optimal_threshold(self):
        found = dendrites.optimal_threshold(500, 64, 24, 20, n_distractors=100)
        theta = np.arange(1, 25)
        wrong = 1 - (1 - dendrites.false_match(500, 64, 24, theta)) ** 100
        total = wrong + dendrites.false_negative(64, 24, theta, 20)
        assert found.theta == theta[np.argmin(total)]
        assert 1 < found.theta < 24
        assert found.false_match == dendrites.false_match(500, 64, 24, found.theta)
        assert found.false_negative == dendrites.false_negative(64, 24, found.theta, 20)
        more = dendrites.optimal_threshold(500, 64, 24, 20, n_distractors=100_000)
        assert more.theta > found.theta  # a cautious segment

    def test_lowest_threshold(self):
        theta = int(dendrites.lowest_threshold(10000, 200, 20, 1e-9))
        assert dendrites.false_match(10000, 200, 20, theta) <= 1e-9
        assert dendrites.false_match(10000, 200, 20, theta - 1) > 1e-9
        found = dendrites.lowest_threshold([100, 10000], 8, [4, 20], [1e-30, 1.0])
        assert found.tolist() == [5, 0]  # four synapses are not enough


class TestMessages:
    @pytest.mark.parametrize(
        "call, text",
        [
            (lambda: dendrites.false_match(10, 11, 2, 1), "a = 11 exceeds n = 10"),
            (lambda: dendrites.false_match(10, [3, 4], [5, 12], 1), "s = 12 exceeds n = 10"),
            (lambda: dendrites.false_match(10, 2.5, 2, 1), "a = 2.5: whole numbers"),
            (lambda: dendrites.false_match(10, 2, 2, -1), "theta = -1: at least 0"),
            (lambda: dendrites.false_negative(10, 11, 2, 1), "s = 11 exceeds a = 10"),
            (lambda: dendrites.false_negative(10, 5, 2, 11), "v = 11 exceeds a = 10"),
            (lambda: dendrites.any_match(1.5, 2), r"probability = 1.5 is not in \[0, 1\]"),
            (lambda: dendrites.union_synapses(10, 11, 1), "s = 11 exceeds n = 10"),
            (lambda: dendrites.pattern_union_match(10, 11, 1, 1), "a = 11 exceeds n = 10"),
            (lambda: dendrites.threshold_errors([]), "theta is empty"),
            (lambda: dendrites.threshold_errors(sparsity=[2.0]), "sparsity = "),
            (lambda: dendrites.optimal_threshold(10, 5, 0, 1), "s = 0: at least 1"),
            (lambda: dendrites.random_subsets(3, 4, 1, None), "k = 4 exceeds n = 3"),
            (lambda: dendrites.sample_overlaps(9, 3, 4, n_draws=1), "s = 4 exceeds a = 3"),
            (lambda: dendrites.sample_overlaps(9, 3, 3, n_draws=0), "n_draws = 0: at least 1"),
            (lambda: dendrites.estimate([], 3), "at least one draw"),
        ],
    )
    def test_what_is_impossible_is_refused(self, call, text):
        with pytest.raises(errors.ParameterError, match=text):
            call()
