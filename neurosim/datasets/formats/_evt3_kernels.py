"""The state machine of EVT 3.0, compiled.

Both kernels walk once over the words (n_words,) uint16, one thread. `count` finds how many events
there are at most, `decode` writes them into columns of that length.
"""

from __future__ import annotations

import numba
import numpy as np

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8 = 0x0, 0x2, 0x3, 0x4, 0x5
TIME_LOW, CONTINUED_4, TIME_HIGH, TRIGGER, OTHERS, CONTINUED_12 = 0x6, 0x7, 0x8, 0xA, 0xE, 0xF

#: How a walk ended.
OK, UNKNOWN_TYPE, OUTSIDE = 0, 1, 2


@numba.njit(cache=True, nogil=True)
def count(words):
    """Return an upper bound of the number of events: all bits of vectors and single events."""
    n = 0
    for word in words:
        kind = word >> 12
        if kind == ADDR_X:
            n += 1
        elif kind in (VECT_12, VECT_8):
            valid = word & (0xFFF if kind == VECT_12 else 0xFF)
            while valid:
                valid &= valid - 1
                n += 1
    return n


@numba.njit(cache=True, nogil=True)
def decode(words, width, height, x, y, t, p):
    """Fill the columns; return (events, last word, how it ended, column or type there, row)."""
    # -1: not known before the first word of that kind
    time, row, base = np.int64(-1), np.int64(-1), np.int64(-1)
    polarity, turns, n = np.int64(0), np.int64(0), 0
    for i in range(words.size):
        word = np.int64(words[i])
        kind = word >> 12
        if kind in (ADDR_X, VECT_12, VECT_8):
            if kind == ADDR_X:
                first, valid, on = word & 0x7FF, 1, (word >> 11) & 1
                step = 0
            else:
                step = 12 if kind == VECT_12 else 8
                first, valid, on = base, word & ((1 << step) - 1), polarity
            if time >= 0 and row >= 0 and first >= 0:
                column = first
                while valid:
                    if valid & 1:
                        if column >= width or row >= height:
                            return n, i, OUTSIDE, column, row
                        x[n], y[n], p[n] = column, row, on == 1
                        t[n] = time + (turns << 24)
                        n += 1
                    valid >>= 1
                    column += 1
            if step and base >= 0:
                base += step
        elif kind == ADDR_Y:
            row = word & 0x7FF
        elif kind == VECT_BASE_X:
            base, polarity = word & 0x7FF, (word >> 11) & 1
        elif kind == TIME_LOW:
            if time >= 0:
                time = (time & 0xFFF000) | (word & 0xFFF)
        elif kind == TIME_HIGH:
            high = word & 0xFFF
            if time >= 0:
                change = high - (time >> 12)
                # as in _source.Clock: more than half a range back is a turn
                if change < -2048:
                    turns += 1
                elif change > 2048 and turns > 0:
                    turns -= 1
            time = high << 12
        elif kind not in (CONTINUED_4, TRIGGER, OTHERS, CONTINUED_12):
            return n, i, UNKNOWN_TYPE, kind, kind
    return n, words.size, OK, base, row
