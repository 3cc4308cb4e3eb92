"""What a CpuRunner gives to the outside: recordings, counters, and the reason for a failure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.engines.cpu.kernels import layout as L
from neurosim.errors import SimulationError

if TYPE_CHECKING:
    from neurosim.engines.cpu.runner import CpuRunner
    from neurosim.engines.cpu.thread import Thread


def drain(runner: CpuRunner) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
    """Return what was recorded since the last call."""
    started = time.perf_counter()
    steps, pops, ids = (
        np.concatenate([t.spikes[k][: t.n_spikes[0]] for t in runner.threads]) for k in range(3)
    )
    spikes = {}
    for p in runner.recorded:
        mine = (pops == p) & (steps <= runner.step)  # after a failure others were ahead
        s, i = steps[mine], ids[mine]
        if len(runner.threads) > 1:
            order = np.lexsort((i, s))
            s, i = s[order], i[order]
        spikes[p] = (s * runner.plan.dt, i.astype(np.int64))
    states = []
    for k, record in enumerate(runner.plan.states):
        pieces = [
            (j, where, array[: int(row[L.R_ROW])])
            for t in runner.threads
            for (record_index, j, where), array, row in zip(
                t.records.columns, t.records.arrays, t.records.table, strict=True
            )
            if record_index == k
        ]
        # after a failure some threads were ahead here as well
        rows = runner.step // record.every - runner.drained // record.every
        out = np.zeros((rows, len(record.names), record.ids.size))
        for j, where, values in pieces:
            out[:, j, where] = values[:rows]
        states.append(out)
    for t in runner.threads:
        t.n_spikes[0] = 0
        t.records.table[:, L.R_ROW] = 0
    runner.drained = runner.step
    runner.seconds["drain"] += time.perf_counter() - started
    return spikes, states


def counters(runner: CpuRunner) -> dict[str, Any]:
    """Return the work done so far."""
    synaptic = sum(int(t.segments[:, L.S_EVENTS].sum()) for t in runner.threads)
    inputs = sum(int(t.tables.processes[:, L.Q_EVENTS].sum()) for t in runner.threads)
    updates = sum(int(b.table[L.UPDATES]) for t in runner.threads for b in t.blocks.values())
    spikes = sum(int(t.pops[:, L.P_SPIKES].sum()) for t in runner.threads)
    counted = {
        "spikes": spikes,
        "synaptic_events": synaptic,
        "input_draws": inputs,
        "neuron_updates": updates,
    }
    return {
        **{k: v + runner.before[k] for k, v in counted.items()},
        "steps": runner.step,
        "bytes": _nbytes(runner),
        "threads": len(runner.threads),
        "strategies": {
            runner.plan.populations[p].name: "event" if e else "clock"
            for p, e in runner.sleeping.event.items()
        },
        "seconds": dict(runner.seconds),
    }


def _nbytes(runner: CpuRunner) -> int:
    synapses = sum(part.nbytes for b in runner.bundles for part in b.parts)
    return synapses + sum(
        t.ring.nbytes + t.tables.nbytes + sum(b.nbytes for b in t.blocks.values())
        for t in runner.threads
    )


def failure(runner: CpuRunner, t: Thread) -> SimulationError:
    """Return the error for a thread that had to stop, with what stopped it."""
    when = runner.step * runner.plan.dt
    for index, block in t.blocks.items():
        if block.failed is not None:
            name = runner.plan.populations[index].name
            if runner.sleeping.event[index]:
                block.from_records()
            values = ", ".join(
                f"{s} = {a[block.failed - block.lo]:g}" for s, a in block.states.items()
            )
            return SimulationError(
                f"a state of neuron {block.failed} of population {name!r} stopped being a "
                f"finite number at t = {when:g} ms ({values}). Use a smaller dt, another "
                "method, or check the weights."
            )
    overflow = np.argwhere(runner.spike_counts[:, t.me] < 0)
    name = runner.plan.populations[int(overflow[0][-1])].name
    return SimulationError(
        f"population {name!r}: more than 64 spikes a member in the step at t = {when:g} ms."
    )
