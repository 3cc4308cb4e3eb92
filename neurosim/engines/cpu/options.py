"""Options of the CPU engine."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from neurosim.engines.base import Engine, Runner
from neurosim.errors import ParameterError
from neurosim.lower.connectivity import count_estimate
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.plan import Plan
from neurosim.lower.quantize import check_option
from neurosim.network.distributions import CONSTANT, UNIFORM

#: Most steps between meetings of the threads; the driver keeps a bit for each in an int64.
LONGEST_STRIDE = 64
#: Nanoseconds of work between meetings that make another thread worth its while.
_SHARE = 8000.0
#: The same where gap junctions act between steps, and threads are started for each step.
_SHARE_OF_STEP = 100_000.0
#: Measured nanoseconds: a neuron that is stepped (exactly, by a fixed or the adaptive method), a
#: Poisson count, a synaptic event; and spikes/s that a neuron is assumed to fire.
_LINEAR, _STEPPED, _ADAPTIVE, _DRAWN, _EVENT = 0.4, 3.0, 300.0, 0.8, 2.0
_ASSUMED_RATE = 5.0

STRATEGIES = ("auto", "clock", "event")
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True, kw_only=True)
class CPU(Engine):
    """The event-driven engine on CPU cores (Numba).

    Parameters
    ----------
    threads : int, optional
        Number of threads; default: by the estimated work in the shortest delay, at most one for
        each core that the process may use. Results are bitwise the same for any number.
    strategy : {"auto", "clock", "event"}
        How populations advance: every neuron in every step, or only those that something
        reached. ``auto`` decides for each population from its activity while running. ``event``
        raises an error for models that cannot sleep (nonlinear ones).
    precision : {"float64", "float32"}
        Precision of states, weights and input.
    deterministic : bool or "int32"
        Round weights to whole numbers of a unit (2**-30 of the largest weight of each receptor),
        add them up exactly, and compute each step without contracting products and sums: the
        spikes are those of ``GPU(deterministic=True)``. With ``"int32"`` units are such that sums
        fit into 32 bits, as in ``GPU(deterministic="int32")``. For static synapses; every neuron
        is stepped in every step.

    Examples
    --------
    >>> CPU(threads=2).strategy
    'auto'
    """

    threads: int | None = None
    strategy: str = "auto"
    precision: str = "float64"
    deterministic: bool | str = False
    name = "cpu"

    def __post_init__(self) -> None:
        for option, valid in (("strategy", STRATEGIES), ("precision", PRECISIONS)):
            if getattr(self, option) not in valid:
                raise ParameterError(
                    f"CPU: {option} = {getattr(self, option)!r}; choose one of {', '.join(valid)}."
                )
        whole = isinstance(self.threads, int) and not isinstance(self.threads, bool)
        if self.threads is not None and not (whole and self.threads >= 1):
            raise ParameterError(f"CPU: threads = {self.threads!r}; a whole number >= 1 is needed.")
        check_option("CPU", self.deterministic)
        if self.deterministic and self.strategy == "event":
            raise ParameterError(
                "CPU: strategy = 'event' advances a neuron over many steps at once, which rounds "
                "otherwise than step by step; deterministic=True needs strategy='auto' or 'clock'."
            )

    def prepare(self, plan: Plan | ContinuousPlan) -> Runner:
        """Build a network for this engine.

        Raises
        ------
        NetworkError
            If `deterministic` is asked for and synapses are plastic.
        ParameterError
            In continuous time, if an option only makes sense on a grid.
        """
        if isinstance(plan, ContinuousPlan):
            from neurosim.engines.cpu.continuous.runner import ContinuousRunner

            self._check_continuous()
            return ContinuousRunner(plan)
        from neurosim.engines.cpu.exact import check_static
        from neurosim.engines.cpu.runner import CpuRunner

        if self.deterministic:
            check_static(plan)
        return CpuRunner(plan, self, self.threads or _default_threads(plan))

    def _check_continuous(self) -> None:
        for option, valid, why in (
            ("strategy", ("auto", "event"), "there are no steps"),
            ("precision", ("float64",), "exact spike times need double precision"),
            ("deterministic", (False,), "no order of additions is left open"),
        ):
            if getattr(self, option) not in valid:
                raise ParameterError(
                    f"CPU: {option} = {getattr(self, option)!r} is not possible in continuous time "
                    f"(dt=None), because {why}; use {option}={valid[-1]!r} or a step: dt=0.1."
                )


def _default_threads(plan: Plan) -> int:
    """Return the number of threads whose share of the work is well above the cost of meeting.

    Threads meet once a shortest delay. It takes a third of a microsecond on idle cores, but
    milliseconds when other work holds one of them, so small networks stay on one thread.
    """
    work, share = _step_nanoseconds(plan), _SHARE_OF_STEP
    if plan.gaps is None:
        work, share = work * _shortest_delay(plan), _SHARE
    return max(1, min(available_cores(), int(work / share)))


def _shortest_delay(plan: Plan) -> float:
    """Return a lower limit of all delays [steps], from what is known before they are drawn."""
    steps = [float(LONGEST_STRIDE)]
    for connection in plan.connections:
        delay = connection.spec.delay
        if isinstance(delay, np.ndarray):
            steps.append(float(delay.min(initial=np.inf)) / plan.dt)
        elif delay.kind in (CONSTANT, UNIFORM):
            steps.append(delay.p0 / plan.dt)
        else:
            steps.append(1.0)
    return max(1.0, min(steps))


def _step_nanoseconds(plan: Plan) -> float:
    """Estimate the work of a step: every neuron, and every synapse at an assumed rate."""
    work = 0.0
    for p in plan.populations:
        if p.model is not None:
            stepped = _ADAPTIVE if p.model.method == "rk45" else _STEPPED
            work += p.n * (_LINEAR if p.model.is_linear else stepped)
    work += sum(i.ids.size * _DRAWN for i in plan.inputs if i.process.dense)
    spikes_a_step = _ASSUMED_RATE * 1e-3 * plan.dt
    return work + sum(count_estimate(c.spec)[0] for c in plan.connections) * spikes_a_step * _EVENT


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
