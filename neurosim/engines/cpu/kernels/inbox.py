"""Input on its way to populations that sleep: lists, slot by slot, with the ring behind them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.intrinsics import INNER, view


@njit(**INNER)
def is_untouched(value):
    """Whether nothing was added to a place of the ring: it holds -0.0 until then."""
    return value == 0.0 and math.copysign(1.0, value) < 0.0


@njit(**INNER)
def fold(pop, ring, slot, bits):
    """Add a slot's list to the ring and note which channels it fills first."""
    n_events = view(pop[L.P_N_EVENTS], slot + 1, np.int64)
    n_touched = view(pop[L.P_N_TOUCHED], slot + 1, np.int64)
    capacity = pop[L.P_EVENT_CAPACITY]
    count = n_events[slot]
    channels = view(pop[L.P_EVENT_CHANNELS] + 4 * slot * capacity, count, np.int32)
    weights = view(pop[L.P_EVENT_WEIGHTS] + ring.itemsize * slot * capacity, count, ring.dtype)
    touched = view(pop[L.P_TOUCHED] + 4 * slot * pop[L.P_CHANNELS], pop[L.P_CHANNELS], np.int32)
    first = (slot << bits) + pop[L.P_CHANNEL]
    for k in range(count):
        channel = np.int64(channels[k])
        old = ring[first + channel]
        ring[first + channel] = old + weights[k]
        if is_untouched(old):
            touched[n_touched[slot]] = channels[k]
            n_touched[slot] += 1
    n_events[slot] = 0


@njit(**INNER)
def list_event(pop, ring, slot, bits, channel, weight):
    """Append one event to a slot's list."""
    n_events = view(pop[L.P_N_EVENTS], slot + 1, np.int64)
    capacity = pop[L.P_EVENT_CAPACITY]
    if n_events[slot] == capacity:
        fold(pop, ring, slot, bits)
    at = slot * capacity + n_events[slot]
    view(pop[L.P_EVENT_CHANNELS], at + 1, np.int32)[at] = channel
    view(pop[L.P_EVENT_WEIGHTS], at + 1, ring.dtype)[at] = weight
    n_events[slot] += 1
