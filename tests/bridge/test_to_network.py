"""A trained model as a network: equal spikes and membranes, sample by sample, on every engine."""

import numpy as np
import pytest
import snntorch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import neurosim as ns
from neurosim.bridge import (
    ALIF,
    LI,
    LIF,
    AdLIF,
    AlphaLIF,
    CubaLIF,
    DendriticLIF,
    Lapicque,
    Linear,
    ModelNeuron,
    Recurrent,
    Sequential,
)
from neurosim.bridge.connections import DelayedLinear, Sparse
from neurosim.bridge.convert import to_network
from neurosim.bridge.convert.step_model import engine_neuron
from neurosim.bridge.kernels.step import Step, loop
from neurosim.engines.reference.neurons import Neurons
from neurosim.lower.model import lower_model
from neurosim.models import iaf_psc_delta, iaf_psc_exp, izhikevich

EVENT, CLOCK = ns.CPU(strategy="event"), ns.CPU(strategy="clock")
#: A layer by name, for n neurons; those that are linear between spikes can sleep.
LINEAR = {
    "subtract": lambda n: LIF(beta=0.9),
    "zero": lambda n: LIF(beta=0.8, reset="zero"),
    "none": lambda n: LIF(beta=0.7, reset="none"),
    "tau": lambda n: LIF(tau=8.0, threshold=0.6),
    "forgets": lambda n: LIF(beta=0.0),
    "graded": lambda n: LIF(beta=0.9, graded_spikes_factor=torch.linspace(0.5, 1.5, n)),
    "synaptic": lambda n: CubaLIF(alpha=0.6, beta=0.8),
    "alif": lambda n: ALIF(beta=0.9, rho=0.95, kappa=0.3),
    "alpha": lambda n: AlphaLIF(alpha=0.8, beta=0.5, reset="none"),
    "lapicque": lambda n: Lapicque(R=5.0, C=1.0),
    "adlif": lambda n: AdLIF(tau_u=6.0, tau_w=70.0, a=0.5, b=1.0, q=5.0, threshold=0.3),
}
#: Layers that the clock alone advances: one value a neuron, or resets that are not linear.
OTHERS = {
    "heterogeneous": lambda n: LIF(
        beta=torch.linspace(0.3, 0.95, n), threshold=torch.rand(n) + 0.5
    ),
    "adlif drawn": lambda n: AdLIF(n, q=5.0, threshold=0.3),
    "euler adlif": lambda n: AdLIF(n, q=5.0, threshold=0.3, symplectic=False),
    "lapicque zero": lambda n: Lapicque(R=3.0, C=2.0, reset="zero"),
    "zero all": lambda n: LIF(beta=0.9, reset="zero_all"),
    "no delay": lambda n: LIF(beta=0.9, reset_delay=False),
    "no delay, zero": lambda n: LIF(beta=0.9, reset_delay=False, reset="zero"),
    "synaptic zero": lambda n: CubaLIF(alpha=0.6, beta=0.8, reset="zero"),
    "alpha zero": lambda n: AlphaLIF(alpha=0.8, beta=0.5),
    "alpha subtract": lambda n: AlphaLIF(alpha=0.8, beta=0.5, reset="subtract"),
    "counts": lambda n: Recurrent(LIF(beta=0.8), nn.Linear(n, n)),
    "to itself": lambda n: Recurrent(ALIF(beta=0.8, rho=0.9), torch.rand(n) - 0.5),
    "later": lambda n: Recurrent(LIF(beta=0.8), DelayedLinear(n, n, 4)),
}


