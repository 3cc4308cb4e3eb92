"""What the readers share: the bytes of a file, its errors, clocks that wrap, sensor limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from neurosim.datasets.formats.structured import VISION, Events, from_structured
from neurosim.errors import FileFormatError, ParameterError

#: Records decoded at a time: the temporary arrays stay in the cache and far below the result.
BLOCK = 1 << 16
#: A header is text; a longer line means that it is none.
LONGEST_LINE = 1 << 16
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")

SensorSize = tuple[int, ...]


class Source:
    """The bytes of a file, mapped and not copied, and the errors about them.

    Parameters
    ----------
    path : str or Path
    kind : str
        The format, as errors are to call it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """

    def __init__(self, path: str | Path, kind: str) -> None:
        self.path = Path(path)
        self.kind = kind
        if not self.path.is_file():
            found = "that is a folder; give one of its files" if self.path.is_dir() else None
            raise FileNotFoundError(f"{path}: {found or 'there is no such file'}.")
        empty = self.path.stat().st_size == 0
        self.data: NDArray[np.uint8] = (
            np.empty(0, np.uint8) if empty else np.asarray(np.memmap(self.path, np.uint8, "r"))
        )

    def __len__(self) -> int:
        return self.data.size

    def error(self, offset: int, expected: str, found: str) -> FileFormatError:
        """Return the error that says where the file stops being what it should be."""
        return FileFormatError(
            f"{self.path} is damaged or not {self.kind}: at byte {offset}, {expected} is "
            f"expected, but there is {found}."
        )

    def take(self, start: int, n: int, what: str) -> bytes:
        """Return n bytes, or raise an error that says what does not fit into the file."""
        if n < 0 or start < 0 or start + n > len(self):
            left = max(len(self) - start, 0)
            raise self.error(start, f"{what} of {n} bytes", f"the end of the file in {left} bytes")
        return self.data[start : start + n].tobytes()

    def records(self, start: int, dtype: DTypeLike, what: str) -> NDArray[Any]:
        """Return everything from `start` on as records, which must be whole."""
        size = np.dtype(dtype).itemsize
        body = self.data[start:]
        if body.size % size:
            at = start + body.size - body.size % size
            raise self.error(at, f"{what} of {size} bytes", f"the end after {body.size % size}")
        return body.view(dtype)

    def header(self, mark: bytes, end: str | None = None) -> tuple[list[str], int]:
        """Return the lines of text that start with `mark`, without it, and where they end.

        The header ends after the line `end`, or before a line that does not start with the mark or
        is no text: events may happen to start with the mark's bytes.
        """
        lines: list[str] = []
        at = 0
        while self.data[at : at + len(mark)].tobytes() == mark:
            line, newline, _ = self.data[at : at + LONGEST_LINE].tobytes().partition(b"\n")
            if _CONTROL.search(line):
                break
            if not newline:
                raise self.error(at, "a line of text with its end", f"only {line[:40]!r}")
            lines.append(line[len(mark) :].decode("latin-1").strip())
            at += len(line) + 1
            if end is not None and lines[-1] == end:
                break
        return lines, at

    def number(self, lines: list[str], key: str) -> int | None:
        """Return the whole number that follows a key in the header's lines, None without it."""
        for line in lines:
            word, _, value = line.partition(" ")
            if word.lower() != key:
                continue
            found = re.fullmatch(r"(\d{1,9})(\.0)?", value.strip())
            if not found:
                raise self.error(0, f"a header with a number as its {key}", repr(value[:40]))
            return int(found[1])
        return None


def blocks(n: int) -> Iterator[slice]:
    """Yield the parts in which n records are decoded."""
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


