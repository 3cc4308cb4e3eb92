"""Dynamic rewiring: weights move to better places while their number stays the same."""

from __future__ import annotations

import abc
import math
from typing import Any

import torch
from torch import nn

from neurosim.bridge.connections.masks import Sparse, sparse_layers
from neurosim.errors import ParameterError


class Rewirer(abc.ABC):
    """What rewires the sparse layers of a model during training.

    Call `step` after each step of the optimiser. The number of weights of a layer never changes,
    and what the optimiser remembers of moved weights is cleared.

    Parameters
    ----------
    model : nn.Module
        With layers inside `Sparse`.
    optimizer : torch.optim.Optimizer
    every : int
        Steps from one rewiring to the next.
    seed : int, default 0
        Draws are a function of the seed, the step and the layer: a resumed run draws the same.

    Raises
    ------
    ParameterError
        If the model has no sparse layer, or a number is not allowed.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, every: int, seed: int
    ) -> None:
        self.layers = sparse_layers(model)
        if not self.layers:
            raise ParameterError(
                f"{type(self).__name__}: {type(model).__name__} has no sparse layer; wrap one, "
                "for instance Sparse(Linear(700, 256), density=0.1)."
            )
        if every < 1:
            raise ParameterError(f"{type(self).__name__}: every={every}: must be >= 1 step.")
        self.optimizer, self.every, self.seed = optimizer, every, seed
        self.steps = 0

    def step(self) -> bool:
        """Count a step of the optimiser; return whether the model was rewired after it."""
        self.steps += 1
        if self.steps % self.every:
            return False
        for k, layer in enumerate(self.layers):
            draw = torch.Generator().manual_seed(hash((self.seed, self.steps, k)) % 2**63)
            self.rewire(layer, draw)
        return True

    @abc.abstractmethod
    def rewire(self, layer: Sparse, draw: torch.Generator) -> None:
        """Move weights of one layer."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.steps = int(state["steps"])


class SET(Rewirer):
    """Sparse evolutionary training: drop the smallest weights, grow as many at random.

    Mocanu et al. (2018), Nat. Commun. 9:2383.

    Parameters
    ----------
    model, optimizer, seed
        See `Rewirer`.
    every : int, default 100
        Steps; the paper rewires once an epoch.
    fraction : float, default 0.3
        Of the weights that move.
    bound : float, default 0
        New weights are uniform in [-bound, bound].
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        every: int = 100,
        fraction: float = 0.3,
        bound: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(model, optimizer, every, seed)
        self.fraction = _fraction(type(self).__name__, fraction)
        self.bound = bound

    def rewire(self, layer: Sparse, draw: torch.Generator) -> None:
        """Drop the smallest weights, grow as many where there was none."""
        dropped = _smallest(layer, self.fraction)
        absent = torch.nonzero(~layer.mask.view(-1)).view(-1)
        n = min(dropped.numel(), absent.numel())
        grown = absent[torch.randperm(absent.numel(), generator=draw)[:n]]
        values = (2.0 * torch.rand(n, generator=draw) - 1.0) * self.bound
        layer.move(dropped[:n], grown, values.to(layer.mask.device), self.optimizer)


class RigL(Rewirer):
    """Drop the smallest weights, grow where the gradient is largest.

    The fraction that moves falls as ``fraction / 2 * (1 + cos(pi * step / end))``; new weights
    begin at zero. Weights just dropped may come back. Evci et al. (2020), ICML, arXiv 1911.11134.

    Parameters
    ----------
    model, optimizer, seed
        See `Rewirer`.
    end : int
        Step after which nothing moves; the paper uses three quarters of the training.
    every : int, default 100
    fraction : float, default 0.3

    Notes
    -----
    The gradient of all possible weights is kept from the last backward pass before a rewiring: in
    other steps nothing dense is stored.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        end: int,
        every: int = 100,
        fraction: float = 0.3,
        seed: int = 0,
    ) -> None:
        super().__init__(model, optimizer, every, seed)
        self.fraction = _fraction(type(self).__name__, fraction)
        if end < 1:
            raise ParameterError(f"RigL: end={end}: must be >= 1 step.")
        self.end = end
        self._watch()

    def step(self) -> bool:
        """Count a step of the optimiser; return whether the model was rewired after it."""
        rewired = super().step()
        self._watch()
        return rewired

    def rewire(self, layer: Sparse, draw: torch.Generator) -> None:
        """Drop the smallest weights, grow those that the loss asks for most."""
        share = self.fraction / 2 * (1 + math.cos(math.pi * min(1.0, self.steps / self.end)))
        if self.steps >= self.end:
            return
        if layer.dense_gradient is None:
            raise ParameterError(
                f"RigL: {layer!r} saw no backward pass in the step before a rewiring; call step() "
                "once after each optimizer.step()."
            )
        dropped = _smallest(layer, share)
        score = layer.dense_gradient.abs().view(-1).clone()
        kept = layer.mask.view(-1).clone()
        kept[dropped] = False
        score[kept] = -1.0
        layer.move(dropped, torch.topk(score, dropped.numel()).indices, 0.0, self.optimizer)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        super().load_state_dict(state)
        self._watch()

    def _watch(self) -> None:
        due = (self.steps + 1) % self.every == 0 and self.steps + 1 < self.end
        for layer in self.layers:
            layer.watch_gradient(due)


