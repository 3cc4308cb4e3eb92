"""Hebbian orthogonal projection: what the subspaces learn, and what the projection protects."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from neurosim.bridge import LIF, Recurrent, Sequential
from neurosim.bridge.connections import Conv2d, Linear
from neurosim.bridge.connections.masks import Sparse
from neurosim.bridge.continual import (
    Feedback,
    HebbianProjection,
    OjaSubspace,
    average_accuracy,
    backward_transfer,
)
from neurosim.bridge.continual.layers import WeightLayer
from neurosim.bridge.surrogate import sigmoid
from neurosim.errors import ParameterError, UnknownNameError


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def trained_subspace(batches, **options):
    """Ten rows after batches of 64 from N(0, C), ten eigenvalues 1 and forty 0.05 (sheet, 6.1)."""
    basis = torch.linalg.qr(torch.randn(50, 50))[0]
    scale = torch.cat([torch.ones(10), torch.full((40,), 0.05)]).sqrt()
    space = OjaSubspace(50, **options)
    space.grow(10, generator())
    for _ in range(batches):
        space.learn((torch.randn(64, 50) * scale) @ basis.T)
    covariance = basis * scale**2 @ basis.T
    captured = float(torch.trace(space.H @ covariance @ space.H.T) / 10)
    rows = torch.linalg.qr(space.H.T)[0]
    cosine = torch.linalg.svdvals(rows.T @ basis[:, :10]).min().clamp(max=1)
    return space, captured, math.degrees(math.acos(float(cosine)))


def two_plane_inputs(n_inputs, n=256):
    """Activities in two orthogonal subspaces of five dimensions each."""
    basis = torch.linalg.qr(torch.randn(n_inputs, 10))[0]
    return torch.randn(n, 5) @ basis[:, :5].T, torch.randn(n, 5) @ basis[:, 5:].T


# -- Oja's rule ------------------------------------------------------------------------------------
def test_rows_become_an_orthonormal_basis_of_the_principal_subspace():
    space, captured, angle = trained_subspace(200)
    assert captured > 0.99
    assert (space.H @ space.H.T - torch.eye(10)).abs().max() < 0.02
    assert angle < 6.0


def test_convergence_takes_as_long_as_calibrated():
    """After 50 batches the sheet saw 0.88 and 59 degrees: momentum averages, it does not add up."""
    _, captured, angle = trained_subspace(50)
    assert 0.8 < captured < 0.96
    assert angle > 30


@pytest.mark.parametrize("n", [4, 1000])
@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["", "clipped"])
def test_fast_forms_equal_the_rule_as_published(n, scale):
    """Few activities: their products; many: their second moment. Both are the paper's update."""
    space = OjaSubspace(20, rate=0.05).double()
    space.grow(4, generator())
    space.freeze()
    space.H += 0.01 * torch.randn(4, 20)  # frozen rows are never quite orthonormal
    space.grow(6, generator(1))
    x, rows, average = scale * torch.randn(n, 20).double(), space.H.clone(), 0.0
    for _ in range(5):
        y = x @ rows.T
        gradient = y.T @ (x - y @ rows) / n
        assert (gradient[4:].abs().max() > 10) == (scale > 1)
        gradient.clamp_(-10, 10)
        gradient[:4] = 0
        average = 0.9 * average + 0.1 * gradient
        rows = rows + 0.05 * average
    space.learn(x)
    torch.testing.assert_close(space.H, rows)


def test_new_rows_learn_what_frozen_rows_do_not_explain():
    first, second = two_plane_inputs(30)
    space = OjaSubspace(30)
    space.grow(5, generator())
    for _ in range(300):
        space.learn(first)
    space.freeze()
    frozen = space.H.clone()
    space.grow(5, generator(1))
    for _ in range(300):
        space.learn(torch.cat([first, second]))
    assert torch.equal(space.H[:5], frozen)
    assert (space.H[5:] @ frozen.T).abs().max() < 0.05
    assert (second - second @ space.H.T @ space.H).norm() < 0.05 * second.norm()


