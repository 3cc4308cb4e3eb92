"""Compiled loops of the tempotron, one thread each.

Between two events the potential is v0 (A exp(-x/tau) - B exp(-x/tau_s)), x being the time since
the first of them; A and B jump by the weight at an event. With A, B > 0 and B tau > A tau_s it
rises to one maximum; otherwise its largest value is at an end of the interval.
"""

from __future__ import annotations

import numba
import numpy as np

BISECTIONS = 60  # an interval of 1e3 ms shrinks below 1e-15 ms


@numba.njit(cache=True)
def rise(a, b, tau, tau_s):
    """Return how long the potential still rises to an inner maximum; 0 if it has none."""
    if a > 0.0 and b > 0.0 and b * tau > a * tau_s:
        return np.log(b * tau / (a * tau_s)) * tau * tau_s / (tau - tau_s)
    return 0.0


@numba.njit(cache=True)
def exact_maximum(times, ids, weights, tau, tau_s, v0, threshold, t_stop, shunting):
    """Return the largest potential, its time, the events it depends on, and the first crossing.

    times : (n,) float64, ascending; ids : (n,) int64; weights : (n_afferents,) float64. The
    crossing is NaN where the threshold is not reached. With shunting, events after it are lost.
    """
    best, when, used, crossing = 0.0, 0.0, 0, np.nan
    a = b = 0.0
    n = times.size
    for k in range(n):
        if k > 0:
            step = times[k] - times[k - 1]
            a *= np.exp(-step / tau)
            b *= np.exp(-step / tau_s)
        a += weights[ids[k]]
        b += weights[ids[k]]
        length = (times[k + 1] if k + 1 < n else t_stop) - times[k]
        x = rise(a, b, tau, tau_s)
        inner = 0.0 < x < length
        at = x if inner else length
        v = v0 * (a * np.exp(-at / tau) - b * np.exp(-at / tau_s))
        if v >= threshold and np.isnan(crossing):
            low, high = 0.0, at
            for _ in range(BISECTIONS):
                middle = 0.5 * (low + high)
                if v0 * (a * np.exp(-middle / tau) - b * np.exp(-middle / tau_s)) < threshold:
                    low = middle
                else:
                    high = middle
            crossing = times[k] + high
            if shunting:
                at = min(x, t_stop - times[k])
                v = v0 * (a * np.exp(-at / tau) - b * np.exp(-at / tau_s))
                return v, times[k] + at, k + 1, crossing
        if v > best:
            best, when, used = v, times[k] + at, k + 1
    return best, when, used, crossing


@numba.njit(cache=True)
def grid_maximum(times, ids, weights, tau, tau_s, v0, threshold, t_stop, grid, shunting):
    """Return what `exact_maximum` does, of the potential at 0, grid, 2 grid, ... only."""
    best, when, used, crossing = 0.0, 0.0, 0, np.nan
    a = b = 0.0
    slow, fast = np.exp(-grid / tau), np.exp(-grid / tau_s)
    n, k = times.size, 0
    for step in range(int(np.floor(t_stop / grid + 1e-9)) + 1):
        t = step * grid
        if step > 0:
            a *= slow
            b *= fast
        if not (shunting and crossing == crossing):  # not NaN: crossed
            while k < n and times[k] <= t:
                a += weights[ids[k]] * np.exp(-(t - times[k]) / tau)
                b += weights[ids[k]] * np.exp(-(t - times[k]) / tau_s)
                k += 1
        v = v0 * (a - b)
        if v >= threshold and np.isnan(crossing):
            crossing = t
        if v > best:
            best, when, used = v, t, k
    return best, when, used, crossing


@numba.njit(cache=True)
def maximum(times, ids, weights, tau, tau_s, v0, threshold, t_stop, grid, shunting):
    """Return the exact maximum, or that on a grid of steps > 0."""
    if grid > 0.0:
        return grid_maximum(times, ids, weights, tau, tau_s, v0, threshold, t_stop, grid, shunting)
    return exact_maximum(times, ids, weights, tau, tau_s, v0, threshold, t_stop, shunting)


@numba.njit(cache=True)
def maxima(times, ids, start, weights, tau, tau_s, v0, threshold, t_stop, grid, shunting):
    """Return (3, n_patterns) float64: largest potential, its time, first crossing."""
    found = np.empty((3, start.size - 1))
    for p in range(start.size - 1):
        own = slice(start[p], start[p + 1])
        v, t, _, crossing = maximum(
            times[own], ids[own], weights, tau, tau_s, v0, threshold, t_stop, grid, shunting
        )
        found[0, p], found[1, p], found[2, p] = v, t, crossing
    return found


@numba.njit(cache=True)
def one_pass(
    order, times, ids, start, labels, weights, last, rate, momentum,
    tau, tau_s, v0, threshold, t_stop, grid, shunting,
):  # fmt: skip
    """Show the patterns in order, change weights and last (the last change), return the errors."""
    errors = 0
    for p in order:
        own = slice(start[p], start[p + 1])
        t, i = times[own], ids[own]
        v, when, used, _ = maximum(t, i, weights, tau, tau_s, v0, threshold, t_stop, grid, shunting)
        if (v >= threshold) == labels[p]:
            continue
        errors += 1
        step = rate * v0 if labels[p] else -rate * v0
        last *= momentum
        for k in range(used):
            x = when - t[k]
            last[i[k]] += step * (np.exp(-x / tau) - np.exp(-x / tau_s))
        weights += last
    return errors
