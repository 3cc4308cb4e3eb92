"""Numbers of our neurons against snnTorch's, step for step and gradient for gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurosim import bridge
from neurosim.bridge import surrogate

snn = pytest.importorskip("snntorch")

T, B, N = 25, 3, 7
#: snnTorch calls them reset_mechanism.
RESETS = ("subtract", "zero", "none")


def per_neuron(low: float, high: float, dtype: torch.dtype) -> torch.Tensor:
    """Return values that differ between neurons."""
    return torch.linspace(low, high, N, dtype=dtype)


def steps(neuron: nn.Module, x: torch.Tensor, names: tuple[str, ...]) -> tuple[Any, Any]:
    """Return spikes [T, B, N] and the final states of a snnTorch neuron."""
    state = {n: torch.zeros_like(x[0]) for n in names}
    out = []
    for row in x.unbind(0):
        spikes, *after = neuron(row, **state)
        out.append(spikes)
        state = dict(zip([n for n in names if n != "spk"], after, strict=True))
        if "spk" in names:
            state["spk"] = spikes
    return torch.stack(out), state


def compare(
    ours: bridge.Neuron,
    theirs: nn.Module,
    names: tuple[str, ...],
    learnt: dict[str, str],
    dtype: torch.dtype,
    scale: float = 1.0,
) -> None:
    """Compare spikes and states exactly, and gradients to rounding.

    Parameters
    ----------
    learnt : dict
        Names of our parameters and theirs.
    """
    torch.manual_seed(1)
    x = (scale * torch.randn(T, B, N, dtype=dtype)).requires_grad_()
    y = x.detach().clone().requires_grad_()
    out, state = ours(x)
    expected, final = steps(theirs, y, names)
    assert out.dtype == dtype
    assert 0.02 < expected.mean() < 0.98, "the case is empty"
    assert torch.equal(out, expected.to(dtype))
    weight = torch.randn(T, B, N, dtype=dtype)
    (out * weight).sum().add(sum(s.square().sum() for s in state.values())).backward()
    total = (expected * weight).sum()
    for name in state:
        assert torch.equal(state[name], final[name]), name
        total = total + final[name].square().sum()
    total.backward()
    pairs = {"x": (x.grad, y.grad)} | {
        a: (ours.get_parameter(a).grad, theirs.get_parameter(b).grad) for a, b in learnt.items()
    }
    limit = 1e-12 if dtype == torch.float64 else 2e-5
    for name, (ours_, theirs_) in pairs.items():
        error = (ours_ - theirs_).abs().max() / theirs_.abs().max().clamp(min=1e-3)
        assert error < limit, (name, error)


#: Every reset with and without delay ("none" knows no difference), and both precisions. Those in
#: double precision share their kernels with the recurrent neurons below and test_from_snntorch.py.
FORMS = [
    ("subtract", True, torch.float64), ("subtract", False, torch.float64),
    ("zero", True, torch.float64), ("zero", False, torch.float32),
    ("none", True, torch.float64),
]  # fmt: skip
#: Single precision in another place: test_nir.py, too, has "zero" without delay.
CUBA_FORMS = [
    (reset, delay, torch.float32 if reset == "none" else torch.float64) for reset, delay, _ in FORMS
]
#: The same without a choice of the delay.
DELAYED = [("subtract", torch.float64), ("zero", torch.float64), ("none", torch.float32)]


# snnTorch's surrogates return float32 spikes, which rounds gradients of float64 networks to single
# precision; ours in its place keep the type, and the rest of its arithmetic is compared to 1e-12
PSI = surrogate.atan()


@pytest.mark.parametrize(("reset", "delay", "dtype"), FORMS)
def test_lif_is_leaky(reset: str, delay: bool, dtype: torch.dtype):
    beta, threshold = per_neuron(0.5, 0.99, dtype), per_neuron(0.6, 1.4, dtype)
    learn = {"learn_beta": True, "learn_threshold": True, "reset_delay": delay}
    # snnTorch's reset without delay is not cut from the graph
    ours = bridge.LIF(N, beta=beta, threshold=threshold, reset=reset, detach_reset=delay, **learn)
    theirs = snn.Leaky(
        beta=beta, threshold=threshold, reset_mechanism=reset, spike_grad=PSI, **learn
    )
    compare(ours, theirs, ("mem",), {"beta": "beta", "threshold": "threshold"}, dtype)


def test_lif_with_snntorchs_own_surrogate_and_graded_spikes():
    options: dict[str, Any] = {
        "beta": torch.tensor(0.8), "graded_spikes_factor": torch.tensor(0.5),
        "learn_graded_spikes_factor": True, "learn_beta": True,
    }  # fmt: skip
    ours = bridge.LIF(N, spike_grad=snn.surrogate.fast_sigmoid(slope=10), **options)
    theirs = snn.Leaky(spike_grad=snn.surrogate.fast_sigmoid(slope=10), **options)
    names = {"beta": "beta", "graded_spikes_factor": "graded_spikes_factor"}
    compare(ours, theirs, ("mem",), names, torch.float32)


def test_scalar_and_clamped_beta_are_leaky():
    # beta = 1.2 acts as 1, and its gradient is 0
    ours = bridge.LIF(N, beta=1.2, learn_beta=True)
    theirs = snn.Leaky(beta=1.2, learn_beta=True, spike_grad=PSI)
    compare(ours, theirs, ("mem",), {"beta": "beta"}, torch.float32, scale=0.4)
    assert ours.beta.grad == 0


@pytest.mark.parametrize(("reset", "delay", "dtype"), CUBA_FORMS)
def test_cuba_lif_is_synaptic(reset: str, delay: bool, dtype: torch.dtype):
    alpha, beta = per_neuron(0.3, 0.9, dtype), per_neuron(0.9, 0.5, dtype)
    threshold = per_neuron(0.6, 1.4, dtype)
    learn = {
        "learn_alpha": True, "learn_beta": True, "learn_threshold": True, "reset_delay": delay,
    }  # fmt: skip
    ours = bridge.CubaLIF(
        N, alpha=alpha, beta=beta, threshold=threshold, reset=reset, detach_reset=delay, **learn
    )
    theirs = snn.Synaptic(
        alpha, beta, threshold=threshold, reset_mechanism=reset, spike_grad=PSI, **learn
    )
    names = {"alpha": "alpha", "beta": "beta", "threshold": "threshold"}
    compare(ours, theirs, ("syn", "mem"), names, dtype, scale=0.5)


@pytest.mark.parametrize(("reset", "dtype"), DELAYED)
def test_alpha_lif_is_alpha(reset: str, dtype: torch.dtype):
    alpha, beta = per_neuron(0.7, 0.95, dtype), per_neuron(0.2, 0.6, dtype)
    threshold = per_neuron(0.6, 1.4, dtype)
    # snnTorch cannot learn alpha: it assigns a tensor to the parameter
    learn = {"learn_beta": True, "learn_threshold": True}
    ours = bridge.AlphaLIF(N, alpha=alpha, beta=beta, threshold=threshold, reset=reset, **learn)
    theirs = snn.Alpha(
        alpha, beta, threshold=threshold, reset_mechanism=reset, spike_grad=PSI, **learn
    )
    states = ("syn_exc", "syn_inh", "mem")
    compare(ours, theirs, states, {"beta": "beta", "threshold": "threshold"}, dtype)


@pytest.mark.parametrize(("reset", "dtype"), DELAYED)
def test_lapicque_is_lapicque(reset: str, dtype: torch.dtype):
    threshold = per_neuron(0.6, 1.4, dtype)
    options: dict[str, Any] = {"R": 5.1, "C": 0.7, "threshold": threshold}
    ours = bridge.Lapicque(N, reset=reset, learn_threshold=True, **options)
    theirs = snn.Lapicque(reset_mechanism=reset, learn_threshold=True, spike_grad=PSI, **options)
    ours.R, ours.C = theirs.R.to(dtype), theirs.C.to(dtype)
    theirs.to(dtype)
    compare(ours, theirs, ("mem",), {"threshold": "threshold"}, dtype, scale=1.5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"beta": 0.8}, (1.0, None)), ({"beta": 0.8, "R": 2.0}, (2.0, None)),
     ({"beta": 0.8, "C": 2.0}, (None, 2.0))],
)  # fmt: skip
def test_lapicque_completes_the_circuit(given: dict[str, float], expected: tuple[Any, Any]):
    ours, theirs = bridge.Lapicque(**given), snn.Lapicque(**given)
    assert torch.allclose(ours.R, theirs.R.float())
    assert torch.allclose(ours.C, theirs.C.float())
    for held, value in zip((ours.R, ours.C), expected, strict=True):
        assert value is None or held == value


RECURRENT_RESETS = {"subtract": "subtract", "zero_all": "zero", "none": "none"}


@pytest.mark.parametrize(("kind", "reset"), [
    *(("all", reset) for reset in RECURRENT_RESETS), *(("conv", r) for r in RECURRENT_RESETS),
    ("each", "subtract"), ("each", "zero_all"),
])  # fmt: skip
def test_recurrent_lif_is_rleaky(reset: str, kind: str):
    dtype = torch.float64
    beta, threshold = per_neuron(0.5, 0.95, dtype), per_neuron(0.6, 1.4, dtype)
    learn = {"learn_beta": True, "learn_threshold": True}
    V = torch.nn.Parameter(per_neuron(-1, 1, dtype))
    form = {"all": {"linear_features": N}, "each": {"all_to_all": False, "V": V},
            "conv": {"conv2d_channels": 1, "kernel_size": 3}}[kind]  # fmt: skip
    theirs = snn.RLeaky(
        beta=beta, threshold=threshold, reset_mechanism=RECURRENT_RESETS[reset],
        spike_grad=PSI, **form, **learn,
    ).double()  # fmt: skip
    neuron = bridge.LIF(beta=beta, threshold=threshold, reset=reset, **learn)
    connection = (
        nn.Parameter(V.detach().clone()) if kind == "each" else copy.deepcopy(theirs.recurrent)
    )
    ours = bridge.Recurrent(neuron, connection)
    names = {"neuron.beta": "beta", "neuron.threshold": "threshold"} | (
        {"V": "recurrent.V"} if kind == "each"
        else {f"connection.{n}": f"recurrent.{n}" for n in ("weight", "bias")}
    )  # fmt: skip
    compare_recurrent(
        ours, theirs, ("spk", "mem"), names, (B, 1, 5, N) if kind == "conv" else (B, N)
    )


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_recurrent_cuba_lif_is_rsynaptic(reset: str):
    dtype = torch.float64
    alpha, beta = per_neuron(0.3, 0.9, dtype), per_neuron(0.9, 0.5, dtype)
    threshold = per_neuron(0.6, 1.4, dtype)
    learn = {"learn_alpha": True, "learn_beta": True, "learn_threshold": True}
    theirs = snn.RSynaptic(
        alpha, beta, threshold=threshold, linear_features=N, reset_mechanism=reset,
        spike_grad=PSI, **learn,
    ).double()  # fmt: skip
    neuron = bridge.CubaLIF(alpha=alpha, beta=beta, threshold=threshold, reset=reset, **learn)
    ours = bridge.Recurrent(neuron, copy.deepcopy(theirs.recurrent))
    names = {f"neuron.{n}": n for n in ("alpha", "beta", "threshold")}
    names |= {f"connection.{n}": f"recurrent.{n}" for n in ("weight", "bias")}
    compare_recurrent(ours, theirs, ("spk", "syn", "mem"), names, (B, N))


def compare_recurrent(
    ours: bridge.Recurrent,
    theirs: nn.Module,
    names: tuple[str, ...],
    learnt: dict[str, str],
    shape: tuple[int, ...],
) -> None:
    """Compare spikes exactly, states and gradients to rounding: sums are in another order."""
    torch.manual_seed(2)
    x = (0.8 * torch.randn(T, *shape, dtype=torch.float64)).requires_grad_()
    y = x.detach().clone().requires_grad_()
    start = {n: torch.rand(shape, dtype=torch.float64, requires_grad=True) for n in names}
    begin = {n: v.detach().clone().requires_grad_() for n, v in start.items()}
    out, state = ours(x, start)
    final, spikes = dict(begin), []
    for row in y.unbind(0):
        spk, *after = theirs(row, **final)
        final = {"spk": spk, **dict(zip(names[1:], after, strict=True))}
        spikes.append(spk)
    expected = torch.stack(spikes)
    assert 0.02 < expected.mean() < 0.98, "the case is empty"
    assert torch.equal(out, expected)
    weight = torch.randn_like(out)
    (out * weight).sum().add(sum(s.square().sum() for s in state.values())).backward()
    (expected * weight).sum().add(sum(final[n].square().sum() for n in state)).backward()
    pairs = {"x": (x.grad, y.grad)} | {n: (start[n].grad, begin[n].grad) for n in names}
    pairs |= {a: (ours.get_parameter(a).grad, theirs.get_parameter(b).grad)
              for a, b in learnt.items()}  # fmt: skip
    for name, (a, b) in pairs.items():
        assert (a - b).abs().max() < 1e-11 * b.abs().max().clamp(min=1e-3), name


@settings(deadline=None, max_examples=15)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 40)),
    beta=st.floats(0, 1), threshold=st.floats(0.1, 3), seed=st.integers(0, 2**31),
    reset=st.sampled_from(RESETS),
)  # fmt: skip
def test_any_lif_is_leaky(
    shape: tuple[int, int, int], beta: float, threshold: float, seed: int, reset: str
):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    theirs = snn.Leaky(beta, threshold, reset_mechanism=reset).double()
    ours = bridge.LIF(beta=beta, threshold=threshold, reset=reset)
    out, state = ours(x)
    expected, final = steps(theirs, x, ("mem",))
    # snnTorch rounds beta and threshold to float32 on the way, as we do
    assert torch.equal(out, expected.double())
    assert torch.equal(state["mem"], final["mem"])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (lambda: snn.surrogate.atan(3.0), surrogate.atan(3.0)),
        (lambda: snn.surrogate.fast_sigmoid(slope=7), surrogate.fast_sigmoid(7)),
        (lambda: snn.surrogate.sigmoid(slope=6), surrogate.sigmoid(6)),
        (lambda: snn.surrogate.straight_through_estimator(), surrogate.straight_through()),
        (lambda: snn.surrogate.heaviside(), surrogate.spike_operator()),
        (lambda: snn.surrogate.triangular(0.7), surrogate.snntorch_triangular(0.7)),
        (lambda: snn.surrogate.SFS(8, 0.2), surrogate.sparse_fast_sigmoid(8, 0.2)),
        (lambda: snn.surrogate.spike_rate_escape(2, 9), surrogate.spike_rate_escape(2, 9)),
    ],
    ids=lambda v: v.name if isinstance(v, surrogate.Surrogate) else "",
)
def test_surrogates_of_snntorch_are_recognised(
    theirs: Callable[[], Any], ours: surrogate.Surrogate
):
    function = theirs()
    assert surrogate.resolve(function) == ours
    u = torch.linspace(-2, 2, 41, requires_grad=True)
    function(u).sum().backward()
    assert torch.allclose(u.grad, ours.derivative(u.detach()), atol=1e-7)


def test_what_is_not_recognised_steps_in_torch_and_says_so():
    function = snn.surrogate.custom_surrogate(lambda u, grad, spikes: grad / (1 + u.abs()))
    with pytest.warns(UserWarning, match=r"LIF\(shape=\(7,\)\): spike_grad = .* plain PyTorch"):
        ours = bridge.LIF(N, beta=0.9, learn_beta=True, spike_grad=function)
    theirs = snn.Leaky(0.9, learn_beta=True, spike_grad=function)
    compare(ours, theirs, ("mem",), {"beta": "beta"}, torch.float32)


def test_snntorch_neurons_stand_in_a_sequential():
    torch.manual_seed(0)
    linear = nn.Linear(4, N)
    x = torch.rand(T, B, 4)
    mixed = bridge.Sequential(linear, snn.Leaky(0.9))
    out, states = mixed(x)
    ours, expected = bridge.Sequential(linear, bridge.LIF(beta=0.9))(x)
    assert torch.equal(out, ours)
    assert torch.equal(states["1"]["mem"], expected["1"]["mem"])
    first, between = mixed(x[:10])
    rest, _ = mixed(x[10:], between)
    assert torch.equal(torch.cat([first, rest]), ours)
    hidden = bridge.Sequential(linear, snn.Leaky(0.9, init_hidden=True))
    assert torch.equal(hidden(x)[0], ours)
    assert not torch.equal(hidden(x)[0], ours)  # it goes on from where it was
    bridge.reset(hidden)
    assert torch.equal(hidden(x)[0], ours)
