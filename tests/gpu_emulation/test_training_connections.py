"""CUDA kernels of products at events, delays and recurrence, without a GPU, against the CPU's."""

from __future__ import annotations

import re
from typing import Any

import nvrtc
import pytest
import torch
from emulated_launcher import EmulatedLauncher, on
from test_training_kernels import HALVES, assert_alike
from torch import nn

from neurosim import bridge
from neurosim.bridge.cuda import delays, recurrence, source
from neurosim.bridge.cuda.launcher import THREADS

#: Sums are the same, in another order.
LIMIT = {torch.float64: 1e-13, torch.float32: 3e-6}


def spikes(*shape: int, density: float = 0.1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(shape) < density).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (70, 33), (2100, 200)])
def test_products_at_events(n: int, m: int, dtype: torch.dtype):
    torch.manual_seed(n)
    layer = bridge.Linear(n, m, sparse=True, dtype=dtype)
    x = spikes(6, 2, n, density=0.05, dtype=dtype)
    assert assert_alike(layer, x, 3, LIMIT[dtype]) == ["gather", "gather"]
    graded = x * torch.rand_like(x)
    graded[0] = 0
    assert_alike(layer, graded, 4, LIMIT[dtype])
    assert_alike(bridge.Linear(n, m, bias=False, sparse=True, dtype=dtype), x, 5, LIMIT[dtype])


def test_a_row_without_zeros_is_a_product_as_well():
    layer = bridge.Linear(300, 5, sparse=True)
    assert_alike(layer, torch.randn(3, 2, 300), 1, 1e-5)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_products_of_spikes_in_half_precision(dtype: torch.dtype):
    torch.manual_seed(0)
    layer = bridge.Linear(64, 16, sparse=True, dtype=dtype)
    x = spikes(5, 3, 64, dtype=dtype).requires_grad_()
    with on(EmulatedLauncher(2)):
        out, _ = layer(x)
        out.sum().backward()
    wide = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double())
    assert (out.double() - wide).abs().max() < 0.02
    assert torch.equal(layer.weight.grad, x.detach().sum((0, 1)).expand_as(layer.weight))


