"""Counting operations: of the event engine's runs, and of torch models by watching their modules.

The results and definitions are in `neurosim.analysis.operations`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from neurosim.analysis.operations import LayerOperations, Operations
from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.bridge.convert.run import ConvertedRun
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.errors import ParameterError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONNECTIONS = (nn.Linear, DelayedLinear, *_CONVOLUTIONS)


def count(source: Any, batch: Any) -> Operations:
    """Return the operations of a run or a model; see `neurosim.analysis.operations`."""
    if isinstance(source, ConvertedRun):
        return _of_run(source)
    if isinstance(source, nn.Module):
        if not isinstance(batch, torch.Tensor) or batch.dim() < 3:
            raise ParameterError(
                "operations: a torch model needs a batch, a tensor [T, B, ...]: "
                "operations(model, batch)."
            )
        return _of_model(source, batch)
    raise ParameterError(
        f"operations: {type(source).__name__} given; a ConvertedRun or a torch module is needed."
    )


def _of_run(run: ConvertedRun) -> Operations:
    events, layers = run.synaptic_events(), []
    conversion = run.conversion
    counters = run.simulation.counters
    steps = run.n_steps * run.n_samples
    for layer in conversion.drawn:
        name, n = layer.spec.name, layer.spec.n
        sources = {e.source: conversion.network.populations[e.source].n for e in layer.edges}
        connections = n * sum(sources.values())
        layers.append(
            LayerOperations(
                name=name,
                dense=connections * steps,
                acs=int(events[name].sum()),
                connections=connections,
                zero_connections=connections - sum(e.weight.size for e in layer.edges),
                activations=n * steps if layer.spiking else 0,
                active=int(run.events[name][0].size) if layer.spiking else 0,
                neuron_steps=n * steps,
            )
        )
    return Operations(
        layers=tuple(layers), n_steps=run.n_steps, n_samples=run.n_samples,
        updates=int(counters["neuron_updates"]), footprint=int(counters["bytes"]),
    )  # fmt: skip


def _of_model(model: nn.Module, batch: torch.Tensor) -> Operations:
    found: dict[str, LayerOperations] = {}
    was_training = model.training
    within = {m.connection for m in model.modules() if isinstance(m, Recurrent)}
    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            watch = None if module in within else _watcher(name, module)
            if watch is not None:
                handle = module.register_forward_hook(_hook(found, name, watch))
                stack.callback(handle.remove)
        try:
            model.eval()
            with torch.no_grad():
                model(batch)
        finally:
            model.train(was_training)
    size = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    layers = tuple(found.values())
    return Operations(
        layers=layers, n_steps=int(batch.shape[0]), n_samples=int(batch.shape[1]),
        updates=sum(layer.neuron_steps for layer in layers), footprint=size,
    )  # fmt: skip


Watch = Callable[[Any, Any], LayerOperations]


def _hook(found: dict[str, LayerOperations], name: str, watch: Watch) -> Callable[..., None]:
    """Return a hook that adds what a call of a module did to what earlier calls did."""

    def hook(module: nn.Module, arguments: Any, output: Any) -> None:
        new = watch(arguments[0], output)
        old = found.get(name)
        found[name] = new if old is None else _added(old, new)

    return hook


def _added(a: LayerOperations, b: LayerOperations) -> LayerOperations:
    once = ("connections", "zero_connections")
    sums = {k: v if k in once else v + getattr(b, k) for k, v in vars(a).items() if k != "name"}
    return LayerOperations(name=a.name, **sums)


def _watcher(name: str, module: nn.Module) -> Watch | None:
    """Return what counts a call of a module, or None for one without operations."""
    if isinstance(module, Recurrent):
        return lambda x, out: _of_recurrence(name, module, x, out[0])
    if isinstance(module, Neuron):
        spiking = module.step.outputs[0] not in module.step.states
        return lambda x, out: _of_neurons(name, out[0], spiking)
    if any(c.__module__.startswith("snntorch.") for c in type(module).__mro__):
        return lambda x, out: _of_neurons(name, out[0] if isinstance(out, tuple) else out, True)
    if isinstance(module, _CONNECTIONS):
        return lambda x, out: _of_connections(name, module, x)
    return None


def _of_neurons(name: str, out: torch.Tensor, spiking: bool) -> LayerOperations:
    return LayerOperations(
        name=name, neuron_steps=out.numel(), activations=out.numel() if spiking else 0,
        active=int(torch.count_nonzero(out)) if spiking else 0,
    )  # fmt: skip


def _of_recurrence(name: str, layer: Recurrent, x: Any, out: torch.Tensor) -> LayerOperations:
    """Count neurons and what their spikes of the step before send to them."""
    neurons = _of_neurons(name, out, True)
    sent = torch.cat((torch.zeros_like(out[:1]), out[:-1]))
    if layer.connection is None:
        exists = (layer.V.detach() != 0).expand(out.shape[2:])
        fed = int(torch.count_nonzero(sent * exists))
        binary = bool((sent.abs() <= 1).all() and (sent == sent.round()).all())
        own = LayerOperations(
            name=name, dense=sent.numel(), macs=0 if binary else fed, acs=fed if binary else 0,
            connections=exists.numel(), zero_connections=int((~exists).sum()),
        )  # fmt: skip
        return _joined(neurons, own)
    if isinstance(layer.connection, _CONNECTIONS):
        flat = sent if isinstance(layer.connection, DelayedLinear | nn.Linear) else (
            sent.flatten(0, 1))  # fmt: skip
        return _joined(neurons, _of_connections(name, layer.connection, flat))
    return neurons


def _joined(neurons: LayerOperations, connections: LayerOperations) -> LayerOperations:
    values = {k: v + getattr(connections, k) for k, v in vars(neurons).items() if k != "name"}
    return LayerOperations(name=neurons.name, **values)


def _of_connections(name: str, module: nn.Module, x: Any) -> LayerOperations:
    """Count the synaptic operations of a linear or convolutional layer."""
    if not isinstance(x, torch.Tensor):
        raise ParameterError(f"operations: layer {name!r} got {type(x).__name__}; use a tensor.")
    weight = module.weight.detach()  # type: ignore[union-attr, operator]
    active = (x != 0).double()
    if isinstance(module, _CONVOLUTIONS):
        frames = active.reshape(-1, *active.shape[-(weight.dim() - 1) :])
        effective = _ones(module, (weight != 0).double())(frames).sum()
        one = torch.ones_like(frames[:1])
        dense = len(frames) * float(_ones(module, torch.ones_like(weight).double())(one).sum())
    else:
        fan_out = (weight != 0).sum(0).double()
        effective = (active.reshape(-1, weight.shape[1]) @ fan_out).sum()
        dense = active.numel() * weight.shape[0]
    binary = bool(((x == 0) | (x.abs() == 1)).all())
    n = round(float(effective))
    return LayerOperations(
        name=name, dense=int(dense), macs=0 if binary else n, acs=n if binary else 0,
        connections=weight.numel(), zero_connections=int((weight == 0).sum()),
    )  # fmt: skip


def _ones(module: nn.Module, weight: torch.Tensor) -> nn.Module:
    """Return a convolution with other weights and without bias, as torch's own class."""
    kind = next(c for c in _CONVOLUTIONS if isinstance(module, c))
    made: Any = module
    plain: Any = kind(
        made.in_channels, made.out_channels, made.kernel_size, made.stride, made.padding,
        made.dilation, made.groups, bias=False, padding_mode=made.padding_mode,
    )  # fmt: skip
    plain.weight = nn.Parameter(weight, requires_grad=False)
    result: nn.Module = plain
    return result
