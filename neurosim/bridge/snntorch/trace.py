"""The order in which a network uses its modules in a time step, seen in one call."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from neurosim.bridge.layer import Layer, reset
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.snntorch.neurons import snntorch_package
from neurosim.errors import ParameterError

_ADVICE = (
    "Declare the order instead, with a module for what is computed in between, such as "
    'forward_order=["conv", nn.MaxPool2d(2), "lif1", nn.Flatten(), "fc", "lif2"].'
)
#: Share of spikes that may differ from the recorded ones where sums are in another order.
_ROUNDING = 0.05


class Call(NamedTuple):
    """One use of a module: its name, what went in, and what came out (the spikes of a neuron)."""

    name: str
    module: nn.Module
    given: torch.Tensor
    out: torch.Tensor


class Trace(NamedTuple):
    """The calls of every time step."""

    steps: list[list[Call]]

    def chain(self) -> list[tuple[str, nn.Module]]:
        """Return the modules of a time step with their names, `nn.Flatten` where tensors are."""
        found: list[tuple[str, nn.Module]] = []
        before = None
        for call in self.steps[0]:
            if before is not None and call.given is not before.out:
                found.append(("flatten", nn.Flatten()))
            found.append((call.name, call.module))
            before = call
        return found

    def check(self, name: str, layer: nn.Module) -> None:
        """Raise a ParameterError unless a layer, given what a neuron was, fires as it did.

        Raises
        ------
        ParameterError
            If the network did more with the neuron's state than to hand it on.
        """
        if not isinstance(layer, Layer):
            return
        calls = [c for step in self.steps for c in step if c.name == name]
        with torch.no_grad():
            out, _ = layer(torch.stack([c.given for c in calls]), None)
        wrong = (out != torch.stack([c.out for c in calls])).float().mean()
        if wrong > (_ROUNDING if isinstance(layer, Recurrent) else 0):
            raise ParameterError(
                f"{name}: with the same input, the converted neurons fire differently from those "
                "in the network, whose forward must do something to their state besides handing "
                "it from step to step (does it start from zero?). Declare the order with "
                "forward_order if that is meant."
            )


def traced(net: nn.Module, sample: Any) -> Trace:
    """Call a network and return which modules a time step uses, in order.

    Neurons and the largest modules without neurons are watched.

    Parameters
    ----------
    net : nn.Module
    sample : tensor or tuple
        Arguments of ``net.forward``.

    Raises
    ------
    ParameterError
        If the modules are no chain, something is computed between them, or the time steps differ.
    """
    calls: list[Call] = []
    base = snntorch_package().SpikingNeuron
    hooks = [m.register_forward_hook(_recorder(calls, n)) for n, m in _watched("", net, base)]
    arguments = sample if isinstance(sample, tuple) else (sample,)
    try:
        # with gradients, so that input that depends on what was computed before shows it
        with _undisturbed(net), torch.enable_grad():
            net(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
    neurons = {c.name for c in calls if isinstance(c.module, base)}
    length = _period([c.name for c in calls], neurons)
    names = [c.name for c in calls]
    if not length:
        raise ParameterError(
            f"{type(net).__name__}: its forward does not use the same modules in every time step; "
            f"the order was {', '.join(names[:12])}{', ...' * (len(names) > 12)}. {_ADVICE}"
        )
    steps = [calls[k : k + length] for k in range(0, len(calls), length)]
    outer = any(a.requires_grad for a in arguments if isinstance(a, torch.Tensor))
    for step in steps:
        if step[0].given.requires_grad and not outer:
            raise ParameterError(
                f"{step[0].name}: its input depends on what other modules computed, but it is the "
                f"first of a time step; a chain takes its input from outside. {_ADVICE}"
            )
        for before, after in itertools.pairwise(step):
            _check_link(before, after)
    return Trace(steps)


def _watched(name: str, module: nn.Module, base: type) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(module, base) or not any(isinstance(m, base) for m in module.modules()):
        yield name, module
        return
    for key, part in module.named_children():
        yield from _watched(f"{name}.{key}" if name else key, part, base)


def _recorder(calls: list[Call], name: str) -> Any:
    def record(module: nn.Module, given: Any, out: Any) -> None:
        calls.append(Call(name, module, given[0], out[0] if isinstance(out, tuple) else out))

    return record


@contextmanager
def _undisturbed(net: nn.Module) -> Iterator[None]:
    """Run a network from zero in evaluation mode, and put modes and hidden states back."""
    modes = [(m, m.training) for m in net.modules()]
    states = [
        (m, name, m._buffers[name]) for m in net.modules() for name in m._non_persistent_buffers_set
    ]
    net.eval()
    reset(net)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for module, name, value in states:
            setattr(module, name, value)


def _period(names: Sequence[str], neurons: set[str]) -> int | None:
    """Return the length of the shortest part that a list repeats.

    A list that repeats nothing is one step, if no neuron is in it twice.
    """
    n = len(names)
    for length in range(1, n):
        if n % length == 0 and list(names) == list(names[:length]) * (n // length):
            return length
    used = [name for name in names if name in neurons]
    return n if len(set(used)) == len(used) else None


def _check_link(before: Call, after: Call) -> None:
    """Raise a ParameterError unless a module was given what came out of the one before."""
    if after.given is before.out:
        return
    given, out = after.given, before.out
    flat = given.data_ptr() == out.data_ptr() and given.shape == out.flatten(1).shape
    if not flat or given.shape == out.shape:
        raise ParameterError(
            f"{after.name}: its input is not what {before.name} returned: the network is no chain "
            f"there, or computes something between the two. {_ADVICE}"
        )
