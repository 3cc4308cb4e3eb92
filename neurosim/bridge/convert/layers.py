"""From the modules of a model to layers of neurons with what flows into them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from neurosim.bridge import graph as ends
from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.bridge.connections.masks import Sparse
from neurosim.bridge.container import Sequential, parts
from neurosim.bridge.convert.flow import INPUT, Flow, delayed, mapped, spikes_of
from neurosim.bridge.graph import Graph
from neurosim.bridge.layer import Layer
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.leaky_integrator import LI
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.nir.scale import Scale
from neurosim.bridge.snntorch.each_step import EachStep, MembraneOutput
from neurosim.errors import ConversionError, ParameterError

#: Modules that are affine in evaluation mode, applied to [N, *shape].
AFFINE: tuple[type[nn.Module], ...] = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.ZeroPad1d, nn.ZeroPad2d, nn.Upsample,
    nn.PixelShuffle, nn.PixelUnshuffle, Scale,
)  # fmt: skip
_RESHAPES = (nn.Flatten, nn.Unflatten)
_IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_KEEP_IN_TORCH = (
    "Keep that part in torch and convert the rest, for instance to_network(model.spiking, dt)"
)


@dataclass(frozen=True)
class LayerSpec:
    """A layer of neurons and what flows into it.

    Attributes
    ----------
    name : str
        Its path in the model.
    shape : tuple of int
        Of its output, without time and batch.
    neuron : Neuron
    inflow : tuple of Flow
        For each input of the neuron's step; the spikes that come back are a term of the first.
    offset : int
        Steps by which its time is later than that of the input.
    membrane : bool
        Whether its output is the membrane, not spikes.
    """

    name: str
    shape: tuple[int, ...]
    neuron: Neuron
    inflow: tuple[Flow, ...]
    offset: int
    membrane: bool

    @property
    def n(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


@dataclass
class Layers:
    """Collects the layers of a model while its modules are gone through."""

    specs: dict[str, LayerSpec] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def note(self, path: str, module: nn.Module, what: str) -> None:
        """Remember for the report what became of a module."""
        self.rows.append((path, type(module).__name__, what))

    def apply(self, path: str, module: nn.Module, flow: Flow) -> Flow:
        """Return what flows out of a module.

        Raises
        ------
        ConversionError
            If the module has no meaning in a network of spiking neurons.
        """
        if isinstance(module, nn.Sequential | Sequential):
            for key, part in parts(module):
                flow = self.apply(f"{path}.{key}" if path else key, part, flow)
            return flow
        module = _equivalent(path, module)
        if isinstance(module, Graph):
            return self._graph(path, module, flow)
        if isinstance(module, EachStep):
            return self.apply(f"{path}.module", module.module, flow)
        if isinstance(module, Sparse):
            return self.apply(f"{path}.layer", module.with_zeros(), flow)
        if isinstance(module, _IDENTITIES):
            self.note(path, module, "left out: it does nothing in evaluation mode")
            return flow
        if isinstance(module, _RESHAPES):
            self.note(path, module, "reshapes")
            return flow.reshaped(_reshaped(path, module, flow.shape))
        if isinstance(module, (*AFFINE, DelayedLinear)):
            return self._linear(path, module, flow)
        if isinstance(module, Recurrent):
            return self._recurrent(path, module, flow)
        if isinstance(module, MembraneOutput):
            return self._add(path, module, module.neuron, flow, None)
        if isinstance(module, Neuron):
            return self._neurons(path, module, flow)
        raise _not_convertible(path, module)

    def _graph(self, path: str, graph: Graph, flow: Flow) -> Flow:
        """Go through the modules of a graph, whose paths are the names that it gives them."""
        found = {ends.INPUT: flow}
        for name in (*graph.order, ends.OUTPUT):
            place = f"{path}.{name}" if path else name
            total, *others = (found[source] for source in graph.sources[name])
            for source, more in zip(graph.sources[name][1:], others, strict=True):
                _check_sum(place, total, more, (graph.sources[name][0], source))
                total = total.plus(more)
            found[name] = total if name == ends.OUTPUT else self.apply(
                place, graph.nodes[name], total
            )  # fmt: skip
        return found[ends.OUTPUT]

    # --- linear maps

    def _linear(self, path: str, module: nn.Module, flow: Flow) -> Flow:
        _check_spikes(path, module, flow)
        if isinstance(module, DelayedLinear):
            return self._delayed(path, module, flow)
        _check_statistics(path, module)
        try:
            out = mapped(flow, module, _applied)
        except (RuntimeError, ValueError) as error:
            raise ConversionError(
                f"{path} ({module}): input of shape {list(flow.shape)} does not fit it: {error}. "
                "Give input_shape= without time and batch, or a sample=."
            ) from error
        self.note(path, module, "part of the synapses of the layer that it leads to")
        return out

    def _delayed(self, path: str, module: DelayedLinear, flow: Flow) -> Flow:
        if flow.bias.any():
            raise ConversionError(
                f"{path} ({module}): what flows in has a bias, which would begin at a different "
                "time for every delay; use bias=False in the layer before."
            )
        if flow.shape != (module.in_features,):
            raise ConversionError(
                f"{path} ({module}): the input has shape {list(flow.shape)}; "
                f"[{module.in_features}] is needed."
            )
        weight = module.weight.detach().double().numpy()
        exact = module.delay.detach().double().clamp(0, module.max_delay)
        lags = torch.round(exact).long().expand(weight.shape).numpy()
        moved = float((exact - torch.round(exact)).abs().max()) if exact.numel() else 0.0
        how = "delays rounded to steps" if moved else "delays are whole steps"
        self.note(path, module, f"synapses with {how} (moved by at most {moved:.2g})")
        bias = None if module.bias is None else module.bias.detach().double().numpy()
        return delayed(flow, weight, lags, bias)

    # --- neurons

    def _neurons(self, path: str, neuron: Neuron, flow: Flow) -> Flow:
        return self._add(path, neuron, neuron, flow, None)

    def _recurrent(self, path: str, layer: Recurrent, flow: Flow) -> Flow:
        """Add neurons whose own spikes flow in, one step later."""
        own = spikes_of(path, flow.shape, _amplitude(layer.neuron))
        if layer.connection is None:
            V = np.broadcast_to(_numbers(layer.V), (flow.n,)).reshape(-1)
            own = spikes_of(path, flow.shape, V * _amplitude(layer.neuron))
        else:
            if any(isinstance(m, Neuron) for m in layer.connection.modules()):
                raise ConversionError(
                    f"{path}: there are neurons in the recurrent connection; only linear maps and "
                    "delays can be converted there."
                )
            own = Layers(rows=self.rows).apply(f"{path}.connection", layer.connection, own)
        if own.n != flow.n:
            raise ConversionError(
                f"{path}: the recurrent connection returns {own.n} values for {flow.n} neurons."
            )
        return self._add(path, layer, layer.neuron, flow, own.reshaped(flow.shape))

    def _add(
        self, path: str, module: nn.Module, neuron: Neuron, flow: Flow, own: Flow | None
    ) -> Flow:
        _check_spikes(path, module, flow)
        offset = 1 + max(
            (self._offset(source) - lag for source, lag in flow.lags.items()), default=0
        )
        offset = max(offset, 1)
        inputs = neuron.step.inputs
        shape = flow.shape if len(inputs) == 1 else flow.shape[1:]
        if len(inputs) > 1 and flow.shape[:1] != (len(inputs),):
            raise ConversionError(
                f"{path} ({neuron}): the input has shape {list(flow.shape)}; "
                f"[{len(inputs)}, ...] is needed, one slice for each of "
                f"{', '.join(x.removeprefix('_amount_') for x in inputs)}."
            )
        if neuron.shape is not None and tuple(neuron.shape) != shape:
            raise ConversionError(
                f"{path} ({neuron}): the input has shape {list(shape)}, but the layer has shape "
                f"{list(neuron.shape)}."
            )
        total = flow if own is None else flow.plus(own)
        n = math.prod(shape)
        slices = tuple(
            total.selected(np.arange(k * n, (k + 1) * n)) for k in range(len(inputs))
        ) if len(inputs) > 1 else (total.reshaped((n,)),)  # fmt: skip
        name = path or "neurons"
        if name in self.specs:
            raise ConversionError(
                f"{path} ({neuron}): it is called twice, and as one population its spikes would "
                "be those of both calls. Use two layers."
            )
        membrane = neuron.step.outputs[0] in neuron.step.states or _reads_membrane(module)
        self.specs[name] = LayerSpec(name, shape, neuron, slices, offset, membrane)
        self.note(path, module, f"population {name!r} of {n} neurons, offset {offset}")
        if membrane:
            return Flow(shape, {}, np.zeros(n), graded=name)
        return spikes_of(name, shape, _amplitude(neuron))

    def _offset(self, source: str) -> int:
        return 0 if source == INPUT else self.specs[source].offset

    def finish(self, flow: Flow) -> str:
        """Return the name of the output layer; add one for a sum that no neuron takes."""
        if flow.graded is not None:
            return flow.graded
        ((source, lag),) = tuple(flow.terms) if len(flow.terms) == 1 else ((INPUT, 0),)
        if source != INPUT and lag == 0 and not flow.bias.any() and _is_diagonal(flow, source):
            return source
        path, number = "readout", 1
        while path in self.specs:
            path, number = f"readout_{number}", number + 1
        self._add(path, LI(beta=0.0), LI(beta=0.0).double(), flow, None)
        return path


def _equivalent(path: str, module: nn.Module) -> nn.Module:
    """Return the layer of this package that does what a neuron of snnTorch does."""
    if not any(c.__module__.startswith("snntorch.") for c in type(module).__mro__):
        return module
    from neurosim.bridge.snntorch.neurons import from_neuron

    try:
        return from_neuron(module, path, copied=True)
    except ParameterError as error:
        raise ConversionError(str(error)) from error


def _reads_membrane(module: nn.Module) -> bool:
    return isinstance(module, MembraneOutput)


def coefficients(neuron: Neuron, n: int) -> dict[str, Any]:
    """Return the parameters of a neuron's step: floats, or float64 arrays of (n,)."""
    with torch.no_grad():
        return {
            name: _each(value.detach().double().numpy(), neuron, n)
            for name, value in neuron.coefficients().items()
        }


