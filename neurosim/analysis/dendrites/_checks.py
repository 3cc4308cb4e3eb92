"""Checks of the numbers of cells, synapses and thresholds that all functions share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError
from neurosim.results._arrays import IntArray


def whole(function: str, /, minimum: int = 0, **given: ArrayLike) -> list[IntArray]:
    """Return the given numbers as int64 arrays of any shape.

    Raises
    ------
    ParameterError
        If one is not a whole number or below the minimum.
    """
    arrays = []
    for name, value in given.items():
        array = np.asarray(value)
        rounded = np.asarray(np.floor(array) if array.dtype.kind == "f" else array)
        if array.dtype.kind not in "iuf" or not np.array_equal(rounded, array):
            raise ParameterError(f"{function}: {name} = {_shown(value)}: whole numbers expected.")
        if array.size and rounded.min() < minimum:
            raise ParameterError(
                f"{function}: {name} = {_shown(value)}: at least {minimum} is expected."
            )
        arrays.append(rounded.astype(np.int64))
    return arrays


def at_most(function: str, small: tuple[str, IntArray], large: tuple[str, IntArray]) -> None:
    """Raise a ParameterError where the small number exceeds the large one."""
    few, many = np.broadcast_arrays(small[1], large[1])
    wrong = few > many
    if wrong.any():
        k = np.flatnonzero(wrong)[0]
        raise ParameterError(
            f"{function}: {small[0]} = {few.flat[k]} exceeds {large[0]} = {many.flat[k]}; it is a "
            "part of it."
        )


def probabilities(function: str, **given: ArrayLike) -> list[Any]:
    """Return the given numbers as float64 arrays.

    Raises
    ------
    ParameterError
        If one lies outside [0, 1].
    """
    arrays = []
    for name, value in given.items():
        array = np.asarray(value, dtype=np.float64)
        if not ((array >= 0) & (array <= 1)).all():
            raise ParameterError(f"{function}: {name} = {_shown(value)} is not in [0, 1].")
        arrays.append(array)
    return arrays


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
