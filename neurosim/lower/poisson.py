"""Poisson processes as tables: what every engine draws them from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.errors import ParameterError
from neurosim.random import stream_key

#: Mean events a neuron and step above which one word is drawn for every neuron (measured: a dense
#: draw costs about as much as a tenth of an event of the sparse method).
DENSE_ABOVE = 0.1
#: Members that the dense method draws together: one Philox call makes the words of four of them.
DENSE_BLOCK = 512
#: Mean events of a block of the sparse method.
_BLOCK_MEAN = 32.0
_LARGEST_MEAN = 1e5


@dataclass(frozen=True)
class PoissonProcess:
    """Independent Poisson counts a step for n members.

    Attributes
    ----------
    n : int
    mean : float
        Largest mean count of a member a step.
    accept : (n,) float64 or None
        Mean of each member relative to the largest; None if all are equal.
    dense : bool
        One word a member and step, or events drawn for whole blocks of members.
    block : int
        Members a block (sparse).
    cdf : (m,) uint32
        A count is the number of entries that a word exceeds; per member (dense, padded to a
        multiple of eight) or per block (sparse).
    key : tuple of int
    changes : (k,) int64
        Steps after which a rate holds (inhomogeneous).
    factors : (k,) float64
        Rates relative to the largest.
    """

    n: int
    mean: float
    accept: np.ndarray | None
    dense: bool
    block: int
    cdf: np.ndarray
    key: tuple[int, int]
    changes: np.ndarray
    factors: np.ndarray


def poisson_process(
    means: np.ndarray | float,
    n: int,
    name: str,
    seed: int,
    changes: np.ndarray | None = None,
    factors: np.ndarray | None = None,
    is_input: bool = False,
    dense_allowed: bool = False,
) -> PoissonProcess:
    """Return the tables of a process.

    Parameters
    ----------
    means : float or (n,) array
        Mean count a step of every member (at the largest rate).
    n : int
        Number of members.
    name : str
        Names the random stream, together with whether it is a generator or an input.
    seed : int
    changes, factors : arrays, optional
        Of an inhomogeneous process.
    is_input : bool
        Whether it is an input, not a generator.
    dense_allowed : bool
        Whether the dense method may be chosen (inputs onto contiguous targets).

    Raises
    ------
    ParameterError
        If a mean is above 100,000 a step.
    """
    largest = float(np.max(means))
    if largest > _LARGEST_MEAN:
        raise ParameterError(
            f"{name}: {largest:g} Poisson events a step; at most {_LARGEST_MEAN:g} are possible. "
            "Lower the rate or the step dt."
        )
    accept = None
    if np.ndim(means) and not np.all(np.asarray(means) == largest):
        accept = np.ascontiguousarray(np.asarray(means) / largest)
    none = np.zeros(0)
    changes = none.astype(np.int64) if changes is None else changes
    factors = none if factors is None else factors
    dense = dense_allowed and accept is None and not changes.size and largest > DENSE_ABOVE
    block = 1
    while not dense and block < n and block * 2 * largest <= _BLOCK_MEAN:
        block *= 2
    cdf = poisson_words(largest if dense else largest * block)
    if dense:
        cdf = np.append(cdf, np.full(-cdf.size % 8, 0xFFFFFFFF, np.uint32))
    key = stream_key(seed, "poisson input" if is_input else "poisson", name)
    return PoissonProcess(n, largest, accept, dense, block, cdf, key, changes, factors)


def poisson_words(mean: float) -> np.ndarray:
    """Return the words w_k for which P(word > w_k) = P(count > k), as uint32.

    Examples
    --------
    >>> poisson_words(0.0).size
    0
    """
    from scipy.special import pdtr  # a network without Poisson processes starts sooner

    if mean == 0.0:
        return np.zeros(0, np.uint32)
    k = np.arange(int(mean + 12 * np.sqrt(mean) + 40))
    words = np.rint(pdtr(k, mean) * 2.0**32) - 1
    table: np.ndarray = np.maximum(words[words < 2**32 - 1], 0).astype(np.uint32)
    return table
