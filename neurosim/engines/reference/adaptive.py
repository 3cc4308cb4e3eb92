"""The adaptive Runge-Kutta-Fehlberg 4(5) step in NumPy, all neurons side by side.

Every neuron has its own substep; those that have reached the end of the step wait for the others.
Coefficients and step-size control: `neurosim.lower.fehlberg`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurosim.lower.fehlberg import ERROR, FIFTH, NODES, STAGES

if TYPE_CHECKING:
    from neurosim.engines.reference.neurons import Neurons


def adaptive_step(neurons: Neurons, step: int, held: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Advance the states of all neurons by one step; return how often each fired within it."""
    model = neurons.model
    whole, smallest = model.dt, model.dt * 1e-6
    gone = np.zeros(model.n)
    h = neurons.substep.copy()
    fired = np.zeros(model.n, np.int64)
    done = np.zeros(model.n, bool)
    held = held.copy()
    while not done.all():
        last = h > whole - gone
        tried = np.where(last, whole - gone, h)
        new, ratio = _attempt(neurons, held, step, gone, tried, current)
        rejected = ~done & (ratio > 1.1) & (tried > smallest)
        shrunk = tried * np.maximum(0.2, 0.9 / np.maximum(ratio, 1e-300) ** 0.2)
        accepted = ~done & ~rejected
        for s in model.stepped:
            neurons.states[s] = np.where(accepted, new[s], neurons.states[s])
        gone = np.where(accepted, gone + tried, gone)
        growth = np.clip(0.9 / np.maximum(ratio, 1e-12) ** (1 / 6), 1.0, 5.0)
        grown = np.where(ratio < 0.5, tried * growth, tried)
        proposed = np.where(accepted & ~last, grown, neurons.substep)
        neurons.substep = proposed
        h = np.where(rejected, np.maximum(shrunk, smallest), proposed)
        if model.spec.threshold_test == "substep" and neurons.threshold is not None:
            time = (step - 1) * model.dt + gone
            values = neurons.values(neurons.states, time, current)
            crossed = accepted & ~held & neurons.threshold(values)
            before = neurons.until
            neurons.reset(crossed, step, time)
            neurons.until = np.where(neurons.until > step, neurons.until, before)
            held |= crossed & (neurons.until > step)
            fired += crossed
        done |= accepted & (last | (gone >= whole))
    return fired


def _attempt(
    neurons: Neurons,
    held: np.ndarray,
    step: int,
    gone: np.ndarray,
    h: np.ndarray,
    current: np.ndarray,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the states after a substep and the error in units of the tolerance."""
    states, stepped = neurons.states, neurons.model.stepped
    t = (step - 1) * neurons.model.dt + gone
    k: list[dict[str, np.ndarray]] = []
    for node, row in zip(NODES, STAGES, strict=True):
        stage = states | {
            s: states[s] + h * sum(c * k[j][s] for j, c in enumerate(row)) for s in stepped
        }
        k.append(neurons.rates(stage, held, t + node * h, current))
    new = {s: states[s] + h * sum(c * k[j][s] for j, c in enumerate(FIFTH)) for s in stepped}
    errors = [np.abs(h * sum(c * k[j][s] for j, c in enumerate(ERROR))) for s in stepped]
    return new, np.max(errors, axis=0) / neurons.model.spec.tolerance
