"""The generator against its published vectors, the functions against SciPy."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from neurosim import random


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    # Random123 1.14.0, tests/kat_vectors, lines "philox4x32 10"
    [
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_meets_the_published_vectors(counter, key, expected):
    assert tuple(int(word) for word in random.philox(*counter, *key)) == expected


def test_philox_broadcasts_its_counters():
    words = random.philox(np.arange(6).reshape(2, 3), np.arange(3), 7, 0, 1, 2)
    assert words[0].shape == (2, 3)
    assert words[2][1, 2] == random.philox(5, 2, 7, 0, 1, 2)[2]


def test_stream_keys_depend_on_every_part_and_on_where_parts_end():
    keys = {
        random.stream_key(1, "ab", "c"),
        random.stream_key(1, "a", "bc"),
        random.stream_key(2, "ab", "c"),
        random.stream_key(1, "abc"),
        random.stream_key(-1, "abc"),
    }
    assert len(keys) == 5
    assert all(0 <= word < 2**32 for key in keys for word in key)


def test_uniform_numbers_reach_neither_end():
    extremes = np.array([0, 2**32 - 1], np.uint32)
    assert random.uniform(extremes).tolist() == [2.0**-33, 1 - 2.0**-33]
    u = random.uniform53(extremes, extremes)
    assert 0 < u[0] < u[1] < 1


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_integer_below_is_the_exact_product(n, high, low):
    assert int(random.integer_below(n, high, low)) == (((high << 32) | low) * n) >> 64


def test_log_and_exp_are_within_one_unit_in_the_last_place():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(0, 2, 50_000), 10.0 ** rng.uniform(-300, 300, 50_000)])
    assert np.max(np.abs(random.log(x) - np.log(x)) / np.spacing(np.abs(np.log(x)))) <= 1
    y = rng.uniform(-708, 708, 50_000)
    assert np.max(np.abs(random.exp(y) / np.exp(y) - 1)) < 2.3e-16


def test_log1p_keeps_small_arguments():
    for x in (-1e-300, -1e-12, -0.3, 0.5):
        assert random.log1p(x) == pytest.approx(np.log1p(x), rel=1e-15)


def test_normal_quantile_matches_scipy_over_its_range():
    u = np.concatenate([10.0 ** np.linspace(-300, -0.31, 20_000), np.linspace(0.5, 1 - 1e-9, 9999)])
    z = scipy.special.ndtri(u)
    # 1e-14: near the median both are small differences of nearly equal numbers
    np.testing.assert_allclose(random.normal_ppf(u), z, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("z", [-36.0, -8.0, -1.96, -1e-9, 0.0, 0.7, 5.0])
def test_normal_cdf_matches_scipy(z):
    assert random.normal_cdf(z) == pytest.approx(scipy.special.ndtr(z), rel=2e-14)


def test_normal_cdf_at_infinity():
    assert (random.normal_cdf(-np.inf), random.normal_cdf(np.inf)) == (0.0, 1.0)


def test_consecutive_counters_are_uniform():
    # Kolmogorov-Smirnov at a fixed seed; false alarm 1e-3 for each of four words.
    for word in random.philox(np.arange(100_000), 0, 0, 0, 42, 43):
        assert scipy.stats.kstest(random.uniform(word), "uniform").pvalue > 1e-3
