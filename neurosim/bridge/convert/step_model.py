"""The step of a torch neuron as a model of the event engine: one generator for all layers.

Torch order: the spike of the step before is looked at, states are updated with the input, the
threshold is tested. Engine order: states are propagated, input arrives, the threshold is tested,
the reset is applied. What a neuron does because of its last spike is therefore decided at the
reset and kept in a state ``jump_<state>`` for one step; the states themselves are those of torch.

`linear_model` writes steps whose states are linear between spikes; their neurons can sleep.
`general_model` writes any step, by completing it at the beginning of the next one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.bridge.convert.affine_step import AffineStep, Composed, affine_step, compose
from neurosim.bridge.kernels.step import Step, lower
from neurosim.expressions import Expression, Printer, Symbol, evaluate, substitute
from neurosim.expressions.tree import FUNCTIONS
from neurosim.models.base import NeuronModel
from neurosim.models.declare import Parameter, State

#: Parameter that injected currents are added to, and the prefix of jumps at a spike.
DRIVE, JUMP = "drive", "jump"
#: The equation language as a target of its own printer.
TEXT = {name: name for name in FUNCTIONS} | {
    "and": " and ", "or": " or ", "not": "(not {0})", "**": "({0})**({1})",
}  # fmt: skip

Values = Mapping[str, Any]
_RENAMED = {"threshold": "theta", "dt": "step"}
_RESERVED = {*dir(NeuronModel), "t", "xi", "weight", "threshold", "reset", "equations",
             "refractory"}  # fmt: skip


@dataclass(frozen=True)
class EngineNeuron:
    """A torch neuron as a model of the engine.

    Attributes
    ----------
    model : NeuronModel
    initial : mapping of state to value
    receptors : tuple of str
        The receptor of each input of the step.
    lag : int
        How many steps later than in torch a recorded state has its value.
    amplitude : float or (n,) array, or None
        What a spike is worth downstream; None for a neuron that does not spike.
    output : str
        The output of the step: ``"spk"``, or the state that is the output.
    why_not_linear : str or None
        Why the general form was needed.
    """

    model: NeuronModel
    initial: Mapping[str, Any]
    receptors: tuple[str, ...]
    lag: int
    amplitude: Any
    output: str
    why_not_linear: str | None = None

    @property
    def output_state(self) -> str:
        """The state that is the membrane: the output, or what the threshold looks at."""
        if self.output in self.model.states:
            return self.output
        return next(s for s in ("mem", "u", "V_m", *self.model.states) if s in self.model.states)


def engine_neuron(
    step: Step, values: Values, initial: Values, drive: Mapping[str, Any]
) -> EngineNeuron:
    """Return the model of a step.

    Parameters
    ----------
    step : Step
    values : mapping of str to float or (n,) array
        Parameters of the step.
    initial : mapping of str to float or (n,) array
        States before the first step.
    drive : mapping of str to float or (n,) array
        What an injected current of one adds to each input of the step; empty for no current.

    Raises
    ------
    ValueError
        If the output is neither a spike (of any amplitude) nor a state.
    """
    composed = compose(step)
    affine = affine_step(composed, values)
    if isinstance(affine, str):
        return _Writer(composed, values, initial, drive).general(affine)
    return _Writer(composed, values, initial, drive).linear(affine)


class _Writer:
    """Writes the declaration of a model."""

    def __init__(self, composed: Composed, values: Values, initial: Values, drive: Values) -> None:
        self.composed, self.step = composed, composed.step
        self.initial = dict(initial)
        self.drive = {f"{DRIVE}_{name}": gain for name, gain in drive.items()}
        self.values = dict(values) | self.drive
        self.body: dict[str, Any] = {}
        if self.drive:
            self.body[DRIVE] = Parameter(0.0, "1", "current from outside")

    def _text(self, expression: Expression) -> str:
        def symbol(name: str) -> str:
            name = name.removeprefix("old ")
            return _safe(name) if name in self.values else name

        return Printer(symbol, TEXT, repr)(expression)

    def _made(self, lag: int, why: str | None) -> EngineNeuron:
        text = " ".join(str(part) for part in self.body.values())
        used = {_safe(n): v for n, v in self.values.items() if re.search(rf"\b{_safe(n)}\b", text)}
        self.body |= {name: Parameter(0.0, "1") for name in used}
        self.body |= {name: State("1") for name in self.step.states}
        model = type(self.step.name, (NeuronModel,), self.body)
        return EngineNeuron(
            model(**used), self.initial, self.step.inputs, lag,
            self.composed.amplitude(self.values), self.step.outputs[0], why,
        )  # fmt: skip

    # --- linear between spikes --------------------------------------------------------------------

    def linear(self, affine: AffineStep) -> EngineNeuron:
        """Return the model of a step that is linear between spikes."""
        lines = []
        for s in self.step.states:
            terms = [self._times(c, j) for j, c in affine.matrix[s].items()]
            terms += [self._text(affine.offset[s])] if s in affine.offset else []
            terms += [f"{JUMP}_{s}"] if s in affine.jumps else []
            gains = [
                self._times(c, f"{DRIVE}_{x}") for x, c in affine.inputs[s].items()
                if f"{DRIVE}_{x}" in self.drive
            ]  # fmt: skip
            terms += [f"({' + '.join(gains)})*{DRIVE}"] if gains else []
            lines.append(f"{s} := {' + '.join(terms) or '0'} : 1")
        lines += [f"{JUMP}_{s} := 0 : 1" for s in affine.jumps]
        self.body |= {
            "equations": "\n".join(lines),
            "receptors": {
                x: "; ".join(
                    f"{s} += {self._times(affine.inputs[s][x], 'weight')}"
                    for s in self.step.states if x in affine.inputs[s]
                )
                for x in self.step.inputs
            },
            "threshold": self._threshold(affine.threshold),
            "reset": "; ".join(self._reset(affine)),
        }  # fmt: skip
        self._begin(affine)
        return self._made(0, None)

    def _times(self, coefficient: Expression, name: str) -> str:
        text = self._text(coefficient)
        return name if text in ("1", "1.0") else f"{text}*{name}"

    def _threshold(self, distance: Expression | None) -> str | None:
        if distance is None:
            return None
        return f"{self._text(distance)} {'>' if self.step.strict else '>='} 0"

    def _reset(self, affine: AffineStep) -> list[str]:
        """Return the statements of a spike: of this step, and jumps of the next one."""
        statements = []
        for s, change in affine.changes.items():
            terms = []
            for j, value in (*change.matrix.items(), (None, change.offset)):
                name = f"kick_{s}_{j}" if j else f"kick_{s}"
                if not np.any(np.asarray(value) != 0):
                    continue
                self.values[name] = value
                terms.append(f"{name}*{j}" if j else name)
            statements.append(f"{s} += {' + '.join(terms)}")
        for s, jump in affine.jumps.items():
            statements.append(f"{JUMP}_{s} = {self._text(jump)}")
        return statements

    def _begin(self, affine: AffineStep) -> None:
        """Set the jumps that a start above threshold causes."""
        if affine.early is None:
            return
        known = self.values | {f"old {s}": v for s, v in self.initial.items()} | self.initial
        u = np.asarray(evaluate(affine.early, known))
        above = u > 0 if self.step.strict else u >= 0
        for s, jump in affine.jumps.items():
            first = np.where(above, evaluate(jump, known), 0.0)
            if np.any(first != 0):
                self.initial[f"{JUMP}_{s}"] = first if first.ndim else float(first)

    # --- any step ---------------------------------------------------------------------------------

    def general(self, why: str) -> EngineNeuron:
        """Return the model that completes each step at the beginning of the next one."""
        program = lower(self.step)
        held = {x: f"{x}_now" for x in self.step.inputs}
        names = {f"old {s}": Symbol(s) for s in self.step.states}
        names |= {x: Symbol(n) for x, n in held.items()}
        names |= {line.target: Symbol(f"next_{line.target}") for line in program.lines}
        lines, distance = [], None
        for line in program.lines:
            value = self._text(substitute(line.value, names))
            if line.fires:
                comparison = ">" if self.step.strict else ">="
                if self.composed.is_late(line) and distance is None:
                    distance = f"{value} {comparison} 0"
                value = f"where({value} {comparison} 0, 1, 0)"
            lines.append(f"next_{line.target} = {value}")
        lines += [f"{s} := next_{name} : 1" if name in names and not name.startswith("old ")
                  else f"{s} := {s} : 1" for s, name in program.final.items()]  # fmt: skip
        for x, now in held.items():
            gain = f"{DRIVE}_{x}*{DRIVE}" if f"{DRIVE}_{x}" in self.drive else "0"
            lines.append(f"{now} := {gain} : 1")
        self.body |= {
            "equations": "\n".join(lines),
            "receptors": {x: f"{now} += weight" for x, now in held.items()},
            "threshold": distance,
            "reset": "",
        }
        return self._made(1, why)


def _safe(name: str) -> str:
    """Return a parameter's name in the model, where some words have a meaning."""
    return _RENAMED.get(name, f"{name}_" if name in _RESERVED else name)
