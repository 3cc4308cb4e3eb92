"""Errors that travel back through other matrices than the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from neurosim.bridge.continual.layers import WeightLayer, find_layers
from neurosim.bridge.continual.rules import LocalRule
from neurosim.errors import ParameterError


class Feedback(nn.Module):
    """Send errors back through fixed random matrices, or through the weights' signs.

    Hooks on the layers of a model; outputs do not change. Works with any model, also together with
    `HebbianProjection` and `OTTT`.

    Parameters
    ----------
    model : Module
        Any module with linear and convolutional layers.
    kind : {"random", "sign"}
        ``"random"``: feedback alignment, a fixed matrix for each layer, uniform within
        ``1 / sqrt(fan_in)``. ``"sign"``: ``sign(W) / sqrt(fan_in)``, following the weights.
    layers, exclude : iterable of str, optional
        Names of the layers to change, or to leave. Default: all.
    seed : int, default 0
        Of the random matrices.

    Notes
    -----
    Lillicrap et al. (2016), Nat. Commun. 7:13276; Xiao et al. (2018), arXiv:1811.03567 (sign
    symmetry). Scales as in Xiao et al. (2024), ICLR.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> feedback = Feedback(net, "random")
    >>> net(torch.ones(1, 4)).sum().backward()
    """

    def __init__(
        self,
        model: nn.Module,
        kind: Literal["random", "sign"],
        *,
        layers: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in ("random", "sign"):
            raise ParameterError(f"kind={kind!r}: choose 'random' or 'sign'.")
        self.kind = kind
        self._layers = find_layers(
            model,
            layers,
            exclude,
            recurrent="its errors travel inside the neurons' kernel. Exclude it.",
        )
        generator = torch.Generator().manual_seed(seed)
        for i, layer in enumerate(self._layers):
            weight, bound = layer.weight, 1 / math.sqrt(layer.n_inputs)
            if kind == "random":
                back = (torch.rand(weight.shape, generator=generator) * 2 - 1) * bound
                self.register_buffer(f"back_{i}", back.to(weight))
            LocalRule.of(layer).back = self._fixed(f"back_{i}") if kind == "random" else _signs

    def _fixed(self, name: str) -> Callable[[Tensor], Tensor]:
        def back(weight: Tensor) -> Tensor:
            return getattr(self, name).to(weight)  # type: ignore[no-any-return]

        return back

    def matrix(self, layer: str) -> Tensor:
        """Return the matrix that carries errors back through a layer, shaped like its weight."""
        found: WeightLayer = next(own for own in self._layers if own.name == layer)
        back = LocalRule.of(found).back
        return back(found.weight.detach()) if back is not None else found.weight.detach()

    def remove(self) -> None:
        """Send errors through the weights again."""
        for layer in self._layers:
            LocalRule.of(layer).back = None


def _signs(weight: Tensor) -> Tensor:
    return weight.sign() / math.sqrt(weight[0].numel())
