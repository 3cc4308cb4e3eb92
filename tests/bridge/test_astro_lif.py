"""AstroLIF: its equations, plain LIF as a special case, gradients, and what it remembers."""

import numpy as np
import pytest
import torch

from neurosim import bridge
from neurosim.bridge.kernels.step import loop
from neurosim.errors import ParameterError

TERMS = {"w_astro": 0.7, "w_gain": 1.3, "w_threshold": -0.4}


def drive(t=60, b=3, n=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return 0.6 * torch.rand(t, b, n, generator=generator, dtype=dtype)


def by_hand(x, reset, w_astro, w_gain, w_threshold, beta=0.9, rho=0.95, baseline=0.1):
    """Return spikes, membrane and astrocyte of the equations in the docstring, step by step."""
    mem, a, spike = (torch.zeros_like(x[0]) for _ in range(3))
    spikes = []
    for now in x:
        mem = mem * (1 - spike) if reset == "zero" else mem
        back = spike if reset == "subtract" else 0.0
        mem = beta * mem + (1 + w_gain * (a - baseline)) * now + w_astro * a - back
        spike = (mem > 1.0 + w_threshold * a).to(x)
        a = rho * a + (1 - rho) * spike
        spikes.append(spike)
    return torch.stack(spikes), mem, a


@pytest.mark.parametrize(
    ("reset", "used"),
    [
        ("subtract", []), ("subtract", ["w_astro"]), ("none", ["w_gain"]),
        ("zero", ["w_threshold"]), ("subtract", list(TERMS)), ("zero", list(TERMS)),
        ("none", list(TERMS)),
    ],
)  # fmt: skip
def test_equations(reset, used):
    weights = {name: TERMS[name] if name in used else 0.0 for name in TERMS}
    x = drive()
    layer = bridge.AstroLIF(beta=0.9, rho=0.95, baseline=0.1, reset=reset, **weights)
    spikes, state = layer(x)
    expected, mem, _ = by_hand(x, reset, **weights)
    assert 0.05 < spikes.mean() < 0.95
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(state["mem"], mem, rtol=1e-5, atol=1e-5)


def test_the_astrocyte_is_a_leaky_average():
    """After a long time of constant firing A is the firing probability a step."""
    layer = bridge.AstroLIF(beta=0.0, tau_astro=50.0)
    x = torch.zeros(2000, 1, 1)
    x[::4] = 2.0
    a = layer.traces(x)["a"][-400:].mean()
    assert a.item() == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize(("dtype", "learn"), [(torch.float32, False), (torch.float64, True)])
def test_without_weights_it_is_lif_bit_for_bit(dtype, learn):
    x = drive(t=300, dtype=dtype).requires_grad_()
    y = x.detach().clone().requires_grad_()
    astro, lif = bridge.AstroLIF(beta=0.93, rho=0.99, learn_w_astro=learn), bridge.LIF(beta=0.93)
    one, state = astro(x)
    two, expected = lif(y)
    assert one.sum() > 100
    assert torch.equal(one, two)
    assert torch.equal(state["mem"], expected["mem"])
    weight = torch.linspace(-1, 1, one.numel(), dtype=dtype).reshape(one.shape)
    (one * weight).sum().backward()
    (two * weight).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_gradients_equal_those_of_plain_torch():
    """The fused backward kernel against autograd through the interpreted step."""
    x = drive()
    grads = []
    for fused in (True, False):
        layer = bridge.AstroLIF(
            5, beta=0.9, rho=0.95, baseline=0.1, learn_rho=True, learn_w_gain=True,
            learn_w_threshold=True, **TERMS,
        ).double()  # fmt: skip
        inputs = x.clone().requires_grad_()
        if fused:
            out, _ = layer(inputs)
        else:
            ready = layer.prepare(layer.step, inputs, None)
            (out,), _ = loop(
                layer.step, layer.spike_grad, ready.inputs, ready.coefficients, ready.states
            )
        (
            out * torch.linspace(-1, 1, out.numel(), dtype=x.dtype).reshape(out.shape)
        ).sum().backward()
        learnt = [layer.rho, layer.w_astro, layer.w_gain, layer.w_threshold]
        grads.append([inputs.grad, *(p.grad for p in learnt)])
    for one, two in zip(*grads, strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


def test_it_runs_in_the_event_engine():
    """The same spikes after conversion: the step is a model like any other."""
    torch.manual_seed(3)
    layer = bridge.AstroLIF(8, beta=0.9, rho=0.98, w_astro=0.5, learn_w_astro=False)
    net = bridge.Sequential(bridge.Linear(6, 8), layer).double()
    x = (torch.rand(80, 2, 6) < 0.5).double()
    out, _ = net(x)
    assert 20 < out.sum() < 1200
    run = bridge.to_network(net, dt=1.0).run(x, "reference")
    np.testing.assert_array_equal(run.output, out.detach())


def test_mistakes_are_explained():
    with pytest.raises(ParameterError, match="give either rho"):
        bridge.AstroLIF(beta=0.9)
    with pytest.raises(ParameterError, match=r"AstroLIF: w_gain = 'a'; numbers are needed"):
        bridge.AstroLIF(beta=0.9, rho=0.9, w_gain="a")
    with pytest.raises(ParameterError, match="reset = 'half' is not one of"):
        bridge.AstroLIF(beta=0.9, rho=0.9, reset="half")


# ---- delayed recall

CLASSES, GROUP, CUE = 4, 5, 10


def recall_batch(n, delay, generator):
    """Return spikes [T, n, 25] and classes: a cue, a delay with noise, a signal to answer."""
    channels = CLASSES * GROUP + GROUP
    y = torch.randint(CLASSES, (n,), generator=generator)
    x = (torch.rand(2 * CUE + delay, n, channels, generator=generator) < 0.02).float()
    groups = torch.arange(channels) // GROUP
    cue = (groups == y[:, None]).float() * (torch.rand(CUE, n, channels, generator=generator) < 0.6)
    go = (groups == CLASSES).float() * (torch.rand(CUE, n, channels, generator=generator) < 0.6)
    x[:CUE], x[-CUE:] = torch.maximum(x[:CUE], cue), torch.maximum(x[-CUE:], go)
    return x, y


def recall_accuracy(learn, w_astro, delay=100, hidden=40, batches=60):
    """Return the accuracy on fresh samples after training a small network."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    layer = bridge.AstroLIF(
        hidden, tau=20.0, tau_astro=200.0, w_astro=torch.full((hidden,), w_astro),
        learn_w_astro=learn,
    )  # fmt: skip
    net = bridge.Sequential(
        bridge.Linear(25, hidden), layer, bridge.Linear(hidden, CLASSES), bridge.LI(beta=0.9)
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(batches):
        x, y = recall_batch(32, delay, generator)
        out, _ = net(x)
        loss = torch.nn.functional.cross_entropy(out[-CUE:].mean(0), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, y = recall_batch(256, delay, generator)
    with torch.no_grad():
        out, _ = net(x)
    return float((out[-CUE:].mean(0).argmax(1) == y).float().mean())


def test_the_astrocyte_bridges_a_delay_of_100_steps():
    """At least 10 points above the same network without astrocyte (sheet, D.5); seen: 70."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        without = recall_accuracy(learn=False, w_astro=0.0)
        with_it = recall_accuracy(learn=True, w_astro=2.0)
    finally:
        torch.set_num_threads(threads)
    assert without < 0.4  # the membrane, 5 time constants later, remembers little; chance is 0.25
    assert with_it > without + 0.4
