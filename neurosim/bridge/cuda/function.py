"""One autograd node for a whole sequence on a GPU: the counterpart of `kernels.function`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.cuda.emit import SEGMENT, Gradient, StepKernels
from neurosim.bridge.cuda.launcher import THREADS, Argument, Launcher
from neurosim.bridge.cuda.source import FORMATS, beginning, computed_in
from neurosim.bridge.kernels.function import Fused, Tensors, chosen, reduced, varied
from neurosim.bridge.kernels.step import Step, lower
from neurosim.bridge.surrogate import Surrogate


@cache
def step_source(
    step: Step, per_neuron: frozenset[str], io: torch.dtype, gradient: Gradient | None
) -> str:
    """Return the source of the kernels of a step; with a gradient, both of them."""
    kernels = StepKernels(lower(step), per_neuron, gradient)
    text = beginning(computed_in(io)) + f'typedef {FORMATS[io]} IO;\n#line 1 "{step.name}"\n'
    return text + kernels.forward() + ("" if gradient is None else kernels.backward())


def gradient_of(surrogate: Surrogate, wanted: frozenset[str]) -> Gradient:
    """Return what a backward kernel computes; the values of a surrogate do not matter to it."""
    names = tuple((name, 0.0) for name, _ in surrogate.parameters)
    return Gradient(Surrogate("kernel", surrogate.text, names), wanted)


def scalars(surrogate: Surrogate, real: torch.dtype) -> list[np.generic]:
    """Return the parameters of a surrogate as arguments of a kernel."""
    kind = np.float64 if real == torch.float64 else np.float32
    return [kind(value) for _, value in surrogate.parameters]


def values(parameters: Sequence[torch.Tensor]) -> list[Argument]:
    """Return the parameters of a step as arguments of a kernel: tensors, then sizes."""
    return [*parameters, *(np.int32(p.numel()) for p in parameters if p.numel() > 1)]


def run(
    launcher: Launcher,
    fused: Fused,
    inputs: Mapping[str, torch.Tensor],
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, torch.Tensor],
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    """Run a step over a sequence.

    Parameters
    ----------
    launcher : Launcher
    fused : Fused
    inputs : mapping of str to [T, M] tensor
        float32, float64, float16 or bfloat16, all of one type. Outputs have it as well, except
        those that are states.
    parameters : mapping of str to tensor
        float64 for float64 input, else float32. One value, or [N] with N a divisor of M, repeated.
    states : mapping of str to [M] tensor
        Of the precision of the parameters.

    Returns
    -------
    outputs : tuple of [T, M] tensors
    states : dict of [M] tensors
        After the last step.
    """
    step = fused.step
    flat = [
        *(inputs[n] for n in step.inputs), *(parameters[p].reshape(-1) for p in step.parameters),
        *(states[s] for s in step.states),
    ]  # fmt: skip
    flat = [v.contiguous() for v in flat]
    saves = torch.is_grad_enabled() and any(v.requires_grad for v in flat)
    results: Tensors = _Node.apply(launcher, fused, saves, *flat)  # type: ignore[no-untyped-call]
    n = len(step.outputs)
    return results[:n], dict(zip(step.states, results[n:], strict=True))


class _Node(torch.autograd.Function):
    """Saves its inputs, and the states before every `SEGMENT`-th step."""

    @staticmethod
    def forward(
        ctx: Any, launcher: Launcher, fused: Fused, saves: bool, *flat: torch.Tensor
    ) -> Tensors:
        step, first = fused.step, flat[0]
        inputs, parameters, states = _split(step, flat)
        needs = ctx.needs_input_grad[3 + len(inputs) : 3 + len(inputs) + len(parameters)]
        wanted = chosen(step.parameters, needs)
        gradient = gradient_of(fused.surrogate, wanted) if saves else None
        source = step_source(step, varied(step, parameters), first.dtype, gradient)
        n_steps, total = first.shape
        real = computed_in(first.dtype)
        outputs = tuple(
            launcher.empty(first.shape, first, real if o in step.states else first.dtype)
            for o in step.outputs
        )
        ends = tuple(launcher.empty((total,), first, real) for _ in step.states)
        segments = (-(-n_steps // SEGMENT), total)
        kept = tuple(launcher.empty(segments, first, real) for _ in step.states if saves)
        launcher.start(
            source, "forward", total,
            [np.int32(n_steps), np.int64(total), *inputs, *values(parameters), *states, *outputs,
             *ends, *kept],
            each=THREADS,
        )  # fmt: skip
        ctx.launcher, ctx.fused, ctx.wanted, ctx.source = launcher, fused, wanted, source
        ctx.save_for_backward(*inputs, *parameters, *kept)
        return (*outputs, *ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        launcher, step, first = ctx.launcher, ctx.fused.step, ctx.saved_tensors[0]
        inputs, parameters, kept = _split(step, ctx.saved_tensors)
        n_steps, total = first.shape
        real = computed_in(first.dtype)
        by_input = [launcher.empty(first.shape, first, first.dtype) for _ in inputs]
        by_lane = [launcher.empty((total,), first, real) for _ in ctx.wanted]
        by_state = [launcher.empty((total,), first, real) for _ in step.states]
        launcher.start(
            ctx.source, "backward", total,
            [np.int32(n_steps), np.int64(total), *inputs, *values(parameters), *kept,
             *scalars(ctx.fused.surrogate, real), *(g.contiguous() for g in gradients),
             *by_input, *by_lane, *by_state],
            each=THREADS,
        )  # fmt: skip
        lanes = iter(by_lane)
        by_parameter = [
            reduced(next(lanes), value) if p in ctx.wanted else None
            for p, value in zip(step.parameters, parameters, strict=True)
        ]
        return (None, None, None, *by_input, *by_parameter, *by_state)


def _split(step: Step, flat: Sequence[torch.Tensor]) -> tuple[Tensors, Tensors, Tensors]:
    """Return inputs, parameters and what comes after them."""
    a, b = len(step.inputs), len(step.inputs) + len(step.parameters)
    return tuple(flat[:a]), tuple(flat[a:b]), tuple(flat[b:])
