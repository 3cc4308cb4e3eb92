"""Checks of the numbers that describe a network, with messages that name object and remedy."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import NetworkError, ParameterError
from neurosim.network.distributions import Distribution
from neurosim.units import magnitude, plain_numbers, require_finite

Value = float | NDArray[np.float64] | Distribution


def whole_number(value: Any, what: str, *, at_least: int) -> int:
    """Return `value` as int, or raise NetworkError if it is not a whole number >= `at_least`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise NetworkError(f"{what} = {value!r}; a whole number is needed.")
    if value < at_least:
        raise NetworkError(f"{what} = {value}; it must be at least {at_least}.")
    return int(value)


def finite_number(value: Any, what: str, *, unit: str | None = None) -> float:
    """Return `value` as float, or raise ParameterError if it is no finite number."""
    if unit is not None:
        value = magnitude(value, unit, what)
    try:
        number = plain_numbers(value).item()
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what} = {value!r}; a number is needed.") from error
    if not math.isfinite(number):
        raise ParameterError(f"{what} = {number} is not a finite number.")
    return number


def finite_values(value: Any, what: str, *, size: int, each: str, unit: str | None = None) -> Value:
    """Return a number, a distribution, or an array with one finite value for each of `size` things.

    Parameters
    ----------
    value : float, array_like or Distribution
        What the user gave.
    what : str
        Its name in messages.
    size : int
        Length that an array must have.
    each : str
        What the array has one value for, such as ``"neuron"``.
    unit : str, optional
        Unit to convert quantities to.

    Raises
    ------
    ParameterError
        If it is no number, has the wrong shape, or is not finite.
    """
    if isinstance(value, Distribution):
        return value
    if unit is not None:
        value = magnitude(value, unit, what)
    if np.ndim(value) == 0:
        return finite_number(value, what)
    try:
        array = plain_numbers(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what}: numbers are needed ({error}).") from error
    if array.shape != (size,):
        raise ParameterError(
            f"{what} has shape {array.shape}; give one value, or one for each {each}, "
            f"shape ({size},)."
        )
    require_finite(array, what, each=each)
    return array


def name_of(target: Any) -> str:
    """Return the name of a population, or the type of what was given instead of one."""
    return str(getattr(target, "name", type(target).__name__))


def unique_name(name: str | None, default: str, taken: Mapping[str, Any], kind: str) -> str:
    """Return the name for a new object: the user's, or `default` numbered until it is free."""
    if name is not None:
        if not isinstance(name, str) or not name:
            raise NetworkError(f"{kind}: name = {name!r}; a text that is not empty is needed.")
        if name in taken:
            raise NetworkError(
                f"{kind}: the name {name!r} is taken by {taken[name]!r}; choose another."
            )
        return name
    number, candidate = 1, default
    while candidate in taken:
        number += 1
        candidate = f"{default}_{number}"
    return candidate
