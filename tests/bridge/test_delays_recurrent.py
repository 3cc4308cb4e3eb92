"""Recurrent connections with delays: the fused node equals steps of the dense construction."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from neurosim.bridge import ALIF, LIF, CubaLIF, DelayedLinear, Recurrent, Sequential, reset
from neurosim.bridge.kernels import threads as pools
from neurosim.errors import ParameterError


def drive(n_steps=40, n_samples=5, n=12, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return torch.rand(n_steps, n_samples, n, generator=g, dtype=dtype) * 0.5


def stepped(layer, x):
    """The same by a Python loop over time, with autograd through a dense kernel."""
    connection, spike = layer.connection, layer.neuron.spike_grad
    kernel = connection.dense_kernel().expand(x.shape[2], x.shape[2], -1)
    mem, sent, out = torch.zeros_like(x[0]), [], []
    for t in range(len(x)):
        current = x[t] if connection.bias is None else x[t] + connection.bias
        for lag in range(min(t, kernel.shape[2])):
            current = current + sent[t - 1 - lag] @ kernel[..., lag].t()
        mem = 0.875 * mem + current - (mem > 1.0).to(x).detach()
        sent.append(spike(mem - 1.0))
        out.append(sent[-1])
    return torch.stack(out)


def derivatives(layer, function, x):
    x = x.clone().requires_grad_()
    out = function(x)
    layer.zero_grad()
    out.backward(torch.linspace(-1.0, 1.0, out.numel(), dtype=out.dtype).reshape(out.shape))
    return [out.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())]


@pytest.mark.parametrize("kind", ["synapse", "axon"])
@pytest.mark.parametrize(("window", "sigma"), [(None, 0.0), ("triangular", 2.0), ("gaussian", 1.0)])
@pytest.mark.parametrize("bias", [True, False])
def test_spikes_and_gradients_equal_a_loop(kind, window, sigma, bias):
    torch.manual_seed(0)
    connection = DelayedLinear(
        12, 12, 9, kind=kind, window=window, sigma=sigma, bias=bias, dtype=torch.float64
    )
    layer = Recurrent(LIF(beta=0.875), connection)
    x = drive()
    ours = derivatives(layer, lambda x: layer(x)[0], x)
    loop = derivatives(layer, lambda x: stepped(layer, x), x)
    assert 0.05 < float(ours[0].mean()) < 0.5, "the neurons fire"
    assert torch.equal(ours[0], loop[0])
    for a, b in zip(ours[1:], loop[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_any_neuron_may_be_connected():
    torch.manual_seed(0)
    connection = DelayedLinear(12, 12, 9, dtype=torch.float64)
    fused = Recurrent(ALIF(beta=0.875, rho=0.9375), connection)
    looped = Recurrent(ALIF(beta=0.875, rho=0.9375), connection)
    looped._fuses = lambda x: False
    x = drive()
    for a, b in zip(
        derivatives(fused, lambda x: fused(x)[0], x),
        derivatives(looped, lambda x: looped(x)[0], x),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("lengths", [(17, 23), (3, 1, 36)])
def test_a_sequence_may_be_cut_anywhere(lengths):
    layer = Recurrent(LIF(beta=0.875), DelayedLinear(12, 12, 9, bias=True, dtype=torch.float64))
    x = drive()
    whole = derivatives(layer, lambda x: layer(x)[0], x)

    def cut(x):
        state, parts = None, []
        for part in x.split(lengths):
            out, state = layer(part, state)
            parts.append(out)
        return torch.cat(parts)

    pieces = derivatives(layer, cut, x)
    assert torch.equal(whole[0], pieces[0])
    for a, b in zip(whole[1:], pieces[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def stateful(neuron, fused=True, **options):
    """A stateful layer, and one that is not, with the same weights and delays."""
    torch.manual_seed(0)
    options = {"bias": True, "dtype": torch.float64} | options
    connection = DelayedLinear(12, 12, 9, **options)
    keeping = Recurrent(neuron, connection, stateful=True)
    plain = Recurrent(copy.deepcopy(neuron), connection)
    if not fused:
        keeping._fuses = plain._fuses = lambda x: False
    return keeping, plain


#: Chunks of a sequence of 40 steps, also shorter than the longest delay of 9 steps.
CHUNKS = [(20, 20), (17, 23), (3, 1, 36), (1, 39), (8, 1, 1, 1, 9, 20), (1,) * 12 + (28,), (0, 40)]


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", ["synapse", "axon"])
def test_a_stateful_layer_keeps_what_is_on_its_way(chunks, fused, kind):
    keeping, plain = stateful(CubaLIF(alpha=0.5, beta=0.875), fused, kind=kind)
    x = drive()
    whole, final = plain(x)
    parts = [keeping(part)[0] for part in x.split(chunks)]
    assert 0.05 < float(whole.detach().mean()) < 0.5, "the neurons fire"
    assert torch.equal(torch.cat(parts), whole)
    _, end = keeping(x[:0])
    assert torch.equal(end["connection"]["tail"], final["connection"]["tail"])
    reset(keeping)
    assert torch.equal(keeping(x)[0], whole), "nothing is left after a reset"


@pytest.mark.parametrize("chunks", [(17, 23), (3, 1, 36)])
def test_gradients_of_a_later_call_are_those_of_a_given_state(chunks):
    keeping, plain = stateful(LIF(beta=0.875))
    *before, last = drive().split(chunks)
    state = None
    for part in before:
        keeping(part)
        _, state = plain(part, state)
    cut = {k: v.detach() for k, v in state.items() if k != "connection"}
    cut["connection"] = {"tail": state["connection"]["tail"].detach()}
    kept = derivatives(keeping, lambda x: keeping(x)[0], last)
    given = derivatives(plain, lambda x: plain(x, cut)[0], last)
    for a, b in zip(kept, given, strict=True):
        assert torch.equal(a, b)


def test_the_delay_line_travels_in_state_dict_pickles_and_copies():
    keeping, plain = stateful(LIF(beta=0.875))
    x = drive()
    whole = plain(x)[0]
    keeping(x[:17])
    saved = copy.deepcopy(keeping.state_dict())
    assert saved["running_connection/tail"].shape == (9, 5, 12)
    file = io.BytesIO()
    torch.save(keeping, file)
    file.seek(0)
    fresh = stateful(LIF(beta=0.875))[0]
    fresh.load_state_dict(saved)
    others = (fresh, copy.deepcopy(keeping), torch.load(file, weights_only=False))
    for layer in (*others, keeping):
        assert torch.equal(layer(x[17:])[0], whole[17:])
    # what was saved before any input starts afresh, also in a layer that has a past
    keeping.load_state_dict(stateful(LIF(beta=0.875))[0].state_dict())
    assert torch.equal(keeping(x)[0], whole)


def test_the_state_of_any_connection_is_kept():
    torch.manual_seed(0)
    chain = Sequential(
        DelayedLinear(12, 6, 5), LIF(beta=0.5, threshold=0.1), nn.Linear(6, 12, bias=False)
    )
    keeping, plain = (
        Recurrent(LIF(beta=0.875), chain, stateful=True),
        Recurrent(LIF(beta=0.875), chain),
    )
    x = drive(dtype=torch.float32)
    whole = plain(x)[0]
    silent = LIF(beta=0.875)(x)[0]
    assert not torch.equal(whole, silent), "the recurrence matters"
    parts = [keeping(part)[0] for part in x.split((7, 2, 31))]
    assert torch.equal(torch.cat(parts), whole)
    assert "running_connection/1/mem" in keeping.state_dict()


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(pools, "_WORTH", 1)
    shared, pool = [], pools._pool
    monkeypatch.setattr(pools, "_pool", lambda n: shared.append(n) or pool(n))
    layer = Recurrent(LIF(beta=0.875), DelayedLinear(12, 12, 9))
    x = drive(30, 200, dtype=torch.float32)  # 2,400 neurons are three blocks
    before = torch.get_num_threads()
    found = []
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            found.append(derivatives(layer, lambda x: layer(x)[0], x))
    finally:
        torch.set_num_threads(before)
    assert 2 in shared, "no kernel was given to more threads than the caller's"
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_a_connection_that_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="a square connection of n are needed"):
        Recurrent(LIF(beta=0.875), DelayedLinear(12, 10, 9))(drive(dtype=torch.float32))
