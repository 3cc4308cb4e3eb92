"""Expressions and whole steps in plain PyTorch: the slow path, and the reference of the kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from neurosim.expressions.tree import Call, Expression, Number, Operation, Symbol


def _as_tensors(*values: Any) -> list[torch.Tensor]:
    like = next((v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point()), None)
    if like is None:
        return [torch.as_tensor(v) for v in values]
    return [
        v if isinstance(v, torch.Tensor) else torch.tensor(v, dtype=like.dtype, device=like.device)
        for v in values
    ]


def _where(condition: Any, a: Any, b: Any) -> torch.Tensor:
    a, b = _as_tensors(a, b)
    return torch.where(torch.as_tensor(condition), a, b)


def exprel(x: torch.Tensor) -> torch.Tensor:
    """Return (exp(x) - 1)/x with its limit 1 at x = 0, differentiable there."""
    small = x.abs() < 1e-5
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, 1 + x / 2 + x * x / 6, torch.expm1(safe) / safe)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt, "sin": torch.sin, "cos": torch.cos,
    "tanh": torch.tanh, "abs": torch.abs, "exprel": exprel, "where": _where,
    "min": lambda a, b: _where(a <= b, a, b),
    "max": lambda a, b: _where(a >= b, a, b),
    "clip": lambda x, low, high: _where(x < low, low, _where(x > high, high, x)),
}  # fmt: skip
_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b, "**": lambda a, b: a**b, "neg": lambda a: -a,
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    "and": lambda *c: _fold(torch.logical_and, c), "or": lambda *c: _fold(torch.logical_or, c),
    "not": lambda c: torch.logical_not(torch.as_tensor(c)),
}  # fmt: skip


def _fold(join: Callable[..., torch.Tensor], conditions: tuple[Any, ...]) -> torch.Tensor:
    result = torch.as_tensor(conditions[0])
    for condition in conditions[1:]:
        result = join(result, torch.as_tensor(condition))
    return result


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression over tensors (or numbers), by symbol name."""
    match expression:
        case Number(value=value):
            return value
        case Symbol(name=name):
            return values[name]
        case Operation(op=op, args=args):
            return _OPERATORS[op](*(evaluate(a, values) for a in args))
        case Call(function=function, args=args):
            inner = [evaluate(a, values) for a in args]
            if function not in ("where", "min", "max", "clip"):
                inner = list(_as_tensors(*inner))
            return _FUNCTIONS[function](*inner)
    raise TypeError(f"not an expression: {expression!r}")
