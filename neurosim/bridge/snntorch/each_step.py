"""Layers that converted networks need: modules applied step by step, and membranes as output."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from neurosim.bridge.container import folded
from neurosim.bridge.kernels.step import Step
from neurosim.bridge.layer import Layer, State
from neurosim.bridge.neurons.base import Neuron
from neurosim.errors import ParameterError


class EachStep(Layer):
    """A module without state that in training sees one time step after the other.

    `BatchNorm` in a loop over time takes the statistics of every step alone and updates its
    running ones once a step; applied to all steps at once it takes those of the whole sequence.
    In evaluation both are the same, and the module is applied in one call.

    Parameters
    ----------
    module : nn.Module
        Applied to [B, ...].

    Examples
    --------
    >>> out, _ = EachStep(nn.BatchNorm1d(2))(torch.arange(12.0).reshape(3, 2, 2))
    >>> out.mean(1).abs().max().item() < 1e-6  # every step is normalised
    True
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(
        self, x: torch.Tensor, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Apply the module; it has no state.

        Parameters
        ----------
        x : [T, B, ...] tensor
        state : None

        Returns
        -------
        out : [T, B, ...] tensor
        state : dict
            Empty.
        """
        if self.training and len(x):
            return torch.stack([self.module(row) for row in x.unbind(0)]), {}
        return folded(self.module, x), {}


class MembraneOutput(Layer):
    """A neuron whose output is its membrane after every step, not its spikes.

    What a loop over snnTorch's neurons collects as ``mem_rec``.

    Parameters
    ----------
    neuron : Neuron
        With a state ``mem``.

    Raises
    ------
    ParameterError
        If it has none.

    Examples
    --------
    >>> from neurosim.bridge import LIF
    >>> MembraneOutput(LIF(beta=0.5))(torch.ones(3, 1, 1))[0].flatten().tolist()
    [1.0, 1.5, 0.75]
    """

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        if not isinstance(neuron, Neuron) or "mem" not in neuron.step.states:
            raise ParameterError(
                f"MembraneOutput: {neuron!r} has no state 'mem'; a layer such as LIF is needed."
            )
        self.neuron = neuron
        step = neuron.step
        self._step = Step(
            step.name, step.states, step.inputs, step.parameters, step.program, ("mem",),
            step.strict,
        )  # fmt: skip

    def forward(
        self, x: torch.Tensor, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Run the neurons over a sequence.

        Parameters
        ----------
        x : [T, B, *shape] tensor
        state : dict, optional
            As of the neuron.

        Returns
        -------
        mem : [T, B, *shape] tensor
        state : dict
        """
        outputs, final = self.neuron.run(self._step, x, state)
        return outputs[0], final
