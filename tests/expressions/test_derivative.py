"""Derivatives through every function of the language, against central differences."""

from __future__ import annotations

import numpy as np
import pytest

from neurosim.expressions import derivative, differentiate, evaluate, parse_expression
from neurosim.expressions.tree import FUNCTIONS, ZERO, Call, walk

CASES = [
    "3*x + 2", "x*x/(1 + y)", "-x/(x - 5)", "x**3", "y**x", "x**y", "x**(-2)", "exp(-x*y)",
    "log(x)", "sqrt(1 + x)", "sin(2*x)", "cos(x/2)", "tanh(x - 1)", "abs(x - 1)", "abs(1 - x)",
    "exprel(x)", "exprel(0.01*x)", "exprel(-3*x)", "min(x, y)", "min(y, 2*x)", "max(x*x, y)",
    "clip(x, 0.5, 3)", "clip(2, x, 4)", "clip(9, y, x)", "where(x > 1, x*x, y*x)",
    "where(x > 9 and y > 0, x, 3*x)", "exp(sin(x)**2)*log(1 + x*y)", "1/(1 + exp(-25*(x - 1.4)))",
]  # fmt: skip


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("x", [0.6, 1.3, 2.7])
def test_derivative_is_the_central_difference(text: str, x: float):
    expression = parse_expression(text, "test")
    h, y = 1e-5, 1.7
    above, below = (evaluate(expression, {"x": x + s * h, "y": y}) for s in (1, -1))
    slope = evaluate(derivative(expression, "x"), {"x": x, "y": y})
    assert slope == pytest.approx((above - below) / (2 * h), rel=1e-7, abs=1e-9)


def test_the_cases_use_every_function():
    used = {
        e.function for text in CASES for e in walk(parse_expression(text, "test"))
        if isinstance(e, Call)
    }  # fmt: skip
    assert used == set(FUNCTIONS) - {"previous", "binomial", "delayed"}  # no derivative


@pytest.mark.parametrize("a", [0.0, 1e-9, 1e-3, 0.0999, 0.1001, -0.0999, -0.1001, 1.0])
def test_slope_of_exprel_does_not_cancel(a: float):
    slope = evaluate(derivative(parse_expression("exprel(x)", "test"), "x"), {"x": a})
    series = sum(k * a ** (k - 1) / float(np.prod(np.arange(1.0, k + 2))) for k in range(1, 25))
    assert slope == pytest.approx(series, rel=2e-14)


@pytest.mark.parametrize(
    ("text", "x", "slope"),
    [("min(x, 1)", 1, 1), ("max(x, 1)", 1, 1), ("min(1, x)", 1, 0), ("clip(x, 1, 2)", 1, 1),
     ("clip(x, 1, 2)", 2, 1), ("abs(x)", 0, 0), ("x > 1", 1, 0)],
)  # fmt: skip
def test_one_side_is_taken_at_a_kink(text: str, x: float, slope: float):
    assert evaluate(derivative(parse_expression(text, "t"), "x"), {"x": float(x)}) == slope


def test_a_symbol_that_is_not_there_gives_zero():
    assert derivative(parse_expression("exp(y)", "test"), "x") == ZERO


def test_previous_has_no_derivative():
    with pytest.raises(TypeError, match=r"previous\(\) has no derivative"):
        derivative(parse_expression("previous(x)", "test"), "x")


def test_linear_parts_are_still_told_from_others():
    # what a condition does to linearity must not be lost in zeros of the full derivative
    assert differentiate(parse_expression("where(x > 0, 1, 2)", "test"), "x") is None
