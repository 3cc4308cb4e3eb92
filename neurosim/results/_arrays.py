"""Array aliases and the checks that the result classes share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ParameterError
from neurosim.units import require_finite

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view of `array`; the caller's own array stays writeable."""
    view = array.view()
    view.flags.writeable = False
    return view


def float_vector(values: ArrayLike, owner: str) -> FloatArray:
    """Return `values` as a one-dimensional float64 array without NaN or infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ParameterError(f"{owner} has shape {array.shape}: one dimension is expected.")
    require_finite(array, owner)
    return array


def int_vector(values: ArrayLike, owner: str) -> IntArray:
    """Return `values` as a one-dimensional int64 array; floats must be whole numbers."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ParameterError(f"{owner} has shape {array.shape}: one dimension is expected.")
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.dtype.kind not in "iu":
        if array.dtype.kind != "f" or not np.array_equal(array, np.floor(array)):
            raise ParameterError(f"{owner} has dtype {array.dtype}: whole numbers are expected.")
    elif array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise ParameterError(f"{owner}: {array.max()} does not fit into 64 signed bits.")
    return array.astype(np.int64, copy=False)
