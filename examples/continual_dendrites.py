"""Active dendrites: units that listen to the context keep ten permuted tasks apart.

A network 784-512-512-10 learns permuted MNIST, one permutation after the other. Hidden units have
dendritic segments that see the context (the mean image of the task) and gate the unit; of the gated
units only the 5 % most active stay (Iyer et al. 2022). So each task uses its own small subnetwork.
When tested, the context is not given: it is the stored mean image nearest to the digit.

`--model` takes parts away, ``dendrites`` (no k winners), ``winners`` (no dendrites) and ``mlp``
(neither), or makes the units spike: ``spiking`` (gates and winners act on the input current of
integrate-and-fire neurons, whose rate in six steps stands for the current of a winner). All use the
paper's learning rate; a plain network forgets less, and learns less, with a smaller one.
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

from neurosim.bridge import LIF, Sequential, surrogate
from neurosim.bridge.connections.contexts import Prototypes
from neurosim.bridge.connections.kwinners import KWinners
from neurosim.bridge.connections.masks import Sparse
from neurosim.bridge.connections.segments import ActiveDendrites, use_context
from neurosim.bridge.continual import average_accuracy, backward_transfer

MODELS = ("full", "dendrites", "winners", "mlp", "spiking")
WINNERS, DENSITY = 0.05, 0.5
#: Threshold of spiking units, which is about a winner's current: with 1 all winners spike in every
#: step and say only who they are. Spikes are as high, so that layers get what graded units send.
THRESHOLD = 4.0


def connection(n_in: int, n_out: int, input_density: float) -> Sparse:
    """Return a linear layer with half of its weights, scaled for sparse input."""
    layer = nn.Linear(n_in, n_out)
    bound = (input_density * DENSITY * n_in) ** -0.5
    nn.init.uniform_(layer.weight, -bound, bound)
    return Sparse(layer, DENSITY, rescale=False)


def spiking_unit() -> LIF:
    """Return neurons without leak: over time, spikes times their height are the input current."""
    return LIF(
        beta=1.0, threshold=THRESHOLD, graded_spikes_factor=THRESHOLD,
        spike_grad=surrogate.atan(2.0 / THRESHOLD),
    )  # fmt: skip


def network(kind: str, hidden: int, n_segments: int) -> Sequential:
    """Return one of the models of the comparison."""
    parts: list[nn.Module] = []
    # what the first weights reckon with: the units that winners leave active, or all of them
    active_units = 1.0 if kind == "dendrites" else WINNERS
    for n_in, active in ((784, 1.0), (hidden, active_units)):
        if kind == "mlp":
            parts += [nn.Linear(n_in, hidden), nn.ReLU()]
        elif kind == "winners":
            parts += [connection(n_in, hidden, active), KWinners(WINNERS)]
        else:
            parts += [ActiveDendrites(
                n_in, hidden, n_segments, 784, density=DENSITY, input_density=active
            )]  # fmt: skip
            parts += {
                "full": [KWinners(WINNERS)],
                "dendrites": [nn.ReLU()],
                "spiking": [KWinners(WINNERS), spiking_unit()],
            }[kind]
    head = nn.Linear(hidden, 10) if kind == "mlp" else connection(hidden, 10, active_units)
    return Sequential(*parts, head)


def logits(model: Sequential, kind: str, images: Tensor, context: Tensor) -> Tensor:
    """Return the mean output over time (one step, or six of spiking units)."""
    x = images.expand(6 if kind == "spiking" else 1, *images.shape)
    if kind in ("winners", "mlp"):
        return model(x)[0].mean(0)
    with use_context(model, context):
        return model(x)[0].mean(0)


@torch.no_grad()
def accuracy(model: Sequential, kind: str, task: Task, prototypes: Prototypes) -> float:
    """Return the percentage of digits recognised, with contexts inferred from the images."""
    images, digits = task.test
    right = sum(
        int((logits(model, kind, x, prototypes.context_of(x)).argmax(1) == y).sum())
        for x, y in zip(images.split(500), digits.split(500), strict=True)
    )
    return 100 * right / len(digits)


def learn(options: argparse.Namespace) -> dict[str, Any]:
    """Train on all tasks and return what was found."""
    torch.manual_seed(options.seed)
    tasks = permuted_mnist(
        options.mnist, n_tasks=options.tasks, n_train=options.train, n_test=options.test,
        seed=options.seed, download=options.download,
    )  # fmt: skip
    kind, order = options.model, torch.Generator().manual_seed(options.seed)
    model, prototypes = network(kind, options.hidden, options.tasks), Prototypes(784)
    matrix, began = np.zeros((len(tasks), len(tasks))), time.perf_counter()
    for k, task in enumerate(tasks):
        optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
        context = prototypes.add(task.train[0])
        for _ in range(options.epochs):
            for images, digits in task.batches(options.batch, order):
                optimizer.zero_grad()
                F.cross_entropy(logits(model, kind, images, context), digits).backward()
                optimizer.step()
        matrix[k, : k + 1] = [accuracy(model, kind, old, prototypes) for old in tasks[: k + 1]]
        print(f"task {k}: " + " ".join(f"{a:5.1f}" for a in matrix[k, : k + 1]), flush=True)
    return {
        "model": kind, "hidden": options.hidden, "seed": options.seed, "tasks": len(tasks),
        "segments": options.tasks, "epochs": options.epochs, "batch": options.batch,
        "lr": options.lr, "train": len(tasks[0].train[1]),
        "test": len(tasks[0].test[1]), "ACC": round(average_accuracy(matrix), 2),
        "BWT": round(backward_transfer(matrix), 2), "accuracy": matrix.round(2).tolist(),
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def figure(results: list[dict[str, Any]]) -> Figure:
    """Draw the mean accuracy over the tasks seen so far, for each model."""
    sheet = Figure(figsize=(5, 3.2), layout="constrained")
    axes = sheet.subplots()
    for found in results:
        matrix = np.array(found["accuracy"])
        seen = [matrix[k, : k + 1].mean() for k in range(len(matrix))]
        label = f"{found['model']} ({found['ACC']:.1f} %)"
        axes.plot(np.arange(len(seen)) + 1, seen, "o-", ms=3, label=label)
    axes.set(xlabel="tasks learned", ylabel="mean accuracy on them (%)")
    axes.legend(fontsize="small")
    return sheet


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--mnist", type=Path, help="folder of MNIST")
    parser.add_argument("--download", action="store_true", help="fetch missing files of MNIST")
    parser.add_argument("--model", choices=MODELS, nargs="+", default=["full", "mlp"])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lr", type=float, default=5e-4, help="learning rate of Adam")
    parser.add_argument("--train", type=int, default=60000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two tasks of 1,000 digits")
    parser.add_argument("--out", type=Path, default=Path("out/continual_dendrites"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.tasks, options.train, options.test, options.hidden = 2, 1000, 500, 256
        options.epochs, options.batch = 2, 64
    options.out.mkdir(parents=True, exist_ok=True)
    results, models = [], options.model
    for options.model in models:
        print(options.model)
        found = learn(options)
        print(f"ACC {found['ACC']} %, BWT {found['BWT']}, {found['seconds']} s")
        path = options.out / f"{options.model}_{options.seed}.json"
        path.write_text(json.dumps(found, indent=1) + "\n")
        results.append(found)
    figure(results).savefig(options.out / "continual_dendrites.png", dpi=120)
    return results


if __name__ == "__main__":
    main()
