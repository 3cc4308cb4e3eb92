"""AEDAT 3.1, the files of cAER: packets of typed events (also DVS128 Gesture)."""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats._cameras import named_in
from neurosim.datasets.formats._source import (
    SensorSize,
    Source,
    first_outside,
    sensor_limits,
    shrink,
    to_write,
)
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.errors import ParameterError

_KIND = "an AEDAT 3.1 file"
_VERSION, _END = "!AER-DAT3.1", "!END-HEADER"
#: Type, source, size of an event, offset of its time, overflows; capacity, number, valid ones.
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY = 1
_RECORD = np.dtype([("data", "<u4"), ("t", "<i4")])
_BITS = 15  # of a coordinate
_CLOCK = 31  # bits of an event's time; a packet holds the part above
_PACKET_EVENTS = 4096  # written


class _Packet(NamedTuple):
    at: int  # byte of the first event
    n: int
    overflows: int


def read_aedat3(path: str | Path, *, sensor_size: SensorSize | None = None) -> Events:
    """Read the polarity events of an AEDAT 3.1 file.

    Lines of text from ``#!AER-DAT3.1`` to ``#!END-HEADER``, then packets, little-endian: a header
    of 28 bytes and events of one type. A polarity event has bit 0 valid, bit 1 polarity, bits
    2-16 y, bits 17-31 x, then the time in us (32 bits, signed).

    Parameters
    ----------
    path : str or Path
    sensor_size : (W, H) or (W, H, P), optional
        Pixels; default: those of the source in the header, if it names one known camera.

    Returns
    -------
    events : (n_events,) structured array
        Fields ``x y t p``, the origin in the upper left corner, in the order of the file. Events
        marked invalid and packets of other types are left out. The file is mapped; one pass reads
        the packets' headers, one decodes the events; memory is that of the result, 13 bytes an
        event.

    Raises
    ------
    FileFormatError
        If the file is of another kind, a packet does not fit into the file or its own numbers do
        not agree, or an event lies outside the sensor.

    Notes
    -----
    Source: docs.inivation.com, "AEDAT 3.1".
    """
    source = Source(path, _KIND)
    lines, start = source.header(b"#", end=_END)
    if not lines or lines[0] != _VERSION:
        raise source.error(0, f"the line #{_VERSION}", repr(source.data[:16].tobytes()))
    if lines[-1] != _END:
        raise source.error(start, f"the line #{_END}", "none")
    other = next((m[1] for m in map(_FORMAT.fullmatch, lines) if m and m[1].upper() != "RAW"), None)
    if other:
        raise source.error(0, "the format RAW in the header", repr(other[:40]))
    limits = sensor_limits(sensor_size) or _sensor(lines)
    packets = list(_packets(source, start))
    events = np.empty(sum(packet.n for packet in packets), VISION)
    n = 0
    for packet in packets:
        n += _decode(source, packet, events[n : n + packet.n], limits)
    return shrink(events, n)


_FORMAT = re.compile(r"Format:\s*(.*)")


def _sensor(lines: list[str]) -> tuple[int, int] | None:
    """Return the size of the only source's sensor."""
    cameras = [named_in(line) for line in lines if re.match(r"Source\s+\d+:", line)]
    return cameras[0][1] if len(cameras) == 1 and cameras[0] else None


def _packets(source: Source, start: int) -> list[_Packet]:
    packets = []
    at = start
    while at < len(source):
        header = _PACKET.unpack(source.take(at, _PACKET.size, "a packet's header"))
        kind, _, size, offset, overflows, capacity, n, n_valid = header
        if kind < 0 or size <= 0 or overflows < 0 or not 0 <= n_valid <= n <= capacity:
            raise source.error(
                at,
                "a packet's header with 0 <= valid <= number <= capacity of events",
                f"type {kind}, {n_valid} valid of {n} of {capacity} events of {size} bytes, "
                f"{overflows} overflows",
            )
        if kind == _POLARITY and (size, offset) != (_RECORD.itemsize, 4):
            raise source.error(
                at, "polarity events of 8 bytes, time at 4", f"{size} bytes, time at {offset}"
            )
        at += _PACKET.size
        if at + n * size > len(source):
            raise source.error(
                at, f"a packet of {n} events of {size} bytes", f"the end in {len(source) - at}"
            )
        if kind == _POLARITY:
            packets.append(_Packet(at, n, overflows))
        at += n * size
    return packets


def _decode(source: Source, packet: _Packet, out: Events, limits: tuple[int, int] | None) -> int:
    """Fill the valid events of a packet in; return how many."""
    end = packet.at + packet.n * _RECORD.itemsize
    records = source.data[packet.at : end].view(_RECORD)
    kept = np.flatnonzero(records["data"] & 1)
    records = records[kept]
    x, y = records["data"] >> 17, (records["data"] >> 2) & ((1 << _BITS) - 1)
    wrong = first_outside(x, y, limits)
    if wrong is None and records.size and records["t"].min() < 0:
        bad = int(np.argmin(records["t"]))
        wrong = bad, "a time >= 0", f"{records['t'][bad]} us"
    if wrong:
        raise source.error(packet.at + int(kept[wrong[0]]) * _RECORD.itemsize, wrong[1], wrong[2])
    out = out[: kept.size]
    out["x"], out["y"], out["p"] = x, y, (records["data"] >> 1) & 1
    out["t"] = records["t"].astype(np.int64) | (packet.overflows << _CLOCK)
    return kept.size


def write_aedat3(
    path: str | Path, events: NDArray[Any], *, sensor_size: SensorSize | None = None
) -> None:
    """Write an AEDAT 3.1 file of polarity events; `read_aedat3` gives back the same events.

    Parameters
    ----------
    path : str or Path
    events : (n_events,) structured array
        Vision events; times [us] >= 0.
    sensor_size : (W, H) or (W, H, P), optional
        At most 32768 x 32768; used as a check only, since the format has no place for it.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or its time cannot be written.
    """
    out, limits = to_write(events, sensor_size, (1 << _BITS, 1 << _BITS), "an AEDAT 3.1 file")
    overflows = out["t"] >> _CLOCK
    if out.size and int(overflows.max()) >= 1 << 31:
        raise ParameterError(f"write_aedat3: time {out['t'].max()} us is not below 2^62 us.")
    records = np.empty(out.size, _RECORD)
    records["t"] = out["t"] & ((1 << _CLOCK) - 1)
    records["data"] = (
        1
        | (out["p"].astype(np.uint32) << 1)
        | (out["y"].astype(np.uint32) << 2)
        | (out["x"].astype(np.uint32) << 17)
    )
    camera = "DVS128" if limits == (128, 128) else "Unknown"
    lines = [_VERSION, "Format: RAW", f"Source 0: {camera}", _END]
    # a packet has one number of overflows and at most _PACKET_EVENTS events
    ends = np.flatnonzero(np.diff(overflows)) + 1
    cuts = np.union1d(np.arange(0, out.size, _PACKET_EVENTS), ends)
    with Path(path).open("wb") as file:
        file.write("".join(f"#{line}\r\n" for line in lines).encode())
        for first, last in pairwise([*cuts, out.size]):
            n = int(last - first)
            file.write(_PACKET.pack(_POLARITY, 0, 8, 4, int(overflows[first]), n, n, n))
            file.write(records[first:last].tobytes())
