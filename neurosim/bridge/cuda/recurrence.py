"""Recurrence on a GPU: the counterpart of `neurons.recurrence` and `neurons.delayed_recurrence`.

Forward, a sequence is one launch. Backward, what spikes cause in later steps takes one product a
step, so each step is a few launches; captured into a graph, they cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.cuda.delays import collect, correlate
from neurosim.bridge.cuda.emit import StepKernels
from neurosim.bridge.cuda.emit_recurrent import recurrent_kernel
from neurosim.bridge.cuda.function import gradient_of, run, scalars, step_source, values
from neurosim.bridge.cuda.launcher import THREADS, Argument, Launcher
from neurosim.bridge.cuda.source import written
from neurosim.bridge.kernels.function import Fused, Tensors, chosen, reduced, varied
from neurosim.bridge.kernels.step import Step, lower

#: Threads of a block: the smallest number that is not below the neurons of a sample.
_SIZES = (64, 128, 256, 512, 1024)
Feedback = Callable[[int, torch.Tensor, torch.Tensor], None]


@cache
def _source(
    step: Step, per_neuron: frozenset[str], real: torch.dtype, threads: int, delayed: bool
) -> str:
    kernels = StepKernels(lower(step), per_neuron, None)
    head = written("compact.cuh", real=real, NS_THREADS=threads, NS_LOOKS=2)
    return f'{head}\n#line 1 "{step.name}"\n' + recurrent_kernel(kernels, delayed=delayed)


@dataclass(frozen=True)
class _Run:
    """A step of neurons and how they are run, without tensors."""

    launcher: Launcher
    fused: Fused

    @property
    def step(self) -> Step:
        """What a neuron does."""
        return self.fused.step

    def forward(
        self, x: torch.Tensor, n: int, own: Sequence[Argument], flat: Tensors, *, delayed: bool
    ) -> tuple[torch.Tensor, Tensors, Tensors]:
        """Return the total current, the outputs and the states at the end."""
        step, (n_steps, total) = self.step, x.shape
        parameters, states = self.split(flat)
        current, *outputs = (
            self.launcher.empty(x.shape, x, x.dtype) for _ in range(1 + len(step.outputs))
        )
        ends = tuple(self.launcher.empty((total,), x, x.dtype) for _ in step.states)
        threads = next((size for size in _SIZES if size >= n), _SIZES[-1])
        source = _source(step, varied(step, parameters), x.dtype, threads, delayed)
        n_samples = total // max(1, n)
        self.launcher.start(
            source, "recurrent", n_samples,
            [np.int32(n_steps), np.int32(n_samples), np.int32(n), x.contiguous(), *own,
             *values(parameters), *states, current, *outputs, *ends],
            threads=threads,
        )  # fmt: skip
        return current, tuple(outputs), ends

    def split(self, flat: Sequence[torch.Tensor]) -> tuple[Tensors, Tensors]:
        """Return parameters and states."""
        n = len(self.step.parameters)
        return tuple(flat[:n]), tuple(flat[n:])

    def replay(self, current: torch.Tensor, flat: Tensors) -> tuple[torch.Tensor, Tensors]:
        """Return the spikes and the states after every step."""
        step, (parameters, states) = self.step, self.split(flat)
        names = (step.outputs[0], *step.states)
        traced = Step(
            step.name, step.states, step.inputs, step.parameters, step.program, names, step.strict
        )
        (spikes, *trace), _ = run(
            self.launcher, Fused(traced, self.fused.surrogate), {step.inputs[0]: current},
            dict(zip(step.parameters, parameters, strict=True)),
            dict(zip(step.states, states, strict=True)),
        )  # fmt: skip
        return spikes, tuple(trace)

    def walk_back(
        self,
        current: torch.Tensor,
        flat: Tensors,
        trace: Tensors,
        gradients: Tensors,
        wanted: frozenset[str],
        feedback: Feedback,
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Return the adjoints of the current, of the lanes of wanted parameters, of the states.

        ``feedback(t, by_current, first)`` adds what spikes of step t cause in later currents,
        whose adjoints are in `by_current` already, to `first`.
        """
        step, surrogate = self.step, self.fused.surrogate
        parameters, states = self.split(flat)
        n_steps, total = current.shape
        by_output = gradients[: len(step.outputs)]
        by_state = [g.clone() for g in gradients[len(step.outputs) :]]
        by_current = self.launcher.empty(current.shape, current, current.dtype)
        first = self.launcher.empty((total,), current, current.dtype)
        lane = [torch.empty_like(first) for _ in wanted]
        lanes = [torch.zeros_like(first) for _ in wanted]
        source = step_source(
            step, varied(step, parameters), current.dtype, gradient_of(surrogate, wanted)
        )
        for t in range(n_steps - 1, -1, -1):
            first.copy_(by_output[0][t])
            if t + 1 < n_steps:
                feedback(t, by_current, first)
            begun = states if t == 0 else tuple(s[t - 1] for s in trace)
            self.launcher.start(
                source, "backward", total,
                [np.int32(1), np.int64(total), current[t], *values(parameters), *begun,
                 *scalars(surrogate, current.dtype), first, *(g[t] for g in by_output[1:]),
                 *by_state, by_current[t], *lane, *by_state],
                each=THREADS,
            )  # fmt: skip
            for done, more in zip(lanes, lane, strict=True):
                done += more
        return by_current, lanes, by_state

    def by_parameter(
        self, flat: Tensors, wanted: frozenset[str], lanes: list[torch.Tensor]
    ) -> list[torch.Tensor | None]:
        """Return the gradients of the step's parameters."""
        found = iter(lanes)
        parameters, _ = self.split(flat)
        return [
            reduced(next(found), value) if p in wanted else None
            for p, value in zip(self.step.parameters, parameters, strict=True)
        ]


