"""Spoken digits as spikes of the inner ear: what delays, recurrence and adaptation are worth.

Two hidden layers of spiking neurons hear 70 channels of cochlea spikes and say which digit was
spoken. Their membranes forget within about a step (10 ms), so what happened earlier must reach
them another way. You will see five networks of the same size: without delays, with fixed random
delays (up to 240 ms), with learned delays, with recurrent connections, and with adaptive neurons.

The recipe is that of Hammouamri et al. (2024, arXiv 2306.17670): normalised input to memoryless
neurons, dropout, probabilities summed over time, Adam with a one-cycle schedule, delays learned
100 times faster through a Gaussian window that narrows during the first quarter. Unlike there, the
epoch is chosen on recordings held out of the training set; the test set is looked at once. Learned
delays are rounded to whole steps for every validation and test.

The same script trains on files you have: ``--data shd DIR``, ``--data ssc DIR``, ``--data gsc DIR``
(Spiking Heidelberg Digits, Spiking Speech Commands, Google Speech Commands as spectrogram).
Finished runs in ``--out`` are kept: more seeds and variants can be added later.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from neurosim import bridge, datasets
from neurosim.bridge import surrogate
from neurosim.plot import PALETTE

VARIANTS = {
    "none": "no delays",
    "fixed": "fixed random delays",
    "learned": "learned delays",
    "recurrent": "recurrent, no delays",
    "adlif": "adaptive neurons, no delays",
}
STEP = 10_000  # us
MAX_DELAY = 24  # steps
TAU = 1.05  # steps: the membrane keeps 1 - 1/TAU of itself
RIDGE = 66.0  # % of the test digits, by ridge regression on counts of 70 channels in 5 time bins


class Task(NamedTuple):
    """Arrays [time, recording, channel] and classes of the three parts of a data set."""

    train: tuple[torch.Tensor, torch.Tensor]
    validation: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]

    @property
    def n_channels(self) -> int:
        return int(self.train[0].shape[2])

    @property
    def n_classes(self) -> int:
        return int(self.train[1].max()) + 1


def load(
    name: str, root: Path | None = None, *, unheard: int | None = None, most: int | None = None
) -> Task:
    """Return the three parts of a data set as arrays.

    Parameters
    ----------
    name : {"spoken_digits", "shd", "ssc", "gsc"}
    root : Path, optional
        Folder of the files; the spoken digits ship with the package.
    unheard : int, optional
        Spoken digits only: test on the training recordings of this speaker instead, and train on
        those of the others.
    most : int, optional
        Take only so many recordings of each part.
    """
    parts = [datasets.Subset(part, range(min(len(part), most or len(part))))
             for part in recordings(name, root, unheard)]  # fmt: skip
    steps = {"spoken_digits": 80, "shd": 120, "ssc": 100}
    return Task(*(levels(p) if name == "gsc" else counts(p, steps[name]) for p in parts))


def recordings(name: str, root: Path | None, unheard: int | None = None) -> tuple[Any, Any, Any]:
    """Return the parts to train, validate and test; see `load`."""
    if name == "spoken_digits":
        train = datasets.SpokenDigits("train")
        if unheard is None:
            test = datasets.SpokenDigits("test")
        else:
            test = datasets.Subset(train, np.flatnonzero(train.speakers == unheard))
            train = datasets.Subset(train, np.flatnonzero(train.speakers != unheard))
        return (*datasets.split(train, [8 / 9, 1 / 9]), test)
    if name == "shd":
        train, test = (datasets.SHD(root, part, groups=140) for part in ("train", "test"))
        return (*datasets.split(train, [0.9, 0.1]), test)
    parts = ("train", "validation", "test")
    if name == "ssc":
        return tuple(datasets.SSC(root, part, groups=140) for part in parts)
    return tuple(datasets.SpeechCommands(root, part, encoder=None) for part in parts)


def counts(data: Any, n_steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the spikes of every recording, channel and step; what comes later is cut off."""
    frames = datasets.ToFrames(
        sensor_size=data.sensor_size, time_window=STEP, t_start=0, duration=n_steps * STEP,
        dtype="uint8",
    )  # fmt: skip
    x = np.stack([frames(events) for events, _ in data], axis=1)
    return torch.from_numpy(x), torch.from_numpy(data.targets)


