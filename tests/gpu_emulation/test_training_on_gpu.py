"""Training on CUDA tensors gives what it gives on the CPU: marked ``gpu``, left out without one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_training_kernels import NEURONS, results

from neurosim import bridge

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU"),
]
N, STEPS, BATCH = 5, 40, 16
LAYERS = NEURONS | {
    "linear": lambda: bridge.Linear(N, 7),
    "delays": lambda: bridge.DelayedLinear(N, 7, 9),
    "convolution": lambda: bridge.Conv2d(1, 3, 2),
}
#: Largest error over the largest value, by precision of input and output.
LIMITS = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def pair(kind: str) -> tuple[Any, Any]:
    """Return the same layer on the CPU and on the GPU."""
    torch.manual_seed(3)
    here, there = LAYERS[kind](), LAYERS[kind]()
    there.load_state_dict(here.state_dict())
    return here, there.to("cuda")


def spikes(kind: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(4)
    shape = (1, 6, 6) if kind == "convolution" else (N,)
    if kind in NEURONS:
        return torch.randn(STEPS, BATCH, *shape).to(dtype)
    return (torch.rand(STEPS, BATCH, *shape) < 0.2).to(dtype)


def assert_near(found: dict[str, Any], expected: dict[str, Any], limit: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        other = found[name].cpu().double()
        scale = float(value.double().abs().max()) + 1e-3
        # a neuron near its threshold may spike on one side alone
        near = (other - value.double()).abs() <= limit * scale
        assert near.double().mean() > 0.99, name


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_equal_the_cpu(kind: str):
    here, there = pair(kind)
    x = spikes(kind)
    with torch.device("cuda"):
        found = results(there, x.cuda())
    assert_near(found, results(here, x), LIMITS[torch.float32])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", ["LIF", "ALIF", "LI"])
def test_half_precision_stays_near(kind: str, dtype: torch.dtype):
    here, there = pair(kind)
    x = spikes(kind, dtype)
    with torch.device("cuda"):
        found = results(there, x.cuda())
    assert_near(found, results(here, x), LIMITS[dtype])


def network() -> Any:
    torch.manual_seed(5)
    return bridge.Sequential(
        bridge.Linear(N, 8, bias=False), bridge.LIF(beta=0.9),
        bridge.DelayedLinear(8, 4, 6), bridge.LI(beta=0.9),
    ).to("cuda")  # fmt: skip


def test_a_side_stream_keeps_the_order():
    net, x = network(), 3 * spikes("linear").cuda()
    expected, _ = net(x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        large = torch.randn(2048, 2048, device="cuda")
        for _ in range(20):  # keeps the stream busy, so that a launch elsewhere would be too early
            large = large @ large / 2048
        found, _ = net(x + 0.0 * large.mean().nan_to_num())
    stream.synchronize()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_captured_graph_is_replayed_on_other_input():
    net, x = network(), 3 * spikes("linear").cuda()
    with torch.no_grad():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            net(x)  # compiled and loaded before the capture
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found, _ = net(x)
        x.copy_(x.flip(0))
        graph.replay()
        expected, _ = net(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
