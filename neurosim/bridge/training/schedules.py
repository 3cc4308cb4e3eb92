"""Learning-rate schedules as pure functions of progress, so that a resumed run needs no state."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from neurosim.errors import ParameterError


class Schedule(ABC):
    """The learning rate of a group of parameters as a function of the position in the run."""

    @abstractmethod
    def rate(self, base: float, step: int, total: int) -> float:
        """Return the learning rate of step ``step`` of ``total``.

        Parameters
        ----------
        base : float
            Learning rate that was given for the group.
        step : int
            0 ... total - 1; epochs or batches, as the caller counts.
        total : int
            Number of steps of the whole run.
        """

    def momentum(self, step: int, total: int) -> float | None:
        """Return the momentum (first beta of Adam) of this step, or None to leave it."""
        return None


@dataclass(frozen=True)
class Constant(Schedule):
    """The given learning rate throughout."""

    def rate(self, base: float, step: int, total: int) -> float:
        """Return `base`."""
        return base


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from the given rate down to ``minimum``: torch's ``CosineAnnealingLR``.

    ``minimum + (base - minimum) * (1 + cos(pi * step / total)) / 2``.
    """

    minimum: float = 0.0

    def rate(self, base: float, step: int, total: int) -> float:
        """Return the rate on the cosine."""
        return self.minimum + 0.5 * (base - self.minimum) * (1.0 + math.cos(math.pi * step / total))


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """The given rate times ``factor ** step``."""

    factor: float = 0.95

    def rate(self, base: float, step: int, total: int) -> float:
        """Return ``base * factor ** step``."""
        return base * self.factor**step


@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """Cosine up to a peak and down again: torch's ``OneCycleLR`` (Smith & Topin 2019).

    The rate starts at ``peak / start_divisor``, reaches `peak` after the fraction `warmup` of the
    run and ends at ``peak / start_divisor / end_divisor``. The momentum falls from ``high`` to
    ``low`` and rises again.

    Parameters
    ----------
    peak : float, optional
        Largest learning rate; 5 times the group's own by default (the ratio of Hammouamri et
        al. 2024: 1e-3 and 5e-3).
    warmup : float, default 0.3
    start_divisor, end_divisor : float, default 25 and 1e4
    momentum_range : (low, high) or None, default (0.85, 0.95)
        Momentum of SGD, first beta of Adam; None leaves it alone.
    """

    peak: float | None = None
    warmup: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4
    momentum_range: tuple[float, float] | None = (0.85, 0.95)

    def __post_init__(self) -> None:
        if not 0.0 < self.warmup < 1.0:
            raise ParameterError(f"OneCycle: warmup = {self.warmup}: must be between 0 and 1.")

    def rate(self, base: float, step: int, total: int) -> float:
        """Return the rate on the cycle."""
        peak = 5.0 * base if self.peak is None else self.peak
        start = peak / self.start_divisor
        return self._cycle(start, peak, start / self.end_divisor, step, total)

    def momentum(self, step: int, total: int) -> float | None:
        """Return the momentum on the opposite cycle."""
        if self.momentum_range is None:
            return None
        low, high = self.momentum_range
        return self._cycle(high, low, high, step, total)

    def _cycle(self, start: float, top: float, end: float, step: int, total: int) -> float:
        turn = self.warmup * total - 1.0  # torch's count of steps
        if step < turn:
            return _cosine(start, top, step / turn)
        # total - 1 - turn = (1 - warmup) * total, which is positive
        return _cosine(top, end, (step - turn) / (total - 1.0 - turn))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * fraction))


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "exponential": Exponential,
    "onecycle": OneCycle,
}
