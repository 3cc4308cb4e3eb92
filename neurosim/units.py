"""Units: the coherent set ms, mV, pA, pF, nS, GOhm, and how other units convert to it.

A unit is a scale and a dimension. The dimension counts powers of ms, mV, pA, um and mM; the scale
converts a magnitude in the unit to the coherent set, so ``Hz`` is 1e-3 per ms.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ParameterError, UnitError

Dimension = tuple[Fraction, Fraction, Fraction, Fraction, Fraction]
BASE = ("ms", "mV", "pA", "um", "mM")


@dataclass(frozen=True)
class Unit:
    """A physical unit.

    Parameters
    ----------
    scale : float
        One of this unit in the coherent set (ms, mV, pA, um, mM).
    dimension : tuple of Fraction
        Powers of ms, mV, pA, um, mM.
    """

    scale: float
    dimension: Dimension

    def __mul__(self, other: Unit) -> Unit:
        return Unit(
            self.scale * other.scale,
            _dimension(a + b for a, b in zip(self.dimension, other.dimension, strict=True)),
        )

    def __truediv__(self, other: Unit) -> Unit:
        return self * other ** Fraction(-1)

    def __pow__(self, power: Fraction) -> Unit:
        return Unit(self.scale ** float(power), _dimension(a * power for a in self.dimension))

    @property
    def is_dimensionless(self) -> bool:
        """Whether all powers are zero."""
        return not any(self.dimension)

    def __str__(self) -> str:
        return describe(self.dimension)


def _dimension(powers: Any) -> Dimension:
    a, b, c, d, e = (Fraction(p) for p in powers)
    return (a, b, c, d, e)


def _unit(scale: float, *powers: int) -> Unit:
    return Unit(scale, _dimension(powers + (0,) * (5 - len(powers))))


DIMENSIONLESS = _unit(1.0)
MILLISECOND = _unit(1.0, 1)
KNOWN: dict[str, Unit] = {
    "1": DIMENSIONLESS,
    "s": _unit(1e3, 1), "ms": MILLISECOND, "us": _unit(1e-3, 1),
    "Hz": _unit(1e-3, -1), "kHz": _unit(1.0, -1),
    "V": _unit(1e3, 0, 1), "mV": _unit(1.0, 0, 1), "uV": _unit(1e-3, 0, 1),
    "A": _unit(1e12, 0, 0, 1), "uA": _unit(1e6, 0, 0, 1), "nA": _unit(1e3, 0, 0, 1),
    "pA": _unit(1.0, 0, 0, 1),
    "S": _unit(1e9, 0, -1, 1), "mS": _unit(1e6, 0, -1, 1), "uS": _unit(1e3, 0, -1, 1),
    "nS": _unit(1.0, 0, -1, 1), "pS": _unit(1e-3, 0, -1, 1),
    "F": _unit(1e12, 1, -1, 1), "uF": _unit(1e6, 1, -1, 1), "nF": _unit(1e3, 1, -1, 1),
    "pF": _unit(1.0, 1, -1, 1),
    "GOhm": _unit(1.0, 0, 1, -1), "MOhm": _unit(1e-3, 0, 1, -1), "kOhm": _unit(1e-6, 0, 1, -1),
    "pC": _unit(1e3, 1, 0, 1), "fC": _unit(1.0, 1, 0, 1),
    "um": _unit(1.0, 0, 0, 0, 1), "cm": _unit(1e4, 0, 0, 0, 1),
    "mM": _unit(1.0, 0, 0, 0, 0, 1), "uM": _unit(1e-3, 0, 0, 0, 0, 1),
}  # fmt: skip
#: Names for common products, nicest first, used when a dimension is written out.
_PREFERRED = ("1", "ms", "mV", "pA", "nS", "pF", "GOhm", "fC", "um", "mM")


def describe(dimension: Dimension) -> str:
    """Return a readable text for a dimension in the coherent set, such as ``"mV/ms"``."""
    for name in _PREFERRED:
        if KNOWN[name].dimension == dimension:
            return name
    up = [_power(n, p) for n, p in zip(BASE, dimension, strict=True) if p > 0]
    down = [_power(n, -p) for n, p in zip(BASE, dimension, strict=True) if p < 0]
    top = "*".join(up) or "1"
    if not down:
        return top
    return f"{top}/{down[0]}" if len(down) == 1 else f"{top}/({'*'.join(down)})"


def _power(name: str, power: Fraction) -> str:
    if power == 1:
        return name
    return f"{name}**{power}" if power.denominator == 1 else f"{name}**({power})"


def parse_unit(text: str) -> Unit:
    """Return the unit that a text such as ``"mV/ms"`` or ``"1/(mV*ms)"`` stands for.

    Parameters
    ----------
    text : str
        Unit names combined with ``*``, ``/``, ``**`` and parentheses; ``"1"`` for none.

    Raises
    ------
    UnitError
        If a name is unknown or the text is not such an expression.

    Examples
    --------
    >>> parse_unit("nS*mV") == parse_unit("pA")
    True
    """
    try:
        return unit_of(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise UnitError(f"cannot read the unit {text!r}; write for instance 'mV/ms'.") from error


def unit_of(node: ast.expr) -> Unit:
    """Return the unit of a parsed expression of unit names (see `parse_unit`)."""
    match node:
        case ast.Name(id=name) if name in KNOWN:
            return KNOWN[name]
        case ast.Constant(value=1):
            return DIMENSIONLESS
        case ast.BinOp(left=a, op=ast.Mult(), right=b):
            return unit_of(a) * unit_of(b)
        case ast.BinOp(left=a, op=ast.Div(), right=b):
            return unit_of(a) / unit_of(b)
        case ast.BinOp(left=a, op=ast.Pow(), right=b):
            return unit_of(a) ** _exponent(b)
    text = ast.unparse(node)
    near = [n for n in KNOWN if n.lower() == text.lower()]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnitError(
        f"unknown unit {text!r}. Units: {', '.join(n for n in KNOWN if n != '1')}; '1' for none; "
        f"combine them with *, / and **.{hint}"
    )


def _exponent(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(v)):
            return Fraction(v)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(v))):
            return Fraction(-v)
        case ast.BinOp(
            left=ast.Constant(value=int(a)), op=ast.Div(), right=ast.Constant(value=int(b))
        ):
            return Fraction(a, b)
    raise UnitError(
        f"a unit's exponent must be a whole number or a ratio, not {ast.unparse(node)!r}"
    )


def magnitude(value: Any, unit: str, what: str) -> Any:
    """Return `value` as plain numbers in `unit`.

    Parameters
    ----------
    value : number, array, quantity, or list of quantities
        Plain numbers are taken to be in `unit`. A quantity is anything with ``.to(unit).magnitude``
        (pint), ``.rescale(unit).magnitude`` (quantities) or ``.to(unit).value`` (astropy).
    unit : str
        Target unit.
    what : str
        What the value is, for the error message.

    Raises
    ------
    UnitError
        If the quantity has another dimension, or is of a kind that cannot be converted (Brian2).
    """
    if isinstance(value, list | tuple) and any(is_quantity(v) for v in value):
        return [magnitude(v, unit, f"{what}[{k}]") for k, v in enumerate(value)]
    if not is_quantity(value):
        return value
    target = unit.replace("Ohm", "ohm") if unit != "1" else "dimensionless"
    convert = getattr(value, "to", None) or getattr(value, "rescale", None)
    if convert is None:
        raise UnitError(
            f"{what} = {value!r}: {type(value).__module__}.{type(value).__name__} cannot be "
            f"converted; divide it by its unit and give plain numbers in {unit}."
        )
    try:
        if hasattr(value, "magnitude"):
            return np.asarray(convert(target).magnitude)[()]
        return np.asarray(convert(unit if unit != "1" else "").value)[()]
    except Exception as error:  # pint, quantities and astropy raise unrelated classes
        raise UnitError(f"{what} = {value} cannot be converted to {unit}: {error}") from error


def is_quantity(value: Any) -> bool:
    """Return whether a value carries a unit: a quantity of pint, quantities, astropy or Brian2."""
    marks = ("magnitude", "unit", "dim") if isinstance(value, np.ndarray) else ("magnitude",)
    return any(hasattr(value, mark) for mark in marks)


def plain_numbers(value: Any) -> NDArray[np.float64]:
    """Return numbers as a new float64 array.

    Raises
    ------
    TypeError, ValueError
        For text, complex numbers, quantities, None and what else is not a real number; NumPy would
        convert some of them silently.
    """
    if is_quantity(value) or (isinstance(value, list | tuple) and any(map(is_quantity, value))):
        raise TypeError("a plain number is needed here, without a unit")
    array = np.asarray(value)
    if array.dtype.kind not in "biufO" or value is None:
        raise TypeError(f"{array.dtype} is no real number")
    return array.astype(np.float64)


def require_finite(
    array: NDArray[np.float64], what: str, *, each: str = "index", remedy: str = ""
) -> None:
    """Raise ParameterError if a number of a flat array is not finite.

    The message counts them and says where the first stands; `each` is what the array has one value
    for, `remedy` follows after a semicolon.
    """
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ParameterError(
            f"{what}: {bad.size} of {array.size} values are not finite numbers "
            f"(first: {array[bad[0]]} at {each} {bad[0]})" + (f"; {remedy}." if remedy else ".")
        )
