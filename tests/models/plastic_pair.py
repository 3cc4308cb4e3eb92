"""One plastic synapse between given trains, onto a cell that plays given states back."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import neurosim as ns


@cache
def player(names: tuple[str, ...]) -> type[ns.models.NeuronModel]:
    """Return a neuron whose states hold what was put into them, and that spikes when told."""
    units = {n: "1" if n == "spiked" else "mV" for n in names}
    lines = ["drive := 0*drive : 1", "seen := 0*seen : 1"]
    body = {
        "equations": "\n".join(lines + [f"{n} := {n} : {u}" for n, u in units.items()]),
        "receptors": {"fire": "drive += weight", "exc": "seen += weight"}
        | {f"set_{n}": f"{n} += weight" for n in names},
        "threshold": "drive > 0.5",
        "reset": "drive = 0",
    }
    return type("player", (ns.models.NeuronModel,), body)


def sent_weights(
    synapse: Any, pre: Any, post: Any, *, weight: float, delay: float = 1.5,
    states: dict[str, np.ndarray] | None = None, reward: Any = None,
    engine: Any = "reference", dt: float = 0.1, **connect: Any,
) -> np.ndarray:  # fmt: skip
    """Return what a synapse transmits at each of the spikes `pre` of its source.

    `states` holds for every name its values at the end of the steps 1, 2, ... Everything happens
    one step later than given, so that there is time to put the states in.
    """
    net, states = ns.Network(), states or {}

    def source(times: Any, name: str) -> Any:
        times = np.asarray(times, float)
        model = ns.models.spike_source(times=times, ids=np.zeros(times.size, int))
        return net.population(1, model, name=name)

    pre, post = np.asarray(pre, float), np.asarray(post, float)
    cell = net.population(1, player(tuple(states))(), name="cell")
    net.connect(source(post, "driver"), cell, weight=1.0, delay=dt, receptor="fire")
    for name, values in states.items():
        k = np.arange(values.size)
        early = net.population(k.size, ns.models.spike_source(times=dt * (k + 1), ids=k), name=name)
        net.connect(early, cell, ns.Explicit(k, 0 * k), weight=np.diff(values, prepend=0.0),
                    delay=dt, receptor=f"set_{name}")  # fmt: skip
    if reward is not None:
        connect["modulator"] = source(np.asarray(reward) + dt, "reward")
    net.connect(source(pre + dt, "pre"), cell, weight=weight, delay=delay, receptor="exc",
                synapse=synapse, name="plastic", **connect)  # fmt: skip
    stop = round(float(pre[-1]) + delay + 2 * dt, 1)
    record = [ns.State(cell, ["seen"], interval=dt)]
    results = ns.simulate(net, stop, dt=dt, record=record, engine=engine)
    at = np.rint((pre + dt + delay) / dt).astype(int) - 1
    return results.traces["cell"]["seen"][at, 0]


def weights_after(
    synapse: Any, pre: list[Any], post: list[Any], *, weight: float, delay: Any = 1.0,
    stop: float | None = None, reward: Any = None, engine: Any = "cpu", **connect: Any,
) -> np.ndarray:  # fmt: skip
    """Return the weight of each of many synapses, one for each pair of trains, after a run."""
    net, dt, n = ns.Network(), 0.1, len(pre)

    def sources(trains: list[Any], name: str) -> Any:
        times = np.concatenate([np.asarray(t, float) for t in trains])
        ids = np.repeat(np.arange(len(trains)), [len(t) for t in trains])
        return net.population(len(trains), ns.models.spike_source(times=times, ids=ids), name=name)

    each = ns.Explicit(np.arange(n), np.arange(n))
    cells = net.population(n, player(())(), name="cells")
    early = [np.asarray(t, float) - dt for t in post]
    net.connect(sources(early, "drivers"), cells, each, weight=1.0, delay=dt, receptor="fire")
    if reward is not None:
        connect["modulator"] = sources([reward], "reward")
    net.connect(sources(pre, "sources"), cells, each, weight=weight, delay=delay, receptor="exc",
                synapse=synapse, name="plastic", **connect)  # fmt: skip
    last = max(float(np.max(t)) for t in [*pre, *post] if len(t))
    sim = ns.Simulation(net, dt=dt, engine=engine)
    sim.run(stop if stop is not None else round(last + np.max(delay) + 1.0, 1))
    found = sim.weights("plastic")
    return found.weight[np.argsort(found.post)]
