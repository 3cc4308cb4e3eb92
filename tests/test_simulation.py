"""Simulation and simulate(): seeds, pieces of work, interruption, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import neurosim as ns
import neurosim.lower.memory
from neurosim.errors import (
    DelayError,
    EngineUnavailableError,
    ModelError,
    NetworkError,
    NetworkSizeError,
    ParameterError,
    RecordingError,
    SimulationError,
    UnknownNameError,
)

lif = ns.models.iaf_psc_exp
ENGINES = ["reference", ns.CPU(threads=1), ns.CPU(threads=2, strategy="clock")]


def small(
    seed: int = 1, order: tuple[str, ...] = ("drive", "exc", "inh"), **seeds
) -> ns.Simulation:
    """Return a network with every kind of draw, its populations made in some order."""
    made = {}
    net = ns.Network()
    for name in order:
        if name == "drive":
            made[name] = net.population(20, ns.models.poisson(rate=60.0), name=name)
        else:
            model = lif(I_e=ns.Normal(300.0, 30.0))
            made[name] = net.population(40, model, name=name, V_m=ns.Uniform(-70.0, -55.0))
    weight, delay = ns.Normal(600.0, 60.0), ns.Uniform(0.5, 3.0)
    for pre in sorted(made):
        for post in ("exc", "inh"):
            net.connect(made[pre], made[post], ns.FixedIndegree(3), weight=weight, delay=delay)
    net.poisson_input(made["exc"], rate=20.0, weight=300.0)
    net.inject(made["inh"], ns.NoiseCurrent(20.0, 50.0))
    record = [ns.Spikes(made[n]) for n in sorted(made)]
    record.append(ns.Weights(net.projections["exc->inh"], 50.0))
    engine = ns.CPU(threads=1, strategy="clock")  # compiles in a fifth of the time
    simulation = ns.Simulation(net, seed=seed, record=record, engine=engine, **seeds)
    simulation.run(50.0)
    return simulation


def spikes(simulation: ns.Simulation) -> dict[str, tuple]:
    return {k: (tuple(s.times), tuple(s.ids)) for k, s in simulation.results.spikes.items()}


def wiring(simulation: ns.Simulation) -> tuple:
    w = simulation.results.weights["exc->inh"]
    return tuple(w.pre), tuple(w.post), tuple(w.weight), tuple(w.delay)


# ---- seeds


def test_a_seed_gives_the_same_result_and_another_one_another():
    first = small(1)
    assert sum(len(times) for times, _ in spikes(first).values()) > 100
    assert spikes(small(1)) == spikes(first)
    other = small(2)
    for name, train in spikes(first).items():
        assert spikes(other)[name] != train
    assert wiring(other) != wiring(first)


def test_the_connectivity_seed_is_separate():
    first = small(1)
    assert wiring(small(1, connectivity_seed=1)) == wiring(first)
    rewired = small(1, connectivity_seed=9)
    assert wiring(rewired) != wiring(first)
    assert spikes(rewired)["drive"] == spikes(first)["drive"]  # not governed by it
    redriven = small(2, connectivity_seed=1)
    assert wiring(redriven) == wiring(first)
    assert spikes(redriven)["drive"] != spikes(first)["drive"]


def test_names_key_the_draws_not_the_order_of_making():
    first, turned = small(1), small(1, order=("inh", "exc", "drive"))
    assert wiring(turned) == wiring(first)
    assert spikes(turned) == spikes(first)


def test_an_input_and_a_generator_of_one_name_are_independent():
    net = ns.Network()
    generator = net.population(500, ns.models.poisson(rate=20.0), name="drive")
    parrots = net.population(500, ns.models.parrot(), name="parrots")
    net.poisson_input(parrots, rate=20.0, name="drive")
    record = [ns.Spikes(generator), ns.Spikes(parrots)]
    found = ns.simulate(net, 200.0, record=record, engine="reference").spikes
    a, b = (set(zip(found[n].times, found[n].ids, strict=True)) for n in ("drive", "parrots"))
    # 2000 events each on a million places: 4 coincide by chance
    assert len(a) > 1500 < len(b)
    assert len(a & b) < 20


def test_large_and_negative_seeds():
    assert spikes(small(-5)) != spikes(small(5))
    assert spikes(small(2**80)) != spikes(small(0))
    assert spikes(small(np.int64(7))) == spikes(small(7))


# ---- pieces of work


def test_progress_reports_every_piece():
    seen = []
    net = ns.Network()
    net.population(3, lif(I_e=500.0))
    simulation = ns.Simulation(net, engine="reference")
    simulation.run(5.0)
    simulation.run(100.0, progress=lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(100.0)
    np.testing.assert_allclose([total for _, total in seen], 100.0)
    assert len(seen) > 2


def test_an_error_in_progress_leaves_a_simulation_that_goes_on():
    whole, stopped = (made_to_run() for _ in range(2))
    whole.run(100.0)

    def stop(done, total):
        if done > 30.0:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        stopped.run(100.0, progress=stop)
    assert 30.0 < stopped.time < 100.0
    stopped.run(100.0 - stopped.time)
    assert spikes(stopped) == spikes(whole)


def made_to_run(engine="reference", to=None) -> ns.Simulation:
    net = ns.Network()
    cells = net.population(20, lif(I_e=500.0), name="cells", V_m=ns.Uniform(-70.0, -55.0))
    return ns.Simulation(net, record=[ns.Spikes(cells, to=to)], engine=engine)


def test_progress_bar_only_on_a_terminal(capsys):
    made_to_run().run(10.0, progress=True)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize("engine", ENGINES)
def test_very_small_steps_reach_the_end(engine):
    net = ns.Network()
    net.population(1, lif(I_e=500.0))  # never sleeps: kernels of the clock alone are compiled
    simulation = ns.Simulation(net, dt=2.0**-12, engine=engine)
    for _ in range(3):
        simulation.run(2.0**-12)
    assert simulation.time == 3 * 2.0**-12
    simulation.run(0.0)
    assert simulation.counters["steps"] == 3


def test_runs_in_another_thread():
    # signals can be caught in the main thread only
    simulation = made_to_run(ns.CPU(threads=2))
    thread = threading.Thread(target=simulation.run, args=(50.0,))
    thread.start()
    thread.join()
    expected = made_to_run(ns.CPU(threads=1))
    expected.run(50.0)
    assert spikes(simulation) == spikes(expected)


def test_a_finished_run_restores_the_handler_of_ctrl_c():
    before = signal.getsignal(signal.SIGINT)
    made_to_run().run(1.0)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a process")
def test_ctrl_c_leaves_a_simulation_that_goes_on(tmp_path):
    script = f"""
        import neurosim as ns
        net = ns.Network()
        cells = net.population(2000, ns.models.iaf_psc_exp(I_e=500.0), name="cells",
                               V_m=ns.Uniform(-70.0, -55.0))
        net.connect(cells, cells, ns.FixedOutdegree(20), weight=1.0)
        def simulation(to=None):
            return ns.Simulation(net, record=[ns.Spikes(cells, to=to)], engine=ns.CPU(threads=2))
        def started(done, total):
            print("running", flush=True)
        one = simulation(to={str(tmp_path / "spikes.h5")!r})
        try:
            one.run(1e8, progress=started)
        except KeyboardInterrupt as stop:
            assert "stopped at t = " in str(stop), stop
        assert 0.0 < one.time < 1e8
        one.save({str(tmp_path / "stopped.h5")!r})
        rest = 500.0 * (int(one.time / 500.0) + 1) - one.time
        again = ns.Simulation.load({str(tmp_path / "stopped.h5")!r})
        again.run(rest)
        whole = simulation()
        whole.run(again.time)
        a, b = (s.results.spikes["cells"] for s in (again, whole))
        assert len(b) > 0
        assert (a.times == b.times).all() and (a.ids == b.ids).all()
        print("the same", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert out.endswith("the same\n")


# ---- runs that fail


@pytest.mark.parametrize("engine", [*ENGINES, ns.CPU(strategy="event", threads=1)])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_state_that_is_no_number_stops_the_run(engine):
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=[10.0]), name="source")
    cells = net.population(90, lif(I_e=500.0), name="cells", V_m=ns.Uniform(-70.0, -60.0))
    for _ in range(2):
        net.connect(source, cells[77], weight=1e308, delay=1.0)
    record = [ns.Spikes(cells), ns.State(cells, ["V_m"], 0.5)]
    simulation = ns.Simulation(net, record=record, engine=engine)
    with pytest.raises(
        SimulationError,
        match=r"neuron 77 of population 'cells' stopped being a finite .* t = 11 ms",
    ):
        simulation.run(100.0)
    assert simulation.time == pytest.approx(11.0)
    # what was recorded before is there, and the run does not go on
    before = simulation.results
    assert len(before.spikes["cells"]) > 0
    assert np.isfinite(before.traces["cells"]["V_m"][:20]).all()
    for _ in range(3):
        with pytest.raises(SimulationError, match="neuron 77 of population 'cells'"):
            simulation.run(100.0)


