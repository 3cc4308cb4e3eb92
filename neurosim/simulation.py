"""Simulation and simulate(): from a network to results."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.engines.base import Engine, Runner
from neurosim.engines.registry import engine_of
from neurosim.errors import ParameterError, RecordingError, unknown_name
from neurosim.lower.continuous import ContinuousPlan, lower_continuous
from neurosim.lower.grid import to_step
from neurosim.lower.plan import Plan, lower
from neurosim.network import Network, Spikes, State, Weights
from neurosim.network.checks import finite_number
from neurosim.network.projection import Projection
from neurosim.recorder import Recorder
from neurosim.results import Results, WeightTraces

Progress = bool | Callable[[float, float], None]


class Simulation:
    """A network that is being run.

    Parameters
    ----------
    network : Network
        What to run; it is not changed.
    dt : float or None, default 0.1
        Step [ms]. None selects continuous time: exact spike times without a grid, for models with
        a closed-form solution.
    seed : int, default 0
        Governs initial values, parameters, Poisson trains and noise.
    record : sequence of Spikes, State and Weights
        What to record.
    engine : str or Engine, default "cpu"
        ``"cpu"``, ``"reference"``, or an object with options such as ``ns.CPU(threads=2)``.
    connectivity_seed : int, optional
        Governs which synapses exist, their weights and delays; default: `seed`.

    Raises
    ------
    NeurosimError
        If anything about the network, the recordings or the engine is wrong.

    Examples
    --------
    >>> import neurosim as ns
    >>> net = ns.Network()
    >>> cell = net.population(1, ns.models.iaf_psc_exp(I_e=400.0), name="cell")
    >>> sim = Simulation(net, record=[ns.Spikes(cell)], engine="reference")
    >>> sim.run(60.0)
    >>> sim.results.spikes["cell"].times
    array([27.8, 57.6])
    """

    def __init__(
        self,
        network: Network,
        *,
        dt: float | None = 0.1,
        seed: int = 0,
        record: Sequence[Any] = (),
        engine: str | Engine = "cpu",
        connectivity_seed: int | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise ParameterError(f"Simulation: network = {network!r}; an ns.Network is needed.")
        self.network = network
        self.dt = None if dt is None else finite_number(dt, "dt", unit="ms")
        self.seed = _checked_seed(seed, "seed")
        self.connectivity_seed = self.seed
        if connectivity_seed is not None:
            self.connectivity_seed = _checked_seed(connectivity_seed, "connectivity_seed")
        if isinstance(record, Spikes | State | Weights) or not isinstance(record, Iterable):
            raise RecordingError(f"record = {record!r}; a list is needed: record=[...].")
        self.record = tuple(record)
        self.engine = engine_of(engine)
        seeds = (self.seed, self.connectivity_seed)
        self.plan: Plan | ContinuousPlan = (
            lower_continuous(network, *seeds, self.record)
            if self.dt is None
            else lower(network, self.dt, *seeds, self.record)
        )
        self._runner: Runner = self.engine.prepare(self.plan)
        self._recorder = Recorder(self.plan, network)

    @property
    def time(self) -> float:
        """Model time [ms]."""
        return self._runner.time

    @property
    def counters(self) -> dict[str, Any]:
        """Work done so far: spikes, synaptic_events, neuron_updates, steps, bytes, seconds."""
        return self._runner.counters()

    def __repr__(self) -> str:
        step = "continuous time" if self.dt is None else f"dt = {self.dt:g} ms"
        return f"Simulation(t = {self.time:g} ms, {step}, seed={self.seed}, {self.engine!r})"

    def weights(self, name: str | Projection) -> WeightTraces:
        """Return the synapses of a projection with the weights that they have now.

        Parameters
        ----------
        name : str or Projection
            Name of the projection, or the projection of this network.

        Raises
        ------
        UnknownNameError
            If there is no such projection.
        """
        projections = self.network.projections
        if isinstance(name, Projection):
            name = name.name if name in projections.values() else repr(name)
        if name not in projections:
            raise unknown_name("projection", name, projections, "network")
        return self._recorder.weights_now(self._runner, name)

    def sources(self) -> dict[str, str]:
        """Return the source that the engine generated for each population."""
        return self._runner.sources()

    @property
    def results(self) -> Results:
        """Everything recorded so far."""
        return self._recorder.results(self._runner, self)

    def run(self, duration: float, *, progress: Progress = False) -> None:
        """Go on for some model time.

        Parameters
        ----------
        duration : float
            Model time [ms], a multiple of dt.
        progress : bool or callable
            True shows a progress bar with the real-time factor on stderr (if that is a terminal);
            a callable gets (time done, time in all) in ms after each piece of work.

        Raises
        ------
        ParameterError
            If `duration` is negative, not finite or not a multiple of dt.
        NetworkSizeError
            If what is to be recorded until then needs more memory than there is.
        SimulationError
            If a state stops being a number.
        KeyboardInterrupt
            After Ctrl-C, once the piece of work is complete: the simulation stays consistent and
            can be continued, saved or looked at.
        """
        start, stop = self.time, self._target(duration)
        self._recorder.check_memory(stop)
        with _interruptible() as interrupted, _shown(progress, self.time, stop) as show:
            try:
                while self._runner.time < stop - self._tolerance(stop):
                    self._advance(min(stop, self._recorder.next_weights(self._runner.time)))
                    show(self._runner.time - start, stop - start)
                    if interrupted():
                        raise KeyboardInterrupt(
                            f"stopped at t = {self._runner.time:g} ms; run() goes on from there."
                        )
            finally:
                self._recorder.finish(self._runner)

    def _advance(self, stop: float) -> None:
        """Do a piece of work and take over what was recorded, up to a failure too."""
        try:
            self._runner.advance(stop)
        finally:
            self._recorder.collect(self._runner)

    def _tolerance(self, stop: float) -> float:
        """Return what the time may fall short of `stop` by rounding [ms]."""
        return 1e-9 * max(1.0, stop) if self.dt is None else self.dt / 2

    def _target(self, duration: float) -> float:
        duration = finite_number(duration, "run: duration", unit="ms")
        if duration < 0:
            raise ParameterError(f"run: duration = {duration:g} ms; it must be >= 0.")
        if self.dt is None:
            return self.time + duration
        return (round(self.time / self.dt) + to_step(duration, self.dt, "run: duration")) * self.dt

    def reset(self) -> None:
        """Put all neurons back to their initial states and drop spikes on their way.

        Time, recordings, counters and what sources send go on, so that independent trials can be
        run one after another without building the network again.

        Raises
        ------
        SimulationError
            In continuous time (``dt=None``).

        Examples
        --------
        >>> import neurosim as ns
        >>> net = ns.Network()
        >>> cell = net.population(1, ns.models.iaf_psc_exp(I_e=400.0), name="cell")
        >>> sim = Simulation(net, record=[ns.Spikes(cell)], engine="reference")
        >>> for _ in range(2):
        ...     sim.run(50.0)
        ...     sim.reset()
        >>> sim.results.spikes["cell"].times
        array([27.8, 77.8])
        """
        self._runner.reset()

    def save(self, path: str | Path) -> None:
        """Write a checkpoint (HDF5) from which `load` continues exactly.

        Parameters
        ----------
        path : path
            File to write; an existing one is replaced once the new one is complete.
        """
        from neurosim.io.checkpoint import save

        self._recorder.finish(self._runner)
        save(self, self._runner, self._recorder, path)

    def restore(self, state: Any, recorded: Any) -> None:
        """Take over the state and the recordings of a checkpoint (used by `load`)."""
        self._runner.restore(state)
        self._recorder.restore(recorded, self._runner.time)

    @classmethod
    def load(cls, path: str | Path, *, engine: str | Engine | None = None) -> Simulation:
        """Return the simulation that `save` wrote, ready to go on.

        Parameters
        ----------
        path : path
        engine : str or Engine, optional
            Go on with another engine, strategy or number of threads.

        Raises
        ------
        FileFormatError
            If the file is no checkpoint, damaged, or of a newer version.
        """
        from neurosim.io.checkpoint import load

        simulation: Simulation = load(cls, path, engine)
        return simulation


def simulate(
    network: Network,
    duration: float,
    *,
    dt: float | None = 0.1,
    seed: int = 0,
    record: Sequence[Any] = (),
    engine: str | Engine = "cpu",
    connectivity_seed: int | None = None,
    progress: Progress = False,
) -> Results:
    """Run a network and return what was recorded.

    Parameters
    ----------
    network : Network
    duration : float
        Model time [ms], a multiple of dt.
    dt, seed, record, engine, connectivity_seed
        See `Simulation`.
    progress : bool or callable
        See `Simulation.run`.

    Returns
    -------
    Results

    Examples
    --------
    >>> import neurosim as ns
    >>> net = ns.Network()
    >>> cell = net.population(1, ns.models.iaf_psc_exp(I_e=400.0), name="cell")
    >>> simulate(net, 60.0, record=[ns.Spikes(cell)], engine="reference").spikes["cell"].times
    array([27.8, 57.6])
    """
    simulation = Simulation(
        network, dt=dt, seed=seed, record=record, engine=engine, connectivity_seed=connectivity_seed
    )
    simulation.run(duration, progress=progress)
    return simulation.results


def _checked_seed(seed: int, name: str) -> int:
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
        raise ParameterError(f"{name} = {seed!r}: a whole number is needed.")
    return int(seed)


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back until a piece of work is complete."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: received.set())
    try:
        yield received.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _shown(
    progress: Progress, start: float, stop: float
) -> Iterator[Callable[[float, float], None]]:
    if callable(progress):
        yield progress
        return
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules  # a terminal or a notebook
    if not progress or not watched:
        yield lambda done, total: None
        return
    from tqdm import tqdm

    began = time.perf_counter()
    bar_format = "{l_bar}{bar}| {n:.0f}/{total:.0f} ms [{elapsed}<{remaining}{postfix}]"
    with tqdm(total=stop - start, bar_format=bar_format) as bar:

        def show(done: float, total: float) -> None:
            bar.n = done
            factor = 1e3 * (time.perf_counter() - began) / max(done, 1e-9)
            bar.set_postfix_str(f"{factor:.3g} s per model second", refresh=False)
            bar.refresh()

        yield show