def spikes(shape, density=0.15, most=1, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(
        (rng.random(shape) < density) * rng.integers(1, most + 1, shape)
    ).double()


def scaled(model, factor=2.5):
    """Return the model in double precision, with weights that make its neurons spike."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | DelayedLinear):
            module.weight.data *= factor
    return model.double().eval()


def torch_outputs(model, x):
    """Return the output of every module of a chain, rounding delays."""
    outputs = []
    for module in model.modules():
        if isinstance(module, DelayedLinear):
            module.round_()
    with torch.no_grad():
        for k in range(1, len(model) + 1):
            outputs.append(Sequential(*list(model)[:k])(x)[0])
    return outputs


def check(model, x, engine, least=10, **options):
    """Compare every layer of a chain with torch: spikes equal, membranes to rounding."""
    outputs = torch_outputs(model, x)
    converted = to_network(model, 1.0, input_shape=tuple(x.shape[2:]), **options)
    run = converted.run(x, engine)
    for name in converted.layers:
        expected = outputs[-1 if name == "readout" else int(name)].numpy()
        found = run.of(name)
        if converted.drawn[list(converted.layers).index(name)].spiking:
            assert (expected != 0).sum() >= least  # the case is not empty
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(run.output, outputs[-1].numpy(), rtol=0, atol=1e-10)
    return run


@pytest.mark.parametrize("name", [*LINEAR, *OTHERS])
def test_spikes_of_every_layer_equal_those_of_torch(name):
    torch.manual_seed(1)
    layer = (LINEAR | OTHERS)[name]
    model = scaled(
        Sequential(Linear(12, 15), layer(15), nn.Linear(15, 8), LIF(beta=0.8), LI(beta=0.9))
    )
    check(model, spikes((60, 3, 12), most=2), "reference")


@pytest.mark.parametrize("engine", [CLOCK, EVENT, "cpu"], ids=["clock", "event", "auto"])
@pytest.mark.parametrize("name", ["subtract", "zero", "alif", "synaptic"])
def test_compiled_engines_agree_too(name, engine):
    torch.manual_seed(2)
    # LIF and LI without a bias, as in test_cost_follows_events: event kernels compile for seconds
    first, last = Linear(12, 15, bias=name != "subtract"), nn.Linear(15, 8, bias=False)
    model = scaled(Sequential(first, LINEAR[name](15), last, LI(beta=0.9)))
    check(model, spikes((80, 3, 12), density=0.05), engine)


@pytest.mark.parametrize("name", list(LINEAR))
def test_layers_that_are_linear_between_spikes_can_sleep(name):
    from neurosim.lower.plan import lower
    from neurosim.lower.sleep import Sleep, sleep_of

    model = Sequential(Linear(4, 5), LINEAR[name](5)).double()
    plan = lower(to_network(model, 1.0).network, 1.0, 0, 0, ())
    assert isinstance(sleep_of(plan.populations[1].model), Sleep)


@given(
    widths=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    kinds=st.lists(st.sampled_from([*LINEAR, *OTHERS]), min_size=4, max_size=4),
    bias=st.booleans(), seed=st.integers(0, 10**6), most=st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_chain_of_layers(widths, kinds, bias, seed, most):
    torch.manual_seed(seed)
    modules = []
    for before, n, kind in zip(widths, widths[1:], kinds, strict=False):
        modules += [nn.Linear(before, n, bias=bias), (LINEAR | OTHERS)[kind](n)]
    model = scaled(Sequential(*modules, nn.Linear(widths[-1], 3), LI(beta=0.9)))
    check(model, spikes((25, 2, widths[0]), 0.3, most, seed), "reference", least=0)


@pytest.mark.parametrize("neuron", [
    snntorch.Leaky(beta=0.8), snntorch.Leaky(beta=0.8, reset_mechanism="zero"),
    snntorch.Synaptic(alpha=0.5, beta=0.8), snntorch.Alpha(alpha=0.8, beta=0.5),
])  # fmt: skip
def test_neurons_of_snntorch(neuron):
    torch.manual_seed(13)
    model = scaled(Sequential(Linear(10, 12), neuron))
    check(model, spikes((50, 2, 10), 0.2), "reference")


def test_recurrent_neurons_of_snntorch():
    """In single precision, as RLeaky's spikes are float32; no membrane is close to threshold."""
    torch.manual_seed(13)
    model = Sequential(Linear(10, 12), snntorch.RLeaky(beta=0.8, linear_features=12))
    x = spikes((50, 2, 10), 0.2).float()
    with torch.no_grad():
        expected, _ = model(x)
    run = to_network(model, 1.0).run(x, "reference")
    assert expected.sum() > 10
    np.testing.assert_array_equal(run.output, expected)


def test_dendritic_branches():
    torch.manual_seed(3)
    model = scaled(
        Sequential(
            Linear(10, 24), nn.Unflatten(1, (2, 12)),
            DendriticLIF(2, alpha=torch.tensor([0.3, 0.9]), beta=0.8, threshold=0.2),
            Linear(12, 4),
        )
    )  # fmt: skip
    run = check(model, spikes((60, 2, 10), 0.3), "reference")
    assert run.conversion.outputs == ("readout",)


def test_convolutions_pooling_and_normalisation_become_one_set_of_synapses():
    torch.manual_seed(4)
    norm = nn.BatchNorm2d(4)
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2), norm.bias.data.normal_()
    model = scaled(
        Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1), norm, nn.Dropout(0.5),
            LIF(beta=0.9, threshold=0.5), nn.AvgPool2d(2), nn.Flatten(), Linear(16, 5),
            LIF(beta=0.9, threshold=0.3), nn.Linear(5, 3), LI(beta=0.8),
        )
    )  # fmt: skip
    run = check(model, spikes((40, 2, 2, 8, 8)), "reference")
    assert len(run.conversion.network.projections) == 3
    # a 3 x 3 kernel reaches 9 inputs of 2 channels, at the border of 8 x 8 with stride 2 fewer
    first = run.conversion.drawn[0].edges[0]
    assert first.weight.size == 2 * 4 * (3 + 2 * 0 + 3 * 3 - 1) ** 2
    assert {e.weight.size for e in run.conversion.drawn[1].edges} == {16 * 4 * 5}


