"""Pairs and triplets of spikes: each change of the weight against its closed form."""

import numpy as np
import pytest
from plastic_pair import weights_after

import neurosim as ns

M = ns.models
#: Post minus pre [ms], without 0, where both spikes reach the synapse together.
LAGS = np.round(np.setdiff1d(np.arange(-100.0, 100.1, 4.0), [0.0]), 1)


def pairs(delay):
    """Return trains with one pair for each lag, as the synapse sees it."""
    pre = 150.0 + 0 * LAGS
    return pre[:, None], np.round(pre + LAGS - delay, 1)[:, None]


@pytest.mark.parametrize("delay", [0.1, 1.0, 7.5, 20.0])
def test_stdp_window(delay):
    """Exponential branches: -alpha w'^mu- exp(lag/tau-), (1 - w')^mu+ exp(-lag/tau+)."""
    rule = M.stdp(lambda_=0.02, alpha=1.2, mu_plus=0.5, mu_minus=0.7, tau_plus=15.0,
                  tau_minus=30.0, Wmax=80.0)  # fmt: skip
    got = weights_after(rule, *pairs(delay), weight=50.0, delay=delay) - 50.0
    share = 50.0 / 80.0
    up = 80.0 * 0.02 * (1 - share) ** 0.5 * np.exp(-np.abs(LAGS) / 15.0)
    down = -80.0 * 0.02 * 1.2 * share**0.7 * np.exp(-np.abs(LAGS) / 30.0)
    np.testing.assert_allclose(got, np.where(LAGS > 0, up, down), rtol=1e-11)


def test_axonal_share_turns_the_window():
    """With half of the delay axonal, both spikes reach the synapse as they were emitted."""
    pre, post = pairs(0.0)
    rule = M.stdp(lambda_=0.02, mu_plus=0.0, mu_minus=0.0)
    got = weights_after(rule, pre, post, weight=50.0, delay=20.0, axonal=0.5) - 50.0
    np.testing.assert_allclose(got, np.sign(LAGS) * 2.0 * np.exp(-np.abs(LAGS) / 20), rtol=1e-11)


@pytest.mark.parametrize(("axonal", "early"), [(0.75, 10.0), (0.9, 16.0), (1.0, 19.9)])
def test_axonal_delay_lets_the_source_come_late(axonal, early):
    """The target's spike is sooner at the synapse by (2 axonal - 1) delay; all but one step."""
    rule = M.stdp(lambda_=0.02, mu_plus=0.0, mu_minus=0.0)
    got = weights_after(rule, *pairs(-early), weight=50.0, delay=20.0, axonal=axonal) - 50.0
    np.testing.assert_allclose(got, np.sign(LAGS) * 2.0 * np.exp(-np.abs(LAGS) / 20), rtol=1e-11)


@pytest.mark.parametrize("delay", [0.1, 5.0])
def test_inhibitory_window_is_symmetric(delay):
    """eta exp(-|lag|/tau), minus alpha eta for the one presynaptic spike."""
    rule = M.vogels_sprekeler(eta=0.01, alpha=0.2, tau=25.0)
    got = weights_after(rule, *pairs(delay), weight=0.5, delay=delay) - 0.5
    np.testing.assert_allclose(got, 0.01 * (np.exp(-np.abs(LAGS) / 25.0) - 0.2), rtol=1e-11)
    np.testing.assert_allclose(got, got[::-1], rtol=1e-12)


def test_pair_at_half_of_the_largest_weight():
    """The sheet's number: w' = 0.5, defaults, +-10 ms: +-0.00303265."""
    got = weights_after(M.stdp(), [[50.0], [50.0]], [[59.0], [39.0]], weight=50.0, delay=1.0)
    np.testing.assert_allclose((got - 50.0) / 100.0, [0.00303265, -0.00303265], atol=5e-9)


#: Change after 60 pairs at +10 and at -10 ms, for each frequency [Hz] (sheet, D.3).
FULL = {1: (0.00007, -0.31216), 10: (0.13205, -0.33362), 20: (0.24696, -0.35162),
        40: (0.53372, 0.15479), 50: (0.74091, 0.72725)}  # fmt: skip
