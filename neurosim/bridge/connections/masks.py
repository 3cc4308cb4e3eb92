"""Sparse connectivity: a layer whose weights exist only where a mask says so."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn

from neurosim.bridge.container import folded
from neurosim.bridge.layer import Layer, State
from neurosim.errors import ParameterError


class Sparse(Layer):
    """A layer of which only a fraction of the weights exists.

    The others are exactly zero in every product and receive exactly no gradient. Which ones exist
    is drawn once, and may be changed during training by `SET`, `RigL` or `DeepR`.

    Parameters
    ----------
    layer : nn.Module
        With a parameter `weight`: a layer of this package, or a torch module, which is applied to
        all time steps in one call. Changed in place: absent weights become zero.
    density : float
        Fraction of the weights that exist, in (0, 1]; at least one does.
    seed : int, default 0
        Of the draw.
    rescale : bool, default True
        Divide the weights by the root of the density, which keeps the variance of the output.

    Attributes
    ----------
    layer : nn.Module
    mask : bool buffer, shaped like the weight

    Raises
    ------
    ParameterError
        If the density is not in (0, 1], or the layer has no weights.

    Examples
    --------
    >>> layer = Sparse(nn.Linear(10, 10), density=0.2)
    >>> layer.n_active, int((layer.weight != 0).sum())
    (20, 20)
    """

    mask: torch.Tensor

    def __init__(
        self, layer: nn.Module, density: float, *, seed: int = 0, rescale: bool = True
    ) -> None:
        super().__init__()
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, nn.Parameter):
            raise ParameterError(f"Sparse: {layer!r} has no parameter 'weight' to make sparse.")
        if not 0.0 < density <= 1.0:
            raise ParameterError(f"Sparse({layer!r}): density={density}: must be in (0, 1].")
        self.layer = layer
        n = max(1, round(density * weight.numel()))
        order = torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(seed))
        mask = torch.zeros(weight.numel(), dtype=torch.bool)
        mask[order[:n]] = True
        self.register_buffer("mask", mask.view(weight.shape).to(weight.device))
        self.watching = False
        self.dense_gradient: torch.Tensor | None = None
        with torch.no_grad():
            weight.mul_(self.mask)
            if rescale:
                weight.mul_((n / weight.numel()) ** -0.5)

    @property
    def weight(self) -> torch.Tensor:
        """The weights, zero where there is none."""
        parameter: torch.Tensor = self.parameter
        return parameter * self.mask

    @property
    def parameter(self) -> nn.Parameter:
        """The parameter that the optimiser sees."""
        return self.layer.weight  # type: ignore[return-value]

    @property
    def n_active(self) -> int:
        """Number of weights that exist."""
        return int(self.mask.sum())

    def with_zeros(self) -> nn.Module:
        """Return a copy of the layer that has the weights as they are, zeros included."""
        layer = copy.deepcopy(self.layer)
        layer.weight = nn.Parameter(self.weight.detach().clone())
        return layer

    def watch_gradient(self, on: bool = True) -> None:
        """Keep the gradient of all possible weights in `dense_gradient` (for `RigL`)."""
        self.watching = on
        self.dense_gradient = None

    def forward(self, x: Any, state: State | None = None) -> tuple[torch.Tensor, dict[str, Any]]:
        """Apply the layer with its masked weights.

        Parameters
        ----------
        x : [T, B, ...] tensor
        state : dict, optional
            Of the layer.

        Returns
        -------
        out : [T, B, ...] tensor
        state : dict
            Of the layer; empty for a torch module.
        """
        weight = self.weight
        if self.watching and weight.requires_grad:
            weight.register_hook(self._keep_gradient)  # type: ignore[no-untyped-call]

        def masked(*arguments: Any) -> Any:
            return torch.func.functional_call(self.layer, {"weight": weight}, arguments)

        if isinstance(self.layer, Layer):
            out, after = masked(x, state)
            return out, after
        return folded(cast(nn.Module, masked), x), {}

    def _keep_gradient(self, gradient: torch.Tensor) -> None:
        self.dense_gradient = gradient.detach().clone()

    @torch.no_grad()
    def move(
        self,
        dropped: torch.Tensor,
        grown: torch.Tensor,
        values: torch.Tensor | float = 0.0,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Give up weights and create as many others.

        Parameters
        ----------
        dropped, grown : [n] int64 tensors
            Positions in the flat weight. A position in both begins anew.
        values : [n] tensor or float, default 0
            Of the new weights.
        optimizer : torch.optim.Optimizer, optional
            What it remembers of these positions (momentum, squared gradients) is cleared.

        Raises
        ------
        ParameterError
            If the numbers differ, a dropped weight does not exist or a grown one does already.
        """
        mask = self.mask.view(-1)
        if dropped.numel() != grown.numel() or not bool(mask[dropped].all()):
            raise ParameterError(
                f"Sparse({self.layer!r}): {dropped.numel()} weights dropped and {grown.numel()} "
                "grown: as many are needed, and only weights that exist can be dropped."
            )
        mask[dropped] = False
        if bool(mask[grown].any()):
            mask[dropped] = True
            raise ParameterError(f"Sparse({self.layer!r}): a weight to be grown exists already.")
        mask[grown] = True
        changed = torch.cat((dropped, grown))
        flat = self.parameter.data.view(-1)
        flat[dropped] = 0.0
        flat[grown] = values if isinstance(values, float) else values.to(flat.dtype)
        if optimizer is not None:
            for memory in optimizer.state.get(self.parameter, {}).values():
                if isinstance(memory, torch.Tensor) and memory.shape == self.parameter.shape:
                    memory.view(-1)[changed] = 0.0

    def extra_repr(self) -> str:
        """Describe the mask."""
        return f"density={self.n_active / self.mask.numel():.3g}"


def sparse_layers(model: nn.Module) -> list[Sparse]:
    """Return the sparse layers inside a model."""
    return [m for m in model.modules() if isinstance(m, Sparse)]
