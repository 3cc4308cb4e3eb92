"""All engines, strategies and numbers of threads give the same spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from random_networks import DT, DURATION, SLEEPING, STEPPED, build, networks
from runs import assert_identical, assert_same_trains, counted, everything, few, traces

import neurosim as ns
import neurosim.engines.cpu.runner


def simulated(description: dict[str, Any], engine: Any, *, whole: bool = True) -> ns.Simulation:
    network = build(description)
    record = everything(network) if whole else [ns.Spikes(p) for p in network.populations.values()]
    simulation = ns.Simulation(
        network, dt=DT, seed=description["seed"], record=record, engine=engine
    )
    simulation.run(DURATION)
    return simulation


def assert_near(found: ns.Simulation, expected: ns.Simulation) -> None:
    """States agree up to the rounding of powers against repeated products."""
    a, b = traces(found), traces(expected)
    for name, values in b.items():
        np.testing.assert_allclose(a[name], values, rtol=1e-8, atol=1e-8, err_msg=name)


@few(7)
@given(networks(kinds=SLEEPING))
def test_event_equals_clock_equals_reference(description):
    expected = simulated(description, "reference")
    for strategy, threads in (("clock", 1), ("event", 1), ("auto", 1), ("clock", 2), ("event", 3)):
        found = simulated(description, ns.CPU(strategy=strategy, threads=threads))
        assert_same_trains(found, expected)
        assert_near(found, expected)
        for name in ("spikes", "synaptic_events"):
            assert found.counters[name] == expected.counters[name]


@few(9)
@given(networks(kinds=SLEEPING + STEPPED))
def test_mixed_strategies_equal_reference(description):
    expected = simulated(description, "reference", whole=False)
    for strategy, threads in (("auto", 1), ("clock", 3), ("auto", 2)):
        found = simulated(description, ns.CPU(strategy=strategy, threads=threads), whole=False)
        assert_same_trains(found, expected)


def test_the_random_networks_are_not_empty():
    # a guard for the tests above: nearly all examples have spikes, synaptic events and input
    active = []

    @few(12)
    @given(networks())
    def run(description):
        found = simulated(description, ns.CPU(threads=1), whole=False)
        active.append(found.counters["spikes"] > 50 and found.counters["synaptic_events"] > 50)

    run()
    assert np.mean(active) > 0.5


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("buffered", [False, True])
def test_threads_change_no_bit(precision, buffered, monkeypatch):
    if buffered:  # as for rings that are larger than the cache
        monkeypatch.setattr(neurosim.engines.cpu.runner, "_CACHE", 0)

    @few(5)
    @given(networks())
    def run(description):
        sleeps = set(description["cells"]) <= set(SLEEPING)
        # "clock" alone would be one more kernel for each kind: in one precision
        more = ("event",) if sleeps else ("clock",) if precision == "float64" else ()
        for strategy in ("auto", *more):
            one, two, three = (
                simulated(
                    description, ns.CPU(strategy=strategy, precision=precision, threads=threads)
                )
                for threads in (1, 2, 3)
            )
            for other in (two, three):
                assert_identical(other, one)
                assert counted(other) == counted(one)

    run()


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("strategy", ["event", "clock"])
def test_volleys_are_summed_in_one_order(strategy, precision):
    # many neurons spike in one step, woken in an order that is not theirs; what arrives together
    # at a target is rounded at every addition
    rng = np.random.default_rng(0)
    n = 150
    net = ns.Network()
    source = net.population(n, ns.models.spike_source(times=np.full(n, 1.0), ids=np.arange(n)))
    cells = net.population(n, ns.models.iaf_psc_delta(t_ref=1.0), name="cells")
    net.connect(source, cells, ns.Explicit(np.arange(n), rng.permutation(n)), weight=50.0)
    net.connect(cells, cells, weight=ns.Normal(0.2, 1.0), delay=2.0)
    recorded = []
    for threads in (1, 2, 3):
        simulation = ns.Simulation(
            net, record=[ns.Spikes(cells), ns.State(cells, ["V_m"], 0.1)],
            engine=ns.CPU(strategy=strategy, precision=precision, threads=threads),
        )  # fmt: skip
        simulation.run(10.0)
        recorded.append(simulation)
    assert len(recorded[0].results.spikes["cells"]) > n
    for other in recorded[1:]:
        assert_identical(other, recorded[0])


def test_buffered_delivery_changes_no_bit(monkeypatch):
    @few(10)
    @given(networks())
    def run(description):
        direct = simulated(description, ns.CPU(threads=1))
        with monkeypatch.context() as patch:
            patch.setattr(neurosim.engines.cpu.runner, "_CACHE", 0)
            assert_identical(simulated(description, ns.CPU(threads=2)), direct)

    run()


def balanced(seed: int = 3) -> tuple[ns.Network, Any]:
    net = ns.Network()
    cells = net.population(
        400, ns.models.iaf_psc_exp(I_e=ns.Normal(200.0, 40.0)), name="cells",
        V_m=ns.Uniform(-70.0, -55.0),
    )  # fmt: skip
    net.connect(cells[:320], cells, ns.FixedProbability(0.05), weight=60.0, delay=1.5, name="exc")
    net.connect(cells[320:], cells, ns.FixedProbability(0.05), weight=-240.0, delay=0.8, name="inh")
    net.poisson_input(cells, rate=8.0, n=300, weight=60.0)
    return net, cells


def test_single_precision_has_the_same_rates():
    # the trajectories diverge, the mean rate of 400 neurons in 1 s does not: with about 3000
    # spikes whose variance is at most Poisson, 5 standard deviations of the difference are 13 %
    rates = []
    for precision in ("float64", "float32"):
        net, cells = balanced()
        engine = ns.CPU(precision=precision, threads=1)
        results = ns.simulate(net, 1000.0, record=[ns.Spikes(cells)], seed=5, engine=engine)
        rates.append(results.spikes["cells"].rates().mean())
    assert rates[0] > 5.0
    assert abs(rates[1] / rates[0] - 1.0) < 0.13


def test_heterogeneous_neurons_equal_single_ones():
    # n neurons with different parameters behave as n populations of one
    values = np.linspace(380.0, 700.0, 7)
    net = ns.Network()
    together = net.population(7, ns.models.iaf_psc_exp(I_e=values), name="together")
    alone = [
        net.population(1, ns.models.iaf_psc_exp(I_e=v), name=f"alone {k}")
        for k, v in enumerate(values)
    ]
    record = [ns.Spikes(together), *(ns.Spikes(p) for p in alone)]
    spikes = ns.simulate(net, 200.0, record=record, engine=ns.CPU(threads=2)).spikes
    for k, population in enumerate(alone):
        mine = spikes["together"].times[spikes["together"].ids == k]
        assert mine.size > 3
        np.testing.assert_array_equal(mine, spikes[population.name].times)
