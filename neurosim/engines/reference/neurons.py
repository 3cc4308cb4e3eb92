"""One population stepped in NumPy, straight from its lowered model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.engines.reference.adaptive import adaptive_step
from neurosim.expressions import compiled
from neurosim.expressions.evaluate import exprel
from neurosim.lower.model import INJECTED, LoweredModel
from neurosim.lower.propagator import Propagator
from neurosim.lower.sleep import advanced, sleep_of
from neurosim.random import normal_ppf, philox, uniform

Values = dict[str, np.ndarray]


class Neurons:
    """States of a population and how they step."""

    def __init__(self, model: LoweredModel, noise_key: tuple[int, int]) -> None:
        self.model = model
        self.reset_states()
        self._noise_key = noise_key
        self._sources = sorted({k for _, k in model.full.noise} | set(model.noise))
        self._rates = {s: compiled(e) for s, e in model.rhs.items()}
        self._slopes = {s: compiled(e) for s, e in model.slopes.items()}
        self._maps = {s: compiled(e) for s, e in model.maps.items()}
        self._resets = [(s.target, compiled(s.result())) for s in model.spec.reset]
        self.threshold = None if model.spec.threshold is None else compiled(model.spec.threshold)

    def reset_states(self) -> None:
        """Put all neurons to their initial states."""
        model = self.model
        self.states: Values = {s: v.copy() for s, v in model.initial.items()}
        self.until = np.zeros(model.n, np.int64)
        self.substep = np.full(model.n, model.dt)

    def step(self, step: int, arrivals: np.ndarray, current: np.ndarray) -> np.ndarray:
        """Advance one step; return the ids of the neurons that spiked.

        Parameters
        ----------
        step : int
        arrivals : (n_receptors, n) float64
            Summed weights that arrive at the end of the step.
        current : (n,) float64
            Injected current.
        """
        model = self.model
        old = {s: v.copy() for s, v in self.states.items()}
        held = self.until >= step
        if model.method == "rk45" and model.stepped:
            fired = adaptive_step(self, step, held, current)
            self._arrive(arrivals, held)
            if model.spec.threshold_test == "substep":
                return np.repeat(np.arange(model.n), fired)
        else:
            new = self._propagated(old, held, step, current)
            for s in model.hold:
                new[s] = np.where(held, old[s], new[s])
            self.states = old | new
            self._arrive(arrivals, held)
        return self._spikes(step, old, held)

    def _propagated(self, old: Values, held: np.ndarray, step: int, current: np.ndarray) -> Values:
        model = self.model
        noise = self._noise(step)
        new = self._exact(model.full, old, current, noise)
        if model.held is not None:
            still = self._exact(model.held, old, current, noise)
            new = {s: np.where(held, still[s], value) for s, value in new.items()}
        h, t = model.dt, (step - 1) * model.dt
        kicks = {
            s: np.sqrt(h) * model.noise[s] * noise[s] if s in model.noise else 0.0
            for s in model.stepped
        }
        k1 = self.rates(old, held, t, current)
        if model.method == "euler":
            new |= {s: old[s] + h * k1[s] + kicks[s] for s in model.stepped}
        elif model.method == "exponential_euler":
            values = self.values(old, t, current)
            for s in model.stepped:
                slope = self._slopes[s](values)
                new[s] = old[s] + h * k1[s] * exprel(h * slope) + kicks[s]
        elif model.method == "heun":
            stage = new | {s: old[s] + h * k1[s] + kicks[s] for s in model.stepped}
            k2 = self.rates(old | stage, held, t + h, current)
            new |= {s: old[s] + h / 2 * (k1[s] + k2[s]) + kicks[s] for s in model.stepped}
        elif model.stepped:
            new |= self._rk4(old, new, k1, held, t, current, kicks)
        values = self.values(old, t, current)
        for s, value in self._maps.items():
            new[s] = np.broadcast_to(value(values), (model.n,)).astype(float)
        return new

    def _rk4(
        self, old: Values, end: Values, k1: Values, held: np.ndarray, t: float,
        current: np.ndarray, kicks: Mapping[str, Any],
    ) -> Values:  # fmt: skip
        h, stepped = self.model.dt, self.model.stepped
        middle = {} if self.model.half is None else self._exact(self.model.half, old, current, {})

        def stage(k: Values, part: float, linear: Values) -> Values:
            state = old | linear | {s: old[s] + part * h * k[s] for s in stepped}
            return self.rates(state, held, t + part * h, current)

        k2 = stage(k1, 0.5, middle)
        k3 = stage(k2, 0.5, middle)
        k4 = stage(k3, 1.0, end)
        return {
            s: old[s] + h / 6 * (k1[s] + 2 * (k2[s] + k3[s]) + k4[s]) + kicks[s] for s in stepped
        }

    def values(self, states: Mapping[str, Any], t: Any, current: np.ndarray) -> dict[str, Any]:
        """Return what expressions may use."""
        return {
            **self.model.values, **states, "t": t, "dt": self.model.dt, INJECTED: current,
        }  # fmt: skip

    def rates(self, states: Values, held: np.ndarray, t: Any, current: np.ndarray) -> Values:
        """Return the right-hand sides of the states that are not linear; held ones stand still."""
        values = self.values(states, t, current)
        rates = {s: rate(values) for s, rate in self._rates.items()}
        return {s: np.where(held, 0.0, r) if s in self.model.hold else r for s, r in rates.items()}

    def _exact(
        self, p: Propagator, old: Values, current: np.ndarray, noise: Mapping[str, np.ndarray]
    ) -> Values:
        new = {}
        for row in p.states:
            total: Any = p.offset.get(row, 0.0) + p.injected.get(row, 0.0) * current
            for (r, column), entry in p.matrix.items():
                if r == row:
                    total = total + entry * old[column]
            for (r, source), factor in p.noise.items():
                if r == row and noise:
                    total = total + factor * noise[source]
            new[row] = total
        return new

    def _noise(self, step: int) -> Values:
        ids = np.arange(self.model.n, dtype=np.uint32)
        low, high = step & 0xFFFFFFFF, step >> 32
        return {
            s: normal_ppf(uniform(philox(ids, low, high, k, *self._noise_key)[0]))
            for k, s in enumerate(self._sources)
        }

    def _arrive(self, arrivals: np.ndarray, held: np.ndarray) -> None:
        for amount, (name, effects) in zip(arrivals, self.model.receptors, strict=True):
            effective = np.where(held, 0.0, amount) if name in self.model.ignore else amount
            for state, factor in effects:
                self.states[state] = self.states[state] + factor * effective

    def _spikes(self, step: int, old: Values, held: np.ndarray) -> np.ndarray:
        model = self.model
        if self.threshold is None:
            return np.zeros(0, np.int64)
        values = self.values(self.states, step * model.dt, np.zeros(0))
        values |= {f"previous {s}": v for s, v in old.items()}
        fired = np.broadcast_to(self.threshold(values), (model.n,)) & ~held
        self.reset(fired, step, step * model.dt)
        return np.flatnonzero(fired)

    def reset(self, fired: np.ndarray, step: int, time: Any) -> None:
        """Apply the reset to the neurons that fired at `time` and begin their refractory time."""
        for target, result in self._resets:
            values = self.values(self.states, time, np.zeros(0))
            self.states[target] = np.where(fired, result(values), self.states[target])
        if self.model.spec.refractory is not None:
            end = step + np.asarray(self.model.refractory_steps).astype(np.int64)
            self.until = np.where(fired, end, self.until)

    def not_finite(self) -> int | None:
        """Return the first neuron with a state that is not a finite number, or None."""
        bad = ~np.isfinite(np.array(list(self.states.values()))).all(axis=0)
        return int(np.argmax(bad)) if bad.any() else None

    def restore(self, saved: Mapping[str, Any], step: int) -> None:
        """Take over saved states; sleeping neurons are brought to `step` first."""
        states = saved["states"]
        if (saved["last"] != step).any():
            sleep = sleep_of(self.model)
            if isinstance(sleep, str):
                raise TypeError(f"a checkpoint with sleeping neurons, but {sleep}")
            states = advanced(self.model, sleep, saved, step)
        self.states = {s: np.asarray(v, dtype=float).copy() for s, v in states.items()}
        self.until = np.asarray(saved["until"], np.int64).copy()
        self.substep = np.asarray(saved.get("substep", self.substep), float).copy()
