"""Events that neurons mark while they run: equal to those a look at the spikes finds, never old."""

from __future__ import annotations

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurosim import bridge
from neurosim.bridge import events
from neurosim.bridge.events import SpikeEvents, attached, events_below, events_of
from neurosim.bridge.kernels import threads as pools
from neurosim.bridge.neurons import recurrence


def drive(*shape: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g).requires_grad_()


def assert_true(x: torch.Tensor) -> None:
    """The list kept with a tensor is there, and that of its values."""
    kept = attached(x)
    assert kept is not None
    seen = events_of(x.detach().clone())
    assert seen.n_events > 0 or not x.any()
    assert kept.n_columns == seen.n_columns and kept.values is seen.values is None
    assert kept.ptr.tolist() == seen.ptr.tolist()
    assert kept.index.tolist() == seen.index.tolist()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 40), st.sampled_from([1, 3, 20, 63, 64, 65, 128, 200]),
    st.floats(-2.0, 2.0), st.integers(0, 99),
)  # fmt: skip
def test_marks_of_neurons_are_their_spikes(n_steps, n_samples, n, bias, seed):
    x = drive(n_steps, n_samples, n, seed=seed) + bias
    assert_true(bridge.LIF(beta=0.5)(x)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_precision_is_marked(dtype):
    assert_true(bridge.LIF(70, beta=0.5)(drive(6, 9, 70).to(dtype))[0])


@pytest.mark.parametrize(
    "connection",
    [nn.Linear(70, 70), torch.full((70,), -0.5), bridge.DelayedLinear(70, 70, 4)],
    ids=["all to all", "each to itself", "delayed"],
)
def test_recurrent_neurons_mark(connection):
    layer = bridge.Recurrent(bridge.LIF(70, beta=0.5), connection)
    assert_true(layer(drive(6, 9, 70))[0])


@pytest.mark.parametrize("limit", [1.0, -1.0], ids=["at the marks", "dense"])
def test_weights_of_a_recurrence_learn_from_the_marks(monkeypatch, limit):
    monkeypatch.setattr(recurrence, "_BREAK_EVEN", limit)
    fc, neuron = nn.Linear(70, 70).double(), bridge.LIF(70, beta=0.5)
    x, weights = drive(6, 9, 70).double(), drive(6, 9, 70).double()
    before = {"spk": (drive(1, 9, 70)[0] > 0.5).double()}  # spikes before the first step count, too
    gradients = []
    for connection in (fc, nn.Sequential(fc)):  # the latter is stepped through time
        fc.zero_grad()
        (bridge.Recurrent(neuron, connection)(x, before)[0] * weights).sum().backward()
        gradients.append(fc.weight.grad.clone())
    assert gradients[0].abs().max() > 0.1
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_the_trailing_shape_is_a_row():
    out, _ = bridge.LIF((3, 5, 5), beta=0.5)(drive(4, 6, 3, 5, 5))
    assert attached(out).n_columns == 75
    assert_true(out)


def test_threads_mark_alike(monkeypatch):
    monkeypatch.setattr(pools, "_WORTH", 1)
    x, layer = drive(40, 33, 70), bridge.LIF(beta=0.5)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        out = layer(x)[0]
        assert_true(out)
    finally:
        torch.set_num_threads(before)


def test_products_after_neurons_look_at_no_value(monkeypatch):
    model = bridge.Sequential(
        bridge.LIF(beta=0.5), nn.Flatten(), bridge.Linear(70, 5, sparse=True), bridge.LIF(beta=0.5),
        bridge.DelayedLinear(5, 4, 3, sparse=True),
    )  # fmt: skip
    x = drive(6, 9, 7, 10)
    expected = model(x)[0]

    def refuse(matrix):
        raise AssertionError("scanned")

    monkeypatch.setattr(events, "_scan", refuse)
    assert torch.equal(model(x)[0], expected)


CHANGES = {
    "multiplied": lambda out: out.mul_(2.0),
    "written": lambda out: out[1].fill_(1.0),
    "through a view": lambda out: out.view(-1)[5:60].sub_(1.0),
    "through a detached one": lambda out: out.detach().neg_(),
    "out of torch's sight": lambda out: out.data[:, :, ::2].zero_(),
    "in NumPy": lambda out: out.detach().numpy().fill(1.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("listed", [False, True])
def test_what_was_changed_since_is_looked_at_anew(change, listed):
    out, _ = bridge.LIF(beta=0.5)(drive(20, 8, 70))
    if listed:
        assert events_of(out).n_events == int(out.sum())
    with torch.no_grad():
        change(out)
    assert attached(out) is None
    for found in (events_of(out), events_below(out, 1.1)):
        assert torch.equal(found.dense(), out.detach().reshape(-1, 70))
    assert bridge.density(out) == pytest.approx(float((out != 0).double().mean()))


@pytest.mark.parametrize(
    ("module", "same"),
    [
        (nn.Identity(), True),
        (nn.Flatten(), True),
        (nn.Dropout(0.5).eval(), True),
        (nn.Unflatten(1, (7, 10)), True),
        (nn.Dropout(0.5).train(), False),
        (nn.Threshold(0.5, 0.25, inplace=True), False),
        (nn.AvgPool1d(2), False),
        (nn.ZeroPad1d(1), False),
        (nn.LeakyReLU(0.1), False),
    ],
    ids=repr,
)
def test_marks_pass_modules_that_change_nothing(module, same):
    out, _ = bridge.Sequential(bridge.LIF(beta=0.5), module)(drive(6, 9, 70))
    assert (attached(out) is not None) == same
    assert torch.equal(events_of(out).dense(), out.detach().reshape(54, -1))


@pytest.mark.parametrize(
    "layer",
    [bridge.LI(beta=0.9), bridge.LIF(beta=0.9, graded_spikes_factor=2.0)],
    ids=["membrane", "graded"],
)
def test_other_outputs_are_not_marked(layer):
    assert attached(layer(drive(6, 9, 70))[0]) is None


def test_results_without_gradient_are_not_marked():
    layer = bridge.LIF(beta=0.5)
    with torch.no_grad():
        assert attached(layer(drive(6, 9, 70))[0]) is None
    assert attached(layer(drive(6, 9, 70).detach())[0]) is None


def test_saved_spikes_are_plain_tensors():
    out, _ = bridge.LIF(beta=0.5)(drive(6, 9, 70))
    assert isinstance(attached(out), SpikeEvents)
    file = io.BytesIO()
    torch.save(out, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True), out)
