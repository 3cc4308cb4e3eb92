"""All-to-all connections over all time steps in one product."""

from __future__ import annotations

from numbers import Integral
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from neurosim.bridge.connections.products import autocast_type, event_linear
from neurosim.bridge.cuda import launcher
from neurosim.bridge.eager import eager_only
from neurosim.bridge.events import EventBatch, SpikeEvents, events_below, events_of
from neurosim.bridge.layer import Layer, State, check_sequence
from neurosim.errors import ParameterError

#: Density below which the products at events are faster than dense ones, forward and weight
#: gradient together, building the list included. Measured for 12,800 rows of 700 -> 256, float32,
#: one thread of a Zen 5 core (dense 47 + 47 ms at any density): 2 % 9 ms, 10 % 28 ms, 20 % 52 ms.
#: On a 2.8 GHz Xeon with kernels of about half the speed the two were equal near 12 %.
BREAK_EVEN = 0.15

Sparse = bool | Literal["auto"]


def check_sparse(layer: str, sparse: Sparse, break_even: float) -> None:
    """Raise a ParameterError for an unknown choice of the product."""
    if sparse not in (True, False, "auto"):
        raise ParameterError(f"{layer}: sparse={sparse!r}: must be 'auto', True or False.")
    if not 0.0 <= break_even <= 1.0:
        raise ParameterError(
            f"{layer}: break_even={break_even}: must be a density between 0 and 1."
        )


def check_sizes(layer: str, **sizes: int) -> None:
    """Raise a ParameterError unless numbers of inputs and outputs are whole and positive."""
    for name, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            raise ParameterError(f"{layer}: {name} = {n!r} must be a whole number of at least 1.")


def events_if(x: torch.Tensor, sparse: Sparse, break_even: float) -> SpikeEvents | None:
    """Return the events of an input if a layer is to use them, else None."""
    if sparse is False or x.device.type != "cpu":
        return None
    return events_of(x) if sparse is True else events_below(x, break_even)


def placed(x: torch.Tensor | EventBatch, weight: torch.Tensor) -> torch.Tensor | EventBatch:
    """Return an input for weights: where they are on another device, events are made dense."""
    if isinstance(x, torch.Tensor) or weight.device.type == "cpu":
        return x
    return events_of(x).dense(weight.dtype).reshape(x.shape).to(weight.device)


def check_features(layer: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    """Raise a ParameterError unless a shape is [time, batch, expected]."""
    if len(shape) == 3 and shape[-1] == expected:
        return
    if len(shape) != 3:
        advice = "Flatten the features, or add the missing dimension with x.unsqueeze()."
    elif expected in shape[:-1]:
        advice = "The dimensions seem to be in another order: see x.permute() or x.transpose()."
    else:
        advice = "Match in_features to the layer before."
    raise ParameterError(
        f"{layer}: the input has shape {list(shape)}; it must be [time, batch, {expected}]. "
        f"{advice}"
    )


def check_dtype(layer: nn.Module, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return an input of the weights' precision; booleans and integers are converted.

    Raises
    ------
    ParameterError
        If both are floating point and differ, outside of autocast.
    """
    if not x.is_floating_point():
        return x.to(weight.dtype)
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ParameterError(
            f"{layer}: the input is {x.dtype} and the weights are {weight.dtype}; convert one of "
            "them, for instance with layer.to(x.dtype)."
        )
    return x


class Linear(Layer, nn.Linear):
    """Connect all inputs to all outputs: ``out[t, b] = weight @ x[t, b] + bias``.

    All time steps are one product. When few inputs are active it adds the weights of the active
    ones only, forward and in the gradient of the weights; the gradient of the input is a dense
    product and is computed only if it is needed. The choice never changes the result beyond
    rounding.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool, default True
    sparse : {"auto", True, False}, default "auto"
        Products at events: always, never, or where the density of the input is below
        `break_even`. On other devices than the CPU ``"auto"`` is dense: to measure the density
        would wait for the device, where dense products are fast. True is for CUDA as well.
    break_even : float, default 0.15
        Density (fraction of non-zero inputs) below which ``"auto"`` chooses events.
    device, dtype
        Of the parameters, as in `torch.nn.Linear`.

    Attributes
    ----------
    weight : [out_features, in_features] parameter
    bias : [out_features] parameter or None

    Examples
    --------
    >>> out, _ = Linear(3, 2)(torch.zeros(5, 4, 3))
    >>> out.shape
    torch.Size([5, 4, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        sparse: Sparse = "auto",
        break_even: float = BREAK_EVEN,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_sparse(f"Linear({in_features}, {out_features})", sparse, break_even)
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        super().__init__(in_features, out_features, bias, device, dtype)
        self.sparse = sparse
        self.break_even = break_even

    def forward(  # type: ignore[override]
        self, x: torch.Tensor | EventBatch, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the product for all time steps.

        Parameters
        ----------
        x : [T, B, in_features] tensor or EventBatch
        state : dict, optional
            This layer has no state; the argument is there as in all layers.

        Returns
        -------
        out : [T, B, out_features] tensor
        state : dict
            Empty.

        Raises
        ------
        ParameterError
            If the shape or the precision of the input does not fit.
        """
        check_sequence(self, x)
        check_features(self, tuple(x.shape), self.in_features)
        return self._product(x), {}

    @eager_only
    def _product(self, x: torch.Tensor | EventBatch) -> torch.Tensor:
        leading = (int(x.shape[0]), int(x.shape[1]))
        x = placed(x, self.weight)
        if not isinstance(x, torch.Tensor):
            return event_linear(None, self.weight, self.bias, events_of(x), leading)
        x = check_dtype(self, x, self.weight)
        device = launcher.launcher_for(x.device) if self.sparse is True else None
        if device is not None:
            from neurosim.bridge.cuda import products

            result = autocast_type(self.weight)
            return products.event_linear(device, x, self.weight, self.bias, result)
        events = events_if(x, self.sparse, self.break_even)
        if events is None:
            return functional.linear(x, self.weight, self.bias)
        return event_linear(x, self.weight, self.bias, events, leading)

    def extra_repr(self) -> str:
        """Describe the layer."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
