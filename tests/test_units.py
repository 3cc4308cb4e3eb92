"""Units: parsing, their algebra, and quantities of pint."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neurosim as ns
from neurosim.errors import ParameterError, UnitError
from neurosim.units import (
    DIMENSIONLESS,
    KNOWN,
    Unit,
    describe,
    magnitude,
    parse_unit,
    plain_numbers,
)

units = st.sampled_from(sorted(KNOWN)).map(parse_unit)
powers = st.fractions(-3, 3, max_denominator=4)


@given(units, units, units)
def test_products_form_a_group(a, b, c):
    def close(x, y):
        return x.dimension == y.dimension and x.scale == pytest.approx(y.scale, rel=1e-12)

    assert close(a * b, b * a)
    assert close((a * b) * c, a * (b * c))
    assert close(a * DIMENSIONLESS, a)
    assert close(a / a, DIMENSIONLESS)
    assert close((a * b) / b, a)


@given(units, powers, powers)
def test_powers(a, p, q):
    assert (a**p * a**q).dimension == (a ** (p + q)).dimension
    assert ((a**p) ** q).dimension == (a ** (p * q)).dimension
    assert (a**0).is_dimensionless


@given(units, units)
def test_written_units_are_read_back(a, b):
    for unit in (a, a * b, a / b, a ** Fraction(1, 2)):
        assert parse_unit(str(unit)).dimension == unit.dimension


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("mV/ms", "V/s"),
        ("nS*mV", "pA"),
        ("pF/nS", "ms"),
        ("pA*GOhm", "mV"),
        ("pF*mV/ms", "pA"),
        ("1/(GOhm)", "nS"),
        ("Hz", "1/s"),
        ("kHz", "1/ms"),
        ("mV**2", "mV*mV"),
        ("fC", "pA*ms"),
        ("mV**-1", "1/mV"),
        ("ms**(1/2)*ms**(1/2)", "ms"),
    ],
)
def test_coherence(left, right):
    a, b = parse_unit(left), parse_unit(right)
    assert a.dimension == b.dimension
    assert a.scale == pytest.approx(b.scale, rel=1e-12)


@pytest.mark.parametrize(
    ("unit", "text"), [("nS*mV", "pA"), ("mV/ms", "mV/ms"), ("1/(mV*ms)", "1/(ms*mV)"), ("1", "1")]
)
def test_written_units(unit, text):
    assert describe(parse_unit(unit).dimension) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mv", "unknown unit 'mv'. Units: s, ms,.* Did you mean 'mV'?"),
        ("furlong", "unknown unit 'furlong'"),
        ("mV/", "cannot read the unit 'mV/'; write for instance 'mV/ms'"),
        ("mV + ms", "unknown unit"),
        ("mV**x", "exponent must be a whole number or a ratio, not 'x'"),
        ("2*mV", "unknown unit '2'"),
        ("", "cannot read the unit"),
    ],
)
def test_refused_units(text, message):
    with pytest.raises(UnitError, match=message):
        parse_unit(text)


def test_units_are_values():
    assert parse_unit("ms") == Unit(1.0, parse_unit("ms").dimension)
    assert len({parse_unit("pA"), parse_unit("nS*mV")}) == 1


@pytest.fixture(scope="module")
def pint_units():
    return pytest.importorskip("pint").UnitRegistry()


@pytest.mark.parametrize(
    ("unit", "target", "value"),
    [
        ("second", "ms", 1000.0),
        ("volt", "mV", 1000.0),
        ("nanoampere", "pA", 1000.0),
        ("nanofarad", "pF", 1000.0),
        ("microsiemens", "nS", 1000.0),
        ("megaohm", "GOhm", 1e-3),
        ("kilohertz", "Hz", 1000.0),
        ("millivolt/second", "mV/ms", 1e-3),
        ("dimensionless", "1", 1.0),
    ],
)
def test_pint_quantities_are_converted(pint_units, unit, target, value):
    assert magnitude(pint_units.Quantity(1.0, unit), target, "x") == pytest.approx(value)


def test_pint_in_models(pint_units):
    u = pint_units
    model = ns.models.iaf_psc_exp(tau_m=0.02 * u.s, I_e=u.Quantity([0.3, 0.4], "nA"))
    assert model.values["tau_m"] == pytest.approx(20.0)
    np.testing.assert_allclose(model.values["I_e"], [300.0, 400.0])


class Rescaled(np.ndarray):
    """Behaves as quantities of the package quantities do, which are arrays."""

    def __new__(cls, value, unit):
        array = np.asarray(value, float).view(cls)
        array.unit = unit
        return array

    @property
    def magnitude(self):
        return np.asarray(self)

    def rescale(self, unit):
        factors = {("s", "ms"): 1e3, ("nA", "pA"): 1e3}
        if (self.unit, unit) not in factors:
            raise ValueError(f"no way from {self.unit} to {unit}")
        return Rescaled(np.asarray(self) * factors[self.unit, unit], unit)


class Dimensioned(np.ndarray):
    """Behaves as quantities of Brian2 do: arrays in SI units that know only their dimension."""

    dim = "second"


def test_quantities_that_are_arrays_are_not_taken_for_plain_numbers():
    assert magnitude(Rescaled(0.02, "s"), "ms", "x") == 20.0
    np.testing.assert_array_equal(magnitude(Rescaled([1, 2], "nA"), "pA", "x"), [1e3, 2e3])
    with pytest.raises(UnitError, match=r"x = 0\.02 cannot be converted to ms"):
        magnitude(Rescaled(0.02, "V"), "ms", "x")
    with pytest.raises(UnitError, match="divide it by its unit and give plain numbers in ms"):
        magnitude(np.asarray(0.02).view(Dimensioned), "ms", "x")


def test_units_are_never_dropped(pint_units):
    u = pint_units
    for value in (1 * u.nS, [1, 2] * u.nS, [1 * u.nS, 2 * u.nS], Rescaled(0.02, "s")):
        with pytest.raises(TypeError, match="without a unit"):
            plain_numbers(value)
    net = ns.Network()
    cells = net.population(2, ns.models.iaf_psc_exp(), name="cells")
    parrots = net.population(2, ns.models.parrot(), name="parrots")
    with pytest.raises(ParameterError, match=r"weight = .*nanosiemens.*; a number is needed"):
        net.connect(cells, parrots, weight=1 * u.nS)


def test_wrong_dimension_of_a_pint_quantity(pint_units):
    message = r"iaf_psc_exp.tau_m = 3 millivolt cannot be converted to ms"
    with pytest.raises(UnitError, match=message):
        ns.models.iaf_psc_exp(tau_m=3 * pint_units.mV)
