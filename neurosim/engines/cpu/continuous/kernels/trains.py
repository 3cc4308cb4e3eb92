"""Exact event times of Poisson processes whose rate is constant in pieces."""

from __future__ import annotations

import numpy as np

from neurosim.engines.cpu.continuous.kernels.queue import OPTIONS, set_time
from neurosim.engines.cpu.kernels.cached import cached
from neurosim.engines.cpu.kernels.rng import log64, philox4, uniform53

_LOW = np.int64(0xFFFFFFFF)


@cached(**OPTIONS)
def draw_next(trains, agenda, i, time):
    """Put the first event of train i after `time` on the agenda.

    The integral of the rate up to the event is a standard exponential number.
    """
    count = trains.count[i]
    words = philox4(
        np.uint32(trains.member[i]), np.uint32(count & _LOW), np.uint32(count >> 32), np.uint32(0),
        trains.key[i, 0], trains.key[i, 1],
    )  # fmt: skip
    trains.count[i] += 1
    left = -log64(uniform53(words[0], words[1]))
    k = trains.first[i]
    if time < trains.times[k]:
        time = trains.times[k]
    while k + 1 < trains.stop[i] and trains.times[k + 1] <= time:
        k += 1
    while k < trains.stop[i]:
        rate = trains.rate[i] * trains.factors[k]
        end = trains.times[k + 1] if k + 1 < trains.stop[i] else np.inf
        if rate > 0.0:
            if time + left / rate <= end:
                set_time(agenda, i, time + left / rate)
                return
            left -= rate * (end - time)
        time = end
        k += 1
    set_time(agenda, i, np.inf)


@cached(**OPTIONS)
def draw_first(trains, agenda):
    """Draw the first event of every train."""
    for i in range(trains.member.size):
        draw_next(trains, agenda, i, 0.0)
