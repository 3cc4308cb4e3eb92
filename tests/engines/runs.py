"""Runs of the engine tests, and comparisons of what they gave."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings

import neurosim as ns


def few(examples: int) -> settings:
    """Return settings for the same few examples in every run of the tests, without shrinking."""
    return settings(
        max_examples=examples, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip


def everything(network: ns.Network, interval: float = 0.7) -> list[Any]:
    """Return recordings of all spikes and states."""
    populations = network.populations.values()
    states = [ns.State(p, list(p.model.states), interval) for p in populations if p.model.states]
    return [*(ns.Spikes(p) for p in populations), *states]


def trains(simulation: ns.Simulation) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return times and ids of all recorded spikes, by population."""
    return {k: (s.times, s.ids) for k, s in simulation.results.spikes.items()}


def traces(simulation: ns.Simulation) -> dict[str, np.ndarray]:
    """Return all recorded states, by population and state."""
    return {
        f"{k}.{state}": np.asarray(t[state])
        for k, t in simulation.results.traces.items()
        for state in t
    }


def assert_same_trains(found: ns.Simulation, expected: ns.Simulation) -> None:
    """Assert that all recorded spikes are equal; name the first that is not."""
    a, b = trains(found), trains(expected)
    assert a.keys() == b.keys()
    for name, (times, ids) in b.items():
        n = min(times.size, a[name][0].size)
        differ = np.flatnonzero((a[name][0][:n] != times[:n]) | (a[name][1][:n] != ids[:n]))
        if differ.size or a[name][0].size != times.size:
            k = differ[0] if differ.size else n
            raise AssertionError(
                f"{name}: {a[name][0].size} spikes for {times.size}; they differ from number {k}: "
                f"{a[name][0][k : k + 1]} {a[name][1][k : k + 1]} for {times[k : k + 1]} "
                f"{ids[k : k + 1]}"
            )


def assert_identical(found: ns.Simulation, expected: ns.Simulation) -> None:
    """Assert that all recordings are equal to the last bit."""
    assert_same_trains(found, expected)
    a, b = traces(found), traces(expected)
    assert a.keys() == b.keys()
    for name, values in b.items():
        np.testing.assert_array_equal(a[name], values, err_msg=name)


#: Counters that do not depend on how a run is divided or on who runs it.
COUNTED = ("spikes", "synaptic_events", "input_draws", "neuron_updates", "steps")


def counted(simulation: ns.Simulation) -> dict[str, int]:
    """Return the counters of work that every division of a run must share."""
    return {k: simulation.counters[k] for k in COUNTED}
