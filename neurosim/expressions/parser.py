"""Text to expression trees: a strict whitelist over Python's expression grammar, never `eval`."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from neurosim.errors import ModelError, UnitError
from neurosim.expressions.tree import (
    FUNCTIONS,
    Call,
    Expression,
    Number,
    Operation,
    Symbol,
    add,
    multiply,
    negate,
    subtract,
)
from neurosim.units import unit_of

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_STATEMENT = re.compile(r"^\s*([A-Za-z_]\w*)\s*(\+=|-=|\*=|=)(?!=)\s*(.+)$", re.DOTALL)
_EQUATION = re.compile(
    r"^\s*(?:d(?P<ode>[A-Za-z_]\w*)\s*/\s*dt|(?P<name>[A-Za-z_]\w*))\s*(?P<op>:=|=)(?!=)"
    r"\s*(?P<rhs>[^:]+?)\s*(?::\s*(?P<unit>[^:]+))?$"
)


@dataclass(frozen=True)
class Statement:
    """An assignment ``target op value``, with op one of ``=``, ``+=``, ``-=``, ``*=``."""

    target: str
    op: str
    value: Expression
    text: str

    def result(self) -> Expression:
        """Return the value of the target afterwards, as an expression."""
        old = Symbol(self.target)
        match self.op:
            case "+=":
                return add(old, self.value)
            case "-=":
                return subtract(old, self.value)
            case "*=":
                return multiply(old, self.value)
        return self.value


@dataclass(frozen=True)
class Equation:
    """One line of a model's equations; `kind` is ``"ode"``, ``"map"`` or ``"definition"``."""

    kind: str
    name: str
    value: Expression
    unit: str | None
    text: str


def parse_expression(text: str, where: str) -> Expression:
    """Parse one expression.

    Parameters
    ----------
    text : str
        The expression, such as ``"-(V_m - E_L)/tau_m + I_e/C_m"``.
    where : str
        Where it stands, for error messages.

    Raises
    ------
    ModelError
        If the text is not an expression of the language; the message shows the line.
    """
    try:
        node = ast.parse(text.strip().replace("\n", " "), mode="eval").body
    except SyntaxError as error:
        raise ModelError(f"{where}: cannot read '{text.strip()}': {error.msg}.") from error
    try:
        return _convert(node)
    except (ModelError, UnitError) as error:
        raise ModelError(f"{where}: in '{text.strip()}': {error}") from error


def parse_statements(text: str, where: str) -> tuple[Statement, ...]:
    """Parse assignments separated by ``;`` or line ends, such as ``"V_m = V_reset; w += b"``."""
    statements = []
    for part in re.split(r"[;\n]", text):
        line = part.split("#")[0].strip()
        if not line:
            continue
        match = _STATEMENT.match(line)
        if match is None:
            raise ModelError(
                f"{where}: '{line}' is not an assignment; write 'state = ...' or 'state += ...'."
            )
        target, op, value = match.groups()
        statements.append(Statement(target, op, parse_expression(value, where), line))
    return tuple(statements)


def parse_equations(text: str, where: str) -> tuple[Equation, ...]:
    """Parse the lines of a model's equations (comments start with ``#``)."""
    equations = []
    for number, raw in enumerate(text.strip("\n").split("\n"), 1):
        line = raw.split("#")[0].strip()
        if not line:
            continue
        place = f"{where}, line {number}"
        match = _EQUATION.match(line)
        if match is None:
            raise ModelError(
                f"{place}: '{line}' is neither 'dx/dt = ... : unit', 'x := ... : unit' "
                "nor 'name = ...'."
            )
        ode, name, op, rhs, unit = match.group("ode", "name", "op", "rhs", "unit")
        if ode is not None and op == ":=":
            raise ModelError(f"{place}: '{line}' mixes d{ode}/dt with ':='; use '='.")
        kind = "ode" if ode is not None else ("map" if op == ":=" else "definition")
        if kind != "definition" and unit is None:
            raise ModelError(
                f"{place}: '{line}' needs the unit of {ode or name} at the end, as ' : mV'."
            )
        equations.append(Equation(kind, ode or name, parse_expression(rhs, place), unit, line))
    return tuple(equations)


def _convert(node: ast.expr) -> Expression:
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            return Number(float(value))
        case ast.Name(id=name):
            return Symbol(name)
        case ast.Subscript(value=ast.Constant(value=int() | float() as value), slice=unit_node):
            unit = unit_of(unit_node)
            return Number(float(value) * unit.scale, unit)
        case ast.UnaryOp(op=ast.USub(), operand=arg):
            inner = _convert(arg)
            if isinstance(inner, Number):
                return Number(-inner.value, inner.unit)
            return negate(inner)
        case ast.UnaryOp(op=ast.UAdd(), operand=arg):
            return _convert(arg)
        case ast.UnaryOp(op=ast.Not(), operand=arg):
            return Operation("not", (_convert(arg),))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return Operation(_BINARY[type(op)], (_convert(left), _convert(right)))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return Operation(_COMPARE[type(op)], (_convert(left), _convert(right)))
        case ast.BoolOp(op=op, values=values):
            name = "and" if isinstance(op, ast.And) else "or"
            return Operation(name, tuple(_convert(v) for v in values))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _call(name, args)
    raise ModelError(f"'{ast.unparse(node)}' is not part of the equation language{_hint(node)}.")


def _hint(node: ast.expr) -> str:
    match node:
        case ast.Compare():
            return "; join two comparisons with 'and'"
        case ast.IfExp():
            return "; write where(condition, a, b)"
        case ast.BinOp(op=ast.BitXor()):
            return "; a power is written a**b"
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            return "; write 'and' or 'or' between conditions"
    return ""


def _call(name: str, args: list[ast.expr]) -> Expression:
    if name not in FUNCTIONS:
        raise ModelError(f"unknown function '{name}'. Functions: {', '.join(FUNCTIONS)}.")
    if len(args) != FUNCTIONS[name]:
        plural = "s" if FUNCTIONS[name] > 1 else ""
        raise ModelError(f"{name}() takes {FUNCTIONS[name]} argument{plural}, not {len(args)}.")
    converted = tuple(_convert(a) for a in args)
    if name == "previous" and not isinstance(converted[0], Symbol):
        raise ModelError("previous() takes the name of a state.")
    if name == "binomial":  # a function of one random number
        converted = (Symbol("random"), *converted)
    return Call(name, converted)
