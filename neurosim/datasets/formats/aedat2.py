"""AEDAT 2.0, the files of jAER: addresses and times, 8 bytes an event (also CIFAR10-DVS)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats._cameras import named_in
from neurosim.datasets.formats._source import (
    Clock,
    SensorSize,
    Source,
    blocks,
    check_clock,
    first_outside,
    sensor_limits,
    shrink,
    to_write,
)
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.errors import unknown_name

_KIND = "an AEDAT 2.0 file"
_VERSION = "!AER-DAT2.0"
_RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])


class _Layout(NamedTuple):
    x: tuple[int, int]  # lowest bit, number of bits
    y: tuple[int, int]
    polarity: int
    other: int  # a bit of this mask says that it is no pixel's event
    zero: int  # bits that are never set
    size: tuple[int, int]  # the largest sensor


_LAYOUTS = {
    "dvs128": _Layout((1, 7), (8, 7), 0, 0x8000, 0xFFFF0000, (128, 128)),
    "davis": _Layout((12, 10), (22, 9), 11, 0x80000400, 0, (1024, 512)),
}


def read_aedat2(
    path: str | Path, *, camera: str | None = None, sensor_size: SensorSize | None = None
) -> Events:
    """Read the pixels' events of an AEDAT 2.0 file.

    Lines of text that begin with ``#``, then 8 bytes an event, big-endian: address (32 bits) and
    time in us (32). DVS128: polarity bit 0, x bits 1-7, y bits 8-14, bit 15 external events.
    DAVIS: polarity bit 11, x bits 12-21, y bits 22-30, bits 10 and 31 anything else (external
    events, frames, inertial samples), which is left out.

    Parameters
    ----------
    path : str or Path
    camera : {"dvs128", "davis"}, optional
        The layout of addresses; default: that of the ``AEChip`` in the header, ``"dvs128"`` if
        the header names none (as in CIFAR10-DVS).
    sensor_size : (W, H) or (W, H, P), optional
        Pixels; default: those of the camera in the header.

    Returns
    -------
    events : (n_events,) structured array
        Fields ``x y t p`` as they are in the addresses (jAER's origin is the lower left corner and
        its viewer mirrors x of the DVS128; nothing is flipped here), in the order of the file; a
        set polarity bit is True. Turns of the 32-bit clock (71.6 minutes) are unfolded. The file
        is mapped and decoded in one pass of blocks; memory is that of the result, 13 bytes an
        event.

    Raises
    ------
    FileFormatError
        If the file is of another kind, ends inside an event, or one lies outside the sensor.
    UnknownNameError
        If there is no such camera.

    Notes
    -----
    Source: docs.inivation.com, "AEDAT 2.0".
    """
    if camera is not None and camera not in _LAYOUTS:
        raise unknown_name("camera", camera, _LAYOUTS, "read_aedat2")
    source = Source(path, _KIND)
    lines, start = source.header(b"#", end="End Of ASCII Header")
    if not lines or lines[0] != _VERSION:
        raise source.error(0, f"the line #{_VERSION}", repr(source.data[:16].tobytes()))
    chip = next((named_in(line) for line in lines if line.lower().startswith("aechip")), None)
    family = camera or (chip[0] if chip else "dvs128")
    if family not in _LAYOUTS:
        raise source.error(0, "a DVS128 or DAVIS as AEChip (or camera= given)", repr(family))
    layout = _LAYOUTS[family]
    limits = sensor_limits(sensor_size)
    if limits is None:
        limits = chip[1] if chip and chip[1] and camera in (None, chip[0]) else layout.size
    return _decode(source, start, layout, limits)


def _decode(source: Source, start: int, layout: _Layout, limits: tuple[int, int]) -> Events:
    records = source.records(start, _RECORD, "an event")
    events = np.empty(records.size, VISION)
    clock = Clock(32)
    n = 0
    for part in blocks(records.size):
        address = records["address"][part].astype(np.uint32)
        at = start + part.start * _RECORD.itemsize
        if (address & layout.zero).any():
            bad = int(np.argmax((address & layout.zero) > 0))
            raise source.error(
                at + bad * _RECORD.itemsize,
                "an address of 16 bits (DVS128; is camera='davis' right?)",
                f"{int(address[bad]):#x}",
            )
        times = clock.unfold(records["t"][part])
        kept = np.flatnonzero((address & layout.other) == 0)
        address = address[kept]
        x, y = ((address >> first) & ((1 << bits) - 1) for first, bits in (layout.x, layout.y))
        wrong = first_outside(x, y, limits)
        if wrong:
            raise source.error(at + int(kept[wrong[0]]) * _RECORD.itemsize, wrong[1], wrong[2])
        out = events[n : n + kept.size]
        out["x"], out["y"], out["p"] = x, y, (address >> layout.polarity) & 1
        out["t"] = times[kept]
        n += kept.size
    return shrink(events, n)


def write_aedat2(path: str | Path, events: NDArray[Any], *, camera: str = "dvs128") -> None:
    """Write an AEDAT 2.0 file; `read_aedat2` gives back the same events.

    Parameters
    ----------
    path : str or Path
    events : (n_events,) structured array
        Vision events; times [us] >= 0, steps below 2^31 us.
    camera : {"dvs128", "davis"}, default "dvs128"
        The layout of addresses: 128 x 128 pixels, or the DAVIS 346's 346 x 260.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or its time cannot be written.
    UnknownNameError
        If there is no such camera.
    """
    if camera not in _LAYOUTS:
        raise unknown_name("camera", camera, _LAYOUTS, "write_aedat2")
    layout = _LAYOUTS[camera]
    chip, size = ("DVS128", (128, 128)) if camera == "dvs128" else ("Davis346", (346, 260))
    out, _ = to_write(events, size, layout.size, f"an AEDAT 2.0 file of a {chip}")
    check_clock(out["t"], 32, "an AEDAT 2.0 file")
    records = np.empty(out.size, _RECORD)
    records["t"] = out["t"] & 0xFFFFFFFF
    records["address"] = (
        (out["x"].astype(np.uint32) << layout.x[0])
        | (out["y"].astype(np.uint32) << layout.y[0])
        | (out["p"].astype(np.uint32) << layout.polarity)
    )
    header = f"#{_VERSION}\r\n# Timestamps tick is 1 us\r\n# AEChip: {chip}\r\n"
    Path(path).write_bytes(f"{header}#End Of ASCII Header\r\n".encode() + records.tobytes())
