"""Derivatives and linear parts of expressions.

`differentiate` answers only where the answer tells linear parts from others; `derivative` goes
through every function of the language and serves gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import factorial

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


def derivative(expression: Expression, name: str) -> Expression:
    """Return the derivative with respect to a symbol, through all functions of the language.

    At a kink one side is taken: ``min`` and ``max`` pass the derivative of their first argument
    where both are equal, ``clip`` passes it on its bounds, ``abs`` has 0 at 0; a condition has
    derivative 0.

    Raises
    ------
    TypeError
        For ``previous()``, which is no function of a value.
    """
    if name not in symbols(expression):
        return ZERO
    match expression:
        case Symbol():
            return ONE
        case Operation(op="neg", args=(a,)):
            return negate(derivative(a, name))
        case Operation(op="+" | "-" | "*" | "/" as op, args=(a, b)):
            return _binary(op, a, b, derivative(a, name), derivative(b, name))
        case Operation(op="**", args=(a, b)):
            return _power(expression, a, b, name)
        case Call(function=function, args=args):
            return _through_call(expression, function, args, name)
    return ZERO  # comparisons and logic


def _power(power: Expression, a: Expression, b: Expression, name: str) -> Expression:
    da, db = derivative(a, name), derivative(b, name)
    by_base = multiply(multiply(b, Operation("**", (a, subtract(b, ONE)))), da)
    by_exponent = multiply(multiply(power, Call("log", (a,))), db)
    return add(by_base, by_exponent)


def _through_call(
    call: Expression, function: str, args: tuple[Expression, ...], name: str
) -> Expression:
    if function in _SLOPES:
        return multiply(_SLOPES[function](args[0], call), derivative(args[0], name))
    slopes = [derivative(a, name) for a in args]
    match function, args:
        case "min", (a, b):
            return _choose(Operation("<=", (a, b)), slopes[0], slopes[1])
        case "max", (a, b):
            return _choose(Operation(">=", (a, b)), slopes[0], slopes[1])
        case "clip", (x, low, high):
            above = _choose(Operation(">", (x, high)), slopes[2], slopes[0])
            return _choose(Operation("<", (x, low)), slopes[1], above)
        case "where", (condition, _, _):
            return _choose(condition, slopes[1], slopes[2])
    raise TypeError(f"{function}() has no derivative")


def _choose(condition: Expression, a: Expression, b: Expression) -> Expression:
    return a if a == b else Call("where", (condition, a, b))


def _slope_of_exprel(a: Expression, call: Expression) -> Expression:
    """Return (exp(a) - exprel(a))/a; by its series sum_k k a^(k-1)/(k+1)! where that cancels."""
    series: Expression = Number(9 / 3628800)
    for k in range(8, 0, -1):
        series = add(Number(k / factorial(k + 1)), multiply(a, series))
    small = Operation("<", (Call("abs", (a,)), Number(0.1)))
    safe = Call("where", (small, ONE, a))
    return Call("where", (small, series, divide(subtract(Call("exp", (a,)), call), safe)))


#: Slope of a function of one argument `a`, given also its value `f`.
_SLOPES: dict[str, Callable[[Expression, Expression], Expression]] = {
    "exp": lambda a, f: f,
    "log": lambda a, f: divide(ONE, a),
    "sqrt": lambda a, f: divide(Number(0.5), f),
    "sin": lambda a, f: Call("cos", (a,)),
    "cos": lambda a, f: negate(Call("sin", (a,))),
    "tanh": lambda a, f: subtract(ONE, multiply(f, f)),
    "abs": lambda a, f: _choose(
        Operation("<", (a, ZERO)), Number(-1.0), _choose(Operation(">", (a, ZERO)), ONE, ZERO)
    ),
    "exprel": _slope_of_exprel,
}


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
    used = symbols(expression)
    names = tuple(name for name in names if name in used)
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