def test_delays_are_rounded_and_act_that_many_steps_later():
    torch.manual_seed(5)
    model = scaled(Sequential(DelayedLinear(8, 10, 6, bias=True), LIF(beta=0.8),
                              DelayedLinear(10, 4, 5, kind="axon"), LI(beta=0.9)))  # fmt: skip
    check(model, spikes((50, 2, 8), 0.2), CLOCK)


def test_masked_weights_are_no_synapses():
    torch.manual_seed(6)
    model = scaled(Sequential(Sparse(Linear(20, 10), 0.2), LIF(beta=0.9), nn.Linear(10, 2)))
    run = check(model, spikes((60, 2, 20), 0.3), "reference")
    assert run.conversion.drawn[0].edges[0].weight.size == 40


@pytest.mark.parametrize("model", [
    iaf_psc_exp(tau_m=12.0), iaf_psc_delta(t_ref=3.0), izhikevich(),
])  # fmt: skip
def test_declared_models_are_used_as_they_are(model):
    torch.manual_seed(7)
    n, names = 6, list(model.spec.receptors)
    rest = {"V_m": -70.0, "U_m": -14.0} if model.name == "izhikevich" else {}
    neuron = ModelNeuron(model, 1.0, receptors=names[:1], initial=rest)
    net = Sequential(nn.Linear(9, n, bias=False), neuron).double()
    net[0].weight.data = torch.rand(n, 9).double() * (1500.0 if "psc_exp" in model.name else 12.0)
    run = check(net, spikes((80, 2, 9), 0.3), "reference")
    assert type(run.conversion.layers["1"].model) is type(model)


def test_bias_of_a_declared_model_arrives_as_spikes():
    net = Sequential(nn.Linear(3, 2), ModelNeuron(iaf_psc_delta(), 1.0)).double()
    net[0].bias.data = torch.tensor([3.0, 5.0]).double()
    check(net, spikes((60, 2, 3), 0.2), "reference", least=5)


def test_real_valued_input_is_injected():
    torch.manual_seed(8)
    model = scaled(Sequential(nn.Linear(7, 9), LIF(beta=0.9), nn.Linear(9, 3), LI(beta=0.9)))
    x = torch.randn(40, 3, 7).double()
    for engine in ("reference", CLOCK):
        check(model, x, engine, input="current")


