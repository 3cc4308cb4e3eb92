"""Products at events on a GPU: the counterpart of `connections.products`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.cuda.launcher import THREADS, Launcher
from neurosim.bridge.cuda.source import FORMATS, computed_in, written

#: Columns that a thread looks at in one go when it searches a row for events.
_LOOKS = 8


def gather(
    launcher: Launcher,
    x: torch.Tensor,
    table: torch.Tensor,
    bias: torch.Tensor | None,
    result: torch.dtype,
) -> torch.Tensor:
    """Return ``out[r] = bias + sum of x[r, c] * table[c]`` over the columns that are not 0.

    Parameters
    ----------
    launcher : Launcher
    x : [R, N] tensor
        Most of it zero. The events are listed inside the kernel: none of them is stored.
    table : [N, M] tensor
    bias : [M] tensor, optional
        Of the precision of the sums: float64 where one of the tensors has it, else float32.
    result : torch.dtype

    Returns
    -------
    out : [R, M] tensor
    """
    real = torch.promote_types(computed_in(x.dtype), computed_in(table.dtype))
    x, table = x.contiguous(), table.contiguous()
    (n_rows, n), m = x.shape, table.shape[1]
    out = launcher.empty((n_rows, m), x, result)
    source = written(
        "compact.cuh", "gather.cu", real=real, NS_THREADS=THREADS, NS_LOOKS=_LOOKS,
        ROW=FORMATS[x.dtype], TABLE=FORMATS[table.dtype], OUT=FORMATS[result],
    )  # fmt: skip
    launcher.start(
        source, "gather", n_rows * -(-m // THREADS),
        [np.int64(n_rows), np.int64(n), np.int32(m), np.int32(bias is not None), x, table,
         table if bias is None else bias.contiguous(), out],
    )  # fmt: skip
    return out


class _Product(torch.autograd.Function):
    """``x @ weight.T + bias``; saves the weight and x."""

    @staticmethod
    def forward(
        ctx: Any,
        launcher: Launcher,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        result: torch.dtype,
    ) -> torch.Tensor:
        ctx.launcher = launcher
        ctx.save_for_backward(x, weight)
        rows = x.reshape(-1, weight.shape[1])
        offset = None if bias is None else bias.to(computed_in(weight.dtype))
        out = gather(launcher, rows, weight.t().to(result), offset, result)
        return out.reshape(*x.shape[:-1], weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, weight.shape[0])
        by_x = by_weight = by_bias = None
        if ctx.needs_input_grad[1]:
            by_x = (rows @ weight.to(rows.dtype)).reshape(x.shape).to(x.dtype)
        if ctx.needs_input_grad[2]:  # rows of the input's transpose list when a column is active
            columns = x.reshape(-1, weight.shape[1]).t()
            by_weight = gather(ctx.launcher, columns, rows, None, weight.dtype).t().contiguous()
        if ctx.needs_input_grad[3]:
            by_bias = rows.sum(0, dtype=weight.dtype)
        return None, by_x, by_weight, by_bias, None


def event_linear(
    launcher: Launcher,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    result: torch.dtype,
) -> torch.Tensor:
    """Return ``x @ weight.T + bias`` by adding up the weights of inputs that are not zero.

    The gradient of the weights is summed at the same events, that of x is a dense product.

    Parameters
    ----------
    launcher : Launcher
    x : [..., in] tensor
    weight : [out, in] tensor
    bias : [out] tensor, optional
    result : torch.dtype
        Of the result; the weights are rounded to it first, sums are of float32 or float64.
    """
    out: torch.Tensor = _Product.apply(launcher, x, weight, bias, result)  # type: ignore[no-untyped-call]
    return out
