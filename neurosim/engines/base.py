"""What an engine is: options that prepare a Plan, and the runner that steps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.errors import SimulationError
from neurosim.lower.connectivity import Edges
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.plan import Plan


class Runner(ABC):
    """A built network, at some step. Made by `Engine.prepare`."""

    @property
    @abstractmethod
    def time(self) -> float:
        """Model time [ms]."""

    @abstractmethod
    def advance(self, stop: float) -> None:
        """Run for some model time, at most up to time `stop` [ms].

        Returns after about a tenth of a second of work, so that the caller can show progress and
        stop between two calls; the result does not depend on how a run is divided.

        Raises
        ------
        SimulationError
            If a state stopped being a number.
        """

    @abstractmethod
    def drain(self) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """Return what was recorded since the last call.

        Returns
        -------
        spikes : dict
            For each recorded population index: times [ms] and ids, sorted by time, then id.
        states : list of (times, names, neurons) arrays
            One for each entry of ``plan.states``.
        """

    @abstractmethod
    def edges(self, name: str) -> Edges:
        """Return the synapses of a projection."""

    @abstractmethod
    def counters(self) -> dict[str, Any]:
        """Return the work done so far: spikes, synaptic_events, neuron_updates, bytes, seconds."""

    @abstractmethod
    def sources(self) -> dict[str, str]:
        """Return the generated source of each population; empty if nothing is generated."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return everything that a continued run needs, as nested dicts of arrays and numbers.

        It is laid out by population and neuron, so that any engine and number of threads can
        continue from it.
        """

    def reset(self) -> None:
        """Put neurons back to their initial states and drop input in flight; time goes on.

        Raises
        ------
        SimulationError
            If this engine cannot.
        """
        raise SimulationError("this engine cannot be reset; begin a new simulation.")

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""


class Engine(ABC):
    """Options of an engine; immutable."""

    #: Name by which ``simulate(engine=...)`` finds it.
    name: str

    @abstractmethod
    def prepare(self, plan: Plan | ContinuousPlan) -> Runner:
        """Build a network: generate synapses, compile kernels, set initial states."""
