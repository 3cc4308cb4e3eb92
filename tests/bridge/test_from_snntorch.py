"""Networks of snnTorch converted: equal spikes, membranes and gradients, and clear refusals."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from neurosim import bridge
from neurosim.bridge import surrogate
from neurosim.errors import ParameterError

snn = pytest.importorskip("snntorch")

from snntorch import functional as SF  # noqa: E402
from snntorch import spikegen, utils  # noqa: E402

T, B = 20, 3
#: A surrogate of ours, which keeps float64: snnTorch's own return float32 spikes.
PSI = surrogate.atan()


def stepped(net: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return spikes and last state at every step of a network with hidden states."""
    bridge.reset(net)
    out = [net(row) for row in x.unbind(0)]
    return torch.stack([o[0] for o in out]), torch.stack([o[-1] for o in out])


def compare(net: nn.Module, model: bridge.Sequential, x: torch.Tensor) -> None:
    """Compare spikes exactly, and gradients of all parameters and of the input to rounding.

    `net` and `model` must not share parameters.
    """
    given = x.clone().requires_grad_()
    other = x.clone().requires_grad_()
    expected, _ = stepped(net, given)
    weight = torch.randn_like(expected)
    out, _ = model(other)
    assert 0.02 < expected.mean() < 0.9, "the case is empty"
    assert torch.equal(out, expected)
    (expected * weight).sum().backward()
    (out * weight).sum().backward()
    pairs = [(given.grad, other.grad)]
    theirs = [p for p in net.parameters() if p.requires_grad and p.grad is not None]
    ours = [p for p in model.parameters() if p.requires_grad]
    pairs += list(zip((p.grad for p in by_shape(theirs)), (p.grad for p in by_shape(ours)),
                      strict=True))  # fmt: skip
    for a, b in pairs:
        assert a.abs().max() > 0
        assert (a - b).abs().max() < 1e-10 * a.abs().max()


