"""Plastic networks on the emulated GPU: rules, orders of threads, sweeps, checkpoints, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import nvrtc
import pytest
from emulator import Emulated, EmulatedDevice
from hypothesis import given
from hypothesis import strategies as st
from runs import few
from test_compile import ARCHITECTURES, assert_in_registers, source_of
from test_emulation_layer import python
from test_plasticity import RULES, plastic_network, run, same
from test_plasticity_nest import CASES, assert_like_nest

import neurosim as ns
from neurosim.engines.gpu.options import GPU
from neurosim.engines.gpu.runner import GpuRunner
from neurosim.errors import FileFormatError, NetworkError, NetworkSizeError, SimulationError

M = ns.models


class drifting(M.SynapseModel):
    """States, a weight that drifts, chance on both sides, and what the target is like."""

    tau = ns.models.param(20.0, "ms", gt=0)
    tau_c = ns.models.param(60.0, "ms", gt=0)
    late = ns.models.param(2.0, "ms")
    A = ns.models.param(0.4, "1")
    hits = ns.models.state("1")
    presynaptic = "dx/dt = -x/tau : 1"
    postsynaptic = """
        dy/dt = -y/tau : 1
        dz/dt = -z/tau_c : 1
    """
    equations = """
        dc/dt = -c/tau_c : 1
        dw/dt = (c*x - 0.2*c)/tau_c : 1
    """
    on_pre = """
        c -= A*y
        x += 1
        hits += where(random < 0.5, 1, 0)
        w += 0.1*(random + hits/50) + 0.001*(delayed(V_m_post, late) + 60[mV])/1[mV]
    """
    on_post = """
        c += A*x*(1 + z)
        y += 1
        z += 0.5
        w -= 0.2*random + 0.01*(I_syn_ex_post - delayed(I_syn_ex_post, late))/1[pA]
    """
    transmit = "w*(1 + 0.1*x)"
    bounds = ("0", "90")


class supralinear(M.SynapseModel):
    """An event of the target is a potential above a bound, in every step."""

    tau = ns.models.param(10.0, "ms", gt=0)
    bound = ns.models.param(-57.0, "mV")
    presynaptic = "dx/dt = -x/tau : 1"
    postsynaptic = "dy/dt = -y/tau : 1"
    post_event = "V_m_post > bound"
    on_pre = "w -= 0.02*y; x += 1"
    on_post = "w += 0.02*x*(V_m_post - bound)/1[mV]; y += 0.1"
    bounds = ("1", "90")


#: The rules of the engine tests that the GPU runs, and one for each of what those lack.
SUPPORTED = {
    name: RULES[name]
    for name in ("stdp", "additive", "nearest", "power", "triplet", "short term")
} | {
    "centred": M.stdp_nn_pre_centered(lambda_=0.1, Wmax=90.0),
    "restricted": M.stdp_nn_restr(lambda_=0.1, Wmax=90.0),
    "exponential": M.jonke(lambda_=0.5, mu_plus=-0.02, beta=0.1, Wmax=80.0),
    "inhibitory": M.vogels_sprekeler(eta=0.5, Wmax=90.0),
    "chance": M.bernoulli_synapse(p_transmit=0.4),
    "quantal": M.quantal_stp(n=3, tau_rec=50.0, tau_fac=30.0),
    "drifting": drifting(),
    "potential": supralinear(),
}  # fmt: skip


Run = tuple[dict[str, Any], dict[str, Any]]


def all_rules(
    *, delays: tuple[float, float] = (0.3, 4.0), inhibitory: bool = False, axonal: float = 0.0
) -> tuple[ns.Network, list[Any]]:
    """Return a network with a projection of every rule, named by it, and what to record."""
    net = ns.Network()
    exc = net.population(40, M.iaf_psc_exp(t_ref=1.0), name="exc", V_m=ns.Uniform(-65, -55))
    inh = net.population(10, M.iaf_psc_exp(), name="inh")
    net.poisson_input(exc, rate=900.0, n=1, weight=200.0)
    net.poisson_input(inh, rate=800.0, n=1, weight=200.0)
    net.connect(inh, exc, ns.FixedProbability(0.5), weight=-60.0, delay=1.0)
    net.connect(exc, inh, ns.FixedProbability(0.3), weight=40.0, delay=1.5)
    sign = -1 if inhibitory else 1
    for name, rule in SUPPORTED.items():
        net.connect(
            inh if inhibitory else exc, exc, ns.FixedIndegree(2), synapse=rule, name=name,
            weight=ns.Uniform(*sorted((sign * 20.0, sign * 50.0))), delay=ns.Uniform(*delays),
            axonal=axonal,
        )  # fmt: skip
    return net, [ns.Spikes(exc), ns.Spikes(inh)]


def outcome(sim: ns.Simulation) -> Run:
    """Return all spikes and weights."""
    spikes = {k: (s.times, s.ids) for k, s in sim.results.spikes.items()}
    return spikes, {name: sim.weights(name) for name in SUPPORTED}


def run_all(net: Any, record: Any, engine: Any, pieces: tuple[float, ...] = (60.0,)) -> Run:
    """Run in pieces, reading weights after each."""
    sim = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=engine)
    for piece in pieces:
        sim.run(piece)
        found = outcome(sim)
    return found


def all_same(a: Run, b: Run, *, exact: bool = False) -> None:
    for name in a[1]:
        same((a[0], a[1][name]), (b[0], b[1][name]), exact=exact)


@pytest.fixture(scope="module")
def reference() -> Run:
    return run_all(*all_rules(), "reference")


@pytest.mark.parametrize("case", CASES)
def test_nest(case: str) -> None:
    assert_like_nest(case, Emulated(seed=2))


def test_every_rule_equals_reference(reference: Run) -> None:
    net, record = all_rules()
    assert reference[0]["exc"][0].size > 50
    all_same(reference, run_all(net, record, Emulated(seed=4), (20.3, 0.1, 39.6)))
    all_same(reference, run_all(net, record, Emulated(launch="phases")))
    start = ns.Simulation(net, dt=0.1, seed=3, engine="reference")
    for name, rule in SUPPORTED.items():
        if rule.spec.changes_weights:
            before = start.weights(name).weight
            assert np.abs(reference[1][name].weight - before).max() > 0.2, name


@few(3)
@given(
    longest=st.sampled_from([0.3, 1.0, 12.0]),
    inhibitory=st.booleans(),
    axonal=st.sampled_from([0.25, 0.5]),
    pieces=st.lists(st.integers(1, 200), min_size=1, max_size=3),
    blocks=st.integers(1, 4),
    launch=st.sampled_from(["cooperative", "graph", "phases"]),
)
def test_random_networks_equal_reference(
    longest: float, inhibitory: bool, axonal: float, pieces: list[int], blocks: int, launch: str
) -> None:
    net, record = all_rules(delays=(0.1, longest), inhibitory=inhibitory, axonal=axonal)
    times = tuple(round(0.1 * p, 1) for p in pieces)
    engine = Emulated(device=EmulatedDevice(blocks, blocks=blocks), launch=launch)
    expected = run_all(net, record, "reference", (round(sum(times), 1),))
    all_same(expected, run_all(net, record, engine, times))


class often(drifting):
    """Without states of the target, so that it may spike several times within a step."""

    on_pre = "c -= A*y; x += 1; hits += where(random < 0.5, 1, 0); w += 0.1*(random + hits/50)"
    on_post = "c += A*x*(1 + z); y += 1; z += 0.5; w -= 0.2*random"


def test_several_spikes_within_a_step() -> None:
    net = ns.Network()
    cells = net.population(3, M.aeif_cond_exp(t_ref=0.0, I_e=ns.Uniform(2e4, 3e4)), name="cells")
    source = net.population(4, M.poisson(rate=900.0), name="source")
    net.connect(source, cells, weight=ns.Uniform(10, 40), delay=ns.Uniform(1, 5), synapse=often(),
                name="plastic")  # fmt: skip
    runs, record = [], [ns.Spikes(cells), ns.Spikes(source)]
    for engine in ("reference", Emulated(seed=1)):
        sim = ns.Simulation(net, dt=1.0, seed=3, record=record, engine=engine)
        sim.run(8.0)
        spikes = {k: (s.times, s.ids) for k, s in sim.results.spikes.items()}
        runs.append((spikes, sim.weights("plastic")))
    same(*runs, exact=False)
    for times, ids in runs[0][0].values():
        assert np.unique([times, ids], axis=1, return_counts=True)[1].max() > 3


def test_spikes_that_wait_on_axons() -> None:
    net, _ = plastic_network(SUPPORTED["stdp"])
    exc = net.populations["exc"]
    rule = M.stdp(lambda_=0.1, Wmax=90.0)
    net.connect(exc, exc, ns.FixedIndegree(4), weight=30.0, delay=3.0, synapse=rule, axonal=0.9,
                name="late")  # fmt: skip
    runs = []
    for engine in ("reference", Emulated(seed=1)):
        sim = ns.Simulation(net, seed=3, record=[ns.Spikes(exc)], engine=engine)
        sim.run(40.0)
        spikes = {k: (s.times, s.ids) for k, s in sim.results.spikes.items()}
        runs.append((spikes, sim.weights("late")))
    same(*runs, exact=False)
    assert (runs[1][1].delay == 3.0).all()
    assert np.ptp(runs[1][1].weight) > 1.0


def test_deterministic_sums_are_the_same_in_every_order(reference: Run) -> None:
    net, record = all_rules()
    first = run_all(net, record, Emulated(deterministic=True))
    for seed, blocks, launch in ((1, 1, "phases"), (2, 5, "auto"), (3, 2, "graph")):
        engine = Emulated(
            deterministic=True, launch=launch, device=EmulatedDevice(seed, blocks=blocks)
        )
        all_same(first, run_all(net, record, engine, (12.1, 47.9)), exact=True)
    for name, weights in reference[1].items():
        same((reference[0], weights), (first[0], weights), exact=True)
        np.testing.assert_allclose(first[1][name].weight, weights.weight, rtol=1e-5)


def test_single_precision_stays_near() -> None:
    net, record = all_rules()
    found = run_all(net, record, Emulated(precision="float32"), (15.0,))
    for name, weights in run_all(net, record, "reference", (15.0,))[1].items():
        np.testing.assert_allclose(found[1][name].weight, weights.weight, rtol=0.02)


def fast_targets() -> tuple[Any, Any]:
    """Return targets that spike in nearly every step, seen by a source that hardly ever does."""
    net = ns.Network()
    cells = net.population(70, M.iaf_psc_delta(t_ref=0.1, I_e=60000.0), name="cells")
    quiet = net.population(1, M.spike_source(times=[5.0, 118.0], ids=[0, 0]), name="quiet")
    net.connect(quiet, cells, weight=10.0, delay=2.0, synapse=M.stdp(Wmax=20.0), name="plastic")
    return net, [ns.Spikes(cells)]


@pytest.mark.parametrize("launch", ["cooperative", "phases"])
def test_histories_that_fill_up_are_swept(launch: str, monkeypatch: Any) -> None:
    net, record = fast_targets()
    calls: list[int] = []
    reference = run(net, record, "reference", (120.0,))
    assert reference[0]["cells"][0].size > 70 * 300
    monkeypatch.setattr(Emulated, "prepare", _counting(Emulated.prepare, calls))
    same(reference, run(net, record, Emulated(launch=launch, seed=1), (120.0,)), exact=False)
    assert max(calls) > 1000  # steps: the device asked for a sweep by itself


def _counting(prepare: Any, calls: list[int]) -> Any:
    """Return `prepare` that notes the last step after which a sweep was due."""

    def prepared(self: Any, plan: Any) -> Any:
        runner = prepare(self, plan)
        advance = runner.advance

        def counted(stop: float) -> None:
            advance(stop)
            calls.append(int(runner._network.plastic._words[2:4].max()))

        runner.advance = counted
        return runner

    return prepared


def test_a_history_that_overflows_stops_the_run(monkeypatch: Any) -> None:
    room = "neurosim.engines.gpu.plastic.PlasticProjection._room"
    monkeypatch.setattr(room, lambda self: (8, 4))  # 10 spikes are on their way
    net, record = fast_targets()
    text = r"projection 'plastic': at t = 1\.\d ms more than 6 spikes of one neuron of .*'cells'"
    with pytest.raises(SimulationError, match=text):
        run(net, record, Emulated(), (10.0,))


def test_checkpoints_move_between_engines(reference: Run, tmp_path: Any) -> None:
    net, record = all_rules()
    for first, second in (
        (Emulated(), "reference"), ("reference", Emulated(seed=1)), (Emulated(), Emulated(seed=3)),
    ):  # fmt: skip
        sim = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=first)
        sim.run(32.7)
        sim.save(tmp_path / "state.h5")
        loaded = ns.Simulation.load(tmp_path / "state.h5", engine=second)
        loaded.run(27.3)
        all_same(reference, outcome(loaded))


def test_checkpoints_move_between_cpu_and_gpu(tmp_path: Any) -> None:
    net, record = plastic_network(SUPPORTED["triplet"], delays=(0.3, 3.0))
    whole = run(net, record, "reference", (60.0,))
    for engines in ((Emulated(), ns.CPU(threads=1)), (ns.CPU(threads=2), Emulated())):
        sim = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=engines[0])
        sim.run(32.7)
        sim.save(tmp_path / "state.h5")
        loaded = ns.Simulation.load(tmp_path / "state.h5", engine=engines[1])
        loaded.run(27.3)
        spikes = {k: (s.times, s.ids) for k, s in loaded.results.spikes.items()}
        same(whole, (spikes, loaded.weights("plastic")), exact=False)


def test_a_checkpoint_of_other_synapses_is_refused() -> None:
    runners = []
    for n in (8, 9):
        net, _ = plastic_network(SUPPORTED["stdp"])
        exc = net.populations["exc"]
        net.connect(exc, exc, ns.FixedIndegree(n), weight=1.0, synapse=M.stdp(), name="other")
        plan = ns.Simulation(net, seed=3, engine="reference").plan
        runners.append(GpuRunner(plan, GPU(precision="float64"), EmulatedDevice()))
        for part in runners[-1]._network.plastic.parts:
            assert "edges" not in vars(part)  # nothing is drawn on the host until it is looked at
    with pytest.raises(FileFormatError, match=r"'other': the checkpoint has 320 .*network 360"):
        runners[1].restore(runners[0].state())


def test_reset_keeps_weights() -> None:
    net, record = all_rules()
    runs = []
    for engine in (Emulated(seed=1), "reference"):
        sim = ns.Simulation(net, dt=0.1, seed=3, record=record, engine=engine)
        sim.run(30.0)
        before = outcome(sim)[1]
        sim.reset()
        for name, weights in outcome(sim)[1].items():
            np.testing.assert_array_equal(weights.weight, before[name].weight)
        sim.run(30.0)
        runs.append(outcome(sim))
    all_same(*runs)


def test_recorded_weights() -> None:
    net, record = all_rules()
    item = ns.Weights(net.projections["stdp"], interval=12.5)
    runs = [
        ns.simulate(net, 50.0, seed=3, record=[*record, item], engine=engine)
        for engine in (Emulated(), "reference")
    ]
    found, expected = (r.weights["stdp"] for r in runs)
    np.testing.assert_allclose(found.times, 12.5 * np.arange(1, 5))
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)
    assert np.ptp(found.values, axis=0).max() > 0.5


def test_what_a_rule_needs_that_the_engine_lacks_is_named() -> None:
    for name, text in (
        ("everything", r"projection 'plastic': its rule eligible has a third factor"),
        ("scaled", r"projection 'plastic': its rule scaled acts at intervals \(period\)"),
        ("rewired", r"projection 'plastic': its rule rewired replaces synapses"),
    ):
        net, _ = plastic_network(RULES[name])
        with pytest.raises(NetworkError, match=text + r"\. Use engine='cpu'"):
            ns.Simulation(net, engine=Emulated())


def test_memory_is_told_with_plastic_synapses() -> None:
    net, _ = plastic_network(SUPPORTED["stdp"])
    text = r"needs .*320 plastic synapses .*but the emulator has"
    with pytest.raises(NetworkSizeError, match=text):
        ns.Simulation(net, engine=Emulated(device=EmulatedDevice(memory=20_000)))


_SANITIZED = """
from test_plastic import run_sanitized
run_sanitized({sanitizer!r})
print("finished")
"""


def run_sanitized(sanitizer: str) -> None:
    """Run plastic synapses of several rules with sanitized kernels, with a sweep in most steps."""
    net, record = plastic_network(drifting())
    exc, inh = (net.populations[p] for p in ("exc", "inh"))
    net.connect(exc, inh, weight=5.0, synapse=M.stdp(Wmax=20.0), delay=0.5)
    net.poisson_input(exc, rate=2000.0, n=1, weight=2000.0)
    fast_model = M.iaf_psc_delta(t_ref=0.1, I_e=ns.Uniform(2e4, 6e4))  # 2 to 4 steps apart
    fast = net.population(20, fast_model, name="fast")
    net.connect(exc, fast, weight=0.1, synapse=M.stdp(Wmax=20.0), delay=0.2)
    plan = ns.Simulation(net, seed=3, record=record, engine="reference").plan
    device = EmulatedDevice(7, sanitizer=sanitizer, blocks=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurosim.engines.gpu.plastic.PlasticProjection._room", lambda self: (64, 2))
        runner = GpuRunner(plan, GPU(precision="float64"), device)
    while runner.time < 5.99:
        runner._chunk = 1 if runner.time < 4 else 100  # the last step of a launch sweeps as well
        runner.advance(6.0)
    runner.edges("plastic")
    runner.restore(runner.state())
    assert runner._network.plastic._words[4] == 60
    assert runner.counters()["spikes"] > 500


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_plastic_kernels_pass_the_sanitizers(sanitizer: str) -> None:
    done = python(_SANITIZED.format(sanitizer=sanitizer), sanitizer)
    assert done.stdout == "finished\n", done.stderr[-3000:]
    assert "WARNING" not in done.stderr


# ---- compiled for a GPU

needs_nvrtc = pytest.mark.skipif(
    nvrtc.library() is None, reason="the wheel nvidia-cuda-nvrtc is not installed"
)
KERNELS = {"run", "update", "after", "sweep", "catch_up", "peek"}


@needs_nvrtc
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_common_rules_keep_everything_in_registers(architecture: str) -> None:
    net, _ = plastic_network(SUPPORTED["stdp"])
    exc = net.populations["exc"]
    for name in ("triplet", "short term", "restricted"):
        net.connect(exc, exc, weight=9.0, synapse=SUPPORTED[name], name=name)
    assert_in_registers(source_of(net, "float32", False), architecture, kernels=KERNELS)


@needs_nvrtc
def test_every_rule_compiles_and_keeps_everything_in_registers() -> None:
    source = source_of(all_rules()[0], "float64", True)
    without_run = source[: source.index(" run(const Net")].rpartition("extern")[0]
    assert_in_registers(without_run, "sm_90", "--fmad=false", kernels=KERNELS - {"run"})
