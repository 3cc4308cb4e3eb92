"""What the engine needs of a device: memory, a compiler and launches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Sizes of a launch.

    Attributes
    ----------
    blocks : int
    tile : int
        Threads of a block.
    chunk : int
        Synapses of a work item of the delivery.
    shared : int
        Bytes of shared memory of a block, besides what kernels declare.
    """

    blocks: int
    tile: int
    chunk: int
    shared: int = 0


class Program(ABC):
    """A compiled source."""

    @abstractmethod
    def grid(self, n_tiles: int, *, cooperative: bool) -> Grid:
        """Return the grid for a network of so many tiles.

        Raises
        ------
        EngineUnavailableError
            If the device cannot launch cooperatively, and `cooperative`.
        """

    @abstractmethod
    def admit(self, kernel: str, grid: Grid) -> bool:
        """Allow a kernel the shared memory of a grid; return whether all blocks fit at once."""

    @abstractmethod
    def launch(
        self, kernel: str, grid: Grid, arguments: Sequence[Any], *, cooperative: bool = False
    ) -> None:
        """Launch a kernel; does not wait for its end.

        Arguments are NumPy scalars and arrays of one element, all passed by value.
        """

    @abstractmethod
    def capture(
        self, launches: Sequence[tuple[str, Sequence[Any]]], grid: Grid
    ) -> Callable[[], None]:
        """Return a function that does some launches again, as one graph."""


class Device(ABC):
    """A device on which kernels run. Arrays on it are opaque."""

    #: Threads of a block, and synapses of a work item.
    tile: int
    chunk: int

    @abstractmethod
    def describe(self) -> str:
        """Return a name for messages."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Return how much memory can still be allocated."""

    @property
    @abstractmethod
    def is_cooperative(self) -> bool:
        """Whether launches can be cooperative."""

    @property
    @abstractmethod
    def multiprocessors(self) -> int:
        """Number of multiprocessors."""

    @property
    @abstractmethod
    def shared_bytes(self) -> int:
        """Most shared memory that a block can have; a multiprocessor has 1024 bytes more."""

    @abstractmethod
    def to_device(self, values: np.ndarray) -> Any:
        """Return a copy of an array on the device."""

    @abstractmethod
    def empty(self, size: int, dtype: Any) -> Any:
        """Return an array whose contents mean nothing."""

    @abstractmethod
    def store(self, array: Any, values: np.ndarray) -> None:
        """Overwrite a whole array on the device."""

    @abstractmethod
    def fetch(self, array: Any, size: int | None = None) -> np.ndarray:
        """Return a copy of the first `size` elements (default: all), once all launches ended."""

    @abstractmethod
    def address(self, array: Any) -> int:
        """Return where an array begins."""

    @abstractmethod
    def compile(self, source: str, *, exact: bool) -> Program:
        """Compile a source; `exact` forbids to contract products and sums."""
