"""Recorder: gathers what a runner recorded, in memory or on disk, into Results."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.engines.base import Runner
from neurosim.lower.connectivity import count_estimate
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.memory import require_memory
from neurosim.lower.plan import Plan
from neurosim.network import Network, Spikes
from neurosim.network.projection import weight_unit
from neurosim.results import Results, SpikeTrains, Traces, WeightTraces

if TYPE_CHECKING:
    from neurosim.io.spike_writer import SpikeWriter


class Recorder:
    """Collects recordings of a run.

    Parameters
    ----------
    plan : Plan or ContinuousPlan
    network : Network
    """

    def __init__(self, plan: Plan | ContinuousPlan, network: Network) -> None:
        self._plan = plan
        self._names = list(network.populations)
        self._projections = network.projections
        self._records: dict[int, Spikes] = {s.target.population.index: s for s in plan.spikes}
        for path in {r.to for r in plan.spikes if r.to is not None}:
            _require_folder(path)  # now, not after a long run
        self.times: dict[int, list[np.ndarray]] = {p: [] for p in self._records}
        self.ids: dict[int, list[np.ndarray]] = {p: [] for p in self._records}
        self.states: list[list[np.ndarray]] = [[] for _ in plan.states]
        self.weights: list[list[np.ndarray]] = [[] for _ in plan.weights]
        # by path: several populations may go to one file
        self._writers: dict[str, SpikeWriter] = {}

    def check_memory(self, stop: float) -> None:
        """Raise NetworkSizeError if what is recorded until `stop` [ms] needs too much memory."""
        needed = {}
        specs = {c.name: c.spec for c in self._plan.connections}
        for k, item in enumerate(self._plan.weights):
            name = item.projection.name
            if self._is_plastic(name):
                samples = stop / item.interval - sum(len(v) for v in self.weights[k])
                each = 8 * count_estimate(specs[name])[0]
                needed[f"weights of projection {name!r}"] = 2 * each * max(samples, 0.0)
        for k, record in enumerate(self._plan.states):
            samples = stop / (record.every * record.step) - sum(len(v) for v in self.states[k])
            each = 8 * len(record.names) * record.ids.size
            # twice: they are put together from pieces in the end
            label = f"states of population {self._names[record.population]!r}"
            needed[label] = 2 * each * max(samples, 0.0)
        if needed:
            largest = max(needed, key=lambda name: needed[name])
            require_memory(
                sum(needed.values()),
                f"run: what is to be recorded (most of it the {largest}) needs",
                "Record fewer neurons, states or weights, at longer intervals, or a shorter run.",
            )

    def collect(self, runner: Runner) -> None:
        """Take over what was recorded since the last call."""
        self._collect_weights(runner)
        spikes, states = runner.drain()
        for p, (times, ids) in spikes.items():
            target = self._records[p].target
            if not target.is_whole:
                kept = np.isin(ids, target.ids)
                times, ids = times[kept], ids[kept]
            if self._records[p].to is not None:
                self._writer(p).append(times, ids, self._names[p])
            elif times.size:
                self.times[p].append(times)
                self.ids[p].append(ids)
        for k, values in enumerate(states):
            if values.size:
                self.states[k].append(values)

    def _writer(self, p: int) -> SpikeWriter:
        from neurosim.io.spike_writer import SpikeWriter

        path = self._records[p].to
        assert path is not None
        if path not in self._writers:
            targets = {self._names[q]: r.target for q, r in self._records.items() if r.to == path}
            self._writers[path] = SpikeWriter(
                path,
                {name: len(t) for name, t in targets.items()},
                neuron_ids={n: np.sort(t.ids) for n, t in targets.items() if not t.is_whole},
            )
        return self._writers[path]

    def finish(self, runner: Runner) -> None:
        """Make files complete up to now."""
        for writer in self._writers.values():
            writer.flush(runner.time)

    def state(self) -> dict[str, Any]:
        """Return everything recorded so far as plain data, for a checkpoint."""
        self._merge()
        return {
            "times": {p: parts[0] for p, parts in self.times.items() if parts},
            "ids": {p: parts[0] for p, parts in self.ids.items() if parts},
            "states": {k: parts[0] for k, parts in enumerate(self.states) if parts},
            "weights": {k: parts[0] for k, parts in enumerate(self.weights) if parts},
        }

    def restore(self, recorded: dict[str, Any], time: float) -> None:
        """Take over what `state` returned; files are cut back to the time of the checkpoint."""
        for name in ("times", "ids"):
            for p, values in recorded[name].items():
                getattr(self, name)[p] = [values]
        for k, values in recorded["states"].items():
            self.states[k] = [values]
        for k, values in recorded.get("weights", {}).items():
            self.weights[k] = [values]
        if time > 0:
            from neurosim.io.spike_writer import SpikeWriter

            for path in {r.to for r in self._records.values() if r.to is not None}:
                self._writers[path] = SpikeWriter.resume(path, time)

    def next_weights(self, time: float) -> float:
        """Return the next time at which weights are recorded [ms]; infinite if none are."""
        periods = [w.interval for w in self._plan.weights if self._is_plastic(w.projection.name)]
        return min((_later_multiple(time, p) for p in periods), default=np.inf)

    def _is_plastic(self, name: str) -> bool:
        return self._projections[name].synapse is not None

    def _collect_weights(self, runner: Runner) -> None:
        """Take the weights of plastic projections whose time it is."""
        for k, item in enumerate(self._plan.weights):
            name, taken = item.projection.name, self.weights[k]
            due = (sum(len(v) for v in taken) + 1) * item.interval
            if self._is_plastic(name) and runner.time > due - 1e-9 * max(1.0, due):
                taken.append(runner.edges(name).weight[np.newaxis])

    def _merge(self) -> None:
        for parts in [*self.times.values(), *self.ids.values(), *self.states, *self.weights]:
            if len(parts) > 1:
                parts[:] = [np.concatenate(parts)]

    def results(self, runner: Runner, simulation: Any) -> Results:
        """Return everything recorded so far."""
        weights = {}
        for k, item in enumerate(self._plan.weights):
            name = item.projection.name
            weights[name] = self._weights(runner, k, name, item.interval)
        return Results(
            spikes={self._names[p]: self._spikes(p, runner.time) for p in self._records},
            traces={
                self._names[r.population]: self._traces(k) for k, r in enumerate(self._plan.states)
            },
            weights=weights,
            metadata=_metadata(simulation, runner),
            counters=runner.counters(),
        )

    def _spikes(self, p: int, time: float) -> SpikeTrains:
        record = self._records[p]
        target = record.target
        if record.to is not None:
            writer = self._writer(p)
            writer.flush(time)
            return writer.spikes(self._names[p])
        times = np.concatenate([*self.times[p], np.zeros(0)])
        ids = np.concatenate([*self.ids[p], np.zeros(0, np.int64)])
        neuron_ids = None if target.is_whole else np.sort(target.ids)
        return SpikeTrains(
            times, ids, len(target), t_stop=time, name=self._names[p], neuron_ids=neuron_ids
        )

    def _traces(self, k: int) -> Traces:
        record = self._plan.states[k]
        shape = (0, len(record.names), record.ids.size)
        values = np.concatenate([*self.states[k], np.zeros(shape)])
        population = self._plan.populations[record.population]
        assert population.model is not None
        units = {s: population.model.spec.states[s].unit for s in record.names}
        t = np.arange(1, values.shape[0] + 1) * record.every * record.step
        return Traces(
            {s: values[:, j] for j, s in enumerate(record.names)},
            t, record.ids, units, population.name,
        )  # fmt: skip

    def weights_now(self, runner: Runner, name: str) -> WeightTraces:
        """Return the synapses of a projection with the weights that they have now."""
        edges = runner.edges(name)
        return WeightTraces(
            edges.pre, edges.post, edges.weight, self._delay(name, edges.delay_steps), name=name,
            unit=self._weight_unit(name),
        )  # fmt: skip

    def _delay(self, name: str, steps: np.ndarray) -> np.ndarray:
        """Return the delays [ms] of a projection, with what is spent on a relay."""
        plan = next(c for c in self._plan.connections if c.name == name)
        return np.asarray((steps + plan.early) * self._plan.delay_unit)

    def _weights(self, runner: Runner, k: int, name: str, interval: float) -> WeightTraces:
        edges = runner.edges(name)
        times = np.arange(1, int(runner.time / interval + 1e-9) + 1) * interval
        values = np.broadcast_to(edges.weight, (times.size, edges.weight.size))
        if self._is_plastic(name):
            values = np.concatenate([*self.weights[k], np.zeros((0, edges.weight.size))])
        return WeightTraces(
            edges.pre, edges.post, edges.weight, self._delay(name, edges.delay_steps),
            times=times, values=values,
            name=name, unit=self._weight_unit(name),
        )  # fmt: skip

    def _weight_unit(self, name: str) -> str:
        projection = self._projections[name]
        return weight_unit(projection.post.model, projection.receptors) or ""


def _require_folder(path: str) -> None:
    from neurosim.io._hdf5 import require_folder

    require_folder(path)


def _later_multiple(time: float, period: float) -> float:
    """Return the first multiple of a period after a time, up to rounding."""
    return float((np.floor(time / period + 1e-9) + 1) * period)


def _metadata(simulation: Any, runner: Runner) -> dict[str, Any]:
    return {
        "neurosim": package_version("neurosim"),
        "numpy": np.__version__,
        "numba": package_version("numba"),
        "python": platform.python_version(),
        "engine": repr(simulation.engine),
        "seed": simulation.seed,
        "connectivity_seed": simulation.connectivity_seed,
        "dt": simulation.dt,
        "duration": runner.time,
    }


def package_version(name: str) -> str:
    """Return the version of an installed package, or "unknown"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
