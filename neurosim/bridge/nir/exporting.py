"""Models as graphs of NIR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neurosim.bridge.connections import DelayedLinear, Sparse
from neurosim.bridge.container import Sequential, parts
from neurosim.bridge.graph import INPUT, OUTPUT, Graph
from neurosim.bridge.layer import Layer
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.nir.connections_out import connection_node, delay_node, with_batch_norm
from neurosim.bridge.nir.delay import Delay
from neurosim.bridge.nir.grid import Discretisation, Grid, seconds
from neurosim.bridge.nir.neurons_out import neuron_node
from neurosim.bridge.nir.scale import Scale
from neurosim.bridge.snntorch.each_step import EachStep, MembraneOutput
from neurosim.bridge.snntorch.neurons import is_of_snntorch, layer_of
from neurosim.errors import ParameterError, require

Shape = tuple[int, ...]
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_LEFT_OUT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)


def to_nir(
    model: nn.Module,
    *,
    dt: float,
    sample_shape: int | Sequence[int] | None = None,
    time_unit: str = "s",
    discretisation: Discretisation = "exact",
    lossy: bool = False,
) -> Any:
    """Return a model as a graph of NIR.

    Parameters
    ----------
    model : Sequential
        Or a single layer, or an `nn.Sequential`, also with neurons of snnTorch (for other
        networks of snnTorch see `from_snntorch`). It is written as it is in
        evaluation: `BatchNorm` is folded into the weights before it, dropout left out.
    dt : float
        Step of the model, in `time_unit`.
    sample_shape : int or tuple of int, optional
        Shape of the input without time and batch. Needed unless the first layer tells it.
    time_unit : {"s", "ms", "us"}, default "s"
        Unit of `dt`, and of all times in the graph. Other readers expect seconds.
    discretisation : {"exact", "euler"}, default "exact"
        How decay factors become time constants; see `neurosim.bridge.nir`. "euler" is what
        snnTorch's reader undoes.
    lossy : bool, default False
        Change what NIR cannot say to the nearest that it can, with a `NirLossWarning`.

    Returns
    -------
    graph : nir.NIRGraph
        With parameters of full shape, float64 but for the weights; types are checked. Its
        metadata hold dt, time_unit and discretisation.

    Raises
    ------
    ParameterError
        If NIR cannot say a layer, or the shape of the input does not fit; the layer is named.
    MissingPackageError
        If nir is not installed.

    Examples
    --------
    >>> from neurosim.bridge import LIF
    >>> graph = to_nir(Sequential(nn.Linear(3, 2), LIF(tau=20.0, dt=1.0, reset="zero")), dt=1e-3)
    >>> sorted(graph.nodes), graph.nodes["1_lif"].tau.round(6).tolist()
    (['0_affine', '1_lif', 'input', 'output'], [0.02, 0.02])
    """
    nir: Any = require("nir", "nir", "to_nir")
    seconds(time_unit)
    parts = list(_merged(_parts("", model)))
    shape = _input_shape(parts, sample_shape)
    builder = _Builder(nir, Grid(float(dt), discretisation, lossy), shape)
    for path, module in parts:
        builder.add(path, module)
    builder.append("output", nir.Output({"output": np.array(builder.shape)}))
    metadata = {"dt": float(dt), "time_unit": time_unit, "discretisation": discretisation,
                "software": "neurosim"}  # fmt: skip
    return nir.NIRGraph(builder.nodes, builder.edges, metadata=metadata)


def save_nir(model: nn.Module, path: str | Path, *, dt: float, **options: Any) -> None:
    """Write a model to a file of NIR.

    Parameters
    ----------
    model, dt, **options
        As of `to_nir`.
    path : str or Path
        Usually ``*.nir``.

    Raises
    ------
    ParameterError, MissingPackageError
        As of `to_nir`.
    """
    graph = to_nir(model, dt=dt, **options)
    nir: Any = require("nir", "nir", "save_nir")
    nir.write(str(path), graph)


@dataclass
class _Builder:
    """Appends one module after the other to a graph."""

    nir: Any
    grid: Grid
    shape: Shape
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    last: tuple[str, ...] = ("input",)

    def __post_init__(self) -> None:
        self.nodes["input"] = self.nir.Input({"input": np.array(self.shape)})

    def append(self, name: str, node: Any) -> None:
        """Add a node after the last ones."""
        self.nodes[name] = node
        self.edges += [(before, name) for before in self.last]
        self.last = (name,)

    def add_all(self, path: str, module: nn.Module) -> None:
        """Add a module and those inside it."""
        for inner, part in _merged(_parts(path, module)):
            self.add(inner, part)

    def add(self, path: str, module: nn.Module) -> None:
        """Add a module.

        Raises
        ------
        ParameterError
            If NIR cannot say it, or the input does not fit.
        """
        where = f"module {path}" if path else repr(module)
        stem = path.replace(".", "_") or "0"
        if isinstance(module, Graph):
            self._graph(path, stem, module)
            return
        after = shape_after(where, module, self.shape)
        if isinstance(module, Neuron | MembraneOutput):
            self._neurons(where, stem, module)
        elif isinstance(module, Recurrent):
            self._recurrent(where, path, stem, module)
        elif isinstance(module, Scale):
            self._scale(f"{stem}_scale", module.factor.double().numpy())
        elif isinstance(module, Delay):
            steps = np.broadcast_to(module.steps.double().numpy(), self.shape)
            self.append(f"{stem}_delay", self.nir.Delay(delay=steps * self.grid.dt))
        elif isinstance(module, DelayedLinear):
            weights, delay = delay_node(where, module, self.grid)
            if delay is not None:
                self.append(f"{stem}_delay", delay)
            self.append(_named(stem, weights), weights)
        else:
            node = connection_node(where, module, self.shape)
            self.append(_named(stem, node), node)
        self.shape = after

    def _neurons(self, where: str, stem: str, layer: Neuron | MembraneOutput) -> None:
        node, amplitude = neuron_node(where, layer, self.shape, self.grid)
        self.append(_named(stem, node), node)
        if amplitude is not None:
            self._scale(f"{stem}_amplitude", amplitude)

    def _scale(self, name: str, factor: Any) -> None:
        self.append(name, self.nir.Scale(scale=np.broadcast_to(factor, self.shape).copy()))

    def _graph(self, path: str, stem: str, graph: Graph) -> None:
        """Add the nodes of a graph, with edges for what is added."""
        ends = {INPUT: (self.last, self.shape)}
        for name in (*graph.order, OUTPUT):
            joined: list[str] = []
            for source in graph.sources[name]:
                self.last, shape = ends[source]
                if shape != (expected := ends[graph.sources[name][0]][1]):
                    raise ParameterError(
                        f"module {path}: {name!r} gets shape {expected} and, from {source!r}, "
                        f"{shape}, which cannot be added."
                    )
                self.shape = shape
                if set(self.last) & set(joined):  # an edge can be there once only
                    self._scale(f"{stem}_{source}_to_{name}", 1.0)
                joined += self.last
            self.last = tuple(joined)
            if name != OUTPUT:
                self.add_all(f"{path}.{name}" if path else name, graph.nodes[name])
            ends[name] = (self.last, self.shape)

    def _recurrent(self, where: str, path: str, stem: str, layer: Recurrent) -> None:
        node, amplitude = neuron_node(where, layer.neuron, self.shape, self.grid)
        if amplitude is not None:
            raise ParameterError(
                f"{where}: graded spikes that also come back are not written; multiply the "
                "recurrent weights by graded_spikes_factor and scale the output instead."
            )
        name, shape = _named(stem, node), self.shape
        self.append(name, node)
        if layer.connection is None:
            V = layer.V.detach().double().numpy()
            self._scale(f"{stem}_recurrent", V.reshape(()) if V.size == 1 else V)
        else:
            if any(isinstance(m, Neuron | Recurrent) for m in layer.connection.modules()):
                raise ParameterError(f"{where}: neurons in a recurrent connection are not written.")
            self.add_all(f"{path}.recurrent" if path else "recurrent", layer.connection)
        if self.shape != shape:
            raise ParameterError(
                f"{where}: the recurrent connection does not return shape {shape}."
            )
        self.edges += [(end, name) for end in self.last]
        self.last = (name,)


def _named(stem: str, node: Any) -> str:
    return f"{stem}_{type(node).__name__.lower()}"


def _parts(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of nested chains, without what does nothing in evaluation."""
    if isinstance(module, Sequential | nn.Sequential):
        for key, part in parts(module):
            yield from _parts(f"{path}.{key}" if path else key, part)
    elif isinstance(module, EachStep):
        yield from _parts(path, module.module)
    elif isinstance(module, Sparse):
        yield from _parts(path, module.with_zeros())
    elif is_of_snntorch(module):
        yield path, layer_of(module, f"module {path}", copied=False)
    elif not isinstance(module, _LEFT_OUT):
        yield path, module


