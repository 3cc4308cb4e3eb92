"""How much of the training time the projection takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Overhead:
    """Seconds spent on continual learning, of those spent on training.

    Attributes
    ----------
    learning : float
        Seconds in which the subspaces learned.
    projecting : float
        Seconds in which activities or gradients were projected.
    training : float
        Seconds from the beginning of each forward pass to the end of `HebbianProjection.project`,
        the two above included.

    Notes
    -----
    Wall-clock time as the CPU sees it: work that a GPU still has to do is not waited for.
    """

    learning: float = 0.0
    projecting: float = 0.0
    training: float = 0.0
    _began: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return self.learning + self.projecting

    @property
    def fraction(self) -> float:
        """Share of the training time; 0 before any."""
        return self.seconds / self.training if self.training else 0.0

    def begin(self) -> None:
        """Start the clock of a training step unless it runs."""
        if self._began is None:
            self._began = time.perf_counter()

    def end(self) -> None:
        """Stop the clock of a training step."""
        if self._began is not None:
            self.training += time.perf_counter() - self._began
            self._began = None

    @contextmanager
    def add_to(self, what: str) -> Iterator[None]:
        """Add the time of a block to `learning` or `projecting`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, what, getattr(self, what) + time.perf_counter() - began)

    def __str__(self) -> str:
        return (
            f"{self.seconds:.2f} s of {self.training:.2f} s ({100 * self.fraction:.1f} %): "
            f"learning {self.learning:.2f} s, projecting {self.projecting:.2f} s"
        )
