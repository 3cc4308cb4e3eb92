"""Prophesee's DAT files of decoded events (also the data sets N-CARS and GEN1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats._source import (
    Clock,
    SensorSize,
    Source,
    blocks,
    check_clock,
    first_outside,
    sensor_limits,
    to_write,
)
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.errors import ParameterError

_KIND = "a Prophesee DAT file"
_RECORD = np.dtype([("t", "<u4"), ("address", "<u4")])
_EVENT_TYPES = (0x00, 0x0C)  # Event2d and EventCD, which have one layout
#: Bits of x and of y by version of the format; polarity (4 bits from version 2 on) follows them.
_LAYOUT = {1: (9, 8), 2: (14, 14)}


def read_dat(path: str | Path, *, sensor_size: SensorSize | None = None) -> Events:
    """Read change detection events from a DAT file, version 1 or 2.

    Lines of text that begin with ``%``, a byte each for the type and the size of events, then 8
    bytes an event, little-endian: time in us (32 bits) and address. In version 2 an address has x
    (14 bits), y (14), polarity (4), in version 1 x (9), y (8), polarity (1).

    Parameters
    ----------
    path : str or Path
    sensor_size : (W, H) or (W, H, P), optional
        Pixels; default: what the header states, or no check if it does not.

    Returns
    -------
    events : (n_events,) structured array
        Fields ``x y t p``, in the order of the file; the clock's turns after 2^32 us (71.6
        minutes) are unfolded. The file is mapped and decoded in one pass of blocks; memory is
        that of the result, 13 bytes an event.

    Raises
    ------
    FileFormatError
        If the file is of another kind, ends inside an event, or one lies outside the sensor.

    Notes
    -----
    Source: docs.prophesee.ai, "DAT File Format". A file without a version in its header is
    version 1, as in Prophesee's own reader; one without any header has no type and size either.
    """
    source = Source(path, _KIND)
    lines, start = source.header(b"%")
    version = source.number(lines, "version")
    width, height = source.number(lines, "width"), source.number(lines, "height")
    limits = sensor_limits(sensor_size)
    if limits is None and width and height:
        limits = width, height
    if lines:
        kind, size = source.take(start, 2, "the type and size of events")
        if kind not in _EVENT_TYPES or size != _RECORD.itemsize:
            raise source.error(
                start, "event type 0 or 12 and event size 8", f"type {kind} and size {size}"
            )
        start += 2
    bits = _LAYOUT[1 if version is None or version < 2 else 2]
    if version is not None and version > 2:
        raise source.error(0, "version 1 or 2 in the header", f"version {version}")
    return _decode(source, source.records(start, _RECORD, "an event"), start, bits, limits)


def _decode(
    source: Source,
    records: NDArray[Any],
    start: int,
    bits: tuple[int, int],
    limits: tuple[int, int] | None,
) -> Events:
    bits_x, bits_y = bits
    bits_p = 4 if bits == _LAYOUT[2] else 1
    events = np.empty(records.size, VISION)
    clock = Clock(32)
    for part in blocks(records.size):
        address = records["address"][part]
        x = address & ((1 << bits_x) - 1)
        y = (address >> bits_x) & ((1 << bits_y) - 1)
        polarity = address >> (bits_x + bits_y)
        at = start + part.start * _RECORD.itemsize
        wrong = first_outside(x, y, limits)
        if wrong:
            raise source.error(at + wrong[0] * _RECORD.itemsize, wrong[1], wrong[2])
        # what lies above the polarity is zero in version 1; in version 2 there are no such bits
        if (polarity >> bits_p).any():
            bad = int(np.argmax(polarity >> bits_p > 0))
            raise source.error(
                at + bad * _RECORD.itemsize,
                "an address of 18 bits (DAT version 1)",
                f"{int(address[bad]):#x}",
            )
        out = events[part]
        out["x"], out["y"], out["p"] = x, y, polarity > 0
        out["t"] = clock.unfold(records["t"][part])
    return events


def write_dat(
    path: str | Path,
    events: NDArray[Any],
    *,
    sensor_size: SensorSize | None = None,
    version: int = 2,
) -> None:
    """Write a DAT file; `read_dat` gives back the same events.

    Parameters
    ----------
    path : str or Path
    events : (n_events,) structured array
        Vision events; times [us] >= 0, steps below 2^31 us (35.8 minutes).
    sensor_size : (W, H) or (W, H, P), optional
        Written into the header; without it the header states none.
    version : {2, 1}, default 2
        Version 1 holds up to 512 x 256 pixels, version 2 up to 16384 x 16384.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or its time cannot be written.
    """
    if version not in _LAYOUT:
        raise ParameterError(f"write_dat: version = {version!r}; 1 or 2 is expected.")
    bits_x, bits_y = _LAYOUT[version]
    out, limits = to_write(events, sensor_size, (1 << bits_x, 1 << bits_y), "a DAT file")
    check_clock(out["t"], 32, "a DAT file")
    header = f"% Data file containing CD events.\n% Version {version}\n"
    if sensor_size is not None:
        header += f"% Height {limits[1]}\n% Width {limits[0]}\n"
    records = np.empty(out.size, _RECORD)
    records["t"] = out["t"] & 0xFFFFFFFF
    records["address"] = (
        out["x"].astype(np.uint32)
        | (out["y"].astype(np.uint32) << bits_x)
        | (out["p"].astype(np.uint32) << (bits_x + bits_y))
    )
    Path(path).write_bytes(header.encode() + bytes([_EVENT_TYPES[1], 8]) + records.tobytes())
