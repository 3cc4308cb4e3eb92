"""Lists of input for sleeping populations that are full, and so are added to the ring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import DT, SLEEPING, build, networks
from runs import assert_identical, assert_same_trains, counted, everything, few

import neurosim as ns
import neurosim.engines.cpu.runner
import neurosim.engines.cpu.thread
from neurosim.engines.cpu.kernels import layout as L

STEPS = 200


def shorten(patch: pytest.MonkeyPatch, capacity: int) -> None:
    patch.setattr(neurosim.engines.cpu.thread, "inbox_capacity", lambda channels: capacity)


def toggled(simulation: ns.Simulation, steps: int, cuts: list[int]) -> ns.Simulation:
    """Run, and at some steps let the populations that sleep wake, and the others sleep."""
    runner = simulation._runner
    for cut in [*sorted(cuts), steps]:
        simulation.run(cut * DT - simulation.time)
        for index, (_, _, sleep) in runner.kernels.items():
            if sleep is not None and cut < steps:
                runner.sleeping.set(index, not runner.sleeping.event[index])
    return simulation


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_full_lists_change_no_bit(precision, monkeypatch, tmp_path):
    @few(5)
    @given(networks(kinds=SLEEPING), st.integers(1, 3), st.integers(0, STEPS))
    def run(description, capacity, cut):
        def made(threads):
            network = build(description)
            engine = ns.CPU(strategy="event", precision=precision, threads=threads)
            return ns.Simulation(
                network, dt=DT, seed=description["seed"], record=everything(network), engine=engine
            )

        expected = made(1)
        expected.run(STEPS * DT)
        with monkeypatch.context() as patch:
            shorten(patch, capacity)
            found = made(2)
            found.run(cut * DT)
            found.save(tmp_path / "cut.h5")  # which adds all lists to the ring
            for simulation in (found, ns.Simulation.load(tmp_path / "cut.h5")):
                simulation.run((STEPS - cut) * DT)
                assert_identical(simulation, expected)
                assert counted(simulation) == counted(expected)

    run()


@pytest.mark.parametrize("buffered", [False, True])
def test_full_lists_and_changes_of_strategy_change_no_bit(buffered, monkeypatch):
    if buffered:
        monkeypatch.setattr(neurosim.engines.cpu.runner, "_CACHE", 0)

    @few(5)
    @given(
        networks(kinds=SLEEPING), st.integers(1, 3),
        st.lists(st.integers(0, STEPS), min_size=1, max_size=4, unique=True),
    )  # fmt: skip
    def run(description, capacity, cuts):
        def made(threads, strategy="event"):
            network = build(description)
            engine = ns.CPU(strategy=strategy, threads=threads)
            return ns.Simulation(
                network, dt=DT, seed=description["seed"], record=everything(network), engine=engine
            )

        expected = toggled(made(1), STEPS, cuts)
        plain = made(2, "clock")
        plain.run(STEPS * DT)
        assert_same_trains(expected, plain)
        with monkeypatch.context() as patch:
            shorten(patch, capacity)
            for threads in (1, 3):
                found = toggled(made(threads), STEPS, cuts)
                assert_identical(found, expected)
                assert counted(found) == counted(expected)

    run()


def test_a_list_that_is_full_many_times_in_a_step(monkeypatch):
    # 1400 arrivals of very different sizes at each of 4 neurons in one step (the list holds 256),
    # then dense Poisson input: every sum is rounded in the order of arrival
    n = 700
    rng = np.random.default_rng(4)
    weights = rng.normal(0.0, 1.0, 4 * n) * 10.0 ** rng.integers(-12, 1, 4 * n)
    net = ns.Network()
    model = ns.models.spike_source(times=np.full(2 * n, 1.0), ids=np.tile(range(n), 2))
    source = net.population(n, model, name="source")
    cells = net.population(4, ns.models.iaf_psc_delta(), name="cells")
    targets = ns.Explicit(np.repeat(np.arange(n), 4), np.tile(np.arange(4), n))
    net.connect(source, cells, targets, weight=weights / 100.0, delay=1.5)
    net.poisson_input(cells, rate=4000.0, weight=1e-3)
    runs = []
    for capacity in (None, 10_000):
        if capacity is not None:
            shorten(monkeypatch, capacity)
        simulation = ns.Simulation(
            net, record=[ns.State(cells, ["V_m"], 0.1)], seed=1,
            engine=ns.CPU(strategy="event", threads=1),
        )  # fmt: skip
        assert simulation._runner.threads[0].pops[1, L.P_EVENT_CAPACITY] == (capacity or 256)
        simulation.run(3.0)
        runs.append(simulation)
    v = runs[0].results.traces["cells"]["V_m"]
    assert np.abs(v[24] - v[23]).max() > 0.1
    assert_identical(runs[0], runs[1])