def test_unstable_integration_is_named():
    class unstable(ns.NeuronModel):
        rate = ns.param(1.0, "1/ms")
        equations = "dx/dt = rate*x*x : 1"
        x = ns.state("1", init="1")

        method = "euler"

    net = ns.Network()
    net.population(1, unstable(), name="cell")
    for engine in ("reference", ns.CPU(threads=1)):
        simulation = ns.Simulation(net, engine=engine, dt=0.5)
        with (
            pytest.raises(SimulationError, match=r"population 'cell'.*smaller dt"),
            np.errstate(over="ignore", invalid="ignore"),
        ):
            simulation.run(100.0)


def test_too_many_spikes_of_a_parrot():
    net = ns.Network()
    source = net.population(1, ns.models.spike_source(times=np.full(2000, 1.0)), name="source")
    parrot = net.population(1, ns.models.parrot(), name="parrot")
    net.connect(source, parrot)
    with pytest.raises(SimulationError, match=r"population 'parrot'.*spikes.*t = 2 ms"):
        ns.simulate(net, 10.0, engine=ns.CPU(threads=1))


# ---- memory


def test_a_network_that_does_not_fit_is_refused_before_it_is_built(monkeypatch):
    def network(n, rule, **options):
        net = ns.Network()
        cells = net.population(n, lif(I_e=500.0), name="cells")  # never sleeps
        net.connect(cells, cells, rule, **options)
        return net

    monkeypatch.setattr(neurosim.lower.memory, "available_bytes", lambda: 10 * 2**20)
    big = network(10_000, ns.FixedIndegree(500), weight=ns.Normal(1.0, 0.1))
    for engine, bytes_each in (("cpu", 12), ("reference", 160)):
        gib = 5e6 * bytes_each / 2**20
        with pytest.raises(
            NetworkSizeError,
            match=r"synapses.*'cells->cells' alone has about 5000000.*but 10\.0 MiB of memory",
        ) as error:
            ns.Simulation(big, engine=engine)
        assert f"{gib:.1f} MiB" in str(error.value) or f"{gib / 1024:.1f} GiB" in str(error.value)
    long = network(1000, ns.OneToOne(), delay=1000.0)
    for engine in ("cpu", "reference"):
        with pytest.raises(NetworkSizeError, match=r"(?s)on its way.*10000 steps.*shorter delays"):
            ns.Simulation(long, engine=engine)
    many = network(10**12, ns.FixedTotalNumber(1))
    for engine in ("cpu", "reference"):
        with pytest.raises(NetworkSizeError, match=r"population 'cells' alone has 1000000000000"):
            ns.Simulation(many, engine=engine)
    with pytest.raises(NetworkSizeError, match=r"population 'cells' alone has 1000000000000"):
        ns.Simulation(many, dt=None, engine="cpu")


