"""Graphs of NIR as models."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neurosim.bridge.container import Sequential
from neurosim.bridge.graph import INPUT, OUTPUT, Graph
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.lif import LIF
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.neurons.synaptic import CubaLIF
from neurosim.bridge.nir.exporting import shape_after
from neurosim.bridge.nir.files import read_graph
from neurosim.bridge.nir.graph import Wiring, chains, wiring_of
from neurosim.bridge.nir.grid import Discretisation, Grid, seconds
from neurosim.bridge.nir.nodes_in import Reader, Shape
from neurosim.bridge.nir.scale import Scale
from neurosim.errors import ParameterError

_DTYPES = (torch.float32, torch.float64)


def from_nir(
    graph: Any,
    *,
    dt: float | None = None,
    time_unit: str = "s",
    discretisation: Discretisation | None = None,
    dtype: torch.dtype | None = None,
    lossy: bool = False,
) -> Sequential:
    """Return the model that a graph of NIR describes.

    Parameters
    ----------
    graph : nir.NIRGraph, str or Path
        Or a file, with one Input and one Output. What several edges bring to a node is added;
        loops may lead from one neuron node through connections back to it.
    dt : float, optional
        Step of the model, in `time_unit`. Default: that in the metadata, if `to_nir` wrote the
        graph. Files of snnTorch have 1e-4 s.
    time_unit : {"s", "ms", "us"}, default "s"
        Unit of `dt`, and of the times in a graph whose metadata tell none.
    discretisation : {"exact", "euler"}, optional
        How time constants become decay factors; see `neurosim.bridge.nir`. Default: that in the
        metadata, else "exact". For files of snnTorch use "euler".
    dtype : torch.float32 or torch.float64, optional
        Default: float64 if weights are stored in it, else float32.
    lossy : bool, default False
        Round delays to steps with a `NirLossWarning` rather than raise.

    Returns
    -------
    model : Sequential
        Of layers, or of one `Graph` where there are branches. A gain of the input other than 1 is
        put into the threshold, so that membranes are in units of the input; they start at rest.
        Spikes have the default surrogate; all weights can be learnt, and no time constants or
        delays.

    Raises
    ------
    ParameterError
        If the graph cannot be a model; the node is named.
    FileFormatError
        If a file is damaged or no NIR.
    MissingPackageError
        If nir is not installed.

    Notes
    -----
    ``to_network(from_nir(path, dt=1e-3), 1.0)`` is a network of the event engine, whose dt is in
    ms.

    Examples
    --------
    >>> import nir
    >>> ones = np.ones(2)
    >>> graph = nir.NIRGraph.from_list(
    ...     nir.Linear(np.eye(2)), nir.LIF(tau=0.02 * ones, r=ones, v_leak=0 * ones,
    ...                                    v_threshold=ones))
    >>> from_nir(graph, dt=1e-3)
    Sequential(
      (0): Linear(2, 2, bias=False)
      (1): LIF(shape=(2,))
    )
    """
    if isinstance(graph, str | Path):
        graph = read_graph(graph)
    wiring = wiring_of(graph)
    grid = _grid(graph, dt, time_unit, discretisation, lossy)
    if dtype is None:
        nodes = [n for w in (wiring, *wiring.loops.values()) for n in w.nodes.values()]
        stored = {np.asarray(n.weight).dtype for n in nodes if hasattr(n, "weight")}
        dtype = torch.float64 if np.dtype("f8") in stored else torch.float32
    if dtype not in _DTYPES:
        raise ParameterError(f"from_nir: dtype = {dtype!r} is not torch.float32 or torch.float64.")
    model, shape = _Builder(Reader(grid, dtype)).model(wiring, _input_shape(wiring))
    expected = _type(wiring.nodes[wiring.last].input_type)
    if expected is not None and expected not in (shape, (1, *shape)):
        raise ParameterError(
            f"NIR node {wiring.last!r}: the output has shape {shape}, not {expected} as it says."
        )
    return model if isinstance(model, Sequential) else Sequential(model)


def load_nir(path: str | Path, **options: Any) -> Sequential:
    """Read a model from a file of NIR.

    Parameters
    ----------
    path : str or Path
    **options
        As of `from_nir`.

    Raises
    ------
    ParameterError, FileFormatError, MissingPackageError
        As of `from_nir`.
    """
    return from_nir(Path(path), **options)


def _grid(
    graph: Any,
    dt: float | None,
    time_unit: str,
    discretisation: Discretisation | None,
    lossy: bool,
) -> Grid:
    """Return the step and the discretisation, in the graph's unit of time."""
    metadata = graph.metadata if isinstance(graph.metadata, dict) else {}
    unit = seconds(str(metadata.get("time_unit", time_unit)))
    if dt is not None:
        step = float(dt) * (seconds(time_unit) / unit)
    elif "dt" in metadata:
        step = float(metadata["dt"])
    else:
        raise ParameterError(
            "from_nir: the graph does not say for which step it was made; give dt=, in seconds "
            "(snnTorch writes 1e-4)."
        )
    chosen: Any = discretisation or str(metadata.get("discretisation", "exact"))
    return Grid(step, chosen, lossy)


