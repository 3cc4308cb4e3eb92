"""Short-term plasticity and stochastic release against closed forms and binomial statistics."""

import numpy as np
import pytest
from plastic_pair import sent_weights

import neurosim as ns

M = ns.models


def steady_state(U, tau_rec, tau_fac, T):
    """Return u x of form A after many spikes with intervals T (fixed point of both updates)."""
    e_fac = np.exp(-T / tau_fac) if tau_fac else 0.0
    e_rec = np.exp(-T / tau_rec)
    u = U / (1 - (1 - U) * e_fac)
    return u * (1 - e_rec) / (1 - (1 - u) * e_rec)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        (M.tsodyks2(), [0.5, 0.26515, 0.15483, 0.10302, 0.07868, 0.06725], 0.057126),
        (M.tsodyks2(U=0.03, tau_rec=130.0, tau_fac=530.0),
         [0.03, 0.05533, 0.07574, 0.09178, 0.10428, 0.11406, 0.12181, 0.12806], 0.157973),
    ],
    ids=["depressing", "facilitating"],
)  # fmt: skip
def test_sequences(rule, first, last, engine):
    """The sheet's sequences at 20 Hz (neuron_models.md, 6), and the twentieth of each."""
    sent = sent_weights(rule, 10.0 + 50.0 * np.arange(20), [], weight=1.0, engine=engine)
    np.testing.assert_allclose(sent[: len(first)], first, atol=6e-6)
    assert sent[-1] == pytest.approx(last, abs=1e-6)


@pytest.mark.parametrize("rate", [2.0, 10.0, 50.0, 100.0])
@pytest.mark.parametrize(("U", "tau_rec", "tau_fac"), [(0.67, 450.0, 0.0), (0.1, 100.0, 1000.0)])
def test_steady_state(U, tau_rec, tau_fac, rate):
    """What a regular train settles to, over rates; depression goes with 1/rate."""
    T = 1000.0 / rate
    pre = 10.0 + T * np.arange(int(9 * max(tau_rec, tau_fac) / T) + 2)
    sent = sent_weights(M.tsodyks2(U=U, tau_rec=tau_rec, tau_fac=tau_fac), pre, [], weight=3.0,
                        engine="cpu")  # fmt: skip
    np.testing.assert_allclose(sent[-1], 3.0 * steady_state(U, tau_rec, tau_fac, T), rtol=1e-3)


def releases(rule, pre, n_synapses, seed=5, engine="cpu"):
    """Return what each of many synapses of one source transmits: (spikes, synapses)."""
    net = ns.Network()
    source = net.population(1, M.spike_source(times=pre, ids=np.zeros(pre.size, int)))

    class meter(M.NeuronModel):
        equations = "seen := 0*seen : 1"
        receptors = {"in": "seen += weight"}
        threshold = "seen > 1e9"
        reset = ""

    cells = net.population(n_synapses, meter(), name="cells")
    net.connect(source, cells, weight=1.0, delay=0.1, synapse=rule)
    record = [ns.State(cells, ["seen"], interval=0.1)]
    results = ns.simulate(net, round(pre[-1] + 0.2, 1), dt=0.1, seed=seed, record=record,
                          engine=engine)  # fmt: skip
    return results.traces["cells"]["seen"][np.rint(10 * pre).astype(int)]


def test_bernoulli():
    """Mean p and variance p (1 - p); synapses and spikes are independent (5 sigma)."""
    pre, n, p = 1.0 + np.arange(100) / 2, 300, 0.3
    got = releases(M.bernoulli_synapse(p_transmit=p), pre, n)
    assert set(np.unique(got)) == {0.0, 1.0}
    assert got.mean() == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / got.size))
    for axis in (0, 1):  # sums over independent draws have binomial variance
        sums = got.sum(axis)
        expected = got.shape[axis] * p * (1 - p)
        assert np.var(sums) == pytest.approx(expected, rel=5 * np.sqrt(2 / sums.size))
    assert (releases(M.bernoulli_synapse(p_transmit=1.0), pre, n) == 1.0).all()
    assert (releases(M.bernoulli_synapse(p_transmit=0.0), pre, n) == 0.0).all()


@pytest.mark.parametrize(("n", "U", "tau_fac"), [(1, 0.5, 0.0), (5, 0.3, 200.0), (20, 0.9, 0.0)])
def test_quantal_mean_and_variance(n, U, tau_fac):
    """On average n times tsodyks2; each site is filled and releases with chance u x."""
    pre, cells = 10.0 + 50.0 * np.arange(12), 4000
    rule = M.quantal_stp(n=n, U=U, tau_rec=300.0, tau_fac=tau_fac)
    got = releases(rule, pre, cells)
    mean = sent_weights(M.tsodyks2(U=U, tau_rec=300.0, tau_fac=tau_fac), pre, [], weight=1.0,
                        engine="cpu")  # fmt: skip
    variance = n * mean * (1 - mean)
    np.testing.assert_allclose(got.mean(1), n * mean, atol=5 * np.sqrt(variance.max() / cells))
    np.testing.assert_allclose(got.var(1), variance, rtol=0.2, atol=1e-9)
    assert set(np.unique(got)) <= set(range(n + 1))


def test_quantal_first_spike_is_binomial():
    """At first all sites are full: the counts follow the binomial distribution (chi square)."""
    from scipy.stats import binom, chisquare

    n, u, cells = 8, 0.35, 20000
    got = releases(M.quantal_stp(n=n, U=u), np.array([1.0]), cells)[0]
    counts = np.bincount(got.astype(int), minlength=n + 1)
    expected = cells * binom.pmf(np.arange(n + 1), n, u)
    counts, expected = (np.append(x[:7], x[7:].sum()) for x in (counts, expected))
    assert chisquare(counts, expected).pvalue > 1e-4


def test_quantal_engines_agree():
    """The same draws in every engine, precision and number of threads."""
    rule, pre = M.quantal_stp(n=6, U=0.4, tau_rec=90.0, tau_fac=50.0), 10.0 + 20.0 * np.arange(15)
    one = releases(rule, pre, 40, engine="reference")
    assert 0 < one.mean() < 6 * 0.4
    np.testing.assert_array_equal(one, releases(rule, pre, 40, engine=ns.CPU(threads=2)))
    assert (one != releases(rule, pre, 40, seed=6)).any()