def test_recordings_that_do_not_fit_are_refused_before_the_run(monkeypatch):
    net = ns.Network()
    cells = net.population(1000, lif(I_e=500.0), name="cells")
    for engine in ("cpu", "reference"):
        sim = ns.Simulation(net, record=[ns.State(cells, ["V_m"], interval=0.1)], engine=engine)
        sim.run(1.0)
        monkeypatch.setattr(neurosim.lower.memory, "available_bytes", lambda: 10 * 2**20)
        with pytest.raises(
            NetworkSizeError,
            match=r"states of population 'cells'\) needs about 15\.3 MiB, but 10\.0 MiB",
        ):
            sim.run(100.0)
        assert sim.time == 1.0
        sim.run(60.0)  # 9.2 MiB
        assert sim.results.traces["cells"].t.size == 610
        monkeypatch.undo()


def test_weights_that_do_not_fit_are_refused_before_the_run(monkeypatch):
    net = ns.Network()
    cells = net.population(100, lif(), name="cells")
    plastic = net.connect(cells, cells, synapse=ns.models.stdp(), name="plastic")
    net.connect(cells, cells, name="static")  # its weights are kept once
    record = [ns.Weights(plastic, interval=1.0), ns.Weights(net.projections["static"], 1.0)]
    sim = ns.Simulation(net, record=record)
    sim.run(5.0)
    monkeypatch.setattr(neurosim.lower.memory, "available_bytes", lambda: 10 * 2**20)
    # 10,000 synapses, 8 bytes, twice: 0.153 MiB a sample
    with pytest.raises(NetworkSizeError, match=r"weights of projection 'plastic'\) needs about 15"):
        sim.run(100.0)
    assert sim.time == 5.0
    sim.run(50.0)
    assert sim.results.weights["plastic"].values.shape == (55, 10_000)


