"""Source lines of the clock kernel: one step of every neuron of a block, branch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from neurosim.engines.cpu import tableau
from neurosim.engines.cpu.emit_matrix import is_table, scratch_lines, table_lines
from neurosim.engines.cpu.kernels import layout
from neurosim.expressions import Expression, Printer, symbols
from neurosim.lower.model import INJECTED, LoweredModel
from neurosim.lower.propagator import Propagator

if TYPE_CHECKING:
    from neurosim.engines.cpu.codegen import Coefficients

Lines = list[str]
FUNCTIONS = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "tanh": "tanh",
    "abs": "abs", "min": "min", "max": "max", "clip": "min(max({0}, {1}), {2})",
    "where": "({1} if {0} else {2})", "exprel": "exprel", "**": "({0} ** {1})",
    "binomial": "REAL(binomial({0}, {1}, {2}))", "not": "({0} == False)", "and": " & ", "or": " | ",
}  # fmt: skip


def number(value: float) -> str:
    """Return a literal in the precision of the kernel."""
    return f"REAL({value!r})"


def indent(lines: Lines, by: int = 1) -> Lines:
    """Return the lines moved to the right."""
    return ["    " * by + line for line in lines]


class StepEmitter:
    """Prints the clock kernel of one lowered model; `exact`: see `generate`."""

    def __init__(
        self, model: LoweredModel, coefficients: Coefficients, exact: bool = False
    ) -> None:
        self.model, self.exact = model, exact
        self.coefficient = coefficients
        self.held = bool(model.hold) or bool(model.spec.refractory)
        self.noise_sources = sorted({k for _, k in model.full.noise} | set(model.noise))
        self.n_noise = len(self.noise_sources)
        spikes = [statement.result() for statement in model.spec.reset]
        if model.spec.threshold is not None:
            spikes.append(model.spec.threshold)
        self.uses_end = _name_time(spikes)
        within = model.method == "rk45" and model.spec.threshold_test == "substep"
        self.uses_time = _name_time((*model.rhs.values(), *model.maps.values())) or (
            within and self.uses_end
        )

    # ---- expressions

    def printer(self, state: Callable[[str], str], time: str = "t0") -> Printer:
        """Return a printer in which states are named by `state`."""

        def symbol(name: str) -> str:
            if name.startswith("previous "):
                return f"s_{name[9:]}"
            if name in self.model.spec.states:
                return state(name)
            if name == INJECTED:
                return "injected[i]"
            if name == "t":
                return time
            value = self.model.dt if name == "dt" else self.model.values[name]
            return self.coefficient(name, value)

        return Printer(symbol, FUNCTIONS, number)

    def prologue(self, records: Lines | None = None) -> Lines:
        """Return the lines with which every kernel of the block begins.

        `records` are lines that open the states where each neuron has a record of its own; by
        default each state has an array.
        """
        model = self.model
        n_table = layout.STATES + len(model.states) + 64
        lines = [
            f"B = view(block, {n_table}, np.int64)",
            f"n = B[{layout.N}]",
        ]
        if records is not None:
            lines += records
        else:
            lines.append(f"until = view(B[{layout.UNTIL}], n, np.int32)")
            lines += [
                f"x_{s} = view(B[{layout.STATES + k}], n, REAL)" for k, s in enumerate(model.states)
            ]
        if model.inject is not None:
            lines.append(f"injected = view(B[{layout.INJECTED}], n, REAL)")
        return [*lines, "@prologue"]

    def receptor_rows(self) -> Lines:
        """Return the lines that open the ring's row of each receptor."""
        item, kind = ("8", "np.float64") if self.exact else ("ITEM", "REAL")
        return [
            f"r{k} = view(row + {k} * n * {item}, n, {kind})"
            for k in range(len(self.model.receptors))
        ]

    # ---- the kernel

    def clock(self) -> Lines:
        """Return the whole clock kernel."""
        model = self.model
        head = [*self.prologue(), *self.receptor_rows()]
        head.append(f"flags = view(B[{layout.FLAGS}], n, np.uint8)")
        head += [
            f"noise{k} = view(B[{layout.NOISE}] + {k} * n * ITEM, n, REAL)"
            for k in range(self.n_noise)
        ]
        head += ["now = np.int32(step)"]
        if is_table(model.full):
            head += scratch_lines(model.full)
        if self.uses_time:
            head.append(f"t0 = REAL((step - 1) * {model.dt!r})")
        head += self.end_of_step()
        adaptive = model.method == "rk45" and bool(model.stepped)
        loop = self._adaptive() if adaptive else self._fixed()
        lines = ["ITEM = REAL(0.0).itemsize", "", "", "@cfunc(KERNEL, **OPTIONS)",
                 "def clock(block, step, row, out):"]  # fmt: skip
        lines += indent([*head, "for i in range(n):", *indent(loop)])
        lines += indent(self._collect())
        return lines

    def end_of_step(self) -> Lines:
        """Return the line with the time at which thresholds are tested, where one looks at it."""
        return [f"t1 = REAL(step * {self.model.dt!r})"] if self.uses_end else []

    def _load(self) -> Lines:
        lines = [f"s_{s} = x_{s}[i]" for s in self.model.states]
        if self.held:
            lines.append("held = until[i] >= now")
        return lines

    def _fixed(self) -> Lines:
        """Return the loop body for every method with a fixed step."""
        lines = [*self._load(), *self._propagated(), *self._stepped()]
        lines += self._maps()
        for s in (*self.model.linear, *self.model.stepped):
            if s in self.model.hold:
                lines.append(f"n_{s} = s_{s} if held else n_{s}")
        moved = set(self.model.linear) | set(self.model.stepped) | set(self.model.mapped)
        lines += [f"n_{s} = s_{s}" for s in self.model.states if s not in moved]
        lines += self._arrivals()
        lines += [f"x_{s}[i] = n_{s}" for s in self.model.states]
        return [*lines, *self._flag()]

    def _noise_of(self, source: str) -> str:
        return f"noise{self.noise_sources.index(source)}[i]"

    def _propagated(self) -> Lines:
        """Return lines that take the linear states over the step; refractory neurons apart."""
        model = self.model
        lines = self._linear("n_", model.full)
        if model.held is not None and not is_table(model.full):
            lines += self._linear("f_", model.held)
            lines += [
                f"n_{s} = f_{s} if held else n_{s}" for s in model.linear if s not in model.hold
            ]
        return lines

    def _linear(self, prefix: str, propagator: Propagator) -> Lines:
        lines = []
        if is_table(propagator):
            held = self.model.held if propagator is self.model.full else None
            return table_lines(self, prefix, propagator, held)
        tag = {"n_": "P", "h_": "H", "f_": "F"}[prefix]
        for row in propagator.states:
            terms = [
                f"{self.coefficient(f'{tag} {r} {c}', v)} * s_{c}"
                for (r, c), v in propagator.matrix.items()
                if r == row
            ]
            if row in propagator.offset:
                terms.append(self.coefficient(f"{tag} offset {row}", propagator.offset[row]))
            if row in propagator.injected:
                name = self.coefficient(f"{tag} injected {row}", propagator.injected[row])
                terms.append(f"{name} * injected[i]")
            terms += [
                f"{self.coefficient(f'{tag} noise {r} {k}', v)} * {self._noise_of(k)}"
                for (r, k), v in propagator.noise.items()
                if r == row
            ]
            lines.append(f"{prefix}{row} = {' + '.join(terms) or 'ZERO'}")
        return lines

    def _rates(
        self,
        tag: str,
        state: Callable[[str], str],
        time: str,
        expressions: Mapping[str, Expression],
    ) -> Lines:
        """Return lines that compute right-hand sides; held states stand still."""
        show = self.printer(state, time)
        lines = []
        for s, expression in expressions.items():
            text = show(expression)
            if s in self.model.hold:
                text = f"ZERO if held else {text}"
            lines.append(f"{tag}_{s} = {text}")
        return lines

    def _stepped(self) -> Lines:
        """Return the lines that step the states which are not linear."""
        model = self.model
        if not model.stepped:
            return []
        h = number(model.dt)
        now = "t0"
        lines = self._rates("k1", lambda s: f"s_{s}", now, model.rhs)
        kicks = {
            s: " + " + self.coefficient(f"kick {s}", v * model.dt**0.5)
            + f" * {self._noise_of(s)}"
            for s, v in model.noise.items()
        }  # fmt: skip
        if model.method == "euler":
            return lines + [
                f"n_{s} = s_{s} + {h} * k1_{s}{kicks.get(s, '')}" for s in model.stepped
            ]
        if model.method == "exponential_euler":
            show = self.printer(lambda s: f"s_{s}")
            decays = {s: f"exprel({h} * {show(model.slopes[s])})" for s in model.stepped}
            return lines + [
                f"n_{s} = s_{s} + {h} * k1_{s} * {decays[s]}{kicks.get(s, '')}"
                for s in model.stepped
            ]
        ends = {s: f"n_{s}" for s in model.linear}
        if model.method == "heun":
            lines += [f"y_{s} = s_{s} + {h} * k1_{s}{kicks.get(s, '')}" for s in model.stepped]
            lines += self._rates("k2", self._stage("y", ends), f"t0 + {h}", model.rhs)
            half = number(model.dt / 2)
            return lines + [
                f"n_{s} = s_{s} + {half} * (k1_{s} + k2_{s}){kicks.get(s, '')}"
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
            ("k2", "k1", middles, half, f"t0 + {half}"),
            ("k3", "k2", middles, half, f"t0 + {half}"),
            ("k4", "k3", ends, h, f"t0 + {h}"),
        ):
            lines += [f"y_{s} = s_{s} + {step} * {previous}_{s}" for s in model.stepped]
            lines += self._rates(stage, self._stage("y", places), time, model.rhs)
        sixth = number(model.dt / 6)
        two = number(2.0)
        slopes = {s: f"(k1_{s} + {two} * (k2_{s} + k3_{s}) + k4_{s})" for s in model.stepped}
        return lines + [
            f"n_{s} = s_{s} + {sixth} * {slopes[s]}{kicks.get(s, '')}" for s in model.stepped
        ]

    def _stage(self, tag: str, places: Mapping[str, str]) -> Callable[[str], str]:
        stepped = self.model.stepped
        return lambda s: f"{tag}_{s}" if s in stepped else places.get(s, f"s_{s}")

    def _maps(self) -> Lines:
        show = self.printer(lambda s: f"s_{s}")
        return [
            f"n_{s} = s_{s} if held else {show(e)}"
            if s in self.model.hold
            else f"n_{s} = {show(e)}"
            for s, e in self.model.maps.items()
        ]

    def _arrivals(self) -> Lines:
        lines = []
        for k, (name, effects) in enumerate(self.model.receptors):
            text = f"REAL(r{k}[i])" if self.exact else f"r{k}[i]"
            if name in self.model.ignore:
                text = f"(ZERO if held else {text})"
            lines += [f"n_{s} = n_{s} + {self.weighted(name, s, f, text)}" for s, f in effects]
            lines.append(f"r{k}[i] = UNTOUCHED")
        return lines

    def weighted(self, receptor: str, state: str, factor: object, text: str) -> str:
        """Return the text of an arrival times its factor (left out where it is one)."""
        if isinstance(factor, float) and factor == 1.0:
            return text
        return f"{self.coefficient(f'factor {receptor} {state}', factor)} * {text}"

    def _flag(self) -> Lines:
        total = " + ".join(f"n_{s}" for s in self.model.states)
        lines = [
            f"total = {total}",
            "bad = np.uint8(2) if (total - total != ZERO) else np.uint8(0)",
        ]
        if self.model.spec.threshold is None:
            return [*lines, "flags[i] = bad"]
        show = self.printer(lambda s: f"n_{s}", "t1")
        test = show(self.model.spec.threshold)
        if self.held:
            test = f"{test} & (held == False)"
        return [*lines, f"flags[i] = bad | (np.uint8(1) if {test} else np.uint8(0))"]

    def reset(self, at: Callable[[str], str] = "{}[i]".format) -> Lines:
        """Return the lines of a spike of neuron i: the reset and the refractory end.

        `at` gives the text of one of its fields.
        """
        lines: Lines = []
        show = self.printer(lambda s: at(f"x_{s}"), "t1")
        for statement in self.model.spec.reset:
            lines.append(f"{at(f'x_{statement.target}')} = {show(statement.result())}")
        if self.model.spec.refractory is not None:
            steps = self.coefficient("refractory steps", self.model.refractory_steps)
            lines.append(f"{at('until')} = now + np.int32({steps})")
        return lines

    def _collect(self) -> Lines:
        """Return the scan of the flags, a word of eight at a time, and the resets."""
        spike = [*self.reset(), "spikes[count] = i", "count += 1"]
        if self.model.method == "rk45" and self.model.spec.threshold_test == "substep":
            spike = ["for _ in range(flags[i] >> 2):", *indent(["spikes[count] = i", "count += 1"])]
        return [
            f"words = view(B[{layout.FLAGS}], n // 8, np.int64)",
            "spikes = view(out, n, np.int32)",
            "count = 0",
            "for word in range(n // 8):",
            "    if words[word] != 0:",
            f"        for i in range(word * 8, min(word * 8 + 8, B[{layout.N_REAL}])):",
            "            if flags[i] & 2:",
            f"                if B[{layout.STATUS}] < 0:",
            f"                    B[{layout.STATUS}] = i",
            "            elif flags[i] != 0:",
            *indent(spike, 4),
            "return count",
        ]

    def _adaptive(self) -> Lines:
        """Return the loop body of the adaptive Runge-Kutta-Fehlberg 4(5) method."""
        return tableau.adaptive_lines(self)


def _name_time(expressions: Iterable[Expression]) -> bool:
    return any("t" in symbols(e) for e in expressions)
