"""One autograd node for a whole sequence: the kernels of a step as a function of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.cuda import launcher
from neurosim.bridge.events import attach_marks
from neurosim.bridge.kernels import buffers
from neurosim.bridge.kernels.emit import Variant, emit_backward, emit_forward
from neurosim.bridge.kernels.marks import Marks
from neurosim.bridge.kernels.step import Program, Step, lower
from neurosim.bridge.kernels.threads import run_blocks
from neurosim.bridge.kernels.vector import WORD
from neurosim.bridge.surrogate import Surrogate
from neurosim.engines.cpu.compile import load

#: Bytes of a block's tape of states: half of a usual second-level cache.
_TAPE = 1 << 18
_LARGEST, _SMALLEST = 1024, 64
Tensors = tuple[torch.Tensor, ...]
Kernel = Callable[..., None]


@cache
def _forward(step: Step, variant: Variant, recurrent: bool) -> Kernel:
    source = emit_forward(lower(step), variant, recurrent=recurrent)
    kernel: Kernel = load(f"bridge_{step.name}", source).forward
    return kernel


@cache
def _backward(
    step: Step, variant: Variant, psi: str, psi_names: tuple[str, ...], wanted: frozenset[str]
) -> Kernel:
    surrogate = Surrogate("kernel", psi, tuple((n, 0.0) for n in psi_names))
    source = emit_backward(lower(step), variant, surrogate.expression, psi_names, wanted)
    kernel: Kernel = load(f"bridge_{step.name}_gradient", source).backward
    return kernel


@dataclass(frozen=True)
class Fused:
    """A step with its surrogate, ready to be run over sequences.

    Parameters
    ----------
    step : Step
    surrogate : Surrogate
    """

    step: Step
    surrogate: Surrogate

    @property
    def program(self) -> Program:
        """The lowered step."""
        return lower(self.step)

    def forward(
        self, dtype: torch.dtype, per_neuron: frozenset[str], *, recurrent: bool = False
    ) -> Kernel:
        """Return the compiled forward kernel of a variant."""
        return _forward(self.step, Variant(_precision(dtype), per_neuron), recurrent)

    def backward(
        self, dtype: torch.dtype, per_neuron: frozenset[str], wanted: frozenset[str]
    ) -> Kernel:
        """Return the compiled backward kernel of a variant."""
        names = tuple(n for n, _ in self.surrogate.parameters)
        variant = Variant(_precision(dtype), per_neuron)
        return _backward(self.step, variant, self.surrogate.text, names, wanted)

    def psi(self, dtype: torch.dtype) -> np.ndarray:
        """Return the parameters of the surrogate as the backward kernel takes them."""
        return np.array([v for _, v in self.surrogate.parameters], _precision(dtype))

    def __call__(
        self,
        inputs: Mapping[str, torch.Tensor],
        parameters: Mapping[str, torch.Tensor],
        states: Mapping[str, torch.Tensor],
    ) -> tuple[Tensors, dict[str, torch.Tensor]]:
        """Run the step over a sequence.

        Parameters
        ----------
        inputs : mapping of str to [T, M] tensor
            float32 or float64, on the CPU; what a GPU takes says `cuda.function.run`.
        parameters : mapping of str to tensor
            One value, or [N] with N a divisor of M, repeated.
        states : mapping of str to [M] tensor

        Returns
        -------
        outputs : tuple of [T, M] tensors
        states : dict of [M] tensors
            After the last step.
        """
        step = self.step
        device = launcher.launcher_for(inputs[step.inputs[0]].device)
        if device is not None:
            from neurosim.bridge.cuda.function import run

            return run(device, self, inputs, parameters, states)
        flat = (
            *(inputs[n] for n in step.inputs),
            *(parameters[p].reshape(-1) for p in step.parameters),
            *(states[s] for s in step.states),
        )  # fmt: skip
        n_steps, total = flat[0].shape
        found = self.marks(n_steps, total, flat)
        results: Tensors = _Node.apply(self, found, *flat)  # type: ignore[no-untyped-call]
        n = len(step.outputs)
        if found is not None:
            attach_marks(results[0], found)
        return results[:n], dict(zip(step.states, results[n:], strict=True))

    def marks(self, n_groups: int, lanes: int, flat: Tensors) -> Marks | None:
        """Return marks for the spikes of a kernel, if they can be kept with the output."""
        differentiable = torch.is_grad_enabled() and any(t.requires_grad for t in flat)
        return Marks.empty(n_groups, lanes) if differentiable and self.program.spiking else None

    def words(self, found: Marks | None) -> tuple[np.ndarray, ...]:
        """Return the last argument of a forward kernel, if it has one for marks."""
        if not self.program.spiking:
            return ()
        return (np.empty((0, 0), np.uint64) if found is None else found.by_group,)


def _precision(dtype: torch.dtype) -> str:
    return "float64" if dtype == torch.float64 else "float32"


def varied(step: Step, parameters: Sequence[torch.Tensor]) -> frozenset[str]:
    """Return the parameters that have one value a neuron."""
    return frozenset(p for p, v in zip(step.parameters, parameters, strict=True) if v.numel() > 1)


def chosen(names: Sequence[str], flags: Sequence[bool]) -> frozenset[str]:
    """Return the names whose flag is set."""
    return frozenset(n for n, flag in zip(names, flags, strict=True) if flag)


def arrays(tensors: Any) -> list[np.ndarray]:
    """Return contiguous arrays that share memory with tensors where those are contiguous."""
    return [t.detach().contiguous().numpy() for t in tensors]


def block_size(n_steps: int, n_states: int, itemsize: int, total: int) -> int:
    """Return the neurons of a block: as many as keep the tape in the cache, in whole words."""
    fitting = _TAPE // max(1, n_steps * n_states * itemsize) // WORD * WORD
    return max(1, min(total, _LARGEST, max(_SMALLEST, fitting)))


class _Node(torch.autograd.Function):
    """Saves its inputs only; the backward kernel recomputes the states."""

    @staticmethod
    def forward(ctx: Any, fused: Fused, found: Marks | None, *flat: torch.Tensor) -> Tensors:
        step = fused.step
        first = flat[0]
        n_inputs, n_parameters = len(step.inputs), len(step.parameters)
        parameters = flat[n_inputs : n_inputs + n_parameters]
        needs = ctx.needs_input_grad[2 + n_inputs : 2 + n_inputs + n_parameters]
        ctx.fused = fused
        ctx.per_neuron, ctx.wanted = varied(step, parameters), chosen(step.parameters, needs)
        ctx.save_for_backward(*flat)
        outputs = tuple(buffers.empty(first.shape, first.dtype) for _ in step.outputs)
        ends = tuple(first.new_empty(first.shape[1]) for _ in step.states)
        total = first.shape[1]
        size = block_size(first.shape[0], len(step.states), first.element_size(), total)
        run_blocks(
            fused.forward(first.dtype, ctx.per_neuron), -(-total // size), first.numel(), size,
            *arrays(flat), *arrays(outputs), *arrays(ends), *fused.words(found),
        )  # fmt: skip
        return (*outputs, *ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        fused: Fused = ctx.fused
        step, flat = fused.step, ctx.saved_tensors
        first, total = flat[0], flat[0].shape[1]
        n_inputs = len(step.inputs)
        parameters = flat[n_inputs : n_inputs + len(step.parameters)]
        by_input = [buffers.empty(first.shape, first.dtype) for _ in step.inputs]
        by_lane = [first.new_empty(total) for p in step.parameters if p in ctx.wanted]
        by_state = [first.new_empty(total) for _ in step.states]
        size = block_size(first.shape[0], len(step.states), first.element_size(), total)
        kernel = fused.backward(first.dtype, ctx.per_neuron, ctx.wanted)
        run_blocks(
            kernel, -(-total // size), 3 * first.numel(), size,
            *arrays(flat), fused.psi(first.dtype), *arrays(gradients),
            *arrays(by_input), *arrays(by_lane), *arrays(by_state),
        )  # fmt: skip
        lanes = iter(by_lane)
        by_parameter = [
            reduced(next(lanes), value) if p in ctx.wanted else None
            for p, value in zip(step.parameters, parameters, strict=True)
        ]
        return (None, None, *by_input, *by_parameter, *by_state)


def reduced(lanes: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return a parameter's gradient from that of every lane; summed in double precision."""
    if parameter.numel() == 1:
        return lanes.sum(dtype=torch.float64).to(lanes.dtype).reshape(parameter.shape)
    summed = lanes.reshape(-1, parameter.numel()).sum(0, dtype=torch.float64)
    return summed.to(lanes.dtype).reshape(parameter.shape)
