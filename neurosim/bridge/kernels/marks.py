"""Marks: one bit for each value of a layer's output, set where the value is not zero.

Kernels of neurons mark their spikes while these are in the cache; what is dense is marked by
`sparse.scan`. From marks, lists of events are made without a look at the values, of which there
are 32 or 64 times as many bytes.

The values of a tensor [T, B, N] are marked in groups of `lanes` consecutive values, a row of
`words` each: by steps (lanes = B * N), or by samples (lanes = N).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from neurosim.bridge.kernels.vector import WORD, count_bits, lowest_bit, nonzero_64

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}


@dataclass(frozen=True)
class Marks:
    """Which values are not zero.

    Attributes
    ----------
    words : (n_groups * n_words + 1,) uint64 array
        n_words = ceil(lanes / 64), at least one, for each group, and one at the end that nothing is
        read from. Bit k of a group's word w belongs to its value 64 w + k.
    lanes : int
        Values of a group, a multiple of the columns N.
    """

    words: np.ndarray
    lanes: int

    @classmethod
    def empty(cls, n_groups: int, lanes: int) -> Marks:
        """Return marks for a kernel to write."""
        return cls(np.empty(n_groups * words_of(lanes) + 1, np.uint64), lanes)

    @property
    def by_group(self) -> np.ndarray:
        """The words as [n_groups, n_words], in the same memory."""
        return self.words[:-1].reshape(-1, words_of(self.lanes))

    def rows(self, n: int) -> tuple[np.ndarray, int, int, int]:
        """Return what `count` and `columns` take for rows of n columns."""
        return self.words, words_of(self.lanes), self.lanes // max(1, n), n


def words_of(lanes: int) -> int:
    """Return the words that mark so many values."""
    return max(1, -(-lanes // WORD))


@njit(**_OPTIONS)
def mark(row, bits):
    """Set bit i of the words `bits` where ``row[i]`` is not 0, and clear it elsewhere.

    0.05 ns a value where `row` is in the cache.
    """
    whole = row.size // WORD
    for w in range(whole):
        bits[w] = nonzero_64(row, w * WORD)
    if whole * WORD < row.size:
        word = np.uint64(0)
        for i in range(whole * WORD, row.size):
            word |= np.uint64(row[i] != 0) << np.uint64(i - whole * WORD)
        bits[whole] = word


@njit(**_OPTIONS)
def _window(low, high, place, width):
    """Return at most 64 bits from a place on that lies in the word `low`; `high` follows it."""
    shift = np.uint64(place & (WORD - 1))
    word = (low >> shift) | ((high << np.uint64(1)) << (np.uint64(WORD - 1) - shift))
    if width < WORD:
        word &= (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    return word


@njit(**_OPTIONS)
def count(first, last, size, words, n_words, samples, n, counts):
    """Count the marks of each row: a group has rows of `samples` samples, a row `n` columns.

    Blocks have `size` rows.
    """
    sample, base = first * size % samples, first * size // samples * n_words
    for r in range(first * size, min(last * size, counts.size)):
        total = 0
        for at in range(0, n, WORD):
            place = sample * n + at
            w = base + (place >> 6)
            total += count_bits(_window(words[w], words[w + 1], place, n - at))
        counts[r] = total
        sample += 1
        if sample == samples:
            sample, base = 0, base + n_words


@njit(**_OPTIONS)
def columns(first, last, size, words, n_words, samples, n, ptr, index):
    """Write the columns of the marks of each row, from ``index[ptr[r]]`` on; as in `count`.

    Four columns of a word are written at a time, whether it has them or not: what is too much the
    next word overwrites, and hardly a branch is mispredicted. Where that would reach into another
    block they are written one by one.
    """
    # unsigned: an index that may be negative is checked for it, which takes as long as the rest
    one, four = np.uint64(1), np.uint64(4)
    end = min(last * size, ptr.size - 1)
    limit, p = np.uint64(ptr[end]), np.uint64(ptr[first * size])
    sample, base = first * size % samples, first * size // samples * n_words
    for _ in range(first * size, end):
        for at in range(0, n, WORD):
            place = sample * n + at
            w = np.uint64(base + (place >> 6))
            word = _window(words[w], words[w + one], place, n - at)
            after = p + np.uint64(count_bits(word))
            while p + four <= limit:
                for k in range(4):
                    index[p + np.uint64(k)] = at + lowest_bit(word)
                    word &= word - one
                p += four
                if p >= after:
                    break
            while p < after:
                index[p] = at + lowest_bit(word)
                word &= word - one
                p += one
            p = after
        sample += 1
        if sample == samples:
            sample, base = 0, base + n_words
