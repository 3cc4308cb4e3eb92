"""The exact flow exp(A t) z, and the search for the first time at which the margin reaches zero.

The margin is y(t) = y_inf + c.z(t). Of an interval the search knows y, y', y'' exactly at both ends
and bounds |y''| <= B2, |y'''| <= B3 that hold from its left end on. It is excluded, or its
crossing is known to be the only one, by the first of these that applies:

- the chord plus h**2/8 times the largest possible -y'' stays below zero;
- y' or y'' keeps its sign: a monotone or convex margin is largest at an end, a concave one at its
  only maximum, which is then found;

otherwise it is halved, the left half first. So no excursion above threshold is missed, however
short, and the result does not depend on the length of the first interval.
"""

from __future__ import annotations

import numpy as np

from neurosim.engines.cpu.continuous.kernels.queue import OPTIONS
from neurosim.engines.cpu.kernels.cached import cached

_DEGREE = 8
_LEVELS = 8
_TINY = 1e-200  # smaller states are zero: products would become denormal
#: Intervals this short [ms] are not halved further (relative to the time since the last input).
_SHORT = 1e-13
T, Y, Y1, Y2, B2, B3 = 0, 1, 2, 3, 4, 5


@cached(**OPTIONS)
def flow(groups, g, t, z, out, vectors):
    """Set out = exp(A t) z for a group g; uses the first two scratch vectors."""
    m = groups.m[g]
    unit = groups.unit[g]
    whole = np.floor(t / unit)  # exact: the unit is a power of two
    part = t - whole * unit
    term, new = vectors[0], vectors[1]
    for i in range(m):
        term[i] = z[i]
        out[i] = z[i]
    if part > 0.0:
        for degree in range(1, _DEGREE + 1):
            for i in range(m):
                new[i] = 0.0
            factor = part / degree
            for k in range(groups.n_generator[g]):
                new[groups.generator_row[g, k]] += (
                    groups.generator[g, k] * term[groups.generator_column[g, k]] * factor
                )
            for i in range(m):
                term[i] = new[i]
                out[i] += new[i]
    if whole >= 16.0**_LEVELS:
        whole = 0.0
        for i in range(m):
            out[i] = 0.0
    number = np.int64(whole)
    level = 0
    while number > 0:
        digit = number & 15
        if digit > 0:
            for i in range(m):
                term[i] = out[i]
                out[i] = 0.0
            for k in range(groups.n_power[g]):
                out[groups.power_row[g, k]] += (
                    groups.power[g, level, digit, k] * term[groups.power_column[g, k]]
                )
        number >>= 4
        level += 1
    for i in range(m):
        if abs(out[i]) < _TINY:
            out[i] = 0.0


@cached(**OPTIONS)
def examine(groups, g, z, y_inf, t, point, vectors):
    """Write t, the margin, its slopes and their bounds at t to a point."""
    at = vectors[2]
    flow(groups, g, t, z, at, vectors)
    y, y1, y2, b2, b3 = y_inf, 0.0, 0.0, 0.0, 0.0
    for i in range(groups.m[g]):
        y += groups.slopes[g, 0, i] * at[i]
        y1 += groups.slopes[g, 1, i] * at[i]
        y2 += groups.slopes[g, 2, i] * at[i]
        b2 += groups.bound2[g, i] * abs(at[i])
        b3 += groups.bound3[g, i] * abs(at[i])
    point[T], point[Y], point[Y1], point[Y2], point[B2], point[B3] = t, y, y1, y2, b2, b3


@cached(**OPTIONS)
def _crossing(groups, g, z, y_inf, low, high, point, vectors):
    """Return the only zero of the margin between `low` (below zero) and `high` (not below)."""
    t = 0.5 * (low + high)
    for _ in range(200):
        examine(groups, g, z, y_inf, t, point, vectors)
        if point[Y] < 0.0:
            low = t
        else:
            high = t
        step = t - point[Y] / point[Y1] if point[Y1] != 0.0 else low
        if not low < step < high:
            step = 0.5 * (low + high)
        if abs(step - t) <= 2e-16 * t or high - low <= 4e-16 * high:
            return step
        t = step
    return t


@cached(**OPTIONS)
def _crossing_before_maximum(groups, g, z, y_inf, low, high, point, vectors):
    """Return the first zero of a concave margin that rises at `low` and falls at `high`, or -1."""
    first = low
    t = 0.5 * (low + high)
    for _ in range(200):
        examine(groups, g, z, y_inf, t, point, vectors)
        if point[Y] >= 0.0:
            return _crossing(groups, g, z, y_inf, first, t, point, vectors)
        if point[Y1] > 0.0:
            low = t
        else:
            high = t
        # concave: the margin stays below its tangents
        if point[Y] + max(point[Y1] * (high - t), -point[Y1] * (t - low)) < 0.0:
            return -1.0
        step = t - point[Y1] / point[Y2] if point[Y2] != 0.0 else low
        if not low < step < high:
            step = 0.5 * (low + high)
        if step == t or high - low <= 4e-16 * high:
            return -1.0
        t = step
    return -1.0


@cached(**OPTIONS)
def first_crossing(groups, g, z, y_inf, start, stop, points, vectors):
    """Return the first time in (start, stop] at which the margin is not below zero, or -1.

    Times count from the time of z; the margin must be below zero at `start`.
    """
    left, point = points[0], points[1]
    examine(groups, g, z, y_inf, start, left, vectors)
    n = 2
    examine(groups, g, z, y_inf, stop, points[n], vectors)
    while n > 1:
        right = points[n]
        h = right[T] - left[T]
        mean2 = 0.5 * (left[Y2] + right[Y2])
        reach2 = 0.5 * left[B3] * h
        mean1 = 0.5 * (left[Y1] + right[Y1])
        reach1 = 0.5 * left[B2] * h
        short = h <= _SHORT * max(1.0, right[T]) or n == points.shape[0] - 1
        if right[Y] >= 0.0:
            if mean1 > reach1 or mean2 > reach2 or mean2 < -reach2:
                return _crossing(groups, g, z, y_inf, left[T], right[T], point, vectors)
            if short:
                return right[T]
        else:
            bend = max(0.0, min(reach2 - mean2, left[B2]))
            out = max(left[Y], right[Y]) + 0.125 * h * h * bend < 0.0
            out = out or mean1 > reach1 or mean1 < -reach1 or mean2 > reach2 or short
            if not out and mean2 < -reach2:  # concave
                if left[Y1] > 0.0 and right[Y1] < 0.0:
                    found = _crossing_before_maximum(
                        groups, g, z, y_inf, left[T], right[T], point, vectors
                    )
                    if found >= 0.0:
                        return found
                out = True
            if out:
                for k in range(6):
                    left[k] = right[k]
                n -= 1
                continue
        examine(groups, g, z, y_inf, 0.5 * (left[T] + right[T]), points[n + 1], vectors)
        n += 1
    return -1.0
