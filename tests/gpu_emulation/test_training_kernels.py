"""The bridge's CUDA kernels, executed without a GPU, against the kernels of the CPU.

Both round every operation alike, so neurons must give the same bits where the precision is the
same; functions whose last digit may differ (powers, logarithms) get a tolerance.
"""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import nvrtc
import pytest
import torch
from emulated_launcher import EmulatedLauncher, on

import neurosim as ns
from neurosim import bridge
from neurosim.bridge import surrogate
from neurosim.bridge.cuda import launcher as launchers
from neurosim.bridge.cuda.emit import SEGMENT
from neurosim.bridge.cuda.function import gradient_of, step_source
from neurosim.bridge.kernels.step import loop
from neurosim.errors import MissingPackageError

N = 5
HALVES = (torch.float16, torch.bfloat16)


def spread(low: float, high: float) -> torch.Tensor:
    return torch.linspace(low, high, N)


NEURONS = {
    "LIF": lambda: bridge.LIF(
        N, beta=spread(0.5, 0.9), learn_beta=True, learn_threshold=True, detach_reset=False
    ),
    "LIF zero": lambda: bridge.LIF(N, beta=0.7, reset="zero", detach_reset=False),
    "LIF zero_all": lambda: bridge.LIF(N, beta=0.7, reset="zero_all", learn_beta=True),
    "LIF none": lambda: bridge.LIF(N, beta=0.7, reset="none", graded_spikes_factor=0.7),
    "LIF at once": lambda: bridge.LIF(
        N, beta=0.7, reset_delay=False, learn_beta=True, learn_threshold=True
    ),
    "LIF zero at once": lambda: bridge.LIF(N, beta=0.7, reset="zero", reset_delay=False),
    "CubaLIF": lambda: bridge.CubaLIF(N, tau_syn=2.0, tau_mem=spread(3, 9), learn_beta=True),
    "AlphaLIF": lambda: bridge.AlphaLIF(N, alpha=0.8, beta=0.5, learn_alpha=True, learn_beta=True),
    "Lapicque": lambda: bridge.Lapicque(N, R=5.0, C=0.8, learn_R=True, learn_C=True),
    "ALIF": lambda: bridge.ALIF(
        N, beta=0.8, rho=spread(0.8, 0.97), kappa=0.4, learn_beta=True, learn_rho=True,
        learn_kappa=True, learn_threshold=True,
    ),
    "AdLIF": lambda: bridge.AdLIF(N, q=2.0, tau_w=(10.0, 20.0), threshold=0.1),
    "AdLIF forward": lambda: bridge.AdLIF(N, q=2.0, threshold=0.1, symplectic=False),
    "AstroLIF": lambda: bridge.AstroLIF(N, beta=0.8, rho=0.9, w_astro=0.5, w_gain=0.1),
    "LI": lambda: bridge.LI(N, beta=0.9, learn_beta=True, normalise=True),
    "each to itself": lambda: bridge.Recurrent(
        bridge.LIF(N, beta=0.7), torch.nn.Parameter(spread(-0.5, 0.5))
    ),
}  # fmt: skip
SURROGATES = [
    surrogate.atan(), surrogate.fast_sigmoid(5.0), surrogate.sigmoid(4.0), surrogate.gaussian(),
    surrogate.multi_gaussian(), surrogate.triangular(0.3), surrogate.rectangular(),
    surrogate.slayer(), surrogate.straight_through(), surrogate.spike_operator(),
    surrogate.leaky_spike_operator(), surrogate.sparse_fast_sigmoid(5.0, 0.1),
    surrogate.spike_rate_escape(), surrogate.snntorch_triangular(),
    surrogate.Surrogate("lorentz", "1/(1 + (k*u)**2)", (("k", 3.0),)),
]  # fmt: skip


