"""All parts of the session, the most wanted first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gpu import engine, micro, networks, training
from gpu.place import Place, Row


class Part(NamedTuple):
    """A part of the session.

    Attributes
    ----------
    run : callable
        Yields rows; the first line of its docstring is the title.
    limit_s : float
        Wall time after which it is stopped.
    """

    run: Callable[[Place], Iterator[Row]]
    limit_s: float


PARTS = {
    "machine": Part(micro.machine, 30.0),
    "same": Part(engine.same, 80.0),
    "microcircuit": Part(engine.microcircuit, 70.0),
    "microcircuit_owner": Part(engine.microcircuit_owner, 60.0),
    "microcircuit_graph": Part(engine.microcircuit_graph, 60.0),
    "balanced": Part(engine.balanced, 60.0),
    "training": Part(training.shd, 60.0),
    "delays": Part(training.delays, 60.0),
    "fly_brain": Part(engine.fly_brain, 100.0),
    "launches": Part(micro.launches, 20.0),
    "barriers": Part(micro.barriers, 20.0),
    "same_as_cpu": Part(engine.same_as_cpu, 100.0),
    "tests": Part(engine.tests, 180.0),
    "additions": Part(micro.additions, 40.0),
    "microcircuit_ways": Part(engine.microcircuit_ways, 80.0),
    "microcircuit_details": Part(engine.microcircuit_details, 50.0),
    "too_large": Part(engine.too_large, 20.0),
    "compilation": Part(micro.compilation, 30.0),
    "plastic": Part(engine.plastic, 40.0),
    "sanitizer": Part(engine.sanitizer, 90.0),
}
#: What is made ready on the host while the first parts run.
PREPARED: dict[str, Callable[[], None]] = {
    "wiring": networks.prepare_fly, "cpu": engine.compile_for_cpu,
}  # fmt: skip
