"""Nothing is lost and nothing comes early: every spike arrives once, after its delay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from random_networks import DT, build, networks
from runs import everything, few

import neurosim as ns

DURATION = 30.0


def pending(simulation: ns.Simulation) -> float:
    """Return the summed weight of the input that is still on its way."""
    arrivals = simulation._runner.state()["arrivals"].values()
    return float(sum(np.sum(amount) for *_, amount in arrivals))


@few(15)
@given(networks())
def test_synaptic_events_are_spikes_times_fan_out(description):
    network = build(description)
    simulation = ns.Simulation(
        network, dt=DT, seed=description["seed"], record=everything(network),
        engine=ns.CPU(threads=2),
    )  # fmt: skip
    simulation.run(DURATION)
    spikes = simulation.results.spikes
    events = 0
    for name, projection in network.projections.items():
        edges = simulation._runner.edges(name)
        pre = projection.pre.population
        fan_out = np.bincount(edges.pre, minlength=pre.n)
        events += int(fan_out[spikes[pre.name].ids].sum())
    assert simulation.counters["synaptic_events"] == events
    assert simulation.counters["spikes"] == sum(len(s) for s in spikes.values())
    assert simulation.counters["steps"] == round(DURATION / DT)


@pytest.mark.parametrize("engine", ["reference", ns.CPU(threads=1), ns.CPU(threads=2)])
def test_emitted_weight_is_delivered_or_pending(engine):
    # leaky membranes without decay would keep the sum: a model that only counts its input
    class counter(ns.NeuronModel):
        total = ns.state("1", init="0")
        forget = ns.param(1e-300, "1/ms", doc="no decay at all")
        equations = "dtotal/dt = -forget*total : 1"
        receptors = {"in": "total += weight"}

    rng = np.random.default_rng(4)
    net = ns.Network()
    times = rng.integers(1, 300, 200) * DT
    source = net.population(
        8, ns.models.spike_source(times=times, ids=rng.integers(0, 8, 200)), name="source"
    )
    counters = net.population(90, counter(), name="counters")
    net.connect(
        source, counters, ns.FixedProbability(0.4), weight=ns.Uniform(0.5, 1.5),
        delay=ns.Uniform(0.1, 25.0), name="edges",
    )  # fmt: skip
    record = [ns.State(counters, ["total"], 30.0), ns.Spikes(source)]
    simulation = ns.Simulation(net, dt=DT, record=record, engine=engine)
    simulation.run(30.0)
    edges = simulation._runner.edges("edges")
    out = np.bincount(edges.pre, weights=edges.weight, minlength=8)
    emitted = out[simulation.results.spikes["source"].ids].sum()
    arrived = simulation.results.traces["counters"]["total"][-1].sum()
    on_the_way = pending(simulation)
    assert on_the_way > 0.1 * emitted
    assert arrived + on_the_way == pytest.approx(emitted, rel=1e-12)


@pytest.mark.parametrize(
    "engine",
    [
        "reference",
        ns.CPU(strategy="clock", threads=2),
        ns.CPU(strategy="event", threads=2),
        ns.CPU(strategy="event", threads=1, precision="float32"),
    ],
)
def test_no_spike_before_its_delay(engine):
    # a delta synapse far above threshold fires its target exactly at t + delay
    rng = np.random.default_rng(1)
    n = 70
    delays = np.arange(1, n + 1) * DT
    times = np.sort(rng.choice(np.arange(1, 100), 5, replace=False)) * DT + 20.0 * np.arange(5)
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=np.round(times, 6)), name="source")
    targets = net.population(n, ns.models.iaf_psc_delta(t_ref=0.5), name="targets")
    net.connect(
        source, targets, ns.Explicit(np.zeros(n, int), np.arange(n)), weight=100.0, delay=delays
    )
    results = ns.simulate(net, 120.0, dt=DT, record=[ns.Spikes(targets)], engine=engine)
    spikes = results.spikes["targets"]
    expected = np.rint((times[:, None] + delays[None, :]) / DT)
    for i in range(n):
        np.testing.assert_array_equal(np.rint(spikes.times[spikes.ids == i] / DT), expected[:, i])


def test_a_silent_network_does_nothing():
    net = ns.Network()
    cells = net.population(1000, ns.models.iaf_psc_exp(), name="cells")
    net.connect(cells, cells, ns.FixedOutdegree(10), weight=100.0)
    simulation = ns.Simulation(net, record=[ns.Spikes(cells)], engine=ns.CPU(threads=2))
    simulation.run(10_000.0)
    counters = simulation.counters
    assert counters["strategies"] == {"cells": "event"}
    assert counters["steps"] == 100_000
    assert counters["neuron_updates"] == counters["spikes"] == counters["synaptic_events"] == 0