class Clock:
    """Unfolds times that are stored modulo 2**bits, block by block.

    A step back by more than half the range is a turn of the clock, a step forward by more than
    half takes it back (late events around the turn); the first turn is never taken back.

    Parameters
    ----------
    bits : int
    """

    def __init__(self, bits: int) -> None:
        self.period = 1 << bits
        self._turns = 0
        self._last: int | None = None

    def unfold(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        """Return times that go on from those of the blocks before."""
        times = raw.astype(np.int64)
        if times.size == 0:
            return times
        first = times[0] if self._last is None else self._last
        self._last = int(times[-1])
        steps = np.diff(times, prepend=first)
        half = self.period // 2
        if steps.max() <= half and steps.min() >= -half:
            return times + self._turns * self.period
        turns = np.cumsum((steps < -half).astype(np.int64) - (steps > half)) + self._turns
        # a long pause in the first turn looks like a step back before it: turns stay >= 0
        turns -= np.minimum(np.minimum.accumulate(turns), 0)
        self._turns = int(turns[-1])
        return times + turns * self.period


def sensor_limits(sensor_size: SensorSize | None) -> tuple[int, int] | None:
    """Return (width, height) of a sensor given as (W, H) or (W, H, P)."""
    if sensor_size is None:
        return None
    size = tuple(sensor_size)
    if len(size) not in (2, 3) or not all(isinstance(n, int | np.integer) for n in size):
        raise ParameterError(f"sensor_size = {sensor_size}: (width, height) [pixels] is expected.")
    width, height = int(size[0]), int(size[1])
    if not (0 < width <= 1 << 15 and 0 < height <= 1 << 15):
        raise ParameterError(f"sensor_size = {sensor_size}: 1 to 32768 pixels are allowed.")
    return width, height


def first_outside(
    x: NDArray[Any], y: NDArray[Any], limits: tuple[int, int] | None
) -> tuple[int, str, str] | None:
    """Return (index, what is allowed, what there is) of the first event outside the sensor."""
    if limits is None or x.size == 0:
        return None
    width, height = limits
    if x.max() < width and y.max() < height and x.min() >= 0 and y.min() >= 0:
        return None
    bad = int(np.argmax((x < 0) | (x >= width) | (y < 0) | (y >= height)))
    return bad, f"a pixel of the {width} x {height} sensor", f"x = {x[bad]}, y = {y[bad]}"


def shrink(events: Events, n: int) -> Events:
    """Return the first n events in memory of that size."""
    if n < events.size:
        events.resize(n, refcheck=False)
    return events


def to_write(
    events: NDArray[Any], sensor_size: SensorSize | None, largest: tuple[int, int], kind: str
) -> tuple[Events, tuple[int, int]]:
    """Return events as the writers take them and the sensor's size, or the largest possible.

    Raises
    ------
    ParameterError
        If they are not vision events, or lie outside the sensor or what the format can hold.
    """
    out = from_structured(events)
    if out.dtype != VISION:
        raise ParameterError(f"{kind} holds vision events: fields x, y, t, p are needed.")
    limits = sensor_limits(sensor_size) or largest
    if limits[0] > largest[0] or limits[1] > largest[1]:
        raise ParameterError(
            f"sensor_size = {sensor_size}: {kind} holds at most {largest[0]} x {largest[1]} pixels."
        )
    wrong = first_outside(out["x"], out["y"], limits)
    if wrong:
        raise ParameterError(f"event {wrong[0]} of {kind}: {wrong[2]}, but {wrong[1]} is needed.")
    if out.size and int(out["t"].min()) < 0:
        raise ParameterError(f"{kind} holds times >= 0, but one is {out['t'].min()} us.")
    return out, limits


def check_clock(times: NDArray[np.int64], bits: int, kind: str) -> None:
    """Raise an error if times cannot be got back from a clock of so many bits."""
    if times.size and not np.array_equal(Clock(bits).unfold(times % (1 << bits)), times):
        raise ParameterError(
            f"{kind} keeps times modulo 2^{bits} us: events must begin in the first turn and two "
            f"that follow each other must be less than half a turn apart, in order of time."
        )
