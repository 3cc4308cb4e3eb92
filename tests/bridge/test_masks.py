"""Sparse connectivity and its rewiring: what must never change."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.bridge.connections.linear import Linear
from neurosim.bridge.connections.masks import Sparse
from neurosim.bridge.connections.rewiring import SET, DeepR, RigL
from neurosim.errors import ParameterError


def spikes(shape, p=0.2, seed=0):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g) < p).float()


def make(kind, model, optimizer, every=2):
    if kind is RigL:
        return RigL(model, optimizer, end=1000, every=every)
    if kind is DeepR:
        return DeepR(model, optimizer, every=every, shrink=1e-3, noise=1e-2)
    return SET(model, optimizer, every=every, bound=0.1)


def train(model, optimizer, rewirer, steps, target=None):
    x, loss = spikes((6, 4, 20)), torch.zeros(())
    for _ in range(steps):
        optimizer.zero_grad()
        out, _ = model(x)
        loss = (out - (x[..., :10] if target is None else target)).square().mean()
        loss.backward()
        optimizer.step()
        if rewirer is not None:
            rewirer.step()
    return loss.item()


@pytest.mark.parametrize(
    "layer",
    [Linear(20, 10, sparse=True), nn.Linear(20, 10), DelayedLinear(20, 10, 3)],
    ids=["Linear", "torch", "DelayedLinear"],
)
def test_absent_weights_have_no_part(layer):
    sparse = Sparse(copy.deepcopy(layer), 0.25)
    assert sparse.n_active == 50
    x = spikes((5, 3, 20))
    out, _ = sparse(x)
    dense = copy.deepcopy(sparse.layer)
    with torch.no_grad():
        dense.weight.mul_(sparse.mask)
        sparse.layer.weight.add_(0.0)
    expected = dense(x)
    torch.testing.assert_close(out, expected[0] if isinstance(expected, tuple) else expected)
    out.square().sum().backward()
    gradient = sparse.layer.weight.grad
    assert (gradient[~sparse.mask] == 0).all() and (gradient[sparse.mask] != 0).any()


def test_a_weight_set_behind_the_mask_stays_absent():
    sparse = Sparse(Linear(20, 10, bias=False), 0.1)
    with torch.no_grad():
        sparse.layer.weight.fill_(1.0)
    torch.testing.assert_close(
        sparse(torch.ones(1, 1, 20))[0].flatten(), sparse.mask.sum(1).float()
    )


def test_the_variance_of_the_output_is_kept():
    torch.manual_seed(0)
    x = torch.randn(10, 50, 400)
    full = Linear(400, 300, bias=False)
    expected = float(full(x)[0].detach().var())
    found = Sparse(copy.deepcopy(full), 0.1)(x)[0].detach().var()
    assert float(found) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("kind", [SET, RigL, DeepR])
@pytest.mark.parametrize("adam", [True, False])
def test_rewiring_keeps_the_number_of_weights(kind, adam):
    torch.manual_seed(0)
    model = Sparse(Linear(20, 10), 0.2)
    first = model.mask.clone()
    if adam:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rewirer = make(kind, model, optimizer)
    for _ in range(8):
        train(model, optimizer, rewirer, 3)
        assert model.n_active == 40
        assert (model.layer.weight[~model.mask] == 0).all(), "absent weights are zero and stay so"
    assert not torch.equal(first, model.mask)


@pytest.mark.parametrize("kind", [SET, RigL, DeepR])
def test_the_optimiser_forgets_moved_weights(kind):
    torch.manual_seed(0)
    model = Sparse(Linear(20, 10), 0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rewirer = make(kind, model, optimizer, every=7)
    train(model, optimizer, rewirer, 6)
    before = model.mask.clone()
    train(model, optimizer, rewirer, 1)
    moved = before ^ model.mask
    assert moved.any()
    memory = optimizer.state[model.layer.weight]
    for name in ("exp_avg", "exp_avg_sq"):
        assert (memory[name][moved] == 0).all()
        assert (memory[name][before & model.mask] != 0).any()


def test_set_drops_the_smallest():
    model = Sparse(Linear(20, 10), 0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    before, weight = model.mask.clone(), model.weight.detach().abs()
    SET(model, optimizer, every=1, fraction=0.2).step()
    dropped = before & ~model.mask
    assert dropped.sum() == 20
    assert weight[dropped].max() <= weight[before & model.mask].min()


def test_rigl_grows_where_the_gradient_is_largest():
    torch.manual_seed(0)
    model = Sparse(nn.Linear(20, 10, bias=False), 0.2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rewirer = RigL(model, optimizer, end=100, every=1, fraction=0.5)
    before = model.mask.clone()
    x = spikes((6, 4, 20))
    target = torch.randn(6, 4, 10)
    dense = nn.Linear(20, 10, bias=False)
    dense.weight.data.copy_(model.weight)
    (dense(x) - target).square().mean().backward()
    train(model, optimizer, rewirer, 1, target)
    grown = model.mask & ~before
    absent = ~before & ~grown
    assert grown.any()
    assert dense.weight.grad[grown].abs().min() >= dense.weight.grad[absent].abs().max()


def test_rigl_stores_the_dense_gradient_only_when_due():
    model = Sparse(Linear(20, 10), 0.2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rewirer = RigL(model, optimizer, end=5, every=3)
    kept = []
    for _ in range(9):
        model(spikes((6, 4, 20)))[0].sum().backward()
        kept.append(model.dense_gradient is not None)
        rewirer.step()
    assert kept == [False, False, True] + [False] * 6


def test_weights_of_deep_r_keep_their_sign():
    torch.manual_seed(0)
    model = Sparse(Linear(20, 10), 0.3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    rewirer = DeepR(model, optimizer, shrink=1e-3, noise=5e-2)
    signs = rewirer.signs[0].clone()
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    first = model.mask.clone()
    for _ in range(20):
        train(model, optimizer, rewirer, 1)
        assert (model.weight * signs >= 0).all()
    assert (first ^ model.mask).any()


def test_rewiring_learns_better_than_a_fixed_mask():
    """A target that needs 10 of 200 weights: those must be found."""
    losses = {}
    for kind in (None, SET, RigL):
        torch.manual_seed(1)
        model = Sparse(Linear(20, 10, bias=False), 0.15)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        rewirer = None if kind is None else make(kind, model, optimizer, every=10)
        losses[kind] = train(model, optimizer, rewirer, 200)
    assert losses[SET] < 0.5 * losses[None] and losses[RigL] < 0.5 * losses[None]


@pytest.mark.parametrize("kind", [SET, RigL, DeepR])
def test_a_resumed_run_rewires_the_same(kind):
    def run(cut):
        torch.manual_seed(0)
        model = Sparse(Linear(20, 10), 0.2)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        rewirer = make(kind, model, optimizer, every=3)
        train(model, optimizer, rewirer, cut)
        saved = pickle.loads(pickle.dumps((model, optimizer.state_dict(), rewirer.state_dict())))
        model = saved[0]
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        optimizer.load_state_dict(saved[1])
        rewirer = make(kind, model, optimizer, every=3)
        rewirer.load_state_dict(saved[2])
        train(model, optimizer, rewirer, 20 - cut)
        return model

    first, second = run(20), run(8)
    assert torch.equal(first.mask, second.mask) and torch.equal(first.weight, second.weight)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m, o: Sparse(nn.ReLU(), 0.5), "has no parameter 'weight'"),
        (lambda m, o: Sparse(Linear(2, 2), 0.0), r"density=0.0: must be in \(0, 1\]"),
        (lambda m, o: SET(nn.Linear(2, 2), o), "Linear has no sparse layer; wrap one"),
        (lambda m, o: SET(m, o, every=0), "every=0: must be >= 1"),
        (lambda m, o: SET(m, o, fraction=1.5), "SET: fraction=1.5"),
        (lambda m, o: RigL(m, o, end=0), "RigL: end=0"),
        (lambda m, o: DeepR(m, o, noise=-1.0), "noise=-1.0: must not be negative"),
        (lambda m, o: m.move(torch.tensor([0, 1, 2, 3]), torch.tensor([0])), "as many are needed"),
        (lambda m, o: RigL(m, o, end=9, every=1).step(), "saw no backward pass"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(call, text):
    model = Sparse(Linear(2, 2), 1.0)
    with pytest.raises(ParameterError, match=text):
        call(model, torch.optim.SGD(model.parameters(), lr=0.1))
