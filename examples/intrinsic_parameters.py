"""What it is worth to learn time constants and thresholds together with the weights.

Two classes of inputs have the same rate and differ in time only: in one, every channel fires in
bursts, in the other nearly regularly. A layer of leaky neurons has to tell them apart by how often
its neurons fire. Its time constant is set ten times too short or too long. You will see how much of
the harm the weights can repair alone, and how much training of tau_m and V_th repairs besides.

Task and comparison after Rudnicka, Szczepanski & Pregowska (2025), arXiv:2508.11674, who report
gains of 8.5 to 13.5 points; sizes are this script's own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from neurosim.bridge import LIF, Sequential
from neurosim.bridge.connections import Linear

TAU = 10.0  # ms, about the length of a burst
SETTINGS = {"10x too short": 0.1 * TAU, "matched": TAU, "10x too long": 10.0 * TAU}
CHANNELS, HIDDEN = 50, 20


class Logistic(nn.Module):
    """Learn a factor by its logit: steps of one size suit short and long time constants."""

    def forward(self, logit: Tensor) -> Tensor:
        return torch.sigmoid(logit)

    def right_inverse(self, factor: Tensor) -> Tensor:
        return torch.logit(factor)


def spike_trains(n: int, n_steps: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [n_steps, n, CHANNELS] spikes of n samples, and their classes; steps of 1 ms.

    A burst is four spikes 3 ms apart; bursts begin every 200 ms on average, regular spikes come
    every 50 ms, give or take 10: 20 Hz both.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    spikes = np.zeros((n_steps + 16, n, CHANNELS), np.float32)
    start = rng.random((n_steps + 16, n, CHANNELS)) < 1.0 / 200.0
    for k in range(4):
        spikes[3 * k :] += start[: len(start) - 3 * k]
    spikes = np.minimum(spikes, 1.0)[16:]  # bursts that began before the sample are in it
    phase = 50.0 * rng.random((n, CHANNELS))
    for k in range(-1, n_steps // 50 + 2):
        when = np.rint(phase + 50.0 * k + 10.0 * rng.standard_normal(phase.shape)).astype(int)
        inside = (when >= 0) & (when < n_steps) & (labels == 0)[:, None]
        if k == -1:
            spikes[:, labels == 0] = 0.0
        sample, channel = np.nonzero(inside)
        spikes[when[inside], sample, channel] = 1.0
    return torch.from_numpy(spikes), torch.from_numpy(labels)


def train(tau: float, intrinsic: bool, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one network; return its test accuracy [%] and the 90 % quantile of its tau_m [ms]."""
    torch.manual_seed(seed)
    beta = float(np.exp(-1.0 / tau))
    neurons = LIF(
        HIDDEN, beta=torch.full((HIDDEN,), beta), threshold=torch.ones(HIDDEN),
        learn_beta=intrinsic, learn_threshold=intrinsic,
    )  # fmt: skip
    first, readout = Linear(CHANNELS, HIDDEN), nn.Linear(HIDDEN, 2)
    with torch.no_grad():  # the same size of the potential, whatever tau
        first.weight.mul_(3.0 * np.sqrt(1.0 - beta**2))
    net = Sequential(first, neurons)
    groups = [{"params": [*first.parameters(), *readout.parameters()], "lr": 5e-3}]
    if intrinsic:
        register_parametrization(neurons, "beta", Logistic())
        groups.append({"params": neurons.parametrizations.parameters(), "lr": 0.05})
        groups.append({"params": [neurons.threshold], "lr": 2e-2})
    optimizer = torch.optim.Adam(groups)
    x, y = spike_trains(options.train, options.steps, 1000 + seed)
    x_test, y_test = spike_trains(options.test, options.steps, 2000 + seed)
    order = torch.Generator().manual_seed(seed)
    for _ in range(options.epochs):
        for some in torch.randperm(len(y), generator=order).split(50):
            spikes, _ = net(x[:, some])
            loss = nn.functional.cross_entropy(readout(10.0 * spikes.mean(0)), y[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        decided = readout(10.0 * net(x_test)[0].mean(0)).argmax(1)
        learned = -1.0 / torch.log(neurons.beta.clamp(1e-4, 1.0 - 1e-4))
    return {
        "accuracy": 100.0 * float((decided == y_test).float().mean()),
        "tau": float(learned.quantile(0.9)),
    }


def figure(found: dict[str, dict[str, list[float]]]) -> Figure:
    """Draw the accuracies of all seeds."""
    sheet = Figure(figsize=(8.0, 3.6), layout="constrained")
    ax = sheet.subplots()
    for k, (what, marker) in enumerate((("weights", "s"), ("weights and intrinsic", "o"))):
        for j, name in enumerate(SETTINGS):
            seeds = found[name][what]
            at = j + 0.3 * (k - 0.5)
            ax.bar(at, np.mean(seeds), 0.28, color=f"C{k}", alpha=0.35, label=what if not j else "")
            spread = at + np.linspace(-0.08, 0.08, len(seeds))
            ax.plot(spread, seeds, marker, color=f"C{k}", ms=4)
    ax.axhline(50.0, color="k", ls=":", lw=1)
    ax.set_xticks(range(len(SETTINGS)), [f"{n}\n{tau:g} ms" for n, tau in SETTINGS.items()])
    ax.set(xlabel="initial tau_m", ylabel="test accuracy (%)", ylim=(40, 101))
    ax.set_title("Bursts against regular trains of equal rate", fontsize=10)
    sheet.legend(loc="outside right", title="trained", fontsize=8)
    return sheet


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/intrinsic_parameters"), metavar="DIR")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--train", type=int, default=400, metavar="N")
    parser.add_argument("--test", type=int, default=400, metavar="N")
    parser.add_argument("--steps", type=int, default=250, metavar="N", help="of 1 ms")
    parser.add_argument("--quick", action="store_true", help="one seed, two epochs")
    options = parser.parse_args(argv)
    if options.quick:
        options.seeds, options.epochs, options.train, options.test = 1, 2, 100, 100
    found: dict[str, dict[str, list[float]]] = {}
    print("initial tau_m            trained                  accuracy    90 % of tau_m below")
    for name, tau in SETTINGS.items():
        found[name] = {}
        for what, intrinsic in (("weights", False), ("weights and intrinsic", True)):
            runs = [train(tau, intrinsic, seed, options) for seed in range(options.seeds)]
            found[name][what] = [run["accuracy"] for run in runs]
            after = np.median([run["tau"] for run in runs])
            print(
                f"{name:14s} {tau:6.1f} ms  {what:22s} {np.mean(found[name][what]):7.1f} % "
                f"+- {np.std(found[name][what]):4.1f}  {after:6.1f} ms",
                flush=True,
            )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "intrinsic_parameters.json").write_text(json.dumps(found, indent=1) + "\n")
    figure(found).savefig(options.out / "intrinsic_parameters.png", dpi=110)
    print(f"figure: {options.out / 'intrinsic_parameters.png'}")
    return found


if __name__ == "__main__":
    main()
