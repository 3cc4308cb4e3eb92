"""Accuracy of the kernels' own exp and exprel, against NumPy in higher precision."""

import numpy as np
import pytest
from numba import njit

from neurosim.engines.cpu.kernels.functions import exp32, exp64, exprel32, exprel64


def applied(function, x):
    @njit(error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    out = np.empty_like(x)
    loop(x, out)
    return out


def arguments(bound, dtype):
    """Arguments of every size: wide, around 0, near the change of method at 1/2, tiny."""
    rng = np.random.default_rng(1)
    x = np.concatenate(
        [
            rng.uniform(-bound, bound, 100_000),
            rng.uniform(-2, 2, 100_000),
            rng.uniform(-0.01, 0.01, 50_000),
            rng.uniform(-1e-6, 1e-6, 10_000) + rng.choice([-0.5, 0.5], 10_000),
            10.0 ** rng.uniform(-30, 0, 1000),
        ]
    ).astype(dtype)
    return x[x != 0]


def expm1(x):
    return np.expm1(x.astype(np.longdouble))


@pytest.mark.parametrize(
    ("function", "bound", "dtype", "allowed"),
    [(exp64, 700.0, np.float64, 3e-16), (exp32, 86.0, np.float32, 2e-7)],
)
def test_exp(function, bound, dtype, allowed):
    x = arguments(bound, dtype)
    exact = np.exp(x.astype(np.longdouble))
    assert np.abs(applied(function, x) / exact - 1).max() < allowed


@pytest.mark.parametrize(
    ("function", "bound", "dtype", "allowed"),
    [(exprel64, 700.0, np.float64, 5e-16), (exprel32, 86.0, np.float32, 2.5e-7)],
)
def test_exprel(function, bound, dtype, allowed):
    x = arguments(bound, dtype)
    exact = expm1(x) / x
    assert np.abs(applied(function, x) / exact - 1).max() < allowed
    np.testing.assert_array_equal(applied(function, np.zeros(2, dtype)), 1.0)


@pytest.mark.parametrize(("function", "dtype"), [(exp64, np.float64), (exp32, np.float32)])
def test_exp_saturates_and_keeps_nan(function, dtype):
    low, high, nan = applied(function, np.array([-1e4, 1e4, np.nan], dtype))
    assert 0 < low < 1e-37
    assert 1e37 < high < np.inf
    assert np.isnan(nan)
