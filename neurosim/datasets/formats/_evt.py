"""The header of Prophesee's RAW files and what EVT 2 and EVT 3 share."""

from __future__ import annotations

import re
from pathlib import Path

from neurosim.datasets.formats._source import SensorSize, Source, sensor_limits
from neurosim.errors import FileFormatError

#: Bits of a coordinate.
BITS = 11


def encoding(lines: list[str]) -> str | None:
    """Return what a RAW header states, such as "2.0", "2.1" or "3.0"; None if nothing."""
    for line in lines:
        found = re.match(r"(?:evt\s+|format\s+EVT)(\d)\.?(\d?)", line, re.IGNORECASE)
        if found:
            return f"{found[1]}.{found[2] or 0}"
    return None


def open_raw(
    path: str | Path, kind: str, expected: str, sensor_size: SensorSize | None
) -> tuple[Source, int, tuple[int, int] | None]:
    """Return the file, where its words begin, and the sensor's (width, height) if known."""
    source = Source(path, kind)
    lines, start = source.header(b"% ", end="end")
    found = encoding(lines)
    if found is not None and found != expected:
        raise FileFormatError(
            f"{path} is not {kind}: its header states EVT {found}. "
            + ("Use read_evt2." if found == "2.0" else "Use read_evt3." if found == "3.0" else "")
        )
    return source, start, sensor_limits(sensor_size) or _geometry(lines)


def _geometry(lines: list[str]) -> tuple[int, int] | None:
    for line in lines:
        found = re.fullmatch(r"geometry\s+(\d{1,5})x(\d{1,5})", line)
        if found:
            return int(found[1]), int(found[2])
        sizes = dict(re.findall(r";(height|width)=(\d{1,5})", line))
        if len(sizes) == 2:
            return int(sizes["width"]), int(sizes["height"])
    return None


def raw_header(version: int, sensor: tuple[int, int] | None) -> bytes:
    """Return the header of a RAW file."""
    text = f"% evt {version}.0\n"
    if sensor is not None:
        text += f"% format EVT{version};height={sensor[1]};width={sensor[0]}\n"
        text += f"% geometry {sensor[0]}x{sensor[1]}\n"
    return (text + "% end\n").encode()
