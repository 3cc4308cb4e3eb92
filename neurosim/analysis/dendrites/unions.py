"""Several patterns on one segment: the union property."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neurosim.analysis.dendrites._checks import at_most, whole
from neurosim.analysis.dendrites.detection import false_match
from neurosim.results._arrays import FloatArray, IntArray


def union_synapses(n: ArrayLike, s: ArrayLike, m: ArrayLike) -> FloatArray:
    """Return the expected number of different synapses of a segment that stores m patterns.

    Parameters
    ----------
    n : int or array_like
        Cells of the population.
    s : int or array_like
        Synapses for each pattern.
    m : int or array_like
        Patterns, independent and uniform.

    Returns
    -------
    synapses : float64 of the broadcast shape
        ``n (1 - (1 - s/n)^m)``.

    Raises
    ------
    ParameterError
        If s exceeds n, or a number is negative or not whole.

    Notes
    -----
    Ahmad & Hawkins (2016), arXiv:1601.00720, section on unions of patterns.

    Examples
    --------
    >>> print(f"{union_synapses(10_000, 20, 10):.2f}")
    198.21
    """
    cells, synapses, patterns = _check("union_synapses", n, s, m)
    return np.asarray(cells * _density(cells, synapses, patterns))


def union_false_match(
    n: ArrayLike, a: ArrayLike, s: ArrayLike, theta: ArrayLike, m: ArrayLike
) -> FloatArray:
    """Return the probability that a random pattern matches a segment that stores m patterns.

    It is `false_match` with the expected number of synapses, `union_synapses`, rounded to a whole
    number, in place of s; the threshold stays.

    Parameters
    ----------
    n, a, s, theta : int or array_like
        As for `false_match`; s synapses for each pattern.
    m : int or array_like
        Patterns.

    Returns
    -------
    probability : float64 of the broadcast shape

    Raises
    ------
    ParameterError
        As `false_match`.

    Examples
    --------
    >>> print(f"{union_false_match(10_000, 200, 20, 10, 10):.3e}")
    6.411e-03
    """
    synapses = np.rint(union_synapses(n, s, m)).astype(np.int64)
    return false_match(n, a, synapses, theta)


def pattern_union_match(n: ArrayLike, a: ArrayLike, theta: ArrayLike, m: ArrayLike) -> FloatArray:
    """Return the probability that theta random cells all lie in the union of m whole patterns.

    Parameters
    ----------
    n : int or array_like
        Cells of the population.
    a : int or array_like
        Cells of a pattern, all of which are stored.
    theta : int or array_like
        Cells that must be in the union; theta = a asks for a whole pattern.
    m : int or array_like
        Patterns in the union.

    Returns
    -------
    probability : float64 of the broadcast shape
        ``(1 - (1 - a/n)^m)^theta``: the density of the union to the power of theta.

    Raises
    ------
    ParameterError
        If a exceeds n, or a number is negative or not whole.

    Notes
    -----
    Cells are taken as independent, which holds for theta << n. Ahmad & Hawkins (2016),
    arXiv:1601.00720, section on unions of patterns.

    Examples
    --------
    >>> print(f"{pattern_union_match(1000, 20, 20, 20):.2e}")
    2.71e-10
    """
    cells, active, patterns = _check("pattern_union_match", n, a, m, name="a")
    (least,) = whole("pattern_union_match", theta=theta)
    return np.asarray(_density(cells, active, patterns) ** least)


def _check(
    function: str, n: ArrayLike, part: ArrayLike, m: ArrayLike, name: str = "s"
) -> tuple[IntArray, IntArray, IntArray]:
    (cells,) = whole(function, minimum=1, n=n)
    chosen, patterns = whole(function, 0, **{name: part, "m": m})
    at_most(function, (name, chosen), ("n", cells))
    return cells, chosen, patterns


def _density(n: IntArray, part: IntArray, m: IntArray) -> FloatArray:
    """Return 1 - (1 - part/n)^m."""
    return np.asarray(1.0 - (1.0 - part / n) ** m)
