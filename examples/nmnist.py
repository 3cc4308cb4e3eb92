"""Handwritten digits seen by an event camera: spiking convolutions, and hybrids with an ANN.

N-MNIST shows each digit of MNIST to a moving event camera (34 x 34 pixels, ON and OFF events, three
saccades of 100 ms). Three networks of about the same size learn to read them: spiking throughout;
with a conventional front (convolution, ReLU, applied to every time step on its own); and with a
conventional head (a small perceptron that sees how often each neuron of the spiking part fired).
Gradients pass both borders. You will see accuracy by epoch, and what the first spiking layer sends.

With the first 1,000 recordings of the set and 100 to test (npz file), or with all 70,000:

    python examples/nmnist.py --data nmnist_small.npz
    python examples/nmnist.py --data DIR --download
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from neurosim import bridge, datasets
from neurosim.plot import PALETTE

SMALL = Path(__file__).parents[2] / "shared/data/events/nmnist_small/nmnist_small.npz"
STEPS, STEP = 15, 20_000  # us
HYBRIDS = {"none": "spiking throughout", "front": "ANN front", "head": "ANN head"}


class CountedHead(nn.Module):
    """A spiking body and a conventional head that sees the mean activity over time.

    Parameters
    ----------
    body : Sequential
        Of [T, B, n] spikes.
    head : nn.Module
        Maps [B, n] to [B, classes]; the output has one step, [1, B, classes].
    """

    def __init__(self, body: bridge.Sequential, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes, _ = self.body(x)
        return self.head(spikes.mean(0)).unsqueeze(0)


def network(hybrid: str) -> nn.Module:
    """Return 8 and 16 feature maps of 5 x 5 pixels, each followed by pooling, and a readout."""

    def neurons() -> nn.Module:
        return bridge.LIF(beta=0.7)

    first = nn.ReLU() if hybrid == "front" else neurons()
    body: list[nn.Module] = [
        nn.Conv2d(2, 8, 5, bias=False), nn.BatchNorm2d(8), first, nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 5, bias=False), nn.BatchNorm2d(16), neurons(), nn.AvgPool2d(2),
        nn.Flatten(),
    ]  # fmt: skip
    if hybrid == "head":
        head = nn.Sequential(nn.Dropout(0.25), nn.Linear(400, 32), nn.ReLU(), nn.Linear(32, 10))
        return CountedHead(bridge.Sequential(*body), head)
    return bridge.Sequential(*body, nn.Dropout(0.25), nn.Linear(400, 10), bridge.LI(beta=0.9))


def train(hybrid: str, seed: int, parts: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Train a network; the epoch is chosen on the validation set, then tested once."""
    training, validation, test = parts
    collate = datasets.collate_dense(sensor_size=test.sensor_size, time_step=STEP, n_steps=STEPS)
    with bridge.seeded(seed):
        net = network(hybrid)
    history = bridge.fit(
        net, training, validation=validation, collate=collate, epochs=options.epochs,
        batch_size=64, loss="membrane_mean", learning_rate=1e-3, weight_decay=1e-5,
        schedule="onecycle", monitor="validation_loss", restore_best=True, seed=seed,
        logs=options.out / f"{hybrid}_{seed}.csv", progress=True,
    )  # fmt: skip
    best = history.best("validation_loss")
    found = bridge.evaluate(net, test, collate=collate, loss="membrane_mean")
    bridge.save_checkpoint(options.out / f"{hybrid}_{seed}.pt", net)
    return {
        "hybrid": hybrid,
        "seed": seed,
        "best_epoch": best + 1,
        "validation": 100.0 * history["validation_accuracy"][best],
        "test": 100.0 * found.accuracy,
        "parameters": sum(p.numel() for p in net.parameters()),
        "seconds_an_epoch": float(np.median(history["seconds"])),
    }