def test_autocast_is_that_of_the_cpu():
    torch.manual_seed(1)
    x = spikes(20, 3, 64)
    for layer in (bridge.Linear(64, 8, sparse=True), bridge.DelayedLinear(64, 8, 4)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            expected, _ = layer(x)
            with on(EmulatedLauncher(1)):
                found, _ = layer(x)
        assert found.dtype == expected.dtype == torch.bfloat16
        assert (found - expected).abs().max() < 0.02


def test_events_or_not_is_never_asked_of_the_device():
    with on(EmulatedLauncher()) as launcher:
        bridge.Linear(8, 8)(spikes(3, 2, 8))
    assert not launcher.kernels


def delayed(window: str | None = None, n: int = 9, m: int = 6, **options: Any) -> Any:
    torch.manual_seed(1)
    layer = bridge.DelayedLinear(n, m, max_delay=12, window=window, **options)
    return layer


@pytest.mark.parametrize("window", [None, "triangular", "gaussian"])
@pytest.mark.parametrize("kind", ["synapse", "axon"])
def test_delays(kind: str, window: str | None):
    layer = delayed(window, kind=kind, bias=True, sigma=2.0)
    x = spikes(40, 3, 9) * torch.rand(40, 3, 9)
    kernels = assert_alike(layer, x, 2, 1e-5)
    expected = {
        "synapse": ["deliver", "pull_back", "correlate"],
        "axon": ["filter_axons", "filter_axons", "correlate_axons"],
    }[kind]
    assert kernels == expected
    state = {"tail": spikes(12, 3, 9)}
    assert_alike(layer.double(), x[:5].double(), 2, 1e-12, {"tail": state["tail"].double()})


def test_delays_beyond_a_block_of_targets_and_short_sequences():
    assert_alike(delayed(n=3, m=THREADS + 5), spikes(4, 2, 3), 1, 1e-5)
    assert_alike(delayed(), spikes(1, 1, 9), 1, 1e-5)


def test_delays_too_long_for_shared_memory():
    torch.manual_seed(2)
    layer = bridge.DelayedLinear(5, 4, max_delay=100, dtype=torch.float64)
    assert_alike(layer, spikes(30, 2, 5, dtype=torch.float64), 1, 1e-12)


def test_rounded_delays_and_axons_at_events():
    layer = delayed()
    with bridge.evaluate_rounded(layer):
        assert_alike(layer, spikes(20, 2, 9), 1, 1e-5)
    layer = delayed(kind="axon", sparse=True)
    assert "gather" in assert_alike(layer, spikes(20, 2, 9), 1, 1e-5)


def test_a_delay_that_is_no_number_shows_in_the_output():
    layer = delayed()
    with torch.no_grad():
        layer.delay[2, 3] = float("nan")
    with on(EmulatedLauncher(sanitizer=None)):
        out, _ = layer(torch.ones(20, 2, 9))
    assert torch.isnan(out[..., 2]).any()
    assert not torch.isnan(out[..., :2]).any()


def test_sigma_is_read_again_when_it_has_changed():
    layer = delayed("gaussian")
    x = spikes(20, 2, 9)
    with on(EmulatedLauncher()):
        first = layer(x)[0]
        layer.sigma.fill_(0.5)
        second = layer(x)[0]
    assert not torch.equal(first, second)
    assert torch.allclose(second, layer(x)[0], atol=1e-5)


CONNECTIONS = {
    "all to all": lambda n: nn.Linear(n, n),
    "no bias": lambda n: nn.Linear(n, n, bias=False),
    "delays": lambda n: bridge.DelayedLinear(n, n, 6),
    "window": lambda n: bridge.DelayedLinear(n, n, 6, window="gaussian", sigma=1.0, bias=True),
}


@pytest.mark.parametrize("kind", CONNECTIONS)
def test_recurrence(kind: str):
    torch.manual_seed(5)
    n = 70  # more than the threads of a block
    neuron = bridge.ALIF(n, beta=0.9, rho=torch.linspace(0.8, 0.9, n), learn_beta=True)
    layer = bridge.Recurrent(neuron, CONNECTIONS[kind](n)).double()
    x = torch.randn(15, 3, n, dtype=torch.float64)
    state = {"mem": torch.rand(3, n).double(), "a": torch.rand(3, n).double()}
    state["spk"] = spikes(3, n, dtype=torch.float64)
    kernels = assert_alike(layer, x, 6, 1e-11, state)
    assert kernels.count("recurrent") == 1
    assert kernels.count("backward") == len(x)
    assert 0.02 < layer(x)[0].mean() < 0.9


def test_recurrence_equals_the_cpu_bit_for_bit_forward():
    torch.manual_seed(6)
    layer = bridge.Recurrent(bridge.LIF(20, beta=0.9), nn.Linear(20, 20))
    x = torch.randn(30, 2, 20)
    with on(EmulatedLauncher(4)), torch.no_grad():
        found = layer(x)[0]
    assert torch.equal(found, layer(x)[0])


def test_other_connections_are_stepped():
    torch.manual_seed(7)
    layer = bridge.Recurrent(bridge.LIF(beta=0.8), nn.Conv2d(2, 2, 3, padding="same"))
    kernels = assert_alike(layer, torch.randn(4, 2, 2, 5, 5), 1, 1e-5)
    assert kernels.count("forward") == 4


def test_a_model_trains_alike_on_both_paths():
    torch.manual_seed(8)
    model = bridge.Sequential(
        bridge.DelayedLinear(20, 16, 8), bridge.LIF(16, beta=0.9, learn_beta=True),
        bridge.Recurrent(bridge.LIF(16, beta=0.9), nn.Linear(16, 16)),
        bridge.Linear(16, 4, sparse=True), bridge.LI(4, beta=0.9),
    ).double()  # fmt: skip
    x = spikes(25, 4, 20, dtype=torch.float64)
    begun = {k: v.clone() for k, v in model.state_dict().items()}

    def trained() -> list[float]:
        model.load_state_dict(begun)
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = bridge.membrane_mean_loss(model(x)[0], torch.arange(4))
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    expected = trained()
    with on(EmulatedLauncher()):
        found = trained()
    assert found == pytest.approx(expected, rel=1e-9)
    assert expected[2] < expected[0]


@pytest.mark.skipif(nvrtc.library() is None, reason="the wheel nvidia-cuda-nvrtc is missing")
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_kernels_compile_for_gpus(architecture: str):
    step = bridge.LIF(beta=0.9).step
    sources = {
        "recurrent": recurrence._source(step, frozenset(), torch.float32, 256, False),
        "deliver": delays._source(torch.float32, torch.bfloat16, width=27),
        "correlate": delays._source(torch.float64, torch.float32, group=8),
        "filter_axons": delays._axon_source(torch.float32, torch.float16),
        "gather": source.written(
            "compact.cuh", "gather.cu", real=torch.float32, NS_THREADS=THREADS, NS_LOOKS=8,
            ROW="ns_half", TABLE="ns_bfloat", OUT="float",
        ),
    }  # fmt: skip
    sources["delayed"] = recurrence._source(step, frozenset(), torch.float64, 1024, True)
    for name, text in sources.items():
        code, log = nvrtc.assembled(text, architecture, "--fmad=false", "--ptxas-options=-v")
        assert b".text." + name.replace("delayed", "recurrent").encode() in code
        assert set(re.findall(r"(\d+) bytes spill stores", log)) == {"0"}, name
