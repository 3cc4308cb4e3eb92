"""Plastic networks: engines, threads, split runs and strategies agree; rules do what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plastic_cases import sent_weights

import neurosim as ns
from neurosim.models import SynapseModel, param, state

M = ns.models


class eligible(SynapseModel):
    """Everything at once: states, a weight that drifts, a third factor, an interval, chance."""

    tau = param(20.0, "ms", gt=0)
    tau_c = param(60.0, "ms", gt=0)
    tau_n = param(40.0, "ms", gt=0)
    A = param(0.4, "1")
    hits = state("1")
    presynaptic = "dx/dt = -x/tau : 1"
    postsynaptic = """
        dy/dt = -y/tau : 1
        dz/dt = -z/tau_c : 1
    """
    modulator = "dn/dt = -n/tau_n : 1"
    equations = """
        dc/dt = -c/tau_c : 1
        dw/dt = c*n/tau_n - 0.2*c/tau_n : 1
    """
    on_pre = "c -= A*y; x += 1; hits += where(random < 0.5, 1, 0); w += 0.1*(random + hits/50)"
    on_post = "c += A*x*(1 + z); y += 1; z += 0.5; w -= 0.2*random"
    on_modulator = "n += 1; w += 0.01*c"
    bounds = ("0", "90")


class scaled(SynapseModel):
    """STDP with normalisation of the incoming weights at intervals."""

    tau = param(20.0, "ms", gt=0)
    total = param(1000.0, "1")
    period = param(20.0, "ms", gt=0)
    presynaptic = "dx/dt = -x/tau : 1"
    postsynaptic = "dy/dt = -y/tau : 1"
    on_pre = "w -= y; x += 1"
    on_post = "w += 1.1*x; y += 1"
    on_interval = "w *= total/w_total"
    interval = "period"
    bounds = ("0.5", "200")


class rewired(SynapseModel):
    """STDP whose weakest synapses are replaced."""

    tau = param(20.0, "ms", gt=0)
    w_prune = param(24.0, "1")
    w_new = param(32.0, "1")
    period = param(15.0, "ms", gt=0)
    age = state("1")
    presynaptic = "dx/dt = -x/tau : 1"
    postsynaptic = "dy/dt = -y/tau : 1"
    on_pre = "w -= 2*y*random; x += 1"
    on_post = "w += 1.5*x; y += 1"
    on_interval = "age += 1"
    interval = "period"
    prune = "w < w_prune or (age > 3 and random < 0.1)"
    regrow = "w_new"
    bounds = ("0.5", "200")


RULES: dict[str, Any] = {
    "stdp": M.stdp(lambda_=0.1, mu_plus=0.4, mu_minus=0.3, Wmax=90.0),
    "additive": M.stdp(lambda_=0.05, mu_plus=0.0, mu_minus=0.0, Wmax=60.0),
    "nearest": M.stdp_nn_symm(lambda_=0.1, Wmax=90.0),
    "power": M.stdp_pl(lambda_=0.2),
    "triplet": M.stdp_triplet(Aplus=1.0, Aplus_triplet=2.0, Aminus=1.5, Wmax=90.0),
    "short term": M.tsodyks2(U=0.4, tau_rec=120.0, tau_fac=60.0),
    "everything": eligible(),
    "scaled": scaled(),
    "rewired": rewired(),
}


def plastic_network(rule: Any, *, delays: tuple[float, float] = (0.3, 4.0),
                    inhibitory: bool = False, axonal: float = 0.0) -> tuple[Any, ...]:  # fmt: skip
    """Return a small recurrent network with plastic synapses, and what to record."""
    net = ns.Network()
    exc = net.population(40, M.iaf_psc_exp(t_ref=1.0), name="exc", V_m=ns.Uniform(-65, -55))
    inh = net.population(10, M.iaf_psc_exp(), name="inh")
    net.poisson_input(exc, rate=900.0, n=1, weight=200.0)
    net.poisson_input(inh, rate=800.0, n=1, weight=200.0)
    reward = net.population(3, M.poisson(rate=20.0), name="reward")
    extra = {"modulator": reward[1:]} if rule.spec.uses_modulator else {}
    net.connect(inh, exc, ns.FixedProbability(0.5), weight=-60.0, delay=1.0)
    net.connect(exc, inh, ns.FixedProbability(0.3), weight=40.0, delay=1.5)
    sign = -1 if inhibitory else 1
    net.connect(inh if inhibitory else exc, exc, ns.FixedIndegree(8), name="plastic", synapse=rule,
                weight=ns.Uniform(*sorted((sign * 20.0, sign * 50.0))), axonal=axonal,
                delay=ns.Uniform(*delays) if axonal <= 0.5 else delays[1], **extra)  # fmt: skip
    return net, [ns.Spikes(exc), ns.Spikes(inh)]


def run(net: Any, record: Any, engine: Any, pieces: tuple[float, ...] = (150.0,)) -> Any:
    """Run in pieces, reading the weights after each; return spikes and the last weights."""
    sim = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=engine)
    for piece in pieces:
        sim.run(piece)
        weights = sim.weights("plastic")
    spikes = {k: (s.times, s.ids) for k, s in sim.results.spikes.items()}
    return spikes, weights


def same(a: Any, b: Any, *, exact: bool) -> None:
    """Check that two runs are equal: bit by bit, or to rounding."""
    for name in a[0]:
        for x, y in zip(a[0][name], b[0][name], strict=True):
            np.testing.assert_array_equal(x, y)
    for field in ("pre", "post", "delay"):
        np.testing.assert_array_equal(getattr(a[1], field), getattr(b[1], field))
    if exact:
        np.testing.assert_array_equal(a[1].weight, b[1].weight)
    else:
        np.testing.assert_allclose(a[1].weight, b[1].weight, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_engines_agree(name: str) -> None:
    """Reference, clock, event and auto; 1, 2 and 3 threads; one run and three pieces."""
    net, record = plastic_network(RULES[name])
    reference = run(net, record, "reference")
    assert reference[0]["exc"][0].size > 100
    one = run(net, record, ns.CPU(threads=1, strategy="clock"))
    same(reference, one, exact=False)
    if RULES[name].spec.changes_weights:
        start = ns.Simulation(net, dt=0.1, seed=3).weights("plastic").weight
        assert np.abs(one[1].weight - start).max() > 0.5
    same(one, run(net, record, ns.CPU(threads=2, strategy="clock")), exact=True)
    same(one, run(net, record, ns.CPU(threads=3), (20.3, 0.1, 129.6)), exact=True)
    same(one, run(net, record, ns.CPU(threads=2, strategy="event")), exact=False)
    single = run(net, record, ns.CPU(threads=2, precision="float32"))
    assert single[1].weight.shape == one[1].weight.shape


@settings(max_examples=8, deadline=None)
@example(rule="rewired", longest=12.0, inhibitory=True, axonal=0.8, pieces=[272])
@given(
    rule=st.sampled_from([k for k in RULES if k != "everything"]),
    longest=st.sampled_from([0.3, 1.0, 12.0]),
    inhibitory=st.booleans(),
    axonal=st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]),
    pieces=st.lists(st.integers(1, 250), min_size=1, max_size=3),
)
def test_random_networks(
    rule: str, longest: float, inhibitory: bool, axonal: float, pieces: list[int]
) -> None:
    """Any rule, sign, delays and pieces: the CPU engine does what the reference does."""
    net, record = plastic_network(
        RULES[rule], delays=(0.1, longest), inhibitory=inhibitory, axonal=axonal
    )
    times = tuple(round(0.1 * p, 1) for p in pieces)
    whole = (round(0.1 * sum(pieces), 1),)
    reference = run(net, record, "reference", whole)
    cpu = run(net, record, ns.CPU(threads=2), times)
    same(reference, cpu, exact=False)


@pytest.mark.parametrize(
    "name", ["stdp", "triplet", "short term", "everything", "scaled", "rewired"]
)
@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_checkpoint(name: str, engine: str, tmp_path: Any) -> None:
    """A run that was saved and loaded, with other threads or another engine, goes on the same."""
    net, record = plastic_network(RULES[name], delays=(0.3, 3.0))
    first = ns.CPU(threads=2, strategy="clock") if engine == "cpu" else "reference"
    whole = run(net, record, first, (60.0,))
    sim = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=first)
    sim.run(35.2)
    sim.save(tmp_path / "state.h5")
    for second in (ns.CPU(threads=3, strategy="clock"), "reference"):
        exact = engine == "cpu" and second != "reference"
        loaded = ns.Simulation.load(tmp_path / "state.h5", engine=second)
        loaded.run(24.8)
        spikes = {k: (s.times, s.ids) for k, s in loaded.results.spikes.items()}
        same(whole, (spikes, loaded.weights("plastic")), exact=exact)
    sim.run(24.8)  # saving changed nothing
    same(whole, ({k: (s.times, s.ids) for k, s in sim.results.spikes.items()},
                 sim.weights("plastic")), exact=True)  # fmt: skip


def test_reset() -> None:
    """A reset forgets traces and spikes on their way; weights stay."""
    net, record = plastic_network(RULES["triplet"])
    runs = []
    for engine in (ns.CPU(threads=2), "reference"):
        sim = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=engine)
        sim.run(60.0)
        before = sim.weights("plastic").weight
        sim.reset()
        np.testing.assert_array_equal(sim.weights("plastic").weight, before)
        sim.run(60.0)
        spikes = {k: (s.times, s.ids) for k, s in sim.results.spikes.items()}
        runs.append((spikes, sim.weights("plastic")))
    same(*runs, exact=False)


def test_recorded_weights() -> None:
    """Weights over time, the last of them those at the end; recording changes nothing."""
    net, record = plastic_network(RULES["stdp"])
    plain = run(net, record, ns.CPU(threads=2), (100.0,))
    item = ns.Weights(net.projections["plastic"], interval=12.5)
    results = ns.simulate(net, 100.0, seed=3, record=[*record, item], engine=ns.CPU(threads=2))
    traces = results.weights["plastic"]
    np.testing.assert_allclose(traces.times, 12.5 * np.arange(1, 9))
    np.testing.assert_array_equal(traces.values[-1], plain[1].weight)
    np.testing.assert_array_equal(traces.values[-1], traces.weight)
    early = run(net, record, "reference", (25.0,))
    np.testing.assert_allclose(traces.values[1], early[1].weight, rtol=1e-9)


def test_histories_that_fill_up() -> None:
    """Fast targets and silent sources: weights catch up in sweeps and stay right."""
    net = ns.Network()
    cells = net.population(4, M.iaf_psc_delta(t_ref=0.1, I_e=3000.0), name="cells")
    quiet = net.population(1, M.spike_source(times=[5.0, 480.0], ids=[0, 0]), name="quiet")
    net.connect(quiet, cells, weight=10.0, delay=2.0, synapse=M.stdp(Wmax=20.0), name="plastic")
    runs = [run(net, [ns.Spikes(cells)], e, (500.0,)) for e in (ns.CPU(threads=2), "reference")]
    assert runs[0][0]["cells"][0].size > 1200
    same(*runs, exact=False)


def test_structural_plasticity_keeps_what_it_should() -> None:
    """Targets keep their synapses and delays; sources change, without autapses and multapses."""
    net, record = plastic_network(rewired(), delays=(0.3, 3.0))
    exc = net.populations["exc"]
    rule = ns.FixedIndegree(10, autapses=False, multapses=False)
    net.connect(exc, exc, rule, synapse=rewired(w_prune=40.0), weight=30.0, delay=ns.Uniform(1, 2),
                name="strict")  # fmt: skip
    sim = ns.Simulation(net, seed=3, record=record, engine=ns.CPU(threads=2))
    before = {k: sim.weights(k) for k in ("plastic", "strict")}
    sim.run(61.0)
    for name, old in before.items():
        new = sim.weights(name)
        order = [np.lexsort((w.delay, w.post)) for w in (old, new)]
        np.testing.assert_array_equal(old.post[order[0]], new.post[order[1]])
        np.testing.assert_array_equal(old.delay[order[0]], new.delay[order[1]])
        assert (np.bincount(old.pre, minlength=40) != np.bincount(new.pre, minlength=40)).any()
    strict = sim.weights("strict")
    assert (strict.pre != strict.post).all()
    assert np.unique(40 * strict.post + strict.pre).size == len(strict)


def test_weights_of_synapses_that_move_are_not_recorded() -> None:
    """The message says why and what to do instead."""
    net, _ = plastic_network(RULES["rewired"])
    with pytest.raises(ns.errors.RecordingError, match=r"replaced while it runs.*sim.weights"):
        ns.Simulation(net, record=[ns.Weights(net.projections["plastic"], interval=10.0)])


def test_what_is_sent_may_be_negative() -> None:
    """A rule may send less than nothing; the sign of the weight applies to that."""

    class below(SynapseModel):
        zero = param(30.0, "1")
        on_pre = "w += 1"
        transmit = "w - zero"

    pre = np.array([5.0, 10.0, 15.0])
    for engine in ("reference", ns.CPU(threads=1)):
        for weight, sign in ((20.0, 1.0), (-20.0, -1.0)):
            sent = sent_weights(below(), pre, np.array([2.0]), weight=weight, delay=1.0, stop=20.0,
                                engine=engine)  # fmt: skip
            np.testing.assert_allclose(sent, sign * np.array([-9.0, -8.0, -7.0]))


def test_modulator_events_do_not_read_the_target() -> None:
    """The message says where states of the target can be read."""

    class wrong(SynapseModel):
        tau = param(20.0, "ms", gt=0)
        modulator = "dn/dt = -n/tau : 1"
        on_modulator = "n += 1; w += 0.1*V_m_post"

    net, _ = plastic_network(wrong())
    with pytest.raises(ns.errors.ModelError, match=r"on_modulator reads V_m_post; states of the"):
        ns.Simulation(net)


@pytest.mark.parametrize("name", ["stdp", "triplet", "nearest"])
@pytest.mark.parametrize("fastest", [40.0, 400.0])
def test_long_rows_with_few_and_many_events(name: str, fastest: float) -> None:
    """Rows of many pieces; targets with none to dozens of spikes between two of the source."""
    net = ns.Network()
    n = 700
    times, ids = [5.0, 30.0, 31.0, 150.0, 240.0, 30.0, 200.0], [0, 0, 0, 0, 0, 1, 1]
    source = net.population(2, M.spike_source(times=times, ids=ids), name="source")
    rates = np.linspace(1.0, fastest, n)  # about the spikes/s of targets
    cell = M.iaf_psc_delta(t_ref=0.0, tau_m=1e3, E_L=0.0, V_th=1e3, V_reset=0.0, C_m=1.0, I_e=rates)
    cells = net.population(n, cell, name="cells", V_m=ns.Uniform(0.0, 1e3))
    net.connect(source, cells, ns.AllToAll(), name="plastic", synapse=RULES[name],
                weight=ns.Uniform(20.0, 50.0), delay=ns.Uniform(0.3, 4.0))  # fmt: skip
    reference = run(net, [ns.Spikes(cells)], "reference", (160.0, 100.0))
    one, two = (run(net, [ns.Spikes(cells)], ns.CPU(threads=n), (160.0, 100.0)) for n in (1, 2))
    same(reference, one, exact=False)
    same(one, two, exact=True)
    whole = run(net, [ns.Spikes(cells)], ns.CPU(threads=2), (260.0,))
    same(one, whole, exact=True)
    single = run(net, [ns.Spikes(cells)], ns.CPU(precision="float32"), (160.0, 100.0))[1].weight
    assert np.median(np.abs(single - reference[1].weight)) < 1e-3
    assert np.ptp(reference[1].weight) > 20.0
