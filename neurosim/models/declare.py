"""The pieces that a model declaration is written with: param, state, Refractory."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neurosim.units import Unit, parse_unit


@dataclass(frozen=True)
class Parameter:
    """A declared parameter: its default, unit, bounds and meaning."""

    default: float
    unit: str
    doc: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    usual: tuple[float, float] | None = None

    @property
    def parsed_unit(self) -> Unit:
        """The unit, parsed."""
        return parse_unit(self.unit)

    def violation(self, value: float) -> str | None:
        """Return what is wrong with a value, or None."""
        for bound, holds, text in (
            (self.gt, operator.gt, ">"), (self.ge, operator.ge, ">="),
            (self.lt, operator.lt, "<"), (self.le, operator.le, "<="),
        ):  # fmt: skip
            if bound is not None and not holds(value, bound):
                return f"must be {text} {bound:g}"
        return None


@dataclass(frozen=True)
class State:
    """A declared state: its unit, initial value (a number or an expression of parameters)."""

    unit: str
    init: str | float = 0.0
    doc: str = ""


@dataclass(frozen=True)
class Refractory:
    """What happens for some time after a spike.

    Parameters
    ----------
    duration : str
        Name of the parameter that holds the refractory time [ms].
    hold : sequence of str
        States frozen at their reset value meanwhile. Empty: a mere dead time, in which the neuron
        evolves but cannot spike (Hodgkin-Huxley and MAT models).
    ignore : sequence of str
        Receptors whose input is discarded meanwhile.
    """

    duration: str
    hold: Sequence[str] = ()
    ignore: Sequence[str] = ()


def param(
    default: float,
    unit: str,
    *,
    doc: str = "",
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    usual: tuple[float, float] | None = None,
) -> Any:
    """Declare a parameter in a model's class body.

    Parameters
    ----------
    default : float
        Value in `unit` when the user gives none.
    unit : str
        Such as ``"ms"``, ``"1/mV"`` or ``"1"``.
    doc : str
        One line on its meaning.
    gt, ge, lt, le : float, optional
        Bounds; a value outside raises ParameterError.
    usual : (float, float), optional
        Values outside this range are allowed but warn (a likely unit mix-up).
    """
    return Parameter(default, unit, doc, gt, ge, lt, le, usual)


def state(unit: str, init: str | float = 0.0, *, doc: str = "") -> Any:
    """Declare a state in a model's class body.

    Parameters
    ----------
    unit : str
        A coherent unit (ms, mV, pA, pF, nS, ... and their products).
    init : str or float
        Initial value: a number in `unit` or an expression of parameters.
    doc : str
        One line on its meaning.
    """
    return State(unit, init, doc)