def test_a_delay_that_does_not_fit_its_bits():
    net = ns.Network()
    cells = net.population(100_000, lif(), name="cells")
    net.connect(cells, cells, ns.FixedTotalNumber(3), delay=1e6)
    with pytest.raises(NetworkSizeError, match=r"'cells->cells'.*10000000 steps.*shorter delays"):
        ns.Simulation(net, engine=ns.CPU(threads=1))


# ---- what is refused


def refused(error, match, act):
    with pytest.raises(error, match=match):
        act()


def one_population(model=None, n=3, **initial):
    net = ns.Network()
    return net, net.population(n, model or lif(), name="cells", **initial)


def simulate(net, duration=1.0, **options):
    return ns.simulate(net, duration, **({"engine": "reference"} | options))


@pytest.mark.parametrize(
    ("delay", "error", "message"),
    [
        (-1.0, DelayError, r"connect\(cells -> cells\): delay = -1 ms.*> 0"),
        (0.0, DelayError, r"delay = 0 ms.*> 0"),
        (float("nan"), ParameterError, r"delay = nan is not a finite number"),
        (ns.Uniform(-2.0, -1.0), DelayError, "never positive"),
        (
            0.05,
            DelayError,
            r"'cells->cells': delay 0.05 ms is shorter .* dt = 0.1 ms.*smaller",
        ),
        (0.25, DelayError, r"0.25 ms is not on the grid of dt = 0.1 ms.*round_delays=True"),
        (ns.Uniform(0.0, 0.04), DelayError, r"9 of 9 drawn delays are below dt = 0.1 ms"),
    ],
)
def test_delays(delay, error, message):
    net, cells = one_population()

    def act():
        net.connect(cells, cells, delay=delay)
        simulate(net)

    refused(error, message, act)


def test_round_delays():
    net, cells = one_population()
    net.connect(cells, cells, delay=0.26, round_delays=True, name="rounded")
    record = [ns.Weights(net.projections["rounded"], 1.0)]
    delays = simulate(net, record=record).weights["rounded"].delay
    np.testing.assert_allclose(delays, 0.3)


def test_weights_and_rules():
    net, cells = one_population()
    connect = net.connect
    refused(ParameterError, "weight = nan", lambda: connect(cells, cells, weight=float("nan")))
    refused(ParameterError, "weight = inf", lambda: connect(cells, cells, weight=float("inf")))
    refused(ParameterError, "only Explicit", lambda: connect(cells, cells, weight=[1.0, 2.0, 3.0]))
    pairs = ns.Explicit([0, 1], [1, 2])
    refused(ParameterError, r"shape \(3,\)", lambda: connect(cells, cells, pairs, weight=[1, 2, 3]))
    refused(
        ParameterError, "1 of 2 values are not finite.*synapse 1",
        lambda: connect(cells, cells, pairs, weight=[1.0, np.nan]),
    )  # fmt: skip
    outside = ns.Explicit([0, 1], [1, 3])
    refused(NetworkError, r"post ids are outside 0 ... 2", lambda: connect(cells, cells, outside))
    refused(
        UnknownNameError, "no receptor 'ex'.*Did you mean 'exc'",
        lambda: connect(cells, cells, receptor="ex"),
    )  # fmt: skip
    refused(NetworkError, "rule", lambda: connect(cells, cells, 0.1))
    # nothing of this was added
    assert not net.projections


def test_single_precision_overflow():
    net, cells = one_population(lif(I_e=500.0))
    net.connect(cells, cells, weight=1e39)
    engine = ns.CPU(precision="float32")
    refused(ParameterError, r"1e\+39 does not fit float32", lambda: simulate(net, engine=engine))


