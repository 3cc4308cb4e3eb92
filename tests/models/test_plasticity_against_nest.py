"""Plastic synapses and their neurons against NEST 3.10 (stored by nest_plasticity.py)."""

from pathlib import Path

import numpy as np
import pytest
from plastic_pair import sent_weights

import neurosim as ns

M = ns.models
PAIR = {"lambda_": 0.05, "alpha": 0.9, "mu_plus": 0.4, "mu_minus": 0.6, "tau_plus": 17.0}
PAIRS = {
    "jonke": M.jonke(alpha=1.1, beta=0.03, lambda_=0.02, mu_plus=-0.03, mu_minus=0.02,
                     tau_plus=17.0),
    "pre_centered": M.stdp_nn_pre_centered(**PAIR),
    # NEST counts the start as a spike of the source
    "restr": M.stdp_nn_restr(**PAIR, K_plus=1.0),
    "power_law": M.stdp_pl(lambda_=0.05, alpha=0.2, mu=0.6),
}  # fmt: skip
ENGINES = {"reference": "reference", "cpu": ns.CPU(threads=1)}


@pytest.fixture(scope="module")
def nest():
    with np.load(Path(__file__).with_name("nest_plasticity.npz")) as data:
        return dict(data)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PAIRS)
def test_pairs(nest, name, engine):
    """Each weight that a spike carried, to 1e-12."""
    # NEST's trains begin at 0, these a step later: what starts at 1 has decayed by that step
    rule = PAIRS[name]
    if rule.initial:
        rule = rule.replace(K_plus=float(np.exp(0.1 / 17.0)))
    sent = sent_weights(rule, nest["pre"], nest["post"], weight=40.0, engine=ENGINES[engine])
    np.testing.assert_allclose(sent, nest[f"{name}_w"], rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_dopamine(nest, engine):
    """NEST's volume transmitter gets the spikes of dopamine after 1 ms."""
    rule = M.stdp_dopamine(A_plus=0.8, A_minus=0.5, tau_plus=17.0, tau_c=300.0, tau_n=90.0, b=1e-3)
    sent = sent_weights(rule, nest["pre"], nest["post"], weight=40.0, reward=nest["dopamine"],
                        modulator_delay=1.0, engine=ENGINES[engine])  # fmt: skip
    np.testing.assert_allclose(sent, nest["dopamine_w"], rtol=1e-12)
    assert np.ptp(sent) > 3.0


CLOPATH = {
    "aeif": M.clopath(A_LTD_const=0.0, A_LTD=4e-6, A_LTP=8e-4, Wmax=3.0),
    "hh": M.clopath(A_LTD=14e-4, A_LTP=8e-4, Wmax=3.0, theta_plus=-35.0, theta_minus=-64.9),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CLOPATH)
def test_clopath(nest, name, engine):
    """The rule on NEST's own potentials; both read the filters 5 ms late (delay_u_bars)."""
    names = ("V_m", "u_bar_plus", "u_bar_minus", "u_bar_bar")
    states = dict(zip(names, nest[f"{name}_states"].T, strict=False))
    sent = sent_weights(CLOPATH[name], nest["clopath_pre"], [], weight=0.5, states=states,
                        engine=ENGINES[engine])  # fmt: skip
    np.testing.assert_allclose(sent, nest[f"{name}_w"], rtol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_urbanczik(nest, engine):
    """The rule on NEST's dendritic potential and spikes."""
    V_dend, spikes = nest["urbanczik_states"][:, 0], nest["urbanczik_spikes"]
    spiked = np.zeros(V_dend.size)
    spiked[np.rint(10 * spikes).astype(int) - 1] = 1.0
    states = {"V_dend": V_dend, "spiked": spiked}
    sent = sent_weights(M.urbanczik(eta=0.5, Wmax=1000.0), nest["urbanczik_pre"], [], weight=80.0,
                        states=states, engine=ENGINES[engine])  # fmt: skip
    np.testing.assert_allclose(sent, nest["urbanczik_w"], rtol=1e-10)
    assert np.ptp(sent) > 100.0


@pytest.mark.parametrize(
    ("name", "strength"), [("aeif_psc_delta_clopath", 80.0), ("hh_psc_alpha_clopath", 2000.0)]
)
def test_neurons(nest, name, strength):
    """Spikes are equal; potentials as far as the methods of integration agree.

    NEST integrates the spike's upstroke with adaptive steps, which lifts the filters by up to
    1.5 mV more within the step of a spike of the exponential neuron.
    """
    key = name.split("_")[0]
    given = {"tau_u_bar_plus": 7.0} if key == "hh" else {}
    pre, post = nest["clopath_pre"], nest["clopath_post"]
    k = np.arange(pre.size)
    net = ns.Network()
    cell = net.population(1, getattr(M, name)(**given), name="cell")
    driver = net.population(1, M.spike_source(times=post, ids=np.zeros(post.size, int)))
    sources = net.population(k.size, M.spike_source(times=pre, ids=k))
    net.connect(driver, cell, weight=strength, delay=1.0)
    net.connect(sources, cell, ns.Explicit(k, 0 * k), weight=nest[f"{key}_w"], delay=1.5)
    states = ["V_m", "u_bar_plus", "u_bar_minus", "u_bar_bar", "w", "z", "V_th"]
    states = states[: nest[f"{key}_states"].shape[1]]
    record = [ns.Spikes(cell), ns.State(cell, states, interval=0.1)]
    results = ns.simulate(net, 310.5, dt=0.1, record=record, engine=ENGINES["cpu"])
    np.testing.assert_allclose(results.spikes["cell"].times, nest[f"{key}_spikes"])
    rms = {
        s: float(np.sqrt(np.mean((results.traces["cell"][s][:, 0] - held) ** 2)))
        for s, held in zip(states, nest[f"{key}_states"].T, strict=True)
    }
    most = {"V_m": 0.6, "u_bar_plus": 0.4, "u_bar_minus": 0.4, "u_bar_bar": 0.04,
            "w": 0.8, "z": 0.6, "V_th": 0.1} if key == "aeif" else {
            "V_m": 0.005, "u_bar_plus": 5e-4, "u_bar_minus": 5e-4, "u_bar_bar": 3e-5}  # fmt: skip
    assert all(rms[s] < most[s] for s in states), rms
