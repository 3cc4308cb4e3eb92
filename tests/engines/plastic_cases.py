"""One plastic synapse between given spike trains, in any engine."""

from __future__ import annotations

from typing import Any

import numpy as np

import neurosim as ns


class probe(ns.models.NeuronModel):
    """A neuron that spikes when told to and keeps the last weight that arrived."""

    equations = """
        drive := 0*drive : 1
        seen := 0*seen : 1
    """
    receptors = {"fire": "drive += weight", "exc": "seen += weight", "inh": "seen += weight"}
    threshold = "drive > 0.5"
    reset = "drive = 0"


def sent_weights(
    synapse: Any, pre: np.ndarray, post: np.ndarray, *, weight: float, delay: float,
    stop: float, engine: Any, dt: float = 0.1, **connect: Any,
) -> np.ndarray:  # fmt: skip
    """Return what a synapse transmits at each of the spikes `pre` of its source."""
    net = ns.Network()
    at = np.zeros(pre.size, int), np.zeros(post.size, int)
    source = net.population(1, ns.models.spike_source(times=pre, ids=at[0]), name="pre")
    driver = net.population(1, ns.models.spike_source(times=post - dt, ids=at[1]), name="driver")
    cell = net.population(1, probe(), name="cell")
    net.connect(driver, cell, weight=1.0, delay=dt, receptor="fire")
    net.connect(source, cell, weight=weight, delay=delay, receptor="exc" if weight > 0 else "inh",
                synapse=synapse, name="plastic", **connect)  # fmt: skip
    results = ns.simulate(
        net, stop + delay + 2 * dt, dt=dt, record=[ns.State(cell, ["seen"], interval=dt),
                                                    ns.Spikes(cell)], engine=engine,
    )  # fmt: skip
    assert np.allclose(results.spikes["cell"].times, post)
    at = np.rint((pre + delay) / dt).astype(int) - 1
    return results.traces["cell"]["seen"][at, 0]
