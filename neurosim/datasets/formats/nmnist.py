"""The 40-bit events of N-MNIST and N-Caltech101 (Orchard et al. 2015), files ``*.bin``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats._source import (
    SensorSize,
    Source,
    blocks,
    first_outside,
    sensor_limits,
    shrink,
    to_write,
)
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.errors import ParameterError

_KIND = "an N-MNIST .bin file"
_RECORD = np.dtype([("x", "u1"), ("y", "u1"), ("high", "u1"), ("low", ">u2")])
_OVERFLOW_ROW = 240  # "y" of a mark which says that the clock went on by 2^13 us
_OVERFLOW = 1 << 13  # us
_LAST = (1 << 23) - 1  # the largest time that an event itself can hold [us]
_LONGEST = 1 << 40  # us, some 12 days: longer recordings would be mostly marks


def read_nmnist(path: str | Path, *, sensor_size: SensorSize | None = (34, 34)) -> Events:
    """Read a recording of N-MNIST or N-Caltech101.

    Five bytes an event, big-endian: x (8 bits), y (8), polarity (1), time in us (23). An entry
    with y = 240 is no event: it adds 2^13 us to all times after it.

    Parameters
    ----------
    path : str or Path
    sensor_size : (W, H) or (W, H, P), default (34, 34)
        Pixels; ``(240, 180)`` for N-Caltech101, None to take any.

    Returns
    -------
    events : (n_events,) structured array
        Fields ``x y t p``, in the order of the file. The file is mapped and decoded in one pass
        of blocks; memory is that of the result, 13 bytes an event.

    Raises
    ------
    FileFormatError
        If the file ends inside an event, or one lies outside the sensor.

    Notes
    -----
    The format has no header: any bytes are events, and only the coordinates tell a wrong file.
    """
    limits = sensor_limits(sensor_size)
    source = Source(path, _KIND)
    records = source.records(0, _RECORD, "an event")
    events = np.empty(records.size, VISION)
    n, overflows = 0, 0
    for part in blocks(records.size):
        block = records[part]
        marks = block["y"] == _OVERFLOW_ROW
        late = overflows + np.cumsum(marks)
        overflows = int(late[-1])
        kept = np.flatnonzero(~marks)
        block, late = block[kept], late[kept]
        wrong = first_outside(block["x"], block["y"], limits)
        if wrong:
            at = (part.start + int(kept[wrong[0]])) * _RECORD.itemsize
            raise source.error(at, wrong[1], wrong[2])
        out = events[n : n + kept.size]
        out["x"], out["y"], out["p"] = block["x"], block["y"], block["high"] >> 7
        out["t"] = ((block["high"] & 0x7F).astype(np.int64) << 16) + block["low"] + late * _OVERFLOW
        n += kept.size
    return shrink(events, n)


def write_nmnist(
    path: str | Path, events: NDArray[Any], *, sensor_size: SensorSize = (34, 34)
) -> None:
    """Write a recording in the format of N-MNIST; `read_nmnist` gives back the same events.

    Parameters
    ----------
    path : str or Path
    events : (n_events,) structured array
        Vision events; times [us] >= 0, in order from 2^23 us (8.4 s) on, where marks are needed.
    sensor_size : (W, H) or (W, H, P), default (34, 34)
        At most 256 x 240.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or its time cannot be written.
    """
    out, _ = to_write(events, sensor_size, (256, _OVERFLOW_ROW), "an N-MNIST file")
    times = out["t"].astype(np.int64)
    marks = -(-np.maximum(times - _LAST, 0) // _OVERFLOW)  # needed before each event, rounded up
    if times.size and times.max() > _LONGEST:
        raise ParameterError(f"write_nmnist: time {times.max()} us is above {_LONGEST} us.")
    np.maximum.accumulate(marks, out=marks)
    left = times - marks * _OVERFLOW
    if left.size and left.min() < 0:
        raise ParameterError(
            "write_nmnist: events after 2^23 us (8.4 s) must be in order of time; sort them first."
        )
    n_marks = int(marks[-1]) if marks.size else 0
    records = np.zeros(out.size + n_marks, _RECORD)
    records["y"] = _OVERFLOW_ROW
    at = np.arange(out.size) + marks
    high = ((left >> 16) | (out["p"].astype(np.int64) << 7)).astype(np.uint8)
    for name, values in (("x", out["x"]), ("y", out["y"]), ("high", high), ("low", left & 0xFFFF)):
        column = records[name]
        column[at] = values
    Path(path).write_bytes(records.tobytes())
