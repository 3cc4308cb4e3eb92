"""The matrix exponential, of many small matrices at once."""

from __future__ import annotations

import numpy as np

#: Norm that matrices are scaled to; terms of the series, whose rest is then below 2**-60.
_NORM, _TERMS = 0.5, 16


def expm(matrices: np.ndarray) -> np.ndarray:
    """Return the exponentials of matrices.

    By scaling, Taylor series and squaring. Every entry of the propagator of a neuron comes out to a
    few units in the last place, also those that are small. A step and its integral that come from
    one matrix leave a neuron at rest exactly there. (SciPy's function bounds the error by the norm
    of the matrix, takes matrices one by one, and importing it is a sixth of the time to a first
    result.)

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
    return result
