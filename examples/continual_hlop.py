"""Ten digits, a new order of the pixels for every task: spiking networks that do not forget.

A network 784-200-200-10 learns permuted MNIST, one permutation after the other, with one head and
without seeing old images again. Trained plainly it forgets: each task costs the earlier ones some
points. With Hebbian orthogonal projection (HLOP, Xiao et al. 2024) lateral neurons learn the
subspace of each layer's activity, and later tasks change the weights outside of it only.

`--method` chooses how gradients are found: ``bptt`` (surrogate gradients through time), ``ottt``
(online: memory does not grow with time) or ``dsr`` (gradients of firing rates); `--feedback` sends
errors back through random matrices or the weights' signs. `--plain` trains without projection.
`--split` learns five pairs of digits instead, 0 and 1 to 8 and 9, with a head for each pair.
Printed are the accuracies on every task after each, ACC (their mean at the end) and BWT (mean
change since a task was learned; negative is forgetting); the figure compares all runs in `--out`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _permuted_mnist import Task, permuted_mnist
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from neurosim.bridge import LIF, Sequential
from neurosim.bridge.connections import Linear
from neurosim.bridge.continual import (
    DSRLIF,
    OTTT,
    Feedback,
    HebbianProjection,
    average_accuracy,
    backward_transfer,
    weighted_rate,
)
from neurosim.bridge.surrogate import sigmoid

STEPS = {"bptt": 6, "ottt": 6, "dsr": 20}
#: New rows of the three layers at the first task and at later ones, by width of the network.
ROWS = {
    200: ((80, 50, 25), lambda task: (70, 17, 17)),
    800: ((80, 200, 100), lambda task: (70 - 20 * (task // 3),) * 3),
}


class Learner:
    """A network with its way of finding gradients."""

    def __init__(self, method: str, hidden: int, *, heads: bool = False) -> None:
        self.method, self.n_steps, self.heads = method, STEPS[method], heads

        def neurons() -> nn.Module:
            if method == "dsr":
                return DSRLIF()
            return LIF(beta=0.5, reset_delay=False, spike_grad=sigmoid(4.0))

        self.model = Sequential(
            Linear(784, hidden, bias=False, sparse=False), neurons(),
            Linear(hidden, hidden, bias=False), neurons(),
            Linear(hidden, 10, bias=False),
        )  # fmt: skip
        self.online = OTTT(self.model, self.loss) if method == "ottt" else None

    def sequence(self, images: Tensor) -> Tensor:
        """Show the same image at every step."""
        return images.expand(self.n_steps, *images.shape)

    def logits(self, images: Tensor) -> Tensor:
        """Return the output of the sequence, (n, 10)."""
        out, _ = self.model(self.sequence(images))
        return weighted_rate(out, self.model[1].decay) if self.method == "dsr" else out.mean(0)

    def choice(self, logits: Tensor, digits: Tensor) -> Tensor:
        """Return the logits (n, 10), without those of other pairs if each pair has a head."""
        if not self.heads:
            return logits
        others = torch.arange(10) // 2 != (digits // 2)[:, None]
        return logits.masked_fill(others, -torch.inf)

    def loss(self, logits: Tensor, digits: Tensor) -> Tensor:
        """Return the cross entropy of a batch."""
        return F.cross_entropy(self.choice(logits, digits), digits)

    def gradients(self, images: Tensor, digits: Tensor) -> None:
        """Add the gradients of a batch."""
        if self.online is not None:
            self.online(self.sequence(images), digits)
        else:
            self.loss(self.logits(images), digits).backward()

    def activity(self, x: Tensor) -> Tensor:
        """Return what the subspaces learn from: rates for DSR, else the input of every step."""
        if x.stride(0) == 0:
            return x[:1]
        return weighted_rate(x, self.model[1].decay)[None] if self.method == "dsr" else x

    @torch.no_grad()
    def accuracy(self, images: Tensor, digits: Tensor) -> float:
        """Return the percentage of digits that are recognised."""
        self.model.eval()
        right = sum(
            int((self.choice(self.logits(x), y).argmax(1) == y).sum())
            for x, y in zip(images.split(500), digits.split(500), strict=True)
        )
        self.model.train()
        return 100 * right / len(digits)


def learn(options: argparse.Namespace) -> dict[str, Any]:
    """Train on all tasks and return accuracies, times and the state of the subspaces."""
    torch.manual_seed(options.seed)
    tasks = permuted_mnist(
        options.mnist, n_tasks=1 if options.split else options.tasks, n_train=options.train,
        n_test=options.test, seed=options.seed, download=options.download,
    )  # fmt: skip
    if options.split:
        tasks = pairs_of_digits(tasks[0])[: options.tasks]
    learner = Learner(options.method, options.hidden, heads=options.split)
    model, order = learner.model, torch.Generator().manual_seed(options.seed)
    if options.feedback:
        Feedback(model, options.feedback, seed=options.seed)
    first, later = ROWS[options.hidden]
    layers = ("0", "2") if options.split else ("0", "2", "4")  # heads of their own need none
    rates = {"0": 0.001, "2": 0.01, "4": 0.01}
    hlop = None if options.plain else HebbianProjection(
        model, dict(zip(layers, first, strict=False)), mode=options.mode,
        rate={name: rates[name] for name in layers}, activity=learner.activity, seed=options.seed,
        lateral_steps=options.lateral_steps,
    )  # fmt: skip
    matrix, began = np.zeros((len(tasks), len(tasks))), time.perf_counter()
    for k, task in enumerate(tasks):
        trained = [p for p in model.parameters() if k == 0 or p.dim() > 1]
        optimizer = torch.optim.SGD(trained, lr=options.lr)
        for _ in range(options.epochs):
            for images, digits in task.batches(64, order):
                optimizer.zero_grad()
                learner.gradients(images, digits)
                if hlop is not None:
                    hlop.project()
                optimizer.step()
        matrix[k, : k + 1] = [learner.accuracy(*old.test) for old in tasks[: k + 1]]
        if hlop is not None and k + 1 < len(tasks):
            hlop.consolidate(dict(zip(layers, later(k + 1), strict=False)))
        print(f"task {k}: " + " ".join(f"{a:5.1f}" for a in matrix[k, : k + 1]), flush=True)
    return {
        "method": options.method, "projection": "none" if hlop is None else options.mode,
        "feedback": options.feedback or "backpropagation", "hidden": options.hidden,
        "protocol": "split" if options.split else "permuted",
        "seed": options.seed, "tasks": len(tasks), "epochs": options.epochs,
        "train": [len(task.train[1]) for task in tasks],
        "test": [len(task.test[1]) for task in tasks],
        "n_steps": learner.n_steps, "lr": options.lr, "lateral_steps": options.lateral_steps,
        "ACC": round(average_accuracy(matrix), 2), "BWT": round(backward_transfer(matrix), 2),
        "accuracy": matrix.round(2).tolist(), "seconds": round(time.perf_counter() - began, 1),
        **({} if hlop is None else described(hlop, layers)),
    }  # fmt: skip


def pairs_of_digits(task: Task) -> list[Task]:
    """Return five tasks of two digits each: 0 and 1, ..., 8 and 9."""

    def pair(k: int, half: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        images, digits = half
        return images[digits // 2 == k], digits[digits // 2 == k]

    return [Task(pair(k, task.train), pair(k, task.test)) for k in range(5)]


def described(hlop: HebbianProjection, layers: tuple[str, ...]) -> dict[str, Any]:
    """Return how orthonormal the rows are, and what the projection costs."""
    overhead, distance = hlop.overhead, {}
    for name in layers:
        rows = hlop.subspace_of(name).H
        distance[name] = round(float((rows @ rows.T - torch.eye(len(rows))).abs().max()), 3)
    return {
        "overhead_seconds": round(overhead.seconds, 1),
        "overhead_fraction": round(overhead.fraction, 3),
        "max_HHT_minus_1": distance,
    }


def figure(results: list[dict[str, Any]]) -> Figure:
    """Draw the accuracy on the first task, and on all seen so far, for each run."""
    sheet = Figure(figsize=(7.5, 3.2), layout="constrained")
    first, mean = sheet.subplots(1, 2, sharey=True)
    runs = [f"{r['method']}, {r['feedback']}".removesuffix(", backpropagation") for r in results]
    colour = {run: f"C{k}" for k, run in enumerate(dict.fromkeys(runs))}
    labelled = set()
    for found, run in zip(results, runs, strict=True):
        matrix, plain = np.array(found["accuracy"]), found["projection"] == "none"
        label = f"{run}, {'plain' if plain else 'HLOP'}"
        style = {"color": colour[run], "ls": ":" if plain else "-", "marker": "o", "ms": 3}
        learned = np.arange(len(matrix)) + 1
        first.plot(learned, matrix[:, 0], **style)
        seen = [matrix[k - 1, :k].mean() for k in learned]
        mean.plot(learned, seen, label=None if label in labelled else label, **style)
        labelled.add(label)
    first.set(xlabel="tasks learned", ylabel="test accuracy (%)", title="first task")
    mean.set(xlabel="tasks learned", title="mean over tasks seen")
    sheet.legend(loc="outside right", fontsize="small")
    return sheet


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--mnist", type=Path, help="folder of MNIST")
    parser.add_argument("--download", action="store_true", help="fetch missing files of MNIST")
    parser.add_argument("--method", choices=tuple(STEPS), default="bptt")
    parser.add_argument("--plain", action="store_true", help="no projection")
    parser.add_argument("--split", action="store_true", help="pairs of digits, a head for each")
    parser.add_argument("--mode", choices=("weight", "trace"), default="weight")
    parser.add_argument("--feedback", choices=("random", "sign"))
    parser.add_argument("--lateral-steps", type=int, help="quantise the lateral neurons")
    parser.add_argument("--hidden", type=int, choices=tuple(ROWS), default=200)
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--train", type=int, default=8000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two tasks of 500 digits")
    parser.add_argument("--out", type=Path, default=Path("out/continual_hlop"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.tasks, options.epochs, options.train, options.test = 2, 2, 500, 500
    if options.split and options.tasks > 5:
        parser.error(f"--split makes 5 tasks of two digits each; --tasks {options.tasks} is more")
    found = learn(options)
    print(f"ACC {found['ACC']} %, BWT {found['BWT']}, {found['seconds']} s", end="")
    if not options.plain:
        print(f", of the training {100 * found['overhead_fraction']:.0f} % for HLOP", end="")
    print()
    options.out.mkdir(parents=True, exist_ok=True)
    kind = "_".join(filter(None, (
        "split" if options.split else "", "plain" if options.plain else "hlop", options.feedback
    )))  # fmt: skip
    path = options.out / f"{options.method}_{kind}_{options.seed}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    results = [json.loads(p.read_text()) for p in sorted(options.out.glob("*.json"))]
    figure(results).savefig(options.out / "continual_hlop.png", dpi=100)
    return found


if __name__ == "__main__":
    main()
