"""Connections with delays on a GPU: the counterpart of `connections.delay_products`.

Every input is taken as events: a value that is not zero costs its synapses, whatever the largest
delay; no density is measured, which would wait for the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.cuda.launcher import THREADS, Launcher
from neurosim.bridge.cuda.source import FORMATS, written

#: Columns that a thread looks at in one go when it searches a row for events.
_LOOKS = 8
#: Bytes of a ring that shared memory takes; a larger one is in global memory.
_SHARED = 32768
#: Taps that a thread of the correlation sums; `kernels.delay.GROUP`, or two for interpolation.
_GROUP = 8
#: Parts into which the rows are cut for the gradient of the gains of axons.
_PARTS = 64


def _source(real: torch.dtype, row: torch.dtype, *, group: int = 2, width: int = 0) -> str:
    return written(
        "compact.cuh", "delay.cu", real=real, NS_THREADS=THREADS, NS_LOOKS=_LOOKS,
        NS_GROUP=group, NS_WIDTH=width, ROW=FORMATS[row],
    )  # fmt: skip


def _sizes(shape: tuple[int, ...], taps: torch.Tensor) -> list[np.generic]:
    """Return T, B, the extents of the synapses and the taps as arguments of a kernel."""
    return [np.int32(n) for n in (*shape[:2], *taps.shape)]


def deliver(
    launcher: Launcher, x: torch.Tensor, start: torch.Tensor, taps: torch.Tensor, largest: int
) -> torch.Tensor:
    """Return ``out[t, b, j] = sum taps[i, j, k] * x[t - start[i, j] - k, b, i]``.

    Parameters
    ----------
    launcher : Launcher
    x : [T, B, I] tensor
    start : [I, J] int32 tensor
    taps : [I, J, n_taps] tensor, float32 or float64
    largest : int
        Largest start that can be.

    Returns
    -------
    out : [T, B, J] tensor
        Of the precision of the taps.
    """
    n_targets = taps.shape[1]
    out = launcher.empty((*x.shape[:2], n_targets), taps, taps.dtype)
    items = x.shape[1] * -(-n_targets // THREADS)
    width = largest + taps.shape[2]
    fits = width * THREADS * taps.element_size() <= _SHARED
    rings = launcher.empty((0 if fits else items * width * THREADS,), taps, taps.dtype)
    source = _source(taps.dtype, x.dtype, width=width if fits else 0)
    launcher.start(
        source, "deliver", items,
        [*_sizes(tuple(x.shape), taps), np.int32(width), x, start, taps, rings, out],
    )  # fmt: skip
    return out


def correlate(
    launcher: Launcher, x: torch.Tensor, start: torch.Tensor, n_taps: int, gradient: torch.Tensor
) -> torch.Tensor:
    """Return the gradient of the taps, [I, J, n_taps]; arguments as those of `deliver`."""
    by_taps = launcher.empty((*start.shape, n_taps), gradient, gradient.dtype)
    group = _GROUP if n_taps % _GROUP == 0 else 2
    items = start.shape[0] * -(-start.shape[1] // THREADS) * (n_taps // group)
    launcher.start(
        _source(gradient.dtype, x.dtype, group=group), "correlate", items,
        [*_sizes(tuple(x.shape), by_taps), x.permute(2, 1, 0).contiguous(), start,
         gradient.permute(1, 2, 0).contiguous(), by_taps],
    )  # fmt: skip
    return by_taps


def pull_back(
    launcher: Launcher, start: torch.Tensor, taps: torch.Tensor, gradient: torch.Tensor
) -> torch.Tensor:
    """Return the gradient of the input, [T, B, I]; arguments as those of `deliver`."""
    n_steps, n_samples, _ = gradient.shape
    n_inputs = taps.shape[0]
    out = launcher.empty((n_samples, n_inputs, n_steps), taps, taps.dtype)
    launcher.start(
        _source(taps.dtype, taps.dtype), "pull_back", n_samples * -(-n_steps // 32) * n_inputs,
        [*_sizes((n_steps, n_samples), taps), start, taps,
         gradient.permute(1, 2, 0).contiguous(), out],
        each=THREADS // 32,
    )  # fmt: skip
    return out.permute(2, 0, 1)


def collect(
    launcher: Launcher,
    first: int,
    taps: torch.Tensor,
    start: torch.Tensor,
    gradient: torch.Tensor,
    out: torch.Tensor,
) -> None:
    """Add what the spikes of one step cause in later ones, from the step `first` on, to `out`.

    Parameters
    ----------
    launcher : Launcher
    first : int
    taps : [J, n_taps, I] tensor
    start : [J, I] int32 tensor
    gradient : [T, B*J] tensor
    out : [B*I] tensor
    """
    n_targets, n_taps, n_inputs = taps.shape
    n_samples = out.shape[0] // max(1, n_inputs)
    sizes = (gradient.shape[0], n_samples, n_inputs, n_targets, n_taps, first)
    launcher.start(
        _source(taps.dtype, taps.dtype), "collect", out.shape[0],
        [*(np.int32(n) for n in sizes), start, taps, gradient, out], each=THREADS,
    )  # fmt: skip


class _Synapses(torch.autograd.Function):
    """A delay per synapse; saves the input and the taps."""

    @staticmethod
    def forward(
        ctx: Any,
        launcher: Launcher,
        x: torch.Tensor,
        taps: torch.Tensor,
        start: torch.Tensor,
        largest: int,
    ) -> torch.Tensor:
        ctx.launcher = launcher
        ctx.save_for_backward(x, taps, start)
        return deliver(launcher, x, start, taps, largest)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, taps, start = ctx.saved_tensors
        by_x = by_taps = None
        if ctx.needs_input_grad[1]:
            by_x = pull_back(ctx.launcher, start, taps, gradient).to(x.dtype)
        if ctx.needs_input_grad[2]:
            by_taps = correlate(ctx.launcher, x, start, taps.shape[2], gradient)
        return None, by_x, by_taps, None, None


class _Axons(torch.autograd.Function):
    """A delay per input; saves the input and the gains."""

    @staticmethod
    def forward(
        ctx: Any, launcher: Launcher, x: torch.Tensor, gains: torch.Tensor, start: torch.Tensor
    ) -> torch.Tensor:
        ctx.launcher = launcher
        ctx.save_for_backward(x, gains, start)
        return _filter(launcher, x, gains, start, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, gains, start = ctx.saved_tensors
        gradient = gradient.contiguous()
        by_x = by_gains = None
        if ctx.needs_input_grad[1]:
            by_x = _filter(ctx.launcher, gradient, gains, start, 1).to(x.dtype)
        if ctx.needs_input_grad[2]:
            n, n_taps = gains.shape
            partial = ctx.launcher.empty((_PARTS, n_taps, n), gains, gains.dtype)
            ctx.launcher.start(
                _axon_source(gains.dtype, x.dtype), "correlate_axons", partial.numel(),
                [*_axon_sizes(x, gains), np.int32(_PARTS), x, start, gradient, partial],
                each=THREADS,
            )  # fmt: skip
            by_gains = partial.sum(0).t()
        return None, by_x, by_gains, None


def _axon_source(real: torch.dtype, row: torch.dtype) -> str:
    types: dict[str, str | int] = {
        "NS_THREADS": THREADS, "NS_LOOKS": _LOOKS, "ROW": FORMATS[row],
    }  # fmt: skip
    return written("compact.cuh", "axon.cu", real=real, **types)


def _axon_sizes(x: torch.Tensor, gains: torch.Tensor) -> list[np.generic]:
    return [np.int32(n) for n in (*x.shape, gains.shape[1])]


def _filter(
    launcher: Launcher, x: torch.Tensor, gains: torch.Tensor, start: torch.Tensor, sign: int
) -> torch.Tensor:
    out = launcher.empty(x.shape, gains, gains.dtype)
    launcher.start(
        _axon_source(gains.dtype, x.dtype), "filter_axons", out.numel(),
        [*_axon_sizes(x, gains), np.int32(sign), x, start, gains, out], each=THREADS,
    )  # fmt: skip
    return out


def synaptic(
    launcher: Launcher, x: torch.Tensor, taps: torch.Tensor, start: torch.Tensor, largest: int
) -> torch.Tensor:
    """Return ``out[t, b, j] = sum over i, k of taps[i, j, k] * x[t - start[i, j] - k, b, i]``.

    Parameters
    ----------
    launcher : Launcher
    x : [T, B, I] tensor
    taps : [I, J, n_taps] tensor, float32 or float64
        Two taps, or a multiple of 8.
    start : [I, J] int32 tensor
    largest : int
        Largest start that can be; those outside 0 .. largest are moved there.

    Returns
    -------
    out : [T, B, J] tensor
        Of the precision of the taps.
    """
    out: torch.Tensor = _Synapses.apply(
        launcher, x.contiguous(), taps.contiguous(), start.contiguous(), largest
    )  # type: ignore[no-untyped-call]
    return out


def axonal(
    launcher: Launcher, x: torch.Tensor, gains: torch.Tensor, start: torch.Tensor
) -> torch.Tensor:
    """Return ``out[t, b, i] = sum over k of gains[i, k] * x[t - start[i] - k, b, i]``.

    Parameters
    ----------
    launcher : Launcher
    x : [T, B, I] tensor
    gains : [I, n_taps] tensor, float32 or float64
    start : [I] int32 tensor

    Returns
    -------
    out : [T, B, I] tensor
        Of the precision of the gains.
    """
    out: torch.Tensor = _Axons.apply(
        launcher, x.contiguous(), gains.contiguous(), start.contiguous()
    )  # type: ignore[no-untyped-call]
    return out
