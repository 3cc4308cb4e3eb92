"""What a neuron's step does, found from its program: linear maps, and what spikes change.

Every value of the program is composed to an expression of the states before the step, its inputs
and two spikes: `EARLY`, of the step before (seen in the old states), and `LATE`, of this step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurosim.bridge.kernels.step import Line, Program, Step, lower
from neurosim.expressions import Expression, Symbol, affine, evaluate, substitute, symbols
from neurosim.expressions.tree import (
    ZERO,
    Call,
    Number,
    Operation,
    add,
    divide,
    multiply,
    negate,
    subtract,
)

EARLY, LATE = "spike before", "spike now"
_SIMPLER: dict[str, Callable[..., Expression]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "neg": negate,
}
#: Rounding that a solution of the linear equations of `_in_new_states` may show.
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Composed:
    """The values of a program as expressions of old states, inputs and spikes.

    Attributes
    ----------
    step : Step
    program : Program
    values : mapping of line target to Expression
    early, late : Expression or None
        Distance to the threshold of the spike before and of this step's.
    clear : bool
        Whether all spikes of the program are one of these two.
    """

    step: Step
    program: Program
    values: Mapping[str, Expression]
    early: Expression | None
    late: Expression | None
    clear: bool
    late_lines: frozenset[str] = field(default_factory=frozenset)

    def is_late(self, line: Line) -> bool:
        """Whether a line that fires decides about this step's spike."""
        return line.target in self.late_lines

    def final(self, state: str) -> Expression:
        """Return a state after the step."""
        return self.values.get(self.program.final[state], Symbol(f"old {state}"))

    def amplitude(self, values: Mapping[str, Any]) -> Any:
        """Return what a spike is in the output, or None if the output is a state.

        Raises
        ------
        ValueError
            If the output is neither a spike (of any amplitude) nor a state.
        """
        if self.step.outputs[0] in self.step.states:
            return None
        output = self.values[self.program.outputs[0]]
        parts = affine(output, (LATE,), set(values))
        if parts is None or set(parts[0]) != {LATE} or np.any(evaluate(parts[1], values) != 0):
            raise ValueError(f"its output {self.step.outputs[0]!r} is no spike")
        return evaluate(parts[0][LATE], values)


def compose(step: Step) -> Composed:
    """Return the composed values of a step."""
    program = lower(step)
    values: dict[str, Expression] = {}
    early: Expression | None = None
    late: Expression | None = None
    clear, late_lines = True, set()
    for line in program.lines:
        value = simplify(substitute(line.value, values))
        if not line.fires:
            values[line.target] = value
            continue
        if symbols(value) & {*step.inputs, EARLY, LATE}:
            late = value if late is None else late
            clear = clear and value == late
            values[line.target] = Symbol(LATE)
            late_lines.add(line.target)
        else:
            early = value if early is None else early
            clear = clear and value == early
            values[line.target] = Symbol(EARLY)
    return Composed(step, program, values, early, late, clear, frozenset(late_lines))


def simplify(expression: Expression) -> Expression:
    """Return an expression with literal zeros and ones taken out."""
    if isinstance(expression, Operation):
        args = tuple(simplify(a) for a in expression.args)
        make = _SIMPLER.get(expression.op)
        return make(*args) if make else Operation(expression.op, args)
    if isinstance(expression, Call):
        return Call(expression.function, tuple(simplify(a) for a in expression.args))
    return expression


@dataclass(frozen=True)
class Change:
    """A change of a state at a spike: ``sum_j matrix[j] * j + offset`` of the new states."""

    matrix: Mapping[str, Any]
    offset: Any


@dataclass(frozen=True)
class AffineStep:
    """A step that is linear between spikes.

    Attributes
    ----------
    matrix, inputs : mapping of state to mapping of state or input to Expression
        Coefficients, without those that are zero; they are made of parameters.
    offset : mapping of state to Expression
    threshold : Expression or None
        Distance to the threshold in the new states.
    early : Expression or None
        The same in the old states.
    jumps : mapping of state to Expression
        What a spike adds to a state in the next step, in the states at the spike.
    changes : mapping of state to Change
        What a spike changes in its own step, in an order in which none is used after it changed.
    """

    matrix: Mapping[str, Mapping[str, Expression]]
    inputs: Mapping[str, Mapping[str, Expression]]
    offset: Mapping[str, Expression]
    threshold: Expression | None
    early: Expression | None
    jumps: Mapping[str, Expression]
    changes: Mapping[str, Change]


