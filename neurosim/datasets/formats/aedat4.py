"""AEDAT 4.0, the files of iniVation's DV: streams of compressed packets of FlatBuffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats._compression import CODES, compress, decompress
from neurosim.datasets.formats._flatbuffers import FlatBuffer
from neurosim.datasets.formats._source import (
    SensorSize,
    Source,
    first_outside,
    sensor_limits,
    shrink,
    to_write,
)
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.errors import FileFormatError, ParameterError, unknown_name

_KIND = "an AEDAT 4.0 file"
_VERSION = b"#!AER-DAT4.0\r\n"
_RECORD = np.dtype(
    {
        "names": ["t", "x", "y", "on"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
_PACKET = struct.Struct("<ii")  # stream, bytes
_PACKET_EVENTS = 4096  # written
_LARGEST = 1 << 15


class _Stream(NamedTuple):
    id: int
    size: tuple[int, int] | None


class _Header(NamedTuple):
    compression: int
    start: int  # byte of the first packet
    end: int  # byte after the last
    streams: list[_Stream]  # of events


def read_aedat4(
    path: str | Path, *, stream: int | None = None, sensor_size: SensorSize | None = None
) -> Events:
    """Read the events of an AEDAT 4.0 file.

    Parameters
    ----------
    path : str or Path
    stream : int, optional
        The stream of events to read; needed only if there are several (two cameras).
    sensor_size : (W, H) or (W, H, P), optional
        Pixels; default: what the file states of the stream, or no check if it does not.

    Returns
    -------
    events : (n_events,) structured array
        Fields ``x y t p``, the origin in the upper left corner, in the order of the file; times
        [us] are usually Unix time. Frames, inertial samples and triggers are skipped unread. One
        pass; the number of events is not known beforehand, so that memory may exceed that of the
        result (13 bytes an event) by a quarter.

    Raises
    ------
    FileFormatError
        If the file is of another kind, ends inside a packet, a packet is damaged or an event lies
        outside the sensor.
    MissingPackageError
        If packets are compressed and the package for it is not installed (extra ``events``: lz4,
        zstandard).
    ParameterError
        If there are several streams of events and none is chosen, or not the chosen one.

    Notes
    -----
    Source: docs.inivation.com, "AEDAT 4.0"; dv-processing's FlatBuffers schemas.
    """
    source = Source(path, _KIND)
    header = _header(source)
    chosen = _choose(header.streams, stream, path)
    limits = sensor_limits(sensor_size) or chosen.size
    events = np.empty(0, VISION)
    n = 0
    for at, data in _packets(source, header, chosen.id):
        records = _events_of(source, at, decompress(source, at, data, header.compression))
        wrong = first_outside(records["x"], records["y"], limits)
        if wrong is None and records.size and records["t"].min() < 0:
            bad = int(np.argmin(records["t"]))
            wrong = bad, "a time >= 0", f"t = {records['t'][bad]}"
        if wrong:
            raise source.error(
                at,
                f"a packet of events, each with {wrong[1]}",
                f"{wrong[2]} at its event {wrong[0]}",
            )
        if n + records.size > events.size:
            events.resize(n + records.size + (n + records.size) // 4, refcheck=False)
        out = events[n : n + records.size]
        out["x"], out["y"], out["t"], out["p"] = (
            records["x"], records["y"], records["t"], records["on"] > 0
        )  # fmt: skip
        n += records.size
        del out  # resizing needs the only reference to the memory
    return shrink(events, n)


def _header(source: Source) -> _Header:
    if source.data[: len(_VERSION)].tobytes() != _VERSION:
        raise source.error(
            0, f"the line {_VERSION.decode().strip()}", repr(source.data[:16].tobytes())
        )
    at = len(_VERSION)

    def damaged(expected: str, found: str) -> FileFormatError:
        return source.error(at, f"the file's header with {expected}", found)

    size = int.from_bytes(source.take(at, 4, "the size of the header"), "little")
    buffer = FlatBuffer(source.take(at, 4 + size, "the header"), b"IOHE", damaged)
    compression, table, info = buffer.field(0), buffer.field(1), buffer.field(2)
    code = 0 if compression is None else buffer.number("i", compression)
    if code not in CODES:
        raise damaged("compression 0 (none), 1, 2 (LZ4) or 3, 4 (Zstd)", str(code))
    start = at + 4 + size
    end = -1 if table is None else buffer.number("q", table)
    if end == -1:
        end = len(source)  # the recording was not closed: packets up to the end
    if not start <= end <= len(source):
        raise damaged(f"a table of data at {start} to {len(source)}", f"position {end}")
    if info is None:
        raise damaged("a description of streams", "none")
    first, n = buffer.vector(info, 1)
    return _Header(code, start, end, _streams(buffer.data[first : first + n], damaged))


def _streams(text: bytes, damaged: Any) -> list[_Stream]:
    """Return the streams of events that the header's XML describes."""
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise damaged("a description of streams in XML", f"a mistake: {error}") from None
    streams = []
    for node in root.iterfind("./node[@name='outInfo']/node"):
        if node.findtext("attr[@key='typeIdentifier']") != "EVTS":
            continue
        name = node.get("name", "")
        size = [node.findtext(f"node[@name='info']/attr[@key='{k}']", "") for k in _SIZE_KEYS]
        if not (name.isdecimal() and len(name) < 9):
            raise damaged("a number as the name of a stream", repr(name))
        known = all(text.isdecimal() and 0 < len(text) < 6 for text in size)
        streams.append(_Stream(int(name), (int(size[0]), int(size[1])) if known else None))
    if not streams:
        raise damaged("a stream of events (EVTS)", "none")
    return streams


