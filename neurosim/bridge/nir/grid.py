"""Steps and time constants, and what may get lost between a model and NIR."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ParameterError

Array = NDArray[np.float64]
Discretisation = Literal["exact", "euler"]
#: Units of time by name [s].
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


class NirLossWarning(UserWarning):
    """Something of a model or graph was changed because the other side cannot say it."""


@dataclass(frozen=True)
class Grid:
    """The step of a model, and how its decay factors stand for time constants.

    Parameters
    ----------
    dt : float
        Step, in the unit of the time constants.
    discretisation : {"exact", "euler"}
    lossy : bool
        Whether what cannot be said is changed, with a warning, rather than refused.

    Raises
    ------
    ParameterError
        If the step is not positive or the discretisation unknown.
    """

    dt: float
    discretisation: Discretisation = "exact"
    lossy: bool = False

    def __post_init__(self) -> None:
        if not (self.dt > 0 and math.isfinite(self.dt)):
            raise ParameterError(f"NIR: dt = {self.dt!r} must be a positive time.")
        if self.discretisation not in ("exact", "euler"):
            raise ParameterError(
                f"NIR: discretisation = {self.discretisation!r} is not one of exact, euler."
            )

    def time_constant(self, decay: Array) -> Array:
        """Return the time constants of decay factors between 0 and 1 (both excluded)."""
        if self.discretisation == "euler":
            return np.asarray(self.dt / (1 - decay))
        return np.asarray(-self.dt / np.log(decay))

    def decay(self, name: str, tau: Array) -> Array:
        """Return the decay factors of time constants.

        Raises
        ------
        ParameterError
            If they are not positive, or Euler's method with this step would not be stable.
        """
        if not (np.isfinite(tau).all() and (tau > 0).all()):
            raise ParameterError(f"NIR node {name!r}: time constants must be positive: {tau}.")
        if self.discretisation == "exact":
            return np.asarray(np.exp(-self.dt / tau))
        if (tau < self.dt).any():
            raise ParameterError(
                f"NIR node {name!r}: the time constant {tau.min():g} is shorter than the step "
                f"{self.dt:g}, for which discretisation='euler' has no decay factor; use 'exact', "
                "or a smaller dt."
            )
        return np.asarray(1 - self.dt / tau)

    def lose(self, where: str, what: str, instead: str) -> None:
        """Warn that something is replaced, or raise if that is not wanted.

        Raises
        ------
        ParameterError
            Unless `lossy`.
        """
        if not self.lossy:
            raise ParameterError(f"{where}: {what}. With lossy=True it becomes {instead}.")
        warnings.warn(f"{where}: {what}; it became {instead}.", NirLossWarning, stacklevel=2)


def seconds(time_unit: str) -> float:
    """Return a unit of time in seconds.

    Raises
    ------
    ParameterError
        If it is unknown.
    """
    if time_unit not in UNITS:
        raise ParameterError(f"NIR: time_unit = {time_unit!r} is not one of {', '.join(UNITS)}.")
    return UNITS[time_unit]


def is_one(value: Any, tolerance: Any) -> bool:
    """Return whether all values are 1 but for rounding."""
    return bool((np.abs(np.asarray(value) - 1) <= tolerance).all())
