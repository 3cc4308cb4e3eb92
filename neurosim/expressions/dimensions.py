"""Dimension checks of expressions."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from neurosim.errors import UnitError
from neurosim.expressions.tree import (
    COMPARISONS,
    LOGIC,
    Call,
    Expression,
    Number,
    Operation,
    Symbol,
    is_zero,
)
from neurosim.units import DIMENSIONLESS, Dimension, Unit, describe

_DIMENSIONLESS_ARGUMENT = ("exp", "log", "sin", "cos", "tanh", "exprel", "binomial")


def dimension_of(expression: Expression, units: Mapping[str, Unit]) -> Dimension | None:
    """Return the dimension of an expression, or None where any would do (the literal 0).

    Parameters
    ----------
    expression : Expression
        The expression to check.
    units : mapping of str to Unit
        The unit of every symbol.

    Raises
    ------
    UnitError
        If quantities of different dimension are added or compared, or a function gets an argument
        that has a dimension.
    """
    match expression:
        case Number(value=value, unit=unit):
            return None if value == 0.0 else unit.dimension
        case Symbol(name=name):
            return units[name].dimension
        case Operation(op="**", args=(base, exponent)):
            return _power(base, exponent, units)
        case Operation(op="*", args=(a, b)):
            return _product(a, b, units, 1)
        case Operation(op="/", args=(a, b)):
            return _product(a, b, units, -1)
        case Operation(op=op, args=args) if op in LOGIC:
            for arg in args:
                dimension_of(arg, units)
            return DIMENSIONLESS.dimension
        case Operation(op=op, args=args):
            common = _common(args, units, f"'{op}'")
            return DIMENSIONLESS.dimension if op in COMPARISONS else common
        case Call(function=function, args=args):
            return _function(function, args, units)
    raise TypeError(f"not an expression: {expression!r}")


def _function(
    function: str, args: tuple[Expression, ...], units: Mapping[str, Unit]
) -> Dimension | None:
    if function in _DIMENSIONLESS_ARGUMENT:
        for arg in args:
            inner = dimension_of(arg, units)
            if inner is not None and any(inner):
                raise UnitError(
                    f"{function}() needs a number without unit, not one in {describe(inner)}"
                )
        return DIMENSIONLESS.dimension
    if function == "delayed":
        return dimension_of(args[0], units)
    if function == "sqrt":
        inner = dimension_of(args[0], units)
        return None if inner is None else _scaled(inner, Fraction(1, 2))
    if function == "where":
        dimension_of(args[0], units)
        return _common(args[1:], units, "where()")
    return _common(args, units, f"{function}()")


def _common(args: tuple[Expression, ...], units: Mapping[str, Unit], what: str) -> Dimension | None:
    found: Dimension | None = None
    for arg in args:
        dimension = dimension_of(arg, units)
        if dimension is None:
            continue
        if found is not None and dimension != found:
            raise UnitError(f"{what} combines {describe(found)} with {describe(dimension)}")
        found = dimension
    return found


def _product(
    a: Expression, b: Expression, units: Mapping[str, Unit], sign: int
) -> Dimension | None:
    left, right = dimension_of(a, units), dimension_of(b, units)
    if is_zero(a) or left is None:
        return None
    if right is None:
        return left
    return _sum(left, _scaled(right, Fraction(sign)))


def _power(base: Expression, exponent: Expression, units: Mapping[str, Unit]) -> Dimension | None:
    inner = dimension_of(base, units)
    outer = dimension_of(exponent, units)
    if outer is not None and any(outer):
        raise UnitError(f"an exponent must have no unit, not {describe(outer)}")
    if inner is None or not any(inner):
        return inner
    if not isinstance(exponent, Number):
        raise UnitError(f"a quantity in {describe(inner)} can only be raised to a literal power")
    return _scaled(inner, Fraction(exponent.value).limit_denominator(64))


def _scaled(dimension: Dimension, factor: Fraction) -> Dimension:
    a, b, c, d, e = (x * factor for x in dimension)
    return (a, b, c, d, e)


def _sum(left: Dimension, right: Dimension) -> Dimension:
    a, b, c, d, e = (x + y for x, y in zip(left, right, strict=True))
    return (a, b, c, d, e)
