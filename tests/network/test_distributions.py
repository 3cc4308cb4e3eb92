"""Distributions: moments, truncation, errors, and the round trip through plain data."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from neurosim import random
from neurosim.errors import ParameterError
from neurosim.network import Exponential, LogNormal, Normal, Uniform
from neurosim.network.distributions import distribution_from_dict

WORDS = random.philox(np.arange(100_000), 0, 0, 0, 1, 2)[1]
CASES = [
    (Uniform(-2.0, 5.0), scipy.stats.uniform(-2, 7)),
    (Normal(3.0, 2.0), scipy.stats.norm(3, 2)),
    (Normal(1.5, 0.75, low=0.1), scipy.stats.truncnorm(-1.4 / 0.75, np.inf, 1.5, 0.75)),
    (Normal(0.0, 1.0, low=2.0, high=2.5), scipy.stats.truncnorm(2, 2.5)),
    (Normal(0.0, 1.0, low=-9.0, high=-8.0), scipy.stats.truncnorm(-9, -8)),
    (Normal(0.0, 1.0, low=8.0), scipy.stats.truncnorm(8, np.inf)),
    (LogNormal(1.0, 0.5), scipy.stats.lognorm(0.5, scale=math.e)),
    (Exponential(20.0), scipy.stats.expon(scale=20)),
]


@pytest.mark.parametrize(("distribution", "truth"), CASES, ids=lambda c: repr(c)[:50])
def test_draws_follow_the_distribution(distribution, truth):
    values = distribution.draw(WORDS)
    # Kolmogorov-Smirnov at a fixed seed, false alarm 1e-3 a case.
    assert scipy.stats.kstest(values, truth.cdf).pvalue > 1e-3
    # Mean within four standard errors, false alarm 6e-5.
    assert abs(values.mean() - distribution.mean_value) < 4 * truth.std() / math.sqrt(values.size)
    assert distribution.mean_value == pytest.approx(truth.mean(), rel=1e-9)


@pytest.mark.parametrize("distribution", [d for d, _ in CASES], ids=repr)
def test_no_draw_leaves_the_support(distribution):
    low, high = distribution.support
    values = distribution.draw(np.array([0, 1, 2**31, 2**32 - 2, 2**32 - 1], np.uint32))
    assert np.isfinite(values).all()
    assert low <= values.min() <= values.max() <= high


@given(st.floats(-100, 100), st.floats(0.01, 100), st.floats(-5, 5), st.floats(0.1, 5))
def test_truncation_holds_for_any_bounds(mean, std, low, width):
    bounds = mean + std * low, mean + std * (low + width)
    values = Normal(mean, std, *bounds).draw(WORDS[:500])
    # The bounds themselves carry a rounding error of this size.
    slack = 1e-13 * (abs(mean) + 10 * std)
    assert bounds[0] - slack <= values.min() <= values.max() <= bounds[1] + slack


def test_inhibitory_exponential_is_negative():
    assert (Exponential(-3.0).draw(WORDS) < 0).all()


def test_zero_width_is_a_constant():
    assert set(Normal(2.0, 0.0).draw(WORDS[:10])) == {2.0}
    assert set(Uniform(2.0, 2.0).draw(WORDS[:10])) == {2.0}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Normal(0.0, -1.0), "Normal: std = -1.0; a standard deviation must be >= 0"),
        (lambda: Normal(math.nan, 1.0), "Normal: mean = nan; a finite number is needed"),
        (lambda: Normal("a", 1.0), "Normal: mean = 'a'; a finite number is needed"),
        (lambda: Normal(0.0, 1.0, low=1.0, high=0.0), "it must be above low = 1"),
        (lambda: Normal(0.0, 1.0, low=50.0), "no part of the distribution lies between"),
        (lambda: Normal(0.0, 0.0, low=1.0), "with std = 0 it must lie between low and high"),
        (lambda: Uniform(2.0, 1.0), "Uniform: high = 1.0; it must not be below low = 2"),
        (lambda: Uniform(0.0, math.inf), "Uniform: high = inf; a finite number is needed"),
        (lambda: LogNormal(0.0, -1.0), "LogNormal: sigma = -1.0"),
        (lambda: LogNormal(0.0, 200.0), "must not exceed 700"),
        (lambda: Exponential(math.inf), "Exponential: mean = inf"),
    ],
)
def test_nonsense_is_refused(make, text):
    with pytest.raises(ParameterError) as caught:
        make()
    assert text in str(caught.value)


@pytest.mark.parametrize("distribution", [d for d, _ in CASES], ids=repr)
def test_round_trip(distribution):
    assert distribution_from_dict(distribution.to_dict()) == distribution
