"""Which populations of a running network sleep, and when that is decided anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.strategy import (
    PERIOD,
    last_decision,
    most_reached,
    next_decision,
    should_sleep,
)

if TYPE_CHECKING:
    from neurosim.engines.cpu.runner import CpuRunner


class Sleeping:
    """The strategies of a runner's populations.

    Decisions compare counts of events at fixed steps. Where nothing would change, the threads go on
    by themselves (`kernels.decide`); `offer` tells them what they need, `accept` takes over what
    they did.

    Attributes
    ----------
    event : dict of int to bool
        Whether each population sleeps.
    window : dict of int to int
        Events that had reached each population at the last decision.
    since : int
        The step of the last decision.
    """

    def __init__(self, runner: CpuRunner) -> None:
        self._runner = runner
        self._auto = runner.options.strategy == "auto" and bool(self._can_sleep())
        self.event: dict[int, bool] = {}
        self.window: dict[int, int] = {}
        self.since = 0
        self._reached_before: dict[int, int] = {}
        self._marked = False
        self._choose_first()

    def _can_sleep(self) -> list[int]:
        return [index for index, (_, _, sleep) in self._runner.kernels.items() if sleep is not None]

    def _choose_first(self) -> None:
        runner = self._runner
        self.event = dict.fromkeys(runner.kernels, False)
        for index in self._can_sleep():
            awake = sum(t.blocks[index].call("settle", 0) for t in runner.threads)
            dense = any(i.population == index and i.process.dense for i in runner.plan.inputs)
            chosen = should_sleep(False, runner.plan.populations[index].n, awake) and not dense
            self.set(index, chosen or runner.options.strategy == "event")
        self.note_dense_bundles()
        self._open_window()

    def set(self, index: int, event: bool) -> None:
        """Let a population sleep, or wake it."""
        for t in self._runner.threads:
            if event:
                t.sleep(index, self._runner.step)
            elif t.pops[index, L.P_EVENT]:
                t.wake(index, self._runner.step)
        self.event[index] = event
        self._runner.next_due = 0
        self.note_dense_bundles()

    def note_dense_bundles(self) -> None:
        """Mark the bundles none of whose targets sleeps."""
        for t in self._runner.threads:
            for row in t.bundles:
                first = row[L.B_FIRST]
                targets = t.segments[first : first + row[L.B_SEGMENTS], L.S_TARGET]
                row[L.B_DENSE] = not any(self.event.get(int(p), False) for p in targets)

    def reached(self, column: int = L.S_EVENTS) -> dict[int, int]:
        """Return how many events have reached each population so far, or up to the last mark."""
        reached = dict.fromkeys(self._runner.kernels, 0) | self._reached_before
        for t in self._runner.threads:
            for segment in t.segments:
                if int(segment[L.S_TARGET]) in reached:
                    reached[int(segment[L.S_TARGET])] += int(segment[column])
            for row in t.tables.processes:
                if int(row[L.Q_POPULATION]) in reached:
                    reached[int(row[L.Q_POPULATION])] += int(row[L.Q_EVENTS])
        return reached

    def _open_window(self) -> None:
        self.window, self.since = self.reached(), self._runner.step
        for t in self._runner.threads:
            t.segments[:, L.S_MARKED] = t.segments[:, L.S_EVENTS]
        self._marked = True

    def reconsider(self) -> None:
        """Decide anew which populations sleep."""
        runner = self._runner
        reached, steps = self.reached(), max(1, runner.step - self.since)
        for index in self._can_sleep():
            if self.event[index]:
                awake = sum(int(t.blocks[index].table[L.N_AWAKE]) for t in runner.threads)
            else:
                awake = sum(t.blocks[index].call("settle", runner.step) for t in runner.threads)
            rate = (reached[index] - self.window[index]) / steps
            event = should_sleep(self.event[index], runner.plan.populations[index].n, rate + awake)
            if event != self.event[index]:
                self.set(index, event)
        self._open_window()

    # ---- while the network runs

    def limit(self) -> int:
        """Return the step up to which the threads may run before somebody decides here."""
        if not self._auto or self._offered():
            return L.FOREVER
        return next_decision(self._runner.step)

    def after_run(self) -> None:
        """Decide anew if a decision is due."""
        if self.decides_at(self._runner.step) and self._runner.step > self.since:
            self.reconsider()

    def after_silence(self, step: int) -> None:
        """Take over that nothing happened up to a step."""
        self.since = last_decision(step)

    def decides_at(self, step: int) -> bool:
        """Whether strategies are decided anew at a step."""
        return self._auto and step == last_decision(step)

    def _offered(self) -> bool:
        """Whether the threads may decide that all goes on sleeping."""
        return (
            self._marked
            and self._runner.gaps is None
            and self._runner.step >= PERIOD
            and all(self.event[index] for index in self._can_sleep())
            and not any(len(t.tables.processes) for t in self._runner.threads)
        )

    def offer(self, shared: np.ndarray) -> None:
        """Write what the threads need for decisions of their own, if they may take any."""
        shared[L.H_DECISION] = L.FOREVER
        if not self._auto or not self._offered():
            return
        sizes = [self._runner.plan.populations[index].n for index in self._can_sleep()]
        shared[L.H_DECISION], shared[L.H_PERIOD] = next_decision(self._runner.step), PERIOD
        shared[L.H_MOST] = most_reached(min(sizes))
        shared[L.H_SINCE] = self.since
        shared[L.H_REACHED] = sum(
            int(t.segments[:, L.S_MARKED].sum()) for t in self._runner.threads
        )

    def accept(self, shared: np.ndarray) -> None:
        """Take over the last decision of the threads."""
        if shared[L.H_DECIDED]:
            self.window, self.since = self.reached(L.S_MARKED), int(shared[L.H_DECIDED])

    # ---- checkpoints

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "event": dict(self.event),
            "reached": self.reached(),
            "window": dict(self.window),
            "window_start": self.since,
        }

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Take over what a checkpoint kept; populations sleep or not already."""
        self._reached_before = {k: int(v) for k, v in state.get("reached", {}).items()}
        self.window = {k: int(v) for k, v in state.get("window", self.reached()).items()}
        self.since = int(state.get("window_start", step))
        self._marked = False
        self.note_dense_bundles()
