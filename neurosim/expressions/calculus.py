"""Derivatives and linear parts of expressions."""

from __future__ import annotations

from collections.abc import Iterable

from neurosim.expressions.tree import (
    ONE,
    ZERO,
    Call,
    Expression,
    Number,
    Operation,
    Symbol,
    add,
    divide,
    multiply,
    negate,
    substitute,
    subtract,
    symbols,
)


def differentiate(expression: Expression, name: str) -> Expression | None:
    """Return the derivative with respect to a symbol, or None where the language cannot say.

    Only what is needed to find linear parts is differentiated: functions of the symbol other than
    exp give None.
    """
    if name not in symbols(expression):
        return ZERO
    match expression:
        case Symbol():
            return ONE
        case Operation(op="neg", args=(a,)):
            inner = differentiate(a, name)
            return None if inner is None else negate(inner)
        case Operation(op="+" | "-" | "*" | "/" as op, args=(a, b)):
            da, db = differentiate(a, name), differentiate(b, name)
            if da is None or db is None:
                return None
            return _binary(op, a, b, da, db)
        case Operation(op="**", args=(a, Number(value=p))):
            da = differentiate(a, name)
            if da is None:
                return None
            return multiply(multiply(Number(p), Operation("**", (a, Number(p - 1.0)))), da)
        case Call(function="exp", args=(a,)):
            da = differentiate(a, name)
            return None if da is None else multiply(expression, da)
    return None


def _binary(op: str, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    if op == "+":
        return add(da, db)
    if op == "-":
        return subtract(da, db)
    if op == "*":
        return add(multiply(da, b), multiply(a, db))
    quotient = divide(da, b)
    if db == ZERO:
        return quotient
    return subtract(quotient, divide(multiply(a, db), multiply(b, b)))


def affine(
    expression: Expression, names: Iterable[str], constant: set[str]
) -> tuple[dict[str, Expression], Expression] | None:
    """Split an expression into ``sum_j c_j x_j + c_0``, where the coefficients are constant.

    Parameters
    ----------
    expression : Expression
        The right-hand side.
    names : iterable of str
        The symbols x_j.
    constant : set of str
        The symbols that coefficients may use (parameters).

    Returns
    -------
    (coefficients, rest) or None
        Only the non-zero coefficients; None if the expression is not affine in the symbols.
    """
    coefficients: dict[str, Expression] = {}
    names = tuple(names)
    for name in names:
        slope = differentiate(expression, name)
        if slope is None or not symbols(slope) <= constant:
            return None
        if slope != ZERO:
            coefficients[name] = slope
    rest = substitute(expression, dict.fromkeys(names, ZERO))
    if not symbols(rest) <= constant:
        return None
    return coefficients, rest