class DeepR(Rewirer):
    """DEEP R: weights have a fixed sign; one that would change it dies and another is born.

    Each possible weight has a sign, drawn at the start (that of the weight where one exists). At a
    rewiring the existing weights shrink by `shrink` and take a random step of standard deviation
    `noise`; those that left their sign are dropped, and as many are grown at random, at zero.
    Bellec et al. (2018), ICLR, arXiv 1711.05136: ``shrink = lr * alpha`` and
    ``noise = sqrt(2 * lr * temperature)``, every step.

    Parameters
    ----------
    model, optimizer, seed
        See `Rewirer`.
    every : int, default 1
    shrink : float, default 1e-5
    noise : float, default 0
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        every: int = 1,
        shrink: float = 1e-5,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(model, optimizer, every, seed)
        if shrink < 0 or noise < 0:
            raise ParameterError(f"DeepR: shrink={shrink}, noise={noise}: must not be negative.")
        self.shrink, self.noise = shrink, noise
        self.signs: list[torch.Tensor] = []
        for k, layer in enumerate(self.layers):
            draw = torch.Generator().manual_seed(hash((seed, -1, k)) % 2**63)
            sign = torch.where(torch.rand(layer.mask.shape, generator=draw) < 0.5, -1.0, 1.0)
            weight = layer.weight.detach()
            sign = sign.to(weight)
            self.signs.append(torch.where(weight == 0, sign, weight.sign()))

    @torch.no_grad()
    def rewire(self, layer: Sparse, draw: torch.Generator) -> None:
        """Let weights that left their sign die, and grow as many."""
        sign = self.signs[self.layers.index(layer)].view(-1)
        flat, mask = layer.parameter.data.view(-1), layer.mask.view(-1)
        step = -self.shrink * sign
        if self.noise:
            step = step + self.noise * torch.randn(sign.shape, generator=draw).to(sign)
        flat.add_(step * mask)
        dropped = torch.nonzero(mask & (flat * sign < 0)).view(-1)
        free = ~mask
        free[dropped] = True  # where all weights exist, those that died are born again
        absent = torch.nonzero(free).view(-1)
        grown = absent[torch.randperm(absent.numel(), generator=draw)[: dropped.numel()]]
        layer.move(dropped, grown, 0.0, self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: the count of steps and the signs."""
        return {**super().state_dict(), "signs": [s.clone() for s in self.signs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        super().load_state_dict(state)
        self.signs = [s.clone() for s in state["signs"]]


def _fraction(owner: str, fraction: float) -> float:
    if not 0.0 < fraction < 1.0:
        raise ParameterError(f"{owner}: fraction={fraction}: must be between 0 and 1.")
    return fraction


def _smallest(layer: Sparse, fraction: float) -> torch.Tensor:
    """Return the positions of the smallest existing weights."""
    magnitude = layer.parameter.detach().abs().view(-1).clone()
    magnitude[~layer.mask.view(-1)] = math.inf
    return torch.topk(magnitude, int(fraction * layer.n_active), largest=False).indices
