"""Structural plasticity on permanences: windows, bounds, drift, maturity, homeostasis."""

from typing import Any

import numpy as np
import pytest
from plastic_pair import sent_weights, weights_after

import neurosim as ns

M = ns.models
DELAY = 2.0
ENGINES = ["reference", "cpu"]


def permanences(rule: Any, pre: Any, seen: Any, start: float, engine: Any, stop: float) -> Any:
    """Return permanences after postsynaptic spikes that reach the synapses at `seen`."""
    post = [np.asarray(t) - DELAY for t in seen]
    return weights_after(rule, pre, post, weight=start, delay=DELAY, stop=stop, engine=engine)


def drifted(p: Any, time: float, rule: Any) -> Any:
    """Return a permanence after some time without spikes."""
    low = rule.values["Pmin"]
    return low + (p - low) * np.exp(-time / rule.values["tau_perm"])


def spelled_out(rule: Any, pre: Any, seen: Any, start: float, stop: float) -> float:
    """Return the permanence by the published rule, event by event, for one synapse."""
    v = rule.values
    homeostatic = "lambda_h" in v
    p, x, y, last_pre, last_post, now = start, 0.0, 0.0, -np.inf, -np.inf, 0.0
    events = sorted([(t, 1) for t in pre] + [(t, 0) for t in seen])  # the target's come first
    for t, is_pre in [*events, (stop, 2)]:
        x, y = x * np.exp(-(t - now) / v["tau_x"]), y * np.exp(-(t - now) / v["tau_y"])
        p, now = p if homeostatic else drifted(p, t - now, rule), t
        if is_pre == 1:
            step = v["Pmax"] * v["lambda_minus"] * (p / v["Pmax"]) ** v["mu_minus"]
            if homeostatic:
                p = max(v["Pmin"], p - step)
            elif round(t - last_post, 6) < v["dt_max"]:
                p = max(v["Pmin"], p - step * y)
            x, last_pre = x + 1.0, t
        elif is_pre == 0:
            lag = round(t - last_pre, 6)
            gain = v["Pmax"] * v["lambda_"] * (1.0 - p / v["Pmax"]) ** v["mu_plus"]
            if v["dt_min"] < lag < v["dt_max"]:
                p += gain * x + (v["Pmax"] * v["lambda_h"] * v["zt"] if homeostatic else 0.0)
            elif lag < v["dt_min"]:
                p += gain * (x - np.exp(-lag / v["tau_x"]))
            p = min(max(p, 0.0), v["Pmax"])
            y, last_post = y + 1.0, t
    return p


