"""A neuron's time step as data, and its lowering to lines that each define one value once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from neurosim.bridge.kernels.interpreter import evaluate
from neurosim.errors import ModelError
from neurosim.expressions import Expression, Symbol, parse_statements, substitute, symbols
from neurosim.expressions.tree import Call, rebuild

_FIRE = re.compile(r"^\s*([A-Za-z_]\w*)\s*=\s*(spike|detached_spike)\((.*)\)\s*$")
#: Functions that are worth a name of their own, so that the derivative can use the value.
_COSTLY = ("exp", "log", "sqrt", "sin", "cos", "tanh", "exprel")


@dataclass(frozen=True)
class Step:
    """What one neuron does in one time step.

    Parameters
    ----------
    name : str
    states, inputs, parameters : tuple of str
        Names that the program may use; states are assigned by it.
    program : str
        Assignments in the equation language, one a line, executed in order; a line
        ``s = spike(u)`` sets s to 1 where u > 0, else 0, with the surrogate as derivative, and
        ``s = detached_spike(u)`` the same without a derivative.
    outputs : tuple of str
        Names whose values after the program are the outputs of the step.
    strict : bool, default True
        Whether u = 0 is below the threshold.

    Raises
    ------
    ModelError
        When the step is lowered: for a line that cannot be read or a name that is not known.

    Examples
    --------
    >>> step = Step("leaky", ("mem",), ("x",), ("beta",), "mem = beta*mem + x", ("mem",))
    >>> [line.target for line in lower(step).lines]
    ['mem']
    """

    name: str
    states: tuple[str, ...]
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    program: str
    outputs: tuple[str, ...] = ("spk",)
    strict: bool = True


@dataclass(frozen=True)
class Line:
    """One definition: ``target = value``, or a spike with `value` its distance to the threshold."""

    target: str
    value: Expression
    fires: bool = False
    detached: bool = False


@dataclass(frozen=True)
class Program:
    """A step in single-assignment form.

    Attributes
    ----------
    step : Step
    lines : tuple of Line
        In order; every target is new. ``old <state>`` names a state before the step.
    final : mapping of state to str
        The name that holds the state after the step.
    outputs : tuple of str
        The names that hold the outputs.
    """

    step: Step
    lines: tuple[Line, ...]
    final: Mapping[str, str]
    outputs: tuple[str, ...]

    @property
    def spiking(self) -> bool:
        """Whether the first output is a spike: 0 or 1, whatever the values."""
        return any(line.fires and line.target == self.outputs[0] for line in self.lines)


class _Lowering:
    """Renames repeated assignments and names costly calls."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.names = {s: f"old {s}" for s in step.states}
        self.names |= {n: n for n in (*step.inputs, *step.parameters)}
        self.lines: list[Line] = []
        self._taken = {*step.inputs, *step.parameters}
        self._calls: dict[Expression, str] = {}

    def add(self, target: str, value: Expression, text: str, **kind: bool) -> None:
        if target in (*self.step.inputs, *self.step.parameters):
            raise ModelError(f"{self.step.name}: '{text}' assigns to '{target}', an input.")
        unknown = symbols(value) - set(self.names)
        if unknown:
            raise ModelError(
                f"{self.step.name}: unknown name '{min(unknown)}' in '{text}'. Known there: "
                f"{', '.join(self.names)}."
            )
        value = substitute(value, {n: Symbol(v) for n, v in self.names.items()})
        value = self._name_calls(value)
        if kind and not isinstance(value, Symbol):
            value = self._define("u", value)
        fresh = self._fresh(target)
        self.lines.append(Line(fresh, value, **kind))
        self.names[target] = fresh

    def _name_calls(self, value: Expression) -> Expression:
        def visit(e: Expression) -> Expression | None:
            if not (isinstance(e, Call) and e.function in _COSTLY):
                return None
            inner = tuple(rebuild(a, visit) for a in e.args)
            return self._define(e.function, Call(e.function, inner))

        return rebuild(value, visit)

    def _define(self, target: str, value: Expression) -> Symbol:
        if value not in self._calls:
            self._calls[value] = self._fresh(f"{target}_")
            self.lines.append(Line(self._calls[value], value))
        return Symbol(self._calls[value])

    def _fresh(self, target: str) -> str:
        name, k = target, 0
        while name in self._taken:
            k += 1
            name = f"{target}_{k}"
        self._taken.add(name)
        return name


@cache
def lower(step: Step) -> Program:
    """Return the single-assignment form of a step."""
    lowering = _Lowering(step)
    for part in re.split(r"[;\n]", step.program):
        text = part.split("#")[0].strip()
        fire = _FIRE.match(text)
        if fire is not None:
            target, function, argument = fire.groups()
            (statement,) = parse_statements(f"{target} = {argument}", step.name)
            lowering.add(target, statement.value, text, fires=True, detached=function != "spike")
            continue
        for statement in parse_statements(text, step.name):
            lowering.add(statement.target, statement.result(), text)
    missing = [o for o in step.outputs if o not in lowering.names]
    if missing:
        raise ModelError(f"{step.name}: no line assigns the output '{missing[0]}'.")
    return Program(
        step, tuple(lowering.lines), {s: lowering.names[s] for s in step.states},
        tuple(lowering.names[o] for o in step.outputs),
    )  # fmt: skip


def loop(
    step: Step,
    fire: Callable[[torch.Tensor], torch.Tensor],
    inputs: Mapping[str, torch.Tensor],
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, torch.Tensor],
) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
    """Run a step through time with plain PyTorch operations.

    Parameters
    ----------
    step : Step
    fire : callable
        Spikes of u, differentiable as the caller wants; the `>=` of a step that is not strict is
        `fire`'s business.
    inputs : mapping of str to [T, ...] tensor
    parameters, states : mapping of str to tensor
        Of shapes that broadcast with ``inputs[...][0]``.

    Returns
    -------
    outputs : tuple of [T, ...] tensors
    states : dict
        After the last step.
    """
    program = lower(step)
    states = dict(states)
    outputs: list[list[torch.Tensor]] = [[] for _ in step.outputs]
    for row in zip(*(inputs[n].unbind(0) for n in step.inputs), strict=True):
        values: dict[str, Any] = dict(zip(step.inputs, row, strict=True)) | dict(parameters)
        values |= {f"old {s}": v for s, v in states.items()}
        for line in program.lines:
            value = evaluate(line.value, values)
            if line.fires:
                value = fire(value)
            values[line.target] = value.detach() if line.detached else value
        states = {s: values[name] for s, name in program.final.items()}
        for collected, name in zip(outputs, program.outputs, strict=True):
            collected.append(values[name])
    like = inputs[step.inputs[0]]
    stacked = (torch.stack(o) if o else torch.zeros_like(like) for o in outputs)
    return tuple(stacked), states
