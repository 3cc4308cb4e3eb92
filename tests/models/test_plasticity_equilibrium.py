"""Distributions of weights that STDP settles to, against the Fokker-Planck equation."""

import numpy as np
import pytest

import neurosim as ns

M = ns.models
#: Two of three tests with free spikes compare a mean of so many independent synapses.
N = 600


def free_weights(rule, weight, duration, r_pre=30.0, r_post=30.0):
    """Return weights / Wmax of synapses between independent Poisson trains."""
    net = ns.Network()
    pre = net.population(N, M.poisson(rate=r_pre), name="pre")
    driver = net.population(N, M.poisson(rate=r_post), name="driver")

    class repeater(M.NeuronModel):
        equations = "drive := 0*drive : 1\n seen := 0*seen : 1"
        receptors = {"fire": "drive += weight", "exc": "seen += weight"}
        threshold = "drive > 0.5"
        reset = "drive = 0"

    cells = net.population(N, repeater(), name="cells")
    net.connect(driver, cells, ns.OneToOne(), weight=1.0, delay=1.0, receptor="fire")
    net.connect(pre, cells, ns.OneToOne(), weight=weight, delay=1.0, receptor="exc",
                synapse=rule, name="plastic")  # fmt: skip
    sim = ns.Simulation(net, dt=1.0, seed=4)
    found = []
    for _ in range(6):
        sim.run(duration / 6)
        found.append(sim.weights("plastic").weight / rule.values["Wmax"])
    return np.array(found[2:])


@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_multiplicative_mean_and_variance(alpha):
    """Relaxation at the rate k = lambda r r' tau (1 + alpha) around w' = 1/(1 + alpha).

    Pairs of independent trains push with variance (lambda alpha/(1 + alpha))^2 r r' tau per time,
    so that Var w' = lambda alpha^2/(2 (1 + alpha)^3), whatever the rates: lambda/16 for alpha 1.
    """
    rule = M.stdp(lambda_=0.02, alpha=alpha, Wmax=1.0)
    weights = free_weights(rule, 1 / (1 + alpha), 60000.0)
    variance = 0.02 * alpha**2 / (2 * (1 + alpha) ** 3)
    assert weights.mean() == pytest.approx(1 / (1 + alpha), abs=4 * np.sqrt(variance / N))
    assert weights.var() == pytest.approx(variance, rel=0.12)


def test_additive_is_exponential():
    """Constant drift A and diffusion D between two walls: P(w') ~ exp(2 A w'/D)."""
    rule = M.stdp(lambda_=0.05, alpha=1.06, mu_plus=0.0, mu_minus=0.0, Wmax=1.0)
    weights = free_weights(rule, 0.5, 90000.0)
    tau, rates = 20.0, 0.03 + 0.03
    drift = -0.06 * tau
    diffusion = 0.05 * (tau * (1 + 1.06**2) / 2 + rates * (0.06 * tau) ** 2)
    slope = 2 * drift / diffusion
    mean = 1 / (1 - np.exp(-slope)) - 1 / slope
    # the walls take what is left of a step of up to lambda
    assert weights.mean() == pytest.approx(mean, abs=0.03)
    assert weights.mean() < 0.45


def onto_a_neuron(rule):
    """Return weights / Wmax of 300 Poisson inputs onto one integrate-and-fire neuron."""
    net = ns.Network()
    pre = net.population(300, M.poisson(rate=10.0), name="pre")
    cell = net.population(1, M.iaf_psc_exp(tau_m=20.0, tau_syn_ex=5.0), name="cell")
    net.connect(pre, cell, weight=ns.Uniform(12.0, 48.0), delay=1.0, synapse=rule, name="plastic")
    sim = ns.Simulation(net, dt=0.5, seed=2, record=[ns.Spikes(cell)])
    sim.run(600000.0)
    assert 10.0 < sim.results.spikes["cell"].times.size / 600.0 < 100.0
    return sim.weights("plastic").weight / rule.values["Wmax"]


def test_additive_is_bimodal_multiplicative_unimodal():
    """Song et al. 2000 against van Rossum et al. 2000, with the same inputs."""
    common = {"lambda_": 0.01, "alpha": 1.05, "Wmax": 60.0}
    additive = np.histogram(onto_a_neuron(M.stdp(mu_plus=0, mu_minus=0, **common)), 5, (0, 1))[0]
    assert additive[0] > 5 * additive[1:4].max()
    assert additive[4] > 2 * additive[1:4].max()
    middle = onto_a_neuron(M.stdp(**common))
    assert middle.mean() == pytest.approx(1 / 2.05, abs=0.02)
    # not more than between free trains; regular spikes of the target push less
    assert middle.var() < 0.01 * 1.05**2 / (2 * 2.05**3)
