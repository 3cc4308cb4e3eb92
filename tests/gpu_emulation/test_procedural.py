"""Rows that are drawn again at every delivery give the spikes of stored rows, in 0 bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator import Emulated, EmulatedDevice
from hypothesis import given
from hypothesis import strategies as st
from runs import assert_identical, everything, few

import neurosim as ns
from neurosim.errors import NetworkError, NetworkSizeError, ParameterError, UnknownNameError

RULES = (
    ns.FixedProbability(0.2), ns.FixedProbability(0.5, autapses=False), ns.AllToAll(),
    ns.FixedOutdegree(9), ns.FixedTotalNumber(150, autapses=False),
)  # fmt: skip


@st.composite
def networks(draw: Any) -> ns.Network:
    """Draw a network with rules whose rows can be drawn again, and one rule whose rows cannot."""
    net = ns.Network()
    sizes = [draw(st.integers(30, 90)) for _ in range(2)]
    cells = [
        net.population(sizes[0], ns.models.iaf_psc_exp(), name="a", V_m=ns.Uniform(-70.0, -55.0)),
        net.population(sizes[1], ns.models.iaf_cond_exp(), name="b", V_m=ns.Uniform(-70.0, -55.0)),
    ]
    for population, weight in zip(cells, (60.0, 2.0), strict=True):
        net.poisson_input(population, rate=9000.0, weight=weight)
        net.poisson_input(population, rate=1.0, weight=-weight)
    net.connect(cells[0], cells[1], ns.FixedIndegree(3), weight=0.4, delay=0.3)
    rules = draw(st.permutations([*RULES, *RULES]))[:4]
    for number, rule in enumerate([*rules, ns.OneToOne()]):
        pre, post = cells[number % 2], cells[number // 2 % 2]
        size = 30.0 if post is cells[0] else 1.0
        weight = [size, -size, ns.Normal(size, 2 * size), ns.Exponential(-size)][
            draw(st.integers(0, 3))
        ]
        delay = [1.5, ns.Uniform(0.1, 4.0), ns.Normal(2.0, 3.0, low=0.1)][draw(st.integers(0, 2))]
        n = min(pre.n, post.n)
        left, right = (pre, post) if n > 40 and number < 4 else (pre[::-1][:n], post[:n])
        net.connect(left, right, rule, weight=weight, delay=delay, name=f"p{number}")
    return net


def run(net: ns.Network, duration: float = 8.0, **options: Any) -> ns.Simulation:
    engine = Emulated(deterministic=True, **options)
    simulation = ns.Simulation(net, seed=3, record=everything(net), engine=engine)
    simulation.run(duration)
    return simulation


@few(5)
@given(networks())
def test_rows_drawn_again_equal_stored_rows(net):
    stored = run(net)
    assert stored.counters["synaptic_events"] > 20
    for options in (
        {"seed": 1, "launch": "phases"}, {"device": EmulatedDevice(2, blocks=5, chunk=64)},
    ):  # fmt: skip
        found = run(net, procedural=True, **options)
        assert_identical(found, stored)
        assert found.counters["synaptic_events"] == stored.counters["synaptic_events"]
        assert found.counters["bytes"] < stored.counters["bytes"]
    some = run(net, procedural=["p1", "p3"], weights="float16")
    assert_identical(some, run(net, weights="float16", seed=4))


def tree(rule: Any, **options: Any) -> tuple[ns.Network, Any]:
    net = ns.Network()
    a = net.population(100, ns.models.iaf_psc_exp(), name="a")
    net.connect(a, a, rule, weight=ns.Normal(1.0, 0.1), name="aa", **options)
    return net, a


def build(net: ns.Network, **options: Any) -> ns.Simulation:
    return ns.Simulation(net, engine=Emulated(**options))


def test_auto_draws_as_many_rows_as_memory_demands():
    def network() -> ns.Network:
        net, a = tree(ns.FixedProbability(0.5))
        net.connect(a, a, ns.FixedOutdegree(10), weight=1.0, name="few")
        net.connect(a, a, ns.FixedIndegree(10), weight=1.0, name="fixed")
        return net

    def rows_drawn(memory: int) -> list[str]:
        simulation = build(network(), procedural="auto", device=EmulatedDevice(memory=memory))
        synapses = simulation._runner._network.synapses
        return [synapses.connections[k].name for k in synapses.drawn]

    whole, largest = (build(network(), procedural=p).counters["bytes"] for p in (False, ["aa"]))
    assert whole - largest > 5000 * (4 + 8)
    assert rows_drawn(whole) == []
    assert rows_drawn(whole - 1) == ["aa"]
    assert rows_drawn(largest) == ["aa"]
    assert rows_drawn(largest - 1) == ["aa", "few"]
    with pytest.raises(NetworkSizeError, match="1000 synapses of"):
        rows_drawn(1000)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (ns.FixedIndegree(5), "'aa', but FixedIndegree draws the sources of each target"),
        (ns.FixedOutdegree(5, multapses=False), r"has to remember what .*use FixedProbability, "),
        (ns.Explicit([0, 1], [2, 3]), "Explicit lists its synapses"),
    ],
)
def test_rules_that_cannot_be_drawn_again_are_refused(rule, text):
    net, _ = tree(rule)
    with pytest.raises(NetworkError, match=text):
        build(net, procedural=["aa"])
    assert build(net, procedural=True)._runner._network.synapses.drawn == []


def test_names_are_checked():
    net, _ = tree(ns.FixedProbability(0.1))
    with pytest.raises(UnknownNameError, match=r"has no static projection 'ab'.*mean 'aa'"):
        build(net, procedural=["ab"])
    for wrong in (3.5, "most", [1]):
        with pytest.raises(ParameterError, match=r"GPU: procedural = .*'auto' or a list"):
            build(net, procedural=wrong)


def test_one_weight_and_no_spikes_need_no_synapses():
    net = ns.Network()
    source = net.population(3, ns.models.spike_source(times=[1.0, 1.0], ids=[0, 0]), name="s")
    cells = net.population(200, ns.models.iaf_psc_delta(), name="cells")
    net.connect(source, cells, weight=2.0, delay=0.5)
    simulation = run(net, 3.0, procedural=True)
    assert simulation._runner._network.synapses.n_synapses == 0
    # both spikes of one step arrive together: 4 mV of the 15 mV to the threshold
    trace = np.asarray(simulation.results.traces["cells"]["V_m"])
    assert trace[2].min() > -66.5
    assert simulation.counters["synaptic_events"] == 400


def test_what_would_fit_is_told():
    def message(rule: Any, weight: Any, **options: Any) -> str:
        net = ns.Network()
        cells = net.population(100, ns.models.iaf_psc_exp(), name="cells")
        net.connect(cells, cells, rule, weight=weight)
        with pytest.raises(NetworkSizeError) as caught:
            build(net, device=EmulatedDevice(memory=50_000), **options)
        return str(caught.value)

    varied = ns.Normal(1.0, 0.1)
    text = message(ns.AllToAll(), varied, precision="float32")
    assert "10000 synapses of 8.1 bytes 0.1 MiB" in text
    assert "GPU(weights='float16')" in text
    assert "(GPU(procedural=True), 0.1 MiB less)" in text
    assert "recordings" not in text[text.index("Use ") :]
    assert "float16" not in message(ns.AllToAll(), 1.0)
    halves = message(ns.FixedIndegree(100), varied, weights="float16")
    assert "10000 synapses of 6.1 bytes" in halves
    assert "float16" not in halves
    assert "procedural" not in halves
