"""Poisson drive against Campbell's theorem, white noise against the Ornstein-Uhlenbeck process.

Seeds are fixed; bands are five standard errors, so a right program fails for fewer than one seed
in a million.
"""

import numpy as np
import pytest

import neurosim as ns
from neurosim.lower.plan import lower
from neurosim.lower.poisson import poisson_process

TAU_M, TAU_S, C, W, DT = 10.0, 2.0, 250.0, 5.0, 0.1


class ou(ns.NeuronModel):
    """Two Ornstein-Uhlenbeck processes, the second driven by the first."""

    tau = ns.param(5.0, "ms", gt=0)
    sigma = ns.param(2.0, "mV")
    x = ns.state("mV")
    equations = """
        dx/dt = -x/tau + sigma*(2/tau)**0.5*xi : mV
        dy/dt = (x - y)/tau : mV
    """


class ou_stepped(ou):
    """The same noise on an equation that is not linear with constant coefficients."""

    equations = "dx/dt = -x/tau*where(t >= 0[ms], 1, 1) + sigma*(2/tau)**0.5*xi : mV"


def membranes(rate, n_trains, n, engine, duration=300.0):
    """Return V_m - E_L of n neurons without threshold, sampled every 20 ms after 100 ms."""
    net = ns.Network()
    cells = net.population(n, ns.models.iaf_psc_exp(V_th=1e3, tau_syn_ex=TAU_S), name="cells")
    net.poisson_input(cells, rate=rate, n=n_trains, weight=W, receptor="exc")
    record = [ns.State(cells, ["V_m"], interval=20.0)]
    trace = ns.simulate(net, duration, record=record, seed=11, engine=engine).traces["cells"]
    return trace["V_m"][trace.t > 99.0] + 70.0


def campbell(rate):
    """Return mean and variance of V - E_L for Poisson arrivals of `rate` [Hz] on the grid."""
    k = np.arange(1, 20_000) * DT
    a = TAU_M * TAU_S / (C * (TAU_M - TAU_S))
    psp = W * a * (np.exp(-k / TAU_M) - np.exp(-k / TAU_S))
    mean = rate * 1e-3 * DT  # arrivals a step
    return mean * psp.sum(), mean * (psp**2).sum()


@pytest.mark.parametrize(
    ("rate", "n_trains", "n", "engine", "dense"),
    [
        (20.0, 10, 1000, "cpu", False),  # 0.02 arrivals a step
        (20.0, 10, 200, "reference", False),
        (8.0, 1000, 1000, "cpu", True),  # 0.8
        (1000.0, 150, 1000, "cpu", True),  # 15
        (1000.0, 150, 200, "reference", True),
    ],
)
def test_campbells_theorem(rate, n_trains, n, engine, dense):
    process = poisson_process(rate * n_trains * 1e-3 * DT, n, "any", 0, dense_allowed=True)
    assert process.dense is dense
    v = membranes(rate, n_trains, n, engine)
    mean, variance = campbell(rate * n_trains)
    # continuous time: lambda w tau_s tau_m/C, the area of the potential
    assert mean == pytest.approx(rate * n_trains * 1e-3 * W * TAU_S * TAU_M / C, rel=1e-3)
    assert v.shape == (11, n)
    # samples 20 ms apart are correlated by exp(-2) at most; 0.7 of them count as independent
    independent = 0.7 * v.size
    kurtosis = 3 + 1.5 / (rate * n_trains * 1e-3 * TAU_M)  # shot noise of few events has tails
    assert abs(v.mean() - mean) < 5 * np.sqrt(variance / independent)
    assert abs(v.var() / variance - 1) < 5 * np.sqrt((kurtosis - 1) / independent)


def test_poisson_inputs_are_independent():
    v = membranes(8.0, 1000, 400, "cpu")
    correlation = np.corrcoef(v[:, :40].T)
    np.fill_diagonal(correlation, 0.0)
    # 11 samples a neuron: a single correlation has standard error 0.3, their mean 0.011
    assert abs(correlation[np.triu_indices(40, 1)].mean()) < 5 * 0.3 / np.sqrt(780)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("rate", [5.0, 200.0, 4000.0])
