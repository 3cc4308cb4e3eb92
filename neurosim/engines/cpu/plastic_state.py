"""The state of a plastic projection by synapse, source and target, whatever the threads.

Synapses come in the order of results. Of each target there is the last event that all its synapses
have seen, and those that are still on their way; likewise of the modulator. `weight` and `states`
are as of each synapse's last event; `settled` has them at the time of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.plastic import LONG_AGO, PlasticPart
from neurosim.errors import FileFormatError


def state_of(
    parts: Sequence[PlasticPart], ranks: Sequence[np.ndarray], step: int
) -> dict[str, Any]:
    """Return the state of a projection at a step; all synapses catch up, which changes nothing."""
    plan = parts[0].plan
    now = [part.weights_now(step) for part in parts]
    n = sum(r.size for r in ranks)

    def ordered(columns: Sequence[np.ndarray], dtype: Any = parts[0].dtype) -> np.ndarray:
        out = np.empty(n, dtype)
        for rank, column in zip(ranks, columns, strict=True):
            out[rank] = column
        return out

    first = parts[0]
    saved: dict[str, Any] = {
        "weight": ordered([p.synapses.weight for p in parts if p.synapses.weight is not None]),
        "settled": {"w": ordered(now)},
        "states": {s: ordered([p.states[j] for p in parts]) for j, s in enumerate(plan.states)},
        "last": first.last.copy(),
        "pre": {t.name: first.pre[j].copy() for j, t in enumerate(plan.traces["presynaptic"])},
        "post": _events_of(parts, step),
        "interval": int(first.table[L.X_EDGE]),
    }
    for j, s in enumerate(plan.states):
        saved["settled"][s] = saved["states"][s]
        if first.rule.emitter.evolving:
            saved["settled"][s] = ordered([p.states_now(j, step) for p in parts])
    if plan.prune is not None:
        columns = zip(*(p.decoded() for p in parts), strict=True)
        for name, column in zip(("sources", "targets", "_", "delays"), columns, strict=False):
            saved[name] = ordered(column, np.int64)
        del saved["_"]
    if plan.sampled:
        back = step - np.arange(first.table[L.X_LONGEST] + plan.lag + 1)[::-1]
        rows = [p.samples[:, back % p.samples.shape[1]] for p in parts]
        saved["samples"] = np.concatenate(rows, axis=2)
    if plan.modulator is not None:
        count, capacity = int(first.table[L.X_M_COUNT]), first.m_steps.size
        seen = int(first.table[L.X_M_SWEPT])
        where = np.arange(seen - 1, count) % capacity
        saved["modulator"] = {"steps": first.m_steps[where], "values": first.m_values[where]}
    if first.rule.emitter.uses_random:
        saved["rounds"] = first.rounds.copy()
    return saved


def _events_of(parts: Sequence[PlasticPart], step: int) -> dict[str, np.ndarray]:
    """Return the events of targets that some synapse may still see, and the last one before."""
    ids, steps, values = [], [], []
    for part in parts:
        capacity = part.history.shape[1]
        for i in range(part.n):
            count, swept = int(part.counts[i]), int(part.swept[i])
            where = np.arange(swept - 1, count) % capacity
            ids.append(np.full(where.size, part.lo + i))
            steps.append(part.steps[i, where].astype(np.int64))
            values.append(part.history[i, where, 1:])
    width = parts[0].history.shape[2] - 1
    return {
        "ids": np.concatenate([*ids, np.zeros(0, np.int64)]),
        "steps": np.concatenate([*steps, np.zeros(0, np.int64)]),
        "values": np.concatenate([*values, np.zeros((0, width), parts[0].dtype)]),
    }


def restore_sources(part: PlasticPart, saved: Mapping[str, Any]) -> None:
    """Put synapses that structural plasticity had moved where they were.

    A target keeps its synapses and their delays; only the sources differ.
    """
    if part.plan.prune is None:
        return
    pre, post, _, delay, _ = part.decoded()
    mine = (saved["targets"] >= part.lo) & (saved["targets"] < part.lo + part.n)
    theirs = [saved[name][mine] for name in ("sources", "delays", "targets")]
    source = np.empty_like(pre)
    source[np.lexsort((pre, delay, post))] = theirs[0][np.lexsort(theirs)]
    moving = np.flatnonzero(source != pre)
    part.move(moving, source[moving])


def restore(part: PlasticPart, rank: np.ndarray, saved: Mapping[str, Any], step: int) -> None:
    """Put a saved state into the part of a thread."""
    plan, x = part.plan, part.table
    assert part.synapses.weight is not None
    if saved["weight"].size <= rank.max(initial=-1):
        raise FileFormatError(
            f"projection {part.rule.connection.name!r}: the checkpoint has "
            f"{saved['weight'].size} synapses, the network more."
        )
    part.synapses.weight[:] = saved["weight"][rank]
    for j, s in enumerate(plan.states):
        part.states[j] = saved["states"][s][rank]
    part.last[:] = saved["last"]
    for j, t in enumerate(plan.traces["presynaptic"]):
        part.pre[j] = saved["pre"][t.name]
    _restore_events(part, saved["post"])
    x[L.X_DONE], x[L.X_EDGE], x[L.X_NEED] = step, saved["interval"], 0
    if plan.sampled:
        slots = part.samples.shape[1]
        back = step - np.arange(saved["samples"].shape[1])[::-1]
        part.samples[:, back % slots] = saved["samples"][:, :, part.lo : part.lo + part.n]
    if plan.modulator is not None:
        events = saved["modulator"]
        n = events["steps"].size
        part.m_steps[:n], part.m_values[:n] = events["steps"], events["values"]
        x[L.X_M_COUNT], x[L.X_M_SWEPT] = n, 1
    if part.rule.emitter.uses_random and "rounds" in saved:
        part.rounds[:] = saved["rounds"]


def _restore_events(part: PlasticPart, events: Mapping[str, np.ndarray]) -> None:
    mine = (events["ids"] >= part.lo) & (events["ids"] < part.lo + part.n)
    ids = events["ids"][mine] - part.lo
    count = np.bincount(ids, minlength=part.n)
    slot = np.arange(ids.size) - np.repeat(np.cumsum(count) - count, count)
    part.steps[:] = LONG_AGO
    part.history[ids, slot, 1:] = events["values"][mine]
    part.steps[ids, slot] = events["steps"][mine]
    part.counts[:] = count
    part.swept[:] = 1
    part.note_recent()
