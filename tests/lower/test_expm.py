"""The matrix exponential against many digits, closed forms and SciPy."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.linalg import expm as scipy_expm

from neurosim.lower.expm import expm


def exact(A: np.ndarray) -> np.ndarray:
    with mpmath.workdps(50):
        return np.array(mpmath.expm(mpmath.matrix(A.tolist())).tolist())


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest relative error of an entry."""
    return max(abs(float((mpmath.mpf(float(x)) - y) / y))
               for x, y in zip(found.flat, expected.flat, strict=True) if y != 0)  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("step", [1e-4, 0.1, 1.0])
def test_chains_of_decaying_states(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 6))
    A = np.tril(rng.uniform(0.0, 2.0, (m, m)), -1) - np.diag(rng.uniform(0.01, 3.0, m))
    order = rng.permutation(m)
    A = step * A[np.ix_(order, order)]
    assert error(expm(A), exact(A)) < 4e-15


@pytest.mark.parametrize("scale", [1e-6, 0.3, 8.0, 60.0])
def test_any_matrix(scale: float) -> None:
    A = np.random.default_rng(5).uniform(-scale, scale, (20, 4, 4))
    for found, one in zip(expm(A), A, strict=True):
        np.testing.assert_allclose(found, scipy_expm(one), rtol=1e-10, atol=0.0)


def test_rotation() -> None:
    angle = 2.5
    found = expm(angle * np.array([[0.0, -1.0], [1.0, 0.0]]))
    c, s = np.cos(angle), np.sin(angle)
    np.testing.assert_allclose(found, [[c, -s], [s, c]], rtol=0, atol=2e-15)


def test_many_matrices_are_each_as_if_alone() -> None:
    scales = np.array([0.0, 1e-3, 1.0, 40.0])[:, None, None]
    A = scales * np.random.default_rng(1).uniform(-1.0, 1.0, (4, 3, 3))
    np.testing.assert_array_equal(expm(A), [expm(one) for one in A])
    assert expm(np.zeros((0, 2, 2))).shape == (0, 2, 2)
