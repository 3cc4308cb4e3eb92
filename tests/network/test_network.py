"""Describing networks: names, views, checks, and the round trip through plain data."""

import copy
import gc
import json
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

import neurosim.models as models
from neurosim.errors import (
    DelayError,
    NetworkError,
    NeurosimError,
    ParameterError,
    RecordingError,
    UnitError,
    UnknownNameError,
)
from neurosim.network import (
    AllToAll,
    Explicit,
    FixedIndegree,
    FixedProbability,
    Network,
    NoiseCurrent,
    Normal,
    Spikes,
    State,
    StepCurrent,
    Uniform,
    Weights,
)


@pytest.fixture
def net():
    network = Network()
    network.population(10, models.iaf_psc_exp(), "exc", V_m=Uniform(-65, -50))
    network.population(5, models.iaf_psc_exp(), "inh")
    network.population(3, models.poisson(rate=10.0), "drive")
    return network


@pytest.fixture
def exc(net):
    return net.populations["exc"]


@pytest.fixture
def inh(net):
    return net.populations["inh"]


def test_automatic_names_are_unique(net, exc, inh):
    assert [net.population(1, models.iaf_psc_exp()).name for _ in range(2)] == [
        "iaf_psc_exp",
        "iaf_psc_exp_2",
    ]
    assert [net.connect(exc, inh).name for _ in range(3)] == [
        "exc->inh",
        "exc->inh_2",
        "exc->inh_3",
    ]
    assert net.poisson_input(exc, 8.0).name == "poisson->exc"
    assert net.inject(exc, NoiseCurrent(0.0, 1.0)).name == "current->exc"
    assert list(net.projections) == ["exc->inh", "exc->inh_2", "exc->inh_3"]


def test_connecting_defaults(net, exc, inh):
    projection = net.connect(exc, inh)
    assert projection.rule == AllToAll()
    assert (projection.weight, projection.delay) == (1.0, 1.0)
    assert projection.receptors == ("exc", "inh")
    assert net.connect(exc, inh, receptor="inh").receptors == ("inh", "inh")


def test_explicit_rules_bring_their_weights_and_delays(net, exc, inh):
    rule = Explicit([0, 1], [1, 2], weight=[5.0, 6.0], delay=[1.0, 2.0])
    own = net.connect(exc, inh, rule)
    assert own.weight.tolist() == [5.0, 6.0]
    assert own.delay.tolist() == [1.0, 2.0]
    assert net.connect(exc, inh, rule, weight=7.0).weight == 7.0


def test_poisson_input_receptor_follows_the_sign(net, exc):
    assert net.poisson_input(exc, 8.0, weight=-1.0).receptor == "inh"
    assert net.poisson_input(exc, 8.0, weight=1.0).receptor == "exc"


@pytest.mark.parametrize(
    ("index", "ids"),
    [
        (slice(2, 4), [2, 3]),
        (-1, [9]),
        ([3, 1], [3, 1]),
        (np.arange(10) > 7, [8, 9]),
        (slice(None, None, 4), [0, 4, 8]),
    ],
)
def test_views(exc, index, ids):
    view = exc[index]
    assert view.ids.tolist() == ids
    assert len(view) == view.n == len(ids)
    assert view.population is exc
    assert not view.is_whole


def test_views_of_views_and_whole_views(exc):
    assert exc[2:8][[0, -1]].ids.tolist() == [2, 7]
    assert exc[:].is_whole
    assert not exc[::-1].is_whole


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ([0, 10], "exc[...]: id 10 is out of range; ids are 0 ... 9"),
        ([1, 1], "id 1 is chosen more than once"),
        (slice(4, 4), "selects no member of 10"),
        (np.zeros(3, bool), "the mask has shape (3,); one of shape (10,)"),
        (1.5, "indices of type float64"),
        (np.zeros((2, 2), int), "indices of shape (2, 2)"),
    ],
)
def test_wrong_views(exc, index, text):
    with pytest.raises(NetworkError) as caught:
        exc[index]
    assert text in str(caught.value)


