"""Gap junctions: closed forms, conservation, order, and the same bits whoever computes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import few

import neurosim as ns
from neurosim.errors import ModelError, NetworkError, ParameterError, UnknownNameError
from neurosim.lower.gaps import expansion
from neurosim.lower.plan import lower

ENGINES = {"reference": "reference", "cpu": ns.CPU(threads=1)}
#: Membranes without a threshold that they could reach.
PASSIVE = {"V_th": 1e4}


class pure_membrane(ns.NeuronModel):
    """A capacitance and nothing else."""

    C_m = ns.param(100.0, "pF", gt=0)
    I_e = ns.param(0.0, "pA")
    equations = "dV_m/dt = I_e/C_m : mV"


class excitable(ns.NeuronModel):
    """A cubic membrane with recovery: the cheapest nonlinear cell, and smooth."""

    C_m = ns.param(100.0, "pF", gt=0)
    I_e = ns.param(0.0, "pA")
    V_m = ns.state("mV", init=-65.0)
    equations = """
        x = (V_m + 70[mV])/1[mV]
        dV_m/dt = (0.05[pA]*x*(x - 15)*(90 - x) - w + I_e)/C_m : mV
        dw/dt = (2[pA]*x - w)/5[ms] : pA
    """
    method = "rk4"


def random_graph(n=40, seed=3, dt=0.1, duration=20.0, engine="cpu", scale=1.0):
    """Return capacitances, starting and final potentials of membranes that only exchange charge."""
    rng = np.random.default_rng(seed)
    capacitance, start = rng.uniform(20, 300, n), rng.uniform(-80, -40, n)
    net = ns.Network()
    cells = net.population(n, pure_membrane(C_m=capacitance), name="cells", V_m=start)
    net.gap_junctions(cells, cells, ns.FixedProbability(0.2), g=ns.Uniform(0.0, scale))
    record = [ns.State(cells, ["V_m"], interval=dt)]
    traces = ns.simulate(net, duration, dt=dt, seed=seed, record=record, engine=engine).traces
    return net, capacitance, start, traces["cells"]["V_m"]


# ---- mathematics


@pytest.mark.parametrize("engine", ENGINES)
def test_two_passive_cells_follow_the_closed_form(engine):
    """Mean (weighted by C) and difference decay alone: tau_m, and tau_m with g/C1 + g/C2."""
    c, g, tau = np.array([250.0, 100.0]), 5.0, 10.0
    net = ns.Network()
    model = ns.models.iaf_psc_exp(C_m=c, tau_m=tau, E_L=-70.0, **PASSIVE)
    cells = net.population(2, model, name="cells", V_m=np.array([-70.0, -50.0]))
    net.gap_junctions(cells[:1], cells[1:], g=g)
    record = [ns.State(cells, ["V_m"], interval=1.0)]
    trace = ns.simulate(net, 30.0, record=record, engine=ENGINES[engine]).traces["cells"]
    t = np.arange(1.0, 31.0)
    mean = -70.0 + 20.0 * c[1] / c.sum() * np.exp(-t / tau)
    difference = -20.0 * np.exp(-t * (1 / tau + g / c[0] + g / c[1]))
    expected = [mean + difference * c[1] / c.sum(), mean - difference * c[0] / c.sum()]
    np.testing.assert_allclose(trace["V_m"].T, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dt", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_charge_is_conserved_and_any_step_is_stable(dt, scale):
    """sum(C V) keeps its value; even with g dt/C of 1e4 all potentials just become equal."""
    _, capacitance, start, v = random_graph(dt=dt, scale=scale, duration=100.0)
    charge = v @ capacitance
    np.testing.assert_allclose(charge, start @ capacitance, rtol=1e-12)
    assert v.max() <= start.max() + 1e-9 and v.min() >= start.min() - 1e-9
    spread = np.ptp(v, axis=1)
    assert (np.diff(spread) <= 1e-9).all()
    if scale > 1:
        assert spread[-1] < 1e-9


@few(20)
@given(st.floats(0.0, 1e4), st.floats(0.0, 1.0))
def test_expansion_is_the_exponential(theta, place):
    series = expansion(theta, 1.0)
    value = np.polynomial.chebyshev.chebval(1.0 - 2.0 * place, series)
    a = theta * place
    exact = np.expm1(-a) / a if a > 0 else -1.0
    assert abs(value - exact) < 1e-12
    assert series.size < 20 + 8 * np.sqrt(theta)


def test_engines_compute_the_same_flow():
    """The Chebyshev expansion against the matrix exponential."""
    for scale in (1.0, 300.0):
        *_, cpu = random_graph(scale=scale)
        *_, reference = random_graph(scale=scale, engine="reference")
        np.testing.assert_allclose(cpu, reference, rtol=0, atol=1e-10)


def test_equal_neurons_feel_nothing():
    """No difference, no current: identical neurons fire the bits of uncoupled ones."""
    trains = []
    for g in (0.0, 3.0):
        net = ns.Network()
        cells = net.population(7, ns.models.aeif_psc_exp(), name="cells")
        net.inject(cells, ns.StepCurrent(times=[0.1], values=[1200.0]))
        net.gap_junctions(cells, cells, g=g)
        record = [ns.Spikes(cells), ns.State(cells, ["V_m"], interval=0.1)]
        results = ns.simulate(net, 50.0, record=record)
        trains.append((results.spikes["cells"].times, results.traces["cells"]["V_m"]))
    assert trains[0][0].size >= 14
    for a, b in zip(*trains, strict=True):
        np.testing.assert_array_equal(a, b)


def test_splitting_is_of_second_order():
    """Halving dt divides the error of nonlinear cells by four (slope 2)."""

    def end(dt):
        net = ns.Network()
        start = {"V_m": np.array([-75.0, -55.0, -65.0])}
        model = excitable(C_m=np.array([80.0, 100.0, 150.0]))
        cells = net.population(3, model, name="cells", **start)
        net.gap_junctions(cells, cells, ns.AllToAll(), g=30.0)
        record = [ns.State(cells, ["V_m"], interval=3.2)]
        return ns.simulate(net, 3.2, dt=dt, record=record).traces["cells"]["V_m"][-1]

    exact = end(3.2 / 4096)
    steps = 3.2 / np.array([64, 128, 256])
    errors = [np.abs(end(dt) - exact).max() for dt in steps]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert 1.9 < slope < 2.1, (slope, errors)
    assert errors[-1] < 1e-2


def test_a_held_neuron_is_a_voltage_source():
    """While one is refractory its neighbour relaxes towards a mix of its rest and V_reset."""
    g, c, tau, reset = 10.0, 100.0, 10.0, -80.0
    net = ns.Network()
    model = ns.models.iaf_psc_exp(
        C_m=c, tau_m=tau, E_L=-70.0, V_reset=reset, V_th=np.array([-70.0, 1e4]), t_ref=1e3
    )
    cells = net.population(2, model, name="cells", V_m=-70.0)
    net.gap_junctions(cells[:1], cells[1:], g=g)
    for engine in ENGINES.values():
        record = [ns.Spikes(cells), ns.State(cells, ["V_m"], interval=0.1)]
        results = ns.simulate(net, 50.0, record=record, engine=engine)
        assert results.spikes["cells"].times.tolist() == [0.1]
        v = results.traces["cells"]["V_m"]
        assert (v[:, 0] == reset).all()
        rate = 1 / tau + g / c
        rest = (-70.0 / tau + reset * g / c) / rate
        # the spike came at 0.1 ms; the second half of that step already saw V_reset
        expected = rest + (v[0, 1] - rest) * np.exp(-rate * (np.arange(500) * 0.1))
        np.testing.assert_allclose(v[:, 1], expected, rtol=0, atol=2e-3)


# ---- physiology


def spikelet(g):
    """Return the deflection [mV] of a resting cell whose neighbour fires one action potential."""
    net = ns.Network()
    cells = net.population(2, ns.models.hh_psc_alpha(), name="cells")
    net.gap_junctions(cells[:1], cells[1:], g=g)
    net.inject(cells[:1], ns.StepCurrent(times=[20.0, 21.0], values=[1500.0, 0.0]))
    record = [ns.Spikes(cells), ns.State(cells, ["V_m"], interval=0.1)]
    results = ns.simulate(net, 60.0, record=record)
    v = results.traces["cells"]["V_m"]
    assert results.spikes["cells"].ids.tolist() == [0]
    return v[190:, 0] - v[190, 0], v[190:, 1] - v[190, 1]


def test_a_spikelet_is_a_small_slow_copy_of_the_spike():
    spike, weak = spikelet(1.0)
    _, twice = spikelet(2.0)
    assert spike.max() > 80.0
    assert 0.5 < weak.max() < 5.0
    assert np.argmax(weak) >= np.argmax(spike)  # the membrane is a low pass
    assert weak.min() < -0.1  # the afterhyperpolarisation passes, too
    assert twice.max() == pytest.approx(2 * weak.max(), rel=0.1)


@pytest.mark.parametrize("model", ["hh_psc_alpha", "aeif_psc_exp"])
def test_gap_junctions_synchronise(model):
    """Two equal neurons that start apart: in phase with junctions, not without."""

    def lag(g):  # [ms]
        net = ns.Network()
        cells = net.population(
            2, getattr(ns.models, model)(), name="cells", V_m=np.array([-65.0, -55.0])
        )
        current = 900.0 if model == "hh_psc_alpha" else 800.0
        net.inject(cells, ns.StepCurrent(times=[0.1], values=[current]))
        net.gap_junctions(cells[:1], cells[1:], g=g)
        spikes = ns.simulate(net, 3000.0, record=[ns.Spikes(cells)]).spikes["cells"]
        one, two = (spikes.times[spikes.ids == i][-5:] for i in (0, 1))
        return np.abs(one[:, None] - two[None, :]).min(axis=1).mean()

    assert lag(0.0) > 0.4
    assert lag(2.0) < 0.101  # a step


# ---- the same network, however it is run


def mixed(n=30, seed=5):
    """Return a network of two kinds of neurons with junctions, synapses and noise."""
    net = ns.Network()
    lif = ns.models.iaf_psc_exp(I_e=ns.Normal(550.0, 20.0), t_ref=2.0)
    a = net.population(n, lif, name="a", V_m=ns.Uniform(-70, -56))
    b = net.population(9, ns.models.aeif_psc_exp(I_e=ns.Uniform(1500, 2500)), name="b")
    net.connect(a, b, ns.FixedIndegree(4), weight=20.0, delay=1.5)
    net.connect(b, a, ns.FixedIndegree(3), weight=-30.0, delay=ns.Uniform(0.5, 2.0))
    net.gap_junctions(a, a, ns.FixedTotalNumber(60, autapses=False), g=ns.Uniform(0.5, 2.0))
    net.gap_junctions(a[: n // 2], b, ns.FixedProbability(0.3), g=0.7)
    net.poisson_input(a, 500.0, weight=30.0)
    record = [ns.Spikes(a), ns.Spikes(b), ns.State(a, ["V_m"], interval=0.3)]
    return net, record


def run(engine, pieces=(60.0,)):
    net, recorded = mixed()
    simulation = ns.Simulation(net, seed=4, engine=engine, record=recorded)
    for piece in pieces:
        simulation.run(piece)
    return simulation


def assert_same(one, two, tolerance=0.0):
    a, b = one.results, two.results
    for name in a.spikes:
        np.testing.assert_array_equal(a.spikes[name].times, b.spikes[name].times)
        np.testing.assert_array_equal(a.spikes[name].ids, b.spikes[name].ids)
    for name in a.traces:
        np.testing.assert_allclose(
            a.traces[name]["V_m"], b.traces[name]["V_m"], rtol=0, atol=tolerance
        )


def test_threads_and_pieces_change_nothing():
    whole = run(ns.CPU(threads=1))
    assert len(whole.results.spikes["a"]) > 100 and len(whole.results.spikes["b"]) > 20
    assert_same(run(ns.CPU(threads=3)), whole)
    assert_same(run(ns.CPU(threads=2), [0.1, 33.3, 0.0, 26.6]), whole)


def test_recording_changes_nothing():
    net, record = mixed()
    spikes = ns.simulate(net, 60.0, seed=4, record=record[:2], engine=ns.CPU(threads=1)).spikes
    whole = run(ns.CPU(threads=1)).results.spikes
    for name in whole:
        np.testing.assert_array_equal(spikes[name].times, whole[name].times)


def test_reference_agrees():
    assert_same(run("reference", [25.0]), run(ns.CPU(threads=1), [25.0]), 1e-6)


def test_float32_is_close():
    single = run(ns.CPU(threads=1, precision="float32"), [10.0])
    double = run(ns.CPU(threads=1), [10.0])
    np.testing.assert_allclose(
        single.results.traces["a"]["V_m"], double.results.traces["a"]["V_m"], atol=0.05
    )


def test_checkpoint_goes_on(tmp_path):
    whole = run(ns.CPU(threads=1))
    half = run(ns.CPU(threads=2), [41.7])
    half.save(tmp_path / "half.h5")
    for engine, tolerance in ((None, 0.0), ("reference", 1e-6), (ns.CPU(threads=3), 0.0)):
        again = ns.Simulation.load(tmp_path / "half.h5", engine=engine)
        assert again.plan.gaps.capacitance.size == 39
        again.run(60.0 - 41.7)
        assert_same(again, whole, tolerance)


# ---- descriptions


def junctions(rule, a=slice(None), b=slice(None), n=12, g=1.0, **options):
    """Return the pairs that a rule joins within one population, larger id second."""
    net = ns.Network()
    cells = net.population(n, ns.models.iaf_psc_exp(), name="cells")
    net.gap_junctions(cells[a], cells[b], rule, g=g, **options)
    plan = lower(net, 0.1, 0, 0, ()).gaps
    ids = plan.membranes[0].ids
    row = np.repeat(np.arange(ids.size), np.diff(plan.first))
    below = row < plan.partner
    pairs = np.stack([ids[row[below]], ids[plan.partner[below]]])
    assert 2 * below.sum() == row.size
    return sorted(map(tuple, pairs.T.tolist())), plan


def test_each_pair_once():
    pairs, _ = junctions(ns.AllToAll(), n=5)
    assert pairs == [(i, j) for i in range(5) for j in range(i + 1, 5)]
    pairs, _ = junctions(ns.AllToAll(), slice(0, 3), slice(1, 4), n=5)  # 1 and 2 on both sides
    assert pairs == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    pairs, _ = junctions(ns.FixedProbability(0.25), n=200)
    assert len(set(pairs)) == len(pairs)
    assert abs(len(pairs) - 0.25 * 19900) < 5 * np.sqrt(19900 * 0.1875)
    pairs, _ = junctions(ns.FixedTotalNumber(30, autapses=False))
    assert len(pairs) == 30
    pairs, _ = junctions(ns.FixedIndegree(2, autapses=False))
    assert len(pairs) == 24


def test_listed_junctions_add_up():
    """Parallel junctions, in either order, are one of the summed conductance."""
    pairs, plan = junctions(ns.Explicit([3, 1, 5], [1, 3, 0]), g=[1.0, 2.0, 4.0])
    assert pairs == [(0, 5), (1, 3), (1, 3)]
    assert plan.membranes[0].ids.size == 12
    total = np.add.reduceat(plan.conductance, plan.first[:-1][np.diff(plan.first) > 0])
    assert total.tolist() == [4.0, 3.0, 3.0, 4.0]


def test_dictionary_and_back():
    net, _ = mixed()
    again = ns.Network.from_dict(net.to_dict())
    one, two = (lower(n, 0.1, 1, 1, ()).gaps for n in (net, again))
    for name in ("capacitance", "first", "partner", "conductance"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_compartments_are_joined_by_name():
    net = ns.Network()
    cells = net.population(2, ns.models.iaf_cond_alpha_mc(), name="cells")
    net.gap_junctions(cells[:1], cells[1:], g=2.0, state="distal_V_m", into="distal_I_e")
    plan = lower(net, 0.1, 0, 0, ()).gaps
    assert plan.membranes[0].state == "distal_V_m"
    assert plan.capacitance.tolist() == [ns.models.iaf_cond_alpha_mc().values["distal_C_m"]] * 2


# ---- mistakes


def cells_of(model=None, n=4):
    net = ns.Network()
    return net, net.population(n, model or ns.models.iaf_psc_exp(), name="cells")


def test_mistakes_are_explained():
    net, cells = cells_of()
    source = net.population(4, ns.models.poisson(rate=5.0), name="source")
    for options, error, text in (
        ({"g": -1.0}, ParameterError, "g = -1 nS; a conductance must be >= 0"),
        ({"g": np.nan}, ParameterError, "g = nan is not a finite number"),
        ({"state": "v"}, UnknownNameError, "has no state 'v'"),
        ({"into": "I"}, UnknownNameError, "has no parameter 'I'"),
        ({"rule": ns.FixedIndegree(2)}, NetworkError, "to themselves; write autapses=False"),
        ({"rule": "all"}, NetworkError, "a rule such as AllToAll"),
        ({"g": ns.Uniform(-3.0, -1.0)}, ParameterError, "a conductance must be >= 0"),
    ):
        with pytest.raises(error, match=text.replace("(", r"\(")):
            net.gap_junctions(cells, cells, **options)
    with pytest.raises(NetworkError, match="poisson is a spike source and has no states"):
        net.gap_junctions(cells, source)
    assert not net.gaps


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"rule": ns.OneToOne()}, NetworkError, "4 of 4 join a neuron of 'cells' to itself"),
        ({"g": ns.Normal(0.0, 1.0)}, ParameterError, "is drawn; conductances must be >= 0"),
        ({"into": "tau_m"}, ModelError, "must be a differential equation with the term tau_m/C"),
        ({"into": "E_L"}, ModelError, r"dV_m/dt contains E_L times a factor in .*must be 1/pF"),
    ],
)
def test_mistakes_found_when_lowering(options, error, text):
    net, cells = cells_of()
    net.gap_junctions(cells, cells, **options)
    with pytest.raises(error, match=text):
        lower(net, 0.1, 0, 0, ())


def test_one_membrane_has_one_current():
    net, cells = cells_of(ns.models.iaf_cond_alpha_mc())
    for into in ("soma_I_e", "distal_I_e"):
        net.gap_junctions(cells, cells, state="soma_V_m", into=into)
    with pytest.raises(NetworkError, match="give all gap junctions of a membrane the same into="):
        lower(net, 0.1, 0, 0, ())


def test_coupled_neurons_do_not_sleep():
    net, cells = cells_of()
    net.gap_junctions(cells, cells)
    with pytest.raises(ModelError, match="because gap junctions act on it in every step"):
        ns.Simulation(net, engine=ns.CPU(strategy="event"))
    with pytest.raises(NetworkError, match="no exact solution in continuous time"):
        ns.Simulation(net, dt=None)


def test_a_failure_names_the_neuron():
    net, cells = cells_of(excitable(method="euler"))
    net.gap_junctions(cells, cells)
    net.inject(cells[2:3], ns.StepCurrent(times=[2.0], values=[1e9]))
    with pytest.raises(ns.errors.SimulationError, match="of population 'cells' stopped being"):
        ns.simulate(net, 10.0)
