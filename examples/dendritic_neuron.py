"""Dendrites that compute: NMDA plateaus, local sodium spikes and calcium spikes.

You will see a neuron of two compartments answer eight coincident synapses with more than eight
times its answer to one, the plateaus of its dendrite, the local spike that eight synapses start,
and a pyramidal neuron that bursts when input to its soma and its dendrite coincide.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

RECEPTORS = {"dend_ampa": "AMPA", "dend_exc": "AMPA and NMDA"}


def respond(
    model: ns.NeuronModel, inputs: dict[str, list[float]], duration: float, states: list[str]
) -> ns.Results:
    """Return the answer of one neuron for each weight to input at 10 ms."""
    n = len(next(iter(inputs.values())))
    net = ns.Network()
    cells = net.population(n, model, name="cells")
    source = net.population(1, ns.models.spike_source(times=[9.0]), name="source")
    pairs = ns.Explicit(np.zeros(n, int), np.arange(n))
    for receptor, weights in inputs.items():
        net.connect(source, cells, pairs, weight=weights, delay=1.0, receptor=receptor)
    record = [ns.Spikes(cells), ns.State(cells, states, interval=0.1)]
    return ns.simulate(net, duration, record=record)


def draw_summation(ax, counts: list[int]) -> float:
    """Draw somatic area over synapses; return the factor of supralinearity at the largest count."""
    model = ns.models.lif_dendrite(V_th=100.0)
    for color, (receptor, label) in zip(ns.plot.PALETTE, RECEPTORS.items(), strict=False):
        traces = respond(model, {receptor: counts}, 150.0, ["soma_V_m"]).traces["cells"]
        area = (traces["soma_V_m"] + 60.0).sum(axis=0) * 0.1
        ax.plot(counts, area / area[0], "o-", ms=3, color=color, label=label)
    ax.plot(counts, counts, ":", color="0.5", label="linear")
    ax.set(xlabel="synapses", ylabel="somatic area, 1 synapse = 1", title="summation")
    ax.legend(frameon=False)
    return float(area[counts.index(8)] / (8 * area[0]))


def draw_traces(ax, model: ns.NeuronModel, counts: list[int], title: str) -> np.ndarray:
    """Draw the dendrite for each number of synapses; return its times above -40 mV [ms]."""
    traces = respond(model, {"dend_exc": counts}, 150.0, ["dend_V_m"]).traces["cells"]
    for k, (count, color) in enumerate(zip(counts, ns.plot.PALETTE, strict=False)):
        ax.plot(traces.t, traces["dend_V_m"][:, k], color=color, label=f"{count} synapses")
    ax.set(xlabel="time [ms]", ylabel="dendrite [mV]", title=title)
    ax.legend(frameon=False)
    return (traces["dend_V_m"] > -40.0).sum(axis=0) * 0.1


def draw_burst(ax) -> list[int]:
    """Draw the calcium spike; return the spikes of soma alone, dendrite alone, and both."""
    inputs = {"soma_exc": [50.0, 0.0, 50.0], "dend_exc": [0.0, 15.0, 15.0]}
    results = respond(ns.models.pyramidal_ca(), inputs, 80.0, ["dend_V_m"])
    spikes, traces = results.spikes["cells"], results.traces["cells"]
    counts = []
    for k, (label, color) in enumerate(
        zip(("soma", "dendrite", "both"), ns.plot.PALETTE, strict=False)
    ):
        times = spikes.times[spikes.ids == k]
        counts.append(int(times.size))
        ax.plot(traces.t, traces["dend_V_m"][:, k], color=color, label=f"input to {label}")
        ax.plot(times, np.full(times.size, 14.0 + 6 * (k == 2)), "|", ms=9, mew=2, color=color)
    ax.set(xlabel="time [ms]", ylabel="dendrite [mV]", title="calcium spike (bars: spikes)")
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.0, 0.86))
    return counts


def main(argv: list[str] | None = None) -> dict[str, object]:
    """Run the example and return what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/dendritic_neuron"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1, help="unused: nothing here is random")
    parser.add_argument("--quick", action="store_true", help="fewer numbers of synapses")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    (sums, plateaus), (local, burst) = figure.subplots(2, 2)
    factor = draw_summation(sums, [1, 4, 8] if options.quick else [1, 2, 4, 6, 8, 10, 12])
    quiet = {"V_th": 100.0}
    above = draw_traces(plateaus, ns.models.lif_dendrite(**quiet), [4, 8, 12, 20], "NMDA plateaus")
    draw_traces(local, ns.models.lif_dendrite_na(**quiet), [6, 7, 8], "local sodium spike")
    counts = draw_burst(burst)
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(options.out / "dendritic_neuron.png", dpi=110)

    print(f"8 synapses with NMDA do {factor:.3f} times what 8 single ones would")
    print(
        "time above -40 mV for 4, 8, 12, 20 synapses:", ", ".join(f"{a:.1f}" for a in above), "ms"
    )
    print("spikes of the pyramidal neuron: soma {}, dendrite {}, both {}".format(*counts))
    print(f"dendritic_neuron.png is in {options.out}")
    return {"factor": factor, "above": above.tolist(), "spikes": counts}


if __name__ == "__main__":
    main()