def test_spiking_lateral_neurons_learn_the_same_subspace():
    space, captured, _ = trained_subspace(200, lateral_steps=40, lateral_scale=20.0)
    assert captured > 0.97
    y = space.lateral(torch.randn(8, 50), space.H)
    torch.testing.assert_close((y * 2).round() / 2, y)  # 20 / 40 = 0.5 between levels


def test_more_rows_than_inputs_are_refused():
    space = OjaSubspace(8)
    space.grow(6, generator())
    with pytest.raises(ParameterError, match=r"3 new .* rows after 6 for 8 inputs: .* 0 to 2"):
        space.grow(3, generator())


# -- projection ------------------------------------------------------------------------------------
def network(**kwargs):
    return Sequential(
        nn.Linear(40, 30, **kwargs), LIF(beta=0.5, spike_grad=sigmoid(4)), Linear(30, 4, **kwargs)
    )


def learn_task(model, hlop, x, target, *, steps=60, optimizer=None, rate=0.5):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        out = model(x)[0].mean(0)
        nn.functional.cross_entropy(out, target).backward()
        if hlop is not None:
            hlop.project()
        optimizer.step()


def old_response(old, new, x):
    """Relative change of a layer's response to x, of what the change of weights could do."""
    change = new - old
    return float((x @ change.T).norm() / (change.norm() * x.norm()))


def task_data():
    first, second = two_plane_inputs(40, 64)
    third = first + second  # the second task's input overlaps with the first's
    return 3 * first.expand(5, 64, 40), 3 * third.expand(5, 64, 40), torch.randint(0, 4, (64,))


@pytest.mark.parametrize("mode", ["weight", "trace"])
def test_old_inputs_get_the_old_response(mode):
    """Sheet, 6.3: the change of weights in task 2 does not meet the inputs of task 1."""
    first, second, target = task_data()
    moved = {}
    for protected in (True, False):
        torch.manual_seed(1)
        model = network()
        hlop = HebbianProjection(model, {"0": 8, "2": 15}, mode=mode, rate={"0": 0.01, "2": 0.02})
        learn_task(model, hlop, first, target, steps=200)
        if protected:
            hlop.consolidate()
        before = model[0].weight.detach().clone()
        learn_task(model, hlop, second, target.roll(1))
        moved[protected] = old_response(before, model[0].weight.detach(), first[0])
    assert moved[True] < 0.05
    assert moved[False] > 5 * moved[True]


def test_both_modes_give_equal_gradients():
    first, second, target = task_data()
    gradients = {}
    for mode in ("weight", "trace"):
        torch.manual_seed(1)
        model = network()
        hlop = HebbianProjection(model, 6, mode=mode)
        learn_task(model, hlop, first, target, steps=5)
        hlop.consolidate()
        model.zero_grad()
        nn.functional.cross_entropy(model(second)[0].mean(0), target).backward()
        hlop.project()
        gradients[mode] = [model[i].weight.grad.clone() for i in (0, 2)]
    for weight, trace in zip(gradients["weight"], gradients["trace"], strict=True):
        assert weight.abs().max() > 1e-4
        torch.testing.assert_close(weight, trace, rtol=1e-4, atol=1e-6)


def test_trace_mode_leaves_the_error_that_goes_down():
    """Only the presynaptic factor of the weight's gradient changes, not the input's gradient."""
    x = torch.randn(12, 40, requires_grad=True)
    layer = nn.Linear(40, 3)
    layer(x).pow(2).sum().backward()
    free, x.grad = x.grad, None
    hlop = HebbianProjection(layer, {"": 20}, mode="trace")
    hlop.consolidate(0)
    layer.zero_grad()
    layer(x).pow(2).sum().backward()
    torch.testing.assert_close(x.grad, free)
    space = hlop.subspace_of("")
    assert (layer.weight.grad @ space.H.T).abs().max() < 1e-4 * layer.weight.grad.abs().max()


CONVOLUTIONS = {
    "strided": lambda: nn.Conv2d(3, 5, 3, padding=1, stride=2),
    "dilated": lambda: nn.Conv2d(3, 5, 3, padding="same", dilation=2),
    "1d": lambda: nn.Conv1d(3, 5, 4, padding=2, stride=3),
}


