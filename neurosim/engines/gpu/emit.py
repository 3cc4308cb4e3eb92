"""CUDA C++ of one step of one neuron, printed from a lowered model.

The counterpart of the CPU engine's `emit_step`: the same operations in the same order, so that both
give the same bits in float64 where the compiler contracts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from neurosim.engines.gpu.emit_adaptive import adaptive_lines
from neurosim.engines.gpu.literals import number
from neurosim.expressions import Printer, symbols
from neurosim.lower.model import INJECTED, LoweredModel
from neurosim.lower.propagator import Coefficient, Propagator

Lines = list[str]
FUNCTIONS = {
    **{f: f"ns_{f}" for f in ("exp", "exprel", "log", "sqrt", "sin", "cos", "tanh", "abs")},
    "min": "ns_min", "max": "ns_max", "clip": "ns_min(ns_max({0}, {1}), {2})",
    "where": "({0} ? {1} : {2})", "**": "ns_pow({0}, {1})", "not": "(!{0})", "and": " && ",
    "or": " || ",
}  # fmt: skip


@dataclass
class Coefficients:
    """Numbers that a step takes: one for all neurons, or one for each.

    Attributes
    ----------
    scalars : list of float
    arrays : list of (n,) arrays
    """

    scalars: list[float] = field(default_factory=list)
    arrays: list[np.ndarray] = field(default_factory=list)
    _texts: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str, value: Coefficient) -> str:
        """Return the C++ text that reads a coefficient."""
        if name not in self._texts:
            if np.ndim(value):
                self._texts[name] = f"p.arrays[{len(self.arrays)} * p.n + i]"
                self.arrays.append(np.asarray(value, dtype=float))
            else:
                self._texts[name] = f"p.scalars[{len(self.scalars)}]"
                self.scalars.append(float(value))
        return self._texts[name]


class StepEmitter:
    """Prints the body of the step of one lowered model.

    Parameters
    ----------
    model : LoweredModel
    """

    def __init__(self, model: LoweredModel) -> None:
        self.model = model
        self.coefficient = Coefficients()
        self.noise = sorted({k for _, k in model.full.noise} | set(model.noise))
        self.held = bool(model.hold) or bool(model.spec.refractory)
        self.adaptive = model.method == "rk45" and bool(model.stepped)
        # whether the threshold is tested within the step, not at its end
        self.tests_substeps = (
            self.adaptive
            and model.spec.threshold_test == "substep"
            and model.spec.threshold is not None
        )

    def body(self) -> str:
        """Return the body of ``int step(net, p, cell, i, t)``: the number of spikes of neuron i.

        Where its states and its input lie, the functions of `cell` know (kernels/ring_cell.cuh).
        """
        model = self.model
        lines = [f"const REAL s_{s} = ns_state(cell, {k});" for k, s in enumerate(model.states)]
        if self.held:
            lines.append("bool held = ns_until(cell) >= t;")
        if model.inject is not None:
            lines.append("const REAL injected = ns_injected(p, i, t);")
        lines += [
            f"const REAL noise{k} = (REAL)ns_normal(ns_words((uint32_t)i, t, {k}, p.key).w0);"
            for k in range(len(self.noise))
        ]
        if self._uses_time():
            lines.append(f"const REAL t0 = (REAL)((t - 1) * {model.dt!r});")
        lines += adaptive_lines(self) if self.adaptive else self._fixed()
        lines += [*self._arrivals(), *self._spike()]
        return "\n".join(f"  {line}" for line in lines) + "\n"

    def _fixed(self) -> Lines:
        """Return the lines of a step by any other method."""
        model = self.model
        lines = self._linear("n_", model.full)
        if model.held is not None:
            lines += self._linear("f_", model.held)
            lines += [f"if (held) n_{s} = f_{s};" for s in model.linear if s not in model.hold]
        lines += [*self._stepped(), *self._maps()]
        lines += [
            f"if (held) n_{s} = s_{s};" for s in (*model.linear, *model.stepped) if s in model.hold
        ]
        moved = {*model.linear, *model.stepped, *model.mapped}
        return lines + [f"REAL n_{s} = s_{s};" for s in model.states if s not in moved]

    def _uses_time(self) -> bool:
        model = self.model
        used = [*model.rhs.values(), *model.maps.values()]
        if self.tests_substeps and model.spec.threshold is not None:
            used += [model.spec.threshold, *(s.result() for s in model.spec.reset)]
        return any("t" in symbols(e) for e in used)

    def printer(self, state: Callable[[str], str], time: str = "t0") -> Printer:
        """Return a printer in which states are named by `state`."""

        def symbol(name: str) -> str:
            if name.startswith("previous "):
                return f"s_{name[9:]}"
            if name in self.model.spec.states:
                return state(name)
            if name == INJECTED:
                return "injected"
            if name == "t":
                return time
            value = self.model.dt if name == "dt" else self.model.values[name]
            return self.coefficient(name, value)

        return Printer(symbol, FUNCTIONS, number)

    # ---- propagation

    def _noise_of(self, source: str) -> str:
        return f"noise{self.noise.index(source)}"

    def _linear(self, prefix: str, propagator: Propagator) -> Lines:
        lines, tag = [], {"n_": "P", "h_": "H", "f_": "F"}[prefix]
        for row in propagator.states:
            terms = [
                f"{self.coefficient(f'{tag} {r} {c}', v)} * s_{c}"
                for (r, c), v in propagator.matrix.items()
                if r == row
            ]
            if row in propagator.offset:
                terms.append(self.coefficient(f"{tag} offset {row}", propagator.offset[row]))
            if row in propagator.injected:
                gain = self.coefficient(f"{tag} injected {row}", propagator.injected[row])
                terms.append(f"{gain} * injected")
            terms += [
                f"{self.coefficient(f'{tag} noise {r} {k}', v)} * {self._noise_of(k)}"
                for (r, k), v in propagator.noise.items()
                if r == row
            ]
            lines.append(f"REAL {prefix}{row} = {' + '.join(terms) or 'REAL(0.0)'};")
        return lines

    def rates(self, tag: str, state: Callable[[str], str], time: str) -> Lines:
        """Return lines that compute right-hand sides; held states stand still."""
        show = self.printer(state, time)
        lines = []
        for s, expression in self.model.rhs.items():
            text = show(expression)
            if s in self.model.hold:
                text = f"held ? REAL(0.0) : {text}"
            lines.append(f"const REAL {tag}_{s} = {text};")
        return lines

    def _stepped(self) -> Lines:
        """Return the lines that step the states which are not linear."""
        model = self.model
        if not model.stepped:
            return []
        h = number(model.dt)
        lines = self.rates("k1", lambda s: f"s_{s}", "t0")
        kicks = {
            s: f" + {self.coefficient(f'kick {s}', v * model.dt**0.5)} * {self._noise_of(s)}"
            for s, v in model.noise.items()
        }
        if model.method == "euler":
            return lines + [
                f"REAL n_{s} = s_{s} + {h} * k1_{s}{kicks.get(s, '')};" for s in model.stepped
            ]
        if model.method == "exponential_euler":
            show = self.printer(lambda s: f"s_{s}")
            return lines + [
                f"REAL n_{s} = s_{s} + {h} * k1_{s} * ns_exprel({h} * {show(model.slopes[s])})"
                f"{kicks.get(s, '')};"
                for s in model.stepped
            ]
        ends = {s: f"n_{s}" for s in model.linear}
        if model.method == "heun":
            lines += [
                f"const REAL y_{s} = s_{s} + {h} * k1_{s}{kicks.get(s, '')};" for s in model.stepped
            ]
            lines += self.rates("k2", self._stage("y", ends), f"t0 + {h}")
            half = number(model.dt / 2)
            return lines + [
                f"REAL n_{s} = s_{s} + {half} * (k1_{s} + k2_{s}){kicks.get(s, '')};"
                for s in model.stepped
            ]
        return lines + self._rk4(ends, kicks)

    def _rk4(self, ends: Mapping[str, str], kicks: Mapping[str, str]) -> Lines:
        model = self.model
        h, half = number(model.dt), number(model.dt / 2)
        lines: Lines = []
        middles = {s: f"h_{s}" for s in model.linear}
        if model.half is not None:
            lines += self._linear("h_", model.half)
        for stage, previous, places, step, time in (
            ("2", "1", middles, half, f"t0 + {half}"),
            ("3", "2", middles, half, f"t0 + {half}"),
            ("4", "3", ends, h, f"t0 + {h}"),
        ):
            lines += [
                f"const REAL y{stage}_{s} = s_{s} + {step} * k{previous}_{s};"
                for s in model.stepped
            ]
            lines += self.rates(f"k{stage}", self._stage(f"y{stage}", places), time)
        sixth, two = number(model.dt / 6), number(2.0)
        return lines + [
            f"REAL n_{s} = s_{s} + {sixth} * (k1_{s} + {two} * (k2_{s} + k3_{s}) + k4_{s})"
            f"{kicks.get(s, '')};"
            for s in model.stepped
        ]

    def _stage(self, tag: str, places: Mapping[str, str]) -> Callable[[str], str]:
        stepped = self.model.stepped
        return lambda s: f"{tag}_{s}" if s in stepped else places.get(s, f"s_{s}")

    def _maps(self) -> Lines:
        show = self.printer(lambda s: f"s_{s}")
        return [
            f"REAL n_{s} = held ? s_{s} : {show(e)};"
            if s in self.model.hold
            else f"REAL n_{s} = {show(e)};"
            for s, e in self.model.maps.items()
        ]

    # ---- arrivals and spikes

    def _arrivals(self) -> Lines:
        lines = []
        for k, (name, effects) in enumerate(self.model.receptors):
            lines.append(f"REAL r{k} = ns_input(cell, {k});")
            if name in self.model.ignore:
                lines.append(f"if (held) r{k} = REAL(0.0);")
            for s, factor in effects:
                text = f"r{k}"
                if np.ndim(factor) or factor != 1.0:
                    text = f"{self.coefficient(f'factor {name} {s}', factor)} * r{k}"
                lines.append(f"n_{s} = n_{s} + {text};")
        return lines

    def _spike(self) -> Lines:
        """Return the lines from the check of the states to the end."""
        model = self.model
        lines = [
            f"const REAL total = {' + '.join(f'n_{s}' for s in model.states)};",
            "if (total - total != REAL(0.0)) ns_fail(net, t, p.source + i);",
        ]
        store = [f"ns_state(cell, {k}) = n_{s};" for k, s in enumerate(model.states)]
        if self.tests_substeps:
            return [*lines, *store, "return n_fired;"]
        if model.spec.threshold is None:
            return [*lines, *store, "return 0;"]
        show = self.printer(lambda s: f"n_{s}", f"(REAL)(t * {model.dt!r})")
        test = show(model.spec.threshold)
        lines += [
            f"const bool fired = {f'!held && {test}' if self.held else test};",
            "if (fired) {",
        ]
        lines += [f"  n_{s.target} = {show(s.result())};" for s in model.spec.reset]
        if model.spec.refractory is not None:
            steps = self.coefficient("refractory steps", model.refractory_steps)
            lines.append(f"  ns_until(cell) = (int)t + (int){steps};")
        return [*lines, "}", *store, "return fired;"]