def results(layer: Any, x: torch.Tensor, state: Any = None) -> dict[str, torch.Tensor]:
    """Return outputs, final states and all gradients of a run."""
    x = x.detach().requires_grad_()
    layer.zero_grad()
    out, final = layer(x, state)
    weights = torch.linspace(-1, 2, out.numel(), dtype=torch.float64)
    weights = weights.to(out.device).reshape(out.shape)
    states = {k: v for k, v in final.items() if isinstance(v, torch.Tensor)}
    total = (out.double() * weights).sum() + sum((v.double() ** 2).sum() for v in states.values())
    total.backward()
    found = {"out": out, "by x": x.grad} | states
    found |= {f"by {k}": p.grad for k, p in layer.named_parameters() if p.grad is not None}
    return {k: v.detach().clone() for k, v in found.items()}


def assert_alike(
    layer: Any, x: torch.Tensor, seed: int = 0, limit: float = 0.0, state: Any = None
) -> list[str]:
    """Compare a layer's results on the two paths; return the kernels that ran."""
    expected = results(layer, x, state)
    with on(EmulatedLauncher(seed)) as launcher:
        found = results(layer, x, state)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        other = found[name]
        assert other.dtype == value.dtype, name
        scale = float(value.abs().max()) + 1e-3 if value.numel() else 1.0
        errors = (other.double() - value.double()).abs() / scale
        assert (errors <= limit).all(), f"{name}: {errors.max()}"  # not if there is a NaN, either
    return launcher.kernels


@pytest.mark.parametrize("kind", NEURONS)
def test_neurons_equal_the_cpu_bit_for_bit(kind: str):
    torch.manual_seed(3)
    layer = NEURONS[kind]()
    x = torch.randn(2 * SEGMENT + 5, 30, N)
    state = {s: 0.3 * torch.rand(30, N) for s in getattr(layer, "neuron", layer).step.states}
    kernels = assert_alike(layer, x, seed=7, state=state)
    assert kernels == ["forward", "backward"]
    if kind != "LI":
        assert 0.02 < layer(x)[0].mean() < 0.9


@pytest.mark.parametrize("psi", SURROGATES, ids=lambda s: s.name)
def test_surrogates_equal_plain_pytorch(psi: surrogate.Surrogate):
    torch.manual_seed(4)
    layer = bridge.LIF(beta=0.8, spike_grad=psi, detach_reset=False).double()
    x = torch.randn(20, 3, N, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(x)
    start = {"mem": torch.zeros(3, N, dtype=torch.float64)}
    (plain,), _ = loop(layer.step, psi, {"x": x}, layer.coefficients(), start)
    (expected,) = torch.autograd.grad((plain * weights).sum(), x)
    with on(EmulatedLauncher()):
        (found,) = torch.autograd.grad((layer(x)[0] * weights).sum(), x)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, *HALVES], ids=str)
@pytest.mark.parametrize("kind", ["LIF", "LI"])
def test_other_precisions(kind: str, dtype: torch.dtype):
    # states are computed in float32, or in double precision for double input
    torch.manual_seed(5)
    layer = NEURONS[kind]()
    layer = layer.double() if dtype == torch.float64 else layer
    assert_alike(layer, torch.randn(SEGMENT, 4, N, dtype=dtype), seed=2)


def test_branches_of_a_dendrite():
    torch.manual_seed(6)
    layer = bridge.DendriticLIF(3, N, tau_branch=5.0, beta=0.8)
    assert_alike(layer, torch.randn(20, 4, 3, N))


class resonator(ns.NeuronModel):
    """A model with every function of the language."""

    tau = ns.param(10.0, "ms", gt=0, doc="time constant")
    equations = """
        dv/dt = (abs(u) - tanh(v) + exp(-v**2))/tau : 1
        du/dt = (sin(v)*cos(u) - u)/tau : 1
    """
    receptors = {"exc": "v += weight"}
    threshold = "v > 0.8 and u > -9"
    reset = "v = clip(sqrt(u*u), 0, 0.1); u = max(u, min(v, 0.5)) + log(1.5)"
    method = "heun"


