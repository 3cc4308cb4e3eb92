"""Prophesee's EVT 2.0: raw recordings of 32-bit words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats._evt import BITS, open_raw, raw_header
from neurosim.datasets.formats._source import (
    Clock,
    SensorSize,
    Source,
    blocks,
    check_clock,
    first_outside,
    shrink,
    to_write,
)
from neurosim.datasets.formats.structured import VISION, Events

_KIND = "a Prophesee EVT 2.0 file"
_OFF, _ON, _TIME_HIGH = 0x0, 0x1, 0x8
_OTHERS = (0xA, 0xE, 0xF)  # external trigger, other, continued: no pixel's events
_LOW_BITS, _HIGH_BITS = 6, 28
_MASK = (1 << BITS) - 1


def read_evt2(path: str | Path, *, sensor_size: SensorSize | None = None) -> Events:
    """Read the events of an EVT 2.0 recording (``.raw``).

    Parameters
    ----------
    path : str or Path
    sensor_size : (W, H) or (W, H, P), optional
        Pixels; default: what the header states, or no check if it does not.

    Returns
    -------
    events : (n_events,) structured array
        Fields ``x y t p``, in the order of the file. Times [us] are those of the camera; turns
        of its clock after 2^34 us (4.8 hours) are unfolded. Events before the first word with the
        high part of the time have no time and are left out, triggers too. The file is mapped;
        one pass counts the events, one decodes them by blocks; memory is that of the result,
        13 bytes an event.

    Raises
    ------
    FileFormatError
        If the file is of another kind, has a word of unknown type, ends inside a word, or an
        event lies outside the sensor.

    Notes
    -----
    Source: docs.prophesee.ai, "EVT 2.0 Format"; little-endian words, as the sensors send them by
    default.
    """
    source, start, limits = open_raw(path, _KIND, "2.0", sensor_size)
    words = source.records(start, "<u4", "a word")
    n_events = sum(int(np.count_nonzero(words[part] >> 28 <= _ON)) for part in blocks(words.size))
    events = np.empty(n_events, VISION)
    clock = Clock(_HIGH_BITS)
    n, high = 0, -1  # high part of the time, -1 while unknown
    for part in blocks(words.size):
        block = words[part]
        at = start + part.start * 4
        kinds = _kinds(block, source, at)
        is_high = kinds == _TIME_HIGH
        highs = np.concatenate([[high], clock.unfold(block[is_high] & ((1 << _HIGH_BITS) - 1))])
        current = highs[np.cumsum(is_high)]
        high = int(highs[-1])
        kept = np.flatnonzero((kinds <= _ON) & (current >= 0))
        block = block[kept]
        x, y = (block >> BITS) & _MASK, block & _MASK
        wrong = first_outside(x, y, limits)
        if wrong:
            raise source.error(at + int(kept[wrong[0]]) * 4, wrong[1], wrong[2])
        out = events[n : n + kept.size]
        out["x"], out["y"], out["p"] = x, y, block >> 28
        low = (block >> (2 * BITS)) & ((1 << _LOW_BITS) - 1)
        out["t"] = (current[kept] << _LOW_BITS) | low
        n += kept.size
    return shrink(events, n)


def _kinds(words: NDArray[Any], source: Source, at: int) -> NDArray[Any]:
    kinds = words >> 28
    known = np.isin(kinds, (_OFF, _ON, _TIME_HIGH, *_OTHERS))
    if not known.all():
        bad = int(np.argmin(known))
        raise source.error(
            at + bad * 4, "a word of type 0, 1, 8, A, E or F", f"type {int(kinds[bad]):X}"
        )
    return kinds


def write_evt2(
    path: str | Path, events: NDArray[Any], *, sensor_size: SensorSize | None = None
) -> None:
    """Write an EVT 2.0 file; `read_evt2` gives back the same events.

    Parameters
    ----------
    path : str or Path
    events : (n_events,) structured array
        Vision events; times [us] >= 0, steps up to 2^33 - 64 us (2.4 hours).
    sensor_size : (W, H) or (W, H, P), optional
        At most 2048 x 2048; written into the header.

    Raises
    ------
    ParameterError
        If an event lies outside the sensor or its time cannot be written.
    """
    out, limits = to_write(events, sensor_size, (1 << BITS, 1 << BITS), "an EVT 2.0 file")
    high = out["t"] >> _LOW_BITS
    check_clock(high, _HIGH_BITS, "an EVT 2.0 file (in units of 64 us)")
    new = np.diff(high, prepend=-1) != 0  # the high part goes before an event where it changes
    words = np.empty(out.size + np.count_nonzero(new), "<u4")
    at = np.arange(out.size) + np.cumsum(new)
    words[at[new] - 1] = (high[new] & ((1 << _HIGH_BITS) - 1)) | (_TIME_HIGH << 28)
    words[at] = (
        (out["p"].astype(np.uint32) << 28)
        | ((out["t"] & ((1 << _LOW_BITS) - 1)).astype(np.uint32) << (2 * BITS))
        | (out["x"].astype(np.uint32) << BITS)
        | out["y"].astype(np.uint32)
    )
    header = raw_header(2, limits if sensor_size is not None else None)
    Path(path).write_bytes(header + words.tobytes())
