"""The state of plastic projections by synapse, source and target, as all engines save it.

Synapses come in the order of results. Of each target there is the last event that all its synapses
have seen, and those that are still on their way. `weight` and `states` are as of each synapse's
last event; `settled` has them at the time of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.engines.gpu.device import Device
from neurosim.errors import FileFormatError

if TYPE_CHECKING:
    from neurosim.engines.gpu.plastic import PlasticProjection


def state_of(
    part: PlasticProjection, device: Device, now: list[np.ndarray], step: int
) -> dict[str, Any]:
    """Return the state of a projection at a step that all synapses have caught up with.

    Parameters
    ----------
    part : PlasticProjection
    device : Device
    now : list of (n_synapses,) arrays
        Weights and states as they are, in the order of the rows.
    step : int
    """
    plan, n = part.plan, part.n_synapses

    def ordered(column: np.ndarray) -> np.ndarray:
        out = np.empty_like(column)
        out[part.rank] = column
        return out

    states = device.fetch(part.arrays["states"]).reshape(len(plan.states), n)
    traces = device.fetch(part.arrays["traces"]).reshape(-1, part.n_sources)
    saved: dict[str, Any] = {
        "weight": ordered(device.fetch(part.arrays["weights"])),
        "settled": {"w": ordered(now[0])}
        | {s: ordered(c) for s, c in zip(plan.states, now[1:], strict=True)},
        "states": {s: ordered(c) for s, c in zip(plan.states, states, strict=True)},
        "last": device.fetch(part.arrays["last"]),
        "pre": {t.name: c for t, c in zip(plan.traces["presynaptic"], traces, strict=True)},
        "post": _events_of(part, device, step),
        "interval": part.edge,
    }
    if plan.sampled:
        slots = part.n_kept
        samples = device.fetch(part.arrays["samples"]).reshape(-1, slots, part.n_targets)
        saved["samples"] = samples[:, (step - np.arange(slots - 1)[::-1]) % slots]
    if part.emitter.uses_random:  # a source that spikes again does so in a later step
        saved["rounds"] = np.zeros(part.n_sources, np.int32)
    return saved


def _events_of(part: PlasticProjection, device: Device, step: int) -> dict[str, np.ndarray]:
    """Return the events of targets that some synapse may still see, and the last one before."""
    shape = (part.n_targets, part.capacity, part.emitter.record)
    history = device.fetch(part.arrays["history"]).reshape(shape)
    counts = device.fetch(part.arrays["counts"])
    number = counts[:, None] - np.arange(part.capacity, 0, -1)  # of the events that are kept
    target = np.arange(part.n_targets)[:, None]
    steps = part.steps_of(history)[target, number % part.capacity].astype(np.int64)
    seen = np.where((number >= 0) & (steps + part.longest <= step), number, 0).max(axis=1)
    ids, place = np.nonzero(number >= seen[:, None])
    values = history[ids, number[ids, place] % part.capacity, 1:]
    return {"ids": ids, "steps": steps[ids, place], "values": values}


def restore(part: PlasticProjection, device: Device, saved: Mapping[str, Any], step: int) -> None:
    """Put a saved state into the arrays of a projection."""
    plan, arrays = part.plan, part.arrays
    if saved["weight"].size != part.n_synapses:
        raise FileFormatError(
            f"projection {part.name!r}: the checkpoint has {saved['weight'].size} synapses, the "
            f"network {part.n_synapses}."
        )
    device.store(arrays["weights"], np.asarray(saved["weight"])[part.rank])
    device.store(arrays["states"], _rows([saved["states"][s][part.rank] for s in plan.states]))
    device.store(arrays["last"], np.asarray(saved["last"]))
    traces = [saved["pre"][t.name] for t in plan.traces["presynaptic"]]
    device.store(arrays["traces"], _rows(traces))
    part.edge = int(saved["interval"])
    _restore_events(part, device, saved["post"], step)
    if plan.sampled:
        slots = part.n_kept
        samples = np.zeros((len(plan.sampled), slots, part.n_targets))
        known = np.asarray(saved["samples"])[:, -slots:]
        samples[:, (step - np.arange(known.shape[1])[::-1]) % slots] = known
        device.store(arrays["samples"], samples)


def _restore_events(
    part: PlasticProjection, device: Device, events: Mapping[str, np.ndarray], step: int
) -> None:
    ids, steps = np.asarray(events["ids"]), np.asarray(events["steps"])
    number = np.arange(ids.size)
    seen = np.zeros(part.n_targets, np.int64)
    early = steps + part.longest <= step
    np.maximum.at(seen, ids[early], number[early])
    kept = number >= seen[ids]
    ids = ids[kept]
    counts = np.bincount(ids, minlength=part.n_targets)
    if counts.max(initial=0) > part.capacity - 2:
        raise FileFormatError(
            f"projection {part.name!r}: {counts.max()} spikes of neuron {counts.argmax()} are on "
            f"their way to its synapses; engine 'gpu' keeps {part.capacity - 2}. Use engine='cpu'."
        )
    slot = np.arange(ids.size) - np.repeat(np.cumsum(counts) - counts, counts)
    history, _ = part.begun()
    history[ids, slot, 1:] = np.asarray(events["values"])[kept]
    part.steps_of(history)[ids, slot] = steps[kept]
    device.store(part.arrays["history"], history)
    device.store(part.arrays["counts"], counts.astype(np.int32))
    device.store(part.arrays["swept"], np.ones(part.n_targets, np.int32))


def reset(part: PlasticProjection, device: Device, now: list[np.ndarray], step: int) -> None:
    """Forget traces and what is on its way; weights and states stay as they are (see `now`)."""
    arrays = part.arrays
    device.store(arrays["weights"], now[0])
    device.store(arrays["states"], _rows(now[1:]))
    device.store(arrays["last"], np.full(part.n_sources, step, np.int64))
    traces = [np.full(part.n_sources, t.init) for t in part.plan.traces["presynaptic"]]
    device.store(arrays["traces"], _rows(traces))
    history, counts = part.begun()
    device.store(arrays["history"], history)
    device.store(arrays["counts"], counts)
    device.store(arrays["swept"], counts)
    if part.plan.sampled:
        device.store(arrays["samples"], part.first_samples())


def _rows(columns: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *columns])
