"""Expression trees: what the equation language is parsed into and every target is printed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from neurosim.units import DIMENSIONLESS, Unit

ARITHMETIC = ("+", "-", "*", "/", "**", "neg")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
LOGIC = ("and", "or", "not")
#: Functions of the language and the number of their arguments.
FUNCTIONS = {
    "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "tanh": 1, "abs": 1, "exprel": 1,
    "min": 2, "max": 2, "clip": 3, "where": 3, "previous": 1, "binomial": 2,
    "delayed": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Number:
    """A literal in the coherent set of units."""

    value: float
    unit: Unit = DIMENSIONLESS


@dataclass(frozen=True)
class Symbol:
    """A parameter, state, sub-expression, or one of the built-in names."""

    name: str


@dataclass(frozen=True)
class Operation:
    """An arithmetic, comparison or logical operator with its operands."""

    op: str
    args: tuple[Expression, ...]


@dataclass(frozen=True)
class Call:
    """A function of the whitelist with its arguments."""

    function: str
    args: tuple[Expression, ...]


Expression = Number | Symbol | Operation | Call
ZERO, ONE = Number(0.0), Number(1.0)


def add(a: Expression, b: Expression) -> Expression:
    """Return ``a + b``, simplified where an operand is a literal zero."""
    if is_zero(a):
        return b
    if is_zero(b):
        return a
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(a.value + b.value)
    return Operation("+", (a, b))


def subtract(a: Expression, b: Expression) -> Expression:
    """Return ``a - b``, simplified where an operand is a literal zero."""
    if is_zero(b):
        return a
    if is_zero(a):
        return negate(b)
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(a.value - b.value)
    return Operation("-", (a, b))


def multiply(a: Expression, b: Expression) -> Expression:
    """Return ``a * b``, simplified where an operand is a literal zero or one."""
    if is_zero(a) or is_zero(b):
        return ZERO
    if isinstance(a, Number) and isinstance(b, Number):
        return Number(a.value * b.value)
    if isinstance(a, Number) and a.value == 1.0:
        return b
    if isinstance(b, Number) and b.value == 1.0:
        return a
    return Operation("*", (a, b))


def divide(a: Expression, b: Expression) -> Expression:
    """Return ``a / b``, simplified where `a` is zero or `b` is one."""
    if is_zero(a):
        return ZERO
    if isinstance(b, Number) and b.value == 1.0:
        return a
    return Operation("/", (a, b))


def negate(a: Expression) -> Expression:
    """Return ``-a``."""
    if isinstance(a, Number):
        return Number(-a.value)
    if isinstance(a, Operation) and a.op == "neg":
        return a.args[0]
    return Operation("neg", (a,))


def is_zero(expression: Expression) -> bool:
    """Whether the expression is the literal zero."""
    return isinstance(expression, Number) and expression.value == 0.0


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield the expression and everything inside it."""
    yield expression
    if isinstance(expression, Operation | Call):
        for arg in expression.args:
            yield from walk(arg)


def symbols(expression: Expression) -> set[str]:
    """Return the names that the expression uses."""
    return {e.name for e in walk(expression) if isinstance(e, Symbol)}


def uses(expression: Expression, function: str) -> bool:
    """Whether the expression calls the function."""
    return any(isinstance(e, Call) and e.function == function for e in walk(expression))


def rebuild(
    expression: Expression, change: Callable[[Expression], Expression | None]
) -> Expression:
    """Return the expression with parts replaced.

    Parameters
    ----------
    expression : Expression
        The tree to copy.
    change : callable
        Called with every node from the root down; a result other than None replaces the node.
    """
    new = change(expression)
    if new is not None:
        return new
    if isinstance(expression, Operation):
        return Operation(expression.op, tuple(rebuild(a, change) for a in expression.args))
    if isinstance(expression, Call):
        return Call(expression.function, tuple(rebuild(a, change) for a in expression.args))
    return expression


def substitute(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """Return the expression with symbols replaced by expressions."""
    return rebuild(expression, lambda e: values.get(e.name) if isinstance(e, Symbol) else None)
