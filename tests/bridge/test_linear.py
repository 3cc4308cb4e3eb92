"""Linear connections: products at events equal dense ones, forward and backward."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from neurosim.bridge.connections import products
from neurosim.bridge.connections.linear import Linear
from neurosim.bridge.events import attached, events_of
from neurosim.bridge.kernels import threads as pools
from neurosim.errors import ParameterError


@dataclass
class Batch:
    ptr: object
    index: object
    shape: tuple[int, ...]


def spikes(shape, p, seed=0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g) < p).to(dtype)


def gradients(layer, x, seed=1):
    """Output and all gradients of a layer for a random linear loss."""
    x = x.clone().requires_grad_()
    out, state = layer(x)
    assert state == {}
    g = torch.Generator().manual_seed(seed)
    upstream = torch.randn(out.shape, generator=g, dtype=out.dtype)
    layer.zero_grad()
    out.backward(upstream)
    return [out.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("graded", [True, False])
def test_events_equal_dense_products(dtype, bias, graded):
    torch.manual_seed(0)
    layer = Linear(37, 21, bias=bias, sparse=True, dtype=dtype)
    dense = Linear(37, 21, bias=bias, sparse=False, dtype=dtype)
    dense.load_state_dict(layer.state_dict())
    x = spikes((11, 6, 37), 0.15, dtype=dtype)
    if graded:
        x = x * torch.randn(37, dtype=dtype)
    tolerance = 2e-5 if dtype == torch.float32 else 1e-12
    for ours, theirs in zip(gradients(layer, x), gradients(dense, x), strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_gradients_pass_gradcheck():
    layer = Linear(6, 4, sparse=True, dtype=torch.float64)
    x = spikes((3, 2, 6), 0.4, dtype=torch.float64) * 1.5

    def product(weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))[0]

    assert torch.autograd.gradcheck(product, (layer.weight, layer.bias))


def test_measured_density_chooses_the_product(monkeypatch):
    calls = []
    original = products.gather
    monkeypatch.setattr(products, "gather", lambda *a: calls.append(1) or original(*a))
    layer = Linear(100, 5, break_even=0.1)
    layer(spikes((20, 10, 100), 0.02))
    assert calls
    calls.clear()
    layer(spikes((20, 10, 100), 0.3))
    assert not calls
    Linear(100, 5, sparse=False)(spikes((20, 10, 100), 0.02))
    assert not calls


def test_the_list_is_built_once_for_several_layers():
    x = spikes((10, 4, 30), 0.05).requires_grad_() * 1.0
    Linear(30, 5)(x)
    kept = attached(x)
    assert kept is not None
    Linear(30, 7)(x)
    assert attached(x) is kept


def test_the_input_gradient_is_computed_only_when_needed(monkeypatch):
    layer = Linear(20, 5, sparse=True)
    seen = []
    original = products.multiply
    monkeypatch.setattr(products, "multiply", lambda a, b: seen.append(a.shape) or original(a, b))
    layer(spikes((4, 3, 20), 0.2))[0].sum().backward()
    assert not seen
    layer(spikes((4, 3, 20), 0.2).requires_grad_())[0].sum().backward()
    assert len(seen) == 1


def test_batches_of_recordings_need_no_dense_input():
    layer = Linear(30, 8)
    x = spikes((7, 5, 30), 0.1)
    events = events_of(x)
    batch = Batch(torch.as_tensor(events.ptr), torch.as_tensor(events.index), (7, 5, 30))
    out, _ = layer(batch)
    torch.testing.assert_close(out, layer(x)[0])
    out.sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.sum((0, 1)).expand(8, 30))


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(pools, "_WORTH", 1)
    x = spikes((60, 32, 200), 0.05)
    layer = Linear(200, 96, sparse=True)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = gradients(layer, x)
        torch.set_num_threads(3)
        three = gradients(layer, x)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one[0], three[0])
    assert torch.equal(one[2], three[2]), "weight gradient"


def test_a_weight_changed_behind_the_counter_is_seen():
    layer = Linear(20, 5, bias=False, sparse=True)
    x = spikes((4, 3, 20), 0.2)
    before, _ = layer(x)
    layer.weight.data.mul_(2.0)  # does not raise the version of the parameter
    torch.testing.assert_close(layer(x)[0], 2.0 * before)


def test_precision_follows_autocast():
    x = spikes((6, 4, 50), 0.1)
    for sparse in (True, False):
        layer = Linear(50, 9, sparse=sparse)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out, _ = layer(x)
        assert out.dtype == torch.bfloat16
        out.float().sum().backward()
        assert layer.weight.grad.dtype == torch.float32
        torch.testing.assert_close(
            layer.weight.grad, x.sum((0, 1)).expand(9, 50), rtol=1e-2, atol=1e-2
        )


def test_booleans_are_spikes():
    layer = Linear(20, 5)
    x = spikes((4, 3, 20), 0.2)
    assert torch.equal(layer(x.bool())[0], layer(x)[0])


def test_copies_and_pickles():
    layer = Linear(20, 5, sparse=True, break_even=0.3)
    x = spikes((4, 3, 20), 0.2)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], layer(x)[0])
        assert (other.sparse, other.break_even) == (True, 0.3)
    assert set(layer.state_dict()) == set(torch.nn.Linear(20, 5).state_dict())


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of torch, at a graph break
def test_a_compiled_model_gives_the_same():
    layer = Linear(20, 5, sparse=True)
    x = spikes((4, 3, 20), 0.2)
    compiled = torch.compile(lambda x: layer(x)[0] * 2.0, backend="eager")
    assert torch.equal(compiled(x), 2.0 * layer(x)[0])


def test_silence_and_no_rows():
    layer = Linear(20, 5)
    out, _ = layer(torch.zeros(4, 3, 20))
    torch.testing.assert_close(out, layer.bias.expand(4, 3, 5))
    assert layer(torch.zeros(0, 3, 20))[0].shape == (0, 3, 5)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((4, 20), r"Linear\(20, 5, bias=True\).*shape \[4, 20\].*\[time, batch, 20\]"),
        ((20, 4, 3), "another order"),
        ((4, 3, 21), "Match in_features"),
    ],
)
def test_wrong_shapes_name_the_layer(shape, text):
    with pytest.raises(ParameterError, match=text):
        Linear(20, 5)(torch.zeros(shape))


def test_bad_options_are_refused():
    with pytest.raises(ParameterError, match=r"input is torch\.float64 and the weights"):
        Linear(20, 5)(torch.zeros(4, 3, 20, dtype=torch.float64))
    with pytest.raises(ParameterError, match="sparse='yes': must be 'auto', True or False"):
        Linear(20, 5, sparse="yes")
    with pytest.raises(ParameterError, match="break_even=2: must be a density"):
        Linear(20, 5, break_even=2)


def test_nan_reaches_the_output():
    x = spikes((4, 3, 20), 0.2)
    x[1, 2, 7] = np.nan
    out, _ = Linear(20, 5, sparse=True)(x)
    assert out[1, 2].isnan().all() and not out[0].isnan().any()