@pytest.mark.parametrize("mode", ["weight", "trace"])
def test_our_layers_are_projected_as_those_of_torch(mode):
    """Sequences and batches, events and dense products: the same gradients."""
    found = []
    for ours in (True, False):
        torch.manual_seed(2)
        model = Sequential(
            (Conv2d if ours else nn.Conv2d)(2, 4, 3, padding=1), LIF(beta=0.5), nn.Flatten(),
            (Linear if ours else nn.Linear)(100, 3),
        )  # fmt: skip
        hlop = HebbianProjection(model, {"0": 6, "3": 20}, mode=mode)
        x = (torch.rand(4, 5, 2, 5, 5) < 0.1).float() * 4
        model(x)
        hlop.consolidate()
        model(x)[0].pow(2).sum().backward()
        hlop.project()
        found.append([model[0].weight.grad, model[3].weight.grad, hlop.spaces[0].H])
    for a, b in zip(*found, strict=True):
        assert b.abs().max() > 1e-4
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def images(layer, n=4):
    return torch.randn(n, 3, *([9] * len(layer.kernel_size)))


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_patches_times_weight_are_the_convolution(kind):
    module = CONVOLUTIONS[kind]()
    layer, x = WeightLayer(kind, module), images(module)
    rows = layer.rows(x) @ layer.weight.flatten(1).T + module.bias
    torch.testing.assert_close(rows, layer.grad_rows(module(x)))


