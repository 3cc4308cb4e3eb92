"""What a benchmark case is, for the parent process and for the three simulators' workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

DT = 0.1  # ms, in every case and simulator
SEED = 1234

Builder = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network with the way it is driven, and how long it is run.

    Attributes
    ----------
    title, drive :
        For the report: the network in a few words; how it is driven, in every simulator.
    neurons, synapses :
        Sizes; `synapses` is the expected number where connections are drawn.
    model_ms, warmup_ms :
        Measured model time and the model time run before it [ms].
    limit_s :
        Wall time [s] after which a process is stopped.
    neurosim, nest, brian2 :
        Builders of the network; None with a reason in `absent` where a simulator is left out.
        `neurosim(ns)` returns a Network, the others a `Built`.
    shorter :
        Measured model time [ms] of slow simulators, if it differs.
    required :
        How many times faster than each peer neurosim float32 has to be ("brian2", "nest").
    limits :
        Upper limits of its own measurements: "rtf", "build_s" [s], "peak_rss_mb" [MB].
    share_of :
        Another case and the largest share of its real-time factor that this one may take.
    one_thread :
        Whether neurosim float32 is also measured with one thread.
    measure :
        "rtf" compares simulation time per model time, "result_s" the time from the start of the
        process to its result.
    generated :
        Number of spikes that generators emit in an interval [ms], each onto one synapse. neurosim
        counts them as any spikes; the peers' spike counts are of the neurons alone.
    prepare :
        Called once before the workers start; leaves files (an edge list) for all of them.
    limited_by :
        What takes the time, for the report.
    """

    title: str
    drive: str
    neurons: int
    synapses: int
    model_ms: float
    warmup_ms: float
    limit_s: float = 300.0
    neurosim: Builder
    nest: Builder | None = None
    brian2: Builder | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    shorter: Mapping[str, float] = field(default_factory=dict)
    required: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    share_of: tuple[str, float] | None = None
    one_thread: bool = False
    measure: str = "rtf"
    generated: Callable[[float, float], int] = lambda start, stop: 0
    prepare: Callable[[], None] | None = None
    limited_by: str = ""

    def duration(self, simulator: str) -> float:
        """Return the measured model time [ms] of a simulator."""
        return self.shorter.get(simulator, self.model_ms)


@dataclass(frozen=True, kw_only=True)
class Built:
    """A network in NEST or Brian2.

    Attributes
    ----------
    populations :
        The simulator's objects whose spikes are counted.
    out_degrees :
        Synapses a neuron, for each population: the (expected) mean, or one number a neuron.
    objects :
        Brian2 only: everything that belongs to the Network.
    """

    populations: Mapping[str, Any]
    out_degrees: Mapping[str, Any]
    objects: tuple[Any, ...] = ()