def test_populations():
    net, cells = one_population()
    make = net.population
    refused(NetworkError, "n = 0; it must be at least 1", lambda: make(0, lif()))
    refused(NetworkError, "n = 2.5; a whole number", lambda: make(2.5, lif()))
    refused(NetworkError, "the name 'cells' is taken", lambda: make(2, lif(), name="cells"))
    refused(NetworkError, r"try iaf_psc_exp\(\)", lambda: make(2, lif))
    refused(UnknownNameError, "no state 'v_m'.*Did you mean 'V_m'", lambda: make(2, lif(), v_m=1.0))
    refused(ParameterError, r"initial V_m has shape \(3,\)", lambda: make(2, lif(), V_m=[1, 2, 3]))
    refused(ParameterError, "initial V_m = inf", lambda: make(2, lif(), V_m=float("inf")))
    refused(ParameterError, r"tau_m.*shape", lambda: make(2, lif(tau_m=np.array([1.0, 2.0, 3.0]))))
    refused(NetworkError, "id 3 is out of range; ids are 0 ... 2", lambda: cells[3])
    refused(NetworkError, "id 0 is chosen more than once", lambda: cells[[0, 0]])
    refused(NetworkError, "selects no member", lambda: cells[3:])
    refused(
        NetworkError, "id 2 is out of range",
        lambda: make(2, ns.models.spike_source(times=[1.0], ids=[2])),
    )  # fmt: skip
    refused(NetworkError, "no population", lambda: simulate(ns.Network()))


def test_another_networks_population():
    net, _ = one_population()
    _, foreign = one_population()
    other = "belongs to another network"
    refused(NetworkError, other, lambda: net.connect(foreign, foreign))
    refused(NetworkError, other, lambda: net.poisson_input(foreign, rate=1.0))
    refused(NetworkError, other, lambda: net.inject(foreign, ns.StepCurrent([0.0], [1.0])))
    refused(RecordingError, other, lambda: simulate(net, record=[ns.Spikes(foreign)]))
    refused(RecordingError, other, lambda: simulate(net, record=[ns.State(foreign, ["V_m"])]))


def test_parameters():
    refused(ParameterError, r"iaf_psc_exp.tau_m = -1 ms: must be > 0", lambda: lif(tau_m=-1.0))
    refused(ParameterError, "tau_m = nan is not a finite number", lambda: lif(tau_m=float("nan")))
    refused(ParameterError, "I_e = inf is not a finite number", lambda: lif(I_e=float("inf")))
    refused(UnknownNameError, "no parameter 'tau'.*'tau_m'", lambda: lif(tau=1.0))
    net, _ = one_population(lif(tau_m=ns.Normal(1.0, 100.0)), n=100)
    refused(ParameterError, "tau_m of population 'cells'.*must be > 0", lambda: simulate(net))


def test_times_beyond_32_bits_of_steps():
    net, _ = one_population(lif(t_ref=1e9))
    refused(ParameterError, r"t_ref = 1e\+09 ms is more than .* steps", lambda: simulate(net))
    net, _ = one_population(lif(I_e=500.0))
    beyond = r"step 3000000000, but steps are counted up to"
    refused(SimulationError, beyond, lambda: simulate(net, 3e8, engine=ns.CPU(threads=1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.0}, "dt = 0"),
        ({"dt": -0.1}, "dt = -0.1"),
        ({"dt": float("nan")}, "dt = nan"),
        ({"dt": "0.1 s"}, "dt = '0.1 s'"),
        ({"seed": 1.5}, "seed = 1.5: a whole number"),
        ({"seed": "one"}, "seed = 'one': a whole number"),
        ({"seed": True}, "seed = True: a whole number"),
        ({"connectivity_seed": 0.5}, "connectivity_seed = 0.5: a whole number"),
        ({"duration": -1.0}, "duration = -1 ms; it must be >= 0"),
        ({"duration": float("nan")}, "duration = nan"),
        ({"duration": "long"}, "duration = 'long'"),
        ({"duration": 0.25}, "duration = 0.25 ms; a multiple of dt = 0.1 ms"),
        ({"engine": 3}, "engine = 3: a name or an engine object"),
    ],
)
def test_options(options, message):
    net, _ = one_population()
    refused(ParameterError, message, lambda: simulate(net, **options))


def test_engines():
    net, _ = one_population()
    unknown = "no engine 'cpus'. Engines: cpu, gpu, reference.*Did you mean 'cpu'"
    refused(UnknownNameError, unknown, lambda: simulate(net, engine="cpus"))
    refused(EngineUnavailableError, "'mpi'.*use 'cpu'", lambda: simulate(net, engine="mpi"))
    refused(ParameterError, "auto, clock, event", lambda: ns.CPU(strategy="events"))
    refused(ParameterError, "float64, float32", lambda: ns.CPU(precision="double"))
    for threads in (0, -1, 1.5, True, "two"):
        refused(ParameterError, "threads = .*whole number", lambda t=threads: ns.CPU(threads=t))
    refused(ParameterError, "an ns.Network is needed", lambda: simulate("net"))