@pytest.mark.parametrize(
    ("model", "learn"),
    [(ns.models.iaf_psc_exp(), ["tau_m"]), (ns.models.izhikevich(), []),
     (resonator(), ["tau"])],
    ids=["iaf_psc_exp", "izhikevich", "own"],
)  # fmt: skip
def test_models_of_the_language(model: Any, learn: list[str]):
    torch.manual_seed(8)
    layer = bridge.ModelNeuron(model, dt=0.5, learn=learn).double()
    n_inputs = len(layer.input_names)
    shape = (60, 3, n_inputs, N) if n_inputs > 1 else (60, 3, N)
    x = 40 * torch.rand(shape, dtype=torch.float64)
    assert_alike(layer, x, limit=1e-9)


def test_order_of_threads_and_size_change_nothing():
    torch.manual_seed(9)
    layer = bridge.ALIF(beta=0.9, rho=0.9, learn_beta=True)
    for shape in ((3, 1, 300), (1, 2, 1), (0, 2, 4)):
        for seed in (0, 1, 8):
            assert_alike(layer, torch.randn(shape), seed)
    with on(EmulatedLauncher()) as launcher:
        assert layer(torch.randn(2, 0, 4))[0].shape == (2, 0, 4)
    assert not launcher.kernels


def test_without_gradient_nothing_is_kept():
    layer = bridge.LIF(beta=0.9)
    x = torch.randn(40, 2, N)
    with on(EmulatedLauncher()) as launcher:
        inside, _ = layer(x)
        out, _ = layer(x.requires_grad_())
    assert launcher.kernels == ["forward", "forward"]
    assert torch.equal(inside, out)
    saved = [t.numel() for t in out.grad_fn.next_functions[0][0].saved_tensors]
    assert sum(saved) <= x.numel() * (1 + 1 / SEGMENT) + 2 * N + 2


def test_without_cupy_the_extra_is_named(monkeypatch: Any):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingPackageError, match=r"training on CUDA.*neurosim\[gpu\]"):
        launchers.launcher_for(torch.device("cuda", 0))


class _Place:
    """A stand-in of CuPy's devices and streams that tells where a launch happened."""

    now: list[tuple[int, ...]] = []

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def __enter__(self) -> None:
        self.now.append(self.numbers)

    def __exit__(self, *_: object) -> None:
        self.now.pop()


def test_kernels_are_launched_on_the_stream_of_torch(monkeypatch: Any):
    compiled, launched = [], []

    class Module:
        def get_function(self, name: str) -> Any:
            return lambda *call: launched.append((name, *call, list(_Place.now)))

    def load(cupy: Any, device: Any, source: str, options: tuple[str, ...], what: str) -> Module:
        assert (_Place.now[0], what) == (device.numbers, "training on CUDA tensors")
        compiled.append(options)
        return Module()

    cuda = SimpleNamespace(Device=_Place, ExternalStream=_Place)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(launchers, "load_module", load)
    streams = iter((77, 88))
    monkeypatch.setattr(
        torch.cuda, "current_stream", lambda number: SimpleNamespace(cuda_stream=next(streams))
    )
    launcher = launchers.CupyLauncher(1)
    x = torch.zeros(5)
    for _ in range(2):
        launcher.start("source", "kernel", 300, [np.int32(3), x], each=128)
    launcher.start("source", "kernel", 0, [x])
    arguments = (np.int32(3), np.uint64(x.data_ptr()))
    places = [[(1,), (stream, 1)] for stream in (77, 88)]
    assert launched == [("kernel", (3,), (128,), arguments, place) for place in places]
    assert compiled == [("--std=c++17", "--fmad=false")]


@pytest.mark.skipif(nvrtc.library() is None, reason="the wheel nvidia-cuda-nvrtc is missing")
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_kernels_compile_for_gpus(architecture: str):
    layer = bridge.ALIF(N, beta=0.9, rho=spread(0.8, 0.9))
    gradient = gradient_of(layer.spike_grad, frozenset(["beta"]))
    for io in (torch.float32, torch.float64, *HALVES):
        source = step_source(layer.step, frozenset(["rho"]), io, gradient)
        code, log = nvrtc.assembled(source, architecture, "--fmad=false", "--ptxas-options=-v")
        assert b".text.forward" in code
        assert b".text.backward" in code
        assert set(re.findall(r"(\d+) bytes spill stores", log)) == {"0"}
