"""Event lists of tensors: what they hold, when they are kept, when they are refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.bridge.events import (
    SpikeEvents,
    attach,
    attached,
    density,
    events_below,
    events_of,
)
from neurosim.bridge.kernels import threads as pools
from neurosim.errors import ParameterError


@dataclass
class Batch:
    """What `neurosim.datasets` hands over."""

    ptr: object
    index: object
    shape: tuple[int, ...]


def spikes(shape: tuple[int, ...], p: float, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=g) < p).float()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 70), st.integers(1, 200), st.floats(0.0, 1.0),
    st.booleans(), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_lists_hold_the_tensor(n_steps, n_samples, n, p, graded, double, seed):
    x = spikes((n_steps, n_samples, n), p, seed)
    x = x.double() if double else x
    if graded:
        x = x * torch.linspace(-1.0, 3.0, n)
    events = events_of(x)
    assert torch.equal(events.dense(x.dtype), x.reshape(-1, n))
    assert (events.values is None) == bool(((x == 0) | (x == 1)).all())
    assert events.n_events == torch.count_nonzero(x) == events.ptr[-1]
    reference = x.reshape(-1, n).numpy()
    assert np.array_equal(events.index, np.nonzero(reference)[1])
    turned = events.by_column
    assert torch.equal(turned.dense(x.dtype), torch.as_tensor(reference.T))
    assert density(x) == pytest.approx(float((x != 0).double().mean()))


def test_only_graded_spikes_carry_values():
    x = spikes((5, 3, 20), 0.3)
    assert events_of(x).values is None
    assert events_of(2.0 * x).values is not None
    assert torch.equal(
        events_of((2.0 * x).double()).dense(torch.float64), 2.0 * x.double().view(15, 20)
    )
    assert events_of(x.bool()).n_events == int(x.sum())


@pytest.mark.parametrize("column", [0, 63, 64, 127, 128])
@pytest.mark.parametrize("value", [float("nan"), -1.0, -0.0, 1e-40])
def test_unusual_values(column, value):
    x = torch.zeros(1, 2, 129)
    x[0, 1, column] = value
    events = events_of(x)
    expected = [] if value == 0 else [column]
    assert events.index.tolist() == expected
    assert events.values is None or torch.equal(
        torch.as_tensor(events.values).nan_to_num(7), torch.tensor([value]).nan_to_num(7)
    )
    assert (events.values is None) == (value == 0)


def test_trailing_dimensions_are_columns():
    x = spikes((2, 3, 4, 5), 0.4)
    assert events_of(x).n_columns == 20
    assert torch.equal(events_of(x).dense(), x.reshape(6, 20))


def test_a_list_is_kept_until_the_tensor_changes():
    x = spikes((4, 2, 10), 0.3).requires_grad_() * 1.0
    events = events_of(x)
    assert attached(x) is events and events_of(x) is events
    with torch.no_grad():
        x[0, 0, 0] = 1.0 - x[0, 0, 0]
    assert attached(x) is None
    assert events_of(x).n_events != events.n_events


def test_memory_shared_with_numpy_is_read_anew():
    array = np.zeros((4, 2, 10), np.float32)
    x = torch.from_numpy(array)
    assert events_of(x).n_events == 0
    array[:] = 1.0  # torch counts no version
    assert events_of(x).n_events == 80
    assert attached(attach(x, events_of(x))) is not None, "on demand"


def test_inference_tensors_keep_no_list():
    with torch.inference_mode():
        x = spikes((4, 2, 10), 0.3)
        assert events_of(x).n_events == int(x.sum())
        assert attached(x) is None


def test_lists_are_built_below_the_limit_only():
    x = spikes((16, 16, 64), 0.1)
    assert events_below(x.clone(), 0.05) is None
    assert events_below(torch.ones(16, 16, 64), 0.3) is None
    events = events_below(attach(x, events_of(x)), 0.2)
    assert isinstance(events, SpikeEvents)
    assert events_below(x, 0.05) is None, "a kept list may still be too dense"


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(pools, "_WORTH", 1)
    x = spikes((100, 40, 300), 0.05)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = events_of(x.clone())
        torch.set_num_threads(3)
        three = events_of(x.clone())
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(one.ptr, three.ptr) and np.array_equal(one.index, three.index)


def test_batches_of_recordings_are_lists_already():
    x = spikes((3, 4, 10), 0.3)
    events = events_of(x)
    for kind in (lambda a: a, torch.as_tensor):
        batch = Batch(kind(events.ptr), kind(events.index), (3, 4, 2, 5))
        assert torch.equal(events_of(batch).dense(), x.reshape(12, 10))


@pytest.mark.parametrize(
    ("ptr", "index", "text"),
    [
        ([0, 1, 2], [0, 1], "ptr must have T \\* B \\+ 1 = 5 values"),
        ([0, 2, 1, 2, 2], [0, 1], "ptr decreases at row 1"),
        ([0, 1, 1, 2, 2], [0, 7], "an index is 7 or 0; it must be in 0 .. 4"),
        ([0, 1, 1, 2, 2], [-1, 2], "it must be in 0 .. 4"),
    ],
)
def test_inconsistent_batches_are_refused(ptr, index, text):
    with pytest.raises(ParameterError, match=text):
        events_of(Batch(np.array(ptr), np.array(index), (2, 2, 5)))


def test_bad_tensors_are_refused():
    with pytest.raises(ParameterError, match=r"must be \[time, batch, ...\]"):
        events_of(torch.zeros(3, 4))
    with pytest.raises(ParameterError, match="do not describe"):
        attach(torch.zeros(2, 2, 3), events_of(torch.zeros(2, 2, 4)))
