"""What training with delays needs: the schedule of the window, rounding, limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neurosim.bridge.connections.delays import delayed_layers
from neurosim.errors import ParameterError


@dataclass(frozen=True)
class SigmaSchedule:
    """Width of the delay windows over the epochs: ``sigma0 * (final / sigma0)**(e / epochs)``.

    After `epochs` epochs it stays at `final`. Hammouamri et al. (2024) use sigma0 = floor(K / 2),
    final = 0.23 and a quarter of all epochs. A pure function of the epoch: a resumed run needs no
    state.

    Parameters
    ----------
    sigma0 : float
        Width in the first epoch [steps].
    final : float, default 0.23
    epochs : int, default 1
        Epoch from which on the width is `final`.

    Examples
    --------
    >>> schedule = SigmaSchedule(12.0, epochs=4)
    >>> [round(schedule(e), 2) for e in range(6)]
    [12.0, 4.46, 1.66, 0.62, 0.23, 0.23]
    """

    sigma0: float
    final: float = 0.23
    epochs: int = 1

    def __post_init__(self) -> None:
        if not (0.0 < self.final <= self.sigma0 < math.inf and self.epochs >= 1):
            raise ParameterError(
                f"{self}: 0 < final <= sigma0 and epochs >= 1 are needed: the window narrows."
            )

    def __call__(self, epoch: float) -> float:
        """Return the width in an epoch, counted from 0."""
        fraction = min(max(epoch / self.epochs, 0.0), 1.0)
        return float(self.sigma0 * (self.final / self.sigma0) ** fraction)

    def apply(self, model: nn.Module, epoch: float) -> float:
        """Set the width of all delayed layers of a model that have a window, and return it.

        Raises
        ------
        ParameterError
            If the model has no such layer.
        """
        layers = [layer for layer in delayed_layers(model) if layer.window is not None]
        if not layers:
            raise ParameterError(
                f"SigmaSchedule: {type(model).__name__} has no DelayedLinear with a window; give "
                "window='gaussian' or window='triangular' to the layers."
            )
        sigma = self(epoch)
        for layer in layers:
            layer.sigma.fill_(sigma)
        return sigma


@contextmanager
def evaluate_rounded(model: nn.Module) -> Iterator[nn.Module]:
    """Evaluate a model with delays rounded to whole steps; everything is restored afterwards.

    In the block the model is in evaluation mode and every `DelayedLinear` acts at one lag a delay.
    The parameters are not touched. The accuracy that counts is the one found here.

    Parameters
    ----------
    model : nn.Module
    """
    layers = delayed_layers(model)
    before = [layer.rounded for layer in layers]
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        for layer in layers:
            layer.rounded = True
        yield model
    finally:
        for layer, flag in zip(layers, before, strict=True):
            layer.rounded = flag
        for module, flag in training.items():
            module.training = flag


def round_delays_(model: nn.Module) -> None:
    """Round all delays of a model to whole steps, in place and for good."""
    for layer in delayed_layers(model):
        layer.round_()


def clamp_delays_(model: nn.Module) -> None:
    """Move all delays of a model into [0, max_delay], in place."""
    for layer in delayed_layers(model):
        layer.clamp_()


def clamp_after_step(optimizer: torch.optim.Optimizer, model: nn.Module) -> Any:
    """Let an optimiser call `clamp_delays_` after each step; return the handle that ends it.

    The layers do the same when they are called next; this keeps logged delays in range as well.
    """
    return optimizer.register_step_post_hook(lambda *_: clamp_delays_(model))