def by_shape(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return parameters in an order that does not depend on their names."""
    return sorted(parameters, key=lambda p: (tuple(p.shape), p.detach().reshape(-1).tolist()))


def vector(low: float, high: float, n: int) -> torch.Tensor:
    """Return values that differ between neurons."""
    return torch.linspace(low, high, n)


def excited(net: nn.Module) -> nn.Module:
    """Return a network in double precision with weights so large that all layers fire."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.weight.mul_(1.5).add_(0.5 * module.weight.abs().mean())
    return net.double()


HIDDEN: dict[str, Any] = {"init_hidden": True, "spike_grad": PSI, "learn_threshold": True}
MEMBRANE = vector(0.5, 0.95, 5)
BOTH: dict[str, Any] = {"learn_alpha": True, "learn_beta": True}


def many(last: bool, **options: Any) -> dict[str, Any]:
    """Return what is learnt and differs by neuron: variants of test_snntorch_equality.py."""
    return {"threshold": vector(0.6, 1.2, 5), "output": last, **HIDDEN, **options}


NEURONS = {
    "Leaky": lambda last: snn.Leaky(
        0.8, learn_beta=True, graded_spikes_factor=vector(0.5, 0.9, 5),
        learn_graded_spikes_factor=True, output=last, **HIDDEN),
    "Leaky zero": lambda last: snn.Leaky(
        MEMBRANE, **many(last, reset_mechanism="zero", learn_beta=True)),
    "Leaky none": lambda last: snn.Leaky(
        0.5 * MEMBRANE, **many(last, reset_mechanism="none", learn_beta=True)),
    "Leaky at once": lambda last: snn.Leaky(
        MEMBRANE, **many(last, reset_delay=False, learn_beta=True)),
    "Synaptic": lambda last: snn.Synaptic(
        vector(0.2, 0.6, 5), MEMBRANE, **many(last, **BOTH)),
    "Synaptic zero": lambda last: snn.Synaptic(
        vector(0.3, 0.5, 5), 0.8 * MEMBRANE,
        **many(last, reset_mechanism="zero", reset_delay=False, **BOTH)),
    "Alpha": lambda last: snn.Alpha(
        vector(0.85, 0.95, 5), vector(0.3, 0.5, 5), **many(last, learn_beta=True)),
    "Lapicque": lambda last: snn.Lapicque(R=4.0, C=0.9, time_step=0.5, **many(last)),
    "Lapicque beta": lambda last: snn.Lapicque(
        beta=0.5, R=3.0, **many(last, reset_mechanism="zero")),
    "RLeaky": lambda last: snn.RLeaky(
        MEMBRANE, linear_features=5, **many(last, learn_beta=True)),
    "RLeaky zero": lambda last: snn.RLeaky(
        MEMBRANE, linear_features=5, **many(last, reset_mechanism="zero", learn_beta=True)),
    "RLeaky each": lambda last: snn.RLeaky(
        MEMBRANE, V=vector(-0.5, 0.5, 5), all_to_all=False, **many(last, learn_beta=True)),
    "RLeaky fixed": lambda last: snn.RLeaky(
        MEMBRANE, linear_features=5, learn_recurrent=False, **many(last, learn_beta=True)),
    "RLeaky at once": lambda last: snn.RLeaky(
        MEMBRANE, linear_features=5, **many(last, reset_delay=False, learn_beta=True)),
    "RSynaptic": lambda last: snn.RSynaptic(
        vector(0.2, 0.5, 5), MEMBRANE, linear_features=5, **many(last, **BOTH)),
    "RSynaptic each": lambda last: snn.RSynaptic(
        vector(0.2, 0.5, 5), MEMBRANE, V=vector(-0.5, 0.5, 5), all_to_all=False,
        **many(last, reset_mechanism="zero", **BOTH)),
}  # fmt: skip


def two_layers(kind: str) -> nn.Sequential:
    """Return a network of snnTorch with two layers of one type, of different parameters."""
    torch.manual_seed(3)
    make = NEURONS[kind]
    net = nn.Sequential(nn.Linear(4, 5), make(False), nn.Linear(5, 5, bias=False), make(True))
    with torch.no_grad():
        net[0].weight.mul_(3)
        net[2].weight.mul_(4).add_(0.7)  # so that the second layer fires, too
        for p in net[3].parameters():
            p.mul_(0.95)  # parameters of the two layers differ
    return net.double()


@pytest.mark.parametrize("kind", NEURONS)
def test_two_layers_of_each_type(kind: str):
    net = two_layers(kind)
    model = bridge.from_snntorch(net, copy=True)
    torch.manual_seed(4)
    compare(net, model, 1.5 * torch.randn(T, B, 4, dtype=torch.float64) + 0.3)


@pytest.mark.parametrize("kind", NEURONS)
def test_there_and_back(kind: str):
    net = two_layers(kind)
    back = bridge.to_snntorch(bridge.from_snntorch(net), copy=True)
    assert [type(m) for m in back] == [type(m) for m in net]
    torch.manual_seed(4)
    x = 1.5 * torch.randn(T, B, 4, dtype=torch.float64) + 0.3
    for a, b in zip(stepped(net, x), stepped(back, x), strict=True):
        assert torch.equal(a, b)
    names = {n for n, p in net.named_parameters() if p.requires_grad}
    assert {n for n, p in back.named_parameters() if p.requires_grad} == names


def test_the_timing_of_a_reset_is_known_by_the_layer():
    for reset_delay in (True, False):
        options = {"reset_delay": reset_delay, "detach_reset": reset_delay}
        for layer in (
            bridge.LIF(beta=0.5, **options), bridge.CubaLIF(alpha=0.5, beta=0.5, **options),
            bridge.DendriticLIF(2, alpha=0.5, beta=0.5, **options),
        ):  # fmt: skip
            assert (layer.reset_delay, layer.detach_reset) == (reset_delay, reset_delay)
        assert bridge.to_snntorch(bridge.LIF(beta=0.5, **options))[0].reset_delay == reset_delay
    # nothing is reset: there is nothing to be early or late
    back = bridge.to_snntorch(bridge.LIF(beta=0.5, reset="none", reset_delay=False))
    assert back[0].reset_delay
    with pytest.raises(ParameterError, match="reset_delay=True and detach_reset=False"):
        bridge.to_snntorch(bridge.LIF(beta=0.5, detach_reset=False))


def test_convolutions_pools_and_recurrent_convolution():
    torch.manual_seed(1)
    net = excited(nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2), snn.Leaky(0.7, **HIDDEN),
        nn.Sequential(
            snn.RLeaky(0.7, conv2d_channels=3, kernel_size=3, **HIDDEN), nn.AvgPool2d(2),
        ),
        nn.Flatten(), nn.Dropout(0.0), nn.Linear(12, 2), snn.Leaky(0.7, output=True, **HIDDEN),
    ))  # fmt: skip
    x = 0.8 * torch.rand(T, B, 1, 8, 8, dtype=torch.float64)
    model = bridge.from_snntorch(net, copy=True)
    assert type(model[0]) is bridge.Conv2d
    compare(net, model, x)
    back = bridge.to_snntorch(model)
    assert type(back[0]) is nn.Conv2d
    assert torch.equal(stepped(back, x)[0], stepped(net, x)[0])


