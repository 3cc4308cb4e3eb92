"""Threads run several steps between meetings: nothing that can be seen depends on how many."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import DT, SLEEPING, build, networks
from runs import assert_identical, assert_same_trains, counted, everything, few, trains

import neurosim as ns
import neurosim.engines.cpu.runner
import neurosim.engines.cpu.thread
from neurosim.engines.cpu.kernels import layout as L
from neurosim.errors import SimulationError

STEPS = 250


@few(6)
@given(networks(), st.sampled_from([1, 3, 10]))
def test_meeting_more_often_changes_no_bit(description, longest):
    sleeps = set(description["cells"]) <= set(SLEEPING)
    for strategy in ("auto", "event" if sleeps else "clock"):
        runs = []
        for most, threads in ((64, 2), (longest, 1), (longest, 3)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(neurosim.engines.cpu.runner, "LONGEST_STRIDE", most)
                network = build(description)
                simulation = ns.Simulation(
                    network, dt=DT, seed=description["seed"], record=everything(network),
                    engine=ns.CPU(strategy=strategy, threads=threads),
                )  # fmt: skip
            assert simulation._runner.stride <= most
            simulation.run(STEPS * DT)
            runs.append(simulation)
        for other in runs[1:]:
            assert_identical(other, runs[0])
            assert counted(other) == counted(runs[0])


def rarely_active(shortest: int, seed: int) -> tuple[ns.Network, list[ns.Spikes]]:
    """Return two populations that sleep but for rare volleys, which one hands to the other."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 19_000, 12)
    net = ns.Network()
    times = np.concatenate([steps, steps[:3], steps[:1] + 1]) * DT  # some twice in a step
    source = net.population(3, ns.models.spike_source(times=times, ids=rng.integers(0, 3, 16)))
    first = net.population(2, ns.models.iaf_psc_delta(), name="first")
    second = net.population(40, ns.models.iaf_psc_exp(), name="second")
    first_step = shortest * DT
    delay = ns.Uniform(first_step, first_step + 20.0)
    net.connect(source, first, weight=40.0, delay=first_step)
    net.connect(source, second, weight=ns.Uniform(100.0, 3000.0), delay=delay)
    net.connect(first, second, weight=3000.0, delay=delay)
    net.connect(second, first, ns.FixedTotalNumber(9), weight=0.5, delay=first_step + 0.1)
    return net, [ns.Spikes(p) for p in (source, first, second)]


@few(7)
@given(
    st.sampled_from([1, 2, 8, 25, 64]), st.integers(0, 99),
    st.lists(st.integers(1, 20_000), max_size=4),
)  # fmt: skip
def test_silence_that_is_jumped_over(shortest, seed, cuts):
    net, record = rarely_active(shortest, seed)
    expected = ns.Simulation(net, record=record, engine=ns.CPU(strategy="clock", threads=1))
    expected.run(20_000 * DT)
    assert len(expected.results.spikes["second"]) > 20
    for threads in (1, 2, 3):
        engine = ns.CPU(strategy="event", threads=threads)
        found = ns.Simulation(net, record=record, engine=engine)
        for first, last in itertools.pairwise([0, *sorted(cuts), 20_000]):
            found.run((last - first) * DT)
        assert_same_trains(found, expected)
        assert found.counters["synaptic_events"] == expected.counters["synaptic_events"]
        assert found.counters["neuron_updates"] < 42 * 20_000 / 4


@few(6)
@given(st.sampled_from([2, 8, 25]), st.integers(0, 99), st.integers(1, 20_000))
def test_silence_across_a_checkpoint(tmp_path_factory, shortest, seed, cut):
    path = tmp_path_factory.mktemp("silence") / "a.h5"
    net, record = rarely_active(shortest, seed)
    whole = ns.Simulation(net, record=record, engine=ns.CPU(strategy="event", threads=1))
    whole.run(20_000 * DT)
    # three threads for two neurons: one of them has none of the first population
    half = ns.Simulation(net, record=record, engine=ns.CPU(strategy="event", threads=3))
    half.run(cut * DT)
    half.save(path)
    for simulation in (half, ns.Simulation.load(path)):
        simulation.run((20_000 - cut) * DT)
        assert_same_trains(simulation, whole)
        assert counted(simulation) == counted(whole)