@pytest.mark.parametrize("mode", ["weight", "trace"])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_keep_their_response_to_old_patches(kind, mode):
    """Old images have three equal channels: their patches span a third of the inputs.

    Patches at the border are rarer; their directions are learned last, hence 10 % and not 5 %.
    """
    layer = CONVOLUTIONS[kind]()
    old, new = images(layer)[:, :1].expand(-1, 3, *(-1,) * len(layer.kernel_size)), images(layer)
    n_inputs = layer.weight[0].numel()
    hlop = HebbianProjection(layer, {"": n_inputs // 3}, mode=mode, rate=0.03)
    for _ in range(600):
        layer(old)
    change = {}
    for protected in (False, True):
        other = copy.deepcopy(layer.state_dict())
        layer.zero_grad()
        layer(new).pow(2).sum().backward()
        hlop.project()
        with torch.no_grad():
            before = layer(old)
            layer.weight += layer.weight.grad
            change[protected] = (layer(old) - before).norm() / layer.weight.grad.norm()
        layer.load_state_dict(other)
        if not protected:
            hlop.consolidate(0)
    assert change[True] < 0.1 * change[False]


@pytest.mark.parametrize("mode", ["weight", "trace"])
def test_recurrent_connections_are_protected(mode):
    """The fused recurrence hides its activity from hooks: it is taken from the spikes."""
    model = Sequential(nn.Linear(10, 20), Recurrent(LIF(beta=0.5), nn.Linear(20, 20)))
    hlop = HebbianProjection(model, {"1.connection": 12}, mode=mode, rate=0.05)
    old = 5 * torch.randn(4, 10)[:, None].repeat(1, 8, 1)
    for _ in range(300):
        spikes, _ = model(old)
    assert spikes[:, 0].sum() > 10
    hlop.consolidate(0)
    before = model[1].connection.weight.detach().clone()
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(6, 8, 10))[0].pow(2).mean().backward()
        hlop.project()
        optimizer.step()
    after = model[1].connection.weight.detach()
    assert (after - before).abs().max() > 1e-5
    assert old_response(before, after, spikes[:-1, 0].detach()) < 0.02


def test_recurrent_state_counts_as_activity():
    layer = Recurrent(LIF(beta=0.5), nn.Linear(3, 3))
    hlop = HebbianProjection(layer, {"connection": 1}, rate=0.1)
    rows = hlop.subspace_of("connection").H.clone()
    layer(torch.ones(1, 2, 3))
    assert torch.equal(rows, hlop.subspace_of("connection").H)
    layer(torch.ones(1, 2, 3), {"spk": torch.ones(2, 3)})
    assert not torch.equal(rows, hlop.subspace_of("connection").H)


def test_guard_keeps_any_optimiser_inside():
    """Adam scales each weight on its own: its steps leave the subspace that its gradient keeps."""
    first, second, target = task_data()
    left = {}
    for guarded in (True, False):
        torch.manual_seed(1)
        model = network()
        hlop = HebbianProjection(model, 10)
        learn_task(model, hlop, first, target, steps=30)
        hlop.consolidate()
        before = model[0].weight.detach().clone()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
        if guarded:
            hlop.guard(optimizer)
        learn_task(model, hlop, second, target, optimizer=optimizer, steps=5)
        change = model[0].weight.detach() - before
        frozen = hlop.subspace_of("0").H[:10]
        left[guarded] = float((change @ frozen.T).norm() / change.norm())
    assert left[True] < 0.02  # the rows are not quite orthonormal after 30 batches
    assert left[False] > 0.1


def test_parameters_of_one_dimension_stand_still_after_the_first_task():
    model = nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.ModuleDict({"head": nn.Linear(8, 2)})["head"],
    )
    hlop = HebbianProjection(model, 2, exclude=["3"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        model(torch.randn(16, 6)).pow(2).sum().backward()
        hlop.project()
        optimizer.step()
        return copy.deepcopy(model.state_dict())

    start, first = copy.deepcopy(model.state_dict()), step()
    hlop.consolidate()
    second = step()
    assert all(not torch.equal(start[n], first[n]) for n in ("0.bias", "1.bias", "1.running_mean"))
    assert all(torch.equal(first[n], second[n]) for n in ("0.bias", "1.bias", "1.running_mean"))
    assert not torch.equal(first["3.bias"], second["3.bias"])
    assert not torch.equal(first["0.weight"], second["0.weight"])


def test_evaluation_teaches_nothing_and_remove_takes_hooks_away():
    model = nn.Linear(6, 3)
    hlop = HebbianProjection(model, 2)
    rows = hlop.subspace_of("").H.clone()
    model.eval()
    model(torch.randn(8, 6))
    assert torch.equal(rows, hlop.subspace_of("").H)
    model.train()
    model(torch.randn(8, 6))
    assert not torch.equal(rows, hlop.subspace_of("").H)
    hlop.remove()
    assert not model._forward_hooks and not model._forward_pre_hooks


def test_an_input_that_is_the_same_at_every_step_is_seen_once():
    spaces = []
    for x in (torch.randn(1, 9, 6, generator=generator()).expand(4, 9, 6),
              torch.randn(1, 9, 6, generator=generator()).repeat(4, 1, 1)):  # fmt: skip
        model = Linear(6, 3)
        hlop = HebbianProjection(model, 2)
        model(x)
        spaces.append(hlop.subspace_of("").H)
    torch.testing.assert_close(spaces[0], spaces[1])


def test_state_resumes_exactly():
    first, second, target = task_data()
    model = network()
    hlop = HebbianProjection(model, 5, max_rows=20)
    learn_task(model, hlop, first, target, steps=3)
    hlop.consolidate()
    learn_task(model, hlop, second, target, steps=3)
    other = network()
    again = HebbianProjection(other, 5, max_rows=20)
    other.load_state_dict(model.state_dict())
    again.load_state_dict(hlop.state_dict())
    for m, h in ((model, hlop), (other, again)):
        learn_task(m, h, second, target, steps=3)
        h.consolidate()
    assert again.n_tasks == 2
    for a, b in zip(hlop.spaces, again.spaces, strict=True):
        assert torch.equal(a.H, b.H) and a.n_frozen == b.n_frozen
    torch.testing.assert_close(model[0].weight, other[0].weight, rtol=0, atol=0)
    with pytest.raises(ParameterError, match=r"saved projection is of the layers \['0', '2'\]"):
        HebbianProjection(nn.Sequential(nn.Linear(40, 30)), 5).set_extra_state(
            hlop.get_extra_state()
        )


def test_overhead_is_counted():
    first, _, target = task_data()
    model = network()
    hlop = HebbianProjection(model, 5)
    learn_task(model, hlop, first, target, steps=3)
    assert 0 < hlop.overhead.learning < hlop.overhead.training
    assert hlop.overhead.projecting == 0
    hlop.consolidate()
    learn_task(model, hlop, first, target, steps=3)
    assert hlop.overhead.projecting > 0
    assert 0 < hlop.overhead.fraction < 1
    assert "%" in str(hlop.overhead)


def test_wrong_arguments_name_the_layer():
    model = network()
    with pytest.raises(UnknownNameError, match="Sequential has no layer '3'"):
        HebbianProjection(model, {"3": 4})
    with pytest.raises(ParameterError, match=r"layer '1' \(LIF\) is no linear or convolutional"):
        HebbianProjection(model, {"1": 4})
    with pytest.raises(ParameterError, match="rate has no value for layer '2'"):
        HebbianProjection(model, 4, rate={"0": 0.1})
    with pytest.raises(ParameterError, match=r"subspace=1\.5 for layer '0'"):
        HebbianProjection(model, 1.5)
    with pytest.raises(ParameterError, match="mode='both'"):
        HebbianProjection(model, 4, mode="both")
    with pytest.raises(ParameterError, match=r"layer '' \(GRU\).* Exclude it"):
        HebbianProjection(nn.GRU(3, 3), 4)
    with pytest.raises(ParameterError, match="layer '': convolutions with groups=3"):
        HebbianProjection(nn.Conv2d(3, 3, 3, groups=3), 4)
    masked = Sequential(Sparse(nn.Linear(6, 6), 0.5))
    normed = Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)))
    for computed, name in ((masked, "0.layer"), (normed, "0")):
        with pytest.raises(ParameterError, match=f"layer '{name}' computes its weight from a"):
            HebbianProjection(computed, {name: 2})


