"""The state of a CpuRunner by population and neuron, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.engines.cpu import plastic_state
from neurosim.engines.cpu.kernels import layout as L
from neurosim.lower.quantize import rounded
from neurosim.lower.sleep import advanced, sleep_of

if TYPE_CHECKING:
    from neurosim.engines.cpu.runner import CpuRunner
    from neurosim.engines.cpu.thread import Thread

_PER_NEURON = ("until", "last", "is_awake", "injected", "substep")


def state_of(runner: CpuRunner) -> dict[str, Any]:
    """Return everything that a continued run needs. Sleeping neurons are saved as they sleep."""
    populations = {}
    for index in runner.kernels:
        blocks = [t.blocks[index] for t in runner.threads]
        if runner.sleeping.event[index]:
            for thread in runner.threads:
                thread.show_sleeping(index)
        saved: dict[str, Any] = {
            name: np.concatenate([getattr(b, name)[: b.n] for b in blocks]) for name in _PER_NEURON
        }
        saved["states"] = {
            s: np.concatenate([b.states[s][: b.n] for b in blocks]) for s in blocks[0].states
        }
        if not runner.sleeping.event[index]:
            saved["last"] = np.full_like(saved["last"], runner.step)
        populations[index] = saved
    counters = runner.counters()
    return {
        "step": runner.step,
        "counters": {k: counters[k] for k in runner.COUNTED},
        **runner.sleeping.state(),
        "populations": populations,
        "arrivals": {
            p.index: _pending(runner, p.index) for p in runner.plan.populations if p.receptors
        },
        "samples": dict(runner.signals.samples),
        "plastic": {
            name: plastic_state.state_of(
                [t.plastic[name] for t in runner.threads],
                runner.threads[0].plastic[name].ranks(runner),
                runner.step,
            )
            for name in runner.rules
        },
    }


def _view(runner: CpuRunner, thread: Thread, index: int) -> np.ndarray:
    """Return the part of a thread's ring that belongs to a population: slot, receptor, neuron."""
    receptors = len(runner.plan.populations[index].receptors)
    padded = int(runner.parts.padded[thread.me, index])
    return thread.rows(index).reshape(runner.slots, receptors, padded)


def _pending(runner: CpuRunner, index: int) -> tuple[np.ndarray, ...]:
    """Return the input to come: steps ahead, receptor, neuron, amount (zero sums included)."""
    parts = []
    for thread in runner.threads:
        view = _view(runner, thread, index)
        slot, receptor, neuron = np.nonzero(~((view == 0) & np.signbit(view)))
        ahead = (slot - runner.step) % runner.slots
        lo = int(thread.pops[index, L.P_LO])
        parts.append((ahead, receptor, neuron + lo, view[slot, receptor, neuron]))
    return tuple(np.concatenate(p) for p in zip(*parts, strict=True))


def restore(runner: CpuRunner, state: Mapping[str, Any]) -> None:
    """Put a saved state into the blocks and rings of all threads."""
    step = int(state["step"])
    for index, (ahead, receptor, neuron, amount) in state["arrivals"].items():
        slot = (step + ahead) % runner.slots
        if runner.units is not None:
            amount = rounded(amount, runner.units[index][receptor])
        for thread in runner.threads:
            lo, n = (int(thread.pops[index, c]) for c in (L.P_LO, L.P_N))
            mine = (neuron >= lo) & (neuron < lo + n)
            view = _view(runner, thread, index)
            view[slot[mine], receptor[mine], neuron[mine] - lo] = amount[mine]
    for name in runner.rules:
        for thread in runner.threads:
            plastic_state.restore_sources(thread.plastic[name], state["plastic"][name])
        every = runner.threads[0].plastic[name].ranks(runner)
        for thread, rank in zip(runner.threads, every, strict=True):
            part = thread.plastic[name]
            plastic_state.restore(part, rank, state["plastic"][name], step)
            if part.renumbers:
                part.random[:] = rank
    for index, saved in state["populations"].items():
        slept = bool(state["event"].get(index))
        _, _, sleep = runner.kernels[index]
        event = sleep is not None and (slept or runner.options.strategy == "event")
        saved = dict(saved)
        if not event and (np.asarray(saved["last"]) != step).any():
            saved = _awake(runner, index, saved, step)
        for thread in runner.threads:
            _restore_block(thread, index, saved)
            if event and slept:
                _resume_sleep(thread, index)
            elif event:
                thread.sleep(index, step)
        runner.sleeping.event[index] = event


def _awake(runner: CpuRunner, index: int, saved: dict[str, Any], step: int) -> dict[str, Any]:
    """Return the saved state of a population with its sleeping neurons brought to `step`."""
    model = runner.plan.populations[index].model
    assert model is not None
    sleep = sleep_of(model)
    if isinstance(sleep, str):
        raise TypeError(f"a checkpoint with sleeping neurons, but {sleep}")
    return saved | {"states": advanced(model, sleep, saved, step)}


def _restore_block(thread: Thread, index: int, saved: Mapping[str, Any]) -> None:
    """Put saved states into a block, whose population then uses the clock strategy."""
    block = thread.blocks[index]
    part = slice(block.lo, block.lo + block.n)
    for s, values in saved["states"].items():
        block.states[s][: block.n] = values[part]
    for name in _PER_NEURON:
        if name in saved:
            getattr(block, name)[: block.n] = saved[name][part]
    thread.pops[index, L.P_EVENT] = 0


def _resume_sleep(thread: Thread, index: int) -> None:
    """Go on with the event strategy where the checkpoint left it."""
    block = thread.blocks[index]
    if not block.n:
        return
    listed = np.flatnonzero(block.is_awake[: block.n])
    block.awake[: listed.size] = listed
    block.table[L.N_AWAKE] = listed.size
    thread.resume_sleep(index)
