"""Compiled loops of the encoders. Each runs in one thread and releases the lock."""

from __future__ import annotations

import numba
import numpy as np

# Of a threshold: a signal that reaches a level up to rounding has reached it.
ROUNDING = 1e-9


@numba.njit(cache=True, nogil=True)
def level_crossings(values, times, on, off, interpolate, refractory):
    """Return (t, column, p) of all crossings, column after column.

    values : (T, N) float64; times : (T,) float64; on, off : (N,) float64 thresholds.
    """
    size = 1024
    t = np.empty(size, np.float64)
    column = np.empty(size, np.int64)
    p = np.empty(size, np.bool_)
    n = 0
    n_samples, n_columns = values.shape
    if n_samples == 0:
        return t[:0], column[:0], p[:0]
    for i in range(n_columns):
        level = values[0, i]
        last = -np.inf
        for k in range(1, n_samples):
            before, now = values[k - 1, i], values[k, i]
            while True:
                if now - level >= on[i] * (1 - ROUNDING):
                    up = True
                    level += on[i]
                elif level - now >= off[i] * (1 - ROUNDING):
                    up = False
                    level -= off[i]
                else:
                    break
                when = times[k]
                if interpolate:
                    share = min(max((level - before) / (now - before), 0.0), 1.0)
                    when = times[k - 1] + share * (times[k] - times[k - 1])
                if when - last < refractory:
                    continue
                last = when
                if n == size:
                    size *= 2
                    t = np.concatenate((t, np.empty(n, np.float64)))
                    column = np.concatenate((column, np.empty(n, np.int64)))
                    p = np.concatenate((p, np.empty(n, np.bool_)))
                t[n], column[n], p[n] = when, i, up
                n += 1
    return t[:n], column[:n], p[:n]


@numba.njit(cache=True, nogil=True)
def transmitter(velocity, rate, y, g, l, r, x, A, B, h, M, out):  # noqa: E741
    """Write the spike probability of every step of one hair cell into `out`.

    velocity, out : (T,) float64; rate : steps a second; the rest: `HairCell`.
    """
    dt = 1.0 / rate
    k = g * A / (A + B)
    cleft = M * y * k / (l * k + y * (l + r))
    free = cleft * (l + r) / k
    store = cleft * r / x
    for n in range(velocity.size):
        drive = velocity[n] + A
        k = g * drive / (drive + B) if drive > 0.0 else 0.0
        made = y * (M - free) if free < M else 0.0
        released, returned, reprocessed = k * free, r * cleft, x * store
        free = max(free + dt * (made - released + reprocessed), 0.0)
        cleft = max(cleft + dt * (released - (l + r) * cleft), 0.0)
        store = max(store + dt * (returned - reprocessed), 0.0)
        out[n] = h * cleft * dt


@numba.njit(cache=True, nogil=True)
def fibres(probability, n_fibres, dead_steps, rng, hazard, out):
    """Add the spikes of `n_fibres` independent fibres in every step to `out`.

    A fibre spikes in step n with its probability unless it did in the `dead_steps` - 1 before.
    The first step at which the summed hazard -ln(1 - p) exceeds an exponential number is
    distributed as the first success of the trials one by one, and needs one draw a spike.

    probability, out : (T,) float64; hazard : (T + 1,) float64, scratch; rng : Generator.
    """
    n_steps = probability.size
    hazard[0] = 0.0
    for n in range(n_steps):
        hazard[n + 1] = hazard[n] - np.log1p(-min(probability[n], 1.0 - 2.0**-53))
    for _ in range(n_fibres):
        n = 0
        while n < n_steps:
            goal = hazard[n] + rng.standard_exponential()
            # the first step m >= n with hazard[m + 1] >= goal
            low, high = n, n_steps
            while low < high:
                middle = (low + high) // 2
                if hazard[middle + 1] >= goal:
                    high = middle
                else:
                    low = middle + 1
            if low == n_steps:
                break
            out[low] += 1.0
            n = low + dead_steps


@numba.njit(cache=True, nogil=True)
def integrate_and_fire(arrivals, jump, keep_current, keep_voltage, dead_steps, out):
    """Write the steps at which a current-based LIF neuron spikes into `out`; return how many.

    In step n the current decays and takes the arrivals; unless the neuron spiked in the
    `dead_steps` steps before, the voltage decays, moves by jump*current, and at 1 or above the
    neuron spikes and goes to 0.

    arrivals : (T,) float64; out : (T,) int64.
    """
    current = voltage = 0.0
    free_from = 0
    count = 0
    for n in range(arrivals.size):
        current = current * keep_current + arrivals[n]
        if n < free_from:
            continue
        voltage = voltage * keep_voltage + jump * current
        if voltage >= 1.0:
            out[count] = n
            count += 1
            voltage = 0.0
            free_from = n + dead_steps + 1
    return count
