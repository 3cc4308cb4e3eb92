"""Built-in models against closed forms: post-synaptic potentials, f-I curves, exact propagators.

Formulas: Rotter & Diesmann (1999), Biol. Cybern. 81:381. Tolerances are stated where they are used;
exactly integrated models agree with their closed form to rounding errors.
"""

import math

import numpy as np
import pytest

import neurosim as ns
from neurosim.lower.plan import lower

ENGINES = ["reference", "cpu"]
E_L, C, TAU_M = -70.0, 250.0, 10.0


def silent_input(net, cells):
    """Use every receptor, so that all tests share one compiled kernel."""
    silent = net.population(1, ns.models.spike_source(times=[]), name=f"silent {cells.name}")
    for receptor in cells.model.receptors:
        net.connect(silent, cells, ns.AllToAll(), weight=0.0, delay=1.0, receptor=receptor)


def psp(model, weight, engine, duration=80.0):
    """Return t since the arrival of one spike and the deflection of the membrane."""
    net = ns.Network()
    cell = net.population(1, model, name="cell")
    source = net.population(1, ns.models.spike_source(times=[1.0]), name="source")
    net.connect(source, cell, ns.OneToOne(), weight=weight, delay=1.5)
    silent_input(net, cell)
    record = [ns.State(cell, ["V_m"], interval=0.1)]
    trace = ns.simulate(net, duration, record=record, engine=engine).traces["cell"]
    return trace.t - 2.5, trace["V_m"][:, 0] - E_L


def kernel_exp(t, tau_s):
    """Deflection per pA of an exponential current; at tau_m = tau_s its limit."""
    t = np.maximum(t, 0.0)
    if tau_s == TAU_M:
        return t / C * np.exp(-t / TAU_M)
    a = TAU_M * tau_s / (C * (TAU_M - tau_s))
    return a * (np.exp(-t / TAU_M) - np.exp(-t / tau_s))


def kernel_alpha(t, tau_s):
    """Deflection per pA of an alpha current of peak 1; at tau_m = tau_s its limit."""
    t = np.maximum(t, 0.0)
    if tau_s == TAU_M:
        return np.e / tau_s * t**2 / (2 * C) * np.exp(-t / TAU_M)
    d = 1 / tau_s - 1 / TAU_M
    part = (np.exp(-t / TAU_M) - np.exp(-t / tau_s)) / d - t * np.exp(-t / tau_s)
    return np.e / tau_s / (C * d) * part


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tau_s", [0.5, 2.0, 10.0, 25.0])
def test_psp_of_exponential_current(engine, tau_s):
    model = ns.models.iaf_psc_exp(tau_syn_ex=tau_s)
    t, v = psp(model, 100.0, engine)
    expected = 100 * kernel_exp(t, tau_s)
    # V_m is about -70 mV, so its last digit is 1.4e-14; errors of steps add up
    np.testing.assert_allclose(v, expected, rtol=0, atol=2e-12)
    assert v.max() > 0.1


