"""Delayed connections against dense convolutions over time, and their windows."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch
from torch.nn import functional

from neurosim.bridge.connections import delay_products, windows
from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.bridge.events import events_of
from neurosim.bridge.kernels import threads as pools
from neurosim.bridge.layer import reset
from neurosim.errors import DelayError, ParameterError, UnknownNameError

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
WINDOWS = [(None, 0.0), ("triangular", 2.3), ("gaussian", 0.23), ("gaussian", 5.0)]


@dataclass
class Batch:
    ptr: object
    index: object
    shape: tuple[int, ...]


def spikes(shape, p=0.1, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g) < p).to(dtype)


def convolved(layer, x):
    """The same by a dense convolution over time, differentiable."""
    kernel = layer.dense_kernel()
    rows = functional.pad(x.permute(1, 2, 0), (layer.max_delay, 0))
    kernel = kernel.expand(layer.out_features, *kernel.shape[1:])
    return functional.conv1d(rows, kernel.flip(-1), layer.bias).permute(2, 0, 1)


def derivatives(function, layer, x):
    x = x.clone().requires_grad_()
    out = function(x)
    g = torch.Generator().manual_seed(9)
    layer.zero_grad()
    out.backward(torch.randn(out.shape, generator=g, dtype=out.dtype))
    return [out.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())]


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("kind", ["synapse", "axon"])
@pytest.mark.parametrize(("window", "sigma"), WINDOWS)
@pytest.mark.parametrize("sparse", [True, False])
def test_output_and_gradients_equal_a_dense_convolution(dtype, kind, window, sigma, sparse):
    torch.manual_seed(0)
    layer = DelayedLinear(
        21, 18, 12, kind=kind, window=window, sigma=sigma, bias=True, dtype=dtype, sparse=sparse
    )
    x = spikes((33, 5, 21), dtype=dtype) * torch.linspace(0.5, 1.5, 21, dtype=dtype)
    ours = derivatives(lambda x: layer(x)[0], layer, x)
    dense = derivatives(lambda x: convolved(layer, x), layer, x)
    for a, b in zip(ours, dense, strict=True):
        assert a.dtype == dtype
        torch.testing.assert_close(a, b, rtol=TOLERANCE[dtype], atol=2 * TOLERANCE[dtype])
    assert ours[3].abs().max() > 0, "the delays have a gradient"


def test_a_sparse_upstream_gradient_is_delivered_like_events(monkeypatch):
    torch.manual_seed(0)
    layer = DelayedLinear(14, 12, 6, dtype=torch.float64)
    x = spikes((20, 4, 14), dtype=torch.float64)
    upstream = torch.randn(20, 4, 12, dtype=torch.float64) * spikes(
        (20, 4, 12), 0.05, 3, torch.float64
    )
    calls = []
    original = delay_products.deliver
    monkeypatch.setattr(delay_products, "deliver", lambda *a: calls.append(1) or original(*a))
    found = []
    for function in (lambda x: layer(x)[0], lambda x: convolved(layer, x)):
        leaf = x.clone().requires_grad_()
        function(leaf).backward(upstream)
        found.append(leaf.grad)
    assert len(calls) >= 1
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", ["gaussian", "triangular", None])
@pytest.mark.parametrize("d", [0.0, 0.3, 5.5, 11.9, 12.0])
def test_gains_of_a_window_sum_to_one(window, d):
    """Sheet, check 1a: the gains sum to one (where no lag is cut off, for the triangle)."""
    delay = torch.tensor([d], dtype=torch.float64)
    for sigma in (0.0, 0.23, 1.0, 3.0):
        if window == "gaussian":
            total = windows.gaussian(delay, 12, sigma)[1].sum()
        elif window is None:
            total = windows.interpolation(delay, 12)[1].sum()
        elif 3.0 <= d <= 9.0 and sigma in (0.0, 1.0, 3.0):  # whole s: the sum is exactly 1
            total = windows.triangular(delay, 12, sigma)[1].sum()
        else:
            continue
        assert float(total) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("sigma", [0.0, 0.23, 2.0, 12.0])
def test_the_gaussian_window_is_the_papers(sigma):
    """K[n] = w g[n] / (sum g + 1e-7), g[n] = exp(-((n - p - K//2) / (sigma + 0.27))**2 / 2)."""
    K = 25
    layer = DelayedLinear(4, 3, K - 1, window="gaussian", sigma=sigma, dtype=torch.float64)
    position = (K - 1) / 2 - layer.delay.detach().unsqueeze(-1)
    n = torch.arange(K, dtype=torch.float64)
    g = torch.exp(-0.5 * ((n - (position + K // 2)) / (sigma + 0.27)) ** 2)
    kernel = layer.weight.detach().unsqueeze(-1) * g / (g.sum(-1, keepdim=True) + 1e-7)
    torch.testing.assert_close(layer.dense_kernel().flip(-1).detach(), kernel, rtol=0, atol=1e-14)


def test_the_triangular_window_is_delrecs():
    """max(0, s - |lag - d|) / s**2 with s = 1 + sigma."""
    layer = DelayedLinear(4, 3, 9, window="triangular", sigma=2.5, dtype=torch.float64)
    lag = torch.arange(10, dtype=torch.float64)
    gains = torch.relu(3.5 - (lag - layer.delay.detach().unsqueeze(-1)).abs()) / 3.5**2
    expected = layer.weight.detach().unsqueeze(-1) * gains
    torch.testing.assert_close(layer.dense_kernel().detach(), expected, rtol=0, atol=1e-14)


def test_ends_of_the_kernel():
    """Sheet, check 1b: smallest delay is the undelayed product, largest delays by K - 1."""
    x = spikes((40, 3, 10), dtype=torch.float64)
    for d in (0, 24):
        layer = DelayedLinear(10, 4, 24, delay_init=float(d), window="gaussian", sigma=0.0,
                              dtype=torch.float64)  # fmt: skip
        expected = functional.linear(x, layer.weight)
        shifted = functional.pad(expected, (0, 0, 0, 0, d, 0))[:40]
        # one-sided Gaussian of width 0.27: the next lag has exp(-1/(2 * 0.27**2)) = 1.05e-3
        torch.testing.assert_close(layer(x)[0], shifted, rtol=0, atol=3e-3)
        layer.rounded = True
        torch.testing.assert_close(layer(x)[0], shifted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("d", [0, 1, 7, 12])
def test_whole_delays_shift_a_spike_by_as_many_steps(d):
    """Sheet, check 1c."""
    layer = DelayedLinear(1, 1, 12, delay_init=float(d))
    x = torch.zeros(20, 1, 1)
    x[3] = 1.0
    out, _ = layer(x)
    assert torch.nonzero(out.flatten()).flatten().tolist() == [3 + d]


@pytest.mark.parametrize("kind", ["synapse", "axon"])
@pytest.mark.parametrize(("window", "sigma"), WINDOWS)
def test_gradients_equal_finite_differences(kind, window, sigma):
    """Sheet, check 1d."""
    torch.manual_seed(1)
    layer = DelayedLinear(3, 2, 6, kind=kind, window=window, sigma=sigma, dtype=torch.float64)
    with torch.no_grad():  # away from whole and half steps, where windows have corners
        layer.delay.copy_(layer.delay.floor().clamp(max=5) + 0.37)
    x = spikes((9, 2, 3), 0.4, dtype=torch.float64)

    def output(weight, delay, x):
        return torch.func.functional_call(layer, {"weight": weight, "delay": delay}, (x,))[0]

    inputs = (layer.weight, layer.delay, x.requires_grad_())
    assert torch.autograd.gradcheck(output, inputs, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["synapse", "axon"])
@pytest.mark.parametrize("lengths", [(7, 33), (30, 1, 9), (3, 4, 33)])
def test_a_sequence_may_be_cut_anywhere(kind, lengths):
    layer = DelayedLinear(8, 5, 11, kind=kind, dtype=torch.float64, stateful=True)
    x = spikes((sum(lengths), 2, 8), 0.2, dtype=torch.float64)
    whole, end = layer(x)
    state, explicit, kept = None, [], []
    for part in x.split(lengths):
        reset(layer) if state is None else None
        out, after = layer(part, state)
        explicit.append(out)
        state = after
    torch.testing.assert_close(torch.cat(explicit), whole, rtol=0, atol=1e-13)
    assert torch.equal(state["tail"], end["tail"])
    reset(layer)
    for part in x.split(lengths):
        kept.append(layer(part)[0])
    torch.testing.assert_close(torch.cat(kept), whole, rtol=0, atol=1e-13)


def test_gradients_cross_a_cut():
    layer = DelayedLinear(4, 3, 5, dtype=torch.float64)
    x = spikes((16, 2, 4), 0.3, dtype=torch.float64)
    whole = derivatives(lambda x: layer(x)[0], layer, x)

    def cut(x):
        first, state = layer(x[:6])
        return torch.cat((first, layer(x[6:], state)[0]))

    for a, b in zip(whole, derivatives(cut, layer, x), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["synapse", "axon"])
def test_batches_of_recordings(kind):
    layer = DelayedLinear(9, 4, 7, kind=kind)
    x = spikes((12, 3, 9))
    events = events_of(x)
    batch = Batch(events.ptr, events.index, (12, 3, 9))
    state = {"tail": spikes((7, 3, 9), seed=5)}
    for given in (None, state):
        out, after = layer(batch, given)
        expected, tail = layer(x, given)
        torch.testing.assert_close(out, expected)
        assert torch.equal(after["tail"], tail["tail"])
    layer(Batch(events.last(6).ptr, events.last(6).index, (2, 3, 9)))[0].sum().backward()


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(pools, "_WORTH", 1)
    x = spikes((50, 9, 60), 0.05)
    layer = DelayedLinear(60, 48, 20)
    before = torch.get_num_threads()
    found = []
    try:
        for n in (1, 4):
            torch.set_num_threads(n)
            found.append(derivatives(lambda x: layer(x)[0], layer, x))
    finally:
        torch.set_num_threads(before)
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_memory_does_not_grow_with_the_largest_delay():
    """Sheet, check 7: taps are what is kept, two a synapse at any K."""
    for max_delay in (4, 400):
        start, gains = DelayedLinear(5, 3, max_delay).taps()
        assert start.shape == (3, 5) and gains.shape == (3, 5, 2)


def test_fixed_delays_are_no_parameters():
    layer = DelayedLinear(5, 3, 4, learn_delays=False)
    assert [n for n, _ in layer.named_parameters()] == ["weight"]
    assert "delay" in layer.state_dict()
    layer(spikes((6, 2, 5)))[0].sum().backward()


def test_rounding_in_evaluation():
    layer = DelayedLinear(5, 3, 4, round_in_eval=True, delay_init=1.3)
    whole = DelayedLinear(5, 3, 4, delay_init=1.0)
    whole.weight = layer.weight
    x = spikes((6, 2, 5))
    assert not torch.equal(layer(x)[0], whole(x)[0])
    assert torch.equal(layer.eval()(x)[0], whole(x)[0])
    layer.round_()
    assert torch.equal(layer.delay, torch.ones(3, 5))


def test_copies_pickles_and_state():
    layer = DelayedLinear(5, 3, 4, window="gaussian", sigma=1.5, stateful=True)
    x = spikes((6, 2, 5))
    layer(x)
    other = DelayedLinear(5, 3, 4, window="gaussian", stateful=True)
    other.load_state_dict(layer.state_dict())
    expected = layer(x)[0]
    assert torch.equal(copy.deepcopy(other)(x)[0], expected)
    assert torch.equal(pickle.loads(pickle.dumps(other))(x)[0], expected)
    assert torch.equal(other(x)[0], expected)


def test_precision_follows_autocast():
    x = spikes((6, 2, 5))
    for kind in ("synapse", "axon"):
        layer = DelayedLinear(5, 3, 4, kind=kind, bias=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out, _ = layer(x)
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out.float(), layer(x)[0], rtol=1e-2, atol=1e-2)
        out.float().sum().backward()
        assert layer.delay.grad.dtype == torch.float32


def test_an_overshoot_is_moved_back():
    layer = DelayedLinear(2, 2, 4)
    with torch.no_grad():
        layer.delay.copy_(torch.tensor([[-0.2, 1.0], [2.0, 4.1]]))
    layer(torch.zeros(3, 1, 2))
    assert layer.delay.tolist() == [[0.0, 1.0], [2.0, 4.0]]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"max_delay": 0}, DelayError, r"DelayedLinear\(3, 2\): max_delay=0.*use Linear"),
        ({"max_delay": 2.5}, DelayError, "max_delay=2.5"),
        ({"delay_init": 5.0}, DelayError, r"DelayedLinear\(3, 2, max_delay=4.*first is 5"),
        ({"delay_init": torch.full((2, 3), float("nan"))}, DelayError, "a delay is NaN"),
        ({"delay_init": torch.zeros(3)}, DelayError, r"shape \[3\].*shape \[2, 3\]"),
        ({"delay_init": "normal"}, UnknownNameError, "no initial delay 'normal'"),
        ({"kind": "dendrite"}, UnknownNameError, "no kind of delays 'dendrite'"),
        ({"window": "gauss"}, UnknownNameError, "Did you mean 'gaussian'"),
        ({"window": "gaussian", "sigma": -1.0}, ParameterError, "sigma=-1.0: must be >= 0"),
        ({"sparse": "maybe"}, ParameterError, "sparse='maybe'"),
    ],
)
def test_bad_options_name_the_layer(arguments, error, text):
    with pytest.raises(error, match=text):
        DelayedLinear(3, 2, **{"max_delay": 4, **arguments})


def test_bad_input_names_the_layer():
    layer = DelayedLinear(3, 2, 4)
    with pytest.raises(ParameterError, match=r"DelayedLinear\(3, 2.*another order"):
        layer(torch.zeros(6, 3, 4))
    with pytest.raises(ParameterError, match="'tail' has shape"):
        layer(torch.zeros(6, 2, 3), {"tail": torch.zeros(4, 1, 3)})
    with pytest.raises(UnknownNameError, match="no state 'mem'"):
        layer(torch.zeros(6, 2, 3), {"mem": torch.zeros(4, 1, 3)})
    saved = layer.state_dict()
    saved["delay"] = saved["delay"] + 5.0
    with pytest.raises(DelayError, match="6 of 6 delays are out of range"):
        layer.load_state_dict(saved)
    with torch.no_grad():
        layer.delay[0, 0] = float("nan")
    with pytest.raises(DelayError, match=r"a delay is NaN\. Look for NaN gradients"):
        layer(torch.zeros(6, 2, 3))
