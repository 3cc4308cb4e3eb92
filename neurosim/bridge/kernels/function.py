"""One autograd node for a whole sequence: the kernels of a step as a function of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from neurosim.bridge.kernels.emit import Variant, emit
from neurosim.bridge.kernels.step import Program, Step, lower
from neurosim.bridge.kernels.threads import run_blocks
from neurosim.bridge.surrogate import Surrogate
from neurosim.engines.cpu.compile import load

#: Bytes of a block's tape of states: half of a usual second-level cache.
_TAPE = 1 << 18
_LARGEST, _SMALLEST = 1024, 64
Tensors = tuple[torch.Tensor, ...]


@cache
def _module(step: Step, psi: str, psi_names: tuple[str, ...], variant: Variant) -> ModuleType:
    surrogate = Surrogate("kernel", psi, tuple((n, 0.0) for n in psi_names))
    return load(f"bridge_{step.name}", emit(lower(step), surrogate.expression, psi_names, variant))


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

    def module(
        self, dtype: torch.dtype, per_neuron: frozenset[str], wanted: frozenset[str]
    ) -> ModuleType:
        """Return the compiled kernels of a variant."""
        names = tuple(n for n, _ in self.surrogate.parameters)
        precision = "float64" if dtype == torch.float64 else "float32"
        return _module(
            self.step, self.surrogate.text, names, Variant(precision, per_neuron, wanted)
        )

    def source(self, precision: str = "float32") -> str:
        """Return the source of the kernels with scalar parameters, all of them learnt."""
        names = tuple(n for n, _ in self.surrogate.parameters)
        variant = Variant(precision, wanted=frozenset(self.step.parameters))
        return emit(self.program, self.surrogate.expression, names, variant)

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
            float32 or float64, on the CPU.
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
        flat = (
            *(inputs[n] for n in step.inputs),
            *(parameters[p].reshape(-1) for p in step.parameters),
            *(states[s] for s in step.states),
        )  # fmt: skip
        results: Tensors = _Node.apply(self, *flat)  # type: ignore[no-untyped-call]
        n = len(step.outputs)
        return results[:n], dict(zip(step.states, results[n:], strict=True))


def arrays(tensors: Any) -> list[np.ndarray]:
    """Return contiguous arrays that share memory with tensors where those are contiguous."""
    return [t.detach().contiguous().numpy() for t in tensors]


def block_size(n_steps: int, n_states: int, itemsize: int, total: int) -> int:
    """Return the neurons of a block: as many as keep the tape in the cache, in whole vectors."""
    fitting = _TAPE // max(1, n_steps * n_states * itemsize) // 16 * 16
    return max(1, min(total, _LARGEST, max(_SMALLEST, fitting)))


class _Node(torch.autograd.Function):
    """Saves its inputs only; the backward kernel recomputes the states."""

    @staticmethod
    def forward(ctx: Any, fused: Fused, *flat: torch.Tensor) -> Tensors:
        step = fused.step
        first = flat[0]
        n_inputs, n_parameters = len(step.inputs), len(step.parameters)
        parameters = flat[n_inputs : n_inputs + n_parameters]
        needs = ctx.needs_input_grad[1 + n_inputs : 1 + n_inputs + n_parameters]
        ctx.fused = fused
        ctx.per_neuron = frozenset(
            p for p, v in zip(step.parameters, parameters, strict=True) if v.numel() > 1
        )
        ctx.wanted = frozenset(p for p, n in zip(step.parameters, needs, strict=True) if n)
        ctx.save_for_backward(*flat)
        outputs = tuple(torch.empty_like(first, memory_format=torch.contiguous_format)
                        for _ in step.outputs)  # fmt: skip
        ends = tuple(first.new_empty(first.shape[1]) for _ in step.states)
        # the variant that the backward pass will need: one module compiles both on demand
        module = fused.module(first.dtype, ctx.per_neuron, ctx.wanted)
        total = first.shape[1]
        size = block_size(first.shape[0], len(step.states), first.element_size(), total)
        run_blocks(
            module.forward, -(-total // size), first.numel(), size,
            *arrays(flat), *arrays(outputs), *arrays(ends),
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
        module = fused.module(first.dtype, ctx.per_neuron, ctx.wanted)
        by_input = [torch.empty(first.shape, dtype=first.dtype) for _ in step.inputs]
        by_lane = [first.new_empty(total) for p in step.parameters if p in ctx.wanted]
        by_state = [first.new_empty(total) for _ in step.states]
        psi = np.array([v for _, v in fused.surrogate.parameters], by_state[0].numpy().dtype)
        size = block_size(first.shape[0], len(step.states), first.element_size(), total)
        run_blocks(
            module.backward, -(-total // size), 3 * first.numel(), size,
            *arrays(flat), psi, *arrays(gradients),
            *arrays(by_input), *arrays(by_lane), *arrays(by_state),
        )  # fmt: skip
        lanes = iter(by_lane)
        by_parameter = [
            reduced(next(lanes), value) if p in ctx.wanted else None
            for p, value in zip(step.parameters, parameters, strict=True)
        ]
        return (None, *by_input, *by_parameter, *by_state)


def reduced(lanes: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return a parameter's gradient from that of every lane; summed in double precision."""
    if parameter.numel() == 1:
        return lanes.sum(dtype=torch.float64).to(lanes.dtype).reshape(parameter.shape)
    summed = lanes.reshape(-1, parameter.numel()).sum(0, dtype=torch.float64)
    return summed.to(lanes.dtype).reshape(parameter.shape)