_SIZE_KEYS = ("sizeX", "sizeY")


def _choose(streams: list[_Stream], stream: int | None, path: str | Path) -> _Stream:
    if stream is None and len(streams) == 1:
        return streams[0]
    found = [s for s in streams if s.id == stream]
    if not found:
        raise ParameterError(
            f"read_aedat4: stream = {stream}, but {path} has the streams of events "
            f"{', '.join(str(s.id) for s in streams)}; choose one of them."
        )
    return found[0]


def _packets(source: Source, header: _Header, stream: int) -> Iterator[tuple[int, bytes]]:
    """Yield (byte, compressed data) of the packets of a stream."""
    at = header.start
    while at < header.end:
        found, size = _PACKET.unpack(source.take(at, _PACKET.size, "a packet's header"))
        at += _PACKET.size
        if size < 0 or at + size > header.end:
            raise source.error(
                at - 4, f"a packet's size up to {max(header.end - at, 0)}", f"{size} bytes"
            )
        if found == stream:
            yield at, source.take(at, size, "a packet")
        at += size


def _events_of(source: Source, at: int, data: bytes) -> NDArray[Any]:
    """Return the events in a decompressed packet."""

    def damaged(expected: str, found: str) -> FileFormatError:
        return source.error(at, f"a packet of events with {expected}", found)

    buffer = FlatBuffer(data, b"EVTS", damaged)
    elements = buffer.field(0)
    start, n = (0, 0) if elements is None else buffer.vector(elements, _RECORD.itemsize)
    return np.frombuffer(data, _RECORD, n, start)


def write_aedat4(
    path: str | Path,
    events: NDArray[Any],
    *,
    sensor_size: SensorSize,
    compression: str = "none",
) -> None:
    """Write an AEDAT 4.0 file with one stream of events; `read_aedat4` gives back the same.

    Parameters
    ----------
    path : str or Path
    events : (n_events,) structured array
        Vision events; times [us] >= 0.
    sensor_size : (W, H) or (W, H, P)
        Written into the file's description.
    compression : {"none", "lz4", "lz4_high", "zstd", "zstd_high"}, default "none"
        Of packets; all but ``"none"`` need the extra ``events``.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or its time cannot be written.
    MissingPackageError
        If the package for the compression is not installed.
    UnknownNameError
        If there is no such compression.

    Notes
    -----
    The table of packets at the end, which speeds up seeking, is optional and not written.
    """
    if compression not in CODES.values():
        raise unknown_name("compression", compression, CODES.values(), "write_aedat4")
    code = {name: code for code, name in CODES.items()}[compression]
    out, size = to_write(events, sensor_size, (_LARGEST, _LARGEST), "an AEDAT 4.0 file")
    records = np.zeros(out.size, _RECORD)
    records["t"], records["x"], records["y"], records["on"] = (
        out["t"], out["x"], out["y"], out["p"]
    )  # fmt: skip
    with Path(path).open("wb") as file:
        file.write(_VERSION + _header_buffer(code, size, compression))
        for first in range(0, out.size, _PACKET_EVENTS):
            part = records[first : first + _PACKET_EVENTS]
            # root table at 16 with its vtable (one field, at 4) at 10; the vector begins at 24
            body = struct.pack("<i4s2xHHHiiI", 16, b"EVTS", 6, 8, 4, 6, 4, part.size)
            data = compress(_prefixed(body + part.tobytes()), compression)
            file.write(_PACKET.pack(0, len(data)) + data)


def _prefixed(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def _header_buffer(code: int, size: tuple[int, int], compression: str) -> bytes:
    info = _DESCRIPTION.format(compression=compression.upper(), width=size[0], height=size[1])
    text = info.encode()
    # root table at 24 with its vtable at 8: compression at 4, position of the table of packets
    # (-1: none) at 12, description at 8, which is the string at 44
    body = struct.pack("<i4sHHHHH6x", 24, b"IOHE", 10, 20, 4, 12, 8)
    body += struct.pack("<iiiqI", 16, code, 12, -1, len(text)) + text
    return _prefixed(body + b"\0" * (4 - len(text) % 4))


_DESCRIPTION = """<dv version="2.0">
 <node name="outInfo" path="/mainloop/Recorder/outInfo/">
  <node name="0" path="/mainloop/Recorder/outInfo/0/">
   <attr key="compression" type="string">{compression}</attr>
   <attr key="originalModuleName" type="string">neurosim</attr>
   <attr key="originalOutputName" type="string">events</attr>
   <attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
   <attr key="typeIdentifier" type="string">EVTS</attr>
   <node name="info" path="/mainloop/Recorder/outInfo/0/info/">
    <attr key="sizeX" type="int">{width}</attr>
    <attr key="sizeY" type="int">{height}</attr>
    <attr key="source" type="string">neurosim</attr>
    <attr key="tsOffset" type="long">0</attr>
   </node>
  </node>
 </node>
</dv>
"""
