"""Online training and rate-based training against backpropagation through time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from neurosim.bridge import LI, LIF, CubaLIF, Recurrent, Sequential
from neurosim.bridge.connections import Linear
from neurosim.bridge.continual import DSRLIF, OTTT, Feedback, HebbianProjection, weighted_rate
from neurosim.bridge.surrogate import sigmoid
from neurosim.errors import ParameterError, UnknownNameError


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def lif(beta, **kwargs):
    return LIF(beta=beta, spike_grad=sigmoid(4), **kwargs)


def network(*, dtype=torch.float64, readout=(), **kwargs):
    """Leaks differ, and layers of torch and of ours are mixed; all have biases."""
    model = Sequential(
        nn.Linear(12, 16), lif(0.5, **kwargs), Linear(16, 16), lif(0.8, **kwargs),
        nn.Linear(16, 4), *readout,
    )  # fmt: skip
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2.0)
    return model.to(dtype)


def spikes(n_steps=15, batch=6, n=12, dtype=torch.float64):
    return (torch.rand(n_steps, batch, n) < 0.3).to(dtype)


def gradients(model):
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def bptt(model, x, target):
    out, _ = model(x)
    loss = sum(F.cross_entropy(o, target) for o in out) / len(x)
    loss.backward()
    return loss.detach(), out.mean(0).detach(), gradients(model)


def cosine(a, b):
    return float(F.cosine_similarity(a.flatten(), b.flatten(), dim=0))


TARGET = torch.tensor([0, 1, 2, 3, 0, 1])


# -- OTTT ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("readout", [(), (LI(beta=0.9),)], ids=["instant", "leaky"])
@pytest.mark.parametrize("options", [{}, {"reset_delay": False}, {"reset": "none"}], ids=str)
def test_last_two_layers_get_the_gradient_of_bptt(readout, options):
    """With an instantaneous readout exactly; a leaky one is exact in its own layer only."""
    model, x = network(readout=readout, **options), spikes()
    loss, out, full = bptt(model, x, TARGET)
    online_loss, online_out = OTTT(model)(x, TARGET)
    online = gradients(model)
    torch.testing.assert_close(online_loss, loss)
    torch.testing.assert_close(online_out, out)
    exact = ("4.weight", "4.bias") + (() if readout else ("2.weight", "2.bias"))
    for name in exact:
        assert full[name].abs().max() > 1e-4
        torch.testing.assert_close(online[name], full[name], rtol=1e-10, atol=1e-12)
    assert 0.8 < cosine(online["0.weight"], full["0.weight"]) < 1 - 1e-6


def test_convolutions_and_pooling_pass_the_trace():
    model = Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.AvgPool2d(2), lif(0.7), nn.Flatten(), nn.Linear(36, 4)
    ).double()
    x = (torch.rand(8, 6, 2, 6, 6) < 0.5).double() * 3
    _, _, full = bptt(model, x, TARGET)
    OTTT(model)(x, TARGET)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, full[name], rtol=1e-10, atol=1e-12)


def saved_bytes(train):
    """Return the peak of what autograd holds on to."""
    held = {"now": 0, "peak": 0}

    class Kept:
        def __init__(self, tensor):
            self.tensor, self.size = tensor, tensor.numel() * tensor.element_size()
            held["now"] += self.size
            held["peak"] = max(held["peak"], held["now"])

        def __del__(self):
            held["now"] -= self.size

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        train()
    return held["peak"]


def test_memory_does_not_grow_with_the_sequence():
    model = network()
    online = OTTT(model)
    short, long = (
        saved_bytes(lambda n=n: online(spikes(1).expand(n, 6, 12), TARGET)) for n in (15, 150)
    )
    assert short == long
    through_time = [saved_bytes(lambda n=n: bptt(model, spikes(n), TARGET)) for n in (15, 150)]
    assert through_time[1] > 5 * through_time[0]


def test_every_step_can_update_the_weights():
    model, calls = network(dtype=torch.float32), []
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    x = spikes(dtype=torch.float32)

    def update():
        calls.append([p.detach().clone() for p in model.parameters()])
        optimizer.step()
        optimizer.zero_grad()

    online = OTTT(model)
    first, _ = online(x, TARGET, every_step=update)
    for _ in range(30):
        last, _ = online(x, TARGET, every_step=update)
    assert len(calls) == 31 * 15
    assert not torch.equal(calls[0][0], calls[1][0])
    assert last < 0.5 * first


def test_traces_end_with_the_sequence():
    """After an online batch the model trains through time as if nothing had been."""
    model, x = network(), spikes()
    _, _, before = bptt(model, x, TARGET)
    online = OTTT(model)
    online(x, TARGET)
    first = gradients(model)
    online(x, TARGET)
    for name, gradient in gradients(model).items():
        assert torch.equal(gradient, first[name])
    for name, gradient in bptt(model, x, TARGET)[2].items():
        assert torch.equal(gradient, before[name])


@pytest.mark.parametrize("mode", ["weight", "trace"])
def test_projection_applies_to_traces(mode):
    model, x = network(dtype=torch.float32), spikes(dtype=torch.float32)
    hlop = HebbianProjection(model, {"0": 6, "2": 8, "4": 8}, mode=mode, rate=0.05)
    online = OTTT(model)
    for _ in range(40):
        online(x, TARGET)
    hlop.consolidate()
    model.zero_grad()
    online(spikes(dtype=torch.float32), TARGET)
    hlop.project()
    for name in ("0", "2", "4"):
        gradient = model[int(name)].weight.grad
        inside = gradient @ hlop.subspace_of(name).H[: hlop.subspace_of(name).n_frozen].T
        assert gradient.norm() > 1e-5
        assert inside.norm() < 0.05 * gradient.norm()


def test_models_without_one_leak_a_layer_are_refused():
    def attempt(*modules, **kwargs):
        OTTT(Sequential(nn.Linear(3, 3), *modules), **kwargs)

    with pytest.raises(ParameterError, match=r"layer '1' \(CubaLIF\): OTTT needs neurons with one"):
        attempt(CubaLIF(alpha=0.5, beta=0.5))
    with pytest.raises(ParameterError, match="layer '1': OTTT needs reset='subtract' or 'none'"):
        attempt(LIF(beta=0.5, reset="zero"))
    with pytest.raises(ParameterError, match="layer '1': OTTT needs one beta"):
        attempt(LIF(3, beta=[0.5, 0.6, 0.7]))
    with pytest.raises(ParameterError, match=r"'1' \(ReLU\), and OTTT does not know"):
        attempt(nn.ReLU(), LIF(beta=0.5))
    with pytest.raises(ParameterError, match=r"'1\.connection' is a recurrent connection: OTTT"):
        attempt(Recurrent(LIF(beta=0.5), nn.Linear(3, 3)))
    with pytest.raises(ParameterError, match=r"Linear is no neurosim\.bridge layer"):
        OTTT(nn.Linear(3, 3))
    with pytest.raises(UnknownNameError, match="OTTT, leaks has no layer '7'"):
        attempt(leaks={"7": 0.5})
    attempt(nn.ReLU(), LIF(beta=0.5), leaks={"0": 0.0})


# -- feedback --------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["random", "sign"])
@pytest.mark.parametrize(
    ("make", "shape"),
    [(lambda: nn.Linear(5, 3), (4, 5)), (lambda: nn.Conv2d(2, 3, 3, padding=1), (4, 2, 6, 6))],
    ids=["linear", "conv"],
)
def test_only_the_error_that_goes_down_changes(kind, make, shape):
    layer, x = make(), torch.randn(shape)
    x.requires_grad_()
    out = layer(x)
    out.pow(2).sum().backward()
    free = {n: p.grad.clone() for n, p in layer.named_parameters()}
    layer.zero_grad()
    x.grad = None
    feedback = Feedback(layer, kind)
    again = layer(x)
    again.pow(2).sum().backward()
    torch.testing.assert_close(again, out)
    for name, p in layer.named_parameters():
        torch.testing.assert_close(p.grad, free[name])
    fan_in = layer.weight[0].numel()
    back = feedback.matrix("")
    if kind == "sign":
        torch.testing.assert_close(back, layer.weight.detach().sign() / math.sqrt(fan_in))
    else:
        assert 0.5 < back.abs().max() * math.sqrt(fan_in) <= 1
    y, swapped = x.detach().requires_grad_(), layer
    swapped.weight.data.copy_(back)  # the input's gradient is that of a layer with this weight
    feedback.remove()
    swapped(y).backward(2 * out.detach())
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize("kind", ["random", "sign"])
def test_learns_with_other_feedback(kind):
    model, x = network(dtype=torch.float32), spikes(dtype=torch.float32)
    feedback = Feedback(model, kind)
    optimizer, online = torch.optim.Adam(model.parameters(), lr=0.02), OTTT(model)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(float(online(x, TARGET)[0]))
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
    names = [n for n, _ in feedback.named_buffers()]
    assert names == (["back_0", "back_1", "back_2"] if kind == "random" else [])


def test_feedback_is_reproducible_and_saved():
    first, second = (Feedback(network(), "random", seed=3) for _ in range(2))
    other = Feedback(network(), "random", seed=4)
    assert torch.equal(first.matrix("2"), second.matrix("2"))
    assert not torch.equal(first.matrix("2"), other.matrix("2"))
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.matrix("2"), other.matrix("2"))
    with pytest.raises(ParameterError, match="kind='none': choose 'random' or 'sign'"):
        Feedback(network(), "none")
    loop = Sequential(Recurrent(LIF(beta=0.5), nn.Linear(3, 3)))
    with pytest.raises(ParameterError, match=r"'0\.connection' is a recurrent .* Exclude it"):
        Feedback(loop, "sign")


# -- DSR -------------------------------------------------------------------------------------------
def dsr_reference(x, neuron):
    """The forward equations of the sheet, step by step."""
    d, v, out = neuron.decay, torch.zeros_like(x[0]), []
    for row in x:
        v = d * v + (1 - d) * row
        spike = (v >= 0.3 * 0.3).to(x) * 0.3
        v = v - spike
        out.append(spike / neuron.dt)
    return torch.stack(out), v


def test_dsr_spikes_follow_the_published_dynamics():
    neuron, x = DSRLIF(), 3 * torch.randn(20, 7, 5, dtype=torch.float64) + 1
    neuron = neuron.double()
    out, state = neuron(x)
    expected, v = dsr_reference(x, neuron)
    assert 0.05 < (expected > 0).double().mean() < 0.95
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(state["mem"], v)


def test_dsr_runs_in_pieces():
    neuron, x = DSRLIF(), 3 * torch.randn(20, 7, 5).double()
    whole, _ = neuron(x)
    first, state = neuron(x[:8])
    second, _ = neuron(x[8:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_dsr_rate_is_the_clipped_rate_of_the_input():
    """For constant input and many steps the spikes' rate is clip(r, 0, V_th tau/dt) / tau."""
    neuron = DSRLIF(dt=0.01)
    x = torch.tensor([-1.0, 0.5, 2.0, 20.0, 50.0]).expand(600, 1, 5)
    rate = weighted_rate(neuron(x)[0], neuron.decay)[0]
    expected = x[0, 0].clamp(0, 0.3 / 0.01)
    torch.testing.assert_close(rate, expected, rtol=0.03, atol=0.1)


