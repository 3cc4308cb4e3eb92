"""Graphs of NIR as models."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neurosim.bridge.container import Sequential
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.lif import LIF
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.neurons.synaptic import CubaLIF
from neurosim.bridge.nir.exporting import shape_after
from neurosim.bridge.nir.graph import Link, Wiring, chain, read_graph
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
        Or a file. Its nodes must be a chain from one Input to one Output; a neuron may be fed
        back through one connection.
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
        A gain of the input other than 1 is put into the threshold, so that membranes are in units
        of the input; they start at rest. Spikes have the default surrogate; all weights can be
        learnt, and no time constants or delays.

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
    links, wiring = chain(graph)
    grid = _grid(graph, dt, time_unit, discretisation, lossy)
    if dtype is None:
        stored = {np.asarray(n.weight).dtype for n in wiring.nodes.values() if hasattr(n, "weight")}
        dtype = torch.float64 if np.dtype("f8") in stored else torch.float32
    if dtype not in _DTYPES:
        raise ParameterError(f"from_nir: dtype = {dtype!r} is not torch.float32 or torch.float64.")
    return Sequential(*_layers(links, wiring, Reader(grid, dtype)))


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


def _layers(links: list[Link], wiring: Wiring, reader: Reader) -> list[nn.Module]:
    shape = _input_shape(links)
    found: list[nn.Module] = []
    waiting: Link | None = None
    for link in links[1:-1]:
        if type(link.node).__name__ == "Delay":
            if waiting is not None:
                raise ParameterError(f"NIR node {link.name!r}: a Delay after a Delay; join them.")
            waiting = link
            continue
        if waiting is not None and type(link.node).__name__ not in ("Linear", "Affine"):
            break
        layers = reader.layers(link.name, link.node, shape)
        if waiting is not None:
            layers = [reader.delayed(waiting.name, waiting.node, *layers)]
            waiting = None
        if link.back is not None:
            layers[-1] = _recurrent(link, wiring, reader, layers, shape)
        layers = _with_amplitude(found, layers)
        for layer in layers:
            shape = shape_after(f"NIR node {link.name!r}", layer, shape)
        found += layers
    if waiting is not None:
        raise ParameterError(
            f"NIR node {waiting.name!r}: a Delay can be read before a Linear or Affine node only."
        )
    expected = _type(links[-1].node.input_type)
    if expected is not None and expected not in (shape, (1, *shape)):
        raise ParameterError(
            f"NIR node {links[-1].name!r}: the output has shape {shape}, not {expected} as it says."
        )
    return found


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


def _recurrent(
    link: Link, wiring: Wiring, reader: Reader, layers: list[nn.Module], shape: Shape
) -> Recurrent:
    """Return a neuron with the connection that feeds its spikes back."""
    neuron = layers[-1]
    if not isinstance(neuron, Neuron) or neuron.step.outputs != ("spk",):
        raise ParameterError(f"NIR node {link.name!r} is fed back, but does not spike.")
    if len(layers) > 1:
        raise ParameterError(
            f"NIR node {link.name!r}: its r is not positive, which cannot be read in a loop."
        )
    if not link.back:
        return Recurrent(neuron, torch.ones((), dtype=reader.dtype))
    node = wiring.nodes[link.back]
    if type(node).__name__ == "Scale":
        scale = reader.layers(link.back, node, shape)
        V = scale[0].factor if scale else torch.ones(())
        return Recurrent(neuron, V)  # type: ignore[arg-type]
    if type(node).__name__ not in ("Linear", "Affine", "Conv2d"):
        raise ParameterError(
            f"NIR node {link.back!r}: {type(node).__name__} cannot be read in a loop; Linear, "
            "Affine, Conv2d and Scale can."
        )
    (connection,) = reader.layers(link.back, node, shape)
    if shape_after(f"NIR node {link.back!r}", connection, shape) != shape:
        raise ParameterError(
            f"NIR node {link.back!r} does not return the shape {shape} of {link.name!r}."
        )
    if isinstance(connection, nn.Linear):  # torch's own: the recurrence is fused
        n = connection.in_features
        plain = nn.Linear(n, n, bias=connection.bias is not None)
        plain.weight, plain.bias = connection.weight, connection.bias
        connection = plain
    return Recurrent(neuron, connection)


def _type(given: Any) -> Shape | None:
    value = next(iter(given.values()), None) if given else None
    return None if value is None else tuple(int(n) for n in np.atleast_1d(value))


def _input_shape(links: list[Link]) -> Shape:
    """Return the shape of the input, without a batch dimension that others may have left in."""
    name, shape = links[0].name, _type(links[0].node.output_type)
    follower = links[1].node
    needed = _type(getattr(follower, "input_type", None)) or None
    if shape is None:
        shape = needed
    if shape is None:
        raise ParameterError(f"NIR node {name!r}: it must tell the shape of the input.")
    if needed is not None and shape == (1, *needed):
        warnings.warn(
            f"NIR node {name!r}: its shape {shape} has a batch dimension, which was left out.",
            stacklevel=4,
        )
        return needed
    return shape
