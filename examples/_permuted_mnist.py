"""Permuted MNIST: one task for each permutation of the pixels of the digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurosim.datasets.sets.mnist import MNIST

#: Where the digits are if no folder is given.
BESIDE = Path(__file__).parents[2] / "shared" / "data" / "mnist"
MISSING = (
    "This example needs MNIST: give the folder with its four idx files as --mnist DIR, or let "
    "--download fetch them (11 MB) into it."
)


@dataclass(frozen=True)
class Task:
    """Images (n, 784), normalised, their pixels permuted; digits (n,)."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the training images once, in random order."""
        images, digits = self.train
        for chosen in torch.randperm(len(images), generator=generator).split(size):
            yield images[chosen], digits[chosen]


def permuted_mnist(
    folder: Path | None, *, n_tasks: int, n_train: int, n_test: int, seed: int, download: bool
) -> list[Task]:
    """Return the tasks: the same random choice of images in each, the first permuted as well."""
    folder = folder or BESIDE
    if not download and not any(folder.glob("*ubyte*")):
        raise SystemExit(f"{MISSING} There is nothing in {folder}.")
    halves = []
    generator = torch.Generator().manual_seed(seed)
    for split, n in (("train", n_train), ("test", n_test)):
        digits = MNIST(folder, split, download=download)
        chosen = torch.randperm(len(digits.images), generator=generator)[:n].numpy()
        images = torch.from_numpy(digits.images[chosen].reshape(-1, 784).astype(np.float32))
        labels = torch.from_numpy(np.asarray(digits.targets, dtype=np.int64)[chosen])
        halves.append(((images / 255 - 0.1307) / 0.3081, labels))
    tasks = []
    for _ in range(n_tasks):
        order = torch.randperm(784, generator=generator)
        train, test = ((images[:, order], digits) for images, digits in halves)
        tasks.append(Task(train, test))
    return tasks