def test_peak_of_exponential_current():
    """87.8085 pA give 0.15 mV after 1.5767 ms (tau_m 10, tau_syn 0.5 ms, C 250 pF)."""
    t, v = psp(ns.models.iaf_psc_exp(tau_syn_ex=0.5), 87.8085, "reference")
    assert v.max() == pytest.approx(0.15, abs=2e-4)  # the grid misses the peak by up to 0.05 ms
    assert t[v.argmax()] == pytest.approx(1.57670, abs=0.1)
    tau_s, r = 0.5, 0.05
    k, q = TAU_M * tau_s / (TAU_M - tau_s), 1 / (TAU_M - tau_s)
    peak = k / C * (r ** (tau_s * q) - r ** (TAU_M * q))
    assert peak == pytest.approx(1.70826e-3, rel=1e-5)
    at = k * np.log(TAU_M / tau_s)
    assert kernel_exp(np.array([at]), tau_s)[0] == pytest.approx(peak, rel=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tau_s", [0.5, 2.0, 10.0, 25.0])
def test_psp_of_alpha_current(engine, tau_s):
    t, v = psp(ns.models.iaf_psc_alpha(tau_syn_in=tau_s), -100.0, engine)
    np.testing.assert_allclose(v, -100 * kernel_alpha(t, tau_s), rtol=0, atol=2e-12)
    assert v.min() < -0.1


@pytest.mark.parametrize("engine", ENGINES)
def test_psp_of_delta(engine):
    t, v = psp(ns.models.iaf_psc_delta(), 1.5, engine)
    expected = np.where(t > -1e-9, 1.5 * np.exp(-t / TAU_M), 0.0)
    # a last digit of 1.4e-14 a step, which the decay of 1 % a step adds up to a hundred of them
    np.testing.assert_allclose(v, expected, rtol=0, atol=2e-12)


@pytest.mark.parametrize(
    ("model", "charge"),
    [
        (ns.models.iaf_psc_exp(), 100 * 2.0),  # w tau_syn
        (ns.models.iaf_psc_alpha(), 100 * np.e * 2.0),  # w e tau_syn
    ],
    ids=["exp", "alpha"],
)
def test_area_of_psp(model, charge):
    """The area is the charge times tau_m/C; the sum over a grid of 0.1 ms is good to 1e-3."""
    _, v = psp(model, 100.0, "reference", duration=250.0)
    assert v.sum() * 0.1 == pytest.approx(charge * TAU_M / C, rel=1e-3)


@pytest.mark.parametrize("tau_s", [10.0 + 1e-9, 10.0 - 1e-9, 10.0 + 1e-6])
@pytest.mark.parametrize("model", [ns.models.iaf_psc_exp, ns.models.iaf_psc_alpha])
def test_nearly_equal_time_constants(model, tau_s):
    _, equal = psp(model(tau_syn_ex=10.0), 100.0, "reference")
    _, near = psp(model(tau_syn_ex=tau_s), 100.0, "reference")
    allowed = max(1e-9, abs(tau_s - 10.0)) * np.abs(equal).max()
    np.testing.assert_allclose(near, equal, rtol=0, atol=allowed)


def propagator(model, dt=0.1):
    net = ns.Network()
    net.population(1, model, name="cell")
    return lower(net, dt, 0, 0, ()).populations[0].model.full


def test_propagator_numbers():
    """Sheet 1.1: (tau_m, tau_s) = (10, 2), C 250, h 0.1."""
    P = propagator(ns.models.iaf_psc_alpha()).matrix
    assert P["V_m", "I_syn_ex"] == pytest.approx(3.8820409248e-4, rel=3e-11)
    assert P["V_m", "dI_ex"] == pytest.approx(1.9280806711e-5, rel=3e-11)


@pytest.mark.parametrize(("tau_m", "tau_s"), [(10, 2), (10, 10), (10, 10.001), (5, 20)])
def test_propagator_formulas(tau_m, tau_s):
    h = 0.1
    model = ns.models.iaf_psc_alpha(tau_m=tau_m, tau_syn_ex=tau_s, I_e=100.0)
    step = propagator(model)
    x, z = h * (1 / tau_m - 1 / tau_s), h * (1 / tau_s - 1 / tau_m)
    phi = np.expm1(x) / x if x else 1.0
    # (1 - (1 + z) exp(-z))/z**2 as its series, which does not cancel
    psi = sum((-z) ** k / (math.factorial(k) * (k + 2)) for k in range(20))
    expected = {
        ("V_m", "V_m"): np.exp(-h / tau_m),
        ("I_syn_ex", "I_syn_ex"): np.exp(-h / tau_s),
        ("I_syn_ex", "dI_ex"): h * np.exp(-h / tau_s),
        ("V_m", "I_syn_ex"): h / C * np.exp(-h / tau_m) * phi,
        ("V_m", "dI_ex"): h**2 / C * np.exp(-h / tau_m) * psi,
    }
    for entry, value in expected.items():
        assert step.matrix[entry] == pytest.approx(value, rel=3e-13)
    offset = E_L * -np.expm1(-h / tau_m) + 100.0 * tau_m / C * -np.expm1(-h / tau_m)
    assert step.offset["V_m"] == pytest.approx(offset, rel=3e-13)


@pytest.mark.parametrize("dt", [0.01, 0.1, 1.0])
def test_constant_current_is_exact_at_any_step(dt):
    net = ns.Network()
    cell = net.population(1, ns.models.iaf_psc_exp(I_e=300.0), name="cell")
    record = [ns.State(cell, ["V_m"], interval=100.0)]
    v = ns.simulate(net, 100.0, dt=dt, record=record, engine="reference").traces["cell"]["V_m"]
    expected = E_L + 300.0 * TAU_M / C * (1 - np.exp(-100.0 / TAU_M))
    assert v[-1, 0] == pytest.approx(expected, rel=1e-12)


CURRENTS = np.array([376.0, 400.0, 500.0, 750.0, 1000.0])
RATES = np.array([16.3143, 33.6407, 63.0400, 111.9636, 149.2529])  # sheet 1.1, continuous time


@pytest.mark.parametrize("engine", ENGINES)
def test_f_i_curve(engine):
    """Each interval is the continuous one, with the charging time rounded up to the grid."""
    net = ns.Network()
    cells = [
        net.population(1, ns.models.iaf_psc_exp(I_e=float(current)), name=f"{current:g} pA")
        for current in CURRENTS
    ]
    for cell in cells:
        silent_input(net, cell)
    record = [ns.Spikes(cell) for cell in cells]
    spikes = ns.simulate(net, 300.0, record=record, engine=engine).spikes
    R = TAU_M / C
    charging = TAU_M * np.log(R * CURRENTS / (R * CURRENTS - 15.0))
    np.testing.assert_allclose(1e3 / (2.0 + charging), RATES, rtol=1e-5)
    for i, cell in enumerate(cells):
        times = spikes[cell.name].times
        steps = np.ceil(charging[i] / 0.1)
        assert times.size >= 4
        np.testing.assert_allclose(times[0], steps * 0.1, atol=1e-9)
        np.testing.assert_allclose(np.diff(times), 2.0 + steps * 0.1, atol=1e-9)
