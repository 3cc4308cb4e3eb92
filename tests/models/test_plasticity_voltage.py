"""Rules that read the membrane: what they must show, and an independent integration."""

from pathlib import Path

import numpy as np
import pytest

import neurosim as ns

M = ns.models


RATES = [10.0, 20.0, 40.0, 50.0]


def pairing(lag, late):
    """Return changes of the weight by five pairs at each of the rates, all in one network."""
    net, n = ns.Network(), len(RATES)
    pairs = np.round(30.0 + 1000.0 / np.array(RATES)[:, None] * np.arange(5), 1)
    pre = np.append(pairs, pairs[:, -1:] + 60.0, axis=1)
    each = ns.OneToOne()
    cells = net.population(n, M.aeif_psc_delta_clopath(), name="cells")
    sources = M.spike_source(times=pre.ravel(), ids=np.repeat(np.arange(n), 6))
    drivers = M.spike_source(times=pairs.ravel() + lag - 1.0, ids=np.repeat(np.arange(n), 5))
    net.connect(net.population(n, drivers), cells, each, weight=80.0, delay=1.0)
    net.connect(net.population(n, sources), cells, each, weight=0.5, delay=1.5,
                synapse=M.clopath(delay_u_bars=late), name="plastic")  # fmt: skip
    sim = ns.Simulation(net, dt=0.1, record=[ns.Spikes(cells)], engine=ns.CPU(threads=1))
    sim.run(700.0)
    assert (np.bincount(sim.results.spikes["cells"].ids) == 5).all()
    found = sim.weights("plastic")
    return found.weight[np.argsort(found.post)] - 0.5


@pytest.mark.parametrize(("k", "late"), [(0, 5.0), (1, 0.0)])
def test_clopath_changes_sign_with_frequency(k, late):
    """Potentiation grows with frequency; post-pre is LTD up to 20, LTP at 50 Hz (sheet D.4).

    NEST's changes differ by what its adaptive steps add at a spike.
    """
    forward, backward = pairing(10.0, late), pairing(-10.0, late)
    assert (forward[1:] > 0).all()
    assert (np.diff(forward) > 0).all()
    assert (backward[:2] < 0).all()
    assert backward[3] > 0
    with np.load(Path(__file__).with_name("nest_plasticity.npz")) as data:
        np.testing.assert_allclose([forward, backward], data["clopath_pairs"][k], rtol=0.06)


class scripted(M.NeuronModel):
    """A membrane that jumps by its input, with the filters that the rule reads."""

    tau = M.param(8.0, "ms", gt=0)
    equations = """
        dV_m/dt = -(V_m + 70[mV])/tau : mV
        du_bar_plus/dt = (V_m - u_bar_plus)/7[ms] : mV
        du_bar_minus/dt = (V_m - u_bar_minus)/10[ms] : mV
        du_bar_bar/dt = (u_bar_minus - u_bar_bar)/500[ms] : mV
    """
    V_m = M.state("mV", -70.0)
    u_bar_plus = M.state("mV", -70.0)
    u_bar_minus = M.state("mV", -70.0)
    u_bar_bar = M.state("mV", -70.0)
    receptors = {"in": "V_m += weight"}
    threshold = "V_m > 1000[mV]"
    reset = ""