def test_too_many_rows_in_consolidate_change_nothing():
    hlop = HebbianProjection(network(), {"0": 4, "2": 25})
    with pytest.raises(ParameterError, match="layer '2': 25 new subspace rows after 25"):
        hlop.consolidate()
    assert hlop.n_tasks == 0
    assert [space.n_rows for space in hlop.spaces] == [4, 25]
    assert [space.n_frozen for space in hlop.spaces] == [0, 0]


def test_works_with_feedback_alignment():
    first, second, target = task_data()
    model = network()
    Feedback(model, "random")
    hlop = HebbianProjection(model, 10, mode="trace")
    learn_task(model, hlop, first, target, steps=100)
    hlop.consolidate()
    before = model[0].weight.detach().clone()
    learn_task(model, hlop, second, target.roll(1))
    assert old_response(before, model[0].weight.detach(), first[0]) < 0.05


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_share_their_subspace(tmp_path, processes):
    """Two processes with half of the batch each learn the rows of one with the whole batch."""
    pair = [processes.Process(target=learn_half, args=(rank, tmp_path)) for rank in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(120)
    assert [process.exitcode for process in pair] == [0, 0]
    alone = learned_by_one()
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), alone)


def learn_half(rank, folder):
    """Learn from every other sample, as one of two processes, and write the rows."""
    torch.set_num_threads(1)
    distributed = torch.distributed
    distributed.init_process_group("gloo", f"file://{folder}/store", world_size=2, rank=rank)
    torch.save(learned_by_one(rank), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def learned_by_one(rank=None):
    """The rows after few (by rows) and many (by second moment) activities."""
    torch.manual_seed(0)
    spaces = []
    for n in (4, 400):
        space = OjaSubspace(12, rate=0.1)
        space.grow(3, generator())
        for _ in range(5):
            x = torch.randn(n, 12)
            space.learn(x if rank is None else x[rank::2])
        spaces.append(space.H)
    return torch.cat(spaces)


def test_scores():
    matrix = [[90.0, 0, 0], [85, 92, 0], [80, 90, 94]]
    assert average_accuracy(matrix) == pytest.approx(88.0)
    assert backward_transfer(matrix) == pytest.approx(-6.0)
    with pytest.raises(ParameterError, match=r"shape \(2, 3\)"):
        average_accuracy([[1, 2, 3], [4, 5, 6]])
