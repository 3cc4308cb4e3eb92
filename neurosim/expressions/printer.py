"""Expression trees to source text; each target gives its names for symbols and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from neurosim.expressions.tree import Call, Expression, Number, Operation, Symbol

_LOGIC = ("and", "or")


class Printer:
    """Print expressions as source of a target language with infix operators.

    Parameters
    ----------
    symbol : callable
        Returns the target's text for a symbol name.
    functions : mapping of str to str
        The target's name of each function; a text with ``{0}``, ``{1}`` is a template.
    number : callable, optional
        Returns the target's text for a literal; default ``repr``.
    """

    def __init__(
        self,
        symbol: Callable[[str], str],
        functions: Mapping[str, str],
        number: Callable[[float], str] = repr,
    ) -> None:
        self._symbol = symbol
        self._functions = functions
        self._number = number

    def __call__(self, expression: Expression) -> str:
        """Return the source text of an expression, fully parenthesised."""
        match expression:
            case Number(value=value):
                return self._number(value)
            case Symbol(name=name):
                return self._symbol(name)
            case Call(function="previous", args=(Symbol(name=name),)):
                return self._symbol(f"previous {name}")
            case Call(function=function, args=args):
                return self._apply(self._functions[function], args)
            case Operation(op="neg", args=(a,)):
                return f"(-{self(a)})"
            case Operation(op="**", args=(a, Number(value=p))) if p in (2.0, 3.0, 4.0):
                return "(" + "*".join([self(a)] * int(p)) + ")"
            case Operation(op="**", args=args):
                return self._apply(self._functions["**"], args)
            case Operation(op="not", args=(a,)):
                return self._apply(self._functions["not"], (a,))
            case Operation(op=op, args=args) if op in _LOGIC:
                return "(" + self._functions[op].join(self(a) for a in args) + ")"
            case Operation(op=op, args=args):
                return "(" + f" {op} ".join(self(a) for a in args) + ")"
        raise TypeError(f"not an expression: {expression!r}")

    def _apply(self, form: str, args: tuple[Expression, ...]) -> str:
        texts = [self(a) for a in args]
        return form.format(*texts) if "{" in form else f"{form}({', '.join(texts)})"
