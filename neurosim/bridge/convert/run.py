"""Running a converted model: samples one after another in one simulation, and their results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.bridge.convert.build import Window, build
from neurosim.bridge.convert.flow import INPUT
from neurosim.engines.base import Engine
from neurosim.errors import ParameterError, unknown_name
from neurosim.network import Spikes, State
from neurosim.results import SpikeTrains
from neurosim.simulation import Simulation

if TYPE_CHECKING:
    from neurosim.bridge.convert.conversion import Conversion
    from neurosim.bridge.convert.inputs import Samples

#: Steps, samples and neurons of spikes.
Events = tuple[np.ndarray, np.ndarray, np.ndarray]
#: Ways to decide for a class.
DECISIONS = ("count", "sum", "mean", "max", "last")


@dataclass(frozen=True, eq=False)
class ConvertedRun:
    """What the layers of a converted model did with some samples.

    Attributes
    ----------
    conversion : Conversion
    n_steps, n_samples : int
        T and B.
    events : mapping of layer (and "input") to (step, sample, neuron) int64 arrays
        Spikes in the layer's own time, steps 0 ... T - 1, sorted by sample, step and neuron.
    membranes : mapping of layer to (T, B, n) float64 array
        Recorded membranes; of the readout, and of layers that were asked for.
    counters : tuple of dict
        Work of the engine for each sample: spikes, synaptic_events, neuron_updates, seconds.
    simulation : Simulation
        What was run, with its generated kernels and total counters.
    """

    conversion: Conversion
    n_steps: int
    n_samples: int
    events: Mapping[str, Events] = field(repr=False)
    membranes: Mapping[str, np.ndarray] = field(repr=False)
    counters: tuple[dict[str, Any], ...] = field(repr=False)
    simulation: Simulation = field(repr=False)

    @cached_property
    def output(self) -> np.ndarray:
        """The output of the model, (T, B, *shape): spikes (times their amplitude) or membrane."""
        (name,) = self.conversion.outputs
        return self.of(name)

    def of(self, name: str) -> np.ndarray:
        """Return what a layer returns in torch, (T, B, *shape) float64.

        Raises
        ------
        UnknownNameError
            If there is no such layer.
        """
        layer = self._layer(name)
        shape = (self.n_steps, self.n_samples, *layer.spec.shape)
        if not layer.spiking:
            return self.membranes[name].reshape(shape)
        dense = np.zeros((self.n_steps, self.n_samples, layer.spec.n))
        step, sample, neuron = self.events[name]
        amplitude = np.broadcast_to(layer.neuron.amplitude, (layer.spec.n,))
        dense[step, sample, neuron] = amplitude[neuron]
        return dense.reshape(shape)

    def spikes(self, name: str, sample: int = 0) -> SpikeTrains:
        """Return the spikes of a layer (or ``"input"``) in one sample.

        Times are those of the layer itself: (t + 1) dt for a spike in row t of torch.

        Raises
        ------
        UnknownNameError, ParameterError
            If there is no such layer or sample.
        """
        dt = self.conversion.dt
        n = self.conversion.input.n if name == INPUT else self._layer(name).spec.n
        if not 0 <= sample < self.n_samples:
            raise ParameterError(
                f"sample = {sample}; there are samples 0 ... {self.n_samples - 1}."
            )
        step, of, neuron = self.events[name]
        mine = of == sample
        return SpikeTrains(
            (step[mine] + 1) * dt, neuron[mine], n, t_stop=self.n_steps * dt, name=name
        )

    def counts(self, name: str) -> np.ndarray:
        """Return the number of spikes of each neuron of a layer in each sample, (B, *shape)."""
        layer = self._layer(name)
        found = np.zeros((self.n_samples, layer.spec.n), np.int64)
        _, sample, neuron = self.events[name]
        np.add.at(found, (sample, neuron), 1)
        return found.reshape(self.n_samples, *layer.spec.shape)

    def decisions(self, by: str | None = None) -> np.ndarray:
        """Return the class that each sample is taken for, (B,) int64.

        Parameters
        ----------
        by : {"count", "sum", "mean", "max", "last"}, optional
            Largest number of spikes; or sum, mean or maximum over time, or last value, of the
            output. Default: ``"count"`` for an output that spikes, ``"sum"`` for a membrane. Of
            equal classes the first is taken.

        Raises
        ------
        ParameterError
            For another word.
        """
        by = by or ("count" if self._layer(self.conversion.outputs[0]).spiking else "sum")
        values = self.output.reshape(self.n_steps, self.n_samples, -1)
        if by not in DECISIONS:
            raise ParameterError(f"decisions: by = {by!r} is not one of {', '.join(DECISIONS)}.")
        scores = {
            "count": lambda: (values != 0).sum(0), "sum": lambda: values.sum(0),
            "mean": lambda: values.mean(0), "max": lambda: values.max(0),
            "last": lambda: values[-1],
        }[by]()  # fmt: skip
        return np.asarray(scores.argmax(-1), np.int64)

    def synaptic_events(self) -> dict[str, np.ndarray]:
        """Return how many synaptic events reached each layer in each sample, (B,) int64.

        Only spikes within the samples' steps count; `counters` has what the engine did in all.
        """
        found = {}
        for layer in self.conversion.drawn:
            total = np.zeros(self.n_samples, np.int64)
            for edge in layer.edges:
                n = self.conversion.network.populations[edge.source].n
                fan_out = np.bincount(edge.rule.pre, minlength=n)
                _, sample, neuron = self.events[edge.source]
                np.add.at(total, sample, fan_out[neuron])
            found[layer.spec.name] = total
        return found

    def _layer(self, name: str) -> Any:
        for layer in self.conversion.drawn:
            if layer.spec.name == name:
                return layer
        raise unknown_name("layer", name, self.conversion.layers, "the converted model")


def run_samples(
    conversion: Conversion, samples: Samples, engine: str | Engine, membranes: tuple[str, ...]
) -> ConvertedRun:
    """Run samples one after another; see `Conversion.run`."""
    for name in membranes:
        if name not in conversion.layers:
            raise unknown_name("layer", name, conversion.layers, "the converted model")
    last = max(o + layer.neuron.lag for o, layer in _timed(conversion))
    length = samples.n_steps + last
    starts = np.arange(samples.n_samples) * length
    window = Window(tuple(starts.tolist()), samples.n_steps)
    spikes = None if conversion.current else samples.spikes(starts)
    currents = _currents(conversion, samples, starts) if conversion.current else None
    network, populations = build(
        conversion.drawn, conversion.input_shape, conversion.dt,
        window=window, spikes=spikes, currents=currents,
    )  # fmt: skip
    traced = {
        layer.spec.name: layer.neuron.output_state for layer in conversion.drawn
        if not layer.spiking or layer.spec.name in membranes
    }  # fmt: skip
    record: list[Any] = [Spikes(populations[n]) for n in conversion.layers]
    record += [
        State(populations[n], [state], interval=conversion.dt) for n, state in traced.items()
    ]
    simulation = Simulation(network, dt=conversion.dt, record=record, engine=engine)
    counters = _run(simulation, samples.n_samples, length * conversion.dt)
    results = simulation.results
    cut = _Cut(starts, length, samples.n_steps, conversion.dt)
    events = {INPUT: _input_events(spikes, cut)}
    events |= {n: cut.spikes(results.spikes[n], conversion.offsets[n]) for n in conversion.layers}
    lag = {layer.spec.name: layer.neuron.lag for layer in conversion.drawn}
    traces = {
        n: cut.trace(results.traces[n][state], conversion.offsets[n] + lag[n])
        for n, state in traced.items()
    }
    return ConvertedRun(
        conversion, samples.n_steps, samples.n_samples, events, traces, counters, simulation
    )


def _timed(conversion: Conversion) -> list[tuple[int, Any]]:
    return [(conversion.offsets[layer.spec.name], layer) for layer in conversion.drawn]


def _run(simulation: Simulation, n_samples: int, duration: float) -> tuple[dict[str, Any], ...]:
    """Run the samples; return the work of each."""
    kinds = ("spikes", "synaptic_events", "neuron_updates")
    counters = []
    before = simulation.counters
    for sample in range(n_samples):
        began = time.perf_counter()
        simulation.run(duration)
        seconds = time.perf_counter() - began
        after = simulation.counters
        counters.append({k: after[k] - before[k] for k in kinds} | {"seconds": seconds})
        before = after
        if sample + 1 < n_samples:
            simulation.reset()
    return tuple(counters)


def _currents(
    conversion: Conversion, samples: Samples, starts: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what the input (and the bias) injects into the layers that it reaches."""
    found = {}
    x = samples.dense()
    for layer in conversion.drawn:
        spec, offset = layer.spec, layer.spec.offset
        if spec.name not in conversion.current:
            continue
        total = np.zeros((samples.n_steps, samples.n_samples, spec.n)) + layer.bias[0]
        for (source, lag), matrix in spec.inflow[0].terms.items():
            if source == INPUT:
                sent = x[: samples.n_steps - lag] if lag else x
                total[lag:] += (sent.reshape(-1, x.shape[2]) @ matrix).reshape(
                    -1, samples.n_samples, spec.n
                )
        rows = [(s + offset + np.arange(samples.n_steps + 1)) * conversion.dt for s in starts]
        values = [np.concatenate([total[:, b], np.zeros((1, spec.n))]) for b in range(len(starts))]
        found[spec.name] = (np.concatenate(rows), np.concatenate(values))
    return found


