"""Products of event lists with weights, as one autograd node each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.events import SpikeEvents
from neurosim.bridge.kernels import buffers, sparse
from neurosim.bridge.kernels.gemm import multiply
from neurosim.bridge.kernels.threads import run_blocks

#: Interleaved blocks of rows: more than threads, so that each gets an even share.
_BLOCKS = 64


def gather(events: SpikeEvents, table: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return ``out[r] = bias + sum of values * table[column]`` over the events of each row.

    Parameters
    ----------
    events : SpikeEvents
        R rows, N columns.
    table : [N, M] tensor
        float32 or float64; the result has its precision.
    bias : [M] tensor, optional

    Returns
    -------
    out : [R, M] tensor
    """
    array = table.detach().contiguous().numpy()
    out = buffers.empty((events.n_rows, table.shape[1]), table.dtype)
    offset = np.empty(0, array.dtype) if bias is None else bias.detach().contiguous().numpy()
    work = (events.n_events // 4 + events.n_rows // 8) * table.shape[1]
    stride = max(1, min(_BLOCKS, events.n_rows))
    run_blocks(
        sparse.gather, stride, work, stride, events.ptr, events.index,
        events.amplitudes(array.dtype), array, offset, out.numpy(),
    )  # fmt: skip
    return out


class _Product(torch.autograd.Function):
    """``x @ weight.T + bias`` with x given by its events; saves the weight and the events."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        events: SpikeEvents,
        leading: tuple[int, ...],
        result: torch.dtype,
    ) -> torch.Tensor:
        ctx.events = events
        ctx.x_like = None if x is None else (x.shape, x.dtype)
        ctx.save_for_backward(weight)
        out = gather(events, weight.t(), bias)
        return out.reshape(*leading, weight.shape[0]).to(result)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        rows = gradient.reshape(-1, weight.shape[0]).to(weight.dtype)
        by_x = by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            shape, dtype = ctx.x_like
            by_x = multiply(rows, weight).reshape(shape).to(dtype)
        if ctx.needs_input_grad[1]:
            by_weight = gather(ctx.events.by_column, rows, None).t().contiguous()
        if ctx.needs_input_grad[2]:
            by_bias = rows.sum(0)
        return by_x, by_weight, by_bias, None, None, None


def autocast_type(weight: torch.Tensor) -> torch.dtype:
    """Return the precision of a product's result: that of autocast where it is on."""
    device = weight.device.type
    if torch.is_autocast_enabled(device) and weight.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return weight.dtype


def event_linear(
    x: torch.Tensor | None,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    events: SpikeEvents,
    leading: tuple[int, ...],
) -> torch.Tensor:
    """Return ``x @ weight.T + bias`` by gathering rows of the weights at the events of x.

    The gradient of the weights is gathered at the same events, that of x is a dense product and is
    computed only when x requires it.

    Parameters
    ----------
    x : [T, B, *shape] tensor, optional
        Receives the gradient; its values are taken from `events`.
    weight : [out, in] tensor
    bias : [out] tensor, optional
    events : SpikeEvents
    leading : tuple of int
        Leading dimensions of the result, T and B.

    Returns
    -------
    out : [*leading, out] tensor
        In the precision of the weights; under autocast in that of autocast, computed in float32.
    """
    arguments = (events, leading, autocast_type(weight))
    compute = torch.float64 if weight.dtype == torch.float64 else torch.float32
    if weight.dtype == compute and not torch.is_autocast_enabled("cpu"):  # 10 us less
        return _Product.apply(x, weight, bias, *arguments)  # type: ignore[no-any-return, no-untyped-call]
    with torch.autocast("cpu", enabled=False):
        out: torch.Tensor = _Product.apply(
            x, weight.to(compute), None if bias is None else bias.to(compute), *arguments
        )  # type: ignore[no-untyped-call]
    return out
