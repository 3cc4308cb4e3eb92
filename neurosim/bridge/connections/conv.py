"""Convolutions over all time steps in one call, at events where the input is sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from neurosim.bridge.connections.linear import (
    Sparse,
    check_dtype,
    check_sparse,
    events_if,
    placed,
)
from neurosim.bridge.connections.products import autocast_type
from neurosim.bridge.eager import eager_only
from neurosim.bridge.events import EventBatch, SpikeEvents, events_of
from neurosim.bridge.kernels import buffers
from neurosim.bridge.kernels import conv_sparse as kernels
from neurosim.bridge.kernels.threads import run_blocks
from neurosim.bridge.layer import Layer, State, check_sequence
from neurosim.errors import ParameterError

#: Density below which convolutions at events are faster than dense ones, forward and weight
#: gradient together. Measured for 640 frames, one thread of a Zen 5 core, events and dense:
#: 2 -> 12 channels of 34 x 34, 5 x 5: 9 and 54 ms at 1 %, 19 and 53 at 10 %, 38 and 49 at 30 %;
#: 16 -> 32 of 16 x 16, 3 x 3: 7 and 18 ms at 1 %, 19 and 18 at 10 %;
#: 64 -> 64 of the same: 31 and 120 ms at 3 %, 52 and 166 at 6 %.
CONV_BREAK_EVEN = 0.1
#: Partial sums of the weight gradient: a fixed number, whatever the threads.
_PARTS = 16
_ROWS = 4
#: Stride, padding and dilation, each for y and x.
Geometry = tuple[int, int, int, int, int, int]


class _Events(torch.autograd.Function):
    """A convolution with the input given by its events; saves the weight."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        events: SpikeEvents,
        shape: tuple[int, int, int],
        geometry: Geometry,
    ) -> torch.Tensor:
        ctx.save_for_backward(weight)
        ctx.events, ctx.shape, ctx.geometry = events, shape, geometry
        ctx.dtype = None if x is None else x.dtype
        n_out, n_in, k_y, k_x = weight.shape
        ctx.reach, (n_y, n_x) = _reach(shape[1:], (k_y, k_x), geometry)
        rounded = torch.zeros(n_in, k_y, k_x, kernels.width(n_out), dtype=weight.dtype)
        rounded[..., :n_out] = weight.permute(1, 2, 3, 0)
        offset = rounded.new_zeros(kernels.width(n_out))
        if bias is not None:
            offset[:n_out] = bias.detach()
        out = buffers.empty((events.n_rows, n_out, n_y, n_x), weight.dtype)
        array = out.numpy()
        run_blocks(
            kernels.convolve, -(-events.n_rows // _ROWS), out.numel(), _ROWS, events.ptr,
            events.index, events.amplitudes(array.dtype), shape, *ctx.reach, rounded.numpy(),
            offset.numpy(), array,
        )  # fmt: skip
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        events, shape, geometry = ctx.events, ctx.shape, ctx.geometry
        gradient = gradient.to(weight.dtype).contiguous()
        by_x = by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            by_x = conv2d_input(  # type: ignore[no-untyped-call]
                (events.n_rows, *shape), weight, gradient, geometry[:2], geometry[2:4],
                geometry[4:],
            ).to(ctx.dtype)  # fmt: skip
        if ctx.needs_input_grad[1]:
            n_out, n_in, k_y, k_x = weight.shape
            array = gradient.numpy()
            partial = np.zeros((_PARTS, n_in, k_y, k_x, kernels.width(n_out)), array.dtype)
            run_blocks(
                kernels.correlate, _PARTS, gradient.numel(), -(-events.n_rows // _PARTS),
                events.ptr, events.index, events.amplitudes(array.dtype), shape, *ctx.reach,
                array, partial,
            )  # fmt: skip
            total = torch.from_numpy(partial.sum(0))[..., :n_out]
            by_weight = total.permute(3, 0, 1, 2).contiguous()
        if ctx.needs_input_grad[2]:
            by_bias = gradient.sum((0, 2, 3))
        return by_x, by_weight, by_bias, None, None, None


def _reach(
    space: tuple[int, ...], kernel: tuple[int, int], geometry: Geometry
) -> tuple[list[np.ndarray], tuple[int, int]]:
    """Return where taps reach, in y and in x (`kernels.reach`), and the extent of the output."""
    tables, extent = [], []
    for d, k in enumerate(kernel):
        stride, padding, dilation = geometry[d], geometry[2 + d], geometry[4 + d]
        n = (space[d] + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        tables.append(kernels.reach(space[d], k, stride, padding, dilation, n))
        extent.append(n)
    return tables, (extent[0], extent[1])


class _Conv(Layer):
    """What convolutions of one and two dimensions share; mixed into torch's classes."""

    sparse: Sparse
    break_even: float
    weight: torch.Tensor
    bias: torch.Tensor | None

    def _choose(self, sparse: Sparse, break_even: float) -> None:
        check_sparse(repr(self), sparse, break_even)
        self.sparse, self.break_even = sparse, break_even

    def forward(
        self, x: torch.Tensor | EventBatch, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the convolution of every time step.

        Parameters
        ----------
        x : [T, B, in_channels, *space] tensor or EventBatch
        state : dict, optional
            This layer has no state; the argument is there as in all layers.

        Returns
        -------
        out : [T, B, out_channels, *space] tensor
        state : dict
            Empty.

        Raises
        ------
        ParameterError
            If the shape or the precision of the input does not fit.
        """
        check_sequence(self, x)
        shape = tuple(int(n) for n in x.shape)
        n_space = self.weight.dim() - 2
        channels = int(self.in_channels)  # type: ignore[arg-type]
        if len(shape) != 3 + n_space or shape[2] != channels:
            space = ", ".join(("height", "width")[-n_space:]) if n_space == 2 else "length"
            raise ParameterError(
                f"{self}: the input has shape {list(shape)}; it must be [time, batch, "
                f"{channels}, {space}]. For another order of dimensions see x.permute()."
            )
        return self._product(x, shape), {}

    @eager_only
    def _product(self, x: torch.Tensor | EventBatch, shape: tuple[int, ...]) -> torch.Tensor:
        x = placed(x, self.weight)
        eligible = self.groups == 1 and self.padding_mode == "zeros"
        if eligible and self.padding == "same":  # of an even extent it is not symmetric
            extents = zip(self._pair("dilation"), self._pair("kernel_size"), strict=True)
            eligible = all(d * (k - 1) % 2 == 0 for d, k in extents)
        events = values = None
        if isinstance(x, torch.Tensor):
            values = check_dtype(self, x, self.weight)
            if eligible:
                events = events_if(values, self.sparse, self.break_even)
        else:
            events = events_of(x)
            if not eligible:
                values = events.dense(self.weight.dtype).reshape(shape)
                events = None
        if events is None:
            assert values is not None  # events are dropped only where values were made
            out = self._conv_forward(values.flatten(0, 1), self.weight, self.bias)  # type: ignore[operator]
        else:
            out = self._at_events(values, events, shape)
        result: torch.Tensor = out.reshape(*shape[:2], *out.shape[1:])
        return result

    def _at_events(
        self, x: torch.Tensor | None, events: SpikeEvents, shape: tuple[int, ...]
    ) -> torch.Tensor:
        weight, flat = self.weight, self.weight.dim() == 3
        space = (1, shape[3]) if flat else (shape[3], shape[4])
        kernel = weight.unsqueeze(2) if flat else weight
        geometry = self._geometry(tuple(kernel.shape[2:]), flat)
        compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
        result = autocast_type(weight)
        rows = None if x is None else x.reshape(events.n_rows, shape[2], *space)
        with torch.autocast("cpu", enabled=False):
            out: torch.Tensor = _Events.apply(
                rows, kernel.to(compute), None if self.bias is None else self.bias.to(compute),
                events, (shape[2], *space), geometry,
            )  # type: ignore[no-untyped-call]  # fmt: skip
        return (out.squeeze(2) if flat else out).to(result)

    def _pair(self, name: str) -> tuple[int, ...]:
        """Return one of torch's options with an entry for each dimension of space."""
        value: tuple[int, ...] = getattr(self, name)
        return value

    def _geometry(self, kernel: tuple[int, ...], flat: bool) -> Geometry:
        stride, dilation = self._pair("stride"), self._pair("dilation")
        padding: Any = self.padding
        if flat:
            stride, dilation = (1, *stride), (1, *dilation)
        if padding == "valid":
            padding = (0, 0)
        elif padding == "same":
            padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
        elif flat:
            padding = (0, *padding)
        return (*stride, *padding, *dilation)


class Conv2d(_Conv, nn.Conv2d):  # type: ignore[misc]
    """Convolve every time step in one call; at events where the input is sparse.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As in `torch.nn.Conv2d`.
    sparse : {"auto", True, False}, default "auto"
        Convolve at events: always, never, or where the density of the input is below `break_even`.
        With groups, asymmetric or other padding than zeros, or on other devices, it is dense.
    break_even : float, default 0.1
    **arguments
        Further arguments of `torch.nn.Conv2d`: device, dtype.

    Examples
    --------
    >>> out, _ = Conv2d(2, 4, 3)(torch.zeros(5, 1, 2, 8, 8))
    >>> out.shape
    torch.Size([5, 1, 4, 6, 6])
    """

    def __init__(
        self,
        *arguments: Any,
        sparse: Sparse = "auto",
        break_even: float = CONV_BREAK_EVEN,
        **named: Any,
    ) -> None:
        nn.Conv2d.__init__(self, *arguments, **named)
        self._choose(sparse, break_even)


class Conv1d(_Conv, nn.Conv1d):  # type: ignore[misc]
    """Convolve every time step over one dimension of space; parameters as `Conv2d`.

    The dimension is one of space, such as cochlear channels; for filters over time see
    `DelayedLinear`.

    Examples
    --------
    >>> out, _ = Conv1d(1, 4, 3, padding=1)(torch.zeros(5, 2, 1, 40))
    >>> out.shape
    torch.Size([5, 2, 4, 40])
    """

    def __init__(
        self,
        *arguments: Any,
        sparse: Sparse = "auto",
        break_even: float = CONV_BREAK_EVEN,
        **named: Any,
    ) -> None:
        nn.Conv1d.__init__(self, *arguments, **named)
        self._choose(sparse, break_even)
