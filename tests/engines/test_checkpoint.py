"""A run in pieces, or saved and loaded midway, is one run."""

from __future__ import annotations

import itertools

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import DT, SLEEPING, build, networks
from runs import assert_identical, assert_same_trains, counted, everything, few

import neurosim as ns

STEPS = 300


def made(description, engine, record=everything) -> ns.Simulation:
    network = build(description)
    return ns.Simulation(
        network, dt=DT, seed=description["seed"], record=record(network), engine=engine
    )


def run_steps(simulation: ns.Simulation, steps: int) -> ns.Simulation:
    simulation.run(steps * DT)
    return simulation


def strategies_of(description) -> tuple[str, ...]:
    sleeps = set(description["cells"]) <= set(SLEEPING)
    return ("auto", "clock", "event") if sleeps else ("auto", "clock")


cuts = st.lists(st.integers(0, STEPS) | st.sampled_from([1, 64, 65, STEPS - 1]), max_size=3)


@few(6)
@given(networks(), cuts)
def test_a_run_in_pieces_is_one_run(description, cut):
    for strategy in strategies_of(description):
        whole = run_steps(made(description, ns.CPU(strategy=strategy, threads=1)), STEPS)
        pieces = made(description, ns.CPU(strategy=strategy, threads=2))
        edges = [0, *sorted(cut), STEPS]
        for first, last in itertools.pairwise(edges):
            run_steps(pieces, last - first)
        assert_identical(pieces, whole)
        assert counted(pieces) == counted(whole)


def test_single_steps_are_one_run():
    description = {
        "cells": ["lif_varied", "izhikevich", "delta"], "sources": ["spikes", "poisson", "parrot"],
        "inputs": ["dense", "some"], "currents": ["step", "held noise"], "numbers": 8, "seed": 2,
    }  # fmt: skip
    whole = run_steps(made(description, ns.CPU(threads=1)), 140)
    steps = made(description, ns.CPU(threads=2))
    for _ in range(140):
        run_steps(steps, 1)
    assert whole.counters["spikes"] > 50
    assert_identical(steps, whole)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_load_goes_on_as_if_never_stopped(precision, tmp_path):
    @few(3)
    @given(networks(), st.integers(0, STEPS))
    def run(description, cut):
        for strategy in strategies_of(description):
            if strategy == "clock" and precision == "float32":
                continue  # one more kernel for each kind
            engine = ns.CPU(strategy=strategy, precision=precision, threads=1)
            whole = run_steps(made(description, engine), STEPS)
            half = ns.CPU(strategy=strategy, precision=precision, threads=2)
            run_steps(made(description, half), cut).save(tmp_path / "half.h5")
            same = run_steps(ns.Simulation.load(tmp_path / "half.h5"), STEPS - cut)
            assert same.engine == half
            assert_identical(same, whole)
            assert counted(same) == counted(whole)
            more = ns.CPU(strategy=strategy, precision=precision, threads=3)
            other = run_steps(ns.Simulation.load(tmp_path / "half.h5", engine=more), STEPS - cut)
            assert_identical(other, whole)

    run()


def test_load_goes_on_with_another_engine(tmp_path):
    @few(4)
    @given(networks(), st.integers(0, STEPS))
    def run(description, cut):
        whole = run_steps(made(description, ns.CPU(threads=1)), STEPS)
        for before in ("reference", *strategies_of(description)):
            engine = before if before == "reference" else ns.CPU(strategy=before, threads=2)
            run_steps(made(description, engine), cut).save(tmp_path / "half.h5")
            for after in ("reference", *strategies_of(description)):
                engine = after if after == "reference" else ns.CPU(strategy=after, threads=1)
                found = ns.Simulation.load(tmp_path / "half.h5", engine=engine)
                assert found.time == pytest.approx(cut * DT)
                run_steps(found, STEPS - cut)
                assert_same_trains(found, whole)
                if after in ("clock", "event"):
                    assert set(found.counters["strategies"].values()) == {after}

    run()


def sleeping_network() -> tuple[ns.Network, ns.Population]:
    """Return neurons that sleep from time to time, with input that is long on its way."""
    net = ns.Network()
    source = net.population(
        20, ns.models.spike_source(times=np.arange(20) * 3.7 + 1.0, ids=np.arange(20)),
        name="source",
    )  # fmt: skip
    cells = net.population(300, ns.models.iaf_psc_exp(), name="cells")
    net.connect(
        source, cells, ns.FixedProbability(0.2), weight=ns.Normal(2000.0, 500.0),
        delay=ns.Uniform(0.1, 40.0),
    )  # fmt: skip
    net.connect(cells, cells, ns.FixedOutdegree(2), weight=300.0, delay=25.0)
    net.inject(cells[::3], ns.StepCurrent([30.0, 42.0], [350.0, -50.0]))
    return net, cells