def draw(runs: list[dict[str, Any]], net: nn.Module, sample: Any, out: Path) -> Figure:
    """Draw accuracy over epochs, a recording, and what the first spiking layer makes of it."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.0, 1.3])
    ax = left.subplots()
    for run in runs:
        history = bridge.History.from_csv(out / f"{run['hybrid']}_{run['seed']}.csv")
        color = PALETTE[list(HYBRIDS).index(run["hybrid"])]
        first = run is next(r for r in runs if r["hybrid"] == run["hybrid"])
        ax.plot(history["epoch"], 100.0 * history["validation_accuracy"], color=color,
                label=HYBRIDS[run["hybrid"]] if first else None)  # fmt: skip
    ax.set_xlabel("epoch")
    ax.set_ylabel("validation accuracy [%]")
    ax.legend(frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)

    events, digit = sample
    collate = datasets.collate_dense(sensor_size=(34, 34, 2), time_step=STEP, n_steps=STEPS)
    x, _, _ = collate([sample])
    layers = net.body if isinstance(net, CountedHead) else net
    net.eval()
    with torch.no_grad():
        maps = bridge.Sequential(*list(layers)[:3])(x)[0].mean((0, 1)).numpy()
    axes = right.subplots(3, 3)
    balance = np.zeros((34, 34))
    np.add.at(balance, (events["y"], events["x"]), np.where(events["p"], 1.0, -1.0))
    peak = np.abs(balance).max()
    axes[0, 0].imshow(balance, cmap="RdBu_r", vmin=-peak, vmax=peak)
    axes[0, 0].set_title(f"a {digit}: ON - OFF", fontsize=8)
    for k, shown in enumerate(axes.flat[1:]):
        shown.imshow(maps[k], cmap="viridis", vmin=0.0, vmax=float(maps.max()))
        shown.set_title(f"map {k + 1}", fontsize=8)
    for shown in axes.flat:
        shown.set_axis_off()
    right.suptitle("mean activity of the first layer's maps", fontsize=10)
    return figure


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the example and return the result of every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hybrid", nargs="+", choices=HYBRIDS, default=list(HYBRIDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--data", type=Path, default=SMALL, metavar="FILE or DIR")
    parser.add_argument("--download", action="store_true", help="fetch N-MNIST into DIR (1.2 GB)")
    parser.add_argument("--out", type=Path, default=Path("out/nmnist"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="1 epoch of 64 recordings, 1 seed")
    options = parser.parse_args(argv)
    if not options.data.exists() and not options.download:
        parser.error(
            f"there is no {options.data}: say with --data where N-MNIST is (npz file, or folder "
            "with Train/ and Test/), or fetch it with --data DIR --download"
        )
    options.out.mkdir(parents=True, exist_ok=True)

    if options.data.suffix == ".npz":
        whole, test = (datasets.SmallNMNIST(options.data, part) for part in ("train", "test"))
    else:
        whole, test = (datasets.NMNIST(options.data, part, download=options.download)
                       for part in ("train", "test"))  # fmt: skip
    parts: Any = (*datasets.split(whole, [0.9, 0.1]), test)
    if options.quick:
        options.epochs, options.seeds = 1, options.seeds[:1]
        parts = [
            datasets.Subset(part, range(n)) for part, n in zip(parts, (64, 20, 20), strict=True)
        ]
    print(f"{', '.join(f'{len(part):,}' for part in parts)} recordings to train, validate and test")
    runs = []
    for hybrid in options.hybrid:
        for seed in options.seeds:
            path = options.out / f"{hybrid}_{seed}.json"
            if not path.exists():
                run = train(hybrid, seed, parts, options)
                path.write_text(json.dumps(run, indent=1) + "\n")
            runs.append(json.loads(path.read_text()))
            print(f"{HYBRIDS[hybrid]:20s} seed {seed}: {runs[-1]['parameters']:,} parameters, "
                  f"validation {runs[-1]['validation']:.1f} %, test {runs[-1]['test']:.1f} % "
                  f"({runs[-1]['seconds_an_epoch']:.1f} s an epoch)", flush=True)  # fmt: skip
    net = network(runs[0]["hybrid"])
    bridge.load_checkpoint(options.out / f"{runs[0]['hybrid']}_{runs[0]['seed']}.pt", net)
    draw(runs, net, test[0], options.out).savefig(options.out / "nmnist.png", dpi=100)
    print(f"Figure, logs and weights are in {options.out}")
    return runs


if __name__ == "__main__":
    main()