def test_lists_of_spikes_stay_short(monkeypatch):
    # all members of a source spike in every step: recordings are fetched in time, and where the
    # lists would be long, threads meet more often
    monkeypatch.setattr(neurosim.engines.cpu.thread, "_SPIKE_BUFFER", 1)
    runs = []
    for longest in (1 << 23, 300):
        monkeypatch.setattr(neurosim.engines.cpu.runner, "_LONGEST_LIST", longest)
        net = ns.Network()
        model = ns.models.spike_source(
            times=np.repeat(np.arange(1, 401) * DT, 20), ids=np.tile(np.arange(20), 400)
        )
        source = net.population(20, model, name="source")
        cells = net.population(60, ns.models.iaf_psc_delta(), name="cells")
        net.connect(source, cells, ns.FixedIndegree(4), weight=0.3, delay=ns.Uniform(2.0, 5.0))
        record = [ns.Spikes(source), ns.Spikes(cells)]
        simulation = ns.Simulation(net, record=record, engine=ns.CPU(threads=2))
        assert max(a.size for t in simulation._runner.threads for a in t.lists[0]) <= longest
        simulation.run(40.0)
        runs.append(simulation)
    assert [s._runner.stride for s in runs] == [20, 6]
    assert len(runs[0].results.spikes["source"]) == 20 * 400
    assert len(runs[0].results.spikes["cells"]) > 100
    assert_identical(runs[1], runs[0])


# ---- failures within a stride


def failing(weights: dict[tuple[int, float], float], threads: int, strategy: str):
    """Return a simulation of neurons that weights of 1e308, twice, turn into no numbers."""
    net = ns.Network()
    rng = np.random.default_rng(0)
    drive = ns.models.spike_source(times=np.sort(rng.integers(1, 80, 60)) * DT, ids=range(60))
    busy = net.population(60, drive, name="busy")
    cells = net.population(90, ns.models.iaf_psc_exp(), name="cells")
    other = net.population(30, ns.models.iaf_psc_delta(), name="other")
    net.connect(busy, cells, ns.FixedIndegree(3), weight=5000.0, delay=2.0)
    net.connect(busy, other, ns.FixedIndegree(2), weight=20.0, delay=2.0)
    for k, ((neuron, time), weight) in enumerate(weights.items()):
        source = net.population(1, ns.models.spike_source(times=[time - 2.0]), name=f"bad {k}")
        net.connect(source, cells[neuron], ns.Explicit([0, 0], [0, 0]), weight=weight, delay=2.0)
    record = [
        ns.Spikes(busy), ns.Spikes(cells), ns.Spikes(other), ns.State(cells[:20], ["V_m"], 0.1),
        ns.State(other[20:], ["V_m"], 0.3),
    ]  # fmt: skip
    engine = ns.CPU(strategy=strategy, threads=threads)
    return ns.Simulation(net, record=record, engine=engine, seed=3)


@pytest.mark.parametrize("strategy", ["clock", "event"])
@pytest.mark.parametrize("weight", [1e308, -1e308])
@pytest.mark.parametrize("first", [70, 30])
def test_the_first_failure_counts(strategy, weight, first):
    # two threads fail in one window (steps 21 to 40), the one that fails first has done nothing
    # wrong in the other's eyes: it is named, and nothing is left of what came later
    healthy = failing({}, 1, strategy)
    healthy.run(10.0)
    second = 100 - first
    for threads in (1, 2, 3):
        found = failing({(first, 3.3): weight, (second, 3.9): weight}, threads, strategy)
        assert found._runner.stride == 20
        for _ in range(2):
            with pytest.raises(
                SimulationError, match=rf"neuron {first} of population 'cells' .* t = 3.3 ms"
            ):
                found.run(10.0)
        assert found.time == pytest.approx(3.3)
        for name, (times, ids) in trains(healthy).items():
            before = times < 3.25
            assert before.sum() > 5
            mine = trains(found)[name]
            np.testing.assert_array_equal(mine[0][mine[0] < 3.25], times[before])
            np.testing.assert_array_equal(mine[1][mine[0] < 3.25], ids[before])
            assert mine[0].max(initial=0.0) < 3.35
        for name, rows in (("cells", 33), ("other", 11)):
            traces = found.results.traces[name]["V_m"]
            assert traces.shape[0] == rows
            np.testing.assert_array_equal(traces, healthy.results.traces[name]["V_m"][:rows])