def test_poisson_generator(engine, rate):
    n, duration = 300, 100.0
    net = ns.Network()
    sources = net.population(n, ns.models.poisson(rate=rate), name="sources")
    spikes = ns.simulate(net, duration, record=[ns.Spikes(sources)], seed=3, engine=engine).spikes[
        "sources"
    ]
    counts = np.bincount(spikes.ids, minlength=n)
    mean = rate * duration * 1e-3
    assert abs(counts.mean() - mean) < 5 * np.sqrt(mean / n)
    # the variance of a Poisson variance estimate: (mean + 2 mean**2)/n
    assert abs(counts.var(ddof=1) - mean) < 5 * np.sqrt((mean + 2 * mean**2) / n)


def test_inhomogeneous_poisson_follows_its_rate():
    net = ns.Network()
    model = ns.models.inhomogeneous_poisson(times=[50.0, 150.0], rates=[100.0, 20.0])
    sources = net.population(400, model, name="sources")
    times = ns.simulate(net, 250.0, record=[ns.Spikes(sources)], seed=5).spikes["sources"].times
    counts = np.histogram(times, [0, 50.05, 150.05, 250.05])[0]
    expected = np.array([0.0, 4000.0, 800.0])
    assert counts[0] == 0
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected)).all()


def test_exact_covariance_of_white_noise():
    """Van Loan's covariance equals the closed form of the process."""
    net = ns.Network()
    net.population(1, ou(), name="cell")
    noise = lower(net, 0.5, 0, 0, ()).populations[0].model.full.noise
    L = np.array([[noise.get((r, c), 0.0) for c in "xy"] for r in "xy"])
    covariance = L @ L.T
    u, q = 0.5 / 5.0, np.exp(-2 * 0.5 / 5.0)
    # y responds to x with kernel (s/tau) exp(-s/tau), x with exp(-s/tau)
    expected = 4.0 * np.array(
        [
            [1 - q, 0.5 - q * (u + 0.5)],
            [0.5 - q * (u + 0.5), 0.5 - q * (u**2 + u + 0.5)],
        ]
    )
    np.testing.assert_allclose(covariance, expected, rtol=1e-9)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("dt", [0.1, 2.0])
def test_stationary_ou_process(engine, dt):
    """Exact at any step: variance sigma**2, autocorrelation exp(-s/tau)."""
    n = 1000
    net = ns.Network()
    cells = net.population(n, ou(), name="cells")
    record = [ns.State(cells, ["x", "y"], interval=10.0)]
    trace = ns.simulate(net, 150.0, dt=dt, record=record, seed=2, engine=engine).traces["cells"]
    x, y = trace["x"][5:], trace["y"][5:]
    independent = 0.75 * x.size
    assert abs(x.mean()) < 5 * 2.0 / np.sqrt(independent)
    assert abs(x.var() / 4.0 - 1) < 5 * np.sqrt(2 / independent)
    assert abs(y.var() / 2.0 - 1) < 5 * np.sqrt(2 / (0.5 * x.size))
    lag = (x[1:] * x[:-1]).mean() / x.var()
    assert abs(lag - np.exp(-2.0)) < 5 / np.sqrt(independent)


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "heun", "rk4"])
def test_additive_noise_of_stepped_equations(method):
    """With small steps every method reaches the stationary variance (bias below dt/tau = 1 %)."""
    net = ns.Network()
    cells = net.population(2000, ou_stepped(method=method), name="cells")
    record = [ns.State(cells, ["x"], interval=10.0)]
    trace = ns.simulate(net, 80.0, dt=0.05, record=record, seed=2, engine="reference")
    x = trace.traces["cells"]["x"][2:]
    assert abs(x.var() / 4.0 - 1) < 0.015 + 5 * np.sqrt(2 / (0.75 * x.size))


def test_engines_draw_the_same_noise():
    net = ns.Network()
    cells = net.population(20, ou(), name="cells")
    record = [ns.State(cells, ["x", "y"], interval=0.1)]
    first, second = (
        ns.simulate(net, 20.0, record=record, seed=9, engine=e).traces["cells"]
        for e in ("reference", "cpu")
    )
    for name in ("x", "y"):
        np.testing.assert_allclose(first[name], second[name], rtol=0, atol=1e-9)
