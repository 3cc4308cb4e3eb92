"""Order of convergence of each integration method, measured against a precise solution."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import neurosim as ns

STEPS = [0.1, 0.05, 0.025]
#: Declared order of each method.
ORDERS = {"euler": 1, "exponential_euler": 1, "heun": 2, "rk4": 4}


class lotka_volterra(ns.NeuronModel):
    """A nonlinear system whose equations are coupled and depend on time."""

    tau = ns.param(1.0, "ms", gt=0)
    x = ns.state("1", init=1.5)
    y = ns.state("1", init=0.7)
    equations = """
        dx/dt = x*(1 - y)/tau + 0.3[1/ms]*sin(t/tau) : 1
        dy/dt = y*(x - 1)/tau : 1
    """
    tolerance = 1e-9


class half_linear(ns.NeuronModel):
    """A conductance that is propagated exactly, driving a membrane that is not."""

    g = ns.state("1", init=2.0)
    v = ns.state("1", init=0.0)
    equations = """
        dg/dt = -g/1.5[ms] : 1
        dv/dt = (-v - g*(v - 1)*3)/2[ms] : 1
    """


class relaxation(ns.NeuronModel):
    """Linear in x, with a coefficient that changes in time only formally."""

    x = ns.state("1", init=3.0)
    equations = "dx/dt = (1 - x)/7[ms]*where(t >= 0[ms], 1, 2) : 1"


def final(model, dt, engine, state, duration=4.0):
    net = ns.Network()
    cell = net.population(1, model, name="cell")
    record = [ns.State(cell, [state], interval=duration)]
    trace = ns.simulate(net, duration, dt=dt, record=record, engine=engine).traces["cell"]
    return trace[state][-1, 0]


def precise(rhs, start, duration=4.0):
    solved = solve_ivp(rhs, (0, duration), start, method="DOP853", rtol=1e-13, atol=1e-13)
    return solved.y[:, -1]


X_END = precise(lambda t, s: [s[0] * (1 - s[1]) + 0.3 * np.sin(t), s[1] * (s[0] - 1)], [1.5, 0.7])[
    0
]
V_END = precise(lambda t, s: [-s[0] / 1.5, (-s[1] - s[0] * (s[1] - 1) * 3) / 2], [2.0, 0.0])[1]


def order(errors):
    """Return the slope of log error over log dt."""
    return np.polyfit(np.log(STEPS), np.log(np.abs(errors)), 1)[0]


@pytest.mark.parametrize("method", ORDERS)
def test_order(method):
    errors = [final(lotka_volterra(method=method), dt, "reference", "x") - X_END for dt in STEPS]
    assert order(errors) == pytest.approx(ORDERS[method], abs=0.2)


@pytest.mark.parametrize("method", ORDERS)
def test_order_with_a_linear_part(method):
    """The exact part must not lower the order of the rest."""
    errors = [final(half_linear(method=method), dt, "reference", "v") - V_END for dt in STEPS]
    assert order(errors) == pytest.approx(ORDERS[method], abs=0.2)


@pytest.mark.parametrize("method", [*ORDERS, "rk45"])
def test_engines_integrate_alike(method):
    model = lotka_volterra(method=method)
    expected = final(model, 0.1, "reference", "x")
    assert final(model, 0.1, "cpu", "x") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dt", [0.4, 0.1, 0.025])
def test_adaptive_method_meets_its_tolerance(dt):
    """A tolerance of 1e-9 a substep, about 100 substeps, errors grown a few times."""
    error = final(lotka_volterra(method="rk45"), dt, "reference", "x") - X_END
    assert abs(error) < 1e-6


@pytest.mark.parametrize("dt", [0.1, 1.0])
def test_exponential_euler_is_exact_for_linear_equations(dt):
    x = final(relaxation(method="exponential_euler"), dt, "reference", "x")
    assert x == pytest.approx(1 + 2 * np.exp(-4.0 / 7), rel=1e-13)


def test_spikeless_conductance_neuron_converges_with_order_four():
    """iaf_cond_exp with one input: the exact conductance enters RK4 at the half step, too."""

    def v_end(dt):
        net = ns.Network()
        model = ns.models.iaf_cond_exp(tau_syn_ex=2.0)
        cell = net.population(1, model, name="cell")
        source = net.population(1, ns.models.spike_source(times=[0.8]), name="source")
        net.connect(source, cell, ns.OneToOne(), weight=20.0, delay=0.8)
        record = [ns.State(cell, ["V_m"], interval=8.0)]
        return ns.simulate(net, 8.0, dt=dt, record=record, engine="reference").traces["cell"][
            "V_m"
        ][-1, 0]

    def rhs(t, v):
        g = 20.0 * np.exp(-(t - 1.6) / 2.0)
        return [(-16.6667 * (v[0] + 70) - g * v[0]) / 250.0]

    solved = solve_ivp(rhs, (1.6, 8.0), [-70.0], method="DOP853", rtol=1e-13, atol=1e-12)
    errors = [v_end(dt) - solved.y[0, -1] for dt in (0.8, 0.4, 0.2, 0.1)]
    assert solved.y[0, -1] > -68
    assert np.polyfit(np.log([8, 4, 2, 1]), np.log(np.abs(errors)), 1)[0] > 3.7
