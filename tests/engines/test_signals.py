"""Continuous signals between populations: when they act, how they add up, and who computes them."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neurosim as ns
from neurosim.errors import DelayError, ModelError, NetworkError, ParameterError, UnknownNameError

ENGINES = {"reference": "reference", "cpu": ns.CPU(threads=1)}


class ramp(ns.NeuronModel):
    """A state that grows by its slope every ms."""

    slope = ns.param(1.0, "1/ms")
    equations = "dx/dt = slope : 1"


class adder(ns.NeuronModel):
    """Integrates its input: what was added in each step can be read from the differences."""

    I_e = ns.param(0.0, "pA")
    rate = ns.param(0.0, "Hz")
    equations = """
        dq/dt = I_e : fC
        dn/dt = rate : 1
    """


def differences(values, dt):
    return np.diff(values, axis=0, prepend=0.0) / dt


@pytest.mark.parametrize("engine", ENGINES)
def test_samples_are_held_and_delayed(engine):
    """x(t) = 1 + 2 t, sampled at 0, 0.5, ...: sample k acts on the steps from 0.5 k + d on."""
    dt, interval, delays = 0.1, 0.5, [0.3, 1.2]
    net = ns.Network()
    source = net.population(1, ramp(slope=2.0), name="source", x=1.0)
    target = net.population(2, adder(), name="target")
    rule = ns.Explicit([0, 0], [0, 1])
    options = {"weight": [3.0, -1.0], "delay": delays, "interval": interval}
    net.couple(source, target, rule, signal="2*x", **options)
    record = [ns.State(target, ["q"], interval=dt)]
    q = ns.simulate(net, 6.0, dt=dt, record=record, engine=ENGINES[engine]).traces["target"]["q"]
    start = np.arange(60) * dt
    for k, weight in enumerate([3.0, -1.0]):
        sample = np.floor((start - delays[k]) / interval + 1e-9)
        expected = np.where(sample < 0, 0.0, weight * 2 * (1 + 2 * sample * interval))
        np.testing.assert_allclose(differences(q[:, k], dt), expected, rtol=0, atol=1e-9)


def test_units_of_signal_and_weight():
    """A signal in the target's unit is taken as it is; one without unit gets that of `into`."""
    for signal, into, state, expected in (
        ("x*1[nA]", "I_e", "q", 1000.0),
        ("x", "I_e", "q", 1.0),
        ("x", "rate", "n", 1e-3),
        ("x*1[1/ms]", "rate", "n", 1.0),
    ):
        net = ns.Network()
        source = net.population(1, ramp(slope=0.0), name="source", x=1.0)
        target = net.population(1, adder(), name="target")
        net.couple(source, target, signal=signal, into=into, delay=0.1)
        trace = ns.simulate(net, 1.1, record=[ns.State(target, [state], interval=0.1)]).traces
        assert trace["target"][state][-1, 0] == pytest.approx(expected, rel=1e-12)


def test_a_signal_adds_to_injected_currents():
    net = ns.Network()
    source = net.population(3, ramp(slope=0.0), name="source", x=np.array([1.0, 2.0, 4.0]))
    target = net.population(2, adder(I_e=10.0), name="target")
    net.inject(target, ns.StepCurrent(times=[0.0, 1.0], values=[100.0, 200.0]))
    net.couple(source, target, ns.Explicit([0, 1, 2], [1, 1, 0]), signal="x", delay=0.5)
    net.couple(source[:1], target, signal="x", weight=1000.0, delay=0.2, name="another")
    for engine in ENGINES.values():
        record = [ns.State(target, ["q"], interval=0.1)]
        q = ns.simulate(net, 2.0, record=record, engine=engine).traces["target"]["q"]
        current = differences(q, 0.1)
        np.testing.assert_allclose(current[1], [110.0, 110.0], atol=1e-9)
        np.testing.assert_allclose(current[3], [1110.0, 1110.0], atol=1e-9)
        np.testing.assert_allclose(current[7], [1114.0, 1113.0], atol=1e-9)
        np.testing.assert_allclose(current[-1], [1214.0, 1213.0], atol=1e-9)


