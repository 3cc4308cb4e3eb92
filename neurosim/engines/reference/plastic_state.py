"""Checkpoints of the plastic synapses of the reference engine (see the CPU engine's format)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.lower.plasticity import Trace
from neurosim.models.synapse_spec import WEIGHT

if TYPE_CHECKING:
    from neurosim.engines.reference.plasticity import PlasticSynapses


def state_of(p: PlasticSynapses, step: int) -> dict[str, Any]:
    """Return everything that a continued run needs, in the form that all engines share."""
    order = np.argsort(p.number)
    sorted_ = {s: v[order] for s, v in p.synapse.items()}
    weight = sorted_[WEIGHT] * p.sign[order]
    return {
        "weight": weight,
        "settled": sorted_ | {WEIGHT: weight},
        "states": {s: v for s, v in sorted_.items() if s != WEIGHT},
        "last": np.full(p.n_pre, step, np.int64),
        "pre": {t: v.copy() for t, v in p.pre.items()},
        "post": _events(p, step),
        "interval": step,
        "sources": p.edges.pre[order],
        "targets": p.edges.post[order],
        "delays": p.edges.delay_steps[order],
        "samples": _rows(p, step),
        "modulator": _modulator(p, step),
    }


def _rows(p: PlasticSynapses, step: int) -> np.ndarray:
    rows = [ring[_back(ring, step)] for ring in p.sampled.values()]
    return np.array(rows).reshape(len(rows), p.slots - 1 + p.plan.lag, p.events.shape[1])


def _back(ring: np.ndarray, step: int) -> np.ndarray:
    """Return where the last steps are in a ring, the latest at the end."""
    return (step - np.arange(len(ring) - 1)[::-1]) % len(ring)


def _events(p: PlasticSynapses, step: int) -> dict[str, np.ndarray]:
    """Return each target's traces a while ago as an event, and the events since."""
    names = [t.name for t in p.plan.traces["postsynaptic"]]
    ids, steps, values = [], [], []
    for i in range(p.events.shape[1]):
        for s in range(step - p.slots + 1, step + 1):
            slot, first = s % p.slots, s == step - p.slots + 1
            traces = {t: p.before[t][slot, i] for t in names}
            for _ in range(1 if first else int(p.events[slot, i])):
                if first:
                    traces = {t: p.after[t][slot, i] for t in names}
                else:
                    traces = p.jumped("on_post", traces, True)
                ids.append(i)
                steps.append(s)
                kept = [ring[slot, i] for ring in p.at_spike.values()]
                values.append([float(traces[t]) for t in names] + kept)
    width = len(names) + len(p.plan.at_spike)
    return {
        "ids": np.array(ids, np.int64), "steps": np.array(steps, np.int64),
        "values": np.array(values, float).reshape(len(ids), width),
    }  # fmt: skip


def _modulator(p: PlasticSynapses, step: int) -> dict[str, np.ndarray]:
    traces = {t: float(v) for t, v in p.modulator.items()}
    steps, values = [step - p.plan.modulator_delay], [list(traces.values())]
    for s in range(step - p.plan.modulator_delay + 1, step + 1):
        waited = s - steps[-1]
        for k in range(int(p.waiting[s % p.waiting.size])):
            by_name = {t.name: t for t in p.plan.traces["modulator"]}
            traces = {
                t: _decayed(by_name[t], v, (waited if k == 0 else 0) * p.dt)
                for t, v in traces.items()
            }
            traces = {t: float(v) for t, v in p.jumped("on_modulator", traces, True).items()}
            steps.append(s)
            values.append(list(traces.values()))
    return {
        "steps": np.array(steps, np.int64),
        "values": np.array(values, float).reshape(len(steps), -1),
    }


def _decayed(trace: Trace, value: Any, time: Any) -> Any:
    return trace.rest + (value - trace.rest) * np.exp(-trace.rate * time)


def restore(p: PlasticSynapses, saved: Mapping[str, Any], step: int) -> None:
    """Take over a saved state."""
    if p.plan.prune is not None:
        e = p.edges
        pre = np.empty_like(e.pre)
        saved_order = np.lexsort((saved["sources"], saved["delays"], saved["targets"]))
        pre[np.lexsort((e.pre, e.delay_steps, e.post))] = saved["sources"][saved_order]
        p.move(pre)
    order = np.argsort(p.number)
    for s in p.synapse:
        p.synapse[s][order] = np.asarray(saved["settled"][s], float)
    p.synapse[WEIGHT] = np.abs(p.synapse[WEIGHT])
    since = (step - np.asarray(saved["last"])) * p.dt
    for t in p.plan.traces["presynaptic"]:
        p.pre[t.name] = _decayed(t, np.asarray(saved["pre"][t.name], float), since)
    _restore_events(p, saved["post"], step)
    for j, ring in enumerate(p.sampled.values()):
        back = _back(ring, step)
        ring[back] = saved["samples"][j][-back.size :]
    if p.plan.modulator is not None:
        _restore_modulator(p, saved["modulator"], step)


def _restore_events(p: PlasticSynapses, events: Mapping[str, np.ndarray], step: int) -> None:
    traces = p.plan.traces["postsynaptic"]
    p.events[:] = 0
    for i in range(p.events.shape[1]):
        mine = np.flatnonzero(events["ids"] == i)
        steps, values = events["steps"][mine], np.asarray(events["values"][mine], float)
        for s in range(step - p.slots + 1, step + 1):
            slot = s % p.slots
            p.events[slot, i] = int((steps == s).sum())
            earlier, now = (steps < s).sum() - 1, (steps <= s).sum() - 1
            for j, t in enumerate(traces):
                first = values[max(earlier, 0), j], (s - steps[max(earlier, 0)]) * p.dt
                p.before[t.name][slot, i] = _decayed(t, *first) if earlier >= 0 else t.rest
                last = values[max(now, 0), j], (s - steps[max(now, 0)]) * p.dt
                p.after[t.name][slot, i] = _decayed(t, *last) if now >= 0 else t.rest
            for j, ring in enumerate(p.at_spike.values()):
                if p.events[slot, i]:
                    ring[slot, i] = values[now, len(traces) + j]
    for t in traces:
        p.post[t.name] = p.after[t.name][step % p.slots].copy()


def _restore_modulator(p: PlasticSynapses, events: Mapping[str, np.ndarray], step: int) -> None:
    delay = p.plan.modulator_delay
    steps = np.asarray(events["steps"])
    seen = int((steps <= step - delay).sum()) - 1
    for j, t in enumerate(p.plan.traces["modulator"]):
        value = float(events["values"][max(seen, 0), j])
        elapsed = (step - delay - steps[max(seen, 0)]) * p.dt
        p.modulator[t.name] = float(_decayed(t, value, elapsed)) if seen >= 0 else t.rest
    p.waiting[:] = 0
    for s in steps[steps > step - delay]:
        p.waiting[s % p.waiting.size] += 1