def test_recordings():
    net, cells = one_population()
    source = net.population(1, ns.models.poisson(rate=1.0), name="source")

    def record(*items):
        return lambda: simulate(net, record=list(items))

    refused(RecordingError, "no recording", record(cells))
    refused(RecordingError, r"record=\[...\]", lambda: simulate(net, record=ns.Spikes(cells)))
    refused(RecordingError, "recorded twice", record(ns.Spikes(cells), ns.Spikes(cells[1:])))
    twice = (ns.State(cells, ["V_m"]), ns.State(cells[1:], ["I_syn_ex"]))
    refused(RecordingError, "recorded twice", record(*twice))
    refused(
        UnknownNameError, "no state 'v_m'.*Did you mean 'V_m'", lambda: ns.State(cells, ["v_m"])
    )
    refused(RecordingError, "no states to record", lambda: ns.State(source, ["V_m"]))
    refused(RecordingError, "interval = 0", lambda: ns.State(cells, ["V_m"], 0.0))
    for interval in (0.25, 1e-9):
        state = ns.State(cells, ["V_m"], interval)
        refused(ParameterError, r"interval = .* a multiple of dt = 0.1 ms", record(state))


def test_repr_says_where_a_simulation_is():
    net, _ = one_population()
    sim = ns.Simulation(net, seed=7, engine="reference")
    sim.run(2.5)
    assert repr(sim) == "Simulation(t = 2.5 ms, dt = 0.1 ms, seed=7, Reference())"
    assert "continuous time" in repr(ns.Simulation(net, dt=None))


def test_a_file_that_cannot_be_made_is_named_before_the_run(tmp_path):
    net, cells = one_population()
    missing = tmp_path / "nowhere" / "spikes.h5"
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere; make it first"):
        ns.Simulation(net, record=[ns.Spikes(cells, to=missing)], engine="reference")
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere; make it first"):
        ns.Simulation(net, engine="reference").save(missing)


def test_weights_carry_the_unit_of_their_receptor():
    net, cells = one_population()
    net.connect(cells, cells, weight=2.0, name="loop")
    sim = ns.Simulation(net, engine="reference")
    assert sim.weights("loop").unit == "pA"
    assert len(sim.weights(net.projections["loop"])) == len(sim.weights("loop"))


def test_times_off_the_grid():
    net, cells = one_population()
    net.inject(cells, ns.StepCurrent([0.05], [1.0]))
    refused(
        ParameterError,
        r"times.*not multiples of dt = 0.1 ms \(first: 0.05 ms\)",
        lambda: simulate(net),
    )
    for option in ("dt", "start", "stop"):
        net, cells = one_population()
        net.inject(cells, ns.NoiseCurrent(0.0, 1.0, **{option: 0.05}))
        refused(ParameterError, f"{option} = 0.05 ms; a multiple of dt", lambda n=net: simulate(n))
    net, _ = one_population(ns.models.spike_source(times=[1.03]))
    refused(ParameterError, r"first: 1.03 ms.*round_times=True", lambda: simulate(net))


def test_sources_take_no_input():
    net, _ = one_population()
    source = net.population(1, ns.models.poisson(rate=1.0), name="source")
    refused(NetworkError, "cannot receive synapses", lambda: net.connect(source, source))
    refused(NetworkError, "cannot receive synapses", lambda: net.poisson_input(source, rate=1.0))
    current = ns.StepCurrent([0.0], [1.0])
    refused(NetworkError, "takes no current", lambda: net.inject(source, current))
    net.population(1, ns.models.poisson(rate=1e12), name="fast")
    refused(ParameterError, "fast: 1e.08 Poisson events a step", lambda: simulate(net))


@pytest.mark.parametrize(("parameter", "error"), [("V_th", ModelError), ("nope", UnknownNameError)])
def test_currents_go_into_parameters_that_take_them(parameter, error):
    net, cells = one_population()

    def act():
        net.inject(cells, ns.StepCurrent([0.0], [1.0]), parameter=parameter)
        simulate(net)

    refused(error, parameter, act)
