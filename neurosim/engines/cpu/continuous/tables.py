"""From a plan in continuous time to the arrays of the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurosim.engines.cpu.continuous.kernels import layout as L
from neurosim.errors import NetworkSizeError
from neurosim.lower.connectivity import count_estimate, largest_projection
from neurosim.lower.continuous import ContinuousPlan, ContinuousPopulation, Trains
from neurosim.lower.expand import expand
from neurosim.lower.flow import NEVER, Flow
from neurosim.lower.flow_tables import BASE, LEVELS, flow_tables
from neurosim.lower.memory import available_bytes, gib

#: Bytes of a synapse in its final place, and while the lists are being sorted.
_FINAL, _PEAK = 32, 120
_KINDS = {"neuron": L.NEURON, "parrot": L.PARROT}


def check_memory(plan: ContinuousPlan) -> None:
    """Raise NetworkSizeError if the synapses cannot fit, before anything is allocated."""
    needed = int(sum(count_estimate(c.spec)[0] for c in plan.connections) * _PEAK)
    available = available_bytes()
    if available is not None and needed > available:
        raise NetworkSizeError(
            f"building the synapses in continuous time ({largest_projection(plan.connections)}) "
            f"needs about {gib(needed)}, but {gib(available)} of memory are available. Use a step, "
            "such as dt=0.1 (4 to 12 bytes a synapse), fewer synapses, or a larger machine."
        )


def first_members(plan: ContinuousPlan) -> np.ndarray:
    """Return the number of the first member of each population, and of all members."""
    return np.concatenate([[0], np.cumsum([p.n for p in plan.populations])]).astype(np.int64)


def group_arrays(flows: Sequence[Flow]) -> L.Groups:
    """Return the groups of all populations, one population after the other."""
    tables = [flow_tables(f.A, f.margin) for f in flows]
    sizes = [f.A.shape[0] for f in flows]
    m = max([f.A.shape[1] for f in flows], default=1)
    r = max([f.reset_target.size for f in flows], default=0)
    entries = [np.nonzero((f.A != 0).any(axis=0)) for f in flows]

    def joined(parts: list[np.ndarray], *shape: int, dtype: Any = np.float64) -> np.ndarray:
        none = np.zeros((0, *shape), dtype)
        return np.concatenate([none, *(_padded(p, shape, dtype) for p in parts)])

    def repeated(parts: list[Any], *shape: int, dtype: Any = np.int64) -> np.ndarray:
        rows = [np.broadcast_to(p, (n, *np.shape(p))) for p, n in zip(parts, sizes, strict=True)]
        return joined(rows, *shape, dtype=dtype)

    k = max([e[0].size for e in entries], default=0)
    p = max([t.row.size for t in tables], default=0)
    return L.Groups(
        m=repeated([f.A.shape[1] for f in flows]),
        unit=joined([t.unit for t in tables]),
        n_generator=repeated([e[0].size for e in entries]),
        generator_row=repeated([e[0] for e in entries], k),
        generator_column=repeated([e[1] for e in entries], k),
        generator=joined([f.A[:, e[0], e[1]] for f, e in zip(flows, entries, strict=True)], k),
        n_power=repeated([t.row.size for t in tables]),
        power_row=repeated([t.row for t in tables], p),
        power_column=repeated([t.column for t in tables], p),
        power=joined([t.power for t in tables], LEVELS, BASE, p),
        slopes=joined([t.slopes for t in tables], 3, m),
        look=joined([t.look for t in tables]),
        hold=repeated([f.hold for f in flows], m, dtype=np.bool_),
        n_reset=repeated([f.reset_target.size for f in flows]),
        reset_target=repeated([f.reset_target for f in flows], r),
        reset_factor=joined([f.reset_factor for f in flows], r, m),
        **{name: joined([getattr(t, name) for t in tables], m) for name in _BOUNDS},
    )


_BOUNDS = ("bound2", "bound3", "sup", "inf")


def _padded(array: np.ndarray, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    out = np.zeros((array.shape[0], *shape), dtype)
    out[tuple(slice(n) for n in array.shape)] = array
    return out


def cell_arrays(plan: ContinuousPlan, first: np.ndarray, recorded: set[int]) -> L.Cells:
    """Return the members of all populations in their initial states."""
    n, populations = int(first[-1]), plan.populations
    flows = [p.flow for p in populations if p.flow is not None]
    m = max([f.A.shape[1] for f in flows], default=1)
    r = max([f.reset_target.size for f in flows], default=0)
    c = max([len(f.receptors) for f in flows], default=0)
    e = max([len(effects) for f in flows for effects in f.receptors], default=0)
    rows = len(populations)
    cells = L.Cells(
        kind=np.full(n, L.SOURCE, np.int64), population=np.zeros(n, np.int64),
        group=np.zeros(n, np.int64), z=np.zeros((n, m)), rest=np.zeros((n, m)),
        rest_injected=np.zeros((n, m)), current=np.zeros(n), theta=np.full(n, NEVER),
        t_ref=np.zeros(n), reset_offset=np.zeros((n, r)), last=np.zeros(n),
        until=np.full(n, -np.inf), due=np.zeros(n, np.int64), pending=np.zeros(n, np.int64),
        n_effects=np.zeros((rows, c), np.int64), effect_state=np.zeros((rows, c, e), np.int64),
        effect_factor=np.zeros((n, c, e)), ignore=np.zeros((rows, c), np.bool_),
        recorded=np.array([p.index in recorded for p in populations]),
    )  # fmt: skip
    group = 0
    for p in populations:
        mine = slice(int(first[p.index]), int(first[p.index + 1]))
        cells.kind[mine] = _KINDS.get(p.kind, L.SOURCE)
        cells.population[mine] = p.index
        if p.flow is not None:
            cells.group[mine] = group + p.flow.group
            group += p.flow.A.shape[0]
            _fill(cells, p, p.flow, mine)
    return cells


def _fill(cells: L.Cells, p: ContinuousPopulation, flow: Flow, mine: slice) -> None:
    m = len(flow.states)
    cells.rest[mine, :m], cells.rest_injected[mine, :m] = flow.rest, flow.rest_injected
    cells.z[mine, :m] = flow.initial - flow.rest
    cells.theta[mine], cells.t_ref[mine] = flow.theta, flow.t_ref
    cells.reset_offset[mine, : flow.reset_target.size] = flow.reset_offset
    for k, effects in enumerate(flow.receptors):
        cells.n_effects[p.index, k] = len(effects)
        cells.ignore[p.index, k] = flow.ignore[k]
        for e, (state, factor) in enumerate(effects):
            cells.effect_state[p.index, k, e] = state
            cells.effect_factor[mine, k, e] = factor


def synapse_arrays(plan: ContinuousPlan, first: np.ndarray) -> L.Synapses:
    """Return all synapses by source, delay, projection and order of generation."""
    parts = [(c, expand(c.spec)) for c in plan.connections]
    zero, none = np.zeros(0), np.zeros(0, np.int64)
    source = np.concatenate([none, *(e.pre + first[c.pre] for c, e in parts)])
    target = np.concatenate([none, *(e.post + first[c.post] for c, e in parts)])
    delay = np.concatenate([zero, *(e.delay_steps for _, e in parts)])
    order = np.lexsort((delay, source))
    return L.Synapses(
        first=np.searchsorted(source[order], np.arange(int(first[-1]) + 1)).astype(np.int64),
        delay=delay[order],
        target=target[order],
        receptor=np.concatenate([none, *(e.receptor for _, e in parts)])[order],
        weight=np.concatenate([zero, *(e.weight for _, e in parts)])[order],
    )


def train_arrays(plan: ContinuousPlan, first: np.ndarray) -> L.TrainTable:
    """Return the Poisson trains of generators and inputs."""
    rows: list[tuple[Trains, np.ndarray, int, float]] = []
    for p in plan.populations:
        if p.trains is not None:
            rows.append((p.trains, first[p.index] + np.arange(p.n), -1, 0.0))
    rows += [(i.trains, first[i.population] + i.ids, i.receptor, i.weight) for i in plan.inputs]
    sizes = [targets.size for _, targets, _, _ in rows]
    pieces = np.concatenate([[0], np.cumsum([t.times.size for t, _, _, _ in rows])])

    def each(values: list[Any], dtype: Any) -> np.ndarray:
        return np.repeat(np.array(values, dtype).reshape(len(rows)), sizes)

    def chained(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)

    keys = np.array([t.key for t, _, _, _ in rows], np.uint32).reshape(-1, 2)
    return L.TrainTable(
        member=chained([np.arange(n) for n in sizes], np.int64),
        target=chained([targets for _, targets, _, _ in rows], np.int64),
        receptor=each([r for _, _, r, _ in rows], np.int64),
        weight=each([w for _, _, _, w in rows], np.float64),
        rate=chained([t.rate for t, _, _, _ in rows], np.float64),
        first=each(list(pieces[:-1]), np.int64),
        stop=each(list(pieces[1:]), np.int64),
        key=np.repeat(keys, sizes, axis=0),
        count=np.zeros(sum(sizes), np.int64),
        times=chained([t.times for t, _, _, _ in rows], np.float64),
        factors=chained([t.factors for t, _, _, _ in rows], np.float64),
    )


def agenda(n: int) -> L.Agenda:
    """Return an empty agenda for n items."""
    numbers = np.zeros(n, np.int64)
    return L.Agenda(np.full(n, np.inf), numbers, np.full(n, -1, np.int64), np.zeros(1, np.int64))


def outside_arrays(plan: ContinuousPlan, first: np.ndarray) -> L.Outside:
    """Return given spikes and changes of currents, sorted by time."""
    none, zero = np.zeros(0, np.int64), np.zeros(0)
    given = [p for p in plan.populations if p.given_times is not None and p.given_ids is not None]
    times = np.concatenate([zero, *(p.given_times for p in given)])  # type: ignore[misc]
    members = np.concatenate([none, *(p.given_ids + first[p.index] for p in given)])  # type: ignore
    order = np.lexsort((members, times))
    targets = [j.ids + first[j.population] for j in plan.injections]
    ends = np.concatenate([[0], np.cumsum([t.size for t in targets])]).astype(np.int64)
    number = np.repeat(np.arange(len(targets)), [j.times.size for j in plan.injections])
    change_time = np.concatenate([zero, *(j.times for j in plan.injections)])
    added = np.concatenate([zero, *(np.diff(j.values, prepend=0.0) for j in plan.injections)])
    by_time = np.argsort(change_time, kind="stable")
    return L.Outside(
        times[order], members[order], change_time[by_time], added[by_time],
        ends[:-1][number[by_time]], ends[1:][number[by_time]], np.concatenate([none, *targets]),
    )  # fmt: skip


def record_arrays(plan: ContinuousPlan, first: np.ndarray) -> L.Records:
    """Return what states to sample, neuron by neuron."""
    members, states = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for record in plan.states:
        flow = plan.populations[record.population].flow
        assert flow is not None  # State refuses populations without states
        columns = np.array([flow.states.index(s) for s in record.names])
        members.append(np.repeat(record.ids + first[record.population], columns.size))
        states.append(np.tile(columns, record.ids.size))
    sizes = [part.size for part in members]
    return L.Records(
        np.array([r.step for r in plan.states], np.float64), np.zeros(len(plan.states), np.int64),
        np.cumsum(sizes).astype(np.int64), np.concatenate(members), np.concatenate(states),
    )  # fmt: skip


def work_arrays(cells: L.Cells) -> L.Work:
    """Return scratch memory."""
    n, m = cells.z.shape
    return L.Work(
        np.zeros((128, 6)), np.zeros((4, m)), np.zeros(n, np.int64), np.zeros(n, np.int64),
        np.zeros((2 * n + 64, 2), np.int64),
    )  # fmt: skip
