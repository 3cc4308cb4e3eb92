"""Convolutions at events equal dense ones, forward and backward."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from neurosim.bridge.connections import conv
from neurosim.bridge.connections.conv import Conv1d, Conv2d
from neurosim.bridge.events import events_of
from neurosim.bridge.kernels import threads as pools
from neurosim.errors import ParameterError


@dataclass
class Batch:
    ptr: object
    index: object
    shape: tuple[int, ...]


def spikes(shape, p=0.1, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g) < p).to(dtype)


def derivatives(layer, x):
    """Output and gradients of one of our layers, or of torch's in a folded call."""
    x = x.clone().requires_grad_()
    if type(layer).__module__.startswith("torch"):
        out = layer(x.flatten(0, 1))
        out = out.reshape(*x.shape[:2], *out.shape[1:])
    else:
        out, state = layer(x)
        assert state == {}
    g = torch.Generator().manual_seed(9)
    layer.zero_grad()
    out.backward(torch.randn(out.shape, generator=g, dtype=out.dtype))
    return [out.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())]


GEOMETRIES = [
    {"kernel_size": 3}, {"kernel_size": 5, "padding": 2}, {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "dilation": 2, "padding": 1}, {"kernel_size": 4, "stride": 3, "padding": 3},
    {"kernel_size": 3, "padding": "same"}, {"kernel_size": 1, "bias": False},
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dimensions", [1, 2])
def test_events_equal_dense_convolutions(dtype, options, dimensions):
    torch.manual_seed(0)
    ours, theirs = ((Conv1d, nn.Conv1d), (Conv2d, nn.Conv2d))[dimensions - 1]
    layer = ours(3, 10, sparse=True, dtype=dtype, **options)
    dense = theirs(3, 10, dtype=dtype, **options)
    dense.load_state_dict(layer.state_dict())
    x = spikes((4, 3, 3, 11, 13)[: 3 + dimensions], dtype=dtype)
    x = x * torch.linspace(0.5, 2.0, x.shape[-1], dtype=dtype)
    tolerance = 2e-5 if dtype == torch.float32 else 1e-12
    for a, b in zip(derivatives(layer, x), derivatives(dense, x), strict=True):
        assert a.dtype == dtype and a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_kernels_of_different_extent():
    options = {"kernel_size": (3, 5), "stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}
    layer = Conv2d(2, 9, sparse=True, dtype=torch.float64, **options)
    dense = nn.Conv2d(2, 9, dtype=torch.float64, **options)
    dense.load_state_dict(layer.state_dict())
    x = spikes((3, 2, 2, 12, 14), dtype=torch.float64)
    for a, b in zip(derivatives(layer, x), derivatives(dense, x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{"groups": 2}, {"padding": 1, "padding_mode": "circular"}, {"padding": "same"}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding=.same. with even")
def test_what_events_cannot_do_is_dense(options):
    layer = Conv2d(2, 4, 4, sparse=True, **options)
    dense = nn.Conv2d(2, 4, 4, **options)
    dense.load_state_dict(layer.state_dict())
    x = spikes((3, 2, 2, 9, 9))
    events = events_of(x)
    expected = derivatives(dense, x)
    for a, b in zip(derivatives(layer, x), expected, strict=True):
        assert torch.equal(a, b)
    batch = Batch(events.ptr, events.index, (3, 2, 2, 9, 9))
    assert torch.equal(layer(batch)[0], expected[0])


def test_measured_density_chooses(monkeypatch):
    calls = []
    original = conv._Events.apply
    monkeypatch.setattr(conv._Events, "apply", lambda *a: calls.append(1) or original(*a))
    layer = Conv2d(2, 4, 3)
    layer(spikes((10, 8, 2, 16, 16), 0.01))
    assert len(calls) == 1
    layer(spikes((10, 8, 2, 16, 16), 0.2))
    Conv2d(2, 4, 3, sparse=False)(spikes((10, 8, 2, 16, 16), 0.01))
    assert len(calls) == 1


@pytest.mark.parametrize("make", [lambda: Conv2d(2, 4, 3), lambda: Conv1d(2, 4, 3)])
def test_batches_of_recordings(make):
    layer = make()
    x = spikes((5, 3, 2, 8, 9)[: 2 + layer.weight.dim() - 1], 0.02)
    events = events_of(x)
    out, _ = layer(Batch(events.ptr, events.index, tuple(x.shape)))
    torch.testing.assert_close(out, layer(x)[0])
    out.sum().backward()


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(pools, "_WORTH", 1)
    x = spikes((20, 8, 2, 20, 20), 0.05)
    layer = Conv2d(2, 12, 5, sparse=True)
    before = torch.get_num_threads()
    found = []
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            out, _ = layer(x)
            layer.zero_grad()
            out.backward(torch.linspace(-1, 1, out.numel()).reshape(out.shape))
            found.append((out.detach(), layer.weight.grad.clone()))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_precision_copies_and_pickles():
    layer = Conv2d(2, 4, 3, sparse=True)
    x = spikes((4, 2, 2, 7, 7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x)[0].dtype == torch.bfloat16
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], layer(x)[0])


def test_bad_input_names_the_layer():
    with pytest.raises(ParameterError, match=r"Conv2d\(2, 4.*\[time, batch, 2, height, width\]"):
        Conv2d(2, 4, 3)(torch.zeros(4, 1, 7, 7, 2))
    with pytest.raises(ParameterError, match=r"Conv1d\(2, 4.*\[time, batch, 2, length\]"):
        Conv1d(2, 4, 3)(torch.zeros(4, 2, 7))
    with pytest.raises(ParameterError, match=r"input is torch\.float64"):
        Conv2d(2, 4, 3)(torch.zeros(4, 1, 2, 7, 7, dtype=torch.float64))
    with pytest.raises(ParameterError, match="sparse=2"):
        Conv2d(2, 4, 3, sparse=2)
