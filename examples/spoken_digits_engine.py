"""A trained network listens to spoken digits in the event engine, spike by spike.

Takes a network that `spoken_digits.py` trained with learned delays, turns it into a network of the
event engine, and plays the raw spikes of the test recordings to it, one recording after another.
You will see that every neuron sends the same spikes as in PyTorch and every decision is the same,
what a recording costs in operations and in time, and the spikes of one recording on their way
through the layers while the evidence for a digit grows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from spoken_digits import STEP, network

import neurosim as ns
from neurosim import bridge, datasets
from neurosim.analysis.operations import Operations, operations
from neurosim.bridge.convert import to_network

TRAINED = Path(__file__).parents[1] / "benchmarks/results-training/spoken_digits/learned_0.pt"
STEPS = 80


def trained(path: Path) -> bridge.Sequential:
    """Return the network of a checkpoint of `spoken_digits.py`."""
    notes = bridge.read_checkpoint(path)["notes"]
    net = network(notes["variant"], 70, 10, notes["hidden"])
    bridge.load_checkpoint(path, net)
    return net.eval()


def in_torch(net: bridge.Sequential, x: torch.Tensor) -> tuple[np.ndarray, dict[str, torch.Tensor]]:
    """Return the probabilities of the classes [T, B, 10], and the output of every layer."""
    outputs = {}
    with torch.no_grad(), bridge.evaluate_rounded(net):
        for name, layer in net.named_children():
            x, _ = bridge.Sequential(layer).eval()(x)
            outputs[name] = x
    return probabilities(x.numpy()), outputs


def probabilities(membrane: np.ndarray) -> np.ndarray:
    """Return the softmax of the readout's membranes, step by step."""
    exponential = np.exp(membrane - membrane.max(axis=-1, keepdims=True))
    return exponential / exponential.sum(axis=-1, keepdims=True)


def latency(net: bridge.Sequential, x: torch.Tensor, repeats: int) -> float:
    """Return the median time [ms] that PyTorch takes for one recording, batch of 1."""
    seconds = []
    with torch.no_grad(), bridge.evaluate_rounded(net):
        for sample in range(repeats):
            began = time.perf_counter()
            net(x[:, sample % x.shape[1]].unsqueeze(1))
            seconds.append(time.perf_counter() - began)
    return 1e3 * float(np.median(seconds))


def draw(run: Any, found: Operations, sample: int, label: int, layers: Sequence[str],
         times: dict[str, float]) -> Figure:  # fmt: skip
    """Draw the spikes of a recording, the growing evidence, operations and latencies."""
    figure = Figure(figsize=(10.0, 6.0), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=[1.7, 1.0], height_ratios=[1.4, 1.4, 1.0])
    top, middle, bottom = (figure.add_subplot(grid[row, 0]) for row in range(3))
    raster(top, run, ("input",), sample, 0)
    top.set_ylabel("cochlea channel")
    raster(middle, run, layers, sample, 1)
    middles = np.cumsum([run.conversion.layers[name].n for name in layers])
    middles = middles - [run.conversion.layers[name].n / 2 for name in layers]
    names = [f"layer {k + 1}" for k in range(len(layers))]
    middle.set_yticks(middles, names, rotation=90, va="center")
    evidence = probabilities(run.output[:, sample]).cumsum(axis=0)
    time_ms = (np.arange(STEPS) + 1) * STEP / 1000
    bottom.plot(time_ms, np.delete(evidence, label, axis=1), color="0.7", linewidth=0.8)
    bottom.plot(time_ms, evidence[:, label], color=ns.plot.PALETTE[2], linewidth=2.0,
                label=f"{label}, spoken")  # fmt: skip
    bottom.legend(frameon=False, fontsize="small")
    bottom.set_xlabel("time [ms]")
    bottom.set_ylabel("summed\nprobability")
    for ax in (top, middle, bottom):
        ax.set_xlim(0.0, STEPS * STEP / 1000)
        ax.tick_params(labelbottom=ax is bottom)
    work = {
        "dense operations": found.dense,
        "synaptic operations\nof the engine": found.synaptic_operations,
        "neurons x steps": sum(layer.neuron_steps for layer in found.layers) / found.n_samples,
        "neuron updates": found.neuron_updates,
        "spikes of neurons": found.spikes,
    }
    ax = figure.add_subplot(grid[:2, 1])
    ax.set_xscale("log")
    bars(ax, work, "{:,.0f}", 0)
    ax.set_xlim(10.0, 30.0 * max(work.values()))
    ax.set_xlabel("a recording")
    ax = figure.add_subplot(grid[2, 1])
    bars(ax, times, "{:.2f}", 1)
    ax.set_xlim(right=1.25 * max(times.values()))
    ax.set_xlabel("time for a recording [ms], median")
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def raster(ax: Any, run: Any, names: Sequence[str], sample: int, color: int) -> None:
    """Draw the spikes of layers above each other."""
    base = 0
    for k, name in enumerate(names):
        spikes = run.spikes(name, sample)
        ax.plot(spikes.times, base + spikes.ids, "|", color=ns.plot.PALETTE[color + k],
                markersize=2.5)  # fmt: skip
        base += spikes.n


