"""Every built-in rule: engines, threads, strategies and split runs agree."""

import numpy as np
import pytest

import neurosim as ns

M = ns.models
RULES = {
    "dopamine": M.stdp_dopamine(A_plus=2.0, A_minus=1.0, tau_c=80.0, tau_n=30.0, b=0.01, Wmax=60.0),
    "jonke": M.jonke(lambda_=0.5, mu_plus=-0.02, beta=0.1, Wmax=80.0),
    "pre_centered": M.stdp_nn_pre_centered(lambda_=0.1, Wmax=90.0),
    "restr": M.stdp_nn_restr(lambda_=0.1, Wmax=90.0),
    "bernoulli": M.bernoulli_synapse(p_transmit=0.4),
    "quantal": M.quantal_stp(n=3, tau_rec=50.0, tau_fac=30.0),
    "scaling": M.homeostatic_scaling(interval_=20.0, tau_rate=50.0, beta=2.0, target_rate=40.0),
    "normalization": M.weight_normalization(interval_=30.0, total=250.0),
    "rewiring": M.stdp_rewiring(lambda_=0.1, Wmax=90.0, interval_=10.0, w_prune=25.0, w_new=35.0),
    "clopath": M.clopath(A_LTP=0.05, A_LTD=0.02, A_LTD_const=0.0, u_ref_squared=4000.0,
                         theta_plus=-60.0, Wmax=90.0),
    "urbanczik": M.urbanczik(eta=0.02, tau_Delta=20.0, Wmax=200.0),
}  # fmt: skip


class filtered(M.iaf_psc_exp):
    """An integrate-and-fire neuron with the filters of the voltage-based rule."""

    u_bar_plus = M.state("mV", init="E_L")
    u_bar_minus = M.state("mV", init="E_L")
    u_bar_bar = M.state("mV", init="E_L")
    equations = (
        M.iaf_psc_exp.equations
        + """
        du_bar_plus/dt = (V_m - u_bar_plus)/7[ms] : mV
        du_bar_minus/dt = (V_m - u_bar_minus)/10[ms] : mV
        du_bar_bar/dt = (u_bar_minus - u_bar_bar)/50[ms] : mV
    """
    )


class dendritic(M.iaf_psc_exp):
    """An integrate-and-fire neuron whose potential is called that of a dendrite."""

    V_dend = M.state("mV", init="E_L")
    spiked = M.state("1")
    equations = (
        M.iaf_psc_exp.equations
        + """
        dV_dend/dt = (V_m - V_dend)/2[ms] : mV
        spiked := 0*spiked : 1
    """
    )
    reset = M.iaf_psc_exp.reset + "; spiked = 1"


def simulation(name, engine):
    """Return a small recurrent network with plastic synapses, before its first step."""
    rule = RULES[name]
    model = {"clopath": filtered, "urbanczik": dendritic}.get(name, M.iaf_psc_exp)
    net = ns.Network()
    cells = net.population(30, model(t_ref=1.0), name="cells", V_m=ns.Uniform(-65.0, -55.0))
    net.poisson_input(cells, rate=900.0, n=1, weight=200.0)
    extra = {}
    if rule.spec.uses_modulator:
        extra["modulator"] = net.population(2, M.poisson(rate=30.0), name="reward")
    net.connect(cells, cells, ns.FixedIndegree(6), weight=ns.Uniform(20.0, 50.0), synapse=rule,
                delay=ns.Uniform(0.3, 4.0), name="plastic", **extra)  # fmt: skip
    return ns.Simulation(net, dt=0.1, seed=5, record=[ns.Spikes(cells)], engine=engine)


def run(name, engine, pieces=(100.0,)):
    """Return spikes and weights of the network after a run in pieces."""
    sim, rule = simulation(name, engine), RULES[name]
    start = sim.weights("plastic").weight
    for piece in pieces:
        sim.run(piece)
        end = sim.weights("plastic").weight
    spikes = sim.results.spikes["cells"]
    assert spikes.times.size > 60
    if rule.spec.changes_weights:
        assert np.abs(end - start).max() > 0.5
    return spikes.times, spikes.ids, end


@pytest.mark.parametrize("name", RULES)
def test_engines_agree(name):
    reference = run(name, "reference")
    one = run(name, ns.CPU(threads=1, strategy="clock"))
    for a, b in zip(reference, one, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    for engine, pieces in ((ns.CPU(threads=2), (100.0,)), (ns.CPU(threads=1), (40.3, 0.1, 59.6))):
        for a, b in zip(one, run(name, engine, pieces), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["dopamine", "restr", "quantal", "scaling", "clopath"])
def test_checkpoint(name, tmp_path):
    """A run that is stored halfway goes on as if it had not been."""
    engine = ns.CPU(threads=1)
    first = simulation(name, engine)
    first.run(43.7)
    first.save(tmp_path / "half.h5")
    second = ns.Simulation.load(tmp_path / "half.h5")
    second.run(56.3)
    spikes = second.results.spikes["cells"]
    times, ids, weights = run(name, engine)
    np.testing.assert_array_equal(spikes.times, times)
    np.testing.assert_array_equal(spikes.ids, ids)
    np.testing.assert_allclose(second.weights("plastic").weight, weights, rtol=1e-12)


def transmitted(rule, engine, weight=1.0):
    """Return what two spikes of a source bring, and the weight long after."""

    class meter(M.NeuronModel):
        equations = "seen := 0*seen : 1"
        receptors = {"in": "seen += weight"}
        threshold = "seen > 1e9"
        reset = ""

    net = ns.Network()
    source = net.population(1, M.spike_source(times=[1.0, 5.0], ids=[0, 0]))
    cells = net.population(3, meter(), name="cells")
    net.connect(source, cells, weight=weight, delay=0.1, synapse=rule, name="plastic")
    record = [ns.State(cells, ["seen"], interval=0.1)]
    sim = ns.Simulation(net, dt=0.1, record=record, engine=engine)
    sim.run(100.0)
    return sim.results.traces["cells"]["seen"][[10, 50], 0], sim.weights("plastic").weight


class twice_assigned(M.SynapseModel):
    """A local name that first holds for the source and then for each synapse."""

    presynaptic = "dx/dt = -x/20[ms] : 1"
    on_pre = "k = 2*x; k = k + w; x += 1; k += 1; sent = k"
    transmit = "sent"


class drifting(M.SynapseModel):
    """A weight that goes on after the last spike, beyond its bound if it could."""

    equations = """
        dc/dt = -c/20[ms] : 1
        dw/dt = c/20[ms] : 1
    """
    on_pre = "c += 5"
    bounds = ("0", "10")


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_names_within_an_event(engine):
    sent, _ = transmitted(twice_assigned(), engine)
    np.testing.assert_allclose(sent, [2.0, 2.0 + 2 * np.exp(-0.2)], rtol=1e-12)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_weights_that_are_read_lie_within_the_bounds(engine):
    _, weights = transmitted(drifting(), engine, weight=8.0)
    np.testing.assert_array_equal(weights, 10.0)
