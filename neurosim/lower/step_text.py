"""Text of a step of a neuron for engines that print code: what does not depend on the language.

States are ``s_<name>`` at the beginning of a step and ``n_<name>`` at its end; `held` says whether
the neuron is refractory, `t0` is the time at which the step begins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from neurosim.expressions import Expression, Printer, symbols
from neurosim.lower.fehlberg import ERROR, FIFTH, NODES, STAGES
from neurosim.lower.model import INJECTED, LoweredModel
from neurosim.lower.propagator import Coefficient, Propagator

Lines = list[str]
#: How the coefficients of a propagator are named, by what it computes.
_TAGS = {"n_": "P", "h_": "H", "f_": "F"}


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """How a language writes the lines of a step, as templates for `str.format`.

    Attributes
    ----------
    functions : mapping of str to str
        Names or templates of functions and operators, see `Printer`.
    number : callable
        Returns the text of a number.
    zero, injected : str
        Nothing, and the injected current.
    noise : str
        A random number of this step; takes its index.
    new, fixed, put : str
        Lines that give a name a value: to a new name, to a new one that keeps it, to a known one.
    hold : str
        The line that gives a known name a value if the neuron is refractory.
    choice : str
        One value if the neuron is refractory, or another.
    stage : str
        What the names of states at a stage of a method begin with; takes its number.
    """

    functions: Mapping[str, str]
    number: Callable[[float], str]
    zero: str
    injected: str
    noise: str
    new: str
    fixed: str
    put: str
    hold: str
    choice: str
    stage: str


class Coefficients:
    """Numbers that a step takes: one for all neurons, or one for each.

    Parameters
    ----------
    scalar, array : str
        Templates of the texts that read a number, which take its index.

    Attributes
    ----------
    scalars : list of float
        In the order in which they were first named.
    arrays : list of (n,) arrays
    """

    def __init__(self, scalar: str, array: str) -> None:
        self._scalar, self._array = scalar, array
        self.scalars: list[float] = []
        self.arrays: list[np.ndarray] = []
        self._texts: dict[str, str] = {}

    def __call__(self, name: str, value: Coefficient) -> str:
        """Return the text that reads a coefficient; the first value of a name counts."""
        if name not in self._texts:
            if np.ndim(value):
                self._texts[name] = self._array.format(len(self.arrays))
                self.arrays.append(np.asarray(value, dtype=float))
            else:
                self._texts[name] = self._scalar.format(len(self.scalars))
                self.scalars.append(float(value))
        return self._texts[name]


class StepText(ABC):
    """Prints the parts of a step of one lowered model.

    Parameters
    ----------
    model : LoweredModel
    coefficient : Coefficients
    syntax : Syntax

    Attributes
    ----------
    held : bool
        Whether neurons can be refractory.
    noise : list of str
        Sources of noise, in the order of the random numbers.
    adaptive : bool
        Whether there are states to step by the adaptive method.
    tests_substeps : bool
        Whether the threshold is tested within the step, not at its end.
    uses_time : bool
        Whether the step looks at the time within it.
    """

    def __init__(self, model: LoweredModel, coefficient: Coefficients, syntax: Syntax) -> None:
        self.model, self.coefficient, self.syntax = model, coefficient, syntax
        self.held = bool(model.hold) or bool(model.spec.refractory)
        self.noise = sorted({k for _, k in model.full.noise} | set(model.noise))
        self.adaptive = model.method == "rk45" and bool(model.stepped)
        self.tests_substeps = (
            self.adaptive
            and model.spec.threshold_test == "substep"
            and model.spec.threshold is not None
        )
        equations = [*model.rhs.values(), *model.maps.values()]
        self.uses_time = _name_time(equations) or (self.tests_substeps and self.spikes_name_time())

    @abstractmethod
    def linear(self, prefix: str, propagator: Propagator, held: Propagator | None = None) -> Lines:
        """Return lines that set ``<prefix><state>``; `held` is for refractory neurons."""

    def spikes_name_time(self) -> bool:
        """Return whether the threshold or a reset looks at the time."""
        spec = self.model.spec
        threshold = [] if spec.threshold is None else [spec.threshold]
        return _name_time([*threshold, *(s.result() for s in spec.reset)])

    # ---- expressions

    def printer(self, state: Callable[[str], str], time: str = "t0") -> Printer:
        """Return a printer in which states are named by `state`."""

        def symbol(name: str) -> str:
            if name.startswith("previous "):
                return f"s_{name[9:]}"
            if name in self.model.spec.states:
                return state(name)
            if name == INJECTED:
                return self.syntax.injected
            if name == "t":
                return time
            value = self.model.dt if name == "dt" else self.model.values[name]
            return self.coefficient(name, value)

        return Printer(symbol, self.syntax.functions, self.syntax.number)

    def _noise_of(self, source: str) -> str:
        return self.syntax.noise.format(self.noise.index(source))

    def weighted(self, receptor: str, state: str, factor: Coefficient, text: str) -> str:
        """Return the text of an arrival times its factor (left out where it is one)."""
        if not np.ndim(factor) and factor == 1.0:
            return text
        return f"{self.coefficient(f'factor {receptor} {state}', factor)} * {text}"

    # ---- the step

    def fixed(self) -> Lines:
        """Return the lines that take all states over a step of fixed length."""
        model, line = self.model, self.syntax
        lines = [*self.linear("n_", model.full, model.held), *self._stepped(), *self._maps()]
        lines += [
            line.hold.format(f"n_{s}", f"s_{s}")
            for s in (*model.linear, *model.stepped)
            if s in model.hold
        ]
        moved = {*model.linear, *model.stepped, *model.mapped}
        return lines + [line.new.format(f"n_{s}", f"s_{s}") for s in model.states if s not in moved]

    def written_out(
        self, prefix: str, propagator: Propagator, held: Propagator | None = None
    ) -> Lines:
        """Return the lines of `linear`, entry by entry."""
        lines = [
            self.syntax.new.format(f"{prefix}{row}", self._row(_TAGS[prefix], propagator, row))
            for row in propagator.states
        ]
        if held is None:
            return lines
        return [
            *lines,
            *self.written_out("f_", held),
            *(
                self.syntax.hold.format(f"{prefix}{s}", f"f_{s}")
                for s in propagator.states
                if s not in self.model.hold
            ),
        ]

    def _row(self, tag: str, propagator: Propagator, row: str) -> str:
        terms = [
            f"{self.coefficient(f'{tag} {r} {c}', v)} * s_{c}"
            for (r, c), v in propagator.matrix.items()
            if r == row
        ]
        if row in propagator.offset:
            terms.append(self.coefficient(f"{tag} offset {row}", propagator.offset[row]))
        if row in propagator.injected:
            gain = self.coefficient(f"{tag} injected {row}", propagator.injected[row])
            terms.append(f"{gain} * {self.syntax.injected}")
        terms += [
            f"{self.coefficient(f'{tag} noise {r} {k}', v)} * {self._noise_of(k)}"
            for (r, k), v in propagator.noise.items()
            if r == row
        ]
        return " + ".join(terms) or self.syntax.zero

    def _rates(self, tag: str, state: Callable[[str], str], time: str) -> Lines:
        """Return lines that compute right-hand sides; held states stand still."""
        show = self.printer(state, time)
        lines = []
        for s, expression in self.model.rhs.items():
            text = show(expression)
            if s in self.model.hold:
                text = self.syntax.choice.format(self.syntax.zero, text)
            lines.append(self.syntax.fixed.format(f"{tag}_{s}", text))
        return lines

    def _stepped(self) -> Lines:
        """Return the lines that step the states which are not linear."""
        model = self.model
        if not model.stepped:
            return []
        rates = self._rates("k1", "s_{}".format, "t0")
        kicks = {
            s: f" + {self.coefficient(f'kick {s}', v * model.dt**0.5)} * {self._noise_of(s)}"
            for s, v in model.noise.items()
        }
        steps = {
            "euler": self._euler, "exponential_euler": self._exponential_euler, "heun": self._heun,
            "rk4": self._rk4,
        }  # fmt: skip
        stages, change = steps[model.method](kicks)
        ends = [
            self.syntax.new.format(f"n_{s}", f"s_{s} + {change(s)}{kicks.get(s, '')}")
            for s in model.stepped
        ]
        return [*rates, *stages, *ends]

    # Each method returns the lines of its further stages and the text of the change of a state.

    def _euler(self, _: Mapping[str, str]) -> tuple[Lines, Callable[[str], str]]:
        h = self.syntax.number(self.model.dt)
        return [], lambda s: f"{h} * k1_{s}"

    def _exponential_euler(self, _: Mapping[str, str]) -> tuple[Lines, Callable[[str], str]]:
        h, exprel = self.syntax.number(self.model.dt), self.syntax.functions["exprel"]
        show = self.printer("s_{}".format)
        return [], lambda s: f"{h} * k1_{s} * {exprel}({h} * {show(self.model.slopes[s])})"

    def _heun(self, kicks: Mapping[str, str]) -> tuple[Lines, Callable[[str], str]]:
        model, number = self.model, self.syntax.number
        h, half, stage = number(model.dt), number(model.dt / 2), self.syntax.stage.format("")
        lines = [
            self.syntax.fixed.format(f"{stage}_{s}", f"s_{s} + {h} * k1_{s}{kicks.get(s, '')}")
            for s in model.stepped
        ]
        ends = {s: f"n_{s}" for s in model.linear}
        lines += self._rates("k2", self._at_stage(stage, ends), f"t0 + {h}")
        return lines, lambda s: f"{half} * (k1_{s} + k2_{s})"

    def _rk4(self, _: Mapping[str, str]) -> tuple[Lines, Callable[[str], str]]:
        model, number = self.model, self.syntax.number
        h, half, sixth, two = (number(x) for x in (model.dt, model.dt / 2, model.dt / 6, 2.0))
        ends, middles = ({s: f"{p}_{s}" for s in model.linear} for p in "nh")
        lines = [] if model.half is None else self.linear("h_", model.half)
        for k, places, step in ((2, middles, half), (3, middles, half), (4, ends, h)):
            stage = self.syntax.stage.format(k)
            lines += [
                self.syntax.fixed.format(f"{stage}_{s}", f"s_{s} + {step} * k{k - 1}_{s}")
                for s in model.stepped
            ]
            lines += self._rates(f"k{k}", self._at_stage(stage, places), f"t0 + {step}")
        return lines, lambda s: f"{sixth} * (k1_{s} + {two} * (k2_{s} + k3_{s}) + k4_{s})"

    def _at_stage(self, stage: str, places: Mapping[str, str]) -> Callable[[str], str]:
        stepped = self.model.stepped
        return lambda s: f"{stage}_{s}" if s in stepped else places.get(s, f"s_{s}")

    def _maps(self) -> Lines:
        show, hold = self.printer("s_{}".format), self.model.hold
        lines = []
        for s, expression in self.model.maps.items():
            text = show(expression)
            if s in hold:
                text = self.syntax.choice.format(f"s_{s}", text)
            lines.append(self.syntax.new.format(f"n_{s}", text))
        return lines

    # ---- the adaptive method

    def attempt(self) -> Lines:
        """Return the lines of one substep of length `h` from ``n_*``, and of its `error`."""
        states, functions, line = self.model.stepped, self.syntax.functions, self.syntax
        lines: Lines = []
        for k, (node, row) in enumerate(zip(NODES, STAGES, strict=True), 1):
            stage = line.stage.format(k) if row else "n"
            if row:
                lines += [
                    line.fixed.format(f"{stage}_{s}", f"n_{s} + h * ({self._weighed(row, s)})")
                    for s in states
                ]
            places = {s: f"n_{s}" for s in self.model.states}
            time = f"t0 + gone + {line.number(node)} * h"
            lines += self._rates(f"k{k}", self._at_stage(stage, places), time)
        lines += [
            line.fixed.format(f"e_{s}", f"{functions['abs']}(h * ({self._weighed(ERROR, s)}))")
            for s in states
        ]
        lines.append(line.new.format("error", f"e_{states[0]}"))
        lines += [line.put.format("error", f"{functions['max']}(error, e_{s})") for s in states[1:]]
        return [*lines, line.fixed.format("ratio", "error / tolerance")]

    def accepted(self) -> Lines:
        """Return the lines that take the states over an attempt whose error is small enough."""
        lines = [
            self.syntax.put.format(f"n_{s}", f"n_{s} + h * ({self._weighed(FIFTH, s)})")
            for s in self.model.stepped
        ]
        return [*lines, self.syntax.put.format("gone", "gone + h")]

    def _weighed(self, weights: Iterable[float], state: str) -> str:
        terms = [f"{self.syntax.number(c)} * k{k}_{state}" for k, c in enumerate(weights, 1) if c]
        return " + ".join(terms)

    # ---- arrivals and spikes

    def arrived(self, receptor: int, text: str) -> Lines:
        """Return the lines that add what arrived at a receptor."""
        name, effects = self.model.receptors[receptor]
        return [
            self.syntax.put.format(f"n_{s}", f"n_{s} + {self.weighted(name, s, factor, text)}")
            for s, factor in effects
        ]

    def fires(self, time: str) -> str:
        """Return the text of the threshold's test on ``n_*``, refractory or not."""
        assert self.model.spec.threshold is not None
        return self.printer("n_{}".format, time)(self.model.spec.threshold)

    def reset_states(self, state: Callable[[str], str], time: str) -> Lines:
        """Return the lines of the statements of a reset."""
        show = self.printer(state, time)
        return [
            self.syntax.put.format(state(s.target), show(s.result())) for s in self.model.spec.reset
        ]

    def refractory_steps(self) -> str:
        """Return the text of how many steps the refractory time takes."""
        return self.coefficient("refractory steps", self.model.refractory_steps)


def _name_time(expressions: Iterable[Expression]) -> bool:
    return any("t" in symbols(e) for e in expressions)
