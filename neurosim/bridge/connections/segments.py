"""Active dendrites: segments that see the context and gate what a unit makes of its input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosim.bridge.layer import Layer, State
from neurosim.errors import ParameterError

GATINGS = ("absolute", "max", "additive")


class ActiveDendrites(Layer):
    """A linear layer whose units are gated by the dendritic segment that fits the context best.

    Unit i has feed-forward input ``t_i = w_i x + b_i`` and segments ``d_ij = u_ij c``. The segment
    of largest ``|d_ij|`` wins (its sign is kept), and the output is ``t_i sigmoid(d_ij*)``. Only
    the winning segment learns. Gates depend on the context alone, so one set of gates serves all
    time steps of a sequence.

    Parameters
    ----------
    in_features, out_features : int
    n_segments : int
        Segments of each unit, such as the number of tasks.
    context_features : int
        Length of a context.
    gating : {"absolute", "max", "additive"}, default "absolute"
        The winner is that of largest magnitude, or of largest value; ``"additive"``: of largest
        value, and its response is added to the input instead.
    density : float, default 0.5
        Fraction of feed-forward weights that exist, chosen at random for each unit.
    input_density : float, default 1
        Expected fraction of active inputs; sets the scale of the first weights.
    bias : bool, default True
    seed : int, optional
        Of the mask. Default: torch's global generator.

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
    mask : Tensor (out_features, in_features), bool
    segments : Parameter (out_features, n_segments, context_features)
    context : Tensor or None
        The context of calls that give none; see `use_context`.

    Raises
    ------
    ParameterError
        If an argument is not possible.

    Notes
    -----
    Iyer et al. (2022), Front. Neurorobot. 16:846219. Weights start uniform within
    ``1 / sqrt(input_density density in_features)``, segments within
    ``1 / sqrt(0.1 context_features)``, as in their code. Weights outside the mask stay zero and get
    no gradient.

    Examples
    --------
    >>> layer = ActiveDendrites(8, 4, n_segments=3, context_features=5)
    >>> out, _ = layer(torch.ones(1, 2, 8), context=torch.ones(5))
    >>> out.shape
    torch.Size([1, 2, 4])
    """

    mask: Tensor
    context: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        n_segments: int,
        context_features: int,
        *,
        gating: Literal["absolute", "max", "additive"] = "absolute",
        density: float = 0.5,
        input_density: float = 1.0,
        bias: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.n_segments, self.context_features = n_segments, context_features
        self.gating, self.context = gating, None
        self._check(density, input_density)
        self.register_buffer("mask", sparse_mask(out_features, in_features, density, seed))
        n_connections = density * in_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.segments = nn.Parameter(torch.empty(out_features, n_segments, context_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        bound = 1 / math.sqrt(input_density * n_connections)
        with torch.no_grad():
            self.weight.uniform_(-bound, bound).mul_(self.mask)
            inner = 1 / math.sqrt(0.1 * context_features)
            self.segments.uniform_(-inner, inner)
            if self.bias is not None:
                outer = 1 / math.sqrt(in_features)
                self.bias.uniform_(-outer, outer)

    def _check(self, density: float, input_density: float) -> None:
        sizes = {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "n_segments": self.n_segments,
            "context_features": self.context_features,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ParameterError(f"ActiveDendrites: {name} = {size} must be at least 1.")
        for name, value in (("density", density), ("input_density", input_density)):
            if not 0 < value <= 1:
                raise ParameterError(f"ActiveDendrites: {name} = {value} must be in (0, 1].")
        if self.gating not in GATINGS:
            raise ParameterError(
                f"ActiveDendrites: gating = {self.gating!r} is not one of {', '.join(GATINGS)}."
            )

    def forward(
        self, x: Tensor, state: State | None = None, *, context: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return the gated input of the units and an empty state.

        Parameters
        ----------
        x : Tensor [T, B, in_features]
        state : dict, optional
            Not used: the layer has none.
        context : Tensor (context_features,), [B, context_features] or [T, B, context_features]
            Default: that of `use_context`.

        Returns
        -------
        out : Tensor [T, B, out_features]
        state : dict

        Raises
        ------
        ParameterError
            If there is no context, or a shape does not fit.
        """
        if x.dim() != 3 or x.shape[2] != self.in_features:
            raise ParameterError(
                f"{self!r}: the input has shape {tuple(x.shape)}; [T, B, {self.in_features}] is "
                "needed."
            )
        feed_forward = F.linear(x, self.weight * self.mask, self.bias)
        response = self.response(self._given(context, x))
        if self.gating == "additive":
            return feed_forward + response, {}
        return feed_forward * torch.sigmoid(response), {}

    def response(self, context: Tensor) -> Tensor:
        """Return the winning segments' responses ``d_ij*``.

        Parameters
        ----------
        context : Tensor [..., context_features]

        Returns
        -------
        Tensor [..., out_features]
        """
        flat = F.linear(context, self.segments.flatten(0, 1))
        all_of = flat.reshape(*flat.shape[:-1], self.out_features, self.n_segments)
        strength = all_of.abs() if self.gating == "absolute" else all_of
        winner = strength.argmax(-1, keepdim=True)
        return torch.gather(all_of, -1, winner).squeeze(-1)

    def _given(self, context: Tensor | None, x: Tensor) -> Tensor:
        context = self.context if context is None else context
        if context is None:
            raise ParameterError(
                f"{self!r} got no context: call it with context=..., or the model inside of "
                "`with use_context(model, context):`."
            )
        context = context.to(x)
        allowed = ((), (x.shape[1],), (1,), tuple(x.shape[:2]))
        if context.shape[-1:] != (self.context_features,) or context.shape[:-1] not in allowed:
            raise ParameterError(
                f"{self!r}: the context has shape {tuple(context.shape)}; ({self.context_features}"
                f",), [B, {self.context_features}] or [T, B, {self.context_features}] is needed "
                f"for input of shape {tuple(x.shape)}."
            )
        return context

    def extra_repr(self) -> str:
        """Describe the layer."""
        return (
            f"{self.in_features}, {self.out_features}, n_segments={self.n_segments}, "
            f"context_features={self.context_features}, gating={self.gating!r}"
        )


