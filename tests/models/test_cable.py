"""A passive cable of compartments against the closed form of the cable equation.

A cylinder with sealed ends and a current I at x0 (Rall 1959; Koch 1999, Biophysics of Computation,
ch. 2 and 3): steady state V(x) = I cosh(x0/l) cosh((L - x)/l)/(G sinh(L/l)) with G = g_L l/L, and
the response to a step as a sum over the modes cos(k pi x/L). The chain of n compartments has a
closed form of its own, which the propagator must meet to rounding errors.
"""

import numpy as np
import pytest

import neurosim as ns
from neurosim.errors import ParameterError
from neurosim.models import cable, compartmental, cylinder

LENGTH, DIAMETER = 500.0, 2.0
MEMBRANE = {"R_i": 150.0, "R_m": 20_000.0, "C_m": 1.0}
CURRENT, DURATION = 50.0, 40.0
#: Length constant sqrt(d R_m/(4 R_i)) [um].
LAMBDA = np.sqrt(DIAMETER * MEMBRANE["R_m"] * 1e4 / (4 * MEMBRANE["R_i"]))
C, G_L, _ = cylinder(LENGTH, DIAMETER, **MEMBRANE)


def response(n, engine, duration=DURATION, dt=0.1):
    """Return t and the depolarisation of every compartment after a step into the first."""
    model = compartmental(f"cable_{n}", *cable(n, LENGTH, DIAMETER, **MEMBRANE))
    net = ns.Network()
    cell = net.population(1, model(dend_0_I_e=CURRENT), name="cell")
    states = [f"dend_{k}_V_m" for k in range(n)]
    record = [ns.State(cell, states, interval=dt)]
    trace = ns.simulate(net, duration, dt=dt, record=record, engine=engine).traces["cell"]
    return trace.t, np.column_stack([trace[s][:, 0] for s in states]) + 70.0


def step_of_the_chain(n, t):
    """Closed form for n compartments: the modes cos(k pi (j + 1/2)/n) of a path."""
    capacitance, leak, axial = cylinder(LENGTH / n, DIAMETER, **MEMBRANE)
    k = np.arange(n)
    modes = np.cos(np.pi * np.outer(k + 0.5, k) / n)
    rate = (leak + 2 * axial * (1 - np.cos(np.pi * k / n))) / capacitance
    weight = CURRENT / capacitance * modes[0] / np.where(k == 0, n, n / 2) / rate
    return (weight * (1 - np.exp(-np.outer(t, rate)))) @ modes.T


def step_of_the_cable(x0, x, t):
    """Closed form for the cable: 4,000 modes, whose remainder is below 1e-4 mV."""
    k = np.arange(4000)
    rate = (1 + (k * np.pi * LAMBDA / LENGTH) ** 2) * G_L / C
    weight = np.where(k == 0, 1, 2) * np.cos(k * np.pi * x0 / LENGTH) / rate
    return CURRENT / C * np.sum(weight * np.cos(k * np.pi * x / LENGTH) * (1 - np.exp(-rate * t)))


@pytest.mark.parametrize(
    ("n", "engine"), [(1, "cpu"), (4, "cpu"), (1, "reference"), (4, "reference"), (16, "reference")]
)
def test_chain_of_compartments_is_exact(n, engine):
    t, found = response(n, engine)
    np.testing.assert_allclose(found, step_of_the_chain(n, t), rtol=0, atol=1e-9)


def test_both_engines_are_equal():
    np.testing.assert_allclose(
        response(4, "cpu")[1], response(4, "reference")[1], rtol=0, atol=1e-11
    )


def test_closed_forms_agree_with_each_other():
    """The modes at late times give the hyperbolic steady state."""
    x0, x = 10.0, 400.0
    G = G_L * LAMBDA / LENGTH
    steady = np.cosh(x0 / LAMBDA) * np.cosh((LENGTH - x) / LAMBDA) / np.sinh(LENGTH / LAMBDA) / G
    assert step_of_the_cable(x0, x, 1e4) == pytest.approx(CURRENT * steady, rel=1e-5)


def errors(n, times):
    """Return how far both ends of n compartments are from the cable at some times."""
    found = response(n, "reference")[1]
    dx = LENGTH / n
    worst = []
    for time in times:
        row = found[round(time / 0.1) - 1]
        worst += [row[k] - step_of_the_cable(dx / 2, (k + 0.5) * dx, time) for k in (0, n - 1)]
    return np.abs(worst)


def test_converges_to_the_cable():
    """The transient and the steady state: second order in the number of compartments."""
    sizes = [4, 8, 16, 32]
    found = np.array([errors(n, [2.0, 10.0, 40.0]) for n in sizes])
    assert found[-1].max() < 0.01  # of 26 to 34 mV
    slopes = np.polyfit(np.log(sizes), np.log(found), 1)[0]
    np.testing.assert_allclose(slopes, -2.0, rtol=0, atol=0.15)


def test_attenuation():
    """Steady state, last over first compartment: cosh((L - x)/l)/cosh((L - x0)/l)."""
    _, found = response(16, "reference", duration=400.0, dt=1.0)
    half = LENGTH / 32
    exact = np.cosh(half / LAMBDA) / np.cosh((LENGTH - half) / LAMBDA)
    assert found[-1, -1] / found[-1, 0] == pytest.approx(exact, rel=1e-3)


def test_geometry():
    """The table of the Tripod's dendrites (Quaresima et al. 2022): membranes of man and mouse."""
    table = {
        150.0: (0.4845, 41.888, 9.425, 11.088, 18.850),
        300.0: (0.9690, 20.944, 18.850, 22.176, 37.699),
        400.0: (1.2919, 15.708, 25.133, 29.568, 50.265),
    }
    for length, (g_human, axial, c_human, g_mouse, c_mouse) in table.items():
        human = cylinder(length, 4.0, R_i=200.0, R_m=38907.0, C_m=0.5)
        mouse = cylinder(length, 4.0, R_i=200.0, R_m=1700.0, C_m=1.0)
        np.testing.assert_allclose(human, (c_human, g_human, axial), rtol=0, atol=6e-4)
        np.testing.assert_allclose(mouse, (c_mouse, g_mouse, axial), rtol=0, atol=6e-4)


def test_mistakes():
    with pytest.raises(ParameterError, match=r"cable 'dend': n = 0 must be a whole number of at"):
        cable(0, 100.0, 1.0)
    with pytest.raises(ParameterError, match=r"cylinder: diameter = -1 must be > 0"):
        cable(3, 100.0, -1.0)