class _NotLinearError(Exception):
    """Raised inside this module with the reason."""


def affine_step(composed: Composed, values: Mapping[str, Any]) -> AffineStep | str:
    """Return a step as linear maps and what spikes change, or why it is none."""
    try:
        return _Analysis(composed, values).result()
    except _NotLinearError as reason:
        return str(reason)


#: Coefficients of old states and inputs, and the rest.
Parts = tuple[dict[str, Expression], Expression]


class _Analysis:
    def __init__(self, composed: Composed, values: Mapping[str, Any]) -> None:
        self.composed, self.step, self.known = composed, composed.step, dict(values)
        self.columns = (*(f"old {s}" for s in self.step.states), *self.step.inputs)

    def result(self) -> AffineStep:
        if not self.composed.clear:
            raise _NotLinearError("it tests more than one threshold in a step")
        states = self.step.states
        quiet = {s: self._parts(s, 0, 0) for s in states}
        jumps = {s: self._difference(self._parts(s, 1, 0), quiet[s]) for s in states}
        now = {s: self._difference(self._parts(s, 0, 1), quiet[s]) for s in states}
        jumps = {s: p for s, p in jumps.items() if self._differs(p)}
        now = {s: p for s, p in now.items() if self._differs(p)}
        self._check(jumps, now)
        return AffineStep(
            {s: self._of_states(quiet[s]) for s in states},
            {s: self._of_inputs(quiet[s]) for s in states},
            {s: p[1] for s, p in quiet.items() if self._nonzero(p[1])},
            self._threshold(quiet), self.composed.early,
            {s: _sum(self._of_states(p), p[1]) for s, p in jumps.items()},
            self._ordered({s: self._in_new_states(p, quiet) for s, p in now.items()}),
        )  # fmt: skip

    # --- pieces

    def _parts(self, state: str, early: int, late: int) -> Parts:
        fixed: dict[str, Expression] = {EARLY: Number(float(early)), LATE: Number(float(late))}
        value = simplify(substitute(self.composed.final(state), fixed))
        parts = affine(value, self.columns, set(self.known))
        if parts is None:
            raise _NotLinearError(f"{state} is not linear between spikes")
        return {k: simplify(v) for k, v in parts[0].items()}, simplify(parts[1])

    def _nonzero(self, expression: Expression) -> bool:
        return bool(np.any(np.asarray(evaluate(expression, self.known)) != 0))

    def _differs(self, parts: Parts) -> bool:
        return any(self._nonzero(e) for e in (*parts[0].values(), parts[1]))

    def _difference(self, a: Parts, b: Parts) -> Parts:
        keys = dict.fromkeys((*a[0], *b[0]))
        slopes = {k: subtract(a[0].get(k, ZERO), b[0].get(k, ZERO)) for k in keys
                  if a[0].get(k, ZERO) != b[0].get(k, ZERO)}  # fmt: skip
        return slopes, ZERO if a[1] == b[1] else subtract(a[1], b[1])

    def _of_states(self, parts: Parts) -> dict[str, Expression]:
        return {c.removeprefix("old "): e for c, e in parts[0].items()
                if c.startswith("old ") and self._nonzero(e)}  # fmt: skip

    def _of_inputs(self, parts: Parts) -> dict[str, Expression]:
        return {c: e for c, e in parts[0].items()
                if not c.startswith("old ") and self._nonzero(e)}  # fmt: skip

    def _check(self, jumps: Mapping[str, Parts], now: Mapping[str, Parts]) -> None:
        """Raise unless spikes act either in the next step, or in their own."""
        if jumps and now:
            raise _NotLinearError("a spike acts in its own step and in the next one")
        for s, parts in jumps.items():
            if self._of_inputs(parts):
                raise _NotLinearError(f"after a spike {s} takes another part of its input")
        early, late = self.composed.early, self.composed.late
        if early is None:
            return
        after = {f"old {s}": self.composed.final(s) for s in self.step.states}
        if late is None or simplify(substitute(early, after)) != late:
            raise _NotLinearError("the spike that resets is not the one that is sent")

    def _threshold(self, quiet: Mapping[str, Parts]) -> Expression | None:
        """Return the distance to the threshold in terms of the states after input."""
        if not self.composed.late_lines:
            return None
        lines = {line.target: line for line in self.composed.program.lines}
        line = next(x for x in self.composed.program.lines if self.composed.is_late(x))
        final = {name: s for s, name in self.composed.program.final.items()}

        def resolved(value: Expression) -> Expression:
            return substitute(value, {name: found(name) for name in symbols(value)})

        def found(name: str) -> Expression:
            if name in lines and not lines[name].fires:
                state = final.get(name) or self._same_as(name, quiet)
                return Symbol(state) if state else resolved(lines[name].value)
            return Symbol(name)

        distance = resolved(line.value)
        if not symbols(distance) <= {*self.step.states, *self.known}:
            raise _NotLinearError("its threshold is not a function of the states after input")
        return distance

    def _same_as(self, name: str, quiet: Mapping[str, Parts]) -> str | None:
        """Return the state that has the value of a line if the neuron does not spike."""
        value = self.composed.values[name]
        if symbols(value) & {EARLY, LATE}:
            return None
        parts = affine(value, self.columns, set(self.known))
        if parts is None:
            return None
        for state, row in quiet.items():
            if not self._differs(self._difference(parts, row)):
                return state
        return None

    # --- what a spike changes at once

    def _in_new_states(self, change: Parts, quiet: Mapping[str, Parts]) -> Change:
        """Return a change, given in old states and inputs, in terms of the new states."""
        states = self.step.states
        wanted = self._row(change)
        rows = {s: self._row(quiet[s]) for s in states}
        for s in states:  # one state alone: exact
            used = np.any(rows[s] != 0, axis=0)
            if not used.any():
                continue
            column = int(np.argmax(used))
            factor = wanted[:, column] / rows[s][:, column]
            if self._fits(wanted, factor[:, None] * rows[s]):
                matrix = {s: factor}
                break
        else:
            M = np.stack([np.broadcast_to(rows[s], wanted.shape) for s in states], 1)
            solved = (wanted[:, None, :] @ np.linalg.pinv(M))[:, 0]
            if not self._fits(wanted, np.einsum("ns,nsc->nc", solved, M)):
                raise _NotLinearError(
                    "what a spike changes is not a function of the states after input"
                )
            matrix = {s: solved[:, k] for k, s in enumerate(states)}
        offset = np.asarray(evaluate(change[1], self.known), float)
        for s, factor in matrix.items():
            offset = offset - factor * np.asarray(evaluate(quiet[s][1], self.known), float)
        return Change({s: _plain(v) for s, v in matrix.items()}, _plain(offset))

    def _row(self, parts: Parts) -> np.ndarray:
        """Return coefficients as numbers: (n or 1, columns)."""
        numbers = [evaluate(parts[0].get(c, ZERO), self.known) for c in self.columns]
        stacked = np.stack(np.broadcast_arrays(*(np.asarray(v, float) for v in numbers)), -1)
        return stacked.reshape(-1, len(self.columns))

    def _fits(self, wanted: np.ndarray, found: np.ndarray) -> bool:
        scale = np.abs(wanted).max(initial=0.0)
        return bool(np.all(np.abs(wanted - found) <= _TOLERANCE * scale))

    def _ordered(self, changes: dict[str, Change]) -> dict[str, Change]:
        """Order changes so that none uses a state that another has changed before."""
        ordered: dict[str, Change] = {}
        waiting = dict(changes)
        while waiting:
            used = {s: {r for r, c in waiting.items() if r != s and s in c.matrix} for s in waiting}
            ready = [s for s in waiting if not used[s]]
            if not ready:
                raise _NotLinearError("changes at a spike use each other")
            ordered |= {s: waiting.pop(s) for s in ready}
        return ordered


def _plain(value: np.ndarray) -> Any:
    """Return one number where all are equal."""
    flat = np.asarray(value, float).reshape(-1)
    return float(flat[0]) if (flat == flat[0]).all() else flat


def _sum(slopes: Mapping[str, Expression], rest: Expression) -> Expression:
    total: Expression = ZERO
    for name, slope in slopes.items():
        total = add(total, multiply(slope, Symbol(name)))
    return add(total, rest)
