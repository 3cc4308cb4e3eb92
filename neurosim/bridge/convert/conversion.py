"""to_network(): a trained model as a Network, and how it is run."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.bridge.convert.build import Drawn, Window, build, drawn
from neurosim.bridge.convert.flow import INPUT, spikes_of
from neurosim.bridge.convert.graph import walk
from neurosim.bridge.convert.inputs import samples_of
from neurosim.bridge.convert.layers import Layers, LayerSpec
from neurosim.bridge.convert.run import ConvertedRun, run_samples
from neurosim.bridge.graph import Graph
from neurosim.engines.base import Engine
from neurosim.errors import ConversionError, ParameterError
from neurosim.network import Network, Population
from neurosim.network.checks import finite_number


@dataclass(frozen=True, eq=False)
class Conversion:
    """A model as a network of the event engine; made by `to_network`.

    Attributes
    ----------
    network : Network
        The description for one sample that begins at time 0. Its input sends nothing yet (and
        `ModelNeuron` layers get no bias, which needs the number of steps); `run` makes networks
        of its own.
    input : Population
        Sources, in the order of the model's input [C, H, W, ...].
    layers : mapping of str to Population
        Layers of neurons by their path in the model (those of a `Graph` by its names for them),
        ``"readout"`` for sums that no neuron took.
    outputs : tuple of str
        The layer that is the output of the model.
    offsets : mapping of str to int
        Steps by which the time of a population is later than that of the input: what torch
        computes in row t happens in step t + 1 + offset.
    dt : float
        Step [ms].
    input_shape, shapes
        Of the input, and of each layer.
    modules : tuple of (path, type, what became of it)
    """

    network: Network
    input: Population
    layers: Mapping[str, Population]
    outputs: tuple[str, ...]
    offsets: Mapping[str, int]
    dt: float
    input_shape: tuple[int, ...]
    shapes: Mapping[str, tuple[int, ...]]
    modules: tuple[tuple[str, str, str], ...]
    drawn: tuple[Drawn, ...] = field(repr=False)
    current: tuple[str, ...] = field(repr=False, default=())

    def run(
        self,
        samples: Any,
        engine: str | Engine = "cpu",
        *,
        n_steps: int | None = None,
        sensor_size: tuple[int, int, int] | None = None,
        membranes: Sequence[str] = (),
    ) -> ConvertedRun:
        """Simulate samples, one after another, and return what the layers did.

        The network is built once; between samples neurons go back to their initial states, so
        the cost is that of the events of all samples.

        Parameters
        ----------
        samples : [T, B, *input_shape] tensor or array, EventBatch, recordings, or SpikeTrains
            Numbers are counts of spikes in a step (with ``input="current"``: currents).
            Recordings (structured arrays of events, or ``(events, target)`` items of a data set)
            are put into steps of dt from time 0, as `collate_dense` does with
            ``time_step=1000 * dt``.
        engine : str or Engine, default "cpu"
            Such as ``ns.CPU(strategy="event")`` or ``"reference"``.
        n_steps : int, optional
            Steps of each sample; later input is left out.
        sensor_size : (W, H, P), optional
            Of recordings; default: from the shape of the input.
        membranes : sequence of str
            Layers whose membrane is recorded, beside the readout.

        Raises
        ------
        ParameterError
            If the samples do not fit the model.
        """
        given = samples_of(samples, self.input_shape, self.dt, n_steps, sensor_size)
        return run_samples(self, given, engine, tuple(membranes))

    def __repr__(self) -> str:
        return f"Conversion({self._title()})"

    def __str__(self) -> str:
        rows = [("module", "type", "in the network"), *self.modules]
        width = [max(len(r[k]) for r in rows) for k in range(2)]
        lines = [f"{a:<{width[0]}}  {b:<{width[1]}}  {c}" for a, b, c in rows]
        return "\n".join([self._title(), *lines, *self._notes()])

    def _repr_html_(self) -> str:
        """Return the report as a table, for notebooks."""
        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>"
            for row in self.modules
        )
        head = "".join(f"<th>{h}</th>" for h in ("module", "type", "in the network"))
        notes = "".join(f"<li>{html.escape(n)}</li>" for n in self._notes())
        return (
            f"<b>{html.escape(self._title())}</b><table><tr>{head}</tr>{cells}</table>"
            f"<ul>{notes}</ul>"
        )

    def _title(self) -> str:
        neurons = sum(p.n for p in self.layers.values())
        synapses = sum(edge.weight.size for layer in self.drawn for edge in layer.edges)
        return (
            f"{math.prod(self.input_shape)} inputs, {neurons} neurons in {len(self.layers)} "
            f"layers, {synapses} synapses, dt = {self.dt:g} ms, output {', '.join(self.outputs)!r}"
        )

    def _notes(self) -> list[str]:
        return [
            f"{layer.spec.name}: stepped in every step, because {layer.neuron.why_not_linear}"
            for layer in self.drawn
            if layer.neuron.why_not_linear
        ]


def to_network(
    model: nn.Module,
    dt: float,
    *,
    input_shape: int | Sequence[int] | None = None,
    sample: torch.Tensor | None = None,
    input: str = "spikes",
) -> Conversion:
    """Return a trained model as a network that emits the same spikes.

    Linear modules between layers of neurons (convolutions, pooling by averages, batch
    normalisation, ...) are multiplied into one set of synapses, which keeps those whose weight is
    not zero; delays are rounded to steps; biases become constant currents. The model is taken in
    evaluation mode and from its initial states.

    Parameters
    ----------
    model : nn.Module
        `neurosim.bridge.Sequential` or `Graph`, ``nn.Sequential``, one layer, or a module whose
        ``forward`` torch.fx can trace (sums of branches are allowed).
    dt : float
        Step of the network [ms]; a step of the model becomes one of the network.
    input_shape : int or sequence of int, optional
        Shape of the input without time and batch; default: that of `sample`, or of the first
        module where that tells it.
    sample : [T, B, *shape] tensor, optional
    input : {"spikes", "current"}, default "spikes"
        What the numbers of the input are: counts of spikes, or values which are multiplied with
        the first weights in NumPy and injected as currents, step by step.

    Returns
    -------
    Conversion

    Raises
    ------
    ConversionError
        If a part of the model has no counterpart in a network; it names the module and says what
        to do.
    ParameterError
        If the shape of the input cannot be told, or an option is not possible.

    Notes
    -----
    Between spikes most neurons are linear, and are simulated from event to event. The network is
    in double precision by default: spikes are those of the model in float64, apart from ties.

    Examples
    --------
    >>> from neurosim.bridge import LI, LIF, Linear, Sequential
    >>> net = Sequential(Linear(4, 3), LIF(beta=0.9), Linear(3, 2), LI(beta=0.9))
    >>> converted = to_network(net, dt=1.0)
    >>> dict(converted.offsets), converted.outputs
    ({'1': 1, '3': 2}, ('3',))
    >>> converted.run(torch.ones(10, 2, 4), engine="reference").output.shape
    (10, 2, 2)
    """
    dt = finite_number(dt, "to_network: dt", unit="ms")
    if dt <= 0:
        raise ParameterError(f"to_network: dt = {dt:g} ms must be > 0.")
    if input not in ("spikes", "current"):
        raise ParameterError(f"to_network: input = {input!r}; choose 'spikes' or 'current'.")
    if not isinstance(model, nn.Module):
        raise ParameterError(
            f"to_network: the model is {model!r:.60}; a module is needed: an object such as "
            "LIF(beta=0.9), not its class, and not a state_dict."
        )
    shape = _input_shape(model, input_shape, sample)
    layers = Layers()
    out = walk(layers, model, spikes_of(INPUT, shape))
    output = layers.finish(out)
    specs = tuple(layers.specs.values())
    _check_step(specs, dt)
    offsets = {INPUT: 0} | {s.name: s.offset for s in specs}
    fed = [s.name for s in specs if any(INPUT in f.lags for f in s.inflow)]
    currents = fed if input == "current" else []
    made = tuple(drawn(s, offsets, dt, s.name in currents) for s in specs)
    network, populations = build(made, shape, dt, window=Window())
    return Conversion(
        network, populations[INPUT], {s.name: populations[s.name] for s in specs}, (output,),
        {s.name: s.offset for s in specs}, dt, shape, {s.name: s.shape for s in specs},
        tuple(layers.rows), made, tuple(currents),
    )  # fmt: skip


def _check_step(specs: Sequence[LayerSpec], dt: float) -> None:
    """Refuse time constants that were given for another step than that of the network.

    Their unit is the user's, so a factor of 1000 may be one of units; a step of 1 is the default,
    and that of time constants in steps.
    """
    for spec in specs:
        given = spec.neuron.made_for_dt
        if given is None or given in (1.0, dt):
            continue
        magnitudes = math.log(given / dt, 1000.0)
        if abs(magnitudes - round(magnitudes)) > 1e-9:
            raise ConversionError(
                f"{spec.name} ({spec.neuron}): its time constants were given for steps of "
                f"dt = {given:g}, and the network has steps of dt = {dt:g} ms; use "
                f"to_network(model, dt={given:g})."
            )


def _in_order(model: nn.Module) -> Iterator[nn.Module]:
    """Return the modules of a model in the order in which the input reaches them."""
    if isinstance(model, Graph):
        for name in model.order:
            yield from _in_order(model.nodes[name])
        return
    yield model
    for part in model.children():
        yield from _in_order(part)


def _input_shape(
    model: nn.Module, given: int | Sequence[int] | None, sample: torch.Tensor | None
) -> tuple[int, ...]:
    if given is not None:
        sizes = tuple(given) if isinstance(given, Sequence) else (given,)
        if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
            raise ParameterError(
                f"to_network: input_shape = {given!r}; the shape of one sample in one step is "
                "needed, such as 700 or (2, 34, 34)."
            )
        return sizes
    if sample is not None:
        dimensions = list(sample.shape) if isinstance(sample, torch.Tensor) else []
        if len(dimensions) < 3:
            what = f"shape {dimensions}" if dimensions else f"the type {type(sample).__name__}"
            raise ParameterError(f"to_network: sample has {what}; a tensor [T, B, ...] is needed.")
        return tuple(sample.shape[2:])
    for module in _in_order(model):
        if isinstance(module, nn.Linear | DelayedLinear):
            return (module.in_features,)
        if isinstance(module, nn.modules.conv._ConvNd):
            break
        shape = getattr(module, "shape", None)
        if isinstance(shape, tuple):
            return shape
    raise ParameterError(
        "to_network: the shape of the input cannot be told from the first module; give "
        "input_shape=(C, H, W) or sample= a batch [T, B, C, H, W]."
    )
