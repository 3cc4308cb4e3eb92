"""The same probabilities by drawing patterns and segments, and by counting what any model did.

`random_subsets` makes patterns and segments; `estimate` turns overlaps, or what a simulated segment
counted, into probabilities with their errors. `sample_overlaps` joins them without an engine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from neurosim.analysis.dendrites._checks import at_most, whole
from neurosim.errors import ParameterError
from neurosim.random import stream_key
from neurosim.results._arrays import FloatArray, IntArray

BYTES_AT_ONCE = 1 << 24  # of masks of a byte a cell


class Estimate(NamedTuple):
    """Probabilities estimated from draws, their standard errors, and the number of draws.

    The standard error is that of a proportion, sqrt(p (1 - p) / n_draws), with the estimate for p:
    0 where nothing or everything matched. Against a theory, take the theory's p.
    """

    probability: FloatArray
    standard_error: FloatArray
    n_draws: int


def random_subsets(n: int, k: int, n_draws: int, rng: np.random.Generator) -> IntArray:
    """Return random subsets of k of n cells, each of the C(n, k) equally likely.

    Parameters
    ----------
    n, k : int
        Cells, and cells of a subset.
    n_draws : int
        Subsets.
    rng : numpy.random.Generator

    Returns
    -------
    subsets : (n_draws, k) int64
        Different cells in every row, in no particular order (and not in a random one).

    Raises
    ------
    ParameterError
        If k exceeds n, or a number is negative or not whole.

    Notes
    -----
    Floyd's algorithm for all rows together: the j-th cell is drawn from the first n - k + j + 1,
    and if the row has it already, it is the last of these. Bentley & Floyd (1987), Comm. ACM
    30:754.

    Examples
    --------
    >>> random_subsets(5, 5, 1, np.random.default_rng(0)).sum(axis=1)
    array([10])
    """
    cells, chosen, _ = whole("random_subsets", n=n, k=k, n_draws=n_draws)
    at_most("random_subsets", ("k", chosen), ("n", cells))
    found = np.empty((n_draws, k), np.int64)
    block = max(1, BYTES_AT_ONCE // max(n, 1))
    for start in range(0, n_draws, block):
        part = found[start : start + block]
        taken = np.zeros(len(part) * n, np.bool_)  # one byte for each cell of each subset
        row = np.arange(len(part)) * n
        for j in range(k):
            last = n - k + j
            drawn = rng.integers(last + 1, size=len(part))
            part[:, j] = np.where(taken[row + drawn], last, drawn)
            taken[row + part[:, j]] = True
    return found


def sample_overlaps(
    n: int,
    a: int,
    s: int,
    *,
    n_draws: int,
    n_patterns: int = 1,
    n_silent: int | None = None,
    seed: int = 0,
) -> IntArray:
    """Return how many synapses of random segments are active.

    Every draw has new patterns of a cells and a new segment with synapses on a random s of the
    cells of each.

    Parameters
    ----------
    n, a, s : int
        Cells, active cells, synapses for each pattern.
    n_draws : int
        Segments, each of which sees one pattern.
    n_patterns : int, default 1
        Patterns that a segment stores; one synapse serves all that share its cell.
    n_silent : int, optional
        Show the segment its first pattern, with so many of its cells silent. Without it, show a
        random pattern.
    seed : int, default 0

    Returns
    -------
    overlaps : (n_draws,) int64

    Raises
    ------
    ParameterError
        If s or n_silent exceeds a, or a exceeds n, or a number is negative or not whole.

    Examples
    --------
    >>> sample_overlaps(100, 10, 5, n_draws=3, n_silent=0)
    array([5, 5, 5])
    """
    name = "sample_overlaps"
    whole(name, minimum=1, n_draws=n_draws, n_patterns=n_patterns)
    silent = 0 if n_silent is None else n_silent
    cells, active, synapses, quiet = whole(name, n=n, a=a, s=s, n_silent=silent)
    at_most(name, ("a", active), ("n", cells))
    at_most(name, ("s", synapses), ("a", active))
    at_most(name, ("n_silent", quiet), ("a", active))
    low, high = stream_key(seed, "dendrites", name)
    rng = np.random.Generator(np.random.Philox(key=low | high << 32))
    overlaps = np.empty(n_draws, np.int64)
    block = max(1, BYTES_AT_ONCE // max(n, 1))
    for start in range(0, n_draws, block):
        size = min(block, n_draws - start)
        row = np.arange(size)[:, None]
        synapse = np.zeros((size, n), np.bool_)
        patterns = [random_subsets(n, a, size, rng) for _ in range(n_patterns)]
        for pattern in patterns:
            synapse[row, pattern[row, random_subsets(a, s, size, rng)]] = True
        if n_silent is None:
            shown = random_subsets(n, a, size, rng)
        else:
            shown = patterns[0][row, random_subsets(a, a - n_silent, size, rng)]
        overlaps[start : start + size] = synapse[row, shown].sum(axis=1)
    return overlaps


def estimate(overlaps: ArrayLike, theta: ArrayLike) -> Estimate:
    """Return how often overlaps reach a threshold.

    Parameters
    ----------
    overlaps : (n_draws,) array_like of int
        Active synapses, from `sample_overlaps` or a simulation.
    theta : int or array_like of int
        Thresholds.

    Returns
    -------
    Estimate
        Its arrays have the shape of `theta`.

    Raises
    ------
    ParameterError
        If there is no overlap.

    Examples
    --------
    >>> estimate([3, 5, 8, 9], 8).probability
    array(0.5)
    """
    found = np.sort(np.asarray(overlaps))
    if found.ndim != 1 or found.size == 0:
        raise ParameterError(
            f"estimate: overlaps has shape {found.shape}: at least one draw, in one dimension, is "
            "expected."
        )
    p = np.asarray(1.0 - np.searchsorted(found, np.asarray(theta), side="left") / found.size)
    return Estimate(p, np.asarray(np.sqrt(p * (1.0 - p) / found.size)), found.size)


def sample_matches(
    n: int,
    a: int,
    s: int,
    theta: ArrayLike,
    *,
    n_draws: int,
    n_patterns: int = 1,
    n_silent: int | None = None,
    seed: int = 0,
) -> Estimate:
    """Return how often random segments match: false matches, or detections of a noisy pattern.

    Parameters
    ----------
    n, a, s, n_draws, n_patterns, n_silent, seed
        As for `sample_overlaps`. With `n_silent` it is the stored pattern that is shown, and one
        minus the probability is that of a false negative.
    theta : int or array_like of int
        Thresholds, all tried on the same draws.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> found = sample_matches(500, 64, 24, 8, n_draws=10_000)
    >>> theory = 0.00643  # false_match(500, 64, 24, 8)
    >>> bool(abs(found.probability - theory) < 4 * found.standard_error)
    True
    """
    overlaps = sample_overlaps(
        n, a, s, n_draws=n_draws, n_patterns=n_patterns, n_silent=n_silent, seed=seed
    )
    return estimate(overlaps, theta)
