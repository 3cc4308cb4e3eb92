"""The structured array of events, and its conversion from and to that of other libraries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ParameterError

#: One event of a vision sensor: column, row [pixels], time [us], polarity (True = brighter).
VISION = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
#: One spike of a silicon or simulated cochlea: time [us], channel, 1.
AUDIO = np.dtype([("t", "<i8"), ("x", "<i2"), ("p", "i1")])

Events = NDArray[np.void]


def make_events(
    *, t: ArrayLike, x: ArrayLike, y: ArrayLike | None = None, p: ArrayLike | None = None
) -> Events:
    """Return a structured array of events from its columns.

    Parameters
    ----------
    t : (n_events,) array_like
        Times [us]; whole numbers.
    x : (n_events,) array_like
        Columns of pixels, or channels; whole numbers.
    y : (n_events,) array_like, optional
        Rows of pixels. Without it the result is audio (fields ``t x p``), with it vision (fields
        ``x y t p``).
    p : (n_events,) array_like, optional
        Polarities: True, or anything > 0, is brighter. Required for vision, 1 for audio.

    Returns
    -------
    events : (n_events,) structured array
        Of dtype `VISION` or `AUDIO`.

    Raises
    ------
    ParameterError
        If the columns differ in length, a value is not whole or does not fit its field.

    Examples
    --------
    >>> make_events(t=[5, 9], x=[1, 2], y=[0, 3], p=[1, 0])["x"]
    array([1, 2], dtype=int16)
    """
    if y is not None and p is None:
        raise ParameterError("make_events: vision events (y is given) need polarities p as well.")
    columns = {"x": x, "t": t} | ({} if y is None else {"y": y}) | ({} if p is None else {"p": p})
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) != 1 or arrays["t"].ndim != 1:
        raise ParameterError(
            f"make_events: the columns need one dimension and the same length, not {shapes}."
        )
    out = np.empty(arrays["t"].size, AUDIO if y is None else VISION)
    for name in out.dtype.names or ():
        if name != "p":
            out[name] = _whole(name, arrays[name], out.dtype[name])
        elif y is None:
            out["p"] = 1
        else:
            out["p"] = arrays["p"] > 0
    return out


def _whole(name: str, values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values that a field holds without loss, or raise an error that names one of them."""
    limits = np.iinfo(dtype)
    if values.size == 0:
        return values.astype(dtype)
    if values.dtype.kind not in "biuf":
        raise ParameterError(f"events: {name} has dtype {values.dtype}; numbers are expected.")
    if values.dtype.kind == "f" and not np.array_equal(values, np.floor(values)):
        bad = values[values != np.floor(values)][0]
        raise ParameterError(
            f"events: {name} = {bad} is not a whole number. Times are microseconds and positions "
            "pixels: convert and round them first."
        )
    # 2^63 itself is a float, the largest int64 is not: >= keeps it out
    low, high = values.min(), values.max()
    if low < limits.min or high > limits.max or (values.dtype.kind == "f" and high >= 2.0**63):
        bad = low if low < limits.min else high
        raise ParameterError(f"events: {name} = {bad} does not fit {dtype.name}.")
    return values.astype(dtype)


def from_structured(events: NDArray[Any]) -> Events:
    """Return events of any field order and integer types as this package's.

    Parameters
    ----------
    events : (n_events,) structured array
        With fields ``x t`` and, for vision, ``y p``, in any order, such as tonic's; further
        fields are left out. Times are microseconds.

    Returns
    -------
    events : (n_events,) structured array
        Of dtype `VISION` (if there is a ``y``) or `AUDIO`; the same array if it has it already.

    Raises
    ------
    ParameterError
        If it is no structured array, a field is missing or holds a value that does not fit.

    Examples
    --------
    >>> tonic = np.array([(7, 1, 0, 3)], [("t", int), ("p", int), ("y", int), ("x", int)])
    >>> from_structured(tonic)
    array([(3, 0, 7, True)],
          dtype=[('x', '<i2'), ('y', '<i2'), ('t', '<i8'), ('p', '?')])
    """
    names = getattr(events, "dtype", np.dtype(float)).names
    if names is None:
        raise ParameterError(
            f"events: a structured array with fields x, y, t, p is expected, not "
            f"{type(events).__name__} of {getattr(events, 'dtype', 'objects')}."
        )
    if events.dtype in (VISION, AUDIO) and events.ndim == 1:
        return events
    needed = ("x", "t", "p") if "y" in names else ("x", "t")
    missing = [name for name in needed if name not in names]
    if missing:
        raise ParameterError(
            f"events: field {missing[0]!r} is missing; the fields are {', '.join(names)}."
        )
    columns = {name: events[name] for name in ("x", "y", "t", "p") if name in names}
    return make_events(**columns)


def to_structured(events: Events, ordering: Iterable[str] = "xytp") -> NDArray[Any]:
    """Return events in the field order and types of tonic (all fields int64, p 0 or 1).

    Parameters
    ----------
    events : (n_events,) structured array
        Anything that `from_structured` takes.
    ordering : str or iterable of str, default "xytp"
        The fields and their order, such as ``"txp"`` or ``"xypt"``.

    Returns
    -------
    events : (n_events,) structured array

    Raises
    ------
    ParameterError
        If a field is asked for that the events do not have.

    Examples
    --------
    >>> to_structured(make_events(t=[5], x=[1], y=[0], p=[1]), "xypt").tolist()
    [(1, 0, 1, 5)]
    """
    events = from_structured(events)
    fields = tuple(ordering)
    own = events.dtype.names or ()
    unknown = [name for name in fields if name not in own]
    if unknown or len(set(fields)) != len(fields) or not fields:
        raise ParameterError(
            f"to_structured: ordering {''.join(fields)!r} must name each field once, of {own}."
        )
    out = np.empty(events.size, [(name, np.int64) for name in fields])
    for name in fields:
        out[name] = events[name]
    return out