@pytest.mark.parametrize("strategy", ["auto", "event"])
def test_sleeping_neurons_and_pending_input_are_saved(strategy, tmp_path):
    net, cells = sleeping_network()
    record = [ns.Spikes(cells), ns.State(cells, ["V_m", "I_syn_ex"], 0.5)]
    whole = ns.Simulation(net, record=record, engine=ns.CPU(strategy=strategy, threads=1))
    whole.run(100.0)
    assert len(whole.results.spikes["cells"]) > 200
    part = ns.Simulation(net, record=record, engine=ns.CPU(strategy=strategy, threads=2))
    for duration in (33.3, 8.0, 0.1, 20.0):
        part.run(duration)
        state = part._runner.state()
        assert state["event"] == {cells.index: True}
        assert (state["populations"][cells.index]["last"] < part._runner.step).any()  # asleep
        assert state["arrivals"][cells.index][0].size > 0
        part.save(tmp_path / "part.h5")
        part = ns.Simulation.load(tmp_path / "part.h5")
    part.run(100.0 - part.time)
    assert_identical(part, whole)


def test_a_population_that_woke_is_restored_awake(tmp_path):
    # it sleeps when the network is made, so that the loaded simulation first sleeps as well
    net = ns.Network()
    cells = net.population(50, ns.models.iaf_psc_exp(), name="cells")
    net.inject(cells, ns.StepCurrent([0.5], [500.0]))
    record = [ns.Spikes(cells)]
    whole = ns.Simulation(net, record=record, engine=ns.CPU(threads=1))
    assert whole.counters["strategies"] == {"cells": "event"}
    whole.run(100.0)
    half = ns.Simulation(net, record=record, engine=ns.CPU(threads=1))
    half.run(40.0)
    assert half.counters["strategies"] == {"cells": "clock"}
    half.save(tmp_path / "half.h5")
    again = ns.Simulation.load(tmp_path / "half.h5")
    again.run(60.0)
    assert again.counters["strategies"] == {"cells": "clock"}
    assert_same_trains(again, whole)
    assert counted(again) == counted(whole)


def test_streamed_spikes_go_on_where_the_checkpoint_was(tmp_path):
    def recorded(to):
        net, cells = sleeping_network()
        source = net.populations["source"]
        return net, [ns.Spikes(cells[10:200], to=to), ns.Spikes(source, to=to)]

    net, record = recorded(None)
    whole = ns.Simulation(net, record=record, engine=ns.CPU(threads=1))
    whole.run(90.0)
    net, record = recorded(tmp_path / "spikes.h5")
    first = ns.Simulation(net, record=record, engine=ns.CPU(threads=2))
    first.run(50.0)
    first.save(tmp_path / "half.h5")
    first.run(25.0)  # written, and cut off again by load
    again = ns.Simulation.load(tmp_path / "half.h5")
    again.run(40.0)
    assert_same_trains(again, whole)
    for name in ("cells", "source"):
        found = ns.SpikeTrains.from_sonata(tmp_path / "spikes.h5", name)
        expected = whole.results.spikes[name]
        np.testing.assert_array_equal(found.times, expected.times)
        np.testing.assert_array_equal(found.ids, expected.ids)
        assert found.t_stop == pytest.approx(90.0)


def test_save_keeps_weights_recordings_and_seeds(tmp_path):
    net, _ = sleeping_network()
    record = [ns.Weights(net.projections["source->cells"], 10.0)]
    simulation = ns.Simulation(
        net, record=record, seed=2**70, connectivity_seed=-3, engine="reference"
    )
    simulation.run(20.0)
    simulation.save(tmp_path / "a.h5")
    again = ns.Simulation.load(tmp_path / "a.h5")
    assert (again.seed, again.connectivity_seed, again.dt) == (2**70, -3, 0.1)
    assert again.engine == simulation.engine
    weights, expected = (s.results.weights["source->cells"] for s in (again, simulation))
    np.testing.assert_array_equal(weights.weight, expected.weight)
    np.testing.assert_array_equal(weights.times, [10.0, 20.0])


def test_a_file_that_is_no_checkpoint(tmp_path):
    (tmp_path / "text.h5").write_text("no checkpoint")
    with pytest.raises(ns.errors.FileFormatError, match=r"text\.h5"):
        ns.Simulation.load(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ns.errors.FileFormatError, match="no neurosim checkpoint"):
        ns.Simulation.load(tmp_path / "other.h5")
    with pytest.raises(FileNotFoundError):
        ns.Simulation.load(tmp_path / "missing.h5")
    net, _ = sleeping_network()
    ns.Simulation(net, engine="reference").save(tmp_path / "good.h5")
    with h5py.File(tmp_path / "good.h5", "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(ns.errors.FileFormatError, match=r"version 99.*update neurosim"):
        ns.Simulation.load(tmp_path / "good.h5")
    with h5py.File(tmp_path / "good.h5", "r+") as file:
        file.attrs["version"] = 1
        del file["state"]
    with pytest.raises(ns.errors.FileFormatError, match="lacks state"):
        ns.Simulation.load(tmp_path / "good.h5")


def test_a_failing_save_leaves_the_old_file(tmp_path, monkeypatch):
    net, _ = sleeping_network()
    simulation = ns.Simulation(net, engine="reference")
    simulation.save(tmp_path / "a.h5")
    before = (tmp_path / "a.h5").read_bytes()

    def fail():
        raise OSError("disk full")

    monkeypatch.setattr(simulation._runner, "state", fail)
    with pytest.raises(OSError, match="disk full"):
        simulation.save(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == before
