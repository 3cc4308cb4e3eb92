"""What is wrong with a plastic synapse is said with its name, the line, and the remedy."""

import numpy as np
import pytest

import neurosim as ns
from neurosim.errors import ModelError, NetworkError, ParameterError, UnknownNameError
from neurosim.models import SynapseModel, param, state

M = ns.models


def build(rule, *, model=None, weight=10.0, **connect):
    """Lower a network with one plastic projection."""
    net = ns.Network()
    pre = net.population(3, M.poisson(rate=5.0), name="pre")
    post = net.population(3, model or M.iaf_psc_exp(), name="post")
    reward = net.population(1, M.poisson(rate=5.0), name="reward")
    if connect.pop("reward", False):
        connect["modulator"] = reward
    if connect.pop("astrocyte", False):
        connect["modulator"] = net.population(1, M.astrocyte_lr_1994(), name="glia")
    net.connect(pre, post, weight=weight, synapse=rule, name="plastic", **connect)
    ns.Simulation(net, dt=0.1)


def declare(**texts):
    """Return a rule made of a trace on each side and the given texts."""
    body = {
        "tau": param(20.0, "ms", gt=0),
        "presynaptic": "dx/dt = -x/tau : 1",
        "postsynaptic": "dy/dt = -y/tau : 1",
        "on_pre": "x += 1",
        "on_post": "y += 1",
    }
    return type("mine", (SynapseModel,), body | texts)


