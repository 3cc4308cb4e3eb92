"""A lowered neuron model as a Step, in the order of the engines' step.

Propagate, hold what is refractory, add arrivals, test the threshold, reset. Coefficients that the
lowering computed (propagators, receptor factors) are parameters of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from neurosim.bridge.kernels.step import Step, lower
from neurosim.errors import ModelError, ParameterError
from neurosim.expressions import Expression, Printer, symbols
from neurosim.expressions.tree import FUNCTIONS, Call, Operation, Symbol, walk
from neurosim.lower.model import INJECTED, LoweredModel

#: Name of the input that is injected as a current, and of states that models do not declare.
CURRENT, REFRACTORY, CLOCK = "_current", "refractory", "clock"
#: Prefixes of the names of propagators over a step and over half a step.
FULL, HALF = "full", "half"
_MIRROR = {"<": ">", "<=": ">="}


def entry(prefix: str, kind: str, *names: str) -> str:
    """Return the name of a coefficient, such as ``_full_matrix_V_m_I_syn_ex``."""
    return "_".join(("", prefix, kind, *names))


def amount_of(receptor: str) -> str:
    """Return the name of the input through a receptor; receptors may be called "in"."""
    return f"_amount_{receptor}"


def noise_of(source: str) -> str:
    """Return the name of the standard normal input that is named after a state."""
    return f"_normal_{source}"


def noise_sources(model: LoweredModel) -> list[str]:
    """Return the states after which the sources of white noise are named."""
    return sorted({source for _, source in model.full.noise} | set(model.noise))


def model_step(
    model: LoweredModel, coefficients: Iterable[str], *, scale: float, detach_reset: bool
) -> Step:
    """Return the step of a lowered model.

    Parameters
    ----------
    model : LoweredModel
        With a fixed step.
    coefficients : iterable of str
        Names of all numbers that the step may use; it takes those that it does.
    scale : float
        The distance to the threshold is divided by it before the surrogate sees it.
    detach_reset : bool
        Whether the gradient ignores the spike in the reset.

    Raises
    ------
    ModelError
        If the threshold is not a comparison, or several joined by ``and``.
    ParameterError
        If the model uses a name that the step adds.
    """
    return _Builder(model, scale, detach_reset).step(tuple(coefficients))


class _Builder:
    """Writes the program of a model."""

    def __init__(self, model: LoweredModel, scale: float, detach_reset: bool) -> None:
        self.model, self.scale, self.detach_reset = model, scale, detach_reset
        self.refractory = model.spec.refractory is not None
        self.lines: list[str] = []
        expressions = [*model.rhs.values(), *model.maps.values(), *model.slopes.values()]
        if model.spec.threshold is not None:
            expressions.append(model.spec.threshold)
        self.uses_time = any("t" in symbols(e) for e in expressions)

    def step(self, coefficients: tuple[str, ...]) -> Step:
        """Return the step."""
        model, spec = self.model, self.model.spec
        inputs = [amount_of(name) for name, _ in model.receptors]
        inputs += [CURRENT] if model.inject is not None else []
        inputs += [noise_of(source) for source in noise_sources(model)]
        extra = [REFRACTORY] * self.refractory + [CLOCK] * self.uses_time
        for name in extra:
            if name in (*spec.parameters, *spec.states):
                raise ParameterError(
                    f"ModelNeuron: {spec.name} has a state or parameter {name!r}, the name of a "
                    "state that the layer adds; rename it."
                )
        self._propagate()
        self._arrive()
        strict = self._fire()
        self._reset()
        if self.uses_time:
            self.lines.append(f"{CLOCK} = {CLOCK} + {model.dt!r}")
        program = "\n".join(self.lines)
        states = (*model.states, *extra)
        step = Step(spec.name, states, tuple(inputs), coefficients, program, ("spk",), strict)
        used = set().union(*(symbols(line.value) for line in lower(step).lines))
        return replace(step, parameters=tuple(c for c in coefficients if c in used))

    def _text(
        self, expression: Expression, names: Mapping[str, str] | None = None, t: float = 0.0
    ) -> str:
        """Return an expression as text; `names` replace states, `t` is a time after the clock."""
        names = names or {}

        def symbol(name: str) -> str:
            if name.startswith("previous "):
                return f"_old_{name.removeprefix('previous ')}"
            fixed = {
                "dt": repr(self.model.dt), "t": f"({CLOCK} + {t!r})", INJECTED: CURRENT,
            }  # fmt: skip
            return names.get(name, fixed.get(name, name))

        return Printer(symbol, _TEXT)(expression)

    # --- the four parts of a step ----------------------------------------------------------------

    def _propagate(self) -> None:
        model = self.model
        if self.refractory:
            self.lines.append(f"_held = where({REFRACTORY} > 0, 1, 0)")
        self.lines += [f"_old_{s} = {s}" for s in model.states]
        self._exact(FULL, "_new_")
        for s in model.noise:
            self.lines.append(f"_kick_{s} = {entry('stepped', 'noise', s)}*{noise_of(s)}")
        _METHODS[model.method](self)
        for s in model.noise:
            self.lines.append(f"_new_{s} = _new_{s} + _kick_{s}")
        for s, expression in model.maps.items():
            self.lines.append(f"_new_{s} = {self._text(expression)}")
        for s in (*model.linear, *model.stepped, *model.mapped):
            held = s in model.hold and self.refractory
            value = f"where(_held > 0, _old_{s}, _new_{s})" if held else f"_new_{s}"
            self.lines.append(f"{s} = {value}")

    def _exact(self, prefix: str, result: str) -> None:
        """Write the exact step of the linear states."""
        p = self.model.full if prefix == FULL else self.model.half
        for row in p.states if p is not None else ():
            assert p is not None
            terms = [entry(prefix, "offset", row)] if row in p.offset else []
            if row in p.injected:
                terms.append(f"{entry(prefix, 'injected', row)}*{CURRENT}")
            terms += [
                f"{entry(prefix, 'matrix', r, column)}*{column}"
                for r, column in p.matrix if r == row
            ]  # fmt: skip
            if prefix == FULL:
                terms += [
                    f"{entry(FULL, 'noise', r, source)}*{noise_of(source)}"
                    for r, source in p.noise if r == row
                ]  # fmt: skip
            self.lines.append(f"{result}{row} = {' + '.join(terms) or '0'}")

    def rates(self, result: str, states: Mapping[str, str], t: float) -> None:
        """Write the right-hand sides at some states; those held stand still."""
        model = self.model
        for s, expression in model.rhs.items():
            text = self._text(expression, states, t)
            held = s in model.hold and self.refractory
            self.lines.append(
                f"{result}{s} = " + (f"where(_held > 0, 0, {text})" if held else text)
            )

    def _euler(self) -> None:
        h = repr(self.model.dt)
        self.rates("_k1_", {}, 0.0)
        self.lines += [f"_new_{s} = {s} + {h}*_k1_{s}" for s in self.model.stepped]

    def _exponential_euler(self) -> None:
        h = repr(self.model.dt)
        self.rates("_k1_", {}, 0.0)
        for s in self.model.stepped:
            slope = self._text(self.model.slopes[s])
            self.lines.append(f"_new_{s} = {s} + {h}*_k1_{s}*exprel({h}*({slope}))")

    def _heun(self) -> None:
        h, model = self.model.dt, self.model
        self.rates("_k1_", {}, 0.0)
        self.lines += [
            f"_s2_{s} = {s} + {h!r}*_k1_{s}" + (f" + _kick_{s}" if s in model.noise else "")
            for s in model.stepped
        ]
        stage = {s: f"_s2_{s}" for s in model.stepped} | {s: f"_new_{s}" for s in model.linear}
        self.rates("_k2_", stage, h)
        self.lines += [f"_new_{s} = {s} + {h / 2!r}*(_k1_{s} + _k2_{s})" for s in model.stepped]

    def _rk4(self) -> None:
        h, model = self.model.dt, self.model
        if not model.stepped:
            return
        self.rates("_k1_", {}, 0.0)
        self._exact(HALF, "_mid_")
        for k, part, linear in ((2, 0.5, "_mid_"), (3, 0.5, "_mid_"), (4, 1.0, "_new_")):
            self.lines += [f"_s{k}_{s} = {s} + {part * h!r}*_k{k - 1}_{s}" for s in model.stepped]
            stage = {s: f"_s{k}_{s}" for s in model.stepped}
            stage |= {s: f"{linear}{s}" for s in model.linear}
            self.rates(f"_k{k}_", stage, part * h)
        self.lines += [
            f"_new_{s} = {s} + {h / 6!r}*(_k1_{s} + 2*(_k2_{s} + _k3_{s}) + _k4_{s})"
            for s in model.stepped
        ]

    def _arrive(self) -> None:
        for name, effects in self.model.receptors:
            amount = amount_of(name)
            if name in self.model.ignore and self.refractory:
                amount = f"where(_held > 0, 0, {amount})"
            for k, (state, _) in enumerate(effects):
                factor = entry("receptor", "factor", name, str(k))
                self.lines.append(f"{state} = {state} + {factor}*{amount}")

    def _fire(self) -> bool:
        """Write the spike; return whether the threshold is strict."""
        threshold = self.model.spec.threshold
        if threshold is None:
            raise ModelError(f"ModelNeuron: {self.model.spec.name} has no threshold.")
        distance, strict, gates = _split(threshold, self.model.spec.name, set(self.model.states))
        u = self._text(distance, t=self.model.dt)
        self.lines.append(f"_u = {u}" if self.scale == 1.0 else f"_u = ({u})/{self.scale!r}")
        conditions = [self._text(g, t=self.model.dt) for g in gates]
        conditions += ["_held < 1"] if self.refractory else []
        gate = f"*where({' and '.join(conditions)}, 1, 0)" if conditions else ""
        self.lines += ["_crossed = spike(_u)", f"spk = _crossed{gate}"]
        if self.detach_reset:
            self.lines += ["_reset = detached_spike(_u)", f"_fired = _reset{gate}"]
        else:
            self.lines.append("_fired = spk")
        return strict

    def _reset(self) -> None:
        for statement in self.model.spec.reset:
            s, value = statement.target, self._text(statement.result())
            if self.detach_reset:
                self.lines.append(f"{s} = where(_fired > 0, {value}, {s})")
            else:
                self.lines.append(f"{s} = _fired*({value}) + (1 - _fired)*{s}")
        if self.refractory:
            steps = entry("receptor", "refractory_steps")
            self.lines.append(
                f"{REFRACTORY} = where(_fired > 0, {steps}, max({REFRACTORY} - 1, 0))"
            )


_METHODS: dict[str, Callable[[_Builder], None]] = {
    "euler": _Builder._euler, "exponential_euler": _Builder._exponential_euler,
    "heun": _Builder._heun, "rk4": _Builder._rk4,
}  # fmt: skip
#: The equation language as a target of its own printer.
_TEXT = {name: name for name in FUNCTIONS} | {
    "and": " and ", "or": " or ", "not": "(not {0})", "**": "({0})**({1})",
}  # fmt: skip


def _split(
    threshold: Expression, name: str, states: set[str]
) -> tuple[Expression, bool, tuple[Expression, ...]]:
    """Return distance to the threshold, whether it is strict, and the conditions beside it."""
    parts = threshold.args if _is(threshold, "and") else (threshold,)  # type: ignore[union-attr]
    for k, part in enumerate(parts):
        if not _is(part, "<", "<=", ">", ">=") or not _present(part) & states:
            continue
        assert isinstance(part, Operation)
        (a, b), op = part.args, part.op
        if op in _MIRROR:
            a, b, op = b, a, _MIRROR[op]
        return Operation("-", (a, b)), op == ">", (*parts[:k], *parts[k + 1 :])
    raise ModelError(
        f"ModelNeuron: the threshold of {name} must be a comparison with a state, such as "
        "'V_m >= V_th', alone or joined to others by 'and'; there is no distance to it otherwise."
    )


def _is(expression: Expression, *operators: str) -> bool:
    return isinstance(expression, Operation) and expression.op in operators


def _present(expression: Expression) -> set[str]:
    """Return the symbols outside of ``previous()``."""
    past = {
        id(a) for e in walk(expression) if isinstance(e, Call) and e.function == "previous"
        for a in e.args
    }  # fmt: skip
    return {e.name for e in walk(expression) if isinstance(e, Symbol) and id(e) not in past}