WRONG = [
    (lambda n, e, i: n.population(0, models.iaf_psc_exp(), "x"), NetworkError,
     "population 'x': n = 0; it must be at least 1"),
    (lambda n, e, i: n.population(2.5, models.iaf_psc_exp()), NetworkError, "a whole number"),
    (lambda n, e, i: n.population(2, models.iaf_psc_exp), NetworkError, "try iaf_psc_exp()"),
    (lambda n, e, i: n.population(2, models.iaf_psc_exp(), "exc"), NetworkError,
     "population: the name 'exc' is taken by Population('exc', n=10"),
    (lambda n, e, i: n.population(2, models.iaf_psc_exp(), ""), NetworkError, "name = ''"),
    (lambda n, e, i: n.population(2, models.iaf_psc_exp(), v_m=0.0), UnknownNameError,
     "Did you mean 'V_m'?"),
    (lambda n, e, i: n.population(2, models.iaf_psc_exp(), V_m=math.nan), ParameterError,
     "initial V_m = nan is not a finite number"),
    (lambda n, e, i: n.population(2, models.iaf_psc_exp(), V_m=[1.0] * 3), ParameterError,
     "has shape (3,); give one value, or one for each neuron, shape (2,)"),
    (lambda n, e, i: n.population(2, models.iaf_psc_exp(tau_m=[1.0, 2.0, 3.0])), ParameterError,
     "iaf_psc_exp.tau_m for population 'iaf_psc_exp' has shape (3,)"),
    (lambda n, e, i: n.population(2, models.spike_source(times=[1.0], ids=[2])), NetworkError,
     "id 2 is out of range; ids are 0 ... 1"),
    (lambda n, e, i: n.connect(e, n.populations["drive"]), NetworkError,
     "connect(exc -> drive): poisson is a spike source and cannot receive synapses"),
    (lambda n, e, i: n.connect(e, "inh"), NetworkError, "a population or a view of one is needed"),
    (lambda n, e, i: n.connect(e, Network().population(2, models.iaf_psc_exp(), "other")),
     NetworkError, "population 'other' belongs to another network"),
    (lambda n, e, i: n.connect(e, i, receptor="ampa"), UnknownNameError,
     "has no receptor 'ampa'. Receptors: exc, inh."),
    (lambda n, e, i: n.connect(e, i, AllToAll), NetworkError, "a rule such as AllToAll()"),
    (lambda n, e, i: n.connect(e, i, csr_array((10, 5))), NetworkError,
     "connect(exc -> inh): the rule is a sparse matrix; use Explicit.from_scipy(matrix)"),
    (lambda n, e, i: n.connect(e, i, ([0, 1], [2, 3])), NetworkError,
     "the rule is of type tuple; use Explicit(pre, post) for a list of pairs"),
    (lambda n, e, i: n.connect(e, i, SimpleNamespace(edges=[(0, 1)])), NetworkError,
     "the rule is a graph; use Explicit.from_networkx(graph)"),
    (lambda n, e, i: n.connect(e, i, weight=math.inf), ParameterError,
     "connect(exc -> inh): weight = inf is not a finite number"),
    (lambda n, e, i: n.connect(e, i, weight=[1.0] * 50), ParameterError,
     "only Explicit(pre, post) knows which synapse"),
    (lambda n, e, i: n.connect(e, i, Explicit([0, 1], [0, 1]), weight=[1.0, math.nan]),
     ParameterError, "1 of 2 values are not finite numbers (first: nan at synapse 1)"),
    (lambda n, e, i: n.connect(e, i, Explicit([0, 1], [0, 1]), delay=[1.0]), ParameterError,
     "delay has shape (1,)"),
    (lambda n, e, i: n.connect(e, i, delay=-1.0), DelayError,
     "delay = -1 ms; delays must be > 0 ms"),
    (lambda n, e, i: n.connect(e, i, delay=0.0), DelayError, "delay = 0 ms"),
    (lambda n, e, i: n.connect(e, i, Explicit([0, 1], [0, 1]), delay=[1.0, -2.0]), DelayError,
     "delay = -2 ms (synapse 1, 1 of 2)"),
    (lambda n, e, i: n.connect(e, i, delay=Uniform(-2.0, 0.0)), DelayError, "is never positive"),
    (lambda n, e, i: n.connect(e, i, FixedIndegree(11, multapses=False)), NetworkError,
     "needs 11 different sources for each neuron, but there are 10"),
    (lambda n, e, i: n.poisson_input(e, rate=-1.0), ParameterError, "rate = -1 Hz"),
    (lambda n, e, i: n.poisson_input(e, rate=1.0, n=-1), NetworkError, "n = -1"),
    (lambda n, e, i: n.poisson_input(n.populations["drive"], rate=1.0), NetworkError,
     "cannot receive synapses"),
    (lambda n, e, i: n.inject(e, NoiseCurrent(0.0, 1.0), "I_E"), UnknownNameError,
     "has no parameter 'I_E'"),
    (lambda n, e, i: n.inject(e, 100.0), NetworkError, "StepCurrent(...) or NoiseCurrent(...)"),
    (lambda n, e, i: n.inject(n.populations["drive"], NoiseCurrent(0.0, 1.0)), NetworkError,
     "takes no current"),
    (lambda n, e, i: StepCurrent([0, 1], [1]), ParameterError, "give one value for each time"),
    (lambda n, e, i: StepCurrent([1, 0], [1, 2]), ParameterError,
     "StepCurrent: times must increase, but 0 ms follows 1 ms (at 1)"),
    (lambda n, e, i: StepCurrent([-1, 0], [1, 2]), ParameterError, "begin at -1 ms"),
    (lambda n, e, i: StepCurrent([0], [math.nan]), ParameterError,
     "StepCurrent: values: 1 of 1 values are not finite numbers (first: nan at index 0)"),
    (lambda n, e, i: StepCurrent([0], ["1"]), ParameterError, "numbers in pA are needed"),
    (lambda n, e, i: models.spike_source(times=["a"]), ParameterError,
     "spike_source: times = ['a']: numbers in ms are needed"),
    (lambda n, e, i: models.spike_source(times=[1.0], ids=[0.5]), ParameterError,
     "ids are of type float64; whole numbers are needed"),
    (lambda n, e, i: models.inhomogeneous_poisson(times=[0, 1], rates=[1, -1]), ParameterError,
     "rates has -1 Hz at 1; rates must be >= 0"),
    (lambda n, e, i: models.iaf_psc_exp(I_e="400"), ParameterError, "a number in pA is needed"),
    (lambda n, e, i: models.iaf_psc_exp(I_e=np.array([1j])), ParameterError, "a number in pA"),
    (lambda n, e, i: n.connect(e, i, weight="1"), ParameterError, "weight = '1'; a number"),
    (lambda n, e, i: n.population(2, "iaf_psc_exp"), NetworkError,
     "an instance of a model is needed; try neurosim.models.iaf_psc_exp()"),
    (lambda n, e, i: n.connect(e, i, Explicit.from_networkx([(0, 1)])), NetworkError,
     "a NetworkX graph is needed, not list"),
    (lambda n, e, i: NoiseCurrent(0.0, -1.0), ParameterError, "NoiseCurrent: std = -1.0"),
    (lambda n, e, i: NoiseCurrent(0.0, 1.0, dt=0.0), ParameterError, "a duration must be > 0 ms"),
    (lambda n, e, i: NoiseCurrent(0.0, 1.0, start=5.0, stop=5.0), ParameterError, "after start"),
    (lambda n, e, i: Spikes("exc"), RecordingError, "a population or a view"),
    (lambda n, e, i: State(e, ["v_m"]), UnknownNameError, "Did you mean 'V_m'?"),
    (lambda n, e, i: State(e, []), RecordingError, "no state named"),
    (lambda n, e, i: Spikes(e, to=5), RecordingError, "to = 5; the path of a file is needed"),
    (lambda n, e, i: models.iaf_psc_exp(I_e=Uniform), ParameterError, "a number in pA is needed"),
    (lambda n, e, i: e[::0], NetworkError, "is no range of ids"),
    (lambda n, e, i: Explicit.from_scipy(coo_array([1.0, 2.0])), NetworkError,
     "the array has shape (2,); (n_pre, n_post) is needed"),
    (lambda n, e, i: State(e, 5), RecordingError, "names = 5; a list is needed. States: V_m"),
    (lambda n, e, i: State(e, ["V_m", "V_m"]), RecordingError, "named twice"),
    (lambda n, e, i: State(n.populations["drive"], ["V_m"]), RecordingError, "has no states"),
    (lambda n, e, i: State(e, ["V_m"], interval=0.0), RecordingError, "interval = 0.0 ms"),
    (lambda n, e, i: Weights(e, 1.0), RecordingError, "a projection is needed"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), WRONG)