class _AtOnce(torch.autograd.Function):
    """Spikes come back a step later; saves the total current."""

    @staticmethod
    def forward(
        ctx: Any,
        task: _Run,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        before: torch.Tensor,
        *flat: torch.Tensor,
    ) -> Tensors:
        n = weight.shape[0]
        wanted = ctx.needs_input_grad[5 : 5 + len(task.step.parameters)]
        ctx.task, ctx.wanted = task, chosen(task.step.parameters, wanted)
        table = weight.t().contiguous()
        own: list[Argument] = [
            table, table if bias is None else bias.contiguous(), np.int32(bias is not None),
            before.contiguous(),
        ]  # fmt: skip
        current, outputs, ends = task.forward(x, n, own, flat, delayed=False)
        ctx.save_for_backward(current, weight, before, *flat)
        return (*outputs, *ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        current, weight, before, *rest = ctx.saved_tensors
        task: _Run = ctx.task
        flat, n = tuple(rest), weight.shape[0]
        spikes, trace = task.replay(current, flat)

        def feedback(t: int, by_current: torch.Tensor, first: torch.Tensor) -> None:
            first.view(-1, n).addmm_(by_current[t + 1].view(-1, n), weight)

        by_current, lanes, by_state = task.walk_back(
            current, flat, trace, gradients, ctx.wanted, feedback
        )
        rows = by_current.reshape(-1, n)
        by_weight = by_bias = by_before = None
        if ctx.needs_input_grad[2]:
            shifted = torch.cat((before[None], spikes))[: len(spikes)]
            by_weight = rows.t() @ shifted.reshape(rows.shape)
        if ctx.needs_input_grad[3]:
            by_bias = rows.sum(0)
        if ctx.needs_input_grad[4] and len(by_current):
            by_before = (by_current[0].reshape(-1, n) @ weight).reshape(-1)
        by_parameter = task.by_parameter(flat, ctx.wanted, lanes)
        return (None, by_current, by_weight, by_bias, by_before, *by_parameter, *by_state)


class _Delayed(torch.autograd.Function):
    """Spikes come back through delays; saves the total current."""

    @staticmethod
    def forward(
        ctx: Any,
        task: _Run,
        x: torch.Tensor,
        taps: torch.Tensor,
        start: torch.Tensor,
        largest: int,
        *flat: torch.Tensor,
    ) -> Tensors:
        n, n_taps = start.shape[0], taps.shape[2]
        wanted = ctx.needs_input_grad[5 : 5 + len(task.step.parameters)]
        ctx.task, ctx.wanted = task, chosen(task.step.parameters, wanted)
        width = largest + n_taps
        ring = task.launcher.empty((x.shape[1] * width,), x, x.dtype).zero_()
        own: list[Argument] = [start, taps, np.int32(n_taps), np.int32(width), ring]
        current, outputs, ends = task.forward(x, n, own, flat, delayed=True)
        ctx.save_for_backward(current, taps, start, *flat)
        return (*outputs, *ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        current, taps, start, *rest = ctx.saved_tensors
        task: _Run = ctx.task
        flat, n = tuple(rest), start.shape[0]
        spikes, trace = task.replay(current, flat)
        turned = taps.permute(1, 2, 0).contiguous(), start.t().contiguous()

        def feedback(t: int, by_current: torch.Tensor, first: torch.Tensor) -> None:
            collect(task.launcher, t + 1, *turned, by_current, first)

        by_current, lanes, by_state = task.walk_back(
            current, flat, trace, gradients, ctx.wanted, feedback
        )
        by_taps = None
        if ctx.needs_input_grad[2]:
            later = torch.cat((by_current[1:], torch.zeros_like(by_current[:1])))
            shape = (len(spikes), -1, n)
            by_taps = correlate(
                task.launcher, spikes.reshape(shape), start, taps.shape[2], later.reshape(shape)
            )
        by_parameter = task.by_parameter(flat, ctx.wanted, lanes)
        return (None, by_current, by_taps, None, None, *by_parameter, *by_state)


def recurrent(
    launcher: Launcher,
    fused: Fused,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    before: torch.Tensor,
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, torch.Tensor],
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    """Run a step whose input is ``x[t] + bias + weight @ spikes[t-1]``.

    Parameters and results as those of `neurons.recurrence.recurrent`; all in float32 or float64.
    """
    flat = _flat(fused.step, parameters, states)
    results: Tensors = _AtOnce.apply(_Run(launcher, fused), x, weight, bias, before, *flat)  # type: ignore[no-untyped-call]
    return _named(fused.step, results)


def delayed_recurrent(
    launcher: Launcher,
    fused: Fused,
    x: torch.Tensor,
    taps: torch.Tensor,
    start: torch.Tensor,
    largest: int,
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, torch.Tensor],
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    """Run a step whose input is x and its own spikes, delayed.

    Parameters and results as those of `neurons.delayed_recurrence.delayed_recurrent`, and the
    largest start that can be; all in float32 or float64.
    """
    flat = _flat(fused.step, parameters, states)
    results: Tensors = _Delayed.apply(
        _Run(launcher, fused), x, taps.contiguous(), start.contiguous(), largest, *flat
    )  # type: ignore[no-untyped-call]
    return _named(fused.step, results)


def _flat(
    step: Step, parameters: Mapping[str, torch.Tensor], states: Mapping[str, torch.Tensor]
) -> Tensors:
    return (
        *(parameters[p].reshape(-1).contiguous() for p in step.parameters),
        *(states[s].contiguous() for s in step.states),
    )


def _named(step: Step, results: Tensors) -> tuple[Tensors, dict[str, torch.Tensor]]:
    n = len(step.outputs)
    return results[:n], dict(zip(step.states, results[n:], strict=True))