@pytest.mark.parametrize(("delay", "late"), [(0.1, 0.0), (3.0, 4.0)])
def test_clopath_by_hand(delay, late):
    """The rule on a recorded potential, summed step by step in NumPy."""
    rng = np.random.default_rng(2)
    pre = np.sort(rng.choice(np.arange(100, 4000), 40, replace=False)) / 10
    post = np.sort(rng.choice(np.arange(100, 4000), 40, replace=False)) / 10
    net = ns.Network()
    cell = net.population(1, scripted(), name="cell")
    a = net.population(1, M.spike_source(times=pre, ids=np.zeros(40, int)))
    b = net.population(1, M.spike_source(times=post, ids=np.zeros(40, int)))
    net.connect(b, cell, weight=45.0, delay=0.1)
    rule = M.clopath(A_LTP=8e-3, A_LTD=2e-3, theta_plus=-50.0, theta_minus=-69.0,
                     delay_u_bars=late)  # fmt: skip
    net.connect(a, cell, weight=5.0, delay=delay, synapse=rule, name="plastic")
    states = ["V_m", "u_bar_plus", "u_bar_minus"]
    record = [ns.State(cell, states, interval=0.1)]
    sim = ns.Simulation(net, dt=0.1, record=record, engine=ns.CPU(threads=1))
    sim.run(410.0)
    V, plus, minus = (sim.results.traces["cell"][s][:, 0] for s in states)
    w, x, late = 5.0, 0.0, round(10 * late)
    plus, minus = (np.append(np.full(late, -70.0), u) for u in (plus, minus))
    spikes = set(np.rint(10 * pre).astype(int))
    for step in range(1, 4101):
        x *= np.exp(-0.1 / 15.0)
        k = step - 1 - round(10 * delay)  # the row of what left the target a delay ago
        if k >= 0 and V[k] > -50.0:
            w += 8e-3 * (V[k] + 50.0) * max(plus[k] + 69.0, 0.0) * x * 0.1
        if step in spikes:
            w -= 2e-3 * max(minus[k] + 69.0, 0.0) if k >= 0 else 0.0
            x += 1 / 15.0
        w = min(max(w, 0.0), 100.0)
    assert abs(w - 5.0) > 0.5
    np.testing.assert_allclose(sim.weights("plastic").weight, w, rtol=1e-9)


@pytest.mark.parametrize("engine", ["reference", ns.CPU(threads=1)])
def test_before_the_first_step_the_target_was_as_it_began(engine):
    """Synapses see its initial potential then, also after a reset.

    Depression at 1, 9 and 11 ms reads what was 8 ms before; the reset is at 9.5 ms.
    """
    net = ns.Network()
    cell = net.population(1, scripted(), name="cell", u_bar_minus=-60.0)
    source = net.population(1, M.spike_source(times=[1.0, 9.0, 11.0], ids=[0, 0, 0]))
    rule = M.clopath(A_LTD=0.01, theta_minus=-70.0)
    net.connect(source, cell, weight=5.0, delay=3.0, synapse=rule, name="plastic")
    sim = ns.Simulation(net, dt=0.1, engine=engine)
    sim.run(2.0)
    np.testing.assert_allclose(sim.weights("plastic").weight, 5.0 - 0.01 * 10.0, rtol=1e-12)
    sim.run(7.5)
    sim.reset()
    sim.run(2.5)
    seen = 10.0 + 10.0 * np.exp(-0.1) + 10.0
    np.testing.assert_allclose(sim.weights("plastic").weight, 5.0 - 0.01 * seen, rtol=1e-12)


def phi(V):
    """Return the rate [1/ms] at a potential, with the defaults of the model."""
    return 0.15 / (1 + 0.5 * np.exp((-55.0 - V) / 3.0))


def taught(duration, eta, seed=2, record=False, n=1):
    """Return a simulation in which a somatic conductance teaches dendritic inputs.

    A pattern of 60 inputs repeats every 100 ms; in its second half the soma is pulled to -57 mV.
    """
    rng = np.random.default_rng(seed)
    net = ns.Network()
    cycles = int(duration / 100.0)
    phase = np.sort(rng.choice(np.arange(10, 990), 60, replace=False)) / 10
    times = (phase[None, :] + 100.0 * np.arange(cycles)[:, None]).ravel()
    order = np.argsort(times, kind="stable")
    ids = np.tile(np.arange(60), cycles)[order]
    inputs = net.population(60, M.spike_source(times=np.round(times[order], 1), ids=ids))
    starts = 100.0 * np.arange(cycles)[:, None] + np.arange(55.0, 95.0, 1.0)[None, :]
    teacher = M.spike_source(times=starts.ravel(), ids=np.zeros(starts.size, int))
    cells = net.population(n, M.pp_cond_exp_mc_urbanczik(t_ref=0.0, E_ex=-57.0), name="cells")
    net.connect(net.population(1, teacher), cells, weight=200.0, delay=1.0, receptor="soma_exc")
    rule = M.urbanczik(eta=eta, Wmax=1e6)
    net.connect(inputs, cells, weight=10.0, delay=1.0, receptor="dendrite_exc", synapse=rule,
                name="plastic")  # fmt: skip
    what = [ns.Spikes(cells)]
    if record:
        what.append(ns.State(cells, ["V_m", "V_dend", "spiked"], interval=0.1))
    return ns.Simulation(net, dt=0.1, seed=4, record=what, engine=ns.CPU(threads=1)), phase