@pytest.mark.parametrize("engine", ENGINES)
def test_window_of_potentiation(engine: str) -> None:
    """Only lags between 4 and 50 ms count, both excluded; too late a spike is left out."""
    rule, stop = M.stdsp(tau_perm=1000.0), 120.0
    lags = np.array([0.1, 3.9, 4.0, 4.1, 20.0, 49.9, 50.0, 50.1])
    found = permanences(rule, [[20.0]] * 8, [[20.0 + lag] for lag in lags], 3.0, engine, stop)
    inside = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    at = drifted(3.0, 20.0 + lags, rule) + inside * 20.0 * 0.6 * np.exp(-lags / 20.0)
    np.testing.assert_allclose(found, drifted(at, stop - 20.0 - lags, rule), rtol=1e-9)
    # two spikes: the trace of the first alone counts when the second came 2 ms before
    found = permanences(rule, [[20.0, 38.0]], [[40.0]], 3.0, engine, stop)
    at = drifted(3.0, 40.0, rule) + 20.0 * 0.6 * np.exp(-1.0)
    np.testing.assert_allclose(found, drifted(at, 80.0, rule), rtol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_depression_and_bounds(engine: str) -> None:
    """Less than 50 ms after a postsynaptic spike, and never below Pmin; never above Pmax."""
    rule = M.stdsp(tau_perm=1e9, lambda_minus=0.1, mu_minus=1.0)
    lags = np.array([0.1, 10.0, 49.9, 50.0, 70.0])
    found = permanences(rule, [[20.0 + a] for a in lags], [[20.0]] * 5, 6.0, engine, 150.0)
    lost = np.array([1, 1, 1, 0, 0]) * 0.1 * 6.0 * np.exp(-lags / 20.0)
    np.testing.assert_allclose(found, 6.0 - lost, rtol=1e-6)
    hard = rule.replace(mu_minus=0.0, lambda_minus=1.0)
    assert permanences(hard, [[25.0]], [[20.0]], 6.0, engine, 40.0) == pytest.approx(1.0, rel=1e-6)
    strong = rule.replace(lambda_=5.0)
    found = permanences(strong, [[20.0]], [[30.0]], 6.0, engine, 40.0)
    assert found == pytest.approx(20.0, rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_maturity(engine: str) -> None:
    """Nothing is transmitted up to th_perm, Wmax above; the drift ends maturity again."""
    rule = M.stdsp(tau_perm=200.0, Wmax=12.98, lambda_=0.6, lambda_minus=0.0)
    pre = np.array([10.0, 60.0, 110.0, 160.0, 700.0])
    seen = np.array([20.0, 70.0, 120.0])
    sent = sent_weights(rule, pre, seen - DELAY, weight=5.0, delay=DELAY, engine=engine)
    p = [spelled_out(rule, pre[pre < t], seen[seen < t], 5.0, t) for t in pre]
    np.testing.assert_allclose(sent, np.where(np.array(p) > 10.0, 12.98, 0.0))
    assert set(sent) == {0.0, 12.98}
    assert sent[-1] == 0.0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "rule",
    [
        M.stdsp(tau_perm=900.0),
        M.stdsp(mu_plus=0.7, mu_minus=1.0, lambda_minus=0.3, dt_min=8.0, dt_max=30.0),
        M.stdsp_homeostasis(lambda_minus=0.03),
    ],
    ids=["default", "dependent", "homeostasis"],
)
def test_random_trains(rule: Any, engine: str) -> None:
    """Many pairs of Poisson trains, against the rule spelled out event by event."""
    rng = np.random.default_rng(4)
    trains = [np.unique(np.round(rng.uniform(5.0, 495.0, 12), 1)) for _ in range(60)]
    pre, post = trains[:30], trains[30:]
    if "lambda_h" in rule.values:
        rule = without_z(rule)  # the player of given trains has none
    found = permanences(rule, pre, post, 6.0, engine, 510.0)
    expected = [spelled_out(rule, p, q, 6.0, 510.0) for p, q in zip(pre, post, strict=True)]
    assert np.ptp(expected) > 3.0
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def without_z(rule: Any) -> Any:
    """Return the homeostatic rule for a target whose z is always 0."""
    text = M.stdsp_homeostasis.on_post.replace("zt - z_post", "zt")
    return type("no_z", (M.stdsp_homeostasis,), {"on_post": text})(**rule.values)


@pytest.mark.parametrize("engine", ENGINES)
def test_homeostasis_reads_the_target(engine: str) -> None:
    """A spike after a dendritic action potential changes the permanence by zt - z of that time."""
    rule = M.stdsp_homeostasis(lambda_minus=0.0, zt=0.4, lambda_h=0.1)
    net = ns.Network()
    cell = net.population(1, M.iaf_psc_exp_nonlineardendrite(), name="cell")
    for name, times, receptor, weight in (
        ("dendrite", [10.0], "dend", 100.0), ("soma", [50.0], "exc", 4112.2),
    ):  # fmt: skip
        source = net.population(1, M.spike_source(times=times), name=name)
        net.connect(source, cell, weight=weight, delay=0.1, receptor=receptor)
    source = net.population(1, M.spike_source(times=[30.0]), name="pre")
    net.connect(
        source, cell, weight=5.0, delay=DELAY, receptor="dend", synapse=rule, name="plastic"
    )
    record = [ns.Spikes(cell), ns.State(cell, ["dAP", "z"], interval=0.1)]
    sim = ns.Simulation(net, record=record, engine=engine)
    sim.run(60.0)
    (spike,) = sim.results.spikes["cell"].times
    traces = sim.results.traces["cell"]
    onset = traces.t[np.argmax(traces["dAP"][:, 0] > 0)]
    assert 10.0 < onset < 13.0
    z = np.exp(-(spike - onset) / 440.0)
    gain = 20.0 * (0.28 * np.exp(-(spike + DELAY - 30.0) / 20.0) + 0.1 * (0.4 - z))
    assert sim.weights("plastic").weight == pytest.approx([5.0 + gain], rel=1e-9)


def test_homeostasis_needs_the_trace() -> None:
    """A target without z is an error that names it."""
    net = ns.Network()
    cells = net.population(2, M.iaf_psc_exp(), name="cells")
    net.connect(cells, cells, weight=1.0, synapse=M.stdsp_homeostasis())
    with pytest.raises(ns.errors.ModelError, match="z_post, but iaf_psc_exp has no state z"):
        ns.simulate(net, 1.0)