def _each(value: np.ndarray, neuron: Neuron, n: int) -> Any:
    if value.size == 1:
        return float(value.reshape(()))
    if value.size == n:
        return value.reshape(-1).copy()
    shape = neuron.shape or (n,)
    return np.broadcast_to(value, shape).reshape(-1).copy()


def _amplitude(neuron: Neuron) -> Any:
    """Return what a spike of a neuron is worth: its graded factor."""
    if "graded" not in neuron.step.parameters:
        return 1.0
    return _numbers(neuron.coefficients()["graded"]).reshape(-1)


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().double().numpy()
    return array


def _applied(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Apply an affine module to [N, *shape]; layers of this package want time first."""
    if isinstance(module, Layer):
        out: torch.Tensor = module(x[None], None)[0][0]
        return out
    result: torch.Tensor = module(x)
    return result


def _reshaped(path: str, module: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return tuple(module(torch.zeros(1, *shape)).shape[1:])
    except (RuntimeError, ValueError, IndexError) as error:
        raise ConversionError(
            f"{path} ({module}): values of shape {list(shape)} do not fit it: {error}."
        ) from error


def _is_diagonal(flow: Flow, source: str) -> bool:
    matrix = flow.terms[source, 0]
    return bool(
        matrix.shape[0] == matrix.shape[1] and matrix.nnz == matrix.shape[0]
        and (matrix.indices == np.arange(matrix.shape[0])).all()
    )  # fmt: skip


def _check_statistics(path: str, module: nn.Module) -> None:
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
        raise ConversionError(
            f"{path} ({module}): it has no running statistics, so it is not linear; use "
            "track_running_stats=True."
        )


def _check_spikes(path: str, module: nn.Module, flow: Flow) -> None:
    if flow.graded is not None:
        raise ConversionError(
            f"{path} ({type(module).__name__}): its input is the membrane of layer "
            f"{flow.graded!r}, which does not spike, and only spikes travel in a network. "
            f"{_KEEP_IN_TORCH} up to {flow.graded!r}."
        )


def _check_sum(path: str, a: Flow, b: Flow, names: tuple[str, str]) -> None:
    for flow, name in zip((a, b), names, strict=True):
        if flow.graded is not None:
            raise ConversionError(
                f"{path} (Graph): it gets the sum of {names[0]!r} and {names[1]!r}, but {name!r} "
                f"is the membrane of layer {flow.graded!r}, which does not spike, and only spikes "
                f"travel in a network. {_KEEP_IN_TORCH} without this sum."
            )
    if a.shape != b.shape:
        raise ConversionError(
            f"{path} (Graph): it gets {list(a.shape)} from {names[0]!r}, but {list(b.shape)} from "
            f"{names[1]!r}, which cannot be added."
        )


def _not_convertible(path: str, module: nn.Module) -> ConversionError:
    name = type(module).__name__
    if isinstance(module, nn.ReLU | nn.LeakyReLU | nn.Sigmoid | nn.Tanh | nn.GELU | nn.Softmax):
        why = "an activation has a graded value, and only spikes travel in a network"
    elif isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d):
        why = "a maximum of currents or spikes is not a sum; AvgPool is"
    elif isinstance(module, nn.RNNBase):
        why = "its units have graded values; spiking neurons are needed, such as Recurrent(LIF)"
    else:
        why = "it is not known to be linear, and it is no layer of spiking neurons"
    return ConversionError(f"{path} ({name}): {why}. {_KEEP_IN_TORCH}.")


def initial_values(neuron: Neuron, n: int) -> Mapping[str, Any]:
    """Return the states of a neuron before the first step."""
    found = {}
    for name in neuron.step.states:
        value = neuron.initial(name)
        array = np.asarray(
            value.detach().double().numpy() if isinstance(value, torch.Tensor) else value, float
        )
        found[name] = float(array) if array.ndim == 0 else _each(array, neuron, n)
    return found
