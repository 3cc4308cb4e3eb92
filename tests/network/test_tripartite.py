"""Tripartite connections: who gets which astrocyte, and what flows through it."""

import numpy as np
import pytest

import neurosim as ns
from neurosim.errors import NetworkError, ParameterError
from neurosim.lower.plan import lower


def network(n=60, m=30, pre=slice(None), post=slice(None), seed=0, rule=None, **options):
    """Return the plan's primary, third_in and third_out pairs: (pre, post), (pre, a), (a, post)."""
    from neurosim.lower.expand import expand

    net = ns.Network()
    cells = net.population(n, ns.models.aeif_cond_alpha(), name="cells")
    astrocytes = net.population(m, ns.models.astrocyte_lr_1994(), name="astrocytes")
    rule = ns.FixedProbability(0.2) if rule is None else rule
    made = net.tripartite(cells[pre], cells[post], astrocytes, rule, **options)
    plan = lower(net, 0.1, seed, seed, ())
    primary, third_in = (expand(c.spec) for c in plan.connections)
    return made, primary, third_in, plan.signals[0].edges


def triples(primary, third_in, third_out):
    """Return multisets of sources and targets, which must match synapse by synapse."""
    return (
        sorted(third_in.pre),
        sorted(third_out.post),
        sorted(third_in.post),
        sorted(third_out.pre),
    )


def test_every_synapse_has_an_astrocyte():
    """p = 1: sources and targets of the third partners are those of the synapses."""
    _, primary, third_in, third_out = network()
    assert len(primary) > 500
    assert len(third_in) == len(third_out) == len(primary)
    sources, targets, listening, answering = triples(primary, third_in, third_out)
    assert sources == sorted(primary.pre)
    assert targets == sorted(primary.post)
    assert listening == answering
    assert np.bincount(third_in.post, minlength=30).min() > 0


def test_probability_of_a_third_partner():
    _, primary, third_in, third_out = network(n=300, p_third=0.3)
    expected = 0.3 * len(primary)
    assert abs(len(third_in) - expected) < 5 * np.sqrt(0.7 * expected)
    assert len(third_out) == len(third_in)
    assert len(network(p_third=0.0)[2]) == 0


@pytest.mark.parametrize("size", [1, 4, 30])
def test_random_pools(size):
    """A target's astrocytes come from its pool; with many synapses all of it is used."""
    _, _, _, out = network(n=40, rule=ns.FixedIndegree(400), pool_size=size)
    for target in range(40):
        assert np.unique(out.pre[out.post == target]).size == size
    if size == 4:  # pools are drawn, not the same for all
        pools = {tuple(np.unique(out.pre[out.post == t])) for t in range(40)}
        assert len(pools) > 30


def test_block_pools_are_those_of_nest():
    """One astrocyte for consecutive targets, or consecutive astrocytes for each target."""
    _, _, _, out = network(n=60, m=30, pool="block", pool_size=1)
    np.testing.assert_array_equal(out.pre, out.post // 2)
    _, _, _, out = network(n=20, m=60, rule=ns.FixedIndegree(100), pool="block", pool_size=3)
    np.testing.assert_array_equal(out.pre // 3, out.post)
    assert np.unique(out.pre).size == 60


def test_views_keep_their_ids():
    _, primary, third_in, third_out = network(pre=slice(10, 30), post=slice(40, 60))
    assert set(third_in.pre) <= set(range(10, 30))
    assert set(third_out.post) == set(primary.post) <= set(range(40, 60))


def test_seeds_and_dictionaries():
    first, again, other = (network(seed=s)[3] for s in (1, 1, 2))
    np.testing.assert_array_equal(first.pre, again.pre)
    assert first.pre.size != other.pre.size or (first.pre != other.pre).any()
    net = ns.Network()
    cells = net.population(20, ns.models.aeif_cond_alpha(), name="cells")
    astrocytes = net.population(5, ns.models.astrocyte_lr_1994(), name="astrocytes")
    net.tripartite(cells, cells, astrocytes, ns.FixedProbability(0.3), pool_size=2, p_third=0.5)
    one, two = (
        lower(n, 0.1, 3, 3, ()).signals[0].edges for n in (net, ns.Network.from_dict(net.to_dict()))
    )
    np.testing.assert_array_equal(one.pre, two.pre)
    np.testing.assert_array_equal(one.post, two.post)


def test_spikes_become_calcium_and_current():
    """Sources that fire raise the IP3 of their astrocytes; its current reaches the targets."""
    net = ns.Network()
    source = net.population(50, ns.models.poisson(rate=200.0), name="source")
    cells = net.population(10, ns.models.aeif_cond_alpha(), name="cells")
    model = ns.models.astrocyte_lr_1994(delta_IP3=0.002)
    astrocytes = net.population(10, model, name="astrocytes")
    net.tripartite(
        source, cells, astrocytes, ns.AllToAll(), weight=0.0, pool="block", pool_size=1,
        sic_weight=0.5,
    )  # fmt: skip
    record = [
        ns.State(astrocytes, ["IP3", "Ca_astro"], interval=10.0),
        ns.State(cells, ["V_m"], interval=10.0),
    ]
    traces = ns.simulate(net, 2000.0, dt=0.5, record=record, engine="cpu").traces
    # 50 sources of 200 Hz on every astrocyte
    mean = 0.16 + 0.002 * 7.142 * 10_000 * (1 - np.exp(-2000.0 / 7142))
    assert traces["astrocytes"]["IP3"][-1].mean() == pytest.approx(mean, rel=0.02)
    assert (traces["astrocytes"]["Ca_astro"][-1] > 0.3).all()
    assert (traces["cells"]["V_m"][-1] > -70.5).all()


def test_mistakes_leave_the_network_as_it_was():
    net = ns.Network()
    cells = net.population(20, ns.models.aeif_cond_alpha(), name="cells")
    astrocytes = net.population(6, ns.models.astrocyte_lr_1994(), name="astrocytes")
    for options, error, text in (
        ({"pool_size": 7}, NetworkError, "pool_size = 7, but there are 6 third partners"),
        ({"pool_size": 0}, NetworkError, "pool_size = 0"),
        ({"pool": "ring"}, ParameterError, "pool = 'ring'; choose one of random, block"),
        ({"p_third": 1.5}, ParameterError, "p = 1.5; a probability"),
        ({"pool": "block", "pool_size": 1}, NetworkError, "use a divisor of 20"),
        ({"pool": "block", "pool_size": 2}, NetworkError, "needs 40 third partners"),
        ({"interval": -1.0}, ParameterError, "interval = -1 ms"),
        ({"third_weight": np.nan}, ParameterError, "not a finite number"),
    ):
        with pytest.raises(error, match=text):
            net.tripartite(cells, cells, astrocytes, **options)
        assert not net.projections and not net.couplings


def test_a_third_factor_needs_its_primary():
    net = ns.Network()
    cells = net.population(20, ns.models.aeif_cond_alpha(), name="cells")
    astrocytes = net.population(6, ns.models.astrocyte_lr_1994(), name="astrocytes")
    net.connect(cells, astrocytes, ns.network.ThirdFactor("cells->cells", "in"))
    with pytest.raises(NetworkError, match="has no projection 'cells->cells', whose synapses"):
        lower(net, 0.1, 0, 0, ())
