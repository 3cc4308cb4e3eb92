"""Rules that keep activity in range: inhibitory plasticity, scaling, normalisation, thresholds."""

import numpy as np
import pytest

import neurosim as ns

M = ns.models


def test_inhibitory_plasticity_reaches_its_rate():
    """Vogels et al. 2011 with 1000 + 250 cells: excitatory cells fall to 3 +- 1 spikes/s.

    With the paper's eta of 0.01 the last of the way, from 6 spikes/s, takes half a minute.
    """
    cell = M.iaf_cond_exp(C_m=200.0, g_L=10.0, E_L=-60.0, V_th=-50.0, V_reset=-60.0, t_ref=5.0,
                          tau_syn_ex=5.0, tau_syn_in=10.0, E_in=-80.0, I_e=200.0)  # fmt: skip
    net = ns.Network()
    exc = net.population(1000, cell, name="exc", V_m=ns.Uniform(-60.0, -50.0))
    inh = net.population(250, cell, name="inh", V_m=ns.Uniform(-60.0, -50.0))
    some = ns.FixedProbability(0.16)
    for target in (exc, inh):
        net.connect(exc, target, some, weight=0.3, delay=1.0)
    net.connect(inh, inh, some, weight=-3.0, delay=1.0)
    net.connect(inh, exc, some, weight=-1e-6, delay=1.0, name="plastic",
                synapse=M.vogels_sprekeler(eta=0.1, Wmax=100.0))  # fmt: skip
    sim = ns.Simulation(net, dt=0.2, seed=1, record=[ns.Spikes(exc)])
    sim.run(10000.0)
    spikes = sim.results.spikes["exc"]
    rates = np.histogram(spikes.times, [0.0, 300.0, 6000.0, 8000.0, 10000.0])[0]
    early, _, *late = rates / 1000.0 / np.array([0.3, 5.7, 2.0, 2.0])
    assert early > 20.0
    assert late == pytest.approx([3.0, 3.0], abs=1.0)
    late_spikes = spikes.times > 6000.0
    order = np.lexsort((spikes.times[late_spikes], spikes.ids[late_spikes]))
    ids, times = spikes.ids[late_spikes][order], spikes.times[late_spikes][order]
    isi = np.diff(times)[np.diff(ids) == 0]
    assert isi.std() / isi.mean() > 0.8  # irregular
    weights = sim.weights("plastic").weight
    assert np.abs(weights).mean() > 1.0


class scaled_stdp(M.stdp):
    """STDP with synaptic scaling: both rules, one text after the other."""

    target_rate = M.homeostatic_scaling.parameters["target_rate"]
    tau_rate = M.homeostatic_scaling.parameters["tau_rate"]
    beta = M.homeostatic_scaling.parameters["beta"]
    interval_ = M.homeostatic_scaling.parameters["interval_"]
    postsynaptic = M.stdp.postsynaptic + "\n" + M.homeostatic_scaling.postsynaptic
    on_post = M.stdp.on_post + "\n" + M.homeostatic_scaling.on_post
    on_interval = M.homeostatic_scaling.on_interval
    interval = "interval_"


class normalized_stdp(M.stdp):
    """STDP with a fixed sum of the weights onto each neuron."""

    total = M.weight_normalization.parameters["total"]
    interval_ = M.weight_normalization.parameters["interval_"]
    on_interval = M.weight_normalization.on_interval
    interval = "interval_"


def driven(rule, duration, engine="cpu", n=60):
    """Return rates of four neurons in the last part of a run, and weights before and after."""
    net = ns.Network()
    pre = net.population(n, M.poisson(rate=20.0), name="pre")
    cells = net.population(4, M.iaf_psc_exp(tau_syn_ex=5.0), name="cells")
    net.connect(pre, cells, weight=ns.Uniform(30.0, 90.0), delay=1.0, synapse=rule, name="plastic")
    sim = ns.Simulation(net, dt=0.5, seed=3, record=[ns.Spikes(cells)], engine=engine)
    before = sim.weights("plastic")
    sim.run(duration)
    spikes = sim.results.spikes["cells"]
    late = spikes.times > duration / 2
    rates = np.bincount(spikes.ids[late], minlength=4) / (duration / 2000.0)
    return rates, before, sim.weights("plastic")


@pytest.mark.parametrize("target", [4.0, 25.0])
def test_scaling_reaches_its_rate_and_keeps_ratios(target):
    rule = M.homeostatic_scaling(target_rate=target, tau_rate=3000.0, beta=0.8)
    rates, before, after = driven(rule, 120000.0)
    np.testing.assert_allclose(rates, target, rtol=0.08)
    factor = after.weight / before.weight
    for cell in range(4):
        own = factor[after.post == cell]
        assert own.std() < 1e-9 * own.mean()
    assert abs(factor.mean() - 1.0) > 0.03


def test_scaling_composes_with_stdp():
    """STDP alone leaves another rate; with scaling the target is met and ratios change."""
    common = {"lambda_": 0.0005, "Wmax": 500.0}
    alone = driven(M.stdp(**common), 60000.0)[0]
    rule = scaled_stdp(target_rate=8.0, tau_rate=3000.0, beta=4.0, **common)
    rates, before, after = driven(rule, 60000.0)
    assert abs(alone.mean() - 8.0) > 4.0
    np.testing.assert_allclose(rates, 8.0, rtol=0.15)
    assert np.std(after.weight / before.weight) > 0.05


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("rule", [M.weight_normalization, normalized_stdp])
def test_normalization(rule, engine):
    """After an interval the sum onto each neuron is what was asked for."""
    given = rule(total=2400.0, interval_=50.0)
    _, before, after = driven(given, 500.0, engine)
    sums = np.bincount(after.post, after.weight)
    np.testing.assert_allclose(sums, 2400.0, rtol=1e-12)
    assert np.abs(np.bincount(before.post, before.weight) - 2400.0).min() > 100.0
    ratio = after.weight / before.weight
    spread = max(ratio[after.post == c].std() for c in range(4))
    assert spread > 1e-3 if rule is normalized_stdp else spread < 1e-12


def test_adaptive_threshold():
    """theta rises by theta_plus at each spike, decays with tau_theta, and moves the threshold."""
    net = ns.Network()
    cell = net.population(2, M.iaf_cond_exp_adaptive(I_e=[400.0, 0.0], theta_plus=0.5,
                          tau_theta=300.0), name="cell", theta=1.0)  # fmt: skip
    record = [ns.Spikes(cell), ns.State(cell, ["theta"], interval=0.1)]
    results = ns.simulate(net, 400.0, dt=0.1, record=record, engine="reference")
    t, theta = results.traces["cell"].t, results.traces["cell"]["theta"]
    times = results.spikes["cell"].times
    assert times.size > 10
    assert (results.spikes["cell"].ids == 0).all()
    jumps = np.where(t[:, None] >= times - 1e-6, np.exp(-(t[:, None] - times) / 300.0), 0.0)
    np.testing.assert_allclose(theta[:, 0], np.exp(-t / 300.0) + 0.5 * jumps.sum(1), rtol=1e-9)
    np.testing.assert_allclose(theta[:, 1], np.exp(-t / 300.0), rtol=1e-9)
    intervals = np.diff(times)
    assert intervals[-1] > intervals[0] + 1.0
    fixed = M.iaf_cond_exp(I_e=400.0)
    plain = ns.Network()
    cell = plain.population(1, fixed, name="cell")
    found = ns.simulate(plain, 400.0, dt=0.1, record=[ns.Spikes(cell)], engine="reference")
    assert found.spikes["cell"].times.size > 1.3 * times.size
