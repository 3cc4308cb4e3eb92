"""A synapse model's class body, parsed and checked: the SynapseSpec that everything else reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neurosim.errors import ModelError, UnitError
from neurosim.expressions import (
    Expression,
    Symbol,
    affine,
    check_kinds,
    dimension_of,
    parse_equations,
    parse_expression,
    parse_statements,
    substitute,
    symbols,
)
from neurosim.expressions.tree import Call, walk
from neurosim.models.declare import Parameter, State
from neurosim.units import DIMENSIONLESS, MILLISECOND, Unit, describe, parse_unit

#: Who has a trace: one value for all synapses of a source, of a target, or of the modulator.
LEVELS = ("presynaptic", "postsynaptic", "modulator")
EVENTS = ("on_pre", "on_post", "on_modulator", "on_interval")
#: Which traces jump at which event.
_JUMPS = {"on_pre": "presynaptic", "on_post": "postsynaptic", "on_modulator": "modulator"}
_BUILT_IN = {"t": MILLISECOND, "dt": MILLISECOND, "random": DIMENSIONLESS, "w_total": DIMENSIONLESS}
WEIGHT = "w"
_SUFFIX = "_post"


@dataclass(frozen=True)
class Step:
    """One assignment of an event: `level` is one of LEVELS, or "synapse"."""

    level: str
    target: str
    value: Expression
    text: str


@dataclass(frozen=True)
class SynapseSpec:
    """A parsed synapse model.

    Attributes
    ----------
    name : str
    parameters : mapping of str to Parameter
    states : mapping of str to State
        States of every synapse, without the weight.
    init : mapping of str to Expression
        Initial values of states and traces.
    traces : mapping of level to mapping of name to Expression
        Right-hand sides of the traces of each level, affine in the trace.
    odes : mapping of str to Expression
        Right-hand sides of states (and of the weight) that change between events.
    events : mapping of event to tuple of Step
        What happens at an event, in the order of the text.
    post_event : Expression or None
        Condition of the target's state that counts as postsynaptic event, tested in every step;
        None: the target's spikes.
    transmit : Expression
        What arrives at the target.
    bounds : (Expression, Expression)
        Smallest and largest weight.
    interval : str or None
        Parameter with the time between two interval events.
    prune, regrow : Expression or None
        Condition under which a synapse is taken away at an interval, and the weight of the one
        that its target gets instead.
    units : mapping of str to Unit
        Units of parameters, traces, states, and built-in names.
    """

    name: str
    parameters: Mapping[str, Parameter]
    states: Mapping[str, State]
    init: Mapping[str, Expression]
    traces: Mapping[str, Mapping[str, Expression]]
    odes: Mapping[str, Expression]
    events: Mapping[str, tuple[Step, ...]]
    post_event: Expression | None
    transmit: Expression
    bounds: tuple[Expression, Expression]
    interval: str | None
    prune: Expression | None
    regrow: Expression | None
    units: Mapping[str, Unit] = field(compare=False)
    text: Mapping[str, Any] = field(compare=False)

    def post_states(self) -> dict[str, set[str]]:
        """Return the states of the target that each event reads, without the suffix."""
        found: dict[str, set[str]] = {e: set() for e in (*EVENTS, "post_event")}
        for event, steps in self.events.items():
            for step in steps:
                found[event] |= _post_names(step.value)
        found["on_pre"] |= _post_names(self.transmit)
        if self.post_event is not None:
            found["post_event"] = _post_names(self.post_event)
        if self.prune is not None:
            found["on_interval"] |= _post_names(self.prune)
        return found

    @property
    def uses_modulator(self) -> bool:
        """Whether the rule has a third factor."""
        return bool(self.traces["modulator"] or self.events["on_modulator"])

    @property
    def changes_weights(self) -> bool:
        """Whether weights change at all (short-term plasticity leaves them)."""
        steps = [s for e in self.events.values() for s in e]
        return WEIGHT in self.odes or any(s.target == WEIGHT for s in steps)

    def level_of(self, name: str) -> str | None:
        """Return the level of a trace, or None if `name` is none."""
        return next((level for level in LEVELS if name in self.traces[level]), None)


def _post_names(expression: Expression) -> set[str]:
    return {s.removesuffix(_SUFFIX) for s in symbols(expression) if s.endswith(_SUFFIX)}


class SynapseSpecBuilder:
    """Turn a declaration (names to texts) into a SynapseSpec; all checks of a rule are here."""

    def __init__(self, name: str, text: Mapping[str, Any]) -> None:
        self.name, self.text = name, text
        self.parameters: dict[str, Parameter] = dict(text["parameters"])
        self.declared: dict[str, State] = dict(text["states"])
        self.units: dict[str, Unit] = dict(_BUILT_IN) | {WEIGHT: DIMENSIONLESS}
        self.traces: dict[str, dict[str, Expression]] = {level: {} for level in LEVELS}
        self.odes: dict[str, Expression] = {}
        self.states: dict[str, State] = {}
        self.definitions: dict[str, Expression] = {}

    def build(self) -> SynapseSpec:
        """Return the spec; raises ModelError, with the line, for anything that is wrong."""
        for name, parameter in self.parameters.items():
            self._name(name, "parameter", self._unit(parameter.unit, f"parameter {name}"))
        rows = {key: parse_equations(self.text[key] or "", f"{self.name}, {key}")
                for key in ("equations", *LEVELS)}  # fmt: skip
        self._declare(rows)
        for key, equations in rows.items():
            for e in equations:
                self._equation(key, e)
        events = {event: self._event(event) for event in EVENTS}
        post_event = self._optional("post_event", condition=True)
        if post_event is not None and not (
            all(s.endswith(_SUFFIX) or s in self.parameters for s in symbols(post_event))
            and "delayed" not in {e.function for e in walk(post_event) if isinstance(e, Call)}
        ):
            raise ModelError(
                f"{self.name}: post_event '{self.text['post_event']}' may use parameters and "
                "states of the target (V_m_post) of the same step only."
            )
        return SynapseSpec(
            self.name, self.parameters, self.states, self._initial(), self.traces, self.odes,
            events, post_event, self._transmit(events), self._bounds(), self._interval(events),
            self._optional("prune", condition=True), self._optional("regrow"), self.units,
            self.text,
        )  # fmt: skip

    # ---- names and units

    def _unit(self, text: str, where: str) -> Unit:
        try:
            return parse_unit(text)
        except UnitError as error:
            raise ModelError(f"{self.name}: in '{where}': {error}") from error

    def _name(self, name: str, kind: str, unit: Unit) -> None:
        if name in self.units:
            taken = "built-in name" if name in _BUILT_IN or name == WEIGHT else "second declaration"
            raise ModelError(f"{self.name}: {kind} '{name}' is a {taken}; rename it.")
        if name.endswith(_SUFFIX):
            raise ModelError(
                f"{self.name}: {kind} '{name}' ends in '{_SUFFIX}', which means a state of the "
                "target; rename it."
            )
        self.units[name] = unit

    def _declare(self, rows: Mapping[str, Iterable[Any]]) -> None:
        for key, equations in rows.items():
            for e in equations:
                if e.kind == "map":
                    raise ModelError(
                        f"{self.name}: '{e.text}': a synapse has no maps (:=); write dx/dt = ... "
                        "or assign at an event."
                    )
                if e.kind == "definition":
                    continue
                if e.name == WEIGHT and key == "equations":
                    continue
                self._name(
                    e.name, "trace" if key in LEVELS else "state", self._unit(e.unit, e.text)
                )
                if key == "equations":
                    self.states[e.name] = self.declared.get(e.name) or State(e.unit)
        for name, state in self.declared.items():
            if name in self.units:
                continue
            self._name(name, "state", self._unit(state.unit, f"state {name}"))
            self.states[name] = state

    def _equation(self, key: str, equation: Any) -> None:
        value = substitute(equation.value, self.definitions)
        if equation.kind == "definition":
            given = None if equation.unit is None else self._unit(equation.unit, equation.text)
            self.units[equation.name] = self._check(value, equation.text, given)
            self.definitions[equation.name] = value
            return
        self._check(value, equation.text, self.units[equation.name] / MILLISECOND)
        if key == "equations":
            self.odes[equation.name] = value
            return
        if affine(value, (equation.name,), set(self.parameters)) is None:
            raise ModelError(
                f"{self.name}: '{equation.text}': a {key} trace must decay by itself, as "
                f"'d{equation.name}/dt = -{equation.name}/tau', so that it can be advanced from "
                "event to event; let another trace or a state hold the rest."
            )
        self.traces[key][equation.name] = value

    def _check(
        self,
        expression: Expression,
        line: str,
        unit: Unit | None,
        condition: bool = False,
        known: Iterable[str] = (),
    ) -> Unit:
        """Check names, kinds and dimensions; states of the target are checked with the network."""
        names = [*self.units, *known]
        for name in sorted(symbols(expression)):
            if name not in names and not name.endswith(_SUFFIX):
                near = difflib.get_close_matches(name, names, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                raise ModelError(
                    f"{self.name}: unknown name '{name}' in '{line}'. Names: "
                    f"{', '.join(n for n in names if n not in _BUILT_IN)}; states of the target "
                    f"end in '{_SUFFIX}'.{hint}"
                )
        for call in walk(expression):
            if isinstance(call, Call) and call.function == "previous":
                raise ModelError(f"{self.name}: in '{line}': previous() belongs to neuron models.")
            if isinstance(call, Call) and call.function == "delayed":
                self._check_delayed(call, line)
        try:
            check_kinds(expression, condition=condition)
        except ModelError as error:
            raise ModelError(f"{self.name}: in '{line}': {error}.") from error
        if _post_names(expression):
            return unit or DIMENSIONLESS
        try:
            found = dimension_of(expression, self.units)
        except UnitError as error:
            raise ModelError(f"{self.name}: unit clash in '{line}': {error}.") from error
        if unit is not None and found is not None and found != unit.dimension:
            raise ModelError(
                f"{self.name}: unit clash in '{line}': the right side is in {describe(found)}, "
                f"but {unit} is needed."
            )
        return Unit(1.0, found) if found is not None else unit or DIMENSIONLESS

    def _check_delayed(self, call: Call, line: str) -> None:
        state, by = call.args
        declared = self.parameters.get(by.name) if isinstance(by, Symbol) else None
        is_time = declared and declared.parsed_unit.dimension == MILLISECOND.dimension
        if not (isinstance(state, Symbol) and state.name.endswith(_SUFFIX) and is_time):
            raise ModelError(
                f"{self.name}: in '{line}': delayed() takes a state of the target and a parameter "
                "with a unit of time, as delayed(V_m_post, late)."
            )

    # ---- events

    def _event(self, event: str) -> tuple[Step, ...]:
        where = f"{self.name}, {event}"
        steps: list[Step] = []
        local: dict[str, str] = {}  # names made in this event, with their levels
        before = dict(self.units)
        for s in parse_statements(self.text[event] or "", where):
            value = substitute(s.value, self.definitions)
            if "w_total" in symbols(value) and event != "on_interval":
                raise ModelError(f"{where}: '{s.text}': w_total is known in on_interval only.")
            known = s.target in self.units
            if not known and s.op != "=":
                raise ModelError(f"{where}: '{s.text}' changes '{s.target}', which has no value.")
            if s.target in self.parameters or s.target in _BUILT_IN:
                raise ModelError(f"{where}: '{s.text}' assigns to '{s.target}', which is fixed.")
            unit = self.units.get(s.target) if s.op != "*=" else DIMENSIONLESS
            found = self._check(value, s.text, unit)
            result = s.result()
            if self.definitions:
                result = substitute(result, self.definitions)
            level = self._level(event, s.target, result, local, s.text)
            if not known:
                self.units[s.target] = found
            if not known or s.target in local:
                local[s.target] = level
            steps.append(Step(level, s.target, result, s.text))
        self.units = before
        return tuple(steps)

    def _level(
        self, event: str, target: str, value: Expression, local: Mapping[str, str], text: str
    ) -> str:
        """Return at which level a statement runs; check that it may."""
        where = f"{self.name}, {event}"
        own = _JUMPS.get(event)
        trace = next((level for level in LEVELS if target in self.traces[level]), None)
        if trace is not None and trace != own:
            raise ModelError(
                f"{where}: '{text}' changes the {trace} trace '{target}', which all synapses of "
                f"one {'target' if trace == 'postsynaptic' else 'source'} share; change it in "
                f"{next(e for e, level in _JUMPS.items() if level == trace)}."
            )
        levels = {self._level_of_name(n, local) for n in symbols(value)} - {None}
        if trace is None and target in self.units and target not in local:
            return "synapse"
        if own is not None and levels <= {own} and "random" not in symbols(value):
            return own
        if trace is not None:
            raise ModelError(
                f"{where}: '{text}': the {trace} trace '{target}' is shared by many synapses; its "
                f"jump may use parameters and {trace} traces only."
            )
        return "synapse"

    def _level_of_name(self, name: str, local: Mapping[str, str]) -> str | None:
        if name in local:
            return local[name]
        for level in LEVELS:
            if name in self.traces[level]:
                return level
        if name in self.parameters or name in ("dt",):
            return None
        return "synapse"

    # ---- the rest

    def _optional(self, key: str, *, condition: bool = False) -> Expression | None:
        text = self.text[key]
        if text is None:
            return None
        value = substitute(parse_expression(str(text), f"{self.name}, {key}"), self.definitions)
        self._check(value, str(text), None if condition else DIMENSIONLESS, condition)
        return value

    def _transmit(self, events: Mapping[str, tuple[Step, ...]]) -> Expression:
        text = self.text["transmit"]
        local = [s.target for s in events["on_pre"] if s.target not in self.units]
        value = substitute(parse_expression(text, f"{self.name}, transmit"), self.definitions)
        units = dict(self.units)
        self.units |= dict.fromkeys(local, DIMENSIONLESS)
        self._check(value, text, DIMENSIONLESS)
        self.units = units
        return value

    def _bounds(self) -> tuple[Expression, Expression]:
        low, high = (parse_expression(str(b), f"{self.name}, bounds") for b in self.text["bounds"])
        for bound in (low, high):
            if symbols(bound) - set(self.parameters):
                raise ModelError(
                    f"{self.name}: bounds {self.text['bounds']} may use parameters only."
                )
        return low, high

    def _interval(self, events: Mapping[str, tuple[Step, ...]]) -> str | None:
        name: str | None = self.text["interval"]
        needed = events["on_interval"] or self.text["prune"] is not None
        if name is None and needed:
            raise ModelError(
                f"{self.name}: on_interval and prune need the parameter with the time between two "
                "intervals; write interval = 'interval' and interval_ = param(100.0, 'ms')."
            )
        if name is not None:
            declared = self.parameters.get(name)
            if declared is None or declared.parsed_unit.dimension != MILLISECOND.dimension:
                raise ModelError(
                    f"{self.name}: interval = '{name}' is not a parameter with a unit of time."
                )
        return name

    def _initial(self) -> dict[str, Expression]:
        initial: dict[str, Expression] = {}
        traces = [n for level in LEVELS for n in self.traces[level]]
        for name in (*self.states, *traces):
            state = self.states.get(name) or self.declared.get(name) or State("1")
            where = f"{self.name}, initial value of {name}"
            value = parse_expression(str(state.init), where)
            if symbols(value) - set(self.parameters):
                raise ModelError(f"{where}: '{state.init}' may use parameters only.")
            initial[name] = value
        return initial


def post_symbol(name: str) -> Symbol:
    """Return the symbol for a state of the target."""
    return Symbol(name + _SUFFIX)
