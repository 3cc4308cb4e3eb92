"""Neuron: a declared step as a layer, with its parameters, state and checks."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from neurosim.bridge.cuda import launcher
from neurosim.bridge.cuda.source import FORMATS, computed_in
from neurosim.bridge.eager import eager_only
from neurosim.bridge.events import inherit
from neurosim.bridge.kernels.function import Fused, Tensors
from neurosim.bridge.kernels.step import Step, loop
from neurosim.bridge.layer import Layer, State, check_sequence
from neurosim.bridge.neurons.running import (
    adopt_shapes,
    clear_running,
    declare_running,
    keep_running,
    running_states,
)
from neurosim.bridge.surrogate import Surrogate, resolve
from neurosim.errors import ParameterError, unknown_name

#: A parameter as the user gives it: one value, or one a neuron.
Value = float | Sequence[float] | torch.Tensor


class Ready(NamedTuple):
    """What a run needs, checked and converted; by name."""

    inputs: dict[str, torch.Tensor]
    coefficients: dict[str, torch.Tensor]
    states: dict[str, torch.Tensor]


class Neuron(Layer):
    """A layer of neurons that do not see each other, run through time by a fused kernel.

    Parameters
    ----------
    step : Step
        What a neuron does in a time step; its input is `x` of `forward`.
    shape : int or tuple of int, optional
        Shape of the layer without time and batch; input of another shape is an error then.
    spike_grad : Surrogate or callable, optional
        See `surrogate.resolve`; default ``atan()``. With a callable that is not known the layer
        steps through time in plain PyTorch, and warns.
    stateful : bool, default False
        Keep the state after a sequence, detached, in buffers that ``state_dict`` holds, and start
        the next sequence from it; `reset` clears it.
    input_names : sequence of str, optional
        What the user calls the inputs of the step; default: their own names.

    Notes
    -----
    Computes in double precision for float64 input, else in single; the output has the input's
    type. The autograd node of a sequence saves its input only. NaN is passed on, not looked for.
    """

    #: Step for which time constants were given, in their unit; None where decays were given.
    made_for_dt: float | None = None

    def __init__(
        self,
        step: Step,
        *,
        shape: int | Sequence[int] | None,
        spike_grad: Surrogate | Callable[[torch.Tensor], torch.Tensor] | None,
        stateful: bool,
        input_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.step = step
        self.input_names = step.inputs if input_names is None else tuple(input_names)
        self.shape = _checked_shape(type(self).__name__, shape)
        self.spike_grad = resolve(spike_grad)
        self.stateful = stateful
        #: Inputs that are not given but drawn, standard normal, and where from.
        self.drawn_inputs: tuple[str, ...] = ()
        self.generator: torch.Generator | None = None
        if stateful:
            declare_running(self, step.states)
        if not isinstance(self.spike_grad, Surrogate):
            warnings.warn(
                f"{self!r}: spike_grad = {spike_grad!r} is not a formula of neurosim or snnTorch "
                "that can be compiled; this layer steps through time in plain PyTorch, several "
                "times slower. A Surrogate with psi as text is fused.",
                UserWarning,
                stacklevel=4,
            )

    @abc.abstractmethod
    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step: one value each, or one a neuron."""

    def hold(self, name: str, value: Value, *, learn: bool) -> None:
        """Register a value as parameter (if it is to be learnt) or buffer.

        Raises
        ------
        ParameterError
            If it is not made of finite numbers, or does not fit the shape of the layer.
        """
        try:
            tensor = torch.as_tensor(value).detach().clone()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ParameterError(f"{self!r}: {name} = {value!r}; numbers are needed.") from error
        if not tensor.is_floating_point():
            tensor = tensor.to(torch.get_default_dtype())
        if not torch.isfinite(tensor).all():
            raise ParameterError(f"{self!r}: {name} = {value!r} is not finite.")
        if self.shape is not None:
            self._expanded(name, tensor, self.shape)
        if learn:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    def forward(
        self, x: Any, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Run the neurons over a sequence.

        Parameters
        ----------
        x : [T, B, *shape] tensor
            Input current. For a step with several inputs [T, B, n_inputs, *shape], or a dict of
            them in which those left out are 0.
        state : dict of [B, *shape] tensors, optional
            Where to start; default: the running state if `stateful`, else the initial values.

        Returns
        -------
        out : [T, B, *shape] tensor
            Spikes (or the membrane, where the neuron does not spike).
        state : dict of [B, *shape] tensors

        Raises
        ------
        ParameterError
            For a tensor of wrong shape or type.
        """
        outputs, final = self.run(self.step, x, state)
        return outputs[0], final

    def traces(self, x: Any, state: State | None = None) -> dict[str, torch.Tensor]:
        """Return the output and all states at every step, differentiable; stores no state.

        Parameters
        ----------
        x, state
            As in `forward`.

        Returns
        -------
        traces : dict of [T, B, *shape] tensors
            By the name of the output and of each state.
        """
        step = self.step
        names = tuple(dict.fromkeys((*step.outputs, *step.states)))
        traced = Step(
            step.name, step.states, step.inputs, step.parameters, step.program, names, step.strict
        )
        outputs, _ = self.run(traced, x, state, keep=False)
        return dict(zip(names, outputs, strict=True))

    def prepare(
        self,
        step: Step,
        x: Any,
        state: State | None,
        extra: Mapping[str, torch.Tensor] | None = None,
    ) -> Ready:
        """Return checked inputs, coefficients and starting states for a step."""
        inputs = self._inputs(x)
        like = inputs[step.inputs[0]]
        with torch.autocast(like.device.type, enabled=False):
            given = self.coefficients() | dict(extra or {})
            coefficients = {n: self._expanded(n, _as_computed(v, like), like.shape[2:])
                            for n, v in given.items()}  # fmt: skip
        return Ready(inputs, coefficients, self._start(step, state, like))

    @eager_only
    def run(
        self,
        step: Step,
        x: Any,
        state: State | None,
        *,
        extra: Mapping[str, torch.Tensor] | None = None,
        keep: bool = True,
    ) -> tuple[Tensors, dict[str, torch.Tensor]]:
        """Run a step with this layer's parameters; `forward` and `traces` differ in the outputs."""
        ready = self.prepare(step, x, state, extra)
        size = ready.inputs[step.inputs[0]].shape[1:]
        with torch.autocast(ready.inputs[step.inputs[0]].device.type, enabled=False):
            outputs, final = _run(
                step, self.spike_grad, ready.inputs, ready.coefficients, ready.states, size
            )
        given = x if isinstance(x, torch.Tensor) else next(iter(x.values()))
        outputs = tuple(inherit(o.to(given.dtype), o) if n not in step.states else o
                        for n, o in zip(step.outputs, outputs, strict=True))  # fmt: skip
        if self.stateful and keep:
            keep_running(self, final)
        return outputs, final

    def initial(self, name: str) -> torch.Tensor | float:
        """Return the value of a state before any input: 0, unless a buffer ``initial_<name>``."""
        value: torch.Tensor | float = getattr(self, f"initial_{name}", 0.0)
        return value

    def reset_state(self) -> None:
        """Forget the running state."""
        if self.stateful:
            clear_running(self)

    def extra_repr(self) -> str:
        """Return what the representation shows between the parentheses."""
        return "" if self.shape is None else f"shape={self.shape}"

    def _inputs(self, x: Any) -> dict[str, torch.Tensor]:
        names = self.input_names
        if isinstance(x, torch.Tensor) and len(names) == 1:
            given: Mapping[str, Any] = {names[0]: x}
        elif isinstance(x, torch.Tensor):
            if x.dim() < 3 or x.shape[2] != len(names):
                raise ParameterError(
                    f"{self!r}: the input has shape {tuple(x.shape)}; [T, B, {len(names)}, ...] "
                    f"is needed, with one slice for each of {', '.join(names)}, or a dict of them."
                )
            given = dict(zip(names, x.unbind(2), strict=True))
        elif isinstance(x, Mapping) and x:
            given = x
        else:
            check_sequence(self, x)
            raise ParameterError(f"{self!r}: a batch of events cannot be the input of neurons.")
        for name in given:
            if name not in names:
                raise unknown_name("input", name, names, repr(self))
        first = next(iter(given.values()))
        for value in given.values():
            self._check(value, first.shape)
        dtype = first.dtype if self._reads(first) else computed_in(first.dtype)
        zero = None if len(given) == len(names) else torch.zeros_like(first, dtype=dtype)
        inputs = {
            inner: given[name].to(dtype) if name in given else zero
            for name, inner in zip(names, self.step.inputs, strict=False)
        }
        for name in self.drawn_inputs:
            inputs[name] = torch.randn(
                first.shape, generator=self.generator, dtype=dtype, device=first.device
            )
        return inputs  # type: ignore[return-value]

    def _reads(self, x: torch.Tensor) -> bool:
        """Whether kernels read the type of an input as it is."""
        fuses = isinstance(self.spike_grad, Surrogate) and x.dtype in FORMATS
        return fuses and launcher.launcher_for(x.device) is not None

    def _check(self, x: Any, shape: torch.Size) -> None:
        needed = f"[T, B, {', '.join(map(str, self.shape or ('...',)))}]"
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            kind = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
            raise ParameterError(f"{self!r}: the input is {kind}; a float tensor is needed.")
        fits = x.dim() >= 2 and (self.shape is None or tuple(x.shape[2:]) == self.shape)
        if not fits or x.shape != shape:
            hint = ""
            if self.shape is not None and tuple(x.shape[1:]) == self.shape:
                hint = " For a single time step or a single sample, add the missing dimension."
            raise ParameterError(
                f"{self!r}: the input has shape {tuple(x.shape)}; {needed} is needed, with time "
                f"first (for [B, T, ...] use x.transpose(0, 1)).{hint}"
            )

    def _start(
        self, step: Step, state: State | None, like: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the state to start from, every tensor of shape [B, *shape]."""
        if state is not None and not isinstance(state, Mapping):
            raise ParameterError(
                f"{self!r}: the state is a {type(state).__name__}; a dict of tensors such as the "
                f"one that the layer returned is needed, with {', '.join(step.states)}."
            )
        for name in state or {}:
            if name not in step.states:
                raise unknown_name("state", name, step.states, repr(self))
        given = running_states(self) if state is None else state
        return {
            name: self.fitted(name, given[name] if name in given else self.initial(name), like)
            for name in step.states
        }

    def fitted(self, name: str, value: Any, like: torch.Tensor) -> torch.Tensor:
        """Return a state in the precision of an input [T, B, *shape] and the shape [B, *shape].

        Raises
        ------
        ParameterError
            If its shape does not fit.
        """
        value = _as_computed(torch.as_tensor(value), like)
        try:
            fitted: torch.Tensor = value.expand(like.shape[1:])
        except RuntimeError as error:
            raise ParameterError(
                f"{self!r}: state {name!r} has shape {tuple(value.shape)}, but the input needs "
                f"{tuple(like.shape[1:])}. Between batches of different size call "
                "neurosim.bridge.reset(model)."
            ) from error
        return fitted

    def _expanded(self, name: str, value: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Return a parameter as one value, or with the shape of the layer."""
        if value.numel() == 1:
            return value.reshape(())
        try:
            return value.expand(tuple(shape))
        except RuntimeError as error:
            raise ParameterError(
                f"{self!r}: {name} has shape {tuple(value.shape)}, which does not fit a layer of "
                f"shape {tuple(shape)}."
            ) from error

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        if self.stateful:
            adopt_shapes(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _checked_shape(layer: str, shape: Any) -> tuple[int, ...] | None:
    """Return the shape of a layer as a tuple."""
    if shape is None:
        return None
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    if not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ParameterError(
            f"{layer}: shape = {shape!r}; the number of neurons or their shape is the first "
            "argument, such as 128 or (8, 32, 32), and may be left out. Decays and all else are "
            "named: LIF(128, beta=0.9)."
        )
    return sizes


def _run(
    step: Step,
    spike_grad: Any,
    inputs: dict[str, torch.Tensor],
    coefficients: dict[str, torch.Tensor],
    states: dict[str, torch.Tensor],
    size: torch.Size,
) -> tuple[Tensors, dict[str, torch.Tensor]]:
    """Run a step by kernel where that can be, else in plain PyTorch."""
    like = inputs[step.inputs[0]]
    has_kernels = like.device.type == "cpu" or launcher.launcher_for(like.device) is not None
    if not isinstance(spike_grad, Surrogate) or not has_kernels:
        fire = spike_grad if step.strict or not isinstance(spike_grad, Surrogate) else (
            spike_grad.at_or_above)  # fmt: skip
        return loop(step, fire, inputs, coefficients, states)
    n_steps = like.shape[0]
    outputs, final = Fused(step, spike_grad)(
        {n: v.reshape(n_steps, size.numel()) for n, v in inputs.items()},
        coefficients,
        {n: v.reshape(-1) for n, v in states.items()},
    )
    shape = (n_steps, *size)
    outputs = tuple(inherit(o.reshape(shape), o) for o in outputs)
    return outputs, {s: v.reshape(size) for s, v in final.items()}


def _as_computed(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return a parameter or state on the device of an input, in the precision to compute in."""
    return value.to(like.device, computed_in(like.dtype))


def clamped(value: torch.Tensor) -> torch.Tensor:
    """Return a decay factor limited to [0, 1], as snnTorch does in every forward pass."""
    return value.clamp(0, 1)
