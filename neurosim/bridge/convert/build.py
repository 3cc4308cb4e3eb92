"""Layers with what flows into them as a Network of the event engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.bridge.convert.flow import INPUT, Flow, synapses
from neurosim.bridge.convert.layers import (
    LayerSpec,
    coefficients,
    initial_values,
)
from neurosim.bridge.convert.step_model import DRIVE, EngineNeuron, engine_neuron
from neurosim.bridge.neurons.model_neuron import ModelNeuron
from neurosim.bridge.neurons.model_step import amount_of
from neurosim.engines.reference.neurons import Neurons
from neurosim.errors import ConversionError
from neurosim.lower.model import lower_model
from neurosim.models.sources import spike_source
from neurosim.network import Explicit, Network, Population, StepCurrent

#: Name of the source that sends the bias of layers which take no current.
TICKS = "ticks"
#: Change that a state may show without input before it is taken for one.
_REST = 1e-9


@dataclass(frozen=True)
class Window:
    """When a layer is in its own time: the steps of one sample, or of several.

    Attributes
    ----------
    starts : sequence of int
        Steps of the network before the first step of each sample, for a layer of offset 0.
    length : int or None
        Steps of a sample; None for one that never ends.
    """

    starts: Sequence[int] = (0,)
    length: int | None = None

    def gate(self, offset: int, dt: float) -> StepCurrent:
        """Return a current of one during the steps of each sample."""
        times, values = [], []
        for start in self.starts:
            times.append((start + offset) * dt)
            values.append(1.0)
            if self.length is not None:
                times.append((start + offset + self.length) * dt)
                values.append(0.0)
        return StepCurrent(times=np.array(times), values=np.array(values))


@dataclass(frozen=True)
class Drawn:
    """A layer as a model of the engine, with the synapses that end on it."""

    spec: LayerSpec
    neuron: EngineNeuron
    edges: tuple[Edge, ...]
    bias: np.ndarray
    ticks: bool

    @property
    def spiking(self) -> bool:
        """Whether the output of the layer are spikes."""
        return not self.spec.membrane


@dataclass(frozen=True)
class Edge:
    """The synapses from a source to one receptor of a layer; delays in steps."""

    source: str
    receptor: str
    rule: Explicit
    weight: np.ndarray
    delay: np.ndarray


def drawn(spec: LayerSpec, offsets: Mapping[str, int], dt: float, current: bool) -> Drawn:
    """Return the engine's side of a layer.

    Parameters
    ----------
    spec : LayerSpec
    offsets : mapping of source to int
    dt : float
        Step of the network [ms].
    current : bool
        Whether the input of the model reaches this layer as a current.

    Raises
    ------
    ConversionError
        If the layer cannot be a population.
    """
    bias = np.stack([f.bias for f in spec.inflow])
    own_model = isinstance(spec.neuron, ModelNeuron)
    gains: dict[str, Any] = {}
    if current and not own_model:
        gains = {spec.neuron.step.inputs[0]: 1.0}
    elif bias.any() and not own_model:
        gains = {
            name: _one(row) for name, row in zip(spec.neuron.step.inputs, bias, strict=True)
            if row.any()
        }  # fmt: skip
    neuron = _declared(spec, dt, current) if own_model else _generated(spec, gains)
    edges = tuple(
        edge
        for receptor, flow in zip(neuron.receptors, spec.inflow, strict=True)
        for edge in _edges(spec, receptor, flow, offsets)
        if not (current and edge.source == INPUT)
    )
    _check_rest(spec, neuron, dt)
    return Drawn(spec, neuron, edges, bias, own_model and bool(bias.any()))


def _one(values: np.ndarray) -> Any:
    return float(values[0]) if (values == values[0]).all() else values


def _generated(spec: LayerSpec, gains: Mapping[str, Any]) -> EngineNeuron:
    try:
        return engine_neuron(
            spec.neuron.step, coefficients(spec.neuron, spec.n),
            initial_values(spec.neuron, spec.n), gains,
        )  # fmt: skip
    except ValueError as error:
        raise ConversionError(f"{spec.name} ({spec.neuron}): {error}.") from error


def _declared(spec: LayerSpec, dt: float, current: bool) -> EngineNeuron:
    """Return the model that a ModelNeuron was made of, with the values it has learnt."""
    layer = spec.neuron
    assert isinstance(layer, ModelNeuron)
    declared = layer.model.spec
    if not math.isclose(layer.dt, dt, rel_tol=1e-9):
        raise ConversionError(
            f"{spec.name} ({layer}): it was trained with dt = {layer.dt:g} ms and the network has "
            f"dt = {dt:g} ms; use to_network(model, dt={layer.dt:g})."
        )
    names = {amount_of(r): r for r in declared.receptors}
    receptors = tuple(names[x] for x in layer.step.inputs if x in names)
    if len(receptors) != len(layer.step.inputs) or current:
        raise ConversionError(
            f"{spec.name} ({layer}): it takes a current, which spikes cannot carry; use a "
            "receptor of the model as its input."
        )
    if declared.absolute and any((m.data < 0).any() for f in spec.inflow for m in f.terms.values()):
        raise ConversionError(
            f"{spec.name} ({layer}): some weights are negative, but the engine takes the absolute "
            "value of those of conductances; use a receptor for excitation and one for inhibition."
        )
    learnt = {
        name: getattr(layer, name).detach().double().numpy()
        / declared.parameters[name].parsed_unit.scale
        for name in layer.learn
    }
    values = {k: float(v) if v.size == 1 else v.reshape(-1) for k, v in learnt.items()}
    initial = {k: v for k, v in initial_values(layer, spec.n).items() if k in declared.states}
    return EngineNeuron(
        layer.model.replace(**values), initial, receptors, 0, 1.0, layer.step.outputs[0]
    )


def _edges(spec: LayerSpec, receptor: str, flow: Flow, offsets: Mapping[str, int]) -> list[Edge]:
    edges = []
    for source in flow.lags:
        pre, post, weight, lags = synapses(flow, source)
        ahead = 1 if source == spec.name else spec.offset - offsets[source]
        if pre.size:
            edges.append(Edge(source, receptor, Explicit(pre, post), weight, lags + ahead))
    return edges


def _check_rest(spec: LayerSpec, neuron: EngineNeuron, dt: float) -> None:
    """Raise an error if the neurons change or spike before anything reaches them."""
    model = neuron.model
    values = {n: v * model.parameters[n].parsed_unit.scale for n, v in model.values.items()}
    lowered = lower_model(model, values, neuron.initial, spec.n, dt, None)
    probe = Neurons(lowered, (0, 0))
    before = {s: v.copy() for s, v in probe.states.items()}
    fired = probe.step(1, np.zeros((len(lowered.receptors), spec.n)), np.zeros(spec.n))
    for state, old in before.items():
        scale = max(1.0, float(np.abs(old).max()))
        if fired.size or not np.allclose(probe.states[state], old, rtol=0, atol=_REST * scale):
            what = "spike" if fired.size else f"change their {state}"
            raise ConversionError(
                f"{spec.name} ({spec.neuron}): neurons {what} without any input. The network is "
                f"{spec.offset} steps behind torch here, so that would begin too early. Start "
                "them at rest, and give a constant input by the bias of the layer before."
            )


def build(
    layers: Sequence[Drawn],
    input_shape: tuple[int, ...],
    dt: float,
    *,
    window: Window,
    spikes: tuple[np.ndarray, np.ndarray] | None = None,
    currents: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> tuple[Network, dict[str, Population]]:
    """Return the network and its populations.

    Parameters
    ----------
    layers : sequence of Drawn
    input_shape : tuple of int
    dt : float
        Step [ms].
    window : Window
        When the layers get their bias.
    spikes : (steps, ids), optional
        Of the input, counted from 1.
    currents : mapping of layer to (times [ms], values (n_times, n)), optional
        Input by current, bias included.
    """
    network = Network()
    steps, ids = spikes if spikes is not None else (np.zeros(0, np.int64), np.zeros(0, np.int64))
    source = spike_source(times=steps * dt, ids=ids, round_times=True)
    populations = {INPUT: network.population(math.prod(input_shape), source, name=INPUT)}
    for layer in layers:
        spec = layer.spec
        populations[spec.name] = network.population(
            spec.n, layer.neuron.model, name=spec.name, **layer.neuron.initial
        )
    for layer in layers:
        for edge in layer.edges:
            network.connect(
                populations[edge.source], populations[layer.spec.name], edge.rule,
                weight=edge.weight, delay=edge.delay * dt, receptor=edge.receptor,
                round_delays=True,
            )  # fmt: skip
        _add_bias(network, populations, layer, dt, window, (currents or {}).get(layer.spec.name))
    return network, populations


def _add_bias(
    network: Network,
    populations: dict[str, Population],
    layer: Drawn,
    dt: float,
    window: Window,
    current: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    spec = layer.spec
    target = populations[spec.name]
    if layer.ticks and window.length is not None:
        _add_ticks(network, target, layer, dt, window, window.length)
    elif current is not None:
        times, values = current
        for k in range(spec.n):
            network.inject(target[k : k + 1], StepCurrent(times, values[:, k]), parameter=DRIVE)
    elif DRIVE in layer.neuron.model.parameters and layer.bias.any():
        network.inject(target, window.gate(spec.offset, dt), parameter=DRIVE)


def _add_ticks(
    network: Network, target: Population, layer: Drawn, dt: float, window: Window, length: int
) -> None:
    """Send the bias of a layer as a spike in every step of its time."""
    spec = layer.spec
    steps = np.concatenate([np.arange(length) + s + spec.offset for s in window.starts])
    ticks = network.population(
        1, spike_source(times=steps * dt, round_times=True), name=f"{TICKS} {spec.name}"
    )
    for receptor, bias in zip(layer.neuron.receptors, layer.bias, strict=True):
        used = np.flatnonzero(bias)
        if used.size:
            network.connect(
                ticks, target, Explicit(np.zeros(used.size, np.int64), used), weight=bias[used],
                delay=dt, receptor=receptor,
            )  # fmt: skip