NETWORKS = {
    "weight above": (lambda: build(M.stdp(Wmax=5.0)), ParameterError,
                     "projection 'plastic': stdp: a weight of magnitude 10 is outside the bounds "
                     "0 to 5; change the weight or the bound."),
    "weights of a list": (lambda: build(M.stdp(Wmax=5.0), weight=ns.Uniform(0.0, 9.0)),
                          ParameterError, "magnitude 9 is outside the bounds 0 to 5"),
    "bounds": (lambda: build(M.stdp_dopamine(Wmin=30.0, Wmax=20.0), reward=True), ParameterError,
               "bounds 30 to 20; magnitudes of weights need 0 <= low <= high"),
    "state": (lambda: build(M.clopath()), ModelError,
              "clopath reads u_bar_bar_post, but iaf_psc_exp has no state u_bar_bar. Its states: "
              "V_m, I_syn_ex, I_syn_in. Choose a model that declares it, or add it."),
    "dendrite": (lambda: build(M.urbanczik(), weight=1.0), ModelError,
                 "urbanczik reads V_dend_post, but iaf_psc_exp has no state V_dend"),
    "parrot": (lambda: build(M.clopath(), model=M.parrot()), NetworkError,
               "plastic synapses need a neuron as target"),
    "nobody emits": (lambda: build(M.stdp_dopamine()), NetworkError,
                     "stdp_dopamine has a third factor (n) that no population emits; name one "
                     "with connect(..., modulator=population)."),
    "nobody can emit": (lambda: build(M.stdp_dopamine(), astrocyte=True), NetworkError,
                        "stdp_dopamine: the third factor is to be the spikes of population "
                        "'glia', but astrocyte_lr_1994 never spikes."),
    "weights that are drawn": (lambda: build(M.stdp(Wmax=5.0), weight=ns.Normal(4.0, 1.0)),
                               ParameterError, "was drawn, outside the bounds 0 to 5; change the "
                               "bound, or draw within it, as ns.Normal(mean, std, low="),
    "membrane at intervals": (lambda: build(declare(
        on_interval="w += V_m_post/1[mV]", every=param(10.0, "ms"), interval="every")()),
        ModelError, "mine: on_interval reads V_m_post; states of the target can be read in "
        "on_pre, on_post, post_event and transmit only."),
    "unit of a potential": (lambda: build(declare(on_pre="w += V_m_post; x += 1")()), ModelError,
                            "mine: unit clash in 'w += V_m_post': '+' combines 1 with mV."),
    "delay off the grid": (lambda: build(M.clopath(delay_u_bars=0.15), weight=1.0,
                                         model=M.aeif_psc_delta_clopath()), ParameterError,
                           "clopath: delay_u_bars = 0.15 ms; a multiple of dt = 0.1 ms is needed."),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    make, error, text = NETWORKS[name]
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


CONNECTS = {
    "class": ({"rule": M.stdp}, "synapse = stdp is a class; write stdp()."),
    "neuron": ({"rule": M.iaf_psc_exp()}, "a plastic synapse such as ns.models.stdp() is needed"),
    "modulator without rule": ({"rule": M.stdp(), "reward": True}, "but stdp has no third factor"),
    "axonal": ({"rule": M.stdp(), "axonal": 1.2}, "axonal = 1.2; the axonal share of the delay "
               "must be in 0 to 1"),
    "axonal below": ({"rule": M.stdp(), "axonal": -0.1}, "must be in 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONNECTS)
def test_connect(name):
    given, text = CONNECTS[name]
    with pytest.raises((NetworkError, ParameterError)) as caught:
        build(**given)
    assert str(caught.value).startswith("connect(pre -> post): ")
    assert text in str(caught.value)


RULES = {
    "unknown name": ({"on_pre": "w -= tua*y; x += 1"},
                     "unknown name 'tua' in 'w -= tua*y'", "Did you mean 'tau'?"),
    "trace of the target at the source": ({"on_pre": "y += 1"},
                                          "mine, on_pre: 'y += 1' changes the postsynaptic trace",
                                          "change it in on_post."),
    "trace of the source at the target": ({"on_post": "x = 0"},
                                          "mine, on_post: 'x = 0' changes the presynaptic trace",
                                          "change it in on_pre."),
    "jump by the weight": ({"on_pre": "x += w"}, "'x += w': the presynaptic trace 'x' is shared",
                           "parameters and presynaptic traces only"),
    "trace that is no decay": ({"presynaptic": "dx/dt = -x*y/tau : 1"}, "must decay by itself",
                               "advanced from event to event"),
    "parameter assigned": ({"on_pre": "tau = 3[ms]"}, "assigns to 'tau', which is fixed", ""),
    "units": ({"on_pre": "w += tau; x += 1"}, "unit clash in 'w += tau'", "ms"),
    "value before it is made": ({"on_pre": "new += 1"}, "changes 'new', which has no value", ""),
    "built-in name": ({"random": param(1.0, "1")}, "parameter 'random' is a built-in name", ""),
    "suffix": ({"V_post": state("mV")}, "ends in '_post'", "rename"),
    "post_event": ({"post_event": "V_m_post > x"}, "post_event 'V_m_post > x' may use parameters",
                   "states of the target"),
    "interval": ({"on_interval": "w *= 0.9"}, "on_interval", "interval = 'interval'"),
    "delayed condition": ({"post_event": "delayed(V_m_post, tau) > -50[mV]"},
                          "states of the target (V_m_post) of the same step only", ""),
    "sum of weights": ({"on_pre": "w *= 1/w_total"}, "w_total is known in on_interval only", ""),
    "interval without unit of time": ({"interval": "A", "A": param(1.0, "mV"),
                                       "on_interval": "w *= 0.9"},
                                      "interval = 'A' is not a parameter with a unit of time", ""),
    "bounds": ({"bounds": ("0", "x")}, "may use parameters only", "bounds"),
    "map": ({"equations": "c := c + 1 : 1"}, "a synapse has no maps", "assign at an event"),
    "delayed trace": ({"on_pre": "w += delayed(x, tau)"}, "delayed() takes a state of the target",
                      "as delayed(V_m_post, late)."),
    "delayed by a number": ({"on_pre": "w += delayed(V_m_post, 3[ms])"}, "a parameter with a unit",
                            ""),
    "membrane of yesterday": ({"on_pre": "w += previous(x)"}, "previous() belongs to neuron", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_declarations(name):
    texts, *wanted = RULES[name]
    with pytest.raises(ModelError) as caught:
        declare(**texts)
    for text in wanted:
        assert text in str(caught.value)
    assert "mine" in str(caught.value)


def test_growth_has_no_closed_form():
    """What grows between events, or is driven by what is driven, is refused with the network."""
    growing = declare(equations="dc/dt = c/tau : 1", on_post="c += x; y += 1")
    with pytest.raises(ModelError, match="c grows by itself"):
        build(growing())
    twice = declare(equations="dc/dt = x/tau - c/tau : 1\n dw/dt = c*x/tau : 1")
    with pytest.raises(ModelError, match="driven by others itself"):
        build(twice())
    squared = declare(equations="dw/dt = exp(x)/tau : 1")
    with pytest.raises(ModelError, match="sum of products of decaying traces"):
        build(squared())


def test_values():
    with pytest.raises(UnknownNameError, match="Did you mean 'Wmax'"):
        M.stdp(wmax=3.0)
    with pytest.raises(ParameterError, match="one number for the whole projection"):
        M.stdp(Wmax=np.array([1.0, 2.0]))
    with pytest.raises(ParameterError, match=r"tau_plus = -1 ms: must be > 0"):
        M.stdp(tau_plus=-1.0)
    with pytest.raises(ParameterError, match=r"p_transmit = 1\.5 1: must be <= 1"):
        M.bernoulli_synapse(p_transmit=1.5)
    with pytest.raises(ParameterError, match=r"n = 1001 1: must be <= 1000"):
        M.quantal_stp(n=1001)
    with pytest.raises(ParameterError, match="initial c = 'a'"):
        M.stdp_dopamine(c="a")


def test_mostly_axonal_delays_that_differ():
    net = ns.Network()
    cells = net.population(3, M.iaf_psc_exp(), name="cells")
    net.connect(cells, cells, synapse=M.stdp(), delay=ns.Uniform(1.0, 2.0), axonal=0.8, name="p")
    with pytest.raises(ParameterError, match=r"projection 'p': axonal = 0.8 with delays that diff"):
        ns.Simulation(net)


def test_mostly_axonal_delays_are_read_back_whole():
    net = ns.Network()
    cells = net.population(3, M.iaf_psc_exp(), name="cells")
    net.connect(cells, cells[1:], synapse=M.stdp(), delay=2.0, axonal=0.8, name="p")
    for engine in ("cpu", "reference"):
        found = ns.Simulation(net, engine=engine).weights("p")
        assert (found.delay == 2.0).all()
        assert found.pre.tolist() == [0, 0, 1, 1, 2, 2]
