"""Layers of the bridge on a real GPU against the CPU: marked ``gpu``, skipped without one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from test_training_connections import CONNECTIONS, LIMIT, spikes
from test_training_kernels import HALVES, NEURONS, SURROGATES, N, results
from torch import nn

from neurosim import bridge

_MISSING = "CuPy" if find_spec("cupy") is None else None
if not torch.cuda.is_available():
    _MISSING = "a GPU that torch can use"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(_MISSING is not None, reason=f"{_MISSING} is missing"),
]
#: The device's own functions and the order of sums of its products differ in the last digits.
NEAR = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def moved(state: Any) -> Any:
    if isinstance(state, dict):
        return {k: moved(v) for k, v in state.items()}
    return None if state is None else state.cuda()


def assert_near(layer: Any, x: torch.Tensor, limit: float, state: Any = None) -> None:
    expected = results(layer, x, state)
    found = results(layer.cuda(), x.cuda(), moved(state))
    layer.cpu()
    for name, value in expected.items():
        scale = float(value.abs().max()) + 1e-3
        error = (found[name].cpu().double() - value.double()).abs().max() / scale
        assert error <= limit, name


@pytest.mark.parametrize("kind", NEURONS)
def test_neurons(kind: str):
    torch.manual_seed(3)
    layer = NEURONS[kind]()
    x = torch.randn(100, 30, N)
    with torch.no_grad():  # nothing is contracted: the same operations, the same spikes
        expected = layer(x)[0]
        assert torch.equal(layer.cuda()(x.cuda())[0].cpu(), expected)
    assert_near(layer.cpu(), x, NEAR[torch.float32])


@pytest.mark.parametrize("psi", SURROGATES, ids=lambda s: s.name)
def test_surrogates(psi: Any):
    torch.manual_seed(4)
    layer = bridge.LIF(beta=0.8, spike_grad=psi, detach_reset=False).double()
    assert_near(layer, torch.randn(20, 3, N, dtype=torch.float64), NEAR[torch.float64])


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_precision(dtype: torch.dtype):
    torch.manual_seed(5)
    layer = NEURONS["LIF"]()
    assert_near(layer, torch.randn(50, 4, N, dtype=dtype), NEAR[dtype])


@pytest.mark.parametrize("dtype", list(LIMIT), ids=str)
def test_products_and_delays(dtype: torch.dtype):
    torch.manual_seed(6)
    x = spikes(50, 16, 300, density=0.05, dtype=dtype)
    for layer in (
        bridge.Linear(300, 200, sparse=True), bridge.DelayedLinear(300, 200, 24),
        bridge.DelayedLinear(300, 40, 24, window="gaussian", sigma=3.0),
        bridge.DelayedLinear(300, 40, 24, kind="axon"),
    ):  # fmt: skip
        assert_near(layer.to(dtype), x, NEAR[dtype])
    images = spikes(10, 4, 2, 8, 8, dtype=dtype)
    assert_near(bridge.Conv2d(2, 3, 3).to(dtype), images, NEAR[dtype])


@pytest.mark.parametrize("kind", CONNECTIONS)
def test_recurrence(kind: str):
    torch.manual_seed(7)
    layer = bridge.Recurrent(bridge.LIF(70, beta=0.9), CONNECTIONS[kind](70)).double()
    x = torch.randn(15, 3, 70, dtype=torch.float64)
    assert_near(layer, x, NEAR[torch.float64], {"spk": spikes(3, 70, dtype=torch.float64)})


def model() -> nn.Module:
    torch.manual_seed(8)
    return bridge.Sequential(
        bridge.DelayedLinear(40, 32, 8), bridge.LIF(32, beta=0.9, learn_beta=True),
        bridge.Recurrent(bridge.LIF(32, beta=0.9), nn.Linear(32, 32)),
        bridge.Linear(32, 5, sparse=True), bridge.LI(5, beta=0.9),
    ).cuda()  # fmt: skip


def gradients(net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    loss = bridge.membrane_mean_loss(net(x)[0], torch.arange(len(x[0]), device=x.device) % 5)
    return list(torch.autograd.grad(loss, list(net.parameters())))


def test_a_side_stream_gives_the_same():
    net, x = model(), spikes(30, 8, 40).cuda()
    expected = gradients(net, x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        late = x.clone()
        torch.cuda._sleep(50_000_000)
        late.mul_(1.0)  # kernels on another stream would not wait for this
        found = gradients(net, late)
    torch.cuda.current_stream().wait_stream(stream)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


def test_training_is_captured_in_a_graph():
    net, x = model(), spikes(30, 8, 40).cuda()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            gradients(net, x)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = gradients(net, x)
    for seed in (1, 2):
        torch.manual_seed(seed)
        x.copy_(spikes(30, 8, 40))
        graph.replay()
        torch.cuda.synchronize()
        for a, b in zip(found, gradients(net, x), strict=True):
            assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)
        assert any(bool(g.any()) for g in found)


def test_autocast_and_events_of_a_data_set():
    net, x = model(), spikes(30, 8, 40)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        out, _ = net(x.cuda())
    assert torch.isfinite(out).all()
    batch = bridge.events_of(x)
    batch = type("Batch", (), {"ptr": batch.ptr, "index": batch.index, "shape": (30, 8, 40)})()
    assert torch.allclose(net(batch)[0], net(x.cuda())[0], atol=1e-5)
