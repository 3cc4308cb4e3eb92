"""Modules that are no chain: their forward is traced, and its sums become sums of synapses."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn

from neurosim.bridge.container import Sequential
from neurosim.bridge.convert.flow import Flow
from neurosim.bridge.convert.layers import Layers
from neurosim.bridge.layer import Layer
from neurosim.errors import ConversionError

_SUMS = (operator.add, operator.iadd, torch.add)


def walk(layers: Layers, model: nn.Module, flow: Flow) -> Flow:
    """Add the layers of a model and return what flows out of it.

    Raises
    ------
    ConversionError
        If a part has no counterpart; it names the module or the operation.
    """
    if isinstance(model, nn.Sequential | Sequential) or not _is_composed(model):
        return layers.apply("", model, flow)
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # whatever tracing runs into is a matter of the user's forward
        raise ConversionError(
            f"{type(model).__name__}: its forward cannot be traced ({error}). Write it as a "
            "Sequential, without loops and conditions that depend on data."
        ) from error
    return _Interpreter(layers, model, flow).result(graph)


def _is_composed(model: nn.Module) -> bool:
    """Whether a module is the user's own composition of others."""
    ours = any(c.__module__.startswith(("torch.nn.", "neurosim.", "snntorch."))
               for c in type(model).__mro__[:1])  # fmt: skip
    return not ours and not isinstance(model, Layer) and any(True for _ in model.children())


class _Tracer(fx.Tracer):
    """Looks into the user's own modules only."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not _is_composed(m)


class _Interpreter:
    """Runs a traced forward with flows in place of tensors."""

    def __init__(self, layers: Layers, model: nn.Module, flow: Flow) -> None:
        self.layers, self.model, self.flow = layers, model, flow
        self.values: dict[fx.Node, Any] = {}

    def result(self, graph: fx.Graph) -> Flow:
        first = True
        for node in graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self.flow if first else None
                first = False
            elif node.op == "output":
                return self._output(self._value(node.args[0]))
            else:
                self.values[node] = self._step(node)
        raise ConversionError(f"{type(self.model).__name__}: its forward returns nothing.")

    def _value(self, argument: Any) -> Any:
        return fx.node.map_arg(argument, lambda n: self.values[n])

    def _output(self, value: Any) -> Flow:
        while isinstance(value, tuple | list) and value:
            value = value[0]
        if not isinstance(value, Flow):
            raise ConversionError(
                f"{type(self.model).__name__}: its forward returns {type(value).__name__}; spikes "
                "or the membrane of a readout are needed, first in a tuple."
            )
        return value

    def _step(self, node: fx.Node) -> Any:
        arguments = [self._value(a) for a in node.args]
        if node.op == "call_module":
            module = self.model.get_submodule(str(node.target))
            flow = self.layers.apply(str(node.target), module, self._flow(node, arguments))
            return (flow, None) if isinstance(module, Layer) else flow
        if node.op == "call_function" and node.target is operator.getitem:
            container, index = arguments
            if isinstance(container, tuple) and isinstance(index, int):
                return container[index]
        elif node.op == "call_function" and node.target in _SUMS:
            if all(isinstance(a, Flow) and a.graded is None for a in arguments):
                return self._sum(node, *arguments)
        elif node.target in ("flatten", torch.flatten) and arguments[1:2] == [2]:
            flow = self._flow(node, arguments)
            return flow.reshaped((flow.n,))
        raise ConversionError(
            f"{type(self.model).__name__}.forward: the operation {node.format_node()!r} has no "
            "counterpart in a network; layers, sums of their outputs and x.flatten(2) have one. "
            "Keep it in torch and convert what comes before it."
        )

    def _flow(self, node: fx.Node, arguments: list[Any]) -> Flow:
        if not arguments or not isinstance(arguments[0], Flow):
            raise ConversionError(
                f"{type(self.model).__name__}.forward: {node.format_node()!r} is applied to "
                f"{type(arguments[0]).__name__ if arguments else 'nothing'}, not to the output of "
                "a layer; layers return (output, state)."
            )
        return arguments[0]

    def _sum(self, node: fx.Node, a: Flow, b: Flow) -> Flow:
        if a.shape != b.shape:
            raise ConversionError(
                f"{type(self.model).__name__}.forward: {node.format_node()!r} adds shapes "
                f"{list(a.shape)} and {list(b.shape)}; they must be equal."
            )
        return a.plus(b)
