"""Short-term plasticity and stochastic release against closed forms and binomial statistics."""

import numpy as np
import pytest
from plastic_pair import sent_weights
from scipy import stats

import neurosim as ns
from neurosim.engines.cpu.kernels.functions import binomial as cpu_binomial
from neurosim.errors import ModelError
from neurosim.expressions.evaluate import binomial as reference_binomial

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


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (7, 0.5), (20, 0.9), (400, 0.02), (1000, 0.6)])
def test_binomial_is_the_inverse_of_its_distribution(n, p):
    u = np.random.default_rng(1).random(3000)
    rare = min(p, 1 - p)
    expected = stats.binom.ppf(u, n, rare)
    expected = n - expected if p > 0.5 else expected
    np.testing.assert_array_equal(reference_binomial(u, n, p), expected)
    np.testing.assert_array_equal([cpu_binomial(x, n, p) for x in u], expected)


def test_binomial_of_nonsense_is_no_number():
    for n, p in ((2.5, 0.5), (-1, 0.5), (3, 1.5), (3, -0.1), (1001, 0.5), (3, np.nan)):
        assert np.isnan(cpu_binomial(0.5, n, p))
        assert np.isnan(reference_binomial(0.5, n, p))
    for n, p, k in ((0, 0.3, 0), (5, 0.0, 0), (5, 1.0, 5)):
        assert cpu_binomial(0.999, n, p) == reference_binomial(0.999, n, p) == k


class sites(M.SynapseModel):
    n = M.param(12.0, "1")
    p = M.param(0.35, "1")
    on_pre = "released = binomial(n, p)"
    transmit = "w*released"


@pytest.mark.parametrize("p", [0.35, 0.8])
def test_binomial_in_a_rule(p):
    """40,000 draws against the distribution; chi squared is exceeded by chance once in 10^6."""
    pre = 10.0 + 5.0 * np.arange(100)
    sent = releases(sites(p=p), pre, 400)
    np.testing.assert_array_equal(sent[:5], releases(sites(p=p), pre[:5], 400, engine="reference"))
    counts = np.bincount(sent.astype(int).ravel(), minlength=13)
    expected = sent.size * stats.binom.pmf(np.arange(13), 12, p)
    usual = expected > 5
    chi = ((counts - expected)[usual] ** 2 / expected[usual]).sum()
    assert chi < stats.chi2.ppf(1 - 1e-6, usual.sum() - 1)
    # draws of one synapse and of one spike are independent: means scatter as they should
    for axis, m in ((0, 100), (1, 400)):
        spread = sent.mean(axis=axis).std() / np.sqrt(12 * p * (1 - p) / m)
        assert 0.7 < spread < 1.3


def test_binomial_is_for_synapses():
    with pytest.raises(ModelError, match=r"random numbers \(random, binomial\) belong in the stat"):
        type("noisy", (M.NeuronModel,), {
            "equations": "x := binomial(3, 0.5) : 1", "threshold": "x > 1", "reset": "x = 0"
        })  # fmt: skip
    with pytest.raises(ModelError, match=r"binomial\(\) needs a number without unit, not"):
        type("timed", (sites,), {"on_pre": "released = binomial(t, p)"})