def test_batch_norm_takes_the_statistics_of_every_step():
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), snn.Leaky(0.7, output=True, **HIDDEN)
    ).double()
    model = bridge.from_snntorch(net, copy=True)
    x = torch.randn(T, B, 4, dtype=torch.float64)
    compare(net, model, x)
    assert torch.allclose(model[1].module.running_var, net[1].running_var)
    net.eval()
    assert torch.equal(bridge.from_snntorch(net)(x)[0], stepped(net, x)[0])
    assert not bridge.from_snntorch(net)[1].training


def test_parameters_are_shared_or_copied():
    net = two_layers("Leaky")
    shared, copied = bridge.from_snntorch(net), bridge.from_snntorch(net, copy=True)
    assert {id(p) for p in shared.parameters()} == {id(p) for p in net.parameters()}
    assert not {id(p) for p in copied.parameters()} & {id(p) for p in net.parameters()}
    assert isinstance(shared[0], bridge.Linear)
    back = bridge.to_snntorch(shared)
    assert {id(p) for p in back.parameters()} == {id(p) for p in net.parameters()}
    frozen = two_layers("Leaky").requires_grad_(False)
    assert not any(p.requires_grad for p in bridge.from_snntorch(frozen, copy=True).parameters())


def test_membrane_as_output():
    net = two_layers("Synaptic")
    x = 1.5 * torch.randn(T, B, 4, dtype=torch.float64) + 0.3
    model = bridge.from_snntorch(net, output="membrane")
    mem, states = model(x)
    expected = stepped(net, x)[1]
    assert torch.allclose(mem, expected, atol=1e-12)
    assert torch.equal(states["3"]["mem"], mem[-1])
    assert torch.allclose(stepped(bridge.to_snntorch(model), x)[1], expected, atol=1e-12)
    with pytest.raises(ParameterError, match="output='membrane' needs a network that ends in"):
        bridge.from_snntorch(two_layers("RLeaky"), output="membrane")


def test_surrogates_and_disabled_surrogates_are_carried_over():
    net = nn.Sequential(
        snn.Leaky(0.9, spike_grad=snn.surrogate.fast_sigmoid(slope=7)),
        snn.Leaky(0.9, surrogate_disable=True),
    )
    first, second = bridge.from_snntorch(net)
    assert first.spike_grad == surrogate.fast_sigmoid(7)
    x = (2 * torch.rand(T, B, 2)).requires_grad_()
    second(x)[0].sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