def test_dsr_gradient_is_that_of_a_network_of_rates():
    """Each layer as a clipped linear map of rates, evaluated at the rates that were measured."""
    model = Sequential(
        nn.Linear(6, 9), DSRLIF(learn_threshold=False), Linear(9, 8), DSRLIF(), nn.Linear(8, 3)
    ).double()
    x, target = 5 * torch.rand(20, 4, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    decay = model[1].decay
    rates, hooks = [], []
    for layer in (model[0], model[2], model[4]):
        hooks.append(layer.register_forward_pre_hook(
            lambda _, args: rates.append(weighted_rate(args[0].reshape(20, 4, -1), decay).detach())
        ))  # fmt: skip
    F.cross_entropy(weighted_rate(model(x)[0], decay), target).backward()
    measured = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    current, threshold = None, model[3].threshold.item()
    for layer, rate in zip((model[0], model[2], model[4]), rates, strict=True):
        if current is not None:
            clipped = current.clamp(0, threshold / 0.05)
            rate = rate + clipped - clipped.detach()
        current = F.linear(rate, layer.weight, layer.bias)
    F.cross_entropy(current, target).backward()
    for name in ("0.weight", "2.weight", "4.weight", "0.bias", "2.bias", "4.bias"):
        assert measured[name].abs().max() > 1e-6
        torch.testing.assert_close(measured[name], model.get_parameter(name).grad)


def test_dsr_threshold_moves_with_saturated_neurons_only():
    for level, moves in ((1.0, False), (100.0, True)):
        neuron = DSRLIF()
        weighted_rate(neuron(torch.full((20, 2, 3), level))[0], neuron.decay).sum().backward()
        assert float(neuron.threshold.grad) == pytest.approx(6 * 0.05 if moves else 0.0)


def test_dsr_threshold_stays_above_its_bound():
    neuron = DSRLIF(threshold=0.3, lowest_threshold=0.01)
    with torch.no_grad():
        neuron.threshold.fill_(-1.0)
    neuron(torch.ones(3, 1, 1))
    assert neuron.threshold.item() == pytest.approx(0.01)
    with pytest.raises(ParameterError, match="DSRLIF: tau = 0 must be > 0"):
        DSRLIF(tau=0)


def test_dsr_learns():
    model = Sequential(nn.Linear(12, 30), DSRLIF(), nn.Linear(30, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    x = spikes(20, dtype=torch.float32)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(weighted_rate(model(x)[0], model[1].decay), TARGET)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