def test_sums_of_branches_get_longer_delays():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
            self.skip = nn.Linear(6, 8)
            self.one, self.two, self.out = LIF(beta=0.8), LIF(beta=0.7), LI(beta=0.9)

        def forward(self, x):
            first, _ = self.one(self.a(x))
            second, _ = self.two(self.b(first) + self.skip(x) + first)
            return self.out(self.c(second))

    torch.manual_seed(9)
    model = scaled(Residual())
    x = spikes((50, 2, 6), 0.3)
    with torch.no_grad():
        expected, _ = model(x)
    converted = to_network(model, 1.0)
    assert dict(converted.offsets) == {"one": 1, "two": 2, "out": 3}
    delays = {e.source: set(e.delay.tolist()) for e in converted.drawn[1].edges}
    assert delays == {"input": {2}, "one": {1}}
    np.testing.assert_allclose(converted.run(x, "reference").output, expected, atol=1e-10)


def test_float32_models_decide_alike():
    torch.manual_seed(10)
    model = Sequential(Linear(20, 40), LIF(beta=0.9), Linear(40, 10), LI(beta=0.9)).eval()
    x = spikes((50, 40, 20), 0.2).float()
    with torch.no_grad():
        expected = model(x)[0].sum(0).argmax(-1)
    converted = to_network(model, 1.0)
    for precision in ("float64", "float32"):
        run = converted.run(x, ns.CPU(precision=precision, strategy="clock"))
        np.testing.assert_array_equal(run.decisions("sum"), expected)


def test_samples_do_not_see_each_other():
    """Recurrent noise of one sample must be gone before the next: each alone gives the same."""
    torch.manual_seed(11)
    model = scaled(Sequential(Linear(6, 12), Recurrent(LIF(beta=0.95), DelayedLinear(12, 12, 9))))
    x = spikes((30, 4, 6), 0.3)
    converted = to_network(model, 1.0)
    for engine in ("reference", CLOCK, EVENT):
        together = converted.run(x, engine)
        alone = [converted.run(x[:, b : b + 1], engine).output[:, 0] for b in range(4)]
        np.testing.assert_array_equal(together.output, np.stack(alone, 1))
        assert together.output.sum() > 100


def test_cost_follows_events():
    """Sparse input: few of the neurons' steps are updated, and the spikes are those of torch."""
    torch.manual_seed(12)
    model = scaled(Sequential(Linear(50, 200), LIF(beta=0.8), Linear(200, 10), LI(beta=0.8)), 1.0)
    for linear in (model[0], model[2]):  # each input reaches a tenth of the neurons, no bias
        linear.weight.data *= (torch.rand_like(linear.weight) < 0.1) * 8.0
        linear.bias.data.zero_()
    run = check(model, spikes((400, 2, 50), 0.004), EVENT)
    neuron_steps = 210 * 400
    assert all(c["neuron_updates"] < 0.1 * neuron_steps for c in run.counters)


def test_any_step_of_ones_own_becomes_a_model():
    """A step with a constant, and a change at the spike that uses the new state of another."""
    step = Step(
        "own", ("v", "w"), ("x",), ("a", "b"),
        "v = a*v + 0.05 - 0.1*w + x\nspk = spike(v - 1)\nw = b*w + 0.5*spk*v\nv = v - 0.7*spk*v",
    )  # fmt: skip
    neuron = engine_neuron(step, {"a": 0.9, "b": 0.8}, {"v": 0.0, "w": 0.0}, {})
    assert neuron.why_not_linear is None
    lowered = lower_model(neuron.model, neuron.model.values, {}, 3, 1.0, None)
    cells = Neurons(lowered, (0, 0))
    x = spikes((100, 3), 0.3) * 0.6
    (expected,), final = loop(
        step, lambda u: (u > 0).double(), {"x": x},
        {k: torch.tensor(v, dtype=torch.float64) for k, v in (("a", 0.9), ("b", 0.8))},
        {s: torch.zeros(3, dtype=torch.float64) for s in ("v", "w")},
    )  # fmt: skip
    found = np.zeros((100, 3))
    for t in range(100):
        found[t, cells.step(t + 1, x[t : t + 1].numpy(), np.zeros(3))] = 1.0
    assert expected.sum() > 20
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(cells.states["w"], final["w"], atol=1e-12)