def levels(data: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return spectrograms [10 dB]."""
    x = np.stack([(sound / 10.0).astype(np.float16) for sound, _ in data], axis=1)
    return torch.from_numpy(x), torch.from_numpy(data.targets)


def network(
    variant: str, n_channels: int, n_classes: int, hidden: int = 64, dropout: float = 0.3
) -> bridge.Sequential:
    """Return two hidden layers of spiking neurons and a readout that does not spike."""

    def connect(n_in: int, n_out: int) -> nn.Module:
        if variant == "fixed":
            whole = torch.randint(0, MAX_DELAY + 1, (n_out, n_in)).float()
            return bridge.DelayedLinear(
                n_in, n_out, MAX_DELAY, delay_init=whole, learn_delays=False
            )
        if variant == "learned":
            return bridge.DelayedLinear(n_in, n_out, MAX_DELAY, window="gaussian")
        return bridge.Linear(n_in, n_out, bias=False)

    def neurons() -> nn.Module:
        if variant == "adlif":
            return bridge.AdLIF(hidden, tau_u=(2.0, 10.0), tau_w=(24.0, 120.0), q=48.0)
        lif = bridge.LIF(
            hidden, beta=1.0 - 1.0 / TAU, reset="zero", spike_grad=surrogate.atan(alpha=5.0)
        )
        if variant != "recurrent":
            return lif
        feedback = nn.Linear(hidden, hidden, bias=False)
        nn.init.orthogonal_(feedback.weight, gain=0.5)
        return bridge.Recurrent(lif, feedback)

    layers: list[nn.Module] = []
    for n_in in (n_channels, hidden):
        layers += [connect(n_in, hidden), nn.BatchNorm1d(hidden), neurons(), nn.Dropout(dropout)]
    return bridge.Sequential(*layers, connect(hidden, n_classes), bridge.LI(beta=1.0 - 1.0 / TAU))


def train(variant: str, seed: int, task: Task, options: argparse.Namespace) -> dict[str, Any]:
    """Train a network and return what it reaches; its weights and history go to files."""
    with bridge.seeded(seed):
        net = network(variant, task.n_channels, task.n_classes, options.hidden, options.dropout)
        bridge.initialise_rates_(net, task.train[0][:, :64].float(), target_rate=0.1)
    name = f"{variant}_{seed}"
    widths = bridge.SigmaSchedule(MAX_DELAY / 2, epochs=max(1, options.epochs // 4))
    cycle = bridge.OneCycle(peak=options.rate)
    history = bridge.fit(
        net, task.train, validation=task.validation, epochs=options.epochs, batch_size=128,
        loss="membrane_sum", weight_decay=1e-5, clip_gradient=5.0,
        learning_rate={"weights": options.rate / 5.0, "delays": 20.0 * options.rate},
        schedule={"weights": cycle, "norms": cycle, "time_constants": cycle,
                  "delays": bridge.Cosine()},
        sigma=widths if variant == "learned" else None,
        monitor="validation_loss", restore_best=True, seed=seed, logs=options.out / f"{name}.csv",
        progress=True,
    )  # fmt: skip
    best = history.best("validation_loss")
    on_test = {
        rounded: bridge.evaluate(net, task.test, loss="membrane_sum", round_delays=rounded)
        for rounded in (True, False)
    }
    bridge.save_checkpoint(
        options.out / f"{name}.pt", net, notes={"variant": variant, "hidden": options.hidden}
    )
    rates = list(on_test[True].rates.values())
    return {
        "variant": variant,
        "seed": seed,
        "epochs": options.epochs,
        "hidden": options.hidden,
        "best_epoch": best + 1,
        "validation": 100.0 * history["validation_accuracy"][best],
        "test": 100.0 * on_test[True].accuracy,
        "test_real_delays": 100.0 * on_test[False].accuracy,
        "parameters": sum(p.numel() for p in net.parameters()),
        "spikes_per_neuron_and_step": float(np.mean(rates)),
        "seconds_an_epoch": float(np.median(history["seconds"])),
    }


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Return one line a variant: mean and standard deviation over seeds."""
    lines = [
        "variant                      seeds  parameters  validation     test [%]       "
        "delays not rounded  s an epoch"
    ]
    for variant, label in VARIANTS.items():
        own = [run for run in runs if run["variant"] == variant]
        if own:
            cells = [spread([run[key] for run in own])
                     for key in ("validation", "test", "test_real_delays")]  # fmt: skip
            lines.append(
                f"{label:28s} {len(own):5d} {own[0]['parameters']:11,d}  {cells[0]:13s}  "
                f"{cells[1]:13s}  {cells[2] if variant == 'learned' else '-':18s}  "
                f"{np.median([run['seconds_an_epoch'] for run in own]):10.1f}"
            )
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Return mean +- standard deviation (of the sample) as text."""
    deviation = f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{deviation}"


def draw_accuracy(runs: Sequence[dict[str, Any]], out: Path, baseline: float | None) -> Figure:
    """Draw validation accuracy over epochs and test accuracy of every run."""
    figure = Figure(figsize=(9.5, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.4, 1.0])
    found = [v for v in VARIANTS if any(run["variant"] == v for run in runs)]
    for k, variant in enumerate(found):
        color = PALETTE[list(VARIANTS).index(variant)]
        own = [run for run in runs if run["variant"] == variant]
        curves = [
            100.0 * bridge.History.from_csv(out / f"{variant}_{run['seed']}.csv")[
                "validation_accuracy"] for run in own
        ]  # fmt: skip
        length = min(map(len, curves))
        for curve in curves:
            left.plot(np.arange(1, len(curve) + 1), curve, color=color, linewidth=0.5, alpha=0.5)
        mean = np.mean([curve[:length] for curve in curves], axis=0)
        left.plot(np.arange(1, length + 1), mean, color=color, label=VARIANTS[variant])
        test = [run["test"] for run in own]
        right.barh(k, np.mean(test), color=color, alpha=0.45)
        right.plot(test, np.full(len(test), k), "o", color=color, markersize=4)
        right.text(2.0, k, spread(test), va="center", fontsize=9)
    if baseline is not None:
        right.axvline(baseline, color="0.4", linestyle=":")
        right.set_title(f"test; dotted: ridge regression on counts, {baseline:g} %", fontsize=9)
    left.set_xlabel("epoch")
    left.set_ylabel("validation accuracy [%]")
    left.legend(frameon=False, fontsize="small", loc="lower right")
    right.set_yticks(range(len(found)), [VARIANTS[v] for v in found], fontsize=8)
    right.invert_yaxis()
    right.set_xlim(0.0, 100.0)
    right.set_xlabel("test accuracy [%]")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def draw_delays(before: bridge.Sequential, net: bridge.Sequential) -> Figure:
    """Draw the delays of every layer after learning; they began with a uniform distribution."""
    pairs = [pair for pair in zip(before, net, strict=True)
             if isinstance(pair[0], bridge.DelayedLinear)]  # fmt: skip
    names = ["ear to first layer", "first to second layer", "second layer to readout"]
    figure = Figure(figsize=(9.5, 3.0), layout="constrained")
    axes = figure.subplots(1, len(pairs), sharex=True)
    edges = np.arange(-0.5, MAX_DELAY + 1.0)
    for ax, (first, layer), name in zip(axes, pairs, names, strict=True):
        delay = layer.delay.detach().numpy().ravel()
        moved = 10.0 * np.median(np.abs(delay - first.delay.detach().numpy().ravel()))
        weight = np.abs(layer.weight.detach().numpy()).ravel()
        for values, style in ((None, {"color": PALETTE[0], "alpha": 0.5, "label": "synapses"}),
                              (weight, {"color": PALETTE[1], "histtype": "step",
                                        "label": "weighted by strength"})):  # fmt: skip
            ax.hist(10.0 * delay.round(), 10.0 * edges, weights=values, density=True, **style)
        ax.axhline(0.1 / (MAX_DELAY + 1), color="0.4", linestyle=":", label="before learning")
        ax.set_title(f"{name}\n{delay.size:,} delays, moved by {moved:.0f} ms (median)",
                     fontsize=9)  # fmt: skip
        ax.set_xlabel("delay [ms]")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("density [1/ms]")
    axes[-1].legend(frameon=False, fontsize="x-small")
    return figure


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the example and return the result of every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=64, help="neurons of a hidden layer")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--rate", type=float, default=5e-3, help="largest learning rate")
    parser.add_argument("--data", nargs="+", default=["spoken_digits"], metavar="NAME [DIR]")
    parser.add_argument("--unheard", type=int, metavar="SPEAKER", help="test on a speaker 0 to 5 "
                        "of the spoken digits who is not trained on")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/spoken_digits"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="2 epochs of 200 recordings, 1 seed")
    options = parser.parse_args(argv)
    name, *root = options.data
    if name not in ("spoken_digits", "shd", "ssc", "gsc") or len(root) != (name != "spoken_digits"):
        parser.error("--data is one of: spoken_digits, shd DIR, ssc DIR, gsc DIR")
    options.out.mkdir(parents=True, exist_ok=True)

    if options.quick:
        options.epochs, options.hidden, options.seeds = 2, 32, options.seeds[:1]
    task = load(
        name, *map(Path, root), unheard=options.unheard, most=200 if options.quick else None
    )
    sizes = ", ".join(f"{x.shape[1]:,}" for x, _ in task)
    print(f"{name}: {sizes} recordings to train, validate and test, {task.n_channels} channels, "
          f"{task.train[0].shape[0]} steps of {STEP / 1000:g} ms")  # fmt: skip
    for variant in options.variant:
        for seed in options.seeds:
            path = options.out / f"{variant}_{seed}.json"
            if not path.exists():
                run = train(variant, seed, task, options)
                path.write_text(json.dumps(run, indent=1) + "\n")
                print(f"{VARIANTS[variant]}, seed {seed}: test {run['test']:.1f} %", flush=True)
    runs = [json.loads(path.read_text()) for path in sorted(options.out.glob("*_*.json"))]
    print(table(runs))

    standard = name == "spoken_digits" and options.unheard is None
    accuracy = draw_accuracy(runs, options.out, RIDGE if standard else None)
    accuracy.savefig(options.out / "spoken_digits.png", dpi=100)
    learned = [run for run in runs if run["variant"] == "learned"]
    if learned:
        seed, hidden = learned[0]["seed"], learned[0]["hidden"]
        with bridge.seeded(seed):
            before = network("learned", task.n_channels, task.n_classes, hidden)
        net = network("learned", task.n_channels, task.n_classes, hidden)
        bridge.load_checkpoint(options.out / f"learned_{seed}.pt", net)
        draw_delays(before, net).savefig(options.out / "spoken_digits_delays.png", dpi=100)
    print(f"Figures, logs and weights are in {options.out}")
    return runs


if __name__ == "__main__":
    main()
