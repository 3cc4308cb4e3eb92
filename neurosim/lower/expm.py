"""The matrix exponential, of many small matrices at once."""

from __future__ import annotations

import numpy as np

#: Norm that matrices are scaled to; terms of the series, whose rest is then below 2**-60.
_NORM, _TERMS = 0.5, 16


def expm(matrices: np.ndarray) -> np.ndarray:
    """Return the exponentials of matrices.

    By scaling, Taylor series and squaring. Every entry of the propagator of a neuron comes out to a
    few units in the last place, also those that are small, and the decays along the diagonal to
    one where no state acts back on itself through others. (SciPy's function bounds the error by the
    norm of the matrix, takes matrices one by one, and importing it is a sixth of the time to a
    first result.)

    Parameters
    ----------
    matrices : (..., m, m) float64

    Returns
    -------
    (..., m, m) float64

    Examples
    --------
    >>> expm(np.array([[0.0, 1.0], [0.0, 0.0]]))
    array([[1., 1.],
           [0., 1.]])
    """
    A = np.asarray(matrices, float)
    if not A.size:
        return A
    norm = np.abs(A).sum(axis=-2).max(axis=-1)
    with np.errstate(divide="ignore"):
        halvings = np.maximum(np.ceil(np.log2(norm / _NORM)), 0.0).astype(int)
    scaled = A * 2.0 ** -halvings[..., None, None]
    one = np.broadcast_to(np.eye(A.shape[-1]), A.shape)
    result = one
    for k in range(_TERMS, 0, -1):
        result = one + scaled @ result / k
    for done in range(int(halvings.max())):
        result = np.where((done < halvings)[..., None, None], result @ result, result)
    if _is_acyclic(A):
        diagonal = np.arange(A.shape[-1])
        result = np.array(result)
        result[..., diagonal, diagonal] = np.exp(A[..., diagonal, diagonal])
    return result


def _is_acyclic(A: np.ndarray) -> bool:
    """Return whether the matrices can be made triangular by one order of their rows."""
    m = A.shape[-1]
    acts = (A != 0).reshape(-1, m, m).any(axis=0) & ~np.eye(m, dtype=bool)
    return not np.linalg.matrix_power(acts.astype(float), m).any()
