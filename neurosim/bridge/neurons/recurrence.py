"""All-to-all recurrence as one autograd node: the neurons' spikes return a step later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.connections.products import gather
from neurosim.bridge.events import attach_marks, events_below, marked_below
from neurosim.bridge.kernels.function import Fused, Tensors, arrays, chosen, reduced, varied
from neurosim.bridge.kernels.marks import Marks
from neurosim.bridge.kernels.step import Step
from neurosim.bridge.kernels.threads import run_blocks

#: Neurons of a block: few rows of the batch, so that many threads find work.
_BLOCK = 1024
#: Density of spikes below which the gradient of the weights is gathered at them.
_BREAK_EVEN = 0.15


def recurrent(
    fused: Fused,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    before: torch.Tensor,
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, torch.Tensor],
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    """Run a step whose input is ``x[t] + bias + weight @ spikes[t-1]``.

    The forward kernel adds only the rows of neurons that spiked. The node saves the total input
    current; the backward pass recomputes states and spikes from it, and walks back with one dense
    product per step for what spikes cause in the next one.

    Parameters
    ----------
    fused : Fused
        One input; its first output are the spikes.
    x : [T, B*N] tensor
    weight : [N, N] tensor
    bias : [N] tensor, optional
    before : [B*N] tensor
        Spikes of the step before the first.
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
    n_neurons = weight.shape[0]
    samples = x.shape[0] * (x.shape[1] // max(1, n_neurons))
    found = fused.marks(samples, n_neurons, (x, weight, *flat))
    results: Tensors = _Node.apply(fused, found, x, weight, bias, before, *flat)  # type: ignore[no-untyped-call]
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
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        before: torch.Tensor,
        *flat: torch.Tensor,
    ) -> Tensors:
        step, total = fused.step, x.shape[1]
        n = weight.shape[0]
        parameters = flat[: len(step.parameters)]
        ctx.fused, ctx.found, ctx.has_bias = fused, found, bias is not None
        ctx.per_neuron = varied(step, parameters)
        ctx.wanted = chosen(step.parameters, ctx.needs_input_grad[6 : 6 + len(parameters)])
        current = torch.empty_like(x, memory_format=torch.contiguous_format)
        outputs = tuple(torch.empty_like(current) for _ in step.outputs)
        ends = tuple(x.new_empty(total) for _ in step.states)
        size = n * max(1, _BLOCK // max(1, n))
        offset = x.new_empty(0) if bias is None else bias
        kernel = fused.forward(x.dtype, ctx.per_neuron, recurrent=True)
        run_blocks(
            kernel, -(-total // max(1, size)), 4 * x.numel(), size,
            *arrays((x, *flat, weight.t(), offset, before, current)),
            *arrays(outputs), *arrays(ends), *fused.words(found),
        )  # fmt: skip
        ctx.save_for_backward(current, weight, before, *flat)
        return (*outputs, *ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        fused: Fused = ctx.fused
        step = fused.step
        current, weight, before, *flat = ctx.saved_tensors
        parameters, states = flat[: len(step.parameters)], flat[len(step.parameters) :]
        spikes, trace = replay(fused, current, parameters, states)

        def feedback(t: int, by_current: torch.Tensor, first: torch.Tensor) -> None:
            later = by_current[t + 1].reshape(-1, weight.shape[0])
            first.view_as(later).addmm_(later, weight)

        by_current, by_lane, by_state = walk_back(
            ctx, current, feedback, parameters, states, trace, gradients
        )
        n = weight.shape[0]
        rows = by_current.reshape(-1, n)
        by_before = by_weight = by_bias = None
        if ctx.needs_input_grad[5] and len(by_current):
            by_before = (by_current[0].reshape(-1, n) @ weight).reshape(-1)
        if ctx.needs_input_grad[3]:
            by_weight = _weight_gradient(ctx.found, before.reshape(-1, n), spikes, rows)
        if ctx.has_bias and ctx.needs_input_grad[4]:
            by_bias = rows.sum(0)
        lanes = iter(by_lane)
        by_parameter = [
            reduced(torch.from_numpy(next(lanes)), value) if p in ctx.wanted else None
            for p, value in zip(step.parameters, parameters, strict=True)
        ]
        by_states = (torch.from_numpy(b) for b in by_state)
        by_given = (by_current, by_weight, by_bias, by_before)
        return (None, None, *by_given, *by_parameter, *by_states)


def replay(
    fused: Fused, current: torch.Tensor, parameters: list[torch.Tensor], states: list[torch.Tensor]
) -> tuple[torch.Tensor, list[np.ndarray]]:
    """Return the spikes and the states after every step."""
    step = fused.step
    names = (step.outputs[0], *step.states)
    traced = Step(
        step.name, step.states, step.inputs, step.parameters, step.program, names, step.strict
    )
    (spikes, *trace), _ = Fused(traced, fused.surrogate)(
        {step.inputs[0]: current}, dict(zip(step.parameters, parameters, strict=True)),
        dict(zip(step.states, states, strict=True)),
    )  # fmt: skip
    return spikes, arrays(trace)


def walk_back(
    ctx: Any,
    current: torch.Tensor,
    feedback: Callable[[int, torch.Tensor, torch.Tensor], None],
    parameters: list[torch.Tensor],
    states: list[torch.Tensor],
    trace: list[np.ndarray],
    gradients: tuple[torch.Tensor, ...],
) -> tuple[torch.Tensor, list[np.ndarray], list[np.ndarray]]:
    """Return the adjoints of the current, of every lane of the wanted parameters, of the states.

    ``feedback(t, by_current, first)`` adds what spikes of step t cause in later currents, whose
    adjoints are in `by_current` already, to `first`.
    """
    fused: Fused = ctx.fused
    n_steps, total = current.shape
    n_outputs = len(fused.step.outputs)
    kernel = fused.backward(current.dtype, ctx.per_neuron, ctx.wanted)
    psi = fused.psi(current.dtype)
    x, starts, values = current.numpy(), arrays(states), arrays(parameters)
    by_output = arrays(gradients[:n_outputs])
    by_state = [g.copy() for g in arrays(gradients[n_outputs:])]
    by_current = torch.zeros_like(current)
    by_x = by_current.numpy()
    lane = [np.empty(total, x.dtype) for _ in ctx.wanted]
    lanes = [np.zeros(total, x.dtype) for _ in ctx.wanted]
    first = torch.empty(total, dtype=current.dtype)
    for t in range(n_steps - 1, -1, -1):
        first.copy_(gradients[0][t])
        if t + 1 < n_steps:
            feedback(t, by_current, first)
        begun = starts if t == 0 else [s[t - 1] for s in trace]
        run_blocks(
            kernel, -(-total // _BLOCK), total, _BLOCK, x[t : t + 1], *values, *begun, psi,
            first.numpy()[None], *(g[t : t + 1] for g in by_output[1:]), *by_state,
            by_x[t : t + 1], *lane, *by_state,
        )  # fmt: skip
        for done, more in zip(lanes, lane, strict=True):
            done += more
    return by_current, lanes, by_state


def _weight_gradient(
    found: Marks | None, before: torch.Tensor, spikes: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Return ``rows.T @ (spikes of the step before)``, at the spikes only where they are few.

    Parameters
    ----------
    found : Marks, optional
        Of the spikes.
    before : [B, N] tensor
        Spikes of the step before the first.
    spikes : [T, B*N] tensor
    rows : [T*B, N] tensor
        Adjoints of the current.
    """
    n_samples, n = before.shape
    earlier, later = spikes.reshape(-1, n)[:-n_samples], rows[n_samples:]
    if found is None:  # of graded spikes
        shape = max(0, len(spikes) - 1), n_samples, n
        events = events_below(earlier.reshape(shape), _BREAK_EVEN)
    else:
        events = marked_below(found, len(earlier), n, _BREAK_EVEN)
    if events is None:
        by_weight = later.t() @ earlier
    else:
        by_weight = gather(events.by_column, later, None).t()
    if len(rows) and before.any():
        by_weight = by_weight + rows[:n_samples].t() @ before
    return by_weight.contiguous()
