"""Prophesee's EVT 3.0: raw recordings of 16-bit words, with rows of events as bit vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats._evt import BITS, open_raw, raw_header
from neurosim.datasets.formats._source import SensorSize, shrink, to_write
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.errors import ParameterError

_KIND = "a Prophesee EVT 3.0 file"
_STEP = (1 << 11) - 1  # of the upper 12 bits of the clock: just below half a turn
_LONGEST = 1 << 42  # us, 50 days: half a million words before the first event
_TIME_LOW, _TIME_HIGH, _ADDR_X = 0x6000, 0x8000, 0x2000


def read_evt3(path: str | Path, *, sensor_size: SensorSize | None = None) -> Events:
    """Read the events of an EVT 3.0 recording (``.raw``).

    Parameters
    ----------
    path : str or Path
    sensor_size : (W, H) or (W, H, P), optional
        Pixels; default: what the header states, or 2048 x 2048 if it does not.

    Returns
    -------
    events : (n_events,) structured array
        Fields ``x y t p``, in the order of the file, those of a vector from left to right. Times
        [us] are those of the camera; turns of its 24-bit clock every 16.8 s are unfolded. Events
        before the first words with the time and the row are left out, triggers too. The file is
        mapped; one pass counts the events, one decodes them; memory is that of the result, 13
        bytes an event. The first call in a new environment compiles for a second or two.

    Raises
    ------
    FileFormatError
        If the file is of another kind, has a word of unknown type, ends inside a word, or an
        event lies outside the sensor.

    Notes
    -----
    Source: docs.prophesee.ai, "EVT 3.0 Format"; little-endian words, as the sensors send them by
    default. A pause of more than half a turn (8.4 s) without any word of time cannot be told from
    a step back.
    """
    source, start, limits = open_raw(path, _KIND, "3.0", sensor_size)
    words = source.records(start, "<u2", "a word")

    from neurosim.datasets.formats import _evt3_kernels as kernels  # Numba: loaded on first use

    events = np.empty(kernels.count(words), VISION)
    width, height = limits or (1 << BITS, 1 << BITS)
    n, last, ending, column, row = kernels.decode(
        words, width, height, events["x"], events["y"], events["t"], events["p"]
    )
    at = start + last * 2
    if ending == kernels.OUTSIDE:
        raise source.error(at, f"a pixel of the {width} x {height} sensor", f"x={column}, y={row}")
    if ending == kernels.UNKNOWN_TYPE:
        raise source.error(at, "a word of type 0, 2 to 8, A, E or F", f"type {column:X}")
    return shrink(events, n)


def write_evt3(
    path: str | Path, events: NDArray[Any], *, sensor_size: SensorSize | None = None
) -> None:
    """Write an EVT 3.0 file without vectors; `read_evt3` gives back the same events.

    Parameters
    ----------
    path : str or Path
    events : (n_events,) structured array
        Vision events in order of time; times [us] >= 0, below 2^42 us (50 days).
    sensor_size : (W, H) or (W, H, P), optional
        At most 2048 x 2048; written into the header.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or its time cannot be written.
    """
    out, limits = to_write(events, sensor_size, (1 << BITS, 1 << BITS), "an EVT 3.0 file")
    times = out["t"].astype(np.int64)
    if times.size and (np.diff(times) < 0).any():
        raise ParameterError("write_evt3: events must be in order of time; sort them first.")
    if times.size and times[-1] >= _LONGEST:
        raise ParameterError(f"write_evt3: time {times[-1]} us is not below {_LONGEST} us (50 d).")
    header = raw_header(3, limits if sensor_size is not None else None)
    Path(path).write_bytes(header + _words(out, times).tobytes())


def _words(out: Events, times: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Return [TIME_HIGH ...] [TIME_LOW] [ADDR_Y] ADDR_X for each event, what changes only."""
    high, low, row = times >> 12, times & 0xFFF, out["y"].astype(np.int64)
    # from one word to the next the clock must go on by less than half a turn to be unfolded
    n_high = -(-np.diff(high, prepend=0) // _STEP)
    n_high[:1] += times[:1] >> 12 == 0
    new_low = (n_high > 0) | (np.diff(low, prepend=-1) != 0)
    new_row = np.diff(row, prepend=-1) != 0
    end = np.cumsum(n_high + new_low + new_row + 1)
    words = np.empty(int(end[-1]) if end.size else 0, "<u2")
    words[end - 1] = _ADDR_X | (out["p"].astype(np.int64) << 11) | out["x"].astype(np.int64)
    words[end[new_row] - 2] = row[new_row]
    words[(end - 2 - new_row)[new_low]] = _TIME_LOW | low[new_low]
    events = np.repeat(np.arange(times.size), n_high)  # one entry a word of TIME_HIGH
    left = np.repeat(np.cumsum(n_high), n_high) - 1 - np.arange(events.size)  # words after it
    at = (end - 3 - new_row)[events] - left
    words[at] = _TIME_HIGH | ((high[events] - left * _STEP) & 0xFFF)
    return words
