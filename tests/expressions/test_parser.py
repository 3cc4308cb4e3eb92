"""The equation language: what it reads, and what it refuses in which words."""

import numpy as np
import pytest

from neurosim.errors import ModelError
from neurosim.expressions import (
    affine,
    differentiate,
    evaluate,
    parse_equations,
    parse_expression,
    parse_statements,
    symbols,
)


def value(text, **values):
    return evaluate(parse_expression(text, "test"), values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3", 7.0),
        ("-2**2", -4.0),
        ("2**-1", 0.5),
        ("2**3**2", 512.0),
        ("1e-3*4", 4e-3),
        ("+5 - -3", 8.0),
        ("7/2/2", 1.75),
        ("2 - 3 - 4", -5.0),
        ("exp(0) + log(1) + sqrt(4) + sin(0) + cos(0) + tanh(0)", 4.0),
        ("abs(-3) + min(1, 2) + max(1, 2)", 6.0),
        ("clip(5, 0, 3) + clip(-5, 0, 3) + clip(1, 0, 3)", 4.0),
        ("where(1 < 2, 10, 20)", 10.0),
        ("where(1 < 2 and not 2 < 1 or 1 == 2, 10, 20)", 10.0),
        ("where(1 != 1, 10, 20)", 20.0),
        ("exprel(0)", 1.0),
        ("exprel(1)", np.e - 1),
        ("2[s] + 3[ms]", 2003.0),
        ("1[uA]", 1e6),
        ("0.04[1/(mV*ms)]", 0.04),
        ("1[Hz]", 1e-3),
        ("(1\n + 2)", 3.0),
    ],
)
def test_values(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-15)


def test_symbols_and_arrays():
    expression = parse_expression("a*x + b", "test")
    assert symbols(expression) == {"a", "x", "b"}
    np.testing.assert_array_equal(
        evaluate(expression, {"a": 2.0, "b": 1.0, "x": np.arange(3.0)}), [1, 3, 5]
    )


def test_previous_value_is_looked_up_under_its_own_name():
    expression = parse_expression("previous(v) > v", "test")
    assert evaluate(expression, {"v": 1.0, "previous v": 2.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "here: cannot read '1 +': invalid syntax"),
        ("(a", "here: cannot read '(a': '(' was never closed"),
        ("sigmoid(a)", "unknown function 'sigmoid'. Functions: exp, log,"),
        ("__import__('os')", "unknown function '__import__'"),
        ("exp(a, b)", "exp() takes 1 argument, not 2"),
        ("where(a, b)", "where() takes 3 arguments, not 2"),
        ("exp(x=1)", "'exp(x=1)' is not part of the equation language"),
        ("a.b", "'a.b' is not part of the equation language"),
        ("a[0]", "'a[0]' is not part of the equation language"),
        ("'text'", "is not part of the equation language"),
        ("True", "'True' is not part of the equation language"),
        ("[a, b]", "'[a, b]' is not part of the equation language"),
        ("lambda: 1", "is not part of the equation language"),
        ("a if b else c", "write where(condition, a, b)"),
        ("0 < a < 1", "join two comparisons with 'and'"),
        ("a^2", "a power is written a**b"),
        ("(a > b) & (b > c)", "write 'and' or 'or' between conditions"),
        ("a // b", "is not part of the equation language"),
        ("3[foo]", "unknown unit 'foo'. Units: s, ms,"),
        ("3[MV]", "Did you mean 'mV'?"),
        ("previous(a + b)", "previous() takes the name of a state"),
        ("", "here: cannot read ''"),
    ],
)
def test_refused_expressions(text, message):
    with pytest.raises(ModelError) as caught:
        parse_expression(text, "here")
    assert message in str(caught.value)
    assert str(caught.value).startswith("here: ")


def test_statements():
    first, second, third = parse_statements("V = E; w += b  # comment\nu *= 2", "reset")
    assert (first.target, first.op, first.text) == ("V", "=", "V = E")
    assert evaluate(first.result(), {"E": 3.0}) == 3.0
    assert evaluate(second.result(), {"w": 1.0, "b": 2.0}) == 3.0
    assert evaluate(third.result(), {"u": 4.0}) == 8.0
    (minus,) = parse_statements("V -= 2", "reset")
    assert evaluate(minus.result(), {"V": 5.0}) == 3.0


@pytest.mark.parametrize("text", ["V", "V == E", "2 = V", "V + 1", "V.x = 1"])
def test_refused_statements(text):
    with pytest.raises(ModelError, match="is not an assignment; write 'state = "):
        parse_statements(text, "reset")


def test_equations():
    ode, mapped, definition = parse_equations(
        """
        dv/dt = -v/tau : mV   # leak
        u := u + 1 : 1
        I = a*v
        """,
        "model",
    )
    assert (ode.kind, ode.name, ode.unit) == ("ode", "v", "mV")
    assert (mapped.kind, mapped.name, mapped.unit) == ("map", "u", "1")
    assert (definition.kind, definition.name, definition.unit) == ("definition", "I", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dv/dt = -v", "model, line 1: 'dv/dt = -v' needs the unit of v at the end, as ' : mV'"),
        ("v := v", "needs the unit of v at the end"),
        ("dv/dt := v : mV", "mixes dv/dt with ':='; use '='"),
        ("v' = 3 : mV", "is neither 'dx/dt = ... : unit', 'x := ... : unit' nor 'name = ...'"),
        ("a = 1\nnonsense", "model, line 2: 'nonsense' is neither"),
        ("dv/dt = (v : mV", "model, line 1: cannot read '(v'"),
    ],
)
def test_refused_equations(text, message):
    with pytest.raises(ModelError) as caught:
        parse_equations(text, "model")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("3", 0.0),
        ("x", 1.0),
        ("-x", -1.0),
        ("a - x*a", -2.0),
        ("x/a", 0.5),
        ("a/x", -2.0 / 9.0),
        ("x**3", 27.0),
        ("exp(2*x)", 2 * np.exp(6.0)),
        ("x*x*x", 27.0),
    ],
)
def test_derivatives(text, slope):
    derivative = differentiate(parse_expression(text, "test"), "x")
    assert evaluate(derivative, {"x": 3.0, "a": 2.0}) == pytest.approx(slope, rel=1e-14)


@pytest.mark.parametrize("text", ["sin(x)", "where(x > 1, x, 0)", "2**x", "max(x, 1)"])
def test_derivatives_that_the_language_does_not_take(text):
    assert differentiate(parse_expression(text, "test"), "x") is None


def test_affine_split():
    expression = parse_expression("-(v - E)/tau + 2*g + 1", "test")
    coefficients, rest = affine(expression, ["v", "g", "h"], {"E", "tau"})
    values = {"E": -70.0, "tau": 10.0}
    assert set(coefficients) == {"v", "g"}
    assert evaluate(coefficients["v"], values) == pytest.approx(-0.1)
    assert evaluate(coefficients["g"], values) == 2.0
    assert evaluate(rest, values) == pytest.approx(-6.0)


@pytest.mark.parametrize("text", ["v*g", "v**2", "exp(v)", "v*other", "t"])
def test_not_affine(text):
    assert affine(parse_expression(text, "test"), ["v", "g"], {"tau"}) is None