@pytest.mark.parametrize("threads", [1, 2])
def test_parrots_with_too_many_spikes(threads):
    net = ns.Network()
    times = np.concatenate([[1.0], np.full(1100, 1.4), np.full(1100, 1.7)])
    source = net.population(1, ns.models.spike_source(times=times), name="source")
    quiet = net.population(1, ns.models.parrot(), name="quiet")
    parrots = net.population(3, ns.models.parrot(), name="parrots")
    net.connect(source, parrots, delay=2.0)
    net.connect(source, quiet, delay=9.0)
    record = [ns.Spikes(parrots), ns.Spikes(source)]
    simulation = ns.Simulation(net, record=record, engine=ns.CPU(threads=threads))
    for _ in range(2):
        with pytest.raises(SimulationError, match=r"'parrots': more than 64 .* t = 3.4 ms"):
            simulation.run(20.0)
    np.testing.assert_allclose(simulation.results.spikes["parrots"].times, [3.0] * 3)
    assert len(simulation.results.spikes["source"]) == 2201


@pytest.mark.parametrize("threads", [1, 2])
def test_silence_costs_no_calls_and_decides_alike(threads, monkeypatch):
    """A burst, then 20 s of nothing: decisions are those of a run that is cut everywhere."""

    def simulation():
        net = ns.Network()
        times = np.concatenate([np.arange(1.0, 300.0, 0.5), [25_000.0]])
        source = net.population(
            50, ns.models.spike_source(times=np.tile(times, 50), ids=np.repeat(np.arange(50), 599)),
            name="source",
        )  # fmt: skip
        cells = net.population(200, ns.models.iaf_psc_exp(), name="cells")
        net.connect(source, cells, ns.FixedIndegree(20), weight=60.0, delay=1.5)
        engine = ns.CPU(threads=threads)
        return ns.Simulation(net, record=[ns.Spikes(cells)], engine=engine, seed=1)

    calls = []
    module = neurosim.engines.cpu.runner
    original = module.run_thread
    monkeypatch.setattr(module, "run_thread", lambda *a: calls.append(a[2:4]) or original(*a))
    whole, cut = simulation(), simulation()
    whole.run(25_100.0)
    silent = [c for c in calls if c[0] > 8_192 and c[1] < 249_000]
    assert not silent  # asleep since the decision at step 6,144
    for stop in np.diff([0.0, 100.3, 299.9, 500.0, 7000.0, 7000.1, 24_999.9, 25_001.0, 25_100.0]):
        cut.run(stop)
    assert len(whole.results.spikes["cells"]) > 1000
    assert_identical(whole, cut)
    runners = whole._runner, cut._runner
    assert runners[0].sleeping.since == runners[1].sleeping.since
    assert runners[0].sleeping.event == runners[1].sleeping.event


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_take_the_decisions_that_python_would(threads, monkeypatch):
    """Bursts, quiet and silent stretches: the same strategies from the same steps on."""
    random = np.random.default_rng(3)
    dense, sparse = np.arange(700.0, 1500.0, 0.2), random.uniform(1.0, 3500.0, 300)
    times = np.round(np.concatenate([dense, sparse[(sparse < 700) | (sparse > 2600)]]), 1)

    def run(cuts, alone):
        net = ns.Network()
        given = ns.models.spike_source(times=times, ids=random_ids)
        source = net.population(50, given, name="source")
        cells = net.population(500, ns.models.iaf_psc_exp(), name="cells")
        net.connect(source, cells, ns.FixedOutdegree(40), weight=300.0, delay=1.5)
        net.connect(cells, cells, ns.FixedOutdegree(10), weight=5.0, delay=2.0)
        engine = ns.CPU(threads=threads)
        simulation = ns.Simulation(net, record=[ns.Spikes(cells)], engine=engine, seed=1)
        sleeping, decided = simulation._runner.sleeping, []
        with monkeypatch.context() as patch:
            if not alone:
                patch.setattr(type(sleeping), "_offered", lambda self: False)
            accept = type(sleeping).accept

            def noting(self, shared):
                decided.append(int(shared[L.H_DECIDED]))
                accept(self, shared)

            patch.setattr(type(sleeping), "accept", noting)
            for stop in np.diff([0.0, *cuts, 4000.0]):
                simulation.run(stop)
        # updates tell for how long the neurons were stepped
        updates = simulation.counters["neuron_updates"]
        return simulation, sleeping.state() | {"updates": updates}, decided

    random_ids = random.integers(0, 50, times.size)
    whole, state, decided = run([], alone=True)
    assert len(set(decided)) > 2, "the threads took no decision"
    assert len(whole.results.spikes["cells"]) > 1000
    told, expected, none = run([], alone=False)
    assert set(none) == {0}
    assert state == expected
    assert_identical(whole, told)
    cut, state, _ = run([204.8, 409.5, 1000.0, 2457.7, 3000.0], alone=True)
    assert state == expected
    assert_identical(whole, cut)
