"""Numbers and conditions: which parts of an expression must be which."""

from __future__ import annotations

from neurosim.errors import ModelError
from neurosim.expressions.tree import COMPARISONS, LOGIC, Call, Expression, Operation


def is_condition(expression: Expression) -> bool:
    """Return whether the expression is true or false rather than a number."""
    return isinstance(expression, Operation) and expression.op in (*COMPARISONS, *LOGIC)


def check_kinds(expression: Expression, *, condition: bool) -> None:
    """Check that conditions and numbers stand where they belong.

    Parameters
    ----------
    expression : Expression
        What to check, down to its leaves.
    condition : bool
        Whether the whole must be a condition.

    Raises
    ------
    ModelError
        If a number is used as a condition or the other way round.
    """
    if is_condition(expression) != condition:
        if condition:
            raise ModelError("a condition is needed, such as 'V_m >= V_th', not a number")
        raise ModelError("a comparison is no number; use where(condition, a, b)")
    if isinstance(expression, Operation):
        for arg in expression.args:
            check_kinds(arg, condition=expression.op in LOGIC)
    elif isinstance(expression, Call):
        for k, arg in enumerate(expression.args):
            check_kinds(arg, condition=expression.function == "where" and k == 0)
