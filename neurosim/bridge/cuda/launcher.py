"""Launchers: how kernels are compiled and started on the device of a tensor.

CuPy compiles (by NVRTC, with a cache on disk) and launches; torch owns the memory and the stream.
Torch's own access to NVRTC is private and without such a cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from neurosim.engines.gpu.compiler import load_module
from neurosim.errors import require

#: Threads of a block of a kernel that does not ask for a number of its own.
THREADS = 128
#: Blocks beyond which a kernel takes several turns.
_MOST_BLOCKS = 1 << 20
#: Products and sums are not contracted: the backward pass repeats the forward pass, and a neuron
#: at its threshold must do the same in both.
OPTIONS = ("--std=c++17", "--fmad=false")
#: What a kernel takes: tensors by address, NumPy scalars by value.
Argument = torch.Tensor | np.generic


class Launcher(ABC):
    """Where kernels run. The same host code serves a GPU and the emulation layer of the tests."""

    @abstractmethod
    def empty(self, shape: Sequence[int], like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return a contiguous tensor on the device of another one; its values mean nothing."""

    @abstractmethod
    def launch(
        self, source: str, kernel: str, blocks: int, threads: int, arguments: Sequence[Argument]
    ) -> None:
        """Start a kernel of a source; does not wait for its end."""

    def start(
        self, source: str, kernel: str, items: int, arguments: Sequence[Argument], *,
        threads: int = THREADS, each: int = 1,
    ) -> None:  # fmt: skip
        """Start a kernel for so many work items, `each` of them a block; nothing for none."""
        blocks = min(_MOST_BLOCKS, -(-items // each))
        if blocks:
            self.launch(source, kernel, blocks, threads, arguments)


class CupyLauncher(Launcher):
    """One GPU, through CuPy.

    Parameters
    ----------
    number : int
        Which one, from 0.

    Raises
    ------
    MissingPackageError
        Without CuPy.
    EngineUnavailableError
        At the first launch, if NVRTC is missing or does not know the device.
    """

    def __init__(self, number: int) -> None:
        self._cupy: Any = require("cupy", "gpu", "training on CUDA tensors")
        self._number = number
        self._device = self._cupy.cuda.Device(number)
        self._modules: dict[str, Any] = {}
        self._kernels: dict[tuple[str, str], Any] = {}

    def empty(self, shape: Sequence[int], like: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return a tensor of torch's allocator, which knows the stream that is current."""
        return torch.empty(tuple(shape), device=like.device, dtype=dtype)

    def launch(
        self, source: str, kernel: str, blocks: int, threads: int, arguments: Sequence[Argument]
    ) -> None:
        """Start a kernel on torch's current stream, which may be captured into a graph.

        What a graph captures must have run once before, so that all is compiled and loaded.
        """
        stream = torch.cuda.current_stream(self._number).cuda_stream
        values = tuple(
            np.uint64(a.data_ptr()) if isinstance(a, torch.Tensor) else a for a in arguments
        )
        with self._device, self._cupy.cuda.ExternalStream(stream, self._number):
            self._kernel(source, kernel)((blocks,), (threads,), values)

    def _kernel(self, source: str, kernel: str) -> Any:
        if source not in self._modules:
            self._modules[source] = load_module(
                self._cupy, self._device, source, OPTIONS, "training on CUDA tensors"
            )
        if (source, kernel) not in self._kernels:
            self._kernels[source, kernel] = self._modules[source].get_function(kernel)
        return self._kernels[source, kernel]


@cache
def _cupy_launcher(number: int) -> CupyLauncher:
    return CupyLauncher(number)


def waits(device: torch.device) -> bool:
    """Return whether reading a number of a device would make the host wait for it."""
    return device.type == "cuda"


def launcher_for(device: torch.device) -> Launcher | None:
    """Return what launches kernels for tensors of a device, or None where there are no kernels.

    Raises
    ------
    MissingPackageError
        For a CUDA device without CuPy.
    """
    if device.type != "cuda":
        return None
    return _cupy_launcher(torch.cuda.current_device() if device.index is None else device.index)