class _Builder:
    """Makes models of wirings."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def model(self, wiring: Wiring, shape: Shape) -> tuple[Sequential | Graph, Shape]:
        """Return a chain of layers, or a graph of them, and the shape of its output."""
        shapes: dict[str, Shape] = {}
        modules: dict[str, Sequential] = {}
        names: dict[str, str] = {}
        edges: list[tuple[str, str]] = []
        for chain in chains(wiring):
            head, tail = chain[0], chain[-1]
            sources = wiring.before[head]
            for source in sources[1:]:
                if shapes[source] != shapes[sources[0]]:
                    raise ParameterError(
                        f"NIR node {head!r} gets shape {shapes[sources[0]]} from {sources[0]!r}, "
                        f"but {shapes[source]} from {source!r}, which cannot be added."
                    )
            inner = [n for n in chain if n not in (wiring.first, wiring.last)]
            layers, shapes[tail] = self.layers(
                wiring, inner, shapes[sources[0]] if sources else shape
            )
            if head == wiring.first and tail == wiring.last:
                return Sequential(*layers), shapes[tail]
            names[tail] = INPUT
            if inner:
                names[tail] = _unused(inner[0].replace(".", "_"), (*modules, INPUT, OUTPUT))
                modules[names[tail]] = Sequential(*layers)
                edges += [(names[s], names[tail]) for s in sources] or [(INPUT, names[tail])]
            if tail == wiring.last:
                ends = [names[tail]] if inner else [names[s] for s in sources]
                edges += [(name, OUTPUT) for name in ends]
        return Graph(modules, edges), shapes[wiring.last]

    def layers(
        self, wiring: Wiring, names: list[str], shape: Shape
    ) -> tuple[list[nn.Module], Shape]:
        """Return the layers of a chain of nodes, and the shape after them."""
        found: list[nn.Module] = []
        waiting: str | None = None
        for k, name in enumerate(names):
            node, kind = wiring.nodes[name], type(wiring.nodes[name]).__name__
            follower = wiring.nodes[names[k + 1]] if k + 1 < len(names) else None
            if kind == "Delay" and type(follower).__name__ in ("Linear", "Affine"):
                waiting = name  # a layer of both
                continue
            layers = self.reader.layers(name, node, shape)
            if waiting is not None:
                layers = [self.reader.delayed(waiting, wiring.nodes[waiting], *layers)]
                waiting = None
            if name in wiring.loops:
                layers[-1] = self.recurrent(name, wiring.loops[name], layers, shape)
            layers = _with_amplitude(found, layers)
            for layer in layers:
                shape = shape_after(f"NIR node {name!r}", layer, shape)
            found += layers
        return found, shape

    def recurrent(
        self, name: str, back: Wiring, layers: list[nn.Module], shape: Shape
    ) -> Recurrent:
        """Return a neuron with the connections that feed its spikes back."""
        neuron = layers[-1]
        if not isinstance(neuron, Neuron) or neuron.step.outputs != ("spk",):
            raise ParameterError(f"NIR node {name!r} is fed back, but does not spike.")
        if len(layers) > 1:
            raise ParameterError(
                f"NIR node {name!r}: its r is not positive, which cannot be read in a loop."
            )
        connection, after = self.model(back, shape)
        if after != shape:
            raise ParameterError(
                f"NIR node {name!r} has shape {shape}, but the shape {after} is fed back to it."
            )
        if isinstance(connection, Graph) or len(connection) > 1:
            return Recurrent(neuron, connection)
        if not len(connection):
            return Recurrent(neuron, torch.ones((), dtype=self.reader.dtype))
        (single,) = connection
        if isinstance(single, Scale):
            return Recurrent(neuron, single.factor)
        if isinstance(single, nn.Linear):  # torch's own: the recurrence is fused
            n = single.in_features
            plain = nn.Linear(n, n, bias=single.bias is not None)
            plain.weight, plain.bias = single.weight, single.bias
            return Recurrent(neuron, plain)
        return Recurrent(neuron, single)


def _unused(name: str, taken: Sequence[str]) -> str:
    fresh, k = name, 1
    while fresh in taken:
        fresh, k = f"{name}_{k}", k + 1
    return fresh


def _with_amplitude(found: list[nn.Module], layers: list[nn.Module]) -> list[nn.Module]:
    """Make a Scale after spiking neurons the amplitude of their spikes; return what is left."""
    before = found[-1] if found else None
    if len(layers) != 1 or not isinstance(layers[0], Scale):
        return layers
    factor = {"graded_spikes_factor": layers[0].factor}
    if type(before) is LIF and "graded" not in before.step.parameters:
        found[-1] = LIF(before.shape, beta=before.beta, threshold=before.threshold,
                        reset=before.reset, **factor)  # type: ignore[arg-type]  # fmt: skip
        return []
    if type(before) is CubaLIF and "graded" not in before.step.parameters:
        found[-1] = CubaLIF(
            before.shape, alpha=before.alpha, beta=before.beta, threshold=before.threshold,
            reset=before.reset, reset_delay=False, **factor,  # type: ignore[arg-type]
        )  # fmt: skip
        return []
    return layers


def _type(given: Any) -> Shape | None:
    value = next(iter(given.values()), None) if given else None
    return None if value is None else tuple(int(n) for n in np.atleast_1d(value))


def _input_shape(wiring: Wiring) -> Shape:
    """Return the shape of the input, without a batch dimension that others may have left in."""
    name, shape = wiring.first, _type(wiring.nodes[wiring.first].output_type)
    followers = (wiring.nodes[n] for n in wiring.after[name])
    told = (_type(getattr(node, "input_type", None)) for node in followers)
    needed = next(filter(None, told), None)
    if shape is None:
        shape = needed
    if shape is None:
        raise ParameterError(f"NIR node {name!r}: it must tell the shape of the input.")
    if needed is not None and shape == (1, *needed):
        warnings.warn(
            f"NIR node {name!r}: its shape {shape} has a batch dimension, which was left out.",
            stacklevel=3,
        )
        return needed
    return shape
