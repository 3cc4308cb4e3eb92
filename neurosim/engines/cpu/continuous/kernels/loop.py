"""The event loop: all that happens at one time, then the next time.

At a time: (1) arrivals are added, (2) injected currents change, (3) refractory periods end and
predicted spikes come due, (4) every neuron that any of this touched is tested, (5) spikes are
recorded and enter the delivery queue. The queue has one entry for each spike on its way, with the
next synapse of its source, which are sorted by delay.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim.engines.cpu.continuous.kernels.layout import (
    C_CHANGE,
    C_GIVEN,
    C_QUEUE,
    DONE,
    FAILED,
    MORE,
    N_DRAWS,
    N_EVENTS,
    N_SPIKES,
    N_STEPS,
    NEURON,
    PARROT,
    Q_COLUMNS,
    Q_ORIGIN,
    Q_SOURCE,
    Q_SYNAPSE,
    Q_TIME,
    RELEASE,
    SPIKE,
)
from neurosim.engines.cpu.continuous.kernels.neuron import (
    advance,
    change_current,
    plan_check,
    spike,
    state_at,
)
from neurosim.engines.cpu.continuous.kernels.queue import (
    ALLOCATES,
    INLINE,
    MERGED,
    OPTIONS,
    next_time,
    set_time,
    sift_down,
    sift_up,
)
from neurosim.engines.cpu.continuous.kernels.trains import draw_next
from neurosim.engines.cpu.kernels.cached import cached

#: A neuron that spikes this often at one time would never stop.
_MOST_AT_ONCE = 1000


@cached(**ALLOCATES)
def _grown(array):
    new = np.empty((2 * array.shape[0], *array.shape[1:]), array.dtype)
    for k in range(array.size):  # an assignment of slices takes ten times as long to compile
        new.flat[k] = array.flat[k]
    return new


@njit(**INLINE)
def _touch(work, n, i, mark):
    """List a member as touched; return the number of those listed."""
    if work.mark[i] == 0:
        work.touched[n] = i
        n += 1
        work.mark[i] = mark
    elif mark == 1:
        work.mark[i] = 1
    return n


@njit(**INLINE)
def _arrive(groups, cells, i, receptor, weight, time, n_touched, work, counters):
    """Add a weight to a receptor; return the number of members touched."""
    if cells.kind[i] == PARROT:
        cells.pending[i] += 1
        return _touch(work, n_touched, i, 1)
    p = cells.population[i]
    if cells.until[i] >= time and cells.ignore[p, receptor]:
        return n_touched
    advance(groups, cells, i, time, work.vectors, counters)
    for e in range(cells.n_effects[p, receptor]):
        k = cells.effect_state[p, receptor, e]
        cells.z[i, k] += cells.effect_factor[i, receptor, e] * weight
    return _touch(work, n_touched, i, 1)


@njit(**INLINE)
def _deliver(groups, cells, synapses, queue, cursor, time, n_touched, work, counters):
    """Apply all synapses that are due; return the number of members touched."""
    while cursor[C_QUEUE] > 0 and queue[0, Q_TIME] == time:
        source, k = np.int64(queue[0, Q_SOURCE]), np.int64(queue[0, Q_SYNAPSE])
        origin, stop = queue[0, Q_ORIGIN], synapses.first[source + 1]
        while k < stop and origin + synapses.delay[k] == time:
            counters[N_EVENTS] += 1
            n_touched = _arrive(
                groups, cells, synapses.target[k], synapses.receptor[k], synapses.weight[k], time,
                n_touched, work, counters,
            )  # fmt: skip
            k += 1
        if k < stop:
            queue[0, Q_TIME] = origin + synapses.delay[k]
            queue[0, Q_SYNAPSE] = k
        else:
            cursor[C_QUEUE] -= 1
            for column in range(Q_COLUMNS):
                queue[0, column] = queue[cursor[C_QUEUE], column]
        sift_down(queue, cursor[C_QUEUE])
    return n_touched


@njit(**INLINE)
def _checks(groups, cells, agenda, time, n_touched, work, counters):
    """Touch the neurons whose check is due; return the number of members touched."""
    while next_time(agenda) == time:
        i = agenda.heap[0]
        mark = 2 if cells.due[i] == SPIKE else 1
        if cells.due[i] == RELEASE:
            advance(groups, cells, i, time, work.vectors, counters)
            cells.until[i] = -np.inf
        set_time(agenda, i, np.inf)
        n_touched = _touch(work, n_touched, i, mark)
    return n_touched


@cached(**OPTIONS)
def _sample(groups, cells, records, k, trace, n, work):
    """Write a sample of record k."""
    time = (records.number[k] + 1) * records.interval[k]
    for e in range(records.first[k], records.first[k + 1]):
        i, s = records.member[e], records.state[e]
        # neurons are recorded one after the other, so that each is evaluated once
        if e == records.first[k] or records.member[e - 1] != i:
            state_at(groups, cells, i, time, work.vectors[3], work.vectors)
        trace[n] = (
            work.vectors[3][s] + cells.rest[i, s] + cells.rest_injected[i, s] * cells.current[i]
        )
        n += 1
    records.number[k] += 1
    return n


@njit(**MERGED)
def _next_sample(records, limit):
    """Return the record that is sampled first and when; infinite after `limit`."""
    which, when = -1, np.inf
    for k in range(records.interval.size):
        time = (records.number[k] + 1) * records.interval[k]
        # the end of a run may be a rounding error before a multiple of the interval
        if time < when and time <= limit * (1.0 + 1e-14):
            which, when = k, time
    return which, when


@cached(**OPTIONS)
def test_all(groups, cells, agenda):
    """Have every neuron tested at time 0."""
    for i in range(cells.kind.size):
        if cells.kind[i] == NEURON:
            cells.due[i] = 0
            set_time(agenda, i, 0.0)


@njit(**MERGED)
def _next_event(alarm, agenda, outside, queue, cursor):
    """Return the time of the next event, infinite if there is none."""
    time = min(next_time(alarm), next_time(agenda))
    if cursor[C_QUEUE] > 0:
        time = min(time, queue[0, Q_TIME])
    if cursor[C_GIVEN] < outside.spike_time.size:
        time = min(time, outside.spike_time[cursor[C_GIVEN]])
    if cursor[C_CHANGE] < outside.change_time.size:
        time = min(time, outside.change_time[cursor[C_CHANGE]])
    return time


@njit(**INLINE)
def _fire(work, n, i, number):
    """List a member that spikes some times at once; return the number of those listed."""
    if number > 0:
        work.fired[n, 0], work.fired[n, 1] = i, number
        n += 1
    return n


@njit(**INLINE)
def _sources(groups, cells, trains, alarm, outside, cursor, time, n_touched, work, counters):
    """Draw the Poisson events and take the given spikes that are due.

    Return the numbers of members touched and of sources that spike. What finds no room in the list
    is left for a second round at the same time.
    """
    n_fired, room = 0, work.fired.shape[0] - cells.kind.size
    while next_time(alarm) == time and n_fired < room:
        train = alarm.heap[0]
        draw_next(trains, alarm, train, time)
        counters[N_DRAWS] += 1
        if trains.receptor[train] < 0:
            n_fired = _fire(work, n_fired, trains.target[train], 1)
        else:
            n_touched = _arrive(
                groups, cells, trains.target[train], trains.receptor[train], trains.weight[train],
                time, n_touched, work, counters,
            )  # fmt: skip
    k = cursor[C_GIVEN]
    while k < outside.spike_time.size and outside.spike_time[k] == time and n_fired < room:
        n_fired = _fire(work, n_fired, outside.spike_member[k], 1)
        k += 1
    cursor[C_GIVEN] = k
    return n_touched, n_fired


@njit(**INLINE)
def _change_currents(groups, cells, outside, cursor, time, n_touched, work, counters):
    """Apply the changes of currents that are due; return the number of members touched."""
    c = cursor[C_CHANGE]
    while c < outside.change_time.size and outside.change_time[c] == time:
        for k in range(outside.change_first[c], outside.change_stop[c]):
            i = outside.targets[k]
            advance(groups, cells, i, time, work.vectors, counters)
            change_current(groups, cells, i, outside.change_value[c])
            n_touched = _touch(work, n_touched, i, 1)
        c += 1
    cursor[C_CHANGE] = c
    return n_touched


@njit(**INLINE)
def _test(groups, cells, agenda, i, certain, time, work, counters):
    """Test neuron i; return how often it spikes now, -1 if not finite, -2 if without end."""
    number = 0
    while cells.until[i] < time:
        if certain:
            certain = False
        else:
            result = plan_check(groups, cells, i, time, agenda, work, counters)
            if result < 0:
                return -1
            if result == 0:
                return number
        number += 1
        if number > _MOST_AT_ONCE:
            return -2
        spike(groups, cells, i, time, agenda, work, counters)
    return number


@njit(**MERGED)
def _moment(
    time, groups, cells, synapses, trains, alarm, agenda, outside, work, queue, cursor, counters
):
    """Process all that happens at one time but the spikes' way into the queue.

    Return the number of members that spike, or ``-2 i - 1`` where a state of neuron i is not
    finite, and ``-2 i - 2`` where it spikes without end.
    """
    n_touched = _deliver(groups, cells, synapses, queue, cursor, time, 0, work, counters)
    n_touched, n_fired = _sources(
        groups, cells, trains, alarm, outside, cursor, time, n_touched, work, counters
    )
    n_touched = _change_currents(groups, cells, outside, cursor, time, n_touched, work, counters)
    n_touched = _checks(groups, cells, agenda, time, n_touched, work, counters)
    for t in range(n_touched):
        i = work.touched[t]
        certain = work.mark[i] == 2
        work.mark[i] = 0
        if cells.kind[i] == PARROT:
            n_fired = _fire(work, n_fired, i, cells.pending[i])
            cells.pending[i] = 0
            continue
        number = _test(groups, cells, agenda, i, certain, time, work, counters)
        if number < 0:
            return -2 * i + number
        n_fired = _fire(work, n_fired, i, number)
    counters[N_STEPS] += 1
    return n_fired


@cached(**ALLOCATES)
def _emit(i, time, synapses, queue, cursor):
    """Put a spike on its way; return the queue, which may have grown."""
    k = synapses.first[i]
    if k == synapses.first[i + 1]:
        return queue
    if cursor[C_QUEUE] == queue.shape[0]:
        queue = _grown(queue)
    n = cursor[C_QUEUE]
    queue[n, Q_TIME], queue[n, Q_SOURCE] = time + synapses.delay[k], i
    queue[n, Q_ORIGIN], queue[n, Q_SYNAPSE] = time, k
    cursor[C_QUEUE] += 1
    sift_up(queue, n)
    return queue


@cached(**ALLOCATES)
def run(
    limit, budget, groups, cells, synapses, trains, alarm, agenda, outside, records, work, queue,
    cursor, counters,
):  # fmt: skip
    """Process events up to time `limit`, and a number `budget` of them at most.

    Returns
    -------
    status, time
        What ended the call, and the time up to which all is done.
    failure : int64
        Negative if a neuron failed (see `_moment`).
    queue
        The delivery queue, perhaps moved to a larger array.
    times, members, n_spikes
        Recorded spikes.
    trace, sampled, n_samples
        Recorded states, sample after sample, and the record of each sample.
    """
    times, members, n_out = np.empty(1024, np.float64), np.empty(1024, np.int64), 0
    trace, n_trace = np.empty(max(1024, 2 * records.member.size)), 0
    sampled, n_sampled = np.empty(64, np.int64), 0
    status, n_fired, done, now = DONE, np.int64(0), 0, limit
    record, sample_time = _next_sample(records, limit)
    while True:
        time = _next_event(alarm, agenda, outside, queue, cursor)
        while sample_time < time or (time > limit and sample_time < np.inf):
            if n_trace + records.member.size > trace.size:
                trace = _grown(trace)
            if n_sampled == sampled.size:
                sampled = _grown(sampled)
            sampled[n_sampled] = record
            n_sampled += 1
            n_trace = _sample(groups, cells, records, record, trace, n_trace, work)
            record, sample_time = _next_sample(records, limit)
        if time > limit:
            break
        if done >= budget:
            status = MORE
            break
        now = time
        events = counters[N_EVENTS] + counters[N_DRAWS]
        n_fired = _moment(
            time, groups, cells, synapses, trains, alarm, agenda, outside, work, queue, cursor,
            counters,
        )  # fmt: skip
        if n_fired < 0:
            status = FAILED
            break
        for f in range(n_fired):
            i = work.fired[f, 0]
            for _ in range(work.fired[f, 1]):
                counters[N_SPIKES] += 1
                if cells.recorded[cells.population[i]]:
                    if n_out == times.size:
                        times, members = _grown(times), _grown(members)
                    times[n_out], members[n_out] = time, i
                    n_out += 1
                queue = _emit(i, time, synapses, queue, cursor)
        done += 1 + counters[N_EVENTS] + counters[N_DRAWS] - events
    if status == DONE:
        now = limit
    return status, now, n_fired, queue, times, members, n_out, trace, sampled, n_sampled
