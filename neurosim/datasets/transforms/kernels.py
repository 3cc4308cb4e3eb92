"""Compiled loops over the events of one recording. Each runs in one thread."""

from __future__ import annotations

import numba
import numpy as np

NEVER = np.iinfo(np.int64).min


@numba.njit(cache=True)
def surfaces(t, place, ends, tau, n_places):
    """Return (len(ends), n_places) float32: exp(-(end - last event before end)/tau).

    t : (n,) int64, not decreasing; place : (n,) int64; ends : (T,) float64, increasing.
    """
    out = np.zeros((ends.size, n_places), np.float32)
    last = np.full(n_places, NEVER, np.int64)
    event = 0
    for k in range(ends.size):
        while event < t.size and t[event] < ends[k]:
            last[place[event]] = t[event]
            event += 1
        for i in range(n_places):
            if last[i] != NEVER:
                out[k, i] = np.exp(-(ends[k] - last[i]) / tau)
    return out


@numba.njit(cache=True)
def supported(t, x, y, width, height, window):
    """Return (n,) bool: did one of the 8 neighbours have an event at most `window` before.

    t, x, y : (n,) int64, t not decreasing. A border of one pixel that never has events stands
    around the sensor, so that the loop needs no special cases at its edges.
    """
    keep = np.zeros(t.size, np.bool_)
    last = np.full((height + 2, width + 2), NEVER, np.int64)
    for i in range(t.size):
        row, column = y[i] + 1, x[i] + 1
        newest = NEVER
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if dx != 0 or dy != 0:
                    newest = max(newest, last[row + dy, column + dx])
        keep[i] = newest != NEVER and t[i] - newest <= window
        last[row, column] = t[i]
    return keep