MINIMAL = {1: (0.00003, -0.31662), 20: (0.22780, -0.34173), 40: (0.53211, 0.17371),
           50: (0.76273, 0.74918)}  # fmt: skip
SLOW = {"tau_minus": 33.7, "tau_plus_triplet": 101.0, "tau_minus_triplet": 125.0}


@pytest.mark.parametrize(
    ("rule", "table"),
    [
        (M.stdp_triplet(**SLOW), FULL),
        (M.stdp_triplet(**(SLOW | {"Aplus": 0.0, "Aplus_triplet": 6.5e-3, "Aminus": 7.1e-3,
                                   "Aminus_triplet": 0.0, "tau_minus_triplet": 114.0})), MINIMAL),
    ],
    ids=["full", "minimal"],
)  # fmt: skip
def test_triplets_over_frequencies(rule, table):
    """Sixty pairs: potentiation grows with frequency, and wins over depression above 40 Hz."""
    pre, post, wanted = [], [], []
    for rate, changes in table.items():
        for lag, change in zip((10.0, -10.0), changes, strict=True):
            pre.append(50.0 + np.round(1000.0 / rate, 1) * np.arange(60))
            post.append(np.round(pre[-1] + lag - 1.0, 1))
            wanted.append(change)
    got = weights_after(rule, pre, post, weight=50.0, delay=1.0) - 50.0
    np.testing.assert_allclose(got, wanted, atol=6e-6)


def test_nearest_neighbours_differ_as_they_should():
    """Two spikes of the source, then two of the target: which pairs count (Morrison 2008)."""
    pre, post = np.array([100.0, 110.0]), np.array([119.0, 129.0])
    e = np.exp(-np.array([10.0, 20.0, 30.0]) / 20.0)  # lags at the synapse: 20, 10; 30, 20
    for name, sum_of_pairs in {
        "stdp": e[1] + e[0] + e[2] + e[1],
        "stdp_nn_symm": e[0] + e[1],
        "stdp_nn_pre_centered": e[1] + e[0],
        "stdp_nn_restr": e[0],
    }.items():
        rule = getattr(M, name)(mu_plus=0.0, mu_minus=0.0)
        got = weights_after(rule, [pre], [post], weight=50.0, delay=1.0) - 50.0
        np.testing.assert_allclose(got, sum_of_pairs, rtol=1e-12, err_msg=name)


def test_jonke_weights_become_log_probabilities():
    """With mu_plus = -1 and only the decay beta, exp(-w) x = beta is where the weight stays."""
    beta, x = 0.25, np.exp(-5.0 / 20.0)
    rule = M.jonke(mu_plus=-1.0, beta=beta, alpha=0.0, lambda_=0.05, Wmax=10.0)
    pre = 20.0 + 300.0 * np.arange(300)
    got = weights_after(rule, [pre], [pre + 4.0], weight=3.0, delay=1.0)
    # each pair adds exp(-w) x - beta after the target's, - beta after the source's spike
    np.testing.assert_allclose(np.exp(-got), 2 * beta / x, rtol=0.03)


def test_dopamine_closed_form():
    """One pair, one reward: w = c0 n0/k (1 - exp(-k T)) - b c0 tau_c (1 - exp(-T/tau_c)) + ..."""
    tau_c, tau_n, b = 400.0, 100.0, 2e-4
    rule = M.stdp_dopamine(tau_c=tau_c, tau_n=tau_n, b=b, A_plus=2.0, A_minus=1.0)
    t_reward = np.array(250.0)
    got = weights_after(rule, [[100.0], [100.0]], [[109.0], [89.0]], weight=10.0, delay=1.0,
                        reward=[250.0], modulator_delay=1.0, stop=900.0)  # fmt: skip
    k = 1 / tau_c + 1 / tau_n
    for w, c, since in zip(got, (2.0, -1.0), (110.0, 100.0), strict=True):
        c = c * np.exp(-10.0 / 20.0)
        at_reward = c * np.exp(-(t_reward + 1.0 - since) / tau_c)
        rest = 900.0 - t_reward - 1.0
        change = at_reward / tau_n / k * (1 - np.exp(-k * rest))
        change -= b * c * tau_c * (1 - np.exp(-(900.0 - since) / tau_c))
        np.testing.assert_allclose(w - 10.0, change, rtol=1e-10)
