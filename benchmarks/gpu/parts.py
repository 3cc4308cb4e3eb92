"""All parts of the session, the most wanted first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gpu import engine, micro, training
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
    "microcircuit": Part(engine.microcircuit, 100.0),
    "microcircuit_ways": Part(engine.microcircuit_ways, 70.0),
    "launches": Part(micro.launches, 20.0),
    "barriers": Part(micro.barriers, 20.0),
    "fly_brain": Part(engine.fly_brain, 60.0),
    "balanced": Part(engine.balanced, 60.0),
    "training": Part(training.shd, 45.0),
    "delays": Part(training.delays, 45.0),
    "tests": Part(engine.tests, 120.0),
    "additions": Part(micro.additions, 30.0),
    "compilation": Part(micro.compilation, 30.0),
    "plastic": Part(engine.plastic, 40.0),
    "too_large": Part(engine.too_large, 20.0),
    "sanitizer": Part(engine.sanitizer, 90.0),
}
