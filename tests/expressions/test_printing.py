"""Every target prints an expression to text that computes the same value."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from neurosim.engines.cpu.emit_step import FUNCTIONS
from neurosim.expressions import Printer, evaluate, parse_expression
from neurosim.expressions.evaluate import exprel
from neurosim.expressions.tree import Call, Number, Operation, Symbol

NAMES = ("a", "b", "x")
#: How the CPU engine prints, and what its names mean in plain Python.
numba_text = Printer(lambda name: name, FUNCTIONS, repr)
MEANING = {
    "exp": np.exp, "log": math.log, "sqrt": math.sqrt, "sin": math.sin, "cos": math.cos,
    "tanh": math.tanh, "abs": abs, "min": min, "max": max, "exprel": lambda x: float(exprel(x)),
}  # fmt: skip


def numbers():
    literals = st.floats(-4, 4).map(lambda v: Number(round(v, 3)))
    leaves = literals | st.sampled_from(NAMES).map(Symbol)
    return st.recursive(leaves, lambda inner: nodes(inner), max_leaves=12)


def nodes(inner):
    arithmetic = st.builds(
        lambda op, a, b: Operation(op, (a, b)), st.sampled_from("+-*"), inner, inner
    )
    negative = inner.map(lambda a: Operation("neg", (a,)))
    power = st.builds(
        lambda a, p: Operation("**", (a, Number(p))), inner, st.sampled_from([2.0, 3.0, 4.0])
    )
    bounded = inner.map(lambda a: Call("tanh", (a,)))
    one = st.builds(
        lambda f, a: Call(f, (Call("tanh", (a,)),)),
        st.sampled_from(["exp", "sin", "cos", "abs", "exprel"]), inner,
    )  # fmt: skip
    root = inner.map(lambda a: Call("sqrt", (Call("abs", (a,)),)))
    two = st.builds(lambda f, a, b: Call(f, (a, b)), st.sampled_from(["min", "max"]), inner, inner)
    clip = inner.map(lambda a: Call("clip", (a, Number(-1.0), Number(1.0))))
    comparison = st.builds(
        lambda op, a, b: Operation(op, (a, b)),
        st.sampled_from(["<", "<=", ">", ">=", "!="]), inner, inner,
    )  # fmt: skip
    condition = st.one_of(
        comparison,
        comparison.map(lambda c: Operation("not", (c,))),
        st.builds(
            lambda op, c, d: Operation(op, (c, d)), st.sampled_from(["and", "or"]),
            comparison, comparison,
        ),
    )  # fmt: skip
    where = st.builds(lambda c, a, b: Call("where", (c, a, b)), condition, inner, inner)
    return st.one_of(arithmetic, negative, power, bounded, one, root, two, clip, where)


values = st.tuples(*[st.floats(-3, 3)] * 3)


@settings(max_examples=300, deadline=None)
@given(numbers(), values)
def test_printed_for_numba(expression, point):
    scope = dict(zip(NAMES, point, strict=True))
    expected = float(evaluate(expression, scope))
    printed = eval(numba_text(expression), MEANING | scope)
    if math.isfinite(expected) and abs(expected) < 1e100:
        assert printed == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(numbers(), values)
def test_printed_text_is_read_back(expression, point):
    """The language's own syntax: printing and parsing give the same value."""
    language = Printer(
        lambda name: name,
        {f: f for f in ("exp", "sqrt", "sin", "cos", "tanh", "abs", "min", "max", "clip", "where",
                        "exprel")}
        | {"**": "({0} ** {1})", "and": " and ", "or": " or ", "not": "(not {0})"},
    )  # fmt: skip
    scope = dict(zip(NAMES, point, strict=True))
    again = parse_expression(language(expression), "test")
    expected = float(evaluate(expression, scope))
    if math.isfinite(expected):
        assert float(evaluate(again, scope)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def random_text(rng, depth):
    """Return a random expression of the language, as text."""
    if depth == 0:
        return rng.choice(["a", "b", "x", f"{rng.uniform(0.1, 3):.2f}"])
    part = lambda: random_text(rng, depth - 1)  # noqa: E731
    return rng.choice(
        [
            f"({part()} + {part()})", f"({part()} - {part()})", f"({part()}*{part()})",
            f"({part()}/(1 + ({part()})**2))", f"(-{part()})", f"exp(tanh({part()}))",
            f"sin({part()})", f"cos({part()})", f"exprel(tanh({part()}))", f"sqrt(abs({part()}))",
            f"log(1 + abs({part()}))", f"max({part()}, {part()})", f"clip({part()}, -2, 2)",
            f"where({part()} > {part()} or {part()} < 0, {part()}, {part()})",
            f"where(not {part()} >= 1 and {part()} != 0, {part()}, {part()})",
        ]
    )  # fmt: skip


def test_compiled_by_numba():
    """Thirty expressions in one compiled function, against NumPy."""
    rng = random.Random(4)
    expressions = [parse_expression(random_text(rng, 3), "test") for _ in range(30)]
    lines = [f"    out[{k}] = {numba_text(e)}" for k, e in enumerate(expressions)]
    source = "\n".join(["def compute(a, b, x, out):", *lines])
    scope = {name: getattr(math, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh")}
    scope["exprel"] = njit(lambda x: math.expm1(x) / x if x != 0 else 1.0)
    exec(source, scope)
    compute = njit(error_model="numpy")(scope["compute"])
    for point in ((0.3, -1.2, 2.0), (-0.7, 0.0, 0.5)):
        out = np.empty(30)
        compute(*point, out)
        names = dict(zip(NAMES, point, strict=True))
        expected = [float(evaluate(e, names)) for e in expressions]
        np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-11)