class Tutorial(nn.Module):
    """The network of snnTorch's tutorials: explicit states, a loop over time in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.lif2 = snn.Leaky(0.8, learn_beta=True, spike_grad=PSI)
        self.fc1 = nn.Linear(4, 6)
        self.lif1 = snn.Synaptic(0.4, 0.8, spike_grad=PSI)
        self.fc2 = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        syn, mem1 = self.lif1.reset_mem()
        mem2 = self.lif2.reset_mem()
        spikes, membranes = [], []
        for row in x:
            spk1, syn, mem1 = self.lif1(self.fc1(row), syn, mem1)
            spk2, mem2 = self.lif2(self.between(spk1, mem1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)

    def between(self, spk: torch.Tensor, mem: torch.Tensor) -> torch.Tensor:
        return self.fc2(spk)


def test_a_loop_over_time_is_seen_in_a_call_with_a_sample():
    torch.manual_seed(0)
    net = excited(Tutorial())
    x = 3 * torch.rand(T, B, 4, dtype=torch.float64)
    model = bridge.from_snntorch(net, x[:5])
    assert [type(m).__name__ for m in model] == ["Linear", "CubaLIF", "Linear", "LIF"]
    expected = net(x)[0]
    assert 0.02 < expected.mean() < 0.9
    assert torch.equal(model(x)[0], expected)
    declared = bridge.from_snntorch(net, forward_order=["fc1", "lif1", "fc2", "lif2"])
    assert torch.equal(declared(x)[0], expected)
    membranes, _ = bridge.from_snntorch(net, x[:2], output="membrane")(x)
    assert torch.allclose(membranes, net(x)[1], atol=1e-12)


class Convolutional(nn.Module):
    """One step a call, hidden states; the pool is used twice and tensors are flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
        self.pool = nn.AvgPool2d(2)
        self.lif1, self.lif2 = snn.Leaky(0.7, **HIDDEN), snn.Leaky(0.7, **HIDDEN)
        self.fc, self.lif3 = nn.Linear(12, 2), snn.Leaky(0.7, output=True, **HIDDEN)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.lif1(self.pool(self.conv1(x)))
        x = self.lif2(self.pool(self.conv2(x)))
        return self.lif3(self.fc(x.view(len(x), -1)))


def test_a_single_step_is_seen_with_flattened_tensors_and_shared_pools():
    torch.manual_seed(0)
    net = excited(Convolutional())
    x = 6 * torch.rand(T, B, 1, 8, 8, dtype=torch.float64)
    stepped(net, x)
    before, modes = net.lif1.mem, [m.training for m in net.modules()]
    model = bridge.from_snntorch(net, x[0], copy=True)
    assert net.lif1.mem is before
    assert [m.training for m in net.modules()] == modes
    assert [type(m).__name__ for m in model].count("Flatten") == 1
    compare(net, model, x)


class Pooled(Convolutional):
    def forward(self, x: torch.Tensor) -> Any:
        x = self.lif1(functional.max_pool2d(self.conv1(x), 2))
        return self.lif3(self.fc(self.pool(self.conv2(x)).flatten(1)))


class Skip(Tutorial):
    def between(self, spk: torch.Tensor, mem: torch.Tensor) -> torch.Tensor:
        return self.fc2(mem)


class Renewed(Tutorial):
    def between(self, spk: torch.Tensor, mem: torch.Tensor) -> torch.Tensor:
        self.lif2.threshold = self.lif2.threshold * 0.5
        return self.fc2(spk)


class Once(Tutorial):
    def forward(self, x: torch.Tensor) -> Any:
        mem1, current = torch.zeros(B, 6), self.fc1(x[0])
        for _ in x:
            spk, _, mem1 = self.lif1(current, torch.zeros(B, 6), mem1)
            self.lif2(self.fc2(spk), torch.zeros(B, 2))


