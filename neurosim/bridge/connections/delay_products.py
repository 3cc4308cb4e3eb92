"""Products with a delay per synapse or per axon, as one autograd node each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.events import SpikeEvents, events_below, events_of
from neurosim.bridge.kernels import buffers
from neurosim.bridge.kernels import delay as kernels
from neurosim.bridge.kernels.threads import run_blocks

Shape = tuple[int, int]


def _parts(n_samples: int, n_targets: int) -> int:
    """Return into how many parts the targets of a sample are cut so that all threads have work."""
    return max(1, min(n_targets, -(-torch.get_num_threads() // max(1, n_samples))))


def _width(n_steps: int, start: np.ndarray, taps: np.ndarray) -> int:
    largest = int(start.max()) if start.size else 0
    return kernels.buffer_width(n_steps, largest, taps.shape[2], taps.itemsize)


def _empty(shape: tuple[int, ...], like: np.ndarray) -> torch.Tensor:
    kind = torch.float64 if like.dtype == np.float64 else torch.float32
    return buffers.empty(shape, kind)


def deliver(events: SpikeEvents, start: np.ndarray, taps: np.ndarray, shape: Shape) -> torch.Tensor:
    """Return ``out[t, b, j] = sum taps[i, j, k] * x[t - start[i, j] - k, b, i]`` by events."""
    n_steps, n_samples = shape
    out = _empty((n_steps, n_samples, taps.shape[1]), taps)
    parts = _parts(n_samples, taps.shape[1])
    run_blocks(
        kernels.deliver, n_samples * parts, events.n_events * taps.shape[1], parts,
        _width(n_steps, start, taps), events.ptr, events.index, events.amplitudes(taps.dtype),
        start, taps, out.numpy(),
    )  # fmt: skip
    return out


def correlate(
    events: SpikeEvents, start: np.ndarray, n_taps: int, gradient: np.ndarray
) -> torch.Tensor:
    """Return the gradient of the taps, [I, J, n_taps]."""
    by_taps = np.zeros((*start.shape, n_taps), gradient.dtype)
    parts = min(start.shape[1], torch.get_num_threads())
    run_blocks(
        kernels.correlate, parts, events.n_events * start.shape[1], parts,
        _width(gradient.shape[0], start, by_taps), events.ptr, events.index,
        events.amplitudes(gradient.dtype), start, gradient, by_taps,
    )  # fmt: skip
    return torch.from_numpy(by_taps)


def _shifted(x: np.ndarray, offset: np.ndarray, taps: np.ndarray, lead: int) -> torch.Tensor:
    n_steps, n_samples, n_channels = x.shape
    beyond = (0, -n_channels % 4)
    offset = np.pad(offset, ((0, 0), beyond))
    taps = np.pad(taps, ((0, 0), beyond, (0, 0)))
    out = _empty((n_steps, n_samples, taps.shape[0]), taps)
    parts = _parts(n_samples, taps.shape[0])
    work = n_steps * n_samples * taps.size // 4
    run_blocks(
        kernels.shifted, n_samples * parts, work, parts, _width(n_steps + lead, offset, taps),
        lead, offset, taps, x, out.numpy(),
    )  # fmt: skip
    return out


def forward_dense(x: np.ndarray, start: np.ndarray, taps: np.ndarray) -> torch.Tensor:
    """Return the same as `deliver`, of activity that is not sparse."""
    largest = int(start.max()) if start.size else 0
    lead = largest + taps.shape[2] - 1
    offset = lead - (taps.shape[2] - 1) - start.T
    reverse = np.ascontiguousarray(taps.transpose(1, 0, 2)[:, :, ::-1])
    return _shifted(x, np.ascontiguousarray(offset), reverse, lead)


def backward_input(
    gradient: torch.Tensor, start: np.ndarray, taps: np.ndarray, break_even: float
) -> torch.Tensor:
    """Return the gradient of the input, [T, B, I].

    Where a surrogate of compact support leaves most of the gradient zero, its non-zero values are
    delivered like events, backwards in time.
    """
    backwards = gradient.flip(0)
    events = events_below(backwards, break_even)
    if events is None:
        return _shifted(gradient.numpy(), start, taps, 0)
    turned = np.ascontiguousarray(taps.transpose(1, 0, 2))
    shape = (gradient.shape[0], gradient.shape[1])
    return deliver(events, np.ascontiguousarray(start.T), turned, shape).flip(0)


class _Synapses(torch.autograd.Function):
    """A delay per synapse; saves the taps and the events."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor | None,
        taps: torch.Tensor,
        start: torch.Tensor,
        events: SpikeEvents | None,
        shape: Shape,
        break_even: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x if events is None else None, taps, start)
        ctx.events, ctx.break_even = events, break_even
        starts, weights = start.numpy(), taps.detach().numpy()
        if events is not None:
            return deliver(events, starts, weights, shape)
        assert x is not None  # dense input is a tensor
        return forward_dense(x.detach().contiguous().numpy(), starts, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, taps, start = ctx.saved_tensors
        gradient = gradient.contiguous()
        starts = start.numpy()
        by_x = by_taps = None
        if ctx.needs_input_grad[0]:
            by_x = backward_input(gradient, starts, taps.detach().numpy(), ctx.break_even)
        if ctx.needs_input_grad[1]:
            events = events_of(x) if ctx.events is None else ctx.events
            by_taps = correlate(events, starts, taps.shape[2], gradient.numpy())
        return by_x, by_taps, None, None, None, None


class _Axons(torch.autograd.Function):
    """A delay per input; saves the gains and the events."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor | None,
        gains: torch.Tensor,
        start: torch.Tensor,
        events: SpikeEvents,
        shape: Shape,
    ) -> torch.Tensor:
        ctx.save_for_backward(gains, start)
        ctx.events = events
        columns = events.by_column
        out = np.zeros((*shape, gains.shape[0]), gains.detach().numpy().dtype)
        run_blocks(
            kernels.filter_axons, gains.shape[0], 16 * events.n_events, columns.ptr, columns.index,
            columns.amplitudes(out.dtype), start.numpy(), gains.detach().numpy(), out,
        )  # fmt: skip
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gains, start = ctx.saved_tensors
        upstream = gradient.contiguous().numpy()
        by_x = by_gains = None
        if ctx.needs_input_grad[0]:
            by_x = torch.empty(gradient.shape, dtype=gradient.dtype)
            run_blocks(
                kernels.advance_axons, upstream.shape[0], upstream.size * gains.shape[1],
                start.numpy(), gains.detach().numpy(), upstream, by_x.numpy(),
            )  # fmt: skip
        if ctx.needs_input_grad[1]:
            columns = ctx.events.by_column
            sums = np.zeros(tuple(gains.shape), upstream.dtype)
            run_blocks(
                kernels.correlate_axons, gains.shape[0], 16 * columns.n_events, columns.ptr,
                columns.index, columns.amplitudes(upstream.dtype), start.numpy(), upstream, sums,
            )  # fmt: skip
            by_gains = torch.from_numpy(sums)
        return by_x, by_gains, None, None, None


def synaptic(
    x: torch.Tensor | None,
    taps: torch.Tensor,
    start: torch.Tensor,
    events: SpikeEvents | None,
    shape: Shape,
    break_even: float,
) -> torch.Tensor:
    """Return ``out[t, b, j] = sum over i, k of taps[i, j, k] * x[t - start[i, j] - k, b, i]``.

    Parameters
    ----------
    x : [T, B, I] tensor, optional
        Receives the gradient. Needed without `events`.
    taps : [I, J, n_taps] tensor
        Two taps, or a multiple of `kernels.delay.GROUP`.
    start : [I, J] int32 tensor
        First lag of each synapse, >= 0.
    events : SpikeEvents, optional
        Of the T * B rows; None takes `x` as dense.
    shape : (T, B)
    break_even : float
        Density of the upstream gradient below which its non-zero values are treated as events.

    Returns
    -------
    out : [T, B, J] tensor
        Of the precision of the taps.
    """
    out: torch.Tensor = _Synapses.apply(
        x, taps.contiguous(), start.contiguous(), events, shape, break_even
    )  # type: ignore[no-untyped-call]
    return out


def axonal(
    x: torch.Tensor | None,
    gains: torch.Tensor,
    start: torch.Tensor,
    events: SpikeEvents,
    shape: Shape,
) -> torch.Tensor:
    """Return ``out[t, b, i] = sum over k of gains[i, k] * x[t - start[i] - k, b, i]``.

    Parameters
    ----------
    x : [T, B, I] tensor, optional
        Receives the gradient.
    gains : [I, n_taps] tensor
    start : [I] int32 tensor
    events : SpikeEvents
    shape : (T, B)

    Returns
    -------
    out : [T, B, I] tensor
    """
    out: torch.Tensor = _Axons.apply(x, gains.contiguous(), start.contiguous(), events, shape)  # type: ignore[no-untyped-call]
    return out
