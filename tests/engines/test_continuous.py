"""Continuous time (dt=None): spikes are roots of the exact trajectory, and none is missed.

Tolerances: a root is found to the last digits of the trajectory, so closed forms are met to
1e-11 ms and better; what depends on how far the engine looks ahead differs by rounding only.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import kstest

import neurosim as ns
from neurosim.errors import DelayError, ModelError, ParameterError, SimulationError
from neurosim.lower.flow_tables import flow_tables

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
import nest_cases

m = ns.models
TAU, C, THETA = 10.0, 250.0, 15.0  # NEST's defaults; the threshold above the resting potential


def run(net, duration, *record, **options):
    return ns.simulate(net, duration, dt=None, record=record, **options)


def one_cell(model, **initial):
    net = ns.Network()
    return net, net.population(1, model, name="cell", **initial)


def spikes_of(model, duration, n=1, **initial):
    net = ns.Network()
    cells = net.population(n, model, name="cell", **initial)
    return run(net, duration, ns.Spikes(cells)).spikes["cell"]


# ---- single neurons against closed forms and NEST


def test_lossless_neuron_of_nest():
    name = "neuron_iaf_psc_exp_ps_lossless"
    if not nest_cases.FOLDER.is_dir():
        pytest.skip("../shared/reference is not there")
    case = json.loads((nest_cases.FOLDER / "index.json").read_text())[name]
    case["model"] = "iaf_psc_exp"
    data = nest_cases.load(name)
    net, cell = nest_cases.neuron(case, data)
    times = run(net, case["t_stop"], ns.Spikes(cell)).spikes["cell"].times
    assert times.size == data["spikes"].size > 30
    np.testing.assert_allclose(times, data["spikes"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["iaf_psc_delta", "iaf_psc_exp", "iaf_psc_alpha"])
def test_spike_times_under_constant_current(name):
    current = np.array([376.0, 400.0, 500.0, 750.0, 1000.0])
    trains = spikes_of(getattr(m, name)(I_e=current), 1000.0, n=5)
    R = TAU / C
    first = -TAU * np.log(1 - THETA / (R * current))  # V(t) = R I (1 - exp(-t/tau)) = theta
    for i in range(5):
        times = trains.times[trains.ids == i]
        k = np.arange(times.size)
        np.testing.assert_allclose(times, first[i] + k * (first[i] + 2.0), rtol=0, atol=1e-9)
    # sheet 1.1: f = 1/(t_ref + tau ln(R I / (R I - theta)))
    rates = 1000.0 / np.array([np.diff(trains.times[trains.ids == i])[0] for i in range(5)])
    np.testing.assert_allclose(rates, [16.3143, 33.6407, 63.0400, 111.9636, 149.2529], atol=5e-5)


@pytest.mark.parametrize("tau_syn", [2.0, 10.0, 10.0 + 1e-9, 25.0])
def test_potential_after_a_spike_is_exact_for_any_time_constants(tau_syn):
    """V = (w/C) t exp(-t/tau) phi(x), x = t (1/tau - 1/tau_s), phi(x) = (exp(x) - 1)/x."""
    net, cell = one_cell(m.iaf_psc_exp(tau_syn_ex=tau_syn))
    source = net.population(1, m.spike_source(times=[1.2345]), name="source")
    net.connect(source, cell, weight=100.0, delay=0.0321)
    trace = run(net, 60.0, ns.State(cell, ["V_m"], interval=0.37)).traces["cell"]
    t = np.maximum(trace.t - 1.2345 - 0.0321, 0.0)
    x = t * (1 / TAU - 1 / tau_syn)
    phi = np.where(np.abs(x) < 1e-7, 1.0 + x / 2, np.expm1(x) / np.where(x == 0, 1.0, x))
    expected = -70.0 + 100.0 / C * np.exp(-t / TAU) * t * phi
    np.testing.assert_allclose(trace["V_m"][:, 0], expected, rtol=0, atol=1e-12)


def test_refractory_time_counts_from_the_exact_spike_and_currents_go_on():
    # I(t) = w exp(-t/tau_s); the membrane restarts at s + t_ref with what is left of it
    w, tau_s, t_ref = 30000.0, 3.0, 1.7
    trains = spikes_of(m.iaf_psc_exp(tau_syn_ex=tau_s, t_ref=t_ref), 30.0, I_syn_ex=w)
    k = TAU * tau_s / (C * (TAU - tau_s))
    start = 0.0
    assert len(trains) >= 3
    for t in trains.times:
        u = t - start
        height = w * np.exp(-start / tau_s) * k * (np.exp(-u / TAU) - np.exp(-u / tau_s))
        assert height == pytest.approx(THETA, abs=1e-10)
        start = t + t_ref


def test_step_current_changes_at_its_exact_time():
    net, cell = one_cell(m.iaf_psc_exp())
    net.inject(cell, ns.StepCurrent(times=[3.21, 50.0], values=[500.0, 0.0]))
    times = run(net, 100.0, ns.Spikes(cell)).spikes["cell"].times
    T = -TAU * np.log(1 - THETA / 20.0)
    np.testing.assert_allclose(times, 3.21 + T + (T + 2.0) * np.arange(3), rtol=0, atol=1e-11)


def test_adaptive_threshold_models_run():
    # sheet 4, MAT2 at 400 pA on a 0.1 ms grid: 15.0, 153.7, 373.4 (each at most a step late)
    times = spikes_of(m.mat2_psc_exp(I_e=400.0), 1000.0).times
    assert times.size == 5
    late = np.array([15.0, 153.7, 373.4]) - times[:3]
    assert (late > -1e-9).all() and (late < 0.4).all()
    alif = spikes_of(m.alif_psc_exp(I_e=400.0), 200.0)
    assert len(alif) > 3 and (np.diff(np.diff(alif.times)) > 0).all()


# ---- no spike is missed


def random_states(n, seed=0):
    """Return the states of sheet 1.3: V above rest, synaptic current, constant current."""
    rng = np.random.default_rng(seed)
    return rng.uniform(14, 15, n), rng.uniform(-200, 1200, n), rng.uniform(-100, 400, n)


def test_no_spike_is_missed_where_a_grid_test_misses_some():
    """Against Krishnan et al. 2018 (sheet 1.3) and a dense scan, on 100,000 states and 1 ms."""
    n, h, tau_s = 100_000, 1.0, 2.0
    V0, I0, I_e = random_states(n)
    trains = spikes_of(m.iaf_psc_exp(I_e=I_e, t_ref=100.0), h, n=n, V_m=V0 - 70.0, I_syn_ex=I0)
    found = np.zeros(n, bool)
    found[trains.ids] = True
    k, u = TAU * tau_s / (C * (TAU - tau_s)), I_e * TAU / C

    def V(t, s=slice(None)):
        decay = np.exp(-t / TAU)
        return V0[s] * decay + u[s] * (1 - decay) + I0[s] * k * (decay - np.exp(-t / tau_s))

    at_end = V(h) >= THETA
    scanned = np.zeros(n, bool)
    for t in np.linspace(0, h, 501)[1:]:
        scanned |= V(t) >= THETA
    I_th = C * THETA / TAU - I_e
    with np.errstate(invalid="ignore"):
        q = I0 / I_th
        envelope = u + (THETA - u) * q ** (tau_s / TAU) - k * (I0 - I_th * q ** (tau_s / TAU))
        inside = (I_th > 0) & (I_th < I0) & (q < np.exp(h / tau_s))
        hidden = inside & (envelope <= V0) & ~at_end
    assert hidden.sum() > 100  # the case is not empty: about 0.3 % of all states
    np.testing.assert_array_equal(found, at_end | hidden)
    assert not (scanned & ~found).any()
    assert (found & ~at_end).sum() == hidden.sum()  # what a test on the grid of h would miss
    np.testing.assert_allclose(V(trains.times, trains.ids), THETA, rtol=0, atol=1e-11)


class resonator(ns.NeuronModel):
    """Oscillates with a period of 6.3 ms: no real eigenvalue."""

    equations = """
        dv/dt = -0.1[1/ms]*v - w*1[1/ms] : 1
        dw/dt = v*1[1/ms] - 0.1[1/ms]*w : 1
    """
    receptors = {"in": "v += weight"}
    threshold = "v > 1"
    reset = "v = -5"
    t_ref = ns.param(100.0, "ms")
    refractory = ns.Refractory("t_ref")


@pytest.mark.parametrize("case", ["alpha", "equal", "two taus", "slow synapse", "resonator"])
def test_other_models_agree_with_a_dense_scan(case):
    n, duration, points = 5_000, 8.0, 2_000
    V0, I0, I_e = random_states(n, seed=1)
    rng = np.random.default_rng(2)
    inhibition = rng.uniform(-1500, 0, n)
    a, b = {"alpha": (2.0, 5.0), "equal": (10.0, 10.0), "slow synapse": (15.0, 40.0)}.get(
        case, (2.0, 5.0)
    )
    scale = 1 / C
    if case == "resonator":
        model = resonator()
        A = np.array([[-0.1, -1.0], [1.0, -0.1]])
        x0 = np.stack([rng.uniform(-2, 0.99, n), rng.uniform(-1.2, 1.2, n)])
        rest, theta, initial = np.zeros((2, n)), 1.0, {"v": x0[0], "w": x0[1]}
    elif case == "alpha":
        model = m.iaf_psc_alpha(I_e=I_e, tau_syn_ex=a, tau_syn_in=b, t_ref=100.0)
        A = np.array([
            [-1 / TAU, scale, scale, 0, 0], [0, -1 / a, 0, 1, 0], [0, 0, -1 / b, 0, 1],
            [0, 0, 0, -1 / a, 0], [0, 0, 0, 0, -1 / b],
        ])  # fmt: skip
        x0 = np.stack([V0, 0.3 * I0, 0.3 * inhibition, I0, 0.5 * inhibition])
        names = ("V_m", "I_syn_ex", "I_syn_in", "dI_ex", "dI_in")
    else:
        model = m.iaf_psc_exp(I_e=I_e, tau_syn_ex=a, tau_syn_in=b, t_ref=100.0)
        A = np.array([[-1 / TAU, scale, scale], [0, -1 / a, 0], [0, 0, -1 / b]])
        x0 = np.stack([V0, I0, inhibition])
        names = ("V_m", "I_syn_ex", "I_syn_in")
    if case != "resonator":
        rest = np.zeros_like(x0)
        rest[0] = I_e * TAU / C
        theta = THETA
        initial = dict(zip(names, x0 - 70.0 * (np.arange(len(x0)) == 0)[:, None], strict=True))
    trains = spikes_of(model, duration, n=n, **initial)
    step = expm(A * duration / points)
    z, scanned, seen_at = x0 - rest, np.zeros(n, bool), np.full(n, np.inf)
    for p in range(points):
        z = step @ z
        above = z[0] + rest[0] >= theta
        seen_at[above & ~scanned] = (p + 1) * duration / points
        scanned |= above
    found = np.full(n, np.inf)
    found[trains.ids] = trains.times
    assert 100 < scanned.sum() < n - 100
    # never later than the scan sees it, and exactly at threshold
    assert (found <= seen_at + 1e-9).all()
    for i in trains.ids[:200]:
        at = expm(A * found[i]) @ (x0 - rest)[:, i] + rest[:, i]
        assert at[0] == pytest.approx(theta, abs=1e-10)


def test_bounds_hold_for_all_later_times():
    rng = np.random.default_rng(3)
    for A in (
        [[-0.1, 0.004, 0.004], [0, -0.5, 0], [0, 0, -0.25]],
        [[-0.1, 0.004, 0.0], [0, -0.1, 1.0], [0, 0, -0.1]],
        [[-0.05, -1.0, 0.0], [1.0, -0.05, 0.3], [0, 0, -2.0]],
    ):
        A, c = np.array(A), np.array([1.0, 0.0, -0.5])
        tables = flow_tables(A[None], c[None])
        z0 = rng.normal(size=(3, 50))
        step, now = expm(A * 0.05), np.eye(3)
        for _ in range(1600):
            now = now @ step
            z = now @ z0
            second, third = np.abs(c @ A @ A @ z), np.abs(c @ A @ A @ A @ z)
            assert (second <= tables.bound2[0] @ np.abs(z0) * (1 + 1e-9)).all()
            assert (third <= tables.bound3[0] @ np.abs(z0) * (1 + 1e-9)).all()
            g = c @ now
            assert (g <= tables.sup[0] + 1e-12).all() and (g >= tables.inf[0] - 1e-12).all()


# ---- arrivals, delays, sources


def test_simultaneous_arrivals_are_added_before_the_test():
    net, cell = one_cell(m.iaf_psc_delta())
    source = net.population(2, m.spike_source(times=[1.0, 1.0, 4.0], ids=[0, 1, 0]), name="source")
    pair = ns.Explicit([0, 1], [0, 0])
    net.connect(source, cell, pair, weight=[20.0, -20.0], delay=0.05)
    # 20 - 20 mV at 1.05 ms do nothing; 20 mV alone at 4.05 ms cross the threshold at once
    assert run(net, 10.0, ns.Spikes(cell)).spikes["cell"].times.tolist() == [4.0 + 0.05]


def test_input_in_the_refractory_time_is_ignored_by_the_delta_neuron_only():
    for model, weight, kept in ((m.iaf_psc_delta(), 5.0, False), (m.iaf_psc_exp(), 500.0, True)):
        net, cell = one_cell(model, V_m=-55.0 + 1e-9)
        source = net.population(1, m.spike_source(times=[0.5]), name="source")
        net.connect(source, cell, weight=weight, delay=0.5)
        result = run(net, 5.0, ns.Spikes(cell), ns.State(cell, ["V_m"], interval=5.0))
        assert len(result.spikes["cell"]) == 1
        assert (result.traces["cell"]["V_m"][0, 0] > -70.0) == kept


def test_delays_and_times_are_never_rounded():
    net = ns.Network()
    source = net.population(1, m.spike_source(times=[np.pi]), name="source")
    before = source
    for k in range(5):
        relay = net.population(1, m.parrot(), name=f"parrot{k}")
        net.connect(before, relay, weight=1.0, delay=0.0137 * (k + 1))
        before = relay
    expected = np.pi
    for k in range(5):
        expected += 0.0137 * (k + 1)
    assert run(net, 10.0, ns.Spikes(before)).spikes["parrot4"].times.tolist() == [expected]


def test_edges_keep_drawn_delays():
    net = ns.Network()
    cells = net.population(50, m.iaf_psc_exp(), name="cells")
    edges = net.connect(
        cells, cells, ns.FixedIndegree(5), weight=1.0, delay=ns.Uniform(0.001, 0.002), name="edges"
    )
    delay = run(net, 1.0, ns.Weights(edges, interval=1.0)).weights["edges"].delay
    assert delay.size == 250 and np.unique(delay).size == 250
    assert (delay > 0.001).all() and (delay < 0.002).all()
    net.connect(cells, cells, ns.FixedIndegree(5), delay=ns.Normal(0.1, 1.0), name="negative")
    with pytest.raises(DelayError, match="drawn delays are not positive"):
        run(net, 1.0)


def test_poisson_trains_are_exact():
    net = ns.Network()
    drive = net.population(20, m.poisson(rate=500.0), name="drive")
    changing = net.population(
        200, m.inhomogeneous_poisson(times=[10.5, 50.25], rates=[100.0, 0.0]), name="changing"
    )
    spikes = run(net, 1000.0, ns.Spikes(drive), ns.Spikes(changing), seed=3).spikes
    order = np.lexsort((spikes["drive"].times, spikes["drive"].ids))
    intervals = np.diff(spikes["drive"].times[order])
    intervals = intervals[np.diff(spikes["drive"].ids[order]) == 0]
    assert kstest(intervals, "expon", args=(0, 2.0)).pvalue > 1e-3
    # uniform within a grid of 0.1 ms
    assert kstest(spikes["drive"].times / 0.1 % 1.0, "uniform").pvalue > 1e-3
    times = spikes["changing"].times
    assert times.min() > 10.5 and times.max() < 50.25
    expected = 200 * 0.1 * 39.75
    assert abs(times.size - expected) < 4 * np.sqrt(expected)


def test_poisson_input_has_the_mean_of_campbells_theorem():
    net = ns.Network()
    cells = net.population(100, m.iaf_psc_exp(V_th=1000.0), name="cells")
    net.poisson_input(cells, rate=8.0, n=100, weight=10.0, receptor="exc")
    V = run(net, 500.0, ns.State(cells, ["V_m"], interval=5.0)).traces["cells"]["V_m"][20:]
    # <V> - E_L = R w tau_s rate; its standard error over 100 cells and 8 independent times
    assert V.mean() + 70.0 == pytest.approx(0.04 * 10.0 * 2.0 * 0.8, abs=4 * V.std() / np.sqrt(800))


# ---- networks


def network(n=200, model=None, seed_free=False):
    """Return a recurrent network with every kind of input."""
    net = ns.Network()
    model = model or m.iaf_psc_exp(tau_syn_in=5.0, I_e=ns.Uniform(380.0, 500.0))
    cells = net.population(n, model, name="cells", V_m=ns.Uniform(-70.0, -56.0))
    net.connect(
        cells, cells, ns.FixedIndegree(20), weight=ns.Normal(10.0, 60.0), delay=1.5, name="rec"
    )
    if seed_free:
        return net, cells
    drive = net.population(10, m.poisson(rate=50.0), name="drive")
    relay = net.population(10, m.parrot(), name="relay")
    net.connect(drive, relay, ns.OneToOne(), weight=1.0, delay=0.03)
    net.connect(relay, cells, ns.FixedIndegree(3), weight=40.0, delay=ns.Uniform(0.02, 3.0))
    net.poisson_input(cells[:50], rate=5.0, n=100, weight=15.0, receptor="exc")
    net.inject(cells[20:60], ns.StepCurrent(times=[7.77, 21.0], values=[90.0, -30.0]))
    return net, cells


def test_grid_simulations_converge_to_it():
    net, cells = network(seed_free=True)
    exact = run(net, 40.0, ns.Spikes(cells), seed=4).spikes["cells"]
    first = np.array([exact.times[exact.ids == i].min(initial=np.inf) for i in range(200)])
    early = first < 15.0
    assert early.sum() > 40
    errors = []
    for dt in (0.1, 0.02, 0.004):
        grid = ns.simulate(net, 15.5, dt=dt, record=[ns.Spikes(cells)], seed=4).spikes["cells"]
        on_grid = np.array([grid.times[grid.ids == i].min(initial=np.inf) for i in range(200)])
        errors.append(np.median(np.abs(on_grid[early] - first[early])))
    assert errors[0] < 0.1
    for coarse, fine in itertools.pairwise(errors):
        assert 2.5 < coarse / fine < 10.0  # first order: 5 times smaller at dt/5


def train(result):
    return result.spikes["cells"].times.tolist(), result.spikes["cells"].ids.tolist()


def test_split_runs_checkpoints_and_recorders_change_nothing(tmp_path):
    net, cells = network()
    record = [ns.Spikes(cells), ns.State(cells[:3], ["V_m", "I_syn_ex"], interval=0.7)]
    whole = run(net, 60.0, *record, seed=5)
    assert len(whole.spikes["cells"]) > 300
    assert train(run(net, 60.0, ns.Spikes(cells), seed=5)) == train(whole)
    sim = ns.Simulation(net, dt=None, record=record, seed=5)
    sim.run(23.456)
    sim.save(tmp_path / "state.h5")
    loaded = ns.Simulation.load(tmp_path / "state.h5")
    for continued in (sim, loaded):
        continued.run(60.0 - 23.456)
        assert train(continued.results) == train(whole)
        for name in ("V_m", "I_syn_ex"):
            np.testing.assert_array_equal(
                continued.results.traces["cells"][name], whole.traces["cells"][name]
            )
    assert loaded.counters["spikes"] == sim.counters["spikes"]


def test_slices_of_work_change_nothing():
    net, cells = network()
    whole = run(net, 30.0, ns.Spikes(cells), seed=6)
    sim = ns.Simulation(net, dt=None, record=[ns.Spikes(cells)], seed=6)
    runner = sim._runner
    for budget in (1, 7, 100, 3000):
        runner._time, _ = runner._run(30.0, budget)
    sim.run(30.0 - sim.time)
    assert train(sim.results) == train(whole)


def test_spikes_do_not_depend_on_how_far_the_engine_looks_ahead():
    net, cells = network()
    trains = []
    for factor in (1.0, 0.05, 30.0):
        sim = ns.Simulation(net, dt=None, record=[ns.Spikes(cells)], seed=7)
        sim._runner.groups.look[:] *= factor
        sim.run(40.0)
        trains.append(sim.results.spikes["cells"])
    for other in trains[1:]:
        np.testing.assert_array_equal(other.ids, trains[0].ids)
        np.testing.assert_allclose(other.times, trains[0].times, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["iaf_psc_alpha", "iaf_psc_delta"])
def test_networks_of_other_models(name):
    model = getattr(m, name)(I_e=ns.Uniform(300.0, 450.0), tau_m=ns.Uniform(8.0, 12.0))
    net = ns.Network()
    cells = net.population(60, model, name="cells")
    weight = 1.0 if name == "iaf_psc_delta" else 20.0
    net.connect(cells, cells, ns.FixedIndegree(10), weight=weight, delay=0.01)
    result = run(net, 100.0, ns.Spikes(cells))
    assert len(result.spikes["cells"]) > 100
    assert result.counters["synaptic_events"] > 1000
    assert (np.diff(np.unique(result.spikes["cells"].times)) > 0).all()


# ---- errors


def test_what_has_no_exact_solution_is_refused():
    for model, reason in (
        (m.izhikevich(), "equation of V_m is not linear"),
        (m.iaf_cond_exp(), "equation of V_m is not linear"),
    ):
        net, _ = one_cell(model)
        message = rf"population 'cell': {model.name} .*{reason}.*dt=0.1"
        with pytest.raises(ModelError, match=message):
            run(net, 1.0)


def test_noise_current_and_the_options_of_a_grid_are_refused():
    net, cell = one_cell(m.iaf_psc_exp())
    for engine, message in (
        ("reference", "cannot run in continuous time"),
        (ns.CPU(strategy="clock"), "there are no steps"),
        (ns.CPU(precision="float32"), "double precision"),
    ):
        with pytest.raises(ParameterError, match=message):
            run(net, 1.0, engine=engine)
    net.inject(cell, ns.NoiseCurrent(0.0, 10.0))
    with pytest.raises(ParameterError, match=r"NoiseCurrent into population 'cell'.*StepCurrent"):
        run(net, 1.0)


def test_a_neuron_that_never_stops_spiking_is_an_error():
    stays = type("stays", (m.iaf_psc_exp,), {"reset": "V_m -= 0[mV]"})
    net, _ = one_cell(stays(t_ref=0.0, I_e=1000.0))
    with pytest.raises(SimulationError, match="neuron 0 of population 'cell' spikes without end"):
        run(net, 100.0)


def test_explain_names_the_order_of_events():
    from neurosim.explain import explain

    net, _ = one_cell(m.iaf_psc_exp())
    assert "Time is continuous" in explain(ns.Simulation(net, dt=None))