def bars(ax: Any, values: dict[str, float], form: str, color: int) -> None:
    """Draw labelled bars, the first on top."""
    ax.barh(list(values), list(values.values()), color=ns.plot.PALETTE[color], alpha=0.6)
    for k, value in enumerate(values.values()):
        ax.text(value, k, f" {form.format(value)}", va="center", fontsize=8)
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=8)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=TRAINED, metavar="FILE")
    parser.add_argument("--recordings", type=int, default=300, help="of the test set")
    parser.add_argument("--out", type=Path, default=Path("out/spoken_digits_engine"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="5 recordings")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    net = trained(options.checkpoint)
    test = datasets.SpokenDigits("test")
    chosen = np.linspace(0, len(test) - 1, 5 if options.quick else options.recordings).astype(int)
    recordings, labels = [test[k] for k in chosen], test.targets[chosen]
    converted = to_network(net.double(), dt=STEP / 1000)
    print(f"{converted}\n")
    run = converted.run(recordings, n_steps=STEPS)
    collate = datasets.collate_dense(sensor_size=test.sensor_size, time_step=STEP, n_steps=STEPS)
    x, _, _ = collate(recordings)

    double, outputs = in_torch(net, x.double())
    layers = [name for name in converted.layers if name not in converted.outputs]
    differing = sum(int((run.of(name) != outputs[name].numpy()).sum()) for name in layers)
    total = sum(int(outputs[name].sum()) for name in layers)
    print(f"{total:,} spikes of {', '.join(layers)} in {len(labels)} recordings, "
          f"{differing} of them different in the event engine")  # fmt: skip
    decided = probabilities(run.output).sum(axis=0).argmax(axis=-1)
    single, _ = in_torch(net.float(), x)
    same = {name: float(np.mean(decided == p.sum(axis=0).argmax(axis=-1)))
            for name, p in (("float64", double), ("float32", single))}  # fmt: skip
    accuracy = float(np.mean(decided == labels))
    print(f"right: {accuracy:.1%}; decided as PyTorch does: {same['float64']:.1%} (float64), "
          f"{same['float32']:.1%} (float32)\n")  # fmt: skip

    found = operations(run)
    print(f"{found}\n")
    times = {
        "event engine": 1e3 * float(np.median([c["seconds"] for c in run.counters])),
        "layers in PyTorch": latency(net, x, 30 if not options.quick else 3),
    }
    for name, value in times.items():
        print(f"{name:20s} {value:8.2f} ms a recording")
    right = int(np.flatnonzero(decided == labels)[0]) if (decided == labels).any() else 0
    draw(run, found, right, int(labels[right]), layers, times).savefig(
        options.out / "spoken_digits_engine.png", dpi=100
    )
    print(f"\nFigure spoken_digits_engine.png is in {options.out}")
    return {"differing": differing, "spikes": total, "same": same, "accuracy": accuracy,
            "operations": found, "times": times}  # fmt: skip


if __name__ == "__main__":
    main()
