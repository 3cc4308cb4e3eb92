"""Which threshold a segment should have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from neurosim.analysis.dendrites._checks import probabilities, whole
from neurosim.analysis.dendrites.detection import any_match, false_match, false_negative
from neurosim.errors import ParameterError
from neurosim.results._arrays import FloatArray, IntArray

#: The grid of the authors' prediction of thresholds.
GRID_THETA = tuple(range(3, 25))
GRID_N = (1000, 5000, 9000, 13_000, 17_000)
GRID_S = (20, 25, 30, 35, 40, 45, 50)
GRID_SPARSITY = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03)


class ThresholdErrors(NamedTuple):
    """Probability of a false match over a grid of populations and segments, by threshold.

    All are (n_thresholds,); `theta` int64, the others float64. `std` is the population's.
    """

    theta: IntArray
    mean: FloatArray
    std: FloatArray
    min: FloatArray
    max: FloatArray
    median: FloatArray


class Optimum(NamedTuple):
    """The best threshold and the two probabilities of error it has."""

    theta: int
    false_match: float
    false_negative: float


def threshold_errors(
    theta: Sequence[int] = GRID_THETA,
    *,
    n: Sequence[int] = GRID_N,
    s: Sequence[int] = GRID_S,
    sparsity: Sequence[float] = GRID_SPARSITY,
) -> ThresholdErrors:
    """Return how the false matches of many populations and segments depend on the threshold.

    Where the error has become negligible while theta is still about half the synapses, a
    threshold serves all of them: 8 to 20 synapses, about what NMDA spikes take.

    Parameters
    ----------
    theta : sequence of int, default 3 to 24
    n : sequence of int, default 1000, 5000, 9000, 13000, 17000
        Cells.
    s : sequence of int, default 20, 25, ..., 50
        Synapses of a segment.
    sparsity : sequence of float, default 0.5 to 3 % in steps of 0.5 %
        Active part of the cells: a = round(sparsity n).

    Returns
    -------
    ThresholdErrors

    Raises
    ------
    ParameterError
        If a list is empty or a value impossible.

    Notes
    -----
    `false_match` over the grid of Ahmad & Hawkins (2016), arXiv:1601.00720, prediction of the
    threshold of NMDA spikes.

    Examples
    --------
    >>> errors = threshold_errors([10])
    >>> print(f"{errors.mean[0]:.2e}")
    6.57e-08
    """
    for name, values in (("theta", theta), ("n", n), ("s", s), ("sparsity", sparsity)):
        if len(values) == 0:
            raise ParameterError(f"threshold_errors: {name} is empty; give at least one value.")
    (part,) = probabilities("threshold_errors", sparsity=sparsity)
    (least,) = whole("threshold_errors", theta=theta)
    cells, synapses, parts = np.meshgrid(n, s, part, indexing="ij")
    active = np.rint(parts * cells).astype(np.int64)
    error = false_match(cells.ravel(), active.ravel(), synapses.ravel(), least[:, None])
    return ThresholdErrors(
        least, error.mean(1), error.std(1), error.min(1), error.max(1), np.median(error, axis=1)
    )


def optimal_threshold(n: int, a: int, s: int, v: int, *, n_distractors: int = 1) -> Optimum:
    """Return the threshold at which a segment errs least.

    Parameters
    ----------
    n, a, s : int
        Cells, active cells, synapses, as for `false_match`.
    v : int
        Cells of the stored pattern that are silent when it is shown, as for `false_negative`.
    n_distractors : int, default 1
        Random patterns that the segment sees for each time that the stored one is shown.

    Returns
    -------
    Optimum
        The theta in 1 ... s that minimises the sum of two probabilities: that the stored pattern
        is missed and that any of the distractors is taken for it. The smallest such theta.

    Raises
    ------
    ParameterError
        If a or s exceeds n, s or v exceeds a, or s is 0.

    Notes
    -----
    Ahmad & Hawkins (2016) plot both errors against theta and noise; this takes their sum's minimum.

    Examples
    --------
    >>> optimal_threshold(6000, 128, 30, 64, n_distractors=1000).theta
    8
    """
    whole("optimal_threshold", minimum=1, s=s)
    theta = np.arange(1, int(s) + 1)
    wrong = any_match(false_match(n, a, s, theta), n_distractors)
    missed = false_negative(a, s, theta, v)
    best = int(np.argmin(wrong + missed))
    return Optimum(int(theta[best]), float(false_match(n, a, s, theta[best])), float(missed[best]))


def lowest_threshold(n: ArrayLike, a: ArrayLike, s: ArrayLike, error: ArrayLike) -> IntArray:
    """Return the lowest threshold whose probability of a false match does not exceed `error`.

    Parameters
    ----------
    n, a, s : int or array_like
        As for `false_match`.
    error : float or array_like
        Allowed probability.

    Returns
    -------
    theta : int64 of the broadcast shape
        s + 1 where even s active synapses are too often reached by chance.

    Raises
    ------
    ParameterError
        As `false_match`, or if the error is not in [0, 1].

    Examples
    --------
    >>> int(lowest_threshold(10_000, 200, 20, 1e-9))
    9
    """
    (allowed,) = probabilities("lowest_threshold", error=error)
    (synapses,) = whole("lowest_threshold", s=s)
    theta = np.arange(int(synapses.max(initial=0)) + 2)
    n, a, allowed = (np.asarray(x)[..., None] for x in (n, a, allowed))
    enough = false_match(n, a, synapses[..., None], theta) <= allowed
    return np.asarray(np.argmax(enough, axis=-1))
