"""What a transform is, and the checks that all of them share."""

from __future__ import annotations

import abc
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ParameterError

#: A structured array of events: fields ``t`` [us] and ``x``, and for cameras ``y`` and ``p``.
Events = NDArray[Any]
SensorSize = tuple[int, int, int]


class Transform(abc.ABC):
    """A function of one recording: ``transform(events)`` or ``transform(events, rng)``.

    Transforms are frozen dataclasses: they hold settings, never state, and leave their input
    untouched. Times are in us, coordinates in pixels (cameras) or channels (cochleas). Those that
    draw random numbers take them from ``rng``, a `numpy.random.Generator`, and from nothing else;
    without it the generator is derived from their ``seed`` and the events, so the same recording
    always gives the same result, in any order and in any process.
    """

    @abc.abstractmethod
    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Any:
        """Return the transformed recording."""


def generator(
    owner: object, events: Events, seed: int, rng: np.random.Generator | None
) -> np.random.Generator:
    """Return `rng`, or the generator that belongs to a transform, its seed and a recording."""
    if rng is not None:
        if not isinstance(rng, np.random.Generator):
            raise ParameterError(
                f"{_name(owner)}: rng = {rng!r} is not a numpy.random.Generator: "
                "pass numpy.random.default_rng(seed)."
            )
        return rng
    content = zlib.crc32(np.ascontiguousarray(events).tobytes())
    return np.random.default_rng(
        [abs(seed), int(seed < 0), zlib.crc32(_name(owner).encode()), content]
    )


def need_fields(owner: object, events: Events, *fields: str) -> None:
    """Raise `ParameterError` unless the events have these fields."""
    present = getattr(getattr(events, "dtype", None), "names", None)
    if present is None:
        raise ParameterError(
            f"{_name(owner)}: events of type {type(events).__name__} are not a structured array: "
            "one with the fields t, x (and y, p) is expected."
        )
    missing = [field for field in fields if field not in present]
    if missing:
        raise ParameterError(
            f"{_name(owner)}: the events have no field {missing[0]!r} (they have "
            f"{', '.join(present)})."
        )


def need_sorted(owner: object, events: Events) -> None:
    """Raise `ParameterError` unless times never decrease."""
    if np.any(np.diff(events["t"]) < 0):
        first = int(np.flatnonzero(np.diff(events["t"]) < 0)[0]) + 1
        raise ParameterError(
            f"{_name(owner)}: event {first} is earlier than the one before it: sort the events "
            "with numpy.sort(events, order='t', kind='stable')."
        )


def need_positive(owner: object, **values: float | None) -> None:
    """Raise `ParameterError` for the first value that is given and not finite and above 0."""
    for name, value in values.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ParameterError(f"{_name(owner)}: {name} = {value!r} must be above 0.")


def need_whole(owner: object, **values: float | None) -> None:
    """Raise `ParameterError` for the first value that is given and not a whole number above 0."""
    for name, value in values.items():
        if value is not None and not (np.isfinite(value) and value >= 1 and value == int(value)):
            raise ParameterError(
                f"{_name(owner)}: {name} = {value!r} must be a whole number of at least 1."
            )


def need_probability(owner: object, probability: float) -> None:
    """Raise `ParameterError` unless 0 <= probability <= 1."""
    if not 0.0 <= probability <= 1.0:
        raise ParameterError(
            f"{_name(owner)}: probability = {probability!r} must be between 0 and 1."
        )


def need_size(owner: object, sensor_size: SensorSize) -> None:
    """Raise `ParameterError` unless the size is three whole numbers (W, H, P), P 1 or 2."""
    ok = len(sensor_size) == 3 and all(n == int(n) and n >= 1 for n in sensor_size)
    if not ok or sensor_size[2] > 2:
        raise ParameterError(
            f"{_name(owner)}: sensor_size = {sensor_size!r} must be (width, height, polarities) "
            "with whole numbers >= 1 and at most 2 polarities; (channels, 1, 1) for audio."
        )


def coordinates(owner: object, events: Events, size: SensorSize) -> tuple[NDArray[Any], ...]:
    """Return the columns (p, y, x) as int64, checked against the sensor.

    A sensor of height 1 needs no ``y``; one polarity merges ON and OFF.

    Raises
    ------
    ParameterError
        If a field is missing or an event lies outside the sensor.
    """
    width, height, polarities = size
    need_fields(owner, events, "t", "x", *(("y",) if height > 1 else ()))
    if polarities > 1:
        need_fields(owner, events, "p")
    zeros = np.zeros(len(events), np.int64)
    x = events["x"].astype(np.int64)
    y = events["y"].astype(np.int64) if height > 1 else zeros
    p = events["p"].astype(np.int64) if polarities > 1 else zeros
    for name, values, limit in (("x", x, width), ("y", y, height), ("p", p, polarities)):
        outside = (values < 0) | (values >= limit)
        if outside.any():
            first = int(np.flatnonzero(outside)[0])
            raise ParameterError(
                f"{_name(owner)}: event {first} has {name} = {values[first]}, outside the sensor "
                f"{size!r} (0 to {limit - 1}): give the sensor_size of the recording."
            )
    return p, y, x


def per_event(events: Events, **columns: NDArray[Any]) -> Events:
    """Return a copy of the events with some columns replaced."""
    out = events.copy()
    for name, values in columns.items():
        out[name] = values
    return out


def by_time(events: Events) -> Events:
    """Return the events ordered by time; events of one time keep their order."""
    return events[np.argsort(events["t"], kind="stable")]


def _name(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__
