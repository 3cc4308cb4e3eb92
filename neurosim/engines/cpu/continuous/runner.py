"""ContinuousRunner: a network in continuous time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.engines.base import Runner
from neurosim.engines.cpu.continuous import tables
from neurosim.engines.cpu.continuous.kernels import layout as L
from neurosim.engines.cpu.continuous.kernels.loop import run, test_all
from neurosim.engines.cpu.continuous.kernels.trains import draw_first
from neurosim.errors import SimulationError
from neurosim.lower.connectivity import Edges
from neurosim.lower.continuous import ContinuousPlan
from neurosim.lower.expand import expand

_SLICE_SECONDS = 0.1
#: What a checkpoint holds of each group of arrays.
_SAVED = {
    "cells": ("z", "current", "last", "until", "due"),
    "trains": ("count",),
    "alarm": ("time", "heap", "position", "size"),
    "agenda": ("time", "heap", "position", "size"),
    "records": ("number",),
}


class ContinuousRunner(Runner):
    """A built network in continuous time (see `neurosim.engines.cpu.continuous.kernels.loop`)."""

    def __init__(self, plan: ContinuousPlan) -> None:
        started = time.perf_counter()
        self.plan = plan
        tables.check_memory(plan)
        first = tables.first_members(plan)
        self._first = first
        self._recorded = sorted({s.target.population.index for s in plan.spikes})
        self.groups = tables.group_arrays([p.flow for p in plan.populations if p.flow is not None])
        self.cells = tables.cell_arrays(plan, first, set(self._recorded))
        self.synapses = tables.synapse_arrays(plan, first)
        self.trains = tables.train_arrays(plan, first)
        self.outside = tables.outside_arrays(plan, first)
        self.records = tables.record_arrays(plan, first)
        self.alarm = tables.agenda(self.trains.member.size)
        self.agenda = tables.agenda(int(first[-1]))
        self._work = tables.work_arrays(self.cells)
        self.queue = np.zeros((1024, L.Q_COLUMNS))
        self.cursor = np.zeros(L.C_SIZE, np.int64)
        self._counters = np.zeros(L.N_SIZE, np.int64)
        self._time = 0.0
        self._budget = 1 << 14
        self._spikes: list[tuple[np.ndarray, np.ndarray]] = []
        self._samples: list[list[np.ndarray]] = [[] for _ in plan.states]
        built = time.perf_counter()
        self._run(-1.0, 0)  # compiles, or loads from the cache; nothing happens before time 0
        draw_first(self.trains, self.alarm)
        test_all(self.groups, self.cells, self.agenda)
        self.seconds = {
            "build": built - started, "compile": time.perf_counter() - built, "run": 0.0,
        }  # fmt: skip

    @property
    def time(self) -> float:
        """Model time [ms]."""
        return self._time

    def advance(self, stop: float) -> None:
        """Run for about a tenth of a second of work, at most to time `stop`."""
        started = time.perf_counter()
        while True:
            before = time.perf_counter()
            self._time, status = self._run(stop, self._budget)
            now = time.perf_counter()
            if status == L.DONE:
                break
            if now - before < _SLICE_SECONDS / 4:
                self._budget *= 2
            # so close to the end, whoever asks for the time would take the run for complete
            if now - started > _SLICE_SECONDS and self._time < stop - 1e-6 * max(1.0, stop):
                break
        self.seconds["run"] += time.perf_counter() - started

    def _run(self, stop: float, budget: int) -> tuple[float, int]:
        status, now, failure, self.queue, times, members, n, trace, sampled, n_sampled = run(
            stop, budget, self.groups, self.cells, self.synapses, self.trains, self.alarm,
            self.agenda, self.outside, self.records, self._work, self.queue, self.cursor,
            self._counters,
        )  # fmt: skip
        if n:
            self._spikes.append((times[:n].copy(), members[:n].copy()))
        start = 0
        for k in sampled[:n_sampled]:
            record = self.plan.states[k]
            size = len(record.names) * record.ids.size
            part = trace[start : start + size]
            self._samples[k].append(part.reshape(record.ids.size, -1).T.copy())
            start += size
        if failure < 0:
            self._fail(int(failure), float(now))
        return float(now), int(status)

    def _fail(self, failure: int, when: float) -> None:
        member, endless = divmod(-failure - 1, 2)
        p = int(self.cells.population[member])
        where = f"neuron {member - self._first[p]} of population {self.plan.populations[p].name!r}"
        if not endless:
            raise SimulationError(
                f"a state of {where} stopped being a finite number at t = {when:g} ms. Check the "
                "weights."
            )
        raise SimulationError(
            f"{where} spikes without end at t = {when:g} ms: its reset leaves it above threshold "
            "and it has no refractory period. Lower V_reset or give it a t_ref > 0."
        )

    def drain(self) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """Return what was recorded since the last call."""
        times = np.concatenate([np.zeros(0), *(t for t, _ in self._spikes)])
        members = np.concatenate([np.zeros(0, np.int64), *(m for _, m in self._spikes)])
        population = self.cells.population[members]
        spikes = {}
        for p in self._recorded:
            mine = population == p
            t, i = times[mine], members[mine] - self._first[p]
            order = np.lexsort((i, t))
            spikes[p] = (t[order], i[order])
        self._spikes.clear()
        states = []
        for record, rows in zip(self.plan.states, self._samples, strict=True):
            shape = (len(rows), len(record.names), record.ids.size)
            states.append(np.array(rows).reshape(shape))
            rows.clear()
        return spikes, states

    def edges(self, name: str) -> Edges:
        """Return the synapses of a projection, with delays in ms."""
        spec = next(c.spec for c in self.plan.connections if c.name == name)
        return expand(spec).by_target()

    def counters(self) -> dict[str, Any]:
        """Return the work done so far; `steps` counts the times at which something happened."""
        n = self._counters
        arrays = [*self.groups, *self.cells, *self.synapses, *self.trains, *self.alarm,
                  *self.agenda, *self.outside, self.queue]  # fmt: skip
        return {
            "spikes": int(n[L.N_SPIKES]),
            "synaptic_events": int(n[L.N_EVENTS]),
            "input_draws": int(n[L.N_DRAWS]),
            "neuron_updates": int(n[L.N_UPDATES]),
            "threshold_searches": int(n[L.N_LOOKS]),
            "steps": int(n[L.N_STEPS]),
            "bytes": sum(a.nbytes for a in arrays),
            "threads": 1,
            "seconds": dict(self.seconds),
        }

    def sources(self) -> dict[str, str]:
        """Return no source: no kernel is generated."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return everything that a continued run needs."""
        saved: dict[str, Any] = {
            part: {name: getattr(getattr(self, part), name).copy() for name in names}
            for part, names in _SAVED.items()
        }
        return saved | {
            "time": self._time,
            "queue": self.queue[: self.cursor[L.C_QUEUE]].copy(),
            "cursor": self.cursor.copy(),
            "counters": self._counters.copy(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        for part, names in _SAVED.items():
            for name in names:
                getattr(getattr(self, part), name)[...] = state[part][name]
        self._time = float(state["time"])
        self.cursor[:] = state["cursor"]
        self._counters[:] = state["counters"]
        waiting = np.asarray(state["queue"]).reshape(-1, L.Q_COLUMNS)
        self.queue = np.concatenate([waiting, np.zeros((1024, L.Q_COLUMNS))])
