"""A model class body, parsed and checked: the ModelSpec that everything else reads."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neurosim.errors import ModelError, UnitError
from neurosim.expressions import (
    Equation,
    Expression,
    Statement,
    affine,
    check_kinds,
    dimension_of,
    parse_equations,
    parse_expression,
    parse_statements,
    substitute,
    symbols,
)
from neurosim.expressions.kinds import is_condition
from neurosim.expressions.tree import Call, walk
from neurosim.models.declare import Parameter, Refractory, State
from neurosim.units import DIMENSIONLESS, MILLISECOND, Unit, describe, parse_unit

METHODS = ("euler", "exponential_euler", "heun", "rk4", "rk45")
#: Names that equations may use without declaring them, with their units.
BUILT_IN = {"t": MILLISECOND, "dt": MILLISECOND}


@dataclass(frozen=True)
class ModelSpec:
    """A parsed model.

    Attributes
    ----------
    name : str
    parameters, states : mapping
        Declarations by name; states in the order of the declaration.
    odes, maps : mapping of state name to Expression
        Right-hand sides with the sub-expressions inserted.
    receptors : mapping of receptor name to tuple of Statement
    threshold : Expression or None
        None for a model that never spikes.
    reset : tuple of Statement
    refractory : Refractory or None
    method : str
        Integration method of what is not linear.
    tolerance : float
        Absolute error a step of the adaptive method may make, in the unit of each state.
    threshold_test : {"step", "substep"}
        Whether the adaptive method tests the threshold at the end of a step or of each substep.
    absolute : bool
        Whether receptors take the absolute value of weights (conductances).
    """

    name: str
    parameters: Mapping[str, Parameter]
    states: Mapping[str, State]
    odes: Mapping[str, Expression]
    maps: Mapping[str, Expression]
    receptors: Mapping[str, tuple[Statement, ...]]
    receptor_units: Mapping[str, str]
    threshold: Expression | None
    reset: tuple[Statement, ...]
    refractory: Refractory | None
    method: str
    tolerance: float
    threshold_test: str
    absolute: bool
    init: Mapping[str, Expression]
    text: Mapping[str, Any] = field(compare=False)


class SpecBuilder:
    """Turn a declaration (names to texts) into a ModelSpec; every check of a model is here."""

    def __init__(self, name: str, text: Mapping[str, Any]) -> None:
        self.name = name
        self.text = text
        self._check_types()
        self.parameters: dict[str, Parameter] = dict(text["parameters"])
        self.equations = parse_equations(text["equations"] or "", name)
        self.states = self._states(dict(text["states"]))
        self.units: dict[str, Unit] = dict(BUILT_IN) | {
            "xi": Unit(1.0, tuple(-x / 2 for x in MILLISECOND.dimension))  # type: ignore[arg-type]
        }
        self.definitions: dict[str, Expression] = {}

    def build(self) -> ModelSpec:
        """Return the spec; raises ModelError, with the line, for anything that is wrong."""
        self._declare()
        odes, maps = self._right_hand_sides()
        receptors, receptor_units = self._receptors()
        method = self.text["method"]
        if method not in METHODS:
            raise ModelError(f"{self.name}: method {method!r} is not one of {', '.join(METHODS)}.")
        threshold = self._threshold()
        absolute = any(parse_unit(u).dimension == parse_unit("nS").dimension
                       for u in receptor_units.values())  # fmt: skip
        return ModelSpec(
            self.name, self.parameters, self.states, odes, maps, receptors, receptor_units,
            threshold, self._reset(threshold), self._refractory(), method,
            float(self.text["tolerance"]), self.text["threshold_test"], absolute,
            self._initial(), self.text,
        )  # fmt: skip

    def _check_types(self) -> None:
        text, receptors = "a text", "a dict; write {'exc': 'I_syn += weight'}"
        for name, kind, what in (
            ("equations", str, text), ("threshold", str, text), ("reset", str, text),
            ("method", str, text), ("receptors", Mapping, receptors),
            ("refractory", Refractory, "a Refractory; write Refractory('t_ref', hold=['V_m'])"),
        ):  # fmt: skip
            given = self.text[name]
            if given is not None and not isinstance(given, kind):
                raise ModelError(f"{self.name}: {name} = {given!r}; it must be {what}.")
        if self.text["threshold_test"] not in ("step", "substep"):
            raise ModelError(
                f"{self.name}: threshold_test = {self.text['threshold_test']!r} must be 'step' or "
                "'substep'."
            )

    def _unit(self, text: str, line: str) -> Unit:
        try:
            return parse_unit(text)
        except UnitError as error:
            raise ModelError(f"{self.name}: in '{line}': {error}") from error

    def _states(self, declared: dict[str, State]) -> dict[str, State]:
        states: dict[str, State] = {}
        for equation in self.equations:
            if equation.kind == "definition":
                continue
            if equation.name in states:
                raise ModelError(
                    f"{self.name}: {equation.name} has two equations ('{equation.text}')."
                )
            given = declared.pop(equation.name, None)
            unit = equation.unit or "1"
            parsed = self._unit(unit, equation.text)
            if given is not None and self._unit(given.unit, f"state {equation.name}") != parsed:
                raise ModelError(
                    f"{self.name}: state {equation.name} is declared in {given.unit} "
                    f"but its equation says {unit}."
                )
            states[equation.name] = given or State(unit)
        states.update(declared)
        for name, declaration in states.items():
            if self._unit(declaration.unit, f"state {name}").scale != 1.0:
                raise ModelError(
                    f"{self.name}: state {name} is in {declaration.unit}; states use the coherent "
                    "units ms, mV, pA, pF, nS, GOhm and their products."
                )
        return states

    def _declare(self) -> None:
        definitions = [e for e in self.equations if e.kind == "definition"]
        taken: dict[str, str] = dict.fromkeys((*self.units, "weight"), "built-in name")
        groups = (("parameter", self.parameters), ("state", self.states),
                  ("sub-expression", {e.name: e for e in definitions}))  # fmt: skip
        for kind, group in groups:
            for name in group:
                if name in taken:
                    raise ModelError(
                        f"{self.name}: {kind} '{name}' has the name of a {taken[name]}; rename it."
                    )
                taken[name] = kind
        for name, parameter in self.parameters.items():
            self.units[name] = self._unit(parameter.unit, f"parameter {name}")
        for name, declared in self.states.items():
            self.units[name] = parse_unit(declared.unit)
        self._order_definitions(definitions)

    def _order_definitions(self, definitions: list[Equation]) -> None:
        """Insert sub-expressions into each other; a loop among them is an error."""
        waiting = {e.name: e for e in definitions}
        while waiting:
            ready = [e for e in waiting.values() if not symbols(e.value) & set(waiting)]
            if not ready:
                lines = "; ".join(f"'{e.text}'" for e in waiting.values())
                raise ModelError(f"{self.name}: these lines define each other in a loop: {lines}.")
            for equation in ready:
                del waiting[equation.name]
                expression = substitute(equation.value, self.definitions)
                given = None if equation.unit is None else self._unit(equation.unit, equation.text)
                self.units[equation.name] = self._check(
                    expression, equation.text, given, allow=("xi", "previous"), condition=None
                )
                self.definitions[equation.name] = expression

    def _check(
        self,
        expression: Expression,
        line: str,
        unit: Unit | None,
        allow: tuple[str, ...] = (),
        condition: bool | None = False,
    ) -> Unit:
        """Check names, kinds and dimensions of an expression; return its unit.

        `unit` is the one needed, None for any; `condition` whether a condition is needed, None for
        either.
        """
        self._check_names(expression, line, allow)
        try:
            wanted = is_condition(expression) if condition is None else condition
            check_kinds(expression, condition=wanted)
        except ModelError as error:
            raise ModelError(f"{self.name}: in '{line}': {error}.") from error
        try:
            found = dimension_of(expression, self.units)
        except UnitError as error:
            raise ModelError(f"{self.name}: unit clash in '{line}': {error}.") from error
        if unit is not None and found is not None and found != unit.dimension:
            raise ModelError(
                f"{self.name}: unit clash in '{line}': the right side is in {describe(found)}, "
                f"but {unit} is needed."
            )
        if found is None:
            return unit or Unit(1.0, parse_unit("1").dimension)
        return Unit(1.0, found)

    def _check_names(self, expression: Expression, line: str, allow: tuple[str, ...]) -> None:
        known = [*self.parameters, *self.states, *BUILT_IN, *self.definitions, *allow]
        for name in sorted(symbols(expression)):
            if name == "xi" and "xi" not in allow:
                raise ModelError(
                    f"{self.name}: in '{line}': xi (white noise) belongs in a line 'dx/dt = ...'."
                )
            if name == "random":
                raise ModelError(
                    f"{self.name}: in '{line}': random numbers (random, binomial) belong in the "
                    "statements of a synapse; the noise of a neuron is xi."
                )
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                raise ModelError(
                    f"{self.name}: unknown name '{name}' in '{line}'. Parameters: "
                    f"{', '.join(self.parameters) or 'none'}. States: "
                    f"{', '.join(self.states) or 'none'}.{hint}"
                )
        for call in walk(expression):
            if isinstance(call, Call) and call.function == "delayed":
                raise ModelError(
                    f"{self.name}: in '{line}': delayed() belongs in the statements of a synapse."
                )
            if not (isinstance(call, Call) and call.function == "previous"):
                continue
            if "previous" not in allow:
                raise ModelError(
                    f"{self.name}: in '{line}': previous() belongs in the threshold; to keep an "
                    "old value elsewhere, give it a state of its own, 'V_old := V_m : mV'."
                )
            if symbols(call) - set(self.states):
                raise ModelError(f"{self.name}: in '{line}': previous() takes a state.")

    def _right_hand_sides(self) -> tuple[dict[str, Expression], dict[str, Expression]]:
        odes: dict[str, Expression] = {}
        maps: dict[str, Expression] = {}
        for equation in self.equations:
            if equation.kind == "definition":
                continue
            expression = substitute(equation.value, self.definitions)
            unit = self.units[equation.name]
            if equation.kind == "ode":
                self._check(expression, equation.text, unit / MILLISECOND, allow=("xi",))
                odes[equation.name] = expression
            else:
                self._check(expression, equation.text, unit)
                maps[equation.name] = expression
        return odes, maps

    def _statements(self, text: str, where: str, allow: tuple[str, ...]) -> tuple[Statement, ...]:
        checked = []
        for s in parse_statements(text, where):
            if s.target not in self.states:
                raise ModelError(
                    f"{where}: '{s.text}' assigns to '{s.target}', which is no state. "
                    f"States: {', '.join(self.states)}."
                )
            value = substitute(s.value, self.definitions)
            unit = None if "weight" in allow else self.units[s.target]
            if s.op == "*=":
                unit = DIMENSIONLESS
            self._check(value, s.text, unit, allow)
            checked.append(Statement(s.target, s.op, value, s.text))
        return tuple(checked)

    def _receptors(self) -> tuple[dict[str, tuple[Statement, ...]], dict[str, str]]:
        receptors: dict[str, tuple[Statement, ...]] = {}
        weight_units: dict[str, str] = {}
        for name, text in (self.text["receptors"] or {}).items():
            where = f"{self.name}, receptor '{name}'"
            self.units["weight"] = Unit(1.0, parse_unit("1").dimension)
            statements = self._statements(text, where, ("weight",))
            constants = set(self.parameters) | {"dt"}
            for s in statements:
                parts = affine(s.value, ("weight",), constants)
                if s.op != "+=" or parts is None or "weight" not in parts[0]:
                    raise ModelError(
                        f"{where}: '{s.text}' must be 'state += weight' or 'state += weight * "
                        "(parameters)', so that simultaneous arrivals can be summed."
                    )
                factor = self._check(s.value, s.text, None, ("weight",))
                unit = self.units[s.target] / factor
                if weight_units.setdefault(name, str(unit)) != str(unit):
                    raise ModelError(f"{where}: '{s.text}' needs a weight in {unit}, "
                                     f"another statement one in {weight_units[name]}.")  # fmt: skip
            receptors[name] = statements
        self.units.pop("weight", None)
        return receptors, weight_units

    def _threshold(self) -> Expression | None:
        text = self.text["threshold"]
        if not text:
            return None
        where = f"{self.name}, threshold"
        expression = substitute(parse_expression(text, where), self.definitions)
        self._check(expression, text, None, ("previous",), condition=True)
        return expression

    def _reset(self, threshold: Expression | None) -> tuple[Statement, ...]:
        text = self.text["reset"]
        if threshold is not None and text is None:
            raise ModelError(
                f"{self.name}: threshold '{self.text['threshold']}' has no reset; write for "
                'instance reset = "V_m = V_reset", or reset = "" if nothing is reset.'
            )
        return self._statements(text or "", f"{self.name}, reset", ())

    def _refractory(self) -> Refractory | None:
        refractory: Refractory | None = self.text["refractory"]
        if refractory is None:
            return None
        where = f"{self.name}, refractory"
        declared = self.parameters.get(refractory.duration)
        if declared is None or declared.parsed_unit.dimension != MILLISECOND.dimension:
            raise ModelError(
                f"{where}: '{refractory.duration}' is not a parameter with a unit of time."
            )
        for key in ("hold", "ignore"):
            names = getattr(refractory, key)
            if isinstance(names, str):
                raise ModelError(f"{where}: {key} = {names!r}; write a list, [{names!r}].")
        for name in refractory.hold:
            if name not in self.states:
                raise ModelError(f"{where}: hold names '{name}', which is no state.")
        for name in refractory.ignore:
            if name not in (self.text["receptors"] or {}):
                raise ModelError(f"{where}: ignore names '{name}', which is no receptor.")
        return refractory

    def _initial(self) -> dict[str, Expression]:
        initial = {}
        for name, declared in self.states.items():
            where = f"{self.name}, initial value of {name}"
            expression = substitute(parse_expression(str(declared.init), where), self.definitions)
            if symbols(expression) - set(self.parameters):
                raise ModelError(f"{where}: '{declared.init}' may use parameters only.")
            if isinstance(declared.init, str):
                self._check(expression, declared.init, self.units[name])
            initial[name] = expression
        return initial
