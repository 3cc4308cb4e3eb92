"""Numeric values of expressions, with NumPy; also what the reference engine computes with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import itemgetter
from typing import Any

import numpy as np

from neurosim.expressions.tree import Call, Expression, Number, Operation, Symbol

#: What gives the value of an expression for the values of its symbols.
Function = Callable[[Mapping[str, Any]], Any]


def exprel(x: Any) -> Any:
    """Return (exp(x) - 1)/x with its limit 1 at x = 0."""
    x = np.asarray(x, dtype=float)
    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, np.expm1(safe) / safe)


def binomial(draw: Any, n: Any, p: Any) -> Any:
    """Return which binomial number of n trials with probability p a uniform one stands for.

    The number is found by inversion: terms of the distribution, each from the one before, are added
    up until their sum exceeds `draw`. The rarer outcome is counted. n is a whole number from 0 to
    1000, beyond which the first term may be 0; anything else gives NaN.
    """
    draw, n, p = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (draw, n, p)))
    rare = np.minimum(p, 1.0 - p)
    with np.errstate(invalid="ignore"):
        odds, below = rare / (1.0 - rare), (1.0 - rare) ** n
        valid = (n >= 0) & (n <= 1000) & (n == np.floor(n)) & (rare >= 0)
    term, found = below, np.zeros(draw.shape)
    more = valid & (draw > below) & (found < n)
    while more.any():
        found = found + more
        with np.errstate(invalid="ignore"):
            term = np.where(more, term * ((n - found + 1.0) / np.maximum(found, 1.0)) * odds, term)
        below = np.where(more, below + term, below)
        more &= (draw > below) & (found < n)
    return np.where(valid, np.where(p > 0.5, n - found, found), np.nan)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "abs": np.abs, "min": np.minimum, "max": np.maximum, "clip": np.clip, "where": np.where,
    "exprel": exprel, "binomial": binomial,
}  # fmt: skip
_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power,
    "neg": np.negative, "<": np.less, "<=": np.less_equal, ">": np.greater,
    ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal, "not": np.logical_not,
}  # fmt: skip
_JOINS = {"and": np.logical_and, "or": np.logical_or}


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression.

    Parameters
    ----------
    expression : Expression
        What to compute.
    values : mapping
        Numbers or arrays for the symbols, in coherent units; ``previous(x)`` is looked up under
        the name ``"previous x"``.
    """
    return compiled(expression)(values)


def compiled(expression: Expression) -> Function:
    """Return `evaluate` of one expression, for those that are needed many times."""
    match expression:
        case Number(value=value):
            return lambda values: value
        case Symbol(name=name):
            return itemgetter(name)
        case Call(function="previous", args=(Symbol(name=name),)):
            return itemgetter(f"previous {name}")
        case Call(function=function, args=args):
            return _applied(_FUNCTIONS[function], args)
        case Operation(op="and" | "or" as op, args=args):
            parts, join = [compiled(a) for a in args], _JOINS[op]
            return lambda values: reduce(join, (part(values) for part in parts))
        case Operation(op=op, args=args):
            return _applied(_OPERATORS[op], args)
    raise TypeError(f"not an expression: {expression!r}")


def _applied(function: Callable[..., Any], args: tuple[Expression, ...]) -> Function:
    parts = [compiled(a) for a in args]
    if len(parts) == 2:  # nearly all of them
        first, second = parts
        return lambda values: function(first(values), second(values))
    return lambda values: function(*[part(values) for part in parts])
