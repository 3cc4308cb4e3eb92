"""Training delays: the schedule of the window, rounding, and that a window finds far delays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neurosim.bridge.connections.delay_training import (
    SigmaSchedule,
    clamp_after_step,
    clamp_delays_,
    evaluate_rounded,
    round_delays_,
)
from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.errors import ParameterError


def test_the_schedule_is_the_papers():
    """Multiply by (0.23/sigma0)**(1/E) after each epoch while epoch < E and sigma > 0.23."""
    schedule = SigmaSchedule(12.0, epochs=25)
    sigma, alpha = 12.0, (0.23 / 12.0) ** (1 / 25)
    for epoch in range(100):
        assert schedule(epoch) == pytest.approx(sigma, rel=1e-9)
        if epoch < 25 and sigma > 0.23 + 1e-9:
            sigma *= alpha


def test_the_schedule_sets_layers_with_a_window():
    model = nn.ModuleList([
        DelayedLinear(2, 2, 8, window="gaussian"), DelayedLinear(2, 2, 8),
        DelayedLinear(2, 2, 8, window="triangular"),
    ])  # fmt: skip
    assert float(model[0].sigma) == 4.0
    assert SigmaSchedule(4.0, 1.0, 2).apply(model, 1) == 2.0
    assert [float(m.sigma) for m in model] == [2.0, 4.0, 2.0]
    assert "sigma" in model[0].state_dict()
    with pytest.raises(ParameterError, match="no DelayedLinear with a window"):
        SigmaSchedule(4.0).apply(model[1], 0)
    with pytest.raises(ParameterError, match="the window narrows"):
        SigmaSchedule(0.1)


def test_rounded_evaluation_restores_everything():
    model = nn.Sequential(DelayedLinear(3, 2, 6), nn.Dropout())
    model[1].eval()
    layer = model[0]
    x = (torch.rand(12, 2, 3) < 0.3).float()
    before, delays = layer(x)[0], layer.delay.detach().clone()
    with pytest.raises(RuntimeError, match="inside"), evaluate_rounded(model):
        assert layer.rounded and not layer.training
        inside = layer(x)[0]
        raise RuntimeError("inside")
    assert not layer.rounded and layer.training and not model[1].training
    assert torch.equal(layer.delay, delays) and torch.equal(layer(x)[0], before)
    round_delays_(model)
    assert torch.equal(layer.delay, delays.round())
    assert torch.equal(layer(x)[0], inside)


def test_delays_stay_in_range_after_each_step():
    model = DelayedLinear(3, 2, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    handle = clamp_after_step(optimizer, model)
    model.weight.grad = torch.zeros_like(model.weight)
    model.delay.grad = torch.full_like(model.delay, 100.0)
    optimizer.step()
    assert torch.equal(model.delay, torch.zeros(2, 3))
    handle.remove()
    optimizer.step()
    assert (model.delay < 0).all()
    clamp_delays_(model)
    assert (model.delay == 0).all()


def coincidence(schedule, seed):
    """Two inputs fire 10 steps apart; only an output in which both arrive together is loud."""
    torch.manual_seed(seed)
    layer = DelayedLinear(2, 1, 24, window="gaussian")
    with torch.no_grad():
        layer.weight.fill_(1.0)
    x = torch.zeros(60, 1, 2)
    x[5, 0, 0] = x[15, 0, 1] = 1.0
    optimizer = torch.optim.Adam([layer.delay], lr=0.1)
    for epoch in range(240):
        schedule.apply(layer, epoch)
        optimizer.zero_grad()
        (-(layer(x)[0] ** 2).sum()).backward()  # largest when both bumps lie on each other
        optimizer.step()
    layer.clamp_()
    return float(layer.delay.detach()[0, 0] - layer.delay.detach()[0, 1])


def test_an_annealed_window_finds_a_far_coincidence():
    """Sheet, check 2: |d1 - d2| -> 10 +- 0.5 from random delays; a narrow window mostly fails."""
    annealed = SigmaSchedule(12.0, epochs=160)
    narrow = SigmaSchedule(0.23)
    found = [abs(coincidence(annealed, seed) - 10.0) < 0.5 for seed in range(6)]
    missed = [abs(coincidence(narrow, seed) - 10.0) < 0.5 for seed in range(6)]
    assert sum(found) >= 5
    assert sum(missed) <= 2
