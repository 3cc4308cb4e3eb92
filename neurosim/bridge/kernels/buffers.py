"""Memory of large results, used again from step to step.

Memory that is fresh from the operating system is zeroed page by page when it is first written,
which costs as much as a kernel that fills it, and the C library gives large blocks back whenever
they are freed. A block is free again when no tensor refers to it.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence

import numpy as np
import torch

#: Smaller results come from PyTorch. (The C library maps blocks of this size anew each time.)
_LARGE = 1 << 17  # bytes
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


class Buffers:
    """Blocks of memory for large tensors.

    Parameters
    ----------
    idle : int, default 2**30
        Most bytes that are kept for later while no tensor uses them.
    """

    def __init__(self, idle: int = 1 << 30) -> None:
        self.idle = idle
        self._blocks: list[np.ndarray] = []
        self._lock = threading.Lock()

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Return a contiguous tensor with arbitrary values, as `torch.empty` does."""
        size = math.prod(shape) * dtype.itemsize
        if size < _LARGE or dtype not in _NUMPY:
            return torch.empty(tuple(shape), dtype=dtype)
        block = self._block(size)
        return torch.from_numpy(block[:size].view(_NUMPY[dtype]).reshape(tuple(shape)))

    def clear(self) -> None:
        """Give back all memory that no tensor uses."""
        with self._lock:
            self._release(0)

    def _block(self, size: int) -> np.ndarray:
        size = -(-size // 4096) * 4096
        with self._lock:
            for k in range(len(self._blocks) - 1, -1, -1):
                if self._blocks[k].nbytes == size and self._is_free(k):
                    # the most recently used ones are last
                    self._blocks.append(self._blocks.pop(k))
                    return self._blocks[-1]
            self._release(self.idle)
            self._blocks.append(np.empty(size, np.uint8))
            return self._blocks[-1]

    def _is_free(self, k: int) -> bool:
        # the list and the argument; a tensor's array would be another
        return sys.getrefcount(self._blocks[k]) <= 2

    def _release(self, keep: int) -> None:
        """Drop the free blocks that were used longest ago, until at most `keep` bytes are idle."""
        free = [k for k in range(len(self._blocks)) if self._is_free(k)]
        surplus = sum(self._blocks[k].nbytes for k in free) - keep
        dropped = set()
        for k in free:
            if surplus <= 0:
                break
            surplus -= self._blocks[k].nbytes
            dropped.add(k)
        self._blocks = [b for k, b in enumerate(self._blocks) if k not in dropped]


_buffers = Buffers()
empty = _buffers.empty
empty_cache = _buffers.clear
