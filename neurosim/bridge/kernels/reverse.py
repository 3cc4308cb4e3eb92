"""Reverse-mode differentiation of a lowered step: its adjoint as lines of the same language."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from neurosim.bridge.kernels.step import Line, Program
from neurosim.expressions import Expression, Symbol, derivative, substitute, symbols
from neurosim.expressions.tree import ZERO, Call, add, is_zero, multiply, rebuild


@dataclass(frozen=True)
class Adjoint:
    """The adjoint of one step.

    Attributes
    ----------
    lines : tuple of (name, Expression)
        Definitions in order. They use the values of the step, ``grad <output>`` and
        ``after <state>``: the adjoints of the outputs and of the states after the step.
    results : mapping of name to Expression
        Adjoint of every input, wanted parameter, and ``old <state>``.
    """

    lines: tuple[tuple[str, Expression], ...]
    results: dict[str, Expression]


def adjoint(program: Program, psi: Expression, wanted: Collection[str]) -> Adjoint:
    """Return the adjoint of a program.

    Parameters
    ----------
    program : Program
    psi : Expression
        Surrogate derivative, of the symbol ``u``.
    wanted : collection of str
        Parameters whose adjoint is needed.
    """
    step = program.step
    leaves = (*step.inputs, *(p for p in step.parameters if p in wanted),
              *(f"old {s}" for s in step.states))  # fmt: skip
    active = _active(program, leaves)
    sums: dict[str, Expression] = {}

    def give(name: str, value: Expression) -> None:
        if name in active and not is_zero(value):
            sums[name] = add(sums.get(name, ZERO), value)

    for output, name in zip(step.outputs, program.outputs, strict=True):
        give(name, Symbol(f"grad {output}"))
    for state, name in program.final.items():
        give(name, Symbol(f"after {state}"))
    named_calls = {line.value: line.target for line in program.lines if _is_call(line)}
    lines: list[tuple[str, Expression]] = []
    for line in reversed(program.lines):
        total = sums.get(line.target, ZERO)
        if is_zero(total):
            continue
        name = f"d {line.target}"
        lines.append((name, total))
        if line.fires:
            slope = substitute(psi, {"u": line.value})
            give(_name_of(line.value), multiply(Symbol(name), slope))
            continue
        for symbol in sorted(symbols(line.value) & active):
            slope = _reuse(derivative(line.value, symbol), named_calls)
            give(symbol, multiply(Symbol(name), slope))
    return Adjoint(tuple(lines), {leaf: sums.get(leaf, ZERO) for leaf in leaves})


def _active(program: Program, leaves: Iterable[str]) -> set[str]:
    """Return the names that depend, differentiably, on a leaf."""
    active = set(leaves)
    for line in program.lines:
        if not line.detached and symbols(line.value) & active:
            active.add(line.target)
    return active


def _is_call(line: Line) -> bool:
    return isinstance(line.value, Call) and not line.fires


def _name_of(expression: Expression) -> str:
    if not isinstance(expression, Symbol):
        raise TypeError(f"a spike of {expression!r}, which has no name")
    return expression.name


def _reuse(expression: Expression, named: dict[Expression, str]) -> Expression:
    """Replace calls whose value already has a name."""
    return rebuild(
        expression,
        lambda e: Symbol(named[e]) if isinstance(e, Call) and e in named else None,
    )