# ---- the same network, however it is run


def feedback(seed=3):
    """Return neurons whose adaptation variable drives sleeping neurons, with drawn delays."""
    net = ns.Network()
    adaptive = ns.models.aeif_psc_exp(I_e=ns.Uniform(600, 900))
    a = net.population(20, adaptive, name="a", V_m=ns.Uniform(-70, -55))
    b = net.population(50, ns.models.iaf_psc_exp(I_e=300.0), name="b")
    net.connect(a, b, ns.FixedIndegree(3), weight=60.0, delay=ns.Uniform(1.0, 3.0))
    net.couple(
        a, b, ns.FixedProbability(0.2), signal="w", weight=ns.Normal(0.3, 0.1),
        delay=ns.Uniform(0.5, 4.0), interval=0.7,
    )  # fmt: skip
    return net, [ns.Spikes(a), ns.Spikes(b), ns.State(b, ["V_m"], interval=0.5)]


def run(engine, pieces=(60.0,), reset=False):
    net, record = feedback()
    simulation = ns.Simulation(net, seed=2, engine=engine, record=record)
    for piece in pieces:
        simulation.run(piece)
        if reset:
            simulation.reset()
    return simulation


@functools.cache
def by_reference():
    return run("reference")


def assert_same(one, two, tolerance=0.0):
    a, b = one.results, two.results
    for name in ("a", "b"):
        np.testing.assert_array_equal(a.spikes[name].times, b.spikes[name].times)
        np.testing.assert_array_equal(a.spikes[name].ids, b.spikes[name].ids)
    np.testing.assert_allclose(a.traces["b"]["V_m"], b.traces["b"]["V_m"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("strategy", ["clock", "auto"])
def test_threads_pieces_and_engines_agree(strategy):
    whole = run(ns.CPU(threads=1, strategy=strategy))
    assert len(whole.results.spikes["b"]) > 20
    assert_same(run(ns.CPU(threads=3, strategy=strategy)), whole)
    assert_same(run(ns.CPU(threads=2, strategy=strategy), [0.1, 20.6, 3.5, 35.8]), whole)
    assert_same(by_reference(), whole, 1e-8)


def test_sleeping_targets_wake():
    """A population that sleeps feels every change of its signal."""
    trains = []
    for strategy in ("clock", "auto"):
        net = ns.Network()
        a = net.population(4, ramp(slope=1.0), name="a")
        b = net.population(500, ns.models.iaf_psc_exp(), name="b")
        rule = ns.Explicit([0, 1, 2, 3], [3, 77, 200, 499])
        net.couple(a, b, rule, signal="x", weight=[20.0, 25.0, 30.0, 35.0], interval=3.0)
        engine = ns.CPU(threads=2, strategy=strategy)
        results = ns.simulate(net, 60.0, record=[ns.Spikes(b)], engine=engine)
        assert results.counters["strategies"]["b"] == {"auto": "event"}.get(strategy, strategy)
        spikes = results.spikes["b"]
        trains.append((spikes.times, spikes.ids))
    assert trains[0][0].size > 10
    np.testing.assert_array_equal(trains[0][0], trains[1][0])
    np.testing.assert_array_equal(trains[0][1], trains[1][1])


@pytest.mark.parametrize("cut", [21.0, 33.3])
def test_checkpoint_goes_on(tmp_path, cut):
    whole = run(ns.CPU(threads=1))
    run(ns.CPU(threads=2), [cut]).save(tmp_path / "half.h5")
    for engine, tolerance in ((None, 0.0), (ns.CPU(threads=3), 0.0), ("reference", 1e-8)):
        again = ns.Simulation.load(tmp_path / "half.h5", engine=engine)
        again.run(60.0 - cut)
        assert_same(again, whole, tolerance)
    run("reference", [cut]).save(tmp_path / "half.h5")
    again = ns.Simulation.load(tmp_path / "half.h5", engine="cpu")
    again.run(60.0 - cut)
    assert_same(again, whole, 1e-8)


def test_reset_forgets_samples():
    """After a reset, at a time when samples are taken, a trial repeats itself."""
    for engine in ENGINES.values():
        net = ns.Network()
        source = net.population(1, ramp(slope=1.0), name="source", x=5.0)
        target = net.population(1, adder(), name="target")
        net.couple(source, target, signal="x", interval=2.0, delay=3.0)
        record = [ns.State(target, ["q"], interval=0.5)]
        simulation = ns.Simulation(net, engine=engine, record=record)
        for _ in range(2):
            simulation.run(8.0)
            simulation.reset()
        q = simulation.results.traces["target"]["q"][:, 0]
        assert q[15] > 20.0
        np.testing.assert_allclose(q[16:], q[:16], rtol=1e-12)


def test_dictionary_and_back():
    net, _ = feedback()
    again = ns.Network.from_dict(net.to_dict()).couplings["a~>b"]
    assert repr(again) == repr(net.couplings["a~>b"])
    assert (again.interval, again.parameter, again.signal) == (0.7, "I_e", "w")


# ---- mistakes


def test_mistakes_are_explained():
    net, _ = feedback()
    a, b = net.populations["a"], net.populations["b"]
    source = net.population(4, ns.models.poisson(rate=5.0), name="source")
    for options, error, text in (
        ({"signal": ""}, ParameterError, "an expression is needed"),
        ({"into": "I_x"}, UnknownNameError, "has no parameter 'I_x'"),
        ({"interval": 0.0}, ParameterError, "interval = 0 ms; it must be > 0 ms"),
        ({"delay": 0.0}, DelayError, "delays must be > 0 ms"),
        ({"weight": [1.0, 2.0]}, ParameterError, "only Explicit"),
        ({"rule": ns.OneToOne()}, NetworkError, "equally many"),
    ):
        with pytest.raises(error, match=text):
            net.couple(a, b, **({"signal": "w"} | options))
    with pytest.raises(NetworkError, match="poisson is a spike source and has no states"):
        net.couple(source, b, signal="1")
    assert len(net.couplings) == 1


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"signal": "v"}, ModelError, "unknown name 'v' in signal 'v'. Parameters of aeif_psc_exp"),
        ({"signal": "V_m"}, ModelError, "signal 'V_m' is in mV, but I_e of iaf_psc_exp is in pA"),
        ({"signal": "w + V_m"}, ModelError, "combines"),
        ({"signal": "w > 1[pA]"}, ModelError, "a comparison is no number"),
        ({"signal": "w +"}, ModelError, "signal"),
        ({"signal": "w", "interval": 0.25}, ParameterError, "interval = 0.25 ms; a multiple of dt"),
        ({"signal": "w", "delay": 0.25}, DelayError, "not on the grid of dt = 0.1 ms. Use multi"),
    ],
)
def test_mistakes_found_when_lowering(options, error, text):
    net = ns.Network()
    a = net.population(2, ns.models.aeif_psc_exp(), name="a")
    b = net.population(2, ns.models.iaf_psc_exp(), name="b")
    net.couple(a, b, **options)
    with pytest.raises(error, match=text.replace("(", r"\(")):
        ns.Simulation(net, engine="reference")


def test_sources_of_signals_do_not_sleep():
    net = ns.Network()
    a = net.population(2, ns.models.iaf_psc_exp(), name="a")
    net.couple(a, a, signal="1[nS]*V_m")
    with pytest.raises(ModelError, match="because coupling 'a~>a' samples its states"):
        ns.Simulation(net, engine=ns.CPU(strategy="event"))
    with pytest.raises(NetworkError, match="no exact solution in continuous time"):
        ns.Simulation(net, dt=None)
    net.inject(a, ns.StepCurrent(times=[0.0], values=[1.0]), parameter="E_L")
    with pytest.raises(NetworkError, match="only one parameter can receive them"):
        ns.Simulation(net, engine="reference")