def _merged(
    parts: Iterator[tuple[str, nn.Module]],
) -> Iterator[tuple[str, nn.Module]]:
    """Fold each `BatchNorm` into the weights before it."""
    waiting: tuple[str, nn.Module] | None = None
    for path, module in parts:
        if isinstance(module, _BATCH_NORMS):
            if waiting is None:
                raise ParameterError(
                    f"module {path}: {module} has no Linear or Conv before it to be folded into."
                )
            waiting = (waiting[0], with_batch_norm(f"module {path}", waiting[1], module))
            continue
        if waiting is not None:
            yield waiting
        waiting = (path, module)
    if waiting is not None:
        yield waiting


def _input_shape(
    parts: Sequence[tuple[str, nn.Module]], given: int | Sequence[int] | None
) -> Shape:
    if given is not None:
        return (given,) if isinstance(given, int) else tuple(given)
    first = parts[0][1] if parts else nn.Identity()
    if isinstance(first, nn.Linear | DelayedLinear):
        return (first.in_features,)
    if isinstance(first, Neuron) and first.shape is not None:
        return first.shape
    if isinstance(first, Graph):
        heads = [m for name, m in first.nodes.items() if INPUT in first.sources[name]]
        if heads:
            return _input_shape(list(_parts("", heads[0])), None)
    raise ParameterError(
        f"to_nir: the first layer, {first}, does not tell the shape of the input; give "
        "sample_shape=, without time and batch, such as sample_shape=(2, 34, 34)."
    )


def shape_after(where: str, module: nn.Module, shape: Shape) -> Shape:
    """Return the shape of a module's output.

    Raises
    ------
    ParameterError
        If the input does not fit.
    """
    if isinstance(module, Neuron) and module.shape not in (None, shape):
        raise ParameterError(f"{where}: {module!r} gets input of shape {shape}.")
    if isinstance(module, Neuron | MembraneOutput | Recurrent | Scale | Delay):
        return shape
    if isinstance(module, DelayedLinear) and shape == (module.in_features,):
        return (module.out_features,)
    tensor = next(iter(module.parameters()), torch.zeros(0))
    sample = torch.zeros(1, *shape, dtype=tensor.dtype, device=tensor.device)
    try:
        with torch.no_grad():
            out = module(sample[None])[0][0] if isinstance(module, Layer) else module(sample)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ParameterError(f"{where}: input of shape {shape} does not fit: {error}") from error
    return tuple(out.shape[1:])