def sparse_mask(n_outputs: int, n_inputs: int, density: float, seed: int | None = None) -> Tensor:
    """Return a mask in which every output has the same number of inputs, chosen at random.

    Parameters
    ----------
    n_outputs, n_inputs : int
    density : float
        Fraction of inputs that each output has, rounded to whole inputs, at least one.
    seed : int, optional
        Default: torch's global generator.

    Returns
    -------
    Tensor (n_outputs, n_inputs), bool

    Examples
    --------
    >>> sparse_mask(3, 10, 0.4).sum(1)
    tensor([4, 4, 4])
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    n_kept = max(1, round(density * n_inputs))
    kept = torch.rand(n_outputs, n_inputs, generator=generator).topk(n_kept, dim=1).indices
    return torch.zeros(n_outputs, n_inputs, dtype=torch.bool).scatter_(1, kept, True)


@contextmanager
def use_context(model: nn.Module, context: Tensor) -> Iterator[None]:
    """Give a context to all `ActiveDendrites` of a model for the calls inside a block.

    Parameters
    ----------
    model : Module
        Any module; of a `Sequential`, each layer gets the same context.
    context : Tensor
        See `ActiveDendrites.forward`.

    Raises
    ------
    ParameterError
        If the model has no `ActiveDendrites`.

    Examples
    --------
    >>> layer = ActiveDendrites(8, 4, n_segments=3, context_features=5)
    >>> with use_context(layer, torch.ones(5)):
    ...     out, _ = layer(torch.ones(1, 2, 8))
    """
    layers = [m for m in model.modules() if isinstance(m, ActiveDendrites)]
    if not layers:
        raise ParameterError(f"{type(model).__name__} has no ActiveDendrites to give a context to.")
    before = [layer.context for layer in layers]
    try:
        for layer in layers:
            layer.context = context
        yield
    finally:
        for layer, old in zip(layers, before, strict=True):
            layer.context = old
