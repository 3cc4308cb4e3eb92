"""Active dendrites, k winners, and the contexts they are given."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurosim.bridge import LIF, Sequential
from neurosim.bridge.connections.contexts import Prototypes, one_hot_context
from neurosim.bridge.connections.kwinners import KWinners
from neurosim.bridge.connections.segments import ActiveDendrites, sparse_mask, use_context
from neurosim.errors import ParameterError


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def unit_by_unit(layer, x, context):
    """The equations of the sheet (B.1), one unit at a time."""
    out = torch.empty(*x.shape[:2], layer.out_features, dtype=x.dtype)
    for b in range(x.shape[1]):
        for i in range(layer.out_features):
            t = x[:, b] @ (layer.weight[i] * layer.mask[i]) + layer.bias[i]
            d = [(u @ context[b]).item() for u in layer.segments[i]]
            if layer.gating == "absolute":
                out[:, b, i] = t / (1 + math.exp(-max(d, key=abs)))
            elif layer.gating == "max":
                out[:, b, i] = t / (1 + math.exp(-max(d)))
            else:
                out[:, b, i] = t + max(d)
    return out


# -- dendrites -------------------------------------------------------------------------------------
@pytest.mark.parametrize("gating", ["absolute", "max", "additive"])
def test_gates_follow_the_equations(gating):
    layer = ActiveDendrites(7, 5, 4, 6, gating=gating).double()
    x, context = torch.randn(3, 2, 7).double(), torch.randn(2, 6).double()
    out, state = layer(x, context=context)
    assert state == {}
    torch.testing.assert_close(out, unit_by_unit(layer, x, context))


def test_absolute_and_plain_maximum_differ():
    """A strong negative segment closes the gate, unless only the largest value counts."""
    layer = ActiveDendrites(1, 1, 2, 1, density=1.0, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.segments[0, :, 0] = torch.tensor([1.0, -3.0])
    x, context = torch.ones(1, 1, 1), torch.ones(1)
    assert layer(x, context=context)[0].item() == pytest.approx(1 / (1 + math.exp(3)))
    layer.gating = "max"
    assert layer(x, context=context)[0].item() == pytest.approx(1 / (1 + math.exp(-1)))


def test_context_may_be_one_one_a_sample_or_one_a_step():
    layer, x = ActiveDendrites(7, 5, 4, 6), torch.randn(3, 2, 7)
    context = torch.randn(6)
    one, _ = layer(x, context=context)
    for shape in ((2, 6), (1, 6), (3, 2, 6)):
        torch.testing.assert_close(layer(x, context=context.expand(shape))[0], one)
    mixed = torch.stack([context, torch.randn(6)])
    out, _ = layer(x, context=mixed)
    torch.testing.assert_close(out[:, 0], one[:, 0])
    assert not torch.allclose(out[:, 1], one[:, 1])


def test_only_the_winning_segment_learns():
    layer = ActiveDendrites(7, 5, 4, 6)
    context = torch.randn(6)
    layer(torch.randn(3, 2, 7), context=context)[0].sum().backward()
    winners = (layer.segments.detach() @ context).abs().argmax(1)
    learned = layer.segments.grad.abs().sum(2) > 0
    assert torch.equal(learned.nonzero()[:, 1], winners)
    assert learned.sum() == 5


def test_gradients_equal_finite_differences():
    layer = ActiveDendrites(4, 3, 2, 3).double()
    x, context = torch.randn(2, 2, 4).double().requires_grad_(), torch.randn(2, 3).double()

    def function(x, weight, segments):
        return torch.func.functional_call(
            layer, {"weight": weight, "segments": segments}, (x,), {"context": context}
        )[0]

    inputs = (x, layer.weight.detach().requires_grad_(), layer.segments.detach().requires_grad_())
    assert torch.autograd.gradcheck(function, inputs)


def test_weights_outside_the_mask_stay_zero():
    layer = ActiveDendrites(20, 6, 2, 3, density=0.25)
    assert (layer.mask.sum(1) == 5).all()
    assert (layer.weight[~layer.mask] == 0).all()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(2, 4, 20), context=torch.ones(3))[0].pow(2).sum().backward()
        optimizer.step()
    assert (layer.weight[~layer.mask] == 0).all()
    assert (layer.weight[layer.mask] != 0).all()


def test_first_weights_have_the_published_scale():
    layer = ActiveDendrites(784, 64, 2, 784, density=0.5, input_density=0.05)
    assert layer.weight.abs().max().item() == pytest.approx(1 / math.sqrt(0.05 * 392), rel=0.01)
    assert layer.segments.abs().max().item() == pytest.approx(1 / math.sqrt(78.4), rel=0.01)


def test_masks_repeat_with_their_seed():
    assert torch.equal(sparse_mask(5, 9, 0.5, seed=1), sparse_mask(5, 9, 0.5, seed=1))
    assert not torch.equal(sparse_mask(5, 9, 0.5, seed=1), sparse_mask(5, 9, 0.5, seed=2))
    assert sparse_mask(5, 9, 0.01).sum() == 5


def test_a_model_gets_its_context_for_a_block():
    model = Sequential(ActiveDendrites(7, 8, 3, 4), KWinners(0.5), LIF(beta=0.5), nn.Linear(8, 2))
    x = torch.randn(5, 2, 7)
    with use_context(model, torch.ones(4)):
        first, _ = model(x)
        with use_context(model, -torch.ones(4)):
            second, _ = model(x)
        again, _ = model(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    with pytest.raises(ParameterError, match="got no context: call it with context="):
        model(x)
    with (
        pytest.raises(ParameterError, match="Linear has no ActiveDendrites"),
        use_context(nn.Linear(2, 2), torch.ones(2)),
    ):
        pass


def test_spiking_units_are_silenced_by_their_context():
    """The gates scale the input current of spiking neurons."""
    model = Sequential(ActiveDendrites(7, 8, 1, 1, density=1.0), LIF(beta=0.9))
    with torch.no_grad():
        model[0].weight.fill_(0.3)
        model[0].segments.fill_(5.0)
    x = torch.ones(20, 1, 7)
    with use_context(model, torch.tensor([1.0])):
        active = model(x)[0].sum()
    with use_context(model, torch.tensor([-1.0])):
        silent = model(x)[0].sum()
    assert active > 100
    assert silent == 0


def test_wrong_arguments_are_named():
    with pytest.raises(ParameterError, match="n_segments = 0 must be at least 1"):
        ActiveDendrites(3, 3, 0, 3)
    with pytest.raises(ParameterError, match=r"density = 1\.5 must be in \(0, 1\]"):
        ActiveDendrites(3, 3, 1, 3, density=1.5)
    with pytest.raises(ParameterError, match="gating = 'min' is not one of absolute, max"):
        ActiveDendrites(3, 3, 1, 3, gating="min")
    layer = ActiveDendrites(3, 3, 1, 4)
    with pytest.raises(ParameterError, match=r"the input has shape \(2, 3\); \[T, B, 3\]"):
        layer(torch.ones(2, 3), context=torch.ones(4))
    with pytest.raises(ParameterError, match=r"the context has shape \(5, 4\); \(4,\), \[B, 4\]"):
        layer(torch.ones(2, 2, 3), context=torch.ones(5, 4))


# -- winners ---------------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), k=st.integers(1, 30), seed=st.integers(0, 1000))
def test_exactly_the_k_largest_win(n, k, seed):
    x = torch.randn(2, 3, n, generator=torch.Generator().manual_seed(seed))
    layer = KWinners(k)
    if k > n:
        with pytest.raises(ParameterError, match=f"k = {k} winners of {n} units"):
            layer(x)
        return
    out, _ = layer(x)
    won = out != 0
    assert (won.sum(2) == k).all()
    assert torch.equal(out[won], x[won])
    losers = x.masked_fill(won, -math.inf).amax(2)
    assert (x.masked_fill(~won, math.inf).amin(2) >= losers).all()


def test_ties_have_k_winners_and_gradients_reach_winners():
    x = torch.ones(1, 1, 2, 4, 5, requires_grad=True)
    out, _ = KWinners(0.05)(x)  # 2 of 40, over all dimensions of the layer
    assert out.shape == x.shape and out.sum() == 2
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ParameterError, match="a number of units"):
            KWinners(wrong)


# -- contexts --------------------------------------------------------------------------------------
def test_prototypes_find_their_tasks():
    centres = 5 * torch.randn(4, 10)
    prototypes = Prototypes(10)
    for centre in centres:
        x = centre + torch.randn(200, 10)
        torch.testing.assert_close(prototypes.add(x), x.mean(0))
    task = torch.randint(0, 4, (3, 50))
    x = centres[task] + torch.randn(3, 50, 10)
    assert torch.equal(prototypes.task_of(x), task)
    torch.testing.assert_close(prototypes.context_of(x), prototypes.means[task])
    other = Prototypes(10)
    other.load_state_dict(prototypes.state_dict())
    assert torch.equal(other.means, prototypes.means)


def test_contexts_refuse_what_they_cannot_be():
    assert torch.equal(one_hot_context(2, 4), torch.tensor([0.0, 0, 1, 0]))
    with pytest.raises(ParameterError, match="task 4 of 4: choose 0 to 3"):
        one_hot_context(4, 4)
    with pytest.raises(ParameterError, match="no prototype yet"):
        Prototypes(3).task_of(torch.ones(1, 3))
    with pytest.raises(ParameterError, match=r"shape \(0, 3\); \(n, 3\) with n > 0"):
        Prototypes(3).add(torch.ones(0, 3))
