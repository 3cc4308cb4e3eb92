"""Learning by a third factor: which of many pairs was rewarded, and which of two actions."""

import numpy as np
import pytest
from plastic_pair import weights_after

import neurosim as ns

M = ns.models


def test_only_the_rewarded_order_is_potentiated():
    """Credit assignment (sheet, D.6): reward 20 ms after pre-post pairs, never after post-pre."""
    rng = np.random.default_rng(3)
    slots = 100.0 + 500.0 * np.arange(80)
    kinds = rng.integers(0, 2, slots.size)
    pre = [slots[kinds == k] for k in (0, 1)]
    post = [pre[0] + 10.0, pre[1] - 10.0]
    rule = M.stdp_dopamine(A_plus=1.0, A_minus=1.5, tau_c=200.0, tau_n=50.0, Wmax=200.0)
    rewarded = weights_after(rule, pre, post, weight=50.0, reward=post[0] + 20.0)
    assert rewarded[0] > 53.0
    assert rewarded[1] < rewarded[0] - 4.0
    # the same trains with reward at random: what was selective is gone
    unpaired = weights_after(rule, pre, post, weight=50.0, reward=post[1] + 20.0)
    assert unpaired[0] < rewarded[0] - 2.0
    none = weights_after(rule, pre, post, weight=50.0, reward=[0.1])
    np.testing.assert_allclose(none, 50.0, atol=0.2)


def test_one_synapse_of_fifty_is_found():
    """Random pairs everywhere; one synapse's pre-post pairs are followed by reward after 0.1-0.5 s.

    Izhikevich 2007, experiment 1, at small size.
    """
    rng = np.random.default_rng(8)
    duration, n = 600000.0, 50
    pre = [np.sort(rng.choice(int(duration), int(duration / 1000), replace=False) + 1.0)
           for _ in range(n)]  # fmt: skip
    post = [np.sort(rng.choice(int(duration), int(duration / 1000), replace=False) + 1.0)
            for _ in range(n)]  # fmt: skip
    post[7] = np.unique(np.append(post[7], pre[7][::2] + 5.0))
    after = np.searchsorted(pre[7], post[7])
    lag = post[7] - np.append(-1e9, pre[7])[after]
    hits = post[7][(lag > 0) & (lag <= 10.0)]
    reward = np.sort(hits + rng.integers(100, 500, hits.size))
    rule = M.stdp_dopamine(A_plus=1.0, A_minus=1.5, tau_c=500.0, tau_n=100.0, Wmax=400.0,
                           b=float(hits.size / duration))  # fmt: skip
    weights = weights_after(rule, pre, post, weight=100.0, reward=reward)
    others = np.delete(weights, 7)
    assert weights.argmax() == 7
    assert weights[7] - 100.0 > 5 * np.abs(others - 100.0).max()


def test_two_choices():
    """Two stimuli, two actions: the action that the weights prefer is right after learning.

    In each trial a stimulus fires and one action is tried by chance; if it was the right one,
    dopamine comes 200 ms later.
    """
    rng = np.random.default_rng(1)
    net = ns.Network()
    trials, every = 240, 1000.0
    rule = M.stdp_dopamine(A_plus=2.0, A_minus=0.0, tau_c=300.0, tau_n=60.0, b=2.5e-4, Wmax=40.0)
    stimulus = rng.integers(0, 2, trials)
    starts = 100.0 + every * np.arange(trials)
    action = rng.integers(0, 2, trials)
    right = action == 1 - stimulus
    source = net.population(2, M.spike_source(times=starts, ids=stimulus), name="stimulus")
    driver = net.population(2, M.spike_source(times=starts + 8.0, ids=action), name="tried")
    rewards = starts[right] + 200.0
    given = M.spike_source(times=rewards, ids=np.zeros(rewards.size, int))
    dopamine = net.population(1, given, name="dopamine")
    cells = net.population(2, M.iaf_psc_delta(), name="action")
    net.connect(driver, cells, ns.OneToOne(), weight=40.0, delay=1.0)
    net.connect(source, cells, weight=1.0, delay=1.0, synapse=rule, name="policy",
                modulator=dopamine)  # fmt: skip
    sim = ns.Simulation(net, dt=0.1, record=[ns.Spikes(cells)])
    sim.run(every * trials)
    found = sim.weights("policy")
    weights = np.zeros((2, 2))
    weights[found.pre, found.post] = found.weight
    assert (weights.argmax(1) == [1, 0]).all()
    assert weights[[0, 1], [1, 0]].min() > 10 * max(0.1, weights[[0, 1], [0, 1]].max())
    # with these weights as input the preferred action alone fires
    test = ns.Network()
    source = test.population(2, M.spike_source(times=[10.0, 60.0], ids=[0, 1]))
    cells = test.population(2, M.iaf_psc_delta(), name="action")
    test.connect(source, cells, ns.Explicit(found.pre, found.post), weight=found.weight)
    spikes = ns.simulate(test, 100.0, dt=0.1, record=[ns.Spikes(cells)]).spikes["action"]
    np.testing.assert_array_equal(spikes.ids, [1, 0])


@pytest.mark.parametrize("members", [slice(0, 1), slice(1, 2)])
def test_only_members_of_the_view_are_the_third_factor(members):
    """A view of a population as modulator: spikes of the others mean nothing."""
    net = ns.Network()
    pre = net.population(1, M.spike_source(times=[50.0], ids=[0]))
    cell = net.population(1, M.iaf_psc_delta(), name="cell")
    driver = net.population(1, M.spike_source(times=[55.0], ids=[0]))
    reward = net.population(2, M.spike_source(times=[80.0], ids=[1]), name="reward")
    net.connect(driver, cell, weight=40.0, delay=1.0)
    net.connect(pre, cell, weight=1.0, delay=1.0, synapse=M.stdp_dopamine(), name="plastic",
                modulator=reward[members])  # fmt: skip
    sim = ns.Simulation(net, dt=0.1)
    sim.run(300.0)
    changed = float(sim.weights("plastic").weight[0]) != 1.0
    assert changed == (members.start == 1)
