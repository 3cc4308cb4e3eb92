"""Sleeping neurons: they wake for whatever can make them spike, and nothing is lost meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
from runs import assert_identical, assert_same_trains, counted

import neurosim as ns
from neurosim.engines.cpu import strategy

CLOCK, EVENT = ns.CPU(strategy="clock", threads=1), ns.CPU(strategy="event", threads=1)


def run_both(net: ns.Network, record, duration: float, *engines) -> list[ns.Simulation]:
    simulations = []
    for engine in engines or ("reference", CLOCK, EVENT):
        simulation = ns.Simulation(net, record=record, engine=engine, seed=7)
        simulation.run(duration)
        simulations.append(simulation)
    for other in simulations[1:]:
        assert_same_trains(other, simulations[0])
    return simulations


def test_a_step_current_wakes_sleeping_neurons():
    net = ns.Network()
    cells = net.population(5, ns.models.iaf_psc_exp(), name="cells")
    net.inject(cells[1:4], ns.StepCurrent([20.0, 100.0], [450.0, 0.0]))
    *_, event = run_both(net, [ns.Spikes(cells)], 150.0)
    assert len(event.results.spikes["cells"]) > 5
    # the two neurons without current woke only at the changes; all slept at the end
    assert event.counters["neuron_updates"] < 3 * 810 + 100


def test_the_end_of_the_refractory_time_is_not_overslept():
    # a strong slow current outlasts the dead time: the neuron fires again without new input
    model = ns.models.iaf_psc_exp(tau_syn_ex=20.0, t_ref=7.3)
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=[1.0]), name="source")
    cell = net.population(1, model, name="cell")
    net.connect(source, cell, weight=6000.0)
    *_, event = run_both(net, [ns.Spikes(cell)], 200.0)
    times = event.results.spikes["cell"].times
    assert times.size > 3
    assert np.diff(times).min() > 7.3
    assert event.counters["neuron_updates"] < 1500  # of 2000 steps


def test_input_in_the_refractory_time_of_a_sleeping_neuron():
    net = ns.Network()
    times = [1.0, 2.0, 2.1, 3.4, 12.0, 40.0, 41.0]
    source = net.population(1, ns.models.spike_source(times=times), name="source")
    cell = net.population(40, ns.models.iaf_psc_exp(t_ref=ns.Uniform(0.1, 9.0)), name="cell")
    net.connect(source, cell, weight=ns.Uniform(500.0, 9000.0), delay=ns.Uniform(0.1, 5.0))
    *_, event = run_both(net, [ns.Spikes(cell)], 80.0)
    assert len(event.results.spikes["cell"]) > 60


@pytest.mark.parametrize("above", [0.0, 1e-9, 1.0])
def test_a_resting_potential_at_the_threshold_never_sleeps(above):
    # y_inf >= 0: the free trajectory ends at or above threshold
    net = ns.Network()
    cells = net.population(
        3, ns.models.iaf_psc_exp(E_L=-55.0 + above), name="cells", V_m=[-70.0, -60.0, -55.1]
    )
    simulation = ns.Simulation(net, record=[ns.Spikes(cells)], engine=EVENT)
    simulation.run(30.0)
    assert simulation.counters["neuron_updates"] == 3 * 300
    if above == 1.0:
        run_both(net, [ns.Spikes(cells)], 100.0)
        assert len(simulation.results.spikes["cells"]) > 0


def test_a_resting_potential_just_below_the_threshold_can_sleep():
    net = ns.Network()
    cells = net.population(3, ns.models.iaf_psc_exp(E_L=-55.0 - 1e-3), name="cells", V_m=-70.0)
    source = net.population(1, ns.models.spike_source(times=[150.0]), name="source")
    net.connect(source, cells, weight=5.0, delay=0.1)
    *_, event = run_both(net, [ns.Spikes(cells)], 200.0)
    assert len(event.results.spikes["cells"]) == 3
    assert event.counters["neuron_updates"] < 3 * 2000


def test_a_long_silence_costs_nothing_and_ends_in_time():
    net = ns.Network()
    late = np.round(60_000.0 * np.arange(1, 6) + [0.1, 7.3, 0.2, 55.5, 0.3], 1)
    source = net.population(1, ns.models.spike_source(times=late), name="source")
    cells = net.population(2000, ns.models.iaf_psc_exp(), name="cells")
    net.connect(source, cells[:50], weight=3000.0, delay=ns.Uniform(0.1, 3.0))
    net.connect(cells[:50], cells[50:100], ns.OneToOne(), weight=3000.0, delay=12.3)
    simulation = ns.Simulation(net, record=[ns.Spikes(cells)], engine=ns.CPU(threads=2))
    simulation.run(301_000.0)
    spikes = simulation.results.spikes["cells"]
    assert len(spikes) >= 500
    assert simulation.counters["neuron_updates"] < 100_000  # of 6e9 neuron steps
    assert simulation.counters["steps"] == 3_010_000
    # every response is that of the first, later: nothing is left of it after a minute
    first = spikes.times[spikes.times < 61_000.0] - late[0]
    for t in late[1:]:
        again = spikes.times[(spikes.times > t) & (spikes.times < t + 1000.0)] - t
        np.testing.assert_allclose(again, first, atol=1e-6)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("how", ["clock", "event"])
def test_a_network_gone_silent_holds_no_denormals(precision, how):
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=[1.0]), name="source")
    cells = net.population(64, ns.models.iaf_psc_exp(E_L=0.0, V_reset=0.0, V_th=15.0), name="cells")
    net.connect(source, cells, weight=ns.Uniform(-3000.0, 3000.0))
    engine = ns.CPU(strategy=how, precision=precision, threads=1)
    states = ["V_m", "I_syn_ex", "I_syn_in"]
    simulation = ns.Simulation(net, record=[ns.State(cells, states, 500.0)], engine=engine)
    simulation.run(20_000.0)
    tiny = np.finfo(precision).tiny
    for name in states:
        recorded = simulation.results.traces["cells"][name]
        stored = simulation._runner.state()["populations"][cells.index]["states"][name]
        for values in (recorded[-1], stored):
            assert ((values == 0.0) | (np.abs(values) >= tiny)).all()
    assert (simulation.results.traces["cells"]["I_syn_ex"][-1] == 0.0).all()


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_weights_too_small_to_add_do_no_harm(precision):
    # flushed to -0.0 they would look untouched, and be listed without end
    n = 500
    net = ns.Network()
    spikes = ns.models.spike_source(times=np.full(n, 1.0), ids=np.arange(n))
    source = net.population(n, spikes, name="source")
    cells = net.population(2, ns.models.iaf_psc_exp(), name="cells")
    everyone = ns.Explicit(np.arange(n), np.zeros(n, int))
    for weight in (-1e-310, -1e-50, -0.0):
        net.connect(source, cells, everyone, weight=weight)
        net.connect(source, cells, everyone, weight=np.full(n, weight))
        net.poisson_input(cells, rate=1e5, weight=weight)
    engine = ns.CPU(strategy="event", precision=precision, threads=1)
    simulation = ns.Simulation(net, engine=engine)
    simulation.run(1.0)
    assert (
        max(box.n_touched.max() for t in simulation._runner.threads for box in t.inboxes.values())
        <= 2
    )
    simulation.run(5.0)


def test_recording_sleeping_neurons_changes_nothing():
    net = ns.Network()
    source = net.population(9, ns.models.poisson(rate=12.0), name="source")
    cells = net.population(200, ns.models.iaf_psc_exp(), name="cells")
    net.connect(source, cells, ns.FixedIndegree(2), weight=2500.0, delay=ns.Uniform(0.1, 9.0))
    net.connect(cells, cells, ns.FixedIndegree(2), weight=400.0, delay=3.0)
    plain = ns.Simulation(net, record=[ns.Spikes(cells)], engine=EVENT)
    states = ns.State(cells[50:], ["V_m", "I_syn_ex"], 0.1)
    watched = ns.Simulation(net, record=[ns.Spikes(cells), states], engine=EVENT)
    clock = ns.Simulation(net, record=[ns.Spikes(cells), states], engine=CLOCK)
    for simulation in (plain, watched, clock):
        simulation.run(300.0)
    assert len(plain.results.spikes["cells"]) > 200
    assert_same_trains(watched, plain)
    assert_same_trains(watched, clock)
    assert counted(watched) == counted(plain)
    a, b = (s._runner.state()["populations"][cells.index] for s in (plain, watched))
    assert (a["last"] < plain._runner.step).mean() > 0.5  # they do sleep
    for name, values in a["states"].items():
        np.testing.assert_array_equal(b["states"][name], values)
    for name in ("V_m", "I_syn_ex"):
        seen, stepped = (s.results.traces["cells"][name] for s in (watched, clock))
        np.testing.assert_allclose(seen, stepped, rtol=1e-9, atol=1e-9)


def active_then_silent(rates, weight=200.0, **engine) -> ns.Simulation:
    net = ns.Network()
    drive = ns.models.inhomogeneous_poisson(times=[0.0, 400.0, 800.0], rates=rates)
    source = net.population(50, drive, name="source")
    cells = net.population(1000, ns.models.iaf_psc_exp(), name="cells")
    net.connect(source, cells, ns.FixedIndegree(20), weight=weight, delay=ns.Uniform(0.5, 3.0))
    record = [ns.Spikes(cells)]
    return ns.Simulation(net, record=record, engine=ns.CPU(**engine), seed=1)


def test_auto_follows_the_activity():
    chosen = {}
    simulations = {}
    for threads in (1, 2, 3):
        simulation = active_then_silent([300.0, 0.0, 300.0], threads=threads)
        chosen[threads] = []
        for _ in range(12):
            simulation.run(100.0)
            chosen[threads].append(simulation.counters["strategies"]["cells"])
        simulations[threads] = simulation
    assert chosen[1][2] == "clock"
    assert chosen[1][6] == "event"
    assert chosen[1][-1] == "clock"
    # the decision counts events: never time, never threads
    assert chosen[2] == chosen[1] == chosen[3]
    assert counted(simulations[2]) == counted(simulations[1]) == counted(simulations[3])
    for forced in ("clock", "event"):
        simulation = active_then_silent([300.0, 0.0, 300.0], threads=2, strategy=forced)
        simulation.run(1200.0)
        assert_same_trains(simulation, simulations[1])
        assert len(simulation.results.spikes["cells"]) > 1000


def test_auto_decides_alike_after_a_checkpoint(tmp_path):
    # saved just before the decision at step 2048: what reached the neurons since 1024 still counts
    # (weights are too small to keep anybody awake)
    whole, half = (active_then_silent([300.0] * 3, weight=1.0, threads=1) for _ in range(2))
    whole.run(250.0)
    half.run(204.7)
    half.save(tmp_path / "half.h5")
    again = ns.Simulation.load(tmp_path / "half.h5")
    again.run(45.3)
    assert whole.counters["strategies"] == again.counters["strategies"] == {"cells": "clock"}
    assert counted(again) == counted(whole)
    assert_same_trains(again, whole)


def test_auto_decides_at_fixed_steps():
    assert [strategy.next_decision(s) for s in (0, 63, 64, 1023, 1024, 2047, 5000)] == [
        64, 64, 256, 1024, 2048, 2048, 6144,
    ]  # fmt: skip


def test_auto_does_not_flicker():
    # between the two thresholds the strategy stays what it is
    n, cost = 1000, strategy.EVENT_COST
    for reached in np.linspace(0.0, 2.0 * n / cost, 50):
        asleep = strategy.should_sleep(False, n, reached)
        assert not asleep or strategy.should_sleep(True, n, reached)
    assert strategy.should_sleep(True, n, n / cost)
    assert not strategy.should_sleep(False, n, n / cost)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (ns.models.izhikevich(), "not all linear"),
        (ns.models.iaf_cond_exp(), "not all linear"),
        (ns.models.iaf_psc_exp(tau_m=np.array([9.0, 10.0, 11.0])), "differ from neuron to neuron"),
    ],
)
def test_models_that_cannot_sleep_say_why(model, reason):
    net = ns.Network()
    net.population(3, model, name="cells")
    with pytest.raises(ns.errors.ModelError, match=f"population 'cells'.*{reason}.*'auto'"):
        ns.Simulation(net, engine=EVENT)
    assert ns.Simulation(net).counters["strategies"] == {"cells": "clock"}


def test_white_noise_never_sleeps():
    from random_networks import noisy

    net = ns.Network()
    cells = net.population(40, noisy(V_th=-50.0), name="cells")
    with pytest.raises(ns.errors.ModelError, match="noise"):
        ns.Simulation(net, engine=EVENT)
    simulation = ns.Simulation(
        net, record=[ns.State(cells, ["V_m"], 1.0)], engine=ns.CPU(threads=1)
    )
    simulation.run(300.0)
    # stationary standard deviation of tau dV = -V dt + sigma sqrt(2 tau) dW is sigma = 4 mV;
    # 40 neurons, 14 independent times each: 3 % standard error
    v = simulation.results.traces["cells"]["V_m"][90:]
    assert v.std() == pytest.approx(4.0, rel=0.12)


def test_many_threads_for_few_neurons():
    net = ns.Network()
    cells = net.population(2, ns.models.iaf_psc_exp(), name="cells")
    source = net.population(1, ns.models.spike_source(times=[1.0, 5000.0]), name="source")
    parrot = net.population(1, ns.models.parrot(), name="parrot")
    net.connect(source, cells, weight=5000.0)
    net.connect(cells, parrot)
    net.inject(cells[1], ns.StepCurrent([0.0], [100.0]))
    record = [ns.Spikes(cells), ns.Spikes(parrot), ns.State(cells, ["V_m"], 10.0)]
    one, many = (
        ns.Simulation(net, record=record, engine=ns.CPU(threads=threads)) for threads in (1, 5)
    )
    for simulation in (one, many):
        simulation.run(6000.0)
    assert len(one.results.spikes["parrot"]) >= 4
    assert_identical(many, one)


def threads_of(n: int, delay: object) -> int:
    """Return the threads that the engine chooses for n neurons on a machine of many cores."""
    net = ns.Network()
    cells = net.population(n, ns.models.iaf_psc_exp(), name="cells")
    net.connect(cells, cells, ns.FixedIndegree(1), weight=1.0, delay=delay)
    return ns.Simulation(net, dt=0.1, engine=ns.CPU()).counters["threads"]


def test_threads_meet_once_a_shortest_delay(monkeypatch):
    monkeypatch.setattr("neurosim.engines.cpu.options.available_cores", lambda: 8)
    # 0.4 us of work a step, 1.5 ms of it between two meetings, are 6 us: not worth a second thread
    assert threads_of(1000, 1.5) == 1
    assert threads_of(10_000, 0.1) == 1
    assert threads_of(10_000, ns.Normal(1.5, 0.1)) == 1  # may be one step
    assert threads_of(10_000, ns.Uniform(1.5, 3.0)) == 7
    assert threads_of(10_000, 1.5) == 7
    assert threads_of(10_000, 30.0) == 8
