"""Recurrent: neurons that see their own spikes of the step before."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.bridge.cuda import launcher
from neurosim.bridge.cuda.source import computed_in
from neurosim.bridge.eager import eager_only
from neurosim.bridge.events import inherit
from neurosim.bridge.kernels.function import Fused, Tensors
from neurosim.bridge.kernels.step import Step
from neurosim.bridge.layer import Layer, State
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.delayed_recurrence import delayed_recurrent
from neurosim.bridge.neurons.recurrence import recurrent
from neurosim.bridge.neurons.running import (
    adopt_shapes,
    clear_running,
    declare_running,
    keep_running,
    running_states,
)
from neurosim.bridge.surrogate import Surrogate
from neurosim.errors import ParameterError


class Recurrent(Layer):
    """Neurons whose input is ``x[t] + connection(spikes[t-1])`` (snnTorch's ``RLeaky``).

    Parameters
    ----------
    neuron : Neuron
        Any neuron with one input.
    connection : nn.Module or tensor
        What feeds the spikes back: ``nn.Linear(n, n)`` (all to all; fused), a tensor V of one
        value or the shape of the layer (each neuron to itself; fused, and learnt if it is an
        ``nn.Parameter``), a ``DelayedLinear(n, n, ...)`` (a spike takes its delay and one step
        more; fused), or any module that maps [B, *shape] to [B, *shape], such as
        ``nn.Conv2d``, or another layer of this package: the neurons are then stepped through
        time.
    stateful : bool, default False
        As in `Neuron`; that of `neuron` must be False. The state of the connection (such as the
        spikes that are still on their way) is kept, too.

    Raises
    ------
    ParameterError
        If the neuron keeps a state of its own, has several inputs, or does not spike.

    Examples
    --------
    >>> from neurosim.bridge.neurons.lif import LIF
    >>> layer = Recurrent(LIF(beta=0.0), torch.tensor(3.0))
    >>> layer(torch.tensor([2.0, 0, 0, 0]).reshape(4, 1, 1))[0].flatten().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self, neuron: Neuron, connection: nn.Module | torch.Tensor, *, stateful: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(neuron, Neuron):
            raise ParameterError(
                f"Recurrent: {neuron!r} is no layer of neurons of this package; write "
                "Recurrent(LIF(n, beta=0.9), nn.Linear(n, n)), neurons first."
            )
        if neuron.stateful or len(neuron.step.inputs) != 1 or neuron.step.outputs != ("spk",):
            raise ParameterError(
                f"Recurrent: {neuron!r} must spike, have one input, and not be stateful itself; "
                "write Recurrent(..., stateful=True)."
            )
        self.neuron = neuron
        self.stateful = stateful
        self.connection: nn.Module | None
        if isinstance(connection, nn.Module):
            self.connection = connection
        else:
            self.connection = None
            self._hold_V(connection)
        if stateful:
            declare_running(self, (*neuron.step.states, "spk"))

    def _hold_V(self, V: Any) -> None:
        if not isinstance(V, torch.Tensor):
            raise ParameterError(
                f"Recurrent: connection = {V!r}; a module or a tensor is needed, such as "
                "nn.Linear(n, n) or torch.ones(n)."
            )
        if isinstance(V, nn.Parameter):
            self.V = V
        else:
            self.register_buffer("V", V.detach().clone())

    @eager_only
    def forward(
        self, x: torch.Tensor, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Run the neurons over a sequence.

        Parameters
        ----------
        x : [T, B, *shape] tensor
        state : dict, optional
            The neuron's states and ``"spk"``, the spikes before the first step, [B, *shape] each;
            for a connection with a state of its own also ``"connection"``.

        Returns
        -------
        out : [T, B, *shape] tensor
        state : dict

        Raises
        ------
        ParameterError
            For a tensor of wrong shape or type.
        """
        given = dict(running_states(self) if state is None else state)
        before = given.pop("spk", None)
        inner = given.pop("connection", None)
        if self.connection is None:
            out, final = self._elementwise(x, given, before)
        elif self._fuses(x):
            if isinstance(self.connection, DelayedLinear):
                out, final = self._delayed(x, given, before, inner)
            else:
                out, final = self._all_to_all(x, given, before)
        else:
            out, final = self._stepped(x, given, before, inner)
        if self.stateful:
            keep_running(self, final)
        return out, final

    def reset_state(self) -> None:
        """Forget the running state."""
        if self.stateful:
            clear_running(self)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        if self.stateful:
            adopt_shapes(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def _fuses(self, x: torch.Tensor) -> bool:
        """Whether the recurrence can run in the kernel."""
        connection = self.connection
        delayed = isinstance(connection, DelayedLinear) and not connection.stateful
        return (
            (isinstance(connection, nn.Linear) or delayed)
            and isinstance(self.neuron.spike_grad, Surrogate)
            and isinstance(x, torch.Tensor)
            and (x.device.type == "cpu" or launcher.launcher_for(x.device) is not None)
        )

    def _elementwise(
        self, x: torch.Tensor, state: dict[str, Any], before: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Run with V as one more parameter of the step and the spikes as one more state."""
        step = fed_back(self.neuron.step)
        state = state if before is None else state | {"spk": before}
        outputs, final = self.neuron.run(step, x, state or None, extra={"V": self.V})
        return outputs[0], final

    def _all_to_all(
        self, x: torch.Tensor, state: dict[str, Any], before: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        assert isinstance(self.connection, nn.Linear)
        surrogate = self.neuron.spike_grad
        assert isinstance(surrogate, Surrogate)
        neuron, weight, bias = self.neuron, self.connection.weight, self.connection.bias
        n = weight.shape[0]
        if x.dim() != 3 or x.shape[2] != n or weight.shape[1] != n:
            raise ParameterError(
                f"Recurrent: the input has shape {tuple(x.shape)} and the connection maps "
                f"{weight.shape[1]} to {n}; [T, B, n] and a square connection of n are needed."
            )
        ready = neuron.prepare(neuron.step, x, state or None)
        like = _computed(ready.inputs[neuron.step.inputs[0]])
        start = torch.zeros_like(like[0]) if like.shape[0] else like.new_zeros(like.shape[1:])
        if before is not None:
            start = neuron.fitted("spk", before, like)
        with torch.autocast(like.device.type, enabled=False):
            out, final = _dense(
                Fused(neuron.step, surrogate), like, weight.to(like),
                None if bias is None else bias.to(like), start, ready.coefficients, ready.states,
            )  # fmt: skip
        final["spk"] = out[0][-1] if len(like) else start
        return inherit(out[0].to(x.dtype), out[0]), final

    def _delayed(
        self, x: torch.Tensor, state: dict[str, Any], before: Any, inner: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Run with delays in the recurrence; what was on its way before is a current like x."""
        connection, neuron, surrogate = self.connection, self.neuron, self.neuron.spike_grad
        assert isinstance(connection, DelayedLinear)
        assert isinstance(surrogate, Surrogate)
        n = connection.in_features
        if x.dim() != 3 or x.shape[2] != n or connection.out_features != n:
            raise ParameterError(
                f"Recurrent: the input has shape {tuple(x.shape)} and the connection maps {n} to "
                f"{connection.out_features}; [T, B, n] and a square connection of n are needed."
            )
        ready = neuron.prepare(neuron.step, x, state or None)
        like = _computed(ready.inputs[neuron.step.inputs[0]])
        start = like.new_zeros(like.shape[1:])
        if before is not None:
            start = neuron.fitted("spk", before, like)
        with torch.autocast(like.device.type, enabled=False):
            current = like
            if before is not None or inner is not None:
                pending = torch.zeros_like(like)
                pending[:1] = start
                current = like + connection(pending, inner)[0]
            elif connection.bias is not None:
                current = like + connection.bias
            outputs, final = _sent_back(
                Fused(neuron.step, surrogate), current.reshape(len(like), start.numel()),
                connection, ready.coefficients,
                {k: v.reshape(-1) for k, v in ready.states.items()},
            )  # fmt: skip
        spikes = inherit(outputs[0].reshape(like.shape), outputs[0])
        after: dict[str, Any] = {k: v.reshape(like.shape[1:]) for k, v in final.items()}
        after["spk"] = spikes[-1] if len(like) else start
        sent = torch.cat((start[None], spikes))[: len(spikes)]
        after["connection"] = connection.after(sent, inner)
        return inherit(spikes.to(x.dtype), spikes), after

    def _stepped(
        self, x: torch.Tensor, state: dict[str, Any], before: Any, inner: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Run step by step, with any connection."""
        ready = self.neuron.prepare(self.neuron.step, x, state or None)
        like = ready.inputs[self.neuron.step.inputs[0]]
        spikes = like.new_zeros(like.shape[1:]) if before is None else before
        final: dict[str, Any] = dict(ready.states)
        out = []
        for row in x.unbind(0):
            current, inner = self._fed(spikes.to(x.dtype), inner)
            if current.shape != row.shape:
                raise ParameterError(
                    f"Recurrent: {self.connection!r} returns {tuple(current.shape)} for spikes of "
                    f"{tuple(spikes.shape)} and input of {tuple(row.shape)}; a connection must "
                    "keep the shape (convolutions: padding='same')."
                )
            (output, *_), final = self.neuron.run(
                self.neuron.step, (row + current)[None], final, keep=False
            )
            spikes = output[0]
            out.append(spikes)
        final = final | {"spk": spikes}
        if inner is not None:
            final["connection"] = inner
        return torch.stack(out) if out else torch.zeros_like(x), final

    def _fed(self, spikes: torch.Tensor, inner: Any) -> tuple[torch.Tensor, Any]:
        """Return what the connection makes of the spikes, and its state."""
        connection = self.connection
        assert connection is not None
        if any(c.__module__.startswith("neurosim.bridge.") for c in type(connection).__mro__):
            current, inner = connection(spikes[None], inner)
            return current[0], inner
        return connection(spikes), None


def fed_back(step: Step) -> Step:
    """Return a step to whose input V times its own spikes of the step before are added."""
    (name,) = step.inputs
    program = re.sub(rf"\b{name}\b", "total", step.program)
    return Step(
        f"{step.name}_fed_back", (*step.states, "spk"), step.inputs, (*step.parameters, "V"),
        f"total = {name} + V*spk\n{program}", step.outputs, step.strict,
    )  # fmt: skip


def _computed(x: torch.Tensor) -> torch.Tensor:
    """Return an input in the precision in which recurrent neurons compute and are fed."""
    return x.to(computed_in(x.dtype))


def _sent_back(
    fused: Fused,
    current: torch.Tensor,
    connection: DelayedLinear,
    parameters: dict[str, torch.Tensor],
    states: dict[str, torch.Tensor],
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    """Run neurons whose spikes return through a connection with delays."""
    first, taps = connection.synapses()
    taps = taps.to(current)
    device = launcher.launcher_for(current.device)
    if device is None:
        return delayed_recurrent(fused, current, taps, first, parameters, states)
    from neurosim.bridge.cuda.recurrence import delayed_recurrent as on_gpu

    largest = connection.largest_start(taps.shape[2])
    return on_gpu(device, fused, current, taps, first, largest, parameters, states)


def _dense(
    fused: Fused,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    before: torch.Tensor,
    parameters: dict[str, torch.Tensor],
    states: dict[str, torch.Tensor],
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    size = x.shape[1:]
    arguments = (
        fused, x.reshape(x.shape[0], size.numel()), weight, bias, before.reshape(-1), parameters,
        {n: v.reshape(-1) for n, v in states.items()},
    )  # fmt: skip
    device = launcher.launcher_for(x.device)
    if device is None:
        outputs, final = recurrent(*arguments)
    else:
        from neurosim.bridge.cuda.recurrence import recurrent as on_gpu

        outputs, final = on_gpu(device, *arguments)
    return tuple(inherit(o.reshape(x.shape), o) for o in outputs), {
        n: v.reshape(size) for n, v in final.items()
    }