def test_urbanczik_in_numpy():
    """The course of every weight against the sums of the paper, step by step."""
    sim, phase = taught(600.0, 0.1, record=True)
    sim.run(600.0)
    found = sim.weights("plastic")
    trace = sim.results.traces["cells"]
    V_dend, spiked = trace["V_dend"][:, 0], trace["spiked"][:, 0]
    assert spiked.sum() == sim.results.spikes["cells"].times.size > 5
    w = np.full(60, 10.0)
    PI, membrane, current = np.zeros(60), np.zeros(60), np.zeros(60)
    pattern = np.rint(10 * phase).astype(int)
    scale = 15 * 0.1 * 300.0 * 3.0 / (300.0 - 30.0 * 3.0)
    for step in range(1, 6001):
        w += PI * (1 - np.exp(-0.1 / 100.0))
        PI *= np.exp(-0.1 / 100.0)
        membrane *= np.exp(-0.1 / 10.0)
        current *= np.exp(-0.1 / 3.0)
        k = step - 1 - 10
        if k >= 0:
            V = (30.0 * -70.0 + 600.0 * V_dend[k]) / 630.0
            h = 15.0 / 3.0 / (1 + np.exp(-(-55.0 - V) / 3.0) / 0.5)
            PI += scale * (spiked[k] - phi(V) * 0.1) * h * (membrane - current)
        fired = pattern == (step % 1000)
        membrane += fired
        current += fired
    order = np.argsort(found.pre)
    assert np.ptp(w) > 1.0
    np.testing.assert_allclose(found.weight[order], w, rtol=1e-8)


def test_urbanczik_dendrite_learns_to_predict_the_soma():
    """After learning, the rate that the dendrite predicts follows the taught rate of the soma."""

    def match(sim, last):
        trace = sim.results.traces["cells"]
        rows = slice(-last, None)
        V_star = (30.0 * -70.0 + 600.0 * trace["V_dend"][rows].mean(1)) / 630.0
        predicted = phi(V_star).reshape(-1, 10, 100).mean((0, 2))
        actual = phi(trace["V_m"][rows]).mean(1).reshape(-1, 10, 100).mean((0, 2))
        return predicted, actual

    sim, _ = taught(40000.0, 0.1, record=True, n=4)
    sim.run(1000.0)
    before, taught_rate = match(sim, 10000)
    assert np.ptp(taught_rate) > 3 * np.ptp(before)
    sim.run(39000.0)
    after, actual = match(sim, 10000)
    assert np.abs(after - actual).mean() < 0.06 * np.ptp(actual)
    assert np.corrcoef(after, actual)[0, 1] > 0.98
    np.testing.assert_allclose(after[6:], phi(-57.0), rtol=0.2)  # what the teacher pulls to


def test_random_spikes_have_the_rate_phi():
    """Spikes of the two-compartment neuron are a Poisson process with the rate phi(V_m)."""
    net = ns.Network()
    V = np.array([-60.0, -55.0, -45.0])
    cells = net.population(3, M.pp_cond_exp_mc_urbanczik(t_ref=0.0, g_sp=0.0,
                           I_e=30.0 * (V + 70.0)), name="cells", V_m=V)  # fmt: skip
    sim = ns.Simulation(net, dt=0.1, seed=3, record=[ns.Spikes(cells)], engine=ns.CPU(threads=1))
    sim.run(20000.0)
    counts = np.bincount(sim.results.spikes["cells"].ids, minlength=3)
    expected = 20000.0 / 0.1 * (1 - np.exp(-phi(V) * 0.1))
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    cv = sim.results.spikes["cells"].isi_cv()
    np.testing.assert_allclose(cv, 1.0, atol=0.12)
