"""Checks of the lists of numbers that sources and currents are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ParameterError
from neurosim.units import magnitude, plain_numbers, require_finite


def finite_list(values: Any, what: str, *, unit: str) -> NDArray[np.float64]:
    """Return numbers in `unit` as a flat float64 array.

    Parameters
    ----------
    values : number, array_like or quantity
        Plain numbers are in `unit`.
    what : str
        Their name in messages.
    unit : str
        Unit that quantities are converted to.

    Raises
    ------
    ParameterError
        If they are no numbers, not a flat list, or not finite.
    UnitError
        If they are quantities of another dimension.
    """
    values = magnitude(values, unit, what)
    try:
        array = np.atleast_1d(plain_numbers(values))
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what} = {values!r}: numbers in {unit} are needed.") from error
    if array.ndim != 1:
        raise ParameterError(f"{what} has shape {array.shape}; a flat list is needed.")
    require_finite(array, what, remedy="leave them out")
    return array


def require_increase(times: NDArray[np.float64], what: str) -> None:
    """Raise ParameterError, with the first two that do not, if times [ms] do not increase."""
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if wrong.size:
        k = int(wrong[0])
        raise ParameterError(
            f"{what} must increase, but {times[k + 1]:g} ms follows {times[k]:g} ms (at {k + 1})."
        )
