"""Continuous couplings, spelled out: dense matrices, and every connection in every step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurosim.engines.reference.neurons import Neurons
from neurosim.lower.gaps import GapPlan
from neurosim.lower.memory import require_memory
from neurosim.lower.signals import SignalPlan


class Gaps:
    """Gap junctions: the matrix exponential of the graph, with held potentials as sources."""

    def __init__(self, plan: GapPlan, neurons: Mapping[int, Neurons], dt: float) -> None:
        self.plan, self.neurons, self.dt = plan, neurons, dt
        n = plan.capacitance.size
        require_memory(
            64 * n * n, f"the matrix exponential of {n} membranes joined by gap junctions needs",
            "Use engine='cpu'.",
        )  # fmt: skip
        rows = np.repeat(np.arange(n), np.diff(plan.first))
        laplacian = np.zeros((n, n))
        np.add.at(laplacian, (rows, plan.partner), -plan.conductance)
        np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
        self.matrix = laplacian / plan.capacitance[:, None]
        self._flows: dict[bytes, np.ndarray] = {}

    def half_step(self, step: int) -> None:
        """Let currents flow through the junctions for half of a step."""
        membranes = [(m, self.neurons[m.population]) for m in self.plan.membranes]
        v = np.concatenate([n.states[m.state][m.ids] for m, n in membranes])
        held = np.concatenate([m.held & (n.until[m.ids] >= step) for m, n in membranes])
        v = v + self._flow(held) @ v
        for m, n in membranes:
            n.states[m.state] = n.states[m.state].copy()
            n.states[m.state][m.ids] = v[m.first : m.first + m.ids.size]

    def _flow(self, held: np.ndarray) -> np.ndarray:
        """Return exp(-A dt/2) - 1, where the rows of held potentials are zero."""
        from scipy.linalg import expm

        key = held.tobytes()
        if key not in self._flows:
            if len(self._flows) > 64:
                self._flows.clear()
            matrix = np.where(held[:, None], 0.0, -self.matrix * self.dt / 2)
            self._flows[key] = expm(matrix) - np.eye(held.size)
        return self._flows[key]


class Signal:
    """A continuous signal and the samples of it that matter."""

    def __init__(self, plan: SignalPlan, dt: float) -> None:
        self.plan, self.dt = plan, dt
        self.samples = np.zeros((plan.slots, plan.n_pre))

    def sample(self, step: int, states: Mapping[str, np.ndarray]) -> None:
        """Take the sample of a step, if one is due."""
        if step % self.plan.every == 0:
            slot = step // self.plan.every % self.plan.slots
            self.samples[slot] = self.plan.sampled(states, step * self.dt)

    def current(self, step: int) -> np.ndarray:
        """Return what acts on every target during a step."""
        return self.plan.brought(self.samples, step - 1)