def test_mistakes_are_named(net, exc, inh, call, error, text):
    before = repr(net)
    with pytest.raises(error) as caught:
        call(net, exc, inh)
    assert isinstance(caught.value, NeurosimError)
    assert text in str(caught.value)
    assert repr(net) == before  # nothing was half added


def test_a_target_without_exc_and_inh_needs_a_named_receptor(net, exc):
    model = SimpleNamespace(
        name="three_ports",
        is_source=False,
        receptors={"a": "", "b": ""},
        states={},
        parameters={},
        values={},
    )
    target = net.population(2, model, "target")
    with pytest.raises(NetworkError, match="has the receptors a, b; name one with receptor="):
        net.connect(exc, target)
    assert net.connect(exc, target, receptor="b").receptors == ("b", "b")


def test_quantities_are_converted(net, exc, inh):
    u = pytest.importorskip("pint").UnitRegistry()
    projection = net.connect(exc, inh, weight=0.02 * u.nA, delay=0.0015 * u.second)
    assert (projection.weight, projection.delay) == (pytest.approx(20.0), pytest.approx(1.5))
    listed = net.connect(
        exc, inh, Explicit([0, 1], [0, 1]), weight=[0.1, 0.2] * u.nA, delay=[1 * u.ms, 2e-3 * u.s]
    )
    np.testing.assert_allclose(listed.weight, [100.0, 200.0])
    np.testing.assert_allclose(listed.delay, [1.0, 2.0])
    assert net.poisson_input(exc, 0.1 * u.kHz, weight=0.02 * u.nA).weight == pytest.approx(20.0)
    current = StepCurrent([0, 0.1] * u.s, [0.1, 0.2] * u.nA)
    np.testing.assert_allclose((current.times, current.values), ([0, 100], [100, 200]))
    assert NoiseCurrent(0.1 * u.nA, 0.0, stop=1 * u.s).stop == 1000.0
    times = models.spike_source(times=[0.1, 0.2] * u.s).values["times"]
    np.testing.assert_allclose(times, [100.0, 200.0])
    assert State(exc, ["V_m"], interval=1e-3 * u.s).interval == 1.0
    with pytest.raises(UnitError, match=r"exc -> inh\): weight = 1 nanosiemens .* to pA"):
        net.connect(exc, inh, weight=1 * u.nS)
    with pytest.raises(UnitError, match=r"spike_source: times.* cannot be converted to ms"):
        models.spike_source(times=[0.1, 0.2] * u.V)


