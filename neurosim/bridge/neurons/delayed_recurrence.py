"""Recurrence through a connection with delays as one autograd node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.connections.delay_products import correlate
from neurosim.bridge.events import attach_marks, events_of
from neurosim.bridge.kernels import recurrent_delay as kernels
from neurosim.bridge.kernels.delay import buffer_width
from neurosim.bridge.kernels.function import Fused, Tensors, arrays, chosen, reduced, varied
from neurosim.bridge.kernels.marks import Marks
from neurosim.bridge.kernels.threads import run_blocks
from neurosim.bridge.kernels.vector import LANES
from neurosim.bridge.neurons.recurrence import replay, walk_back

#: Neurons of a block of the neurons' kernel.
_BLOCK = 1024


def delayed_recurrent(
    fused: Fused,
    x: torch.Tensor,
    taps: torch.Tensor,
    start: torch.Tensor,
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, torch.Tensor],
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    """Run a step whose input is x and its own spikes, delayed.

    ``x[t, j] + sum over i, k of taps[i, j, k] * spikes[t - 1 - start[i, j] - k, i]``.
    The node saves the total input current; the backward pass recomputes states and spikes from it.

    Parameters
    ----------
    fused : Fused
        One input; its first output are the spikes. None came before the first step.
    x : [T, B*N] tensor
    taps : [N, N, n_taps] tensor
        From i to j, as for `connections.delay_products.synaptic`.
    start : [N, N] int32 tensor
    parameters, states : mapping of str to tensor
        As in `Fused`.

    Returns
    -------
    outputs : tuple of [T, B*N] tensors
    states : dict of [B*N] tensors
    """
    step = fused.step
    flat = (
        *(parameters[p].reshape(-1) for p in step.parameters), *(states[s] for s in step.states),
    )  # fmt: skip
    found = fused.marks(x.shape[0], x.shape[1], (x, taps, *flat))
    results: Tensors = _Node.apply(fused, found, x, taps.contiguous(), start.contiguous(), *flat)  # type: ignore[no-untyped-call]
    if found is not None:
        attach_marks(results[0], found)
    n = len(step.outputs)
    return results[:n], dict(zip(step.states, results[n:], strict=True))


class _Node(torch.autograd.Function):
    """Saves the total current."""

    @staticmethod
    def forward(
        ctx: Any,
        fused: Fused,
        found: Marks | None,
        x: torch.Tensor,
        taps: torch.Tensor,
        start: torch.Tensor,
        *flat: torch.Tensor,
    ) -> Tensors:
        step = fused.step
        parameters = flat[: len(step.parameters)]
        ctx.fused, ctx.per_neuron = fused, varied(step, parameters)
        ctx.wanted = chosen(step.parameters, ctx.needs_input_grad[5 : 5 + len(parameters)])
        current, outputs, ends = _run(fused, found, x, taps, start, flat)
        ctx.save_for_backward(current, taps, start, *flat)
        return (*outputs, *ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        fused: Fused = ctx.fused
        current, taps, start, *flat = ctx.saved_tensors
        n, n_parameters = start.shape[0], len(fused.step.parameters)
        parameters, states = flat[:n_parameters], flat[n_parameters:]
        spikes, trace = replay(fused, current, parameters, states)
        feedback = _Feedback(current, taps.detach().numpy(), start.numpy())
        by_current, by_lane, by_state = walk_back(
            ctx, current, feedback, parameters, states, trace, gradients
        )
        by_taps = None
        if ctx.needs_input_grad[3]:
            events = events_of(spikes.reshape(len(spikes), -1, n))
            later = torch.cat((by_current[1:], torch.zeros_like(by_current[:1])))
            later = later.reshape(len(spikes), -1, n)
            by_taps = correlate(events, start.numpy(), taps.shape[2], later.numpy())
        lanes = iter(by_lane)
        by_parameter = [
            reduced(torch.from_numpy(next(lanes)), value) if p in ctx.wanted else None
            for p, value in zip(fused.step.parameters, parameters, strict=True)
        ]
        by_states = map(torch.from_numpy, by_state)
        return (None, None, by_current, by_taps, None, *by_parameter, *by_states)


def _run(
    fused: Fused,
    found: Marks | None,
    x: torch.Tensor,
    taps: torch.Tensor,
    start: torch.Tensor,
    flat: Tensors,
) -> tuple[torch.Tensor, Tensors, Tensors]:
    """Step through time; return the total current, the outputs and the states at the end."""
    step, n = fused.step, start.shape[0]
    n_steps, total = x.shape
    n_parameters = len(step.parameters)
    kernel = fused.forward(x.dtype, varied(step, flat[:n_parameters]))
    current = x.detach().clone(memory_format=torch.contiguous_format)
    outputs = tuple(torch.empty_like(current) for _ in step.outputs)
    totals, written = current.numpy(), arrays(outputs)
    values, words = arrays(flat[:n_parameters]), fused.words(found)
    states = [s.copy() for s in arrays(flat[n_parameters:])]
    starts, weights = start.numpy(), taps.detach().numpy()
    width = buffer_width(n_steps + 1, int(starts.max()), taps.shape[2], taps.element_size())
    future = np.zeros((total // n, n, width), weights.dtype)
    for t in range(n_steps):
        totals[t] += future[:, :, t].reshape(-1)
        run_blocks(
            kernel, -(-total // _BLOCK), total, _BLOCK, totals[t : t + 1], *values, *states,
            *(w[t : t + 1] for w in written), *states, *(w[t : t + 1] for w in words),
        )  # fmt: skip
        spikes = written[0][t].reshape(-1, n)
        run_blocks(
            kernels.deliver_step, len(spikes), int(spikes.sum()) * n, t, spikes, starts, weights,
            future,
        )  # fmt: skip
    return current, outputs, tuple(torch.from_numpy(s) for s in states)


class _Feedback:
    """What spikes cause through delays in later steps, backwards in time."""

    def __init__(self, current: torch.Tensor, taps: np.ndarray, start: np.ndarray) -> None:
        n = start.shape[0]
        self.taps, self.start = taps, start
        self.n_samples = current.shape[1] // n
        self.blocks = -(-self.n_samples // LANES)
        lanes = self.blocks * LANES
        self.adjoints = np.zeros((current.shape[0], n, lanes), taps.dtype)
        self.out = np.empty((n, lanes), taps.dtype)

    def __call__(self, t: int, by_current: torch.Tensor, first: torch.Tensor) -> None:
        """Add the adjoint that spikes of step t receive from later currents to `first`."""
        n = self.start.shape[0]
        later = by_current[t + 1].reshape(-1, n).numpy()
        self.adjoints[t + 1, :, : self.n_samples] = later.T
        run_blocks(
            kernels.collect_step, self.blocks, self.taps.size * self.n_samples, t, self.start,
            self.taps, self.adjoints, self.out,
        )  # fmt: skip
        view = first.numpy().reshape(-1, n)
        view += self.out[:, : self.n_samples].T
