"""Where a sleeping population keeps its neurons: one record each, so that an event touches one.

A record holds the states, the input that arrives in this step (one number a receptor), and three
int32: the step of the last update, the end of the refractory period, and whether the neuron is on
the awake list. It begins at a multiple of its size, a power of two, so that a small one lies
within one cache line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_LINE = 64  # bytes


@dataclass(frozen=True)
class Record:
    """The fields of a record.

    Parameters
    ----------
    states, receptors : int
        Their numbers.
    itemsize : int
        Bytes of a state.

    Examples
    --------
    >>> Record(3, 2, 4).nbytes, Record(3, 2, 8).nbytes
    (32, 64)
    """

    states: int
    receptors: int
    itemsize: int

    @property
    def last(self) -> int:
        """Bytes in front of the step of the last update."""
        return (self.states + self.receptors) * self.itemsize

    @property
    def until(self) -> int:
        """Bytes in front of the end of the refractory period."""
        return self.last + 4

    @property
    def mark(self) -> int:
        """Bytes in front of the mark of neurons that are awake."""
        return self.last + 8

    @property
    def nbytes(self) -> int:
        """Size of a record."""
        return 1 << (self.last + 12 - 1).bit_length()

    def allocate(self, n: int) -> np.ndarray:
        """Return n records, at a cache line's boundary: uint8 (n, nbytes)."""
        raw = np.zeros(n * self.nbytes + _LINE, np.uint8)
        start = -raw.ctypes.data % _LINE
        return raw[start : start + n * self.nbytes].reshape(n, self.nbytes)

    def numbers(self, records: np.ndarray, dtype: Any) -> np.ndarray:
        """Return the states and inputs of records: (n, states + receptors)."""
        return records[:, : self.last].view(dtype)

    def field(self, records: np.ndarray, offset: int) -> np.ndarray:
        """Return one of the int32 fields of records: (n,)."""
        return records[:, offset : offset + 4].view(np.int32)[:, 0]