class Feedback(Tutorial):
    def forward(self, x: torch.Tensor) -> Any:
        spk2 = torch.zeros(B, 2)
        for row in x:
            spk1, *_ = self.lif1(self.fc1(row + spk2.repeat(1, 2)))
            spk2, _ = self.lif2(self.fc2(spk1))


class Twice(Tutorial):
    def forward(self, x: torch.Tensor) -> Any:
        for row in x:
            self.lif2(self.fc2(self.lif1(self.lif1(self.fc1(row))[0])[0]))


def test_what_is_no_chain_is_refused_with_the_place_and_the_way_out():
    x = 3 * torch.rand(4, B, 4)
    for net, sample, text in [
        (Tutorial(), None, r"Tutorial has a forward of its own.*sample=x.*forward_order=\['lif2'"),
        (Pooled(), torch.rand(B, 1, 8, 8), "lif1: its input is not what conv1 returned"),
        (Skip(), x, "fc2: its input is not what lif1 returned"),
        (Renewed(), 9 * x, "lif2: with the same input, the converted neurons fire differently"),
        (Once(), x, "does not use the same modules in every time step; the order was fc1, lif1"),
        (Feedback(), x, "fc1: its input depends on what other modules computed"),
        (Twice(), x, "lif1: this neuron is used twice in a time step"),
    ]:
        with pytest.raises(ParameterError, match=text):
            bridge.from_snntorch(net, sample)
    order = ["conv1", nn.MaxPool2d(2), "lif1", "conv2", "pool", nn.Flatten(), "fc", "lif3"]
    net = excited(Pooled())
    model = bridge.from_snntorch(net, forward_order=order)
    x = 6 * torch.rand(T, B, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(model(x)[0], stepped(net, x)[0])
    with pytest.raises(ParameterError, match=r"Pooled has no module 'fc9'. Modules: conv1, conv2"):
        bridge.from_snntorch(net, forward_order=["fc9"])


@pytest.mark.filterwarnings("ignore:Inhibition")
def test_neurons_that_cannot_be_converted_are_refused_by_name():
    changed = snn.Leaky(0.9)
    changed.reset_mechanism = "zero"
    for module, text in [
        (snn.Leaky(0.9, inhibition=True), r"1: inhibition=True"),
        (snn.Leaky(0.9, state_quant=lambda m: m), "1: state_quant is set"),
        (changed, "1: reset_mechanism was changed to 'zero' after construction.*'subtract'"),
        (snn.SLSTM(3, 3), "1: snntorch.*SLSTM has no counterpart; Leaky, Synaptic"),
        (snn.Lapicque(beta=0.5, learn_beta=True), "1: .*training beta changes nothing"),
        (snn.RSynaptic(0.5, 0.5, linear_features=3, reset_delay=False), "1: snnTorch 1.0 ignores"),
    ]:
        with pytest.raises(ParameterError, match=text):
            bridge.from_snntorch(nn.Sequential(nn.Linear(3, 3), module))
    with pytest.raises(ParameterError, match="there is no neuron of snnTorch in it"):
        bridge.from_snntorch(nn.Linear(3, 3))
    for layer, text in [
        (bridge.ALIF(beta=0.9, rho=0.9), "module 0: snnTorch has no counterpart of ALIF"),
        (bridge.LIF(beta=0.9, reset="zero_all"), "module 0: .* has no reset 'zero_all'"),
        (bridge.LIF(beta=0.9, detach_reset=False), "reset_delay=True and detach_reset=False"),
        (bridge.DelayedLinear(2, 2, max_delay=3), "module 0: DelayedLinear.*takes whole sequences"),
    ]:
        with pytest.raises(ParameterError, match=text):
            bridge.to_snntorch(bridge.Sequential(layer))
    with pytest.raises(ParameterError, match=r"module 0: LI.* passes its membrane on"):
        bridge.to_snntorch(bridge.Sequential(bridge.LI(beta=0.9), bridge.LIF(beta=0.9)))


# --- one of our neurons in a network of snnTorch


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(lambda: bridge.LIF(beta=0.8), lambda: snn.Leaky(0.8, spike_grad=PSI)),
     (lambda: bridge.CubaLIF(alpha=0.4, beta=0.8), lambda: snn.Synaptic(0.4, 0.8, spike_grad=PSI)),
     (lambda: bridge.Recurrent(bridge.LIF(beta=0.8), torch.tensor(0.3)),
      lambda: snn.RLeaky(0.8, V=0.3, all_to_all=False, spike_grad=PSI, learn_recurrent=False))],
    ids=["LIF", "CubaLIF", "Recurrent"],
)  # fmt: skip
def test_our_neuron_steps_as_one_of_snntorch(ours: Any, theirs: Any):
    x = 2 * torch.randn(T, B, 4)
    results = []
    for neuron in (bridge.SnnTorchNeuron(ours()), theirs()):
        assert isinstance(neuron, snn.SpikingNeuron)
        given = x.clone().requires_grad_()
        states = neuron.reset_mem()
        states = states if isinstance(states, tuple) else (states,)
        total, recorded = 0.0, []
        for row in given.unbind(0):
            spk, *after = neuron(row, *states)
            states = (spk, *after) if isinstance(neuron, snn.RLeaky) or len(states) > len(
                after) else tuple(after)  # fmt: skip
            recorded.append(spk)
            total = total + (spk * row.detach()).sum() + after[-1].square().sum()
        total.backward()
        results.append((torch.stack(recorded), given.grad))
    assert 0.02 < results[0][0].mean() < 0.9
    assert torch.equal(results[0][0], results[1][0])
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)


