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
    ENDLESS,
    MORE,
    N_DRAWS,
    N_EVENTS,
    N_SPIKES,
    N_STEPS,
    NEURON,
    NOT_FINITE,
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
    OPTIONS,
    next_time,
    set_time,
    sift_down,
    sift_up,
)
from neurosim.engines.cpu.continuous.kernels.trains import draw_next

#: A neuron that spikes this often at one time would never stop.
_MOST_AT_ONCE = 1000


@njit(**OPTIONS)
def _grown(array):
    new = np.empty((2 * array.shape[0], *array.shape[1:]), array.dtype)
    new[: array.shape[0]] = array
    return new


@njit(**OPTIONS)
def _touch(work, n, i, mark):
    """List a member as touched; return the number of those listed."""
    if work.mark[i] == 0:
        work.touched[n] = i
        n += 1
        work.mark[i] = mark
    elif mark == 1:
        work.mark[i] = 1
    return n


@njit(**OPTIONS)
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
def _next_sample(records, limit):
    """Return the record that is sampled first and when; infinite after `limit`."""
    which, when = -1, np.inf
    for k in range(records.interval.size):
        time = (records.number[k] + 1) * records.interval[k]
        # the end of a run may be a rounding error before a multiple of the interval
        if time < when and time <= limit * (1.0 + 1e-14):
            which, when = k, time
    return which, when


@njit(**OPTIONS)
def test_all(groups, cells, agenda):
    """Have every neuron tested at time 0."""
    for i in range(cells.kind.size):
        if cells.kind[i] == NEURON:
            cells.due[i] = 0
            set_time(agenda, i, 0.0)


@njit(**OPTIONS)
def run(
    limit, budget, groups, cells, synapses, trains, alarm, agenda, outside, records, work, queue,
    cursor, counters,
):  # fmt: skip
    """Process events up to time `limit`, and a number `budget` of them at most.

    Returns
    -------
    status, time, member
        What ended the call, the time up to which all is done, and the neuron of a failure.
    queue
        The delivery queue, perhaps moved to a larger array.
    times, members, n_spikes
        Recorded spikes.
    trace, trace_record, n_samples
        Recorded states, sample after sample, and the record of each sample.
    """
    times, members, n_out = np.empty(1024, np.float64), np.empty(1024, np.int64), 0
    fired, n_fired = np.empty(1024, np.int64), 0
    trace, n_trace = np.empty(max(1024, 2 * records.member.size)), 0
    sampled, n_sampled = np.empty(64, np.int64), 0
    status, failed, done, now = DONE, np.int64(-1), 0, limit
    record, sample_time = _next_sample(records, limit)
    while True:
        time = min(next_time(alarm), next_time(agenda))
        if cursor[C_QUEUE] > 0:
            time = min(time, queue[0, Q_TIME])
        if cursor[C_GIVEN] < outside.spike_time.size:
            time = min(time, outside.spike_time[cursor[C_GIVEN]])
        if cursor[C_CHANGE] < outside.change_time.size:
            time = min(time, outside.change_time[cursor[C_CHANGE]])
        while sample_time < time or (time > limit and sample_time < np.inf):
            if n_trace + records.member.size > trace.size:
                trace = _grown(trace)
            if n_sampled == sampled.size:
                sampled = _grown(sampled)
            sampled[n_sampled] = record
            n_sampled += 1
            n_trace = _sample(groups, cells, records, record, trace, n_trace, work)
            record, sample_time = _next_sample(records, limit)
            done += 1
        if time > limit:
            break
        if done >= budget:
            status = MORE
            break
        now = time
        counters[N_STEPS] += 1
        events = counters[N_EVENTS] + counters[N_DRAWS] + counters[N_SPIKES]
        n_fired = 0
        n_touched = _deliver(
            groups, cells, synapses, queue, cursor, time, 0, work, counters
        )
        while next_time(alarm) == time:
            train = alarm.heap[0]
            draw_next(trains, alarm, train, time)
            counters[N_DRAWS] += 1
            if trains.receptor[train] < 0:
                if n_fired == fired.size:
                    fired = _grown(fired)
                fired[n_fired] = trains.target[train]
                n_fired += 1
            else:
                n_touched = _arrive(
                    groups, cells, trains.target[train], trains.receptor[train],
                    trains.weight[train], time, n_touched, work, counters,
                )  # fmt: skip
        while (
            cursor[C_GIVEN] < outside.spike_time.size
            and outside.spike_time[cursor[C_GIVEN]] == time
        ):
            if n_fired == fired.size:
                fired = _grown(fired)
            fired[n_fired] = outside.spike_member[cursor[C_GIVEN]]
            n_fired += 1
            cursor[C_GIVEN] += 1
        while (
            cursor[C_CHANGE] < outside.change_time.size
            and outside.change_time[cursor[C_CHANGE]] == time
        ):
            c = cursor[C_CHANGE]
            for k in range(outside.change_first[c], outside.change_stop[c]):
                i = outside.targets[k]
                advance(groups, cells, i, time, work.vectors, counters)
                change_current(groups, cells, i, outside.change_value[c])
                n_touched = _touch(work, n_touched, i, 1)
            cursor[C_CHANGE] += 1
        n_touched = _checks(groups, cells, agenda, time, n_touched, work, counters)
        for t in range(n_touched):
            i = work.touched[t]
            certain = work.mark[i] == 2
            work.mark[i] = 0
            at_once = cells.pending[i] if cells.kind[i] == PARROT else 0
            cells.pending[i] = 0
            while cells.kind[i] == NEURON and cells.until[i] < time:
                result = np.int64(1)
                if not certain:
                    result = plan_check(groups, cells, i, time, agenda, work, counters)
                certain = False
                if result == 0:
                    break
                at_once += 1
                if result < 0 or at_once > _MOST_AT_ONCE:
                    status, failed = (NOT_FINITE if result < 0 else ENDLESS), i
                    break
                spike(groups, cells, i, time, agenda, work, counters)
            for _ in range(at_once):
                if n_fired == fired.size:
                    fired = _grown(fired)
                fired[n_fired] = i
                n_fired += 1
        if failed >= 0:
            break
        for f in range(n_fired):
            i = fired[f]
            counters[N_SPIKES] += 1
            if cells.recorded[cells.population[i]]:
                if n_out == times.size:
                    times, members = _grown(times), _grown(members)
                times[n_out], members[n_out] = time, i
                n_out += 1
            k = synapses.first[i]
            if k < synapses.first[i + 1]:
                if cursor[C_QUEUE] == queue.shape[0]:
                    queue = _grown(queue)
                n = cursor[C_QUEUE]
                queue[n, Q_TIME], queue[n, Q_SOURCE] = time + synapses.delay[k], i
                queue[n, Q_ORIGIN], queue[n, Q_SYNAPSE] = time, k
                cursor[C_QUEUE] += 1
                sift_up(queue, n)
        done += 1 + counters[N_EVENTS] + counters[N_DRAWS] + counters[N_SPIKES] - events
    if status == DONE:
        now = limit
    return (
        status, now, failed, queue, times, members, n_out, trace, sampled, n_sampled
    )  # fmt: skip