def test_a_wrong_name_of_a_model_is_mended():
    with pytest.raises(AttributeError, match="Did you mean 'iaf_psc_exp'"):
        models.iaf_psc_expo  # noqa: B018
    with pytest.raises(AttributeError, match="NEST's poisson_generator is called 'poisson' here"):
        models.poisson_generator  # noqa: B018


def test_a_dropped_network_is_freed():
    population = Network().population(2, models.iaf_psc_exp())
    gc.collect()
    assert not population.belongs_to(Network())


def fill(net):
    exc, inh, drive = (net.populations[name] for name in ("exc", "inh", "drive"))
    net.connect(drive, exc[2:5], FixedProbability(0.1), weight=Normal(20, 2, low=0), name="in")
    net.connect(exc, inh, Explicit([0, 9], [4, 0]), weight=[1.0, -2.0], delay=Uniform(0.5, 3))
    net.poisson_input(inh, 8.0, n=1000, weight=-20.0)
    net.inject(exc[:2], StepCurrent([0, 100], [0, 300]))
    net.inject(exc, NoiseCurrent(1.0, 2.0, start=5.0))
    return net


def test_round_trip_through_plain_data(net):
    data = fill(net).to_dict()
    copy = Network.from_dict(data)
    assert repr(copy) == repr(net)
    assert copy.projections["in"].weight == Normal(20, 2, low=0)
    assert copy.populations["exc"].initial == {"V_m": Uniform(-65, -50)}
    assert copy.projections["in"].post.ids.tolist() == [2, 3, 4]
    assert copy.inputs["poisson->inh"].receptor == "inh"
    assert as_json(copy.to_dict()) == as_json(data)


def test_copies_and_pickles_are_networks_of_their_own(net, exc, inh):
    net.connect(exc, inh, FixedIndegree(3), weight=2.0)
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert json.dumps(again.to_dict(), default=repr) == json.dumps(net.to_dict(), default=repr)
        one, other = again.populations["exc"], again.populations["inh"]
        assert again.connect(one, other).name == "exc->inh_2"  # they belong to the copy


def test_plain_data_is_json_and_arrays_only(net):
    json.loads(as_json(fill(net).to_dict()))


def as_json(data):
    def array(value):
        if isinstance(value, np.ndarray):
            return value.tolist()
        raise TypeError(type(value))

    return json.dumps(data, default=array)


def test_html_shows_and_escapes(net):
    fill(net)
    page = net._repr_html_()
    assert "exc-&gt;inh" in page
    assert "FixedProbability(p=0.1" in page


def test_html_of_populations_shows_their_parameters():
    net = Network()
    cells = net.population(3, models.iaf_psc_exp(tau_m=[1.0, 2.0, 3.0], I_e=7.5), "<a>")
    for shown in (cells, cells[:2]):
        table = shown._repr_html_()
        assert "&lt;a&gt;" in table
        assert "<td>tau_m</td><td>3 values</td><td>ms</td><td>membrane time constant</td>" in table
        assert "<td>I_e</td><td>7.5</td><td>pA</td>" in table
    source = net.population(1, models.spike_source(times=[1.0]))
    assert "1 member, spike_source" in source._repr_html_()


def test_repr_counts_in_words():
    net = Network()
    assert repr(net) == "Network(0 populations with 0 members, 0 projections)"
    cell = net.population(1, models.iaf_psc_exp(), name="cell")
    net.connect(cell, cell)
    assert repr(net) == "Network(1 population with 1 member, 1 projection)"