@dataclass(frozen=True)
class _Cut:
    """Cuts a run into samples, each in the time of a layer."""

    starts: np.ndarray
    length: int
    n_steps: int
    dt: float

    def spikes(self, trains: SpikeTrains, offset: int) -> Events:
        """Return steps, samples and neurons of a layer's spikes."""
        return self.of_steps(np.round(trains.times / self.dt).astype(np.int64), trains.ids, offset)

    def of_steps(self, steps: np.ndarray, ids: np.ndarray, offset: int) -> Events:
        """Return steps, samples and neurons of spikes in steps of the run, counted from 1."""
        sample = (steps - 1) // self.length
        step = (steps - 1) % self.length - offset
        kept = (step >= 0) & (step < self.n_steps)
        return step[kept], sample[kept], ids[kept]

    def trace(self, values: np.ndarray, offset: int) -> np.ndarray:
        """Return a recorded state as (T, B, n)."""
        rows = self.starts[None, :] + offset + np.arange(self.n_steps)[:, None]
        return values[rows]


def _input_events(spikes: tuple[np.ndarray, np.ndarray] | None, cut: _Cut) -> Events:
    if spikes is None:
        none = np.zeros(0, np.int64)
        return none, none, none
    steps, ids = spikes
    order = np.lexsort((ids, steps))
    return cut.of_steps(steps[order], ids[order], 0)
