"""One segment: the probabilities that it answers wrongly, and that it misses its pattern."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from neurosim.analysis.dendrites._checks import at_most, probabilities, whole
from neurosim.results._arrays import FloatArray, IntArray


def overlap_set(n: int, a: int, s: int, b: int) -> int:
    """Return how many patterns overlap a segment in exactly b synapses.

    Parameters
    ----------
    n : int
        Cells of the population.
    a : int
        Cells active in a pattern.
    s : int
        Synapses of the segment, on different cells.
    b : int
        Overlap.

    Returns
    -------
    count : int
        Exact.

    Raises
    ------
    ParameterError
        If a or s exceeds n, or a number is negative.

    Notes
    -----
    ``|Omega(n, a, b)| = C(s, b) C(n - s, a - b)``: Ahmad & Hawkins (2016), arXiv:1601.00720, eq. 3.

    Examples
    --------
    >>> overlap_set(6, 3, 2, 1)
    12
    """
    _check("overlap_set", n, a, s)
    whole("overlap_set", b=b)
    return math.comb(s, b) * math.comb(n - s, a - b) if b <= a else 0


def false_match(n: ArrayLike, a: ArrayLike, s: ArrayLike, theta: ArrayLike) -> FloatArray:
    """Return the probability that a random pattern is taken for the stored one.

    Parameters
    ----------
    n : int or array_like
        Cells of the population.
    a : int or array_like
        Cells active in a pattern, drawn uniformly.
    s : int or array_like
        Synapses of the segment; s = a is a segment that stores the whole pattern.
    theta : int or array_like
        Active synapses at which the segment answers.

    Returns
    -------
    probability : float64 of the broadcast shape
        Relative error below 1e-9 for n up to a million (`exact_false_match` has none).

    Raises
    ------
    ParameterError
        If a or s exceeds n, or a number is negative or not whole.

    Notes
    -----
    The upper tail of a hypergeometric distribution,
    ``sum_(b >= theta) C(s, b) C(n - s, a - b) / C(n, a)``: Ahmad & Hawkins (2016),
    arXiv:1601.00720, eq. 4.

    Examples
    --------
    >>> print(f"{false_match(10_000, 300, 24, 12):.5e}")
    8.37585e-13
    """
    cells, active, synapses, least = _check("false_match", n, a, s, theta)
    return _upper_tail(cells, synapses, active, least)


def exact_false_match(n: int, a: int, s: int, theta: int) -> Fraction:
    """Return `false_match` as a fraction of two integers.

    Examples
    --------
    >>> exact_false_match(10, 4, 2, 2)
    Fraction(2, 15)
    """
    _check("exact_false_match", n, a, s, theta)
    hits = sum(overlap_set(n, a, s, b) for b in range(theta, s + 1))
    return Fraction(hits, math.comb(n, a))


def leading_term(n: ArrayLike, a: ArrayLike, s: ArrayLike, theta: ArrayLike) -> FloatArray:
    """Return the approximation of `false_match` for sparse activity, C(s, theta) (a/n)^theta.

    It is an upper bound: of the sum over all choices of theta synapses (union bound), each of
    which is active with at most that probability.

    Examples
    --------
    >>> print(f"{leading_term(10_000, 300, 24, 12):.3e}")
    1.437e-12
    """
    cells, active, synapses, least = _check("leading_term", n, a, s, theta)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.where(least > 0, least * (np.log(active) - np.log(cells)), 0.0)
    return np.where(least <= synapses, np.exp(_log_binomial(synapses, least) + power), 0.0)


def false_negative(a: ArrayLike, s: ArrayLike, theta: ArrayLike, v: ArrayLike) -> FloatArray:
    """Return the probability that the stored pattern is missed when v of its cells are silent.

    Parameters
    ----------
    a : int or array_like
        Cells of the stored pattern.
    s : int or array_like
        Synapses of the segment, on a random s of them.
    theta : int or array_like
        Active synapses at which the segment answers.
    v : int or array_like
        Cells of the pattern that are silent, drawn uniformly. If other cells are active in their
        place, they meet no synapse of the segment: the probability does not change.

    Returns
    -------
    probability : float64 of the broadcast shape

    Raises
    ------
    ParameterError
        If s or v exceeds a, or a number is negative or not whole.

    Notes
    -----
    b synapses are lost, and missed is the pattern when more than s - theta are:
    ``sum_(b > s - theta) C(s, b) C(a - s, v - b) / C(a, v)``; it does not depend on n. Ahmad &
    Hawkins (2016), arXiv:1601.00720, section on robustness to noise.

    Examples
    --------
    >>> print(f"{false_negative(128, 30, 12, 64):.4f}")
    0.0717
    """
    cells, synapses, least, lost = _check_lost("false_negative", a, s, theta, v)
    return _upper_tail(cells, synapses, lost, np.maximum(synapses - least + 1, 0))


def exact_false_negative(a: int, s: int, theta: int, v: int) -> Fraction:
    """Return `false_negative` as a fraction of two integers.

    Examples
    --------
    >>> exact_false_negative(4, 2, 2, 1)
    Fraction(1, 2)
    """
    _check_lost("exact_false_negative", a, s, theta, v)
    missed = sum(overlap_set(a, v, s, b) for b in range(max(s - theta + 1, 0), s + 1))
    return Fraction(missed, math.comb(a, v))


def any_match(probability: ArrayLike, k: ArrayLike) -> FloatArray:
    """Return the probability that at least one of k independent segments (or patterns) matches.

    Parameters
    ----------
    probability : float or array_like
        Of one, such as `false_match`.
    k : int or array_like

    Returns
    -------
    probability : float64 of the broadcast shape
        ``1 - (1 - p)^k``, at most ``k p``; accurate however small p is.

    Raises
    ------
    ParameterError
        If a probability lies outside [0, 1] or k is negative or not whole.

    Examples
    --------
    >>> print(f"{any_match(1e-20, 1000):.1e}")
    1.0e-17
    """
    (one,) = probabilities("any_match", probability=probability)
    (number,) = whole("any_match", k=k)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_none = np.where(number > 0, number * np.log1p(-one), 0.0)
    return np.asarray(-np.expm1(log_none))


def _check(
    function: str, n: ArrayLike, a: ArrayLike, s: ArrayLike, theta: ArrayLike = 0
) -> list[IntArray]:
    arrays = whole(function, n=n, a=a, s=s, theta=theta)
    cells, active, synapses, _ = arrays
    at_most(function, ("a", active), ("n", cells))
    at_most(function, ("s", synapses), ("n", cells))
    return arrays


def _check_lost(
    function: str, a: ArrayLike, s: ArrayLike, theta: ArrayLike, v: ArrayLike
) -> list[IntArray]:
    arrays = whole(function, a=a, s=s, theta=theta, v=v)
    cells, synapses, _, lost = arrays
    at_most(function, ("s", synapses), ("a", cells))
    at_most(function, ("v", lost), ("a", cells))
    return arrays


def _log_binomial(n: IntArray, k: IntArray) -> FloatArray:
    """Return log C(n, k) where 0 <= k <= n, else -inf."""
    inside = (k >= 0) & (k <= n)
    k = np.where(inside, k, 0)
    n = np.where(inside, n, 0)
    value = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return np.where(inside, value, -np.inf)


def _upper_tail(total: IntArray, marked: IntArray, drawn: IntArray, least: IntArray) -> FloatArray:
    """Return P(at least `least` marked ones among `drawn` of `total`), hypergeometric."""
    total, marked, drawn, least = (x[..., None] for x in (total, marked, drawn, least))
    hits = np.arange(int(marked.max(initial=0)) + 1)
    log_terms = (
        _log_binomial(marked, hits)
        + _log_binomial(total - marked, drawn - hits)
        - _log_binomial(total, drawn)
    )
    terms = np.where(hits >= least, np.exp(log_terms), 0.0)
    return np.asarray(np.minimum(terms.sum(axis=-1), 1.0))