def test_hidden_states_reset_and_output():
    torch.manual_seed(0)
    layer = bridge.SnnTorchNeuron(bridge.ALIF(beta=0.9, rho=0.95), init_hidden=True)
    net = nn.Sequential(nn.Linear(4, 5), layer, nn.Linear(5, 2),
                        snn.Leaky(0.9, output=True, **HIDDEN))  # fmt: skip
    net = excited(net)
    x = 4 * torch.rand(T, B, 4, dtype=torch.float64)
    model = bridge.from_snntorch(net)
    assert model[1] is layer.neuron
    expected = model(x)[0]
    assert torch.equal(stepped(net, x)[0], expected)
    going_on = torch.stack([net(row)[0] for row in x])
    assert not torch.equal(going_on, expected)  # the states were kept
    utils.reset(net)  # knows only snnTorch's own classes
    assert layer.mem.numel()
    bridge.reset(net)
    assert not layer.mem.numel()
    assert torch.equal(torch.stack([net(row)[0] for row in x]), expected)
    net(x[0, :2])  # another batch size starts afresh
    net(x[0, :2])[0].sum().backward()
    layer.detach_hidden()
    assert layer.mem.grad_fn is None
    out = bridge.SnnTorchNeuron(bridge.ALIF(beta=0.9, rho=0.9), init_hidden=True, output=True)
    assert len(out(x[0])) == 3
    assert not bridge.SnnTorchNeuron(bridge.LIF(beta=0.5)).state_dict().keys() - {
        "neuron.beta", "neuron.threshold", "neuron.graded_spikes_factor"}  # fmt: skip
    copy.deepcopy(bridge.SnnTorchNeuron(bridge.LIF(beta=0.5)))(x[0])


def test_our_neuron_is_not_kept_alive_by_snntorch():
    layer = bridge.SnnTorchNeuron(bridge.LIF(beta=0.9))
    assert not any(m is layer for m in snn.SpikingNeuron.instances)
    ref = weakref.ref(layer)
    del layer
    gc.collect()
    assert ref() is None


def test_what_cannot_be_stepped_is_refused():
    with pytest.raises(ParameterError, match="is not a neuron layer"):
        bridge.SnnTorchNeuron(nn.Linear(2, 2))
    with pytest.raises(ParameterError, match="not be stateful"):
        bridge.SnnTorchNeuron(bridge.LIF(beta=0.9, stateful=True))
    hidden = bridge.SnnTorchNeuron(bridge.LIF(beta=0.9), init_hidden=True)
    with pytest.raises(ParameterError, match=r"module 0: .*put the layer itself"):
        bridge.Sequential(hidden)(torch.zeros(3, 1, 2))
    with pytest.raises(TypeError, match="give only the input"):
        hidden(torch.zeros(1, 2), torch.zeros(1, 2))
    with pytest.raises(TypeError, match="has the states mem"):
        bridge.SnnTorchNeuron(bridge.LIF(beta=0.9))(torch.zeros(1, 2), u=torch.zeros(1, 2))


# --- snnTorch's tools on our outputs


def outputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Return spikes and membranes [T, B, 3] of a fused model."""
    torch.manual_seed(0)
    net = bridge.Sequential(bridge.Linear(4, 3), bridge.LIF(beta=0.8))
    current = net[0](3 * torch.rand(T, B, 4))[0]
    traces = net[1].traces(current)
    return traces["spk"], traces["mem"]


@pytest.mark.parametrize(
    ("loss", "membrane"),
    [(SF.ce_rate_loss, False), (SF.ce_count_loss, False),
     (lambda: SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2), False),
     (SF.ce_temporal_loss, False), (SF.mse_temporal_loss, False),
     (SF.ce_max_membrane_loss, True), (SF.mse_membrane_loss, True)],
    ids=lambda v: getattr(v, "__name__", ""),
)  # fmt: skip
def test_losses_of_snntorch(loss: Any, membrane: bool):
    spikes, mem = outputs()
    targets = torch.tensor([0, 2, 1])
    value = loss()(mem if membrane else spikes, targets)
    value.backward()
    # the same numbers from the same spikes without our tensors' history
    plain = (mem if membrane else spikes).detach().clone()
    assert torch.equal(loss()(plain, targets), value.detach())


def test_accuracies_and_regularisers_of_snntorch():
    spikes, _ = outputs()
    winners = spikes.sum(0).argmax(1)
    assert SF.accuracy_rate(spikes, winners) == 1
    first = torch.where(spikes.bool().any(0), spikes.argmax(0), T).argmin(1)
    assert SF.accuracy_temporal(spikes, first) == 1
    penalty = SF.l1_rate_sparsity(Lambda=0.1)(spikes)
    assert torch.isclose(penalty, 0.1 * spikes.sum())
    penalty.backward()


def test_spikegen_feeds_our_layers():
    image = torch.rand(B, 6)
    net = bridge.Sequential(bridge.Linear(6, 3), bridge.LIF(beta=0.9))
    for spikes in (
        spikegen.rate(image, num_steps=T),
        spikegen.latency(image, num_steps=T, normalize=True, linear=True),
        spikegen.delta(torch.rand(T, B, 6), threshold=0.2),
    ):
        assert net(spikes)[0].shape == (T, B, 3)
    targets = spikegen.targets_rate(torch.tensor([0, 2, 1]), num_classes=3, num_steps=T)
    assert targets.shape[-1] == 3


def test_spikeplot_draws_our_spikes():
    pytest.importorskip("pandas", reason="snnTorch's spikeplot needs pandas")
    plt = pytest.importorskip("matplotlib.pyplot", reason="spikeplot needs matplotlib")
    from snntorch import spikeplot

    plt.switch_backend("agg")
    spikes, mem = outputs()
    _, axis = plt.subplots()
    spikeplot.raster(spikes[:, 0].detach(), axis, s=1, c="black")
    drawn = axis.collections[0].get_offsets()
    assert len(drawn) == int(spikes[:, 0].sum())
    spikeplot.traces(mem[:, 0].detach(), spikes[:, 0].detach(), dim=(3, 1))
    plt.close("all")
