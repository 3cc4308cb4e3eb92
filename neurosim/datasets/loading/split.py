"""Parts of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.sets.base import Recordings
from neurosim.errors import ParameterError
from neurosim.random import stream_key


class Subset(Recordings):
    """Some recordings of a data set, in a given order.

    Parameters
    ----------
    data : Recordings
        A data set of this package, or another subset.
    indices : (n,) array_like of int
        Which of its recordings; they may count from the end and repeat.

    Attributes
    ----------
    targets : (n,) int64
    sensor_size, classes
        Those of `data`.

    Raises
    ------
    ParameterError
        If an index is not whole or there is no such recording.

    Examples
    --------
    >>> from neurosim.datasets import SpokenDigits
    >>> digits = SpokenDigits("test")
    >>> george = Subset(digits, (digits.speakers == 0).nonzero()[0])
    >>> len(george)
    50
    """

    def __init__(self, data: Recordings, indices: ArrayLike) -> None:
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise ParameterError(
                f"Subset: indices are {chosen.dtype} of shape {chosen.shape}; whole numbers in "
                "one dimension are expected (for a mask use mask.nonzero()[0])."
            )
        wrong = (chosen < -len(data)) | (chosen >= len(data))
        if wrong.any():
            raise ParameterError(
                f"Subset: index {chosen[wrong][0]}: there are {len(data)} recordings."
            )
        self.data = data
        self.indices: NDArray[np.int64] = chosen.astype(np.int64) % max(len(data), 1)
        self.targets = data.targets[self.indices]
        self.sensor_size = data.sensor_size
        self.classes = data.classes

    def get(self, index: int, rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        """Return recording `index` of the subset and its target."""
        return self.data.get(int(self.indices[self.position(index)]), rng)

    def describe(self) -> dict[str, Any]:
        """Return everything that decides what `get` returns."""
        return {"class": "Subset", "indices": self.indices, "data": self.data.describe()}

    @property
    def keyed(self) -> bool:
        """Whether randomness in `get` comes from `rng` alone, never from global generators."""
        return self.data.keyed

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {self.data!r})"


def split(
    data: Recordings,
    sizes: Sequence[float],
    *,
    seed: int = 0,
    stratify: bool = True,
    groups: ArrayLike | None = None,
) -> tuple[Subset, ...]:
    """Divide a data set at random into parts that share no recording.

    Parameters
    ----------
    data : Recordings
    sizes : sequence of float or of int
        Fractions of at most 1 in all, or numbers of recordings; what is left over is in no part.
        Fractions that add up to 1 use every recording.
    seed : int, default 0
        The same seed gives the same parts, on every platform.
    stratify : bool, default True
        Give every part its share of each class, rounded so that part sizes are right.
    groups : (n,) array_like, optional
        Such as ``data.speakers``: recordings of one group go to one part together. Whole groups
        are dealt at random to the part that lacks most, so sizes are met as well as groups allow;
        classes are not balanced then.

    Returns
    -------
    parts : tuple of Subset
        With ascending indices.

    Raises
    ------
    ParameterError
        If sizes are negative, too large or no numbers, or there are fewer groups than parts.

    Examples
    --------
    >>> from neurosim.datasets import SpokenDigits
    >>> digits = SpokenDigits("train")
    >>> train, validation = split(digits, [0.9, 0.1])
    >>> len(train), len(validation)
    (2430, 270)
    >>> others, unheard = split(digits, [5 / 6, 1 / 6], groups=digits.speakers)
    >>> len(others), len(unheard)
    (2250, 450)
    """
    counts = _counts(sizes, len(data))
    if groups is not None:
        names = np.asarray(groups)
        if names.shape != (len(data),):
            raise ParameterError(
                f"split: groups have shape {names.shape}; one group for each of the {len(data)} "
                "recordings is needed."
            )
        part = _deal_groups(names, counts, seed)
    else:
        part = _deal(data.targets, counts, seed, stratify)
    return tuple(Subset(data, np.flatnonzero(part == k)) for k in range(len(counts)))


def _counts(sizes: Sequence[float], n: int) -> list[int]:
    """Return how many recordings each part gets."""
    values = np.asarray(sizes)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iuf":
        raise ParameterError(
            f"split: sizes = {sizes!r}: a list with the size of every part is expected, such as "
            "[0.9, 0.1] or [2000, 700]."
        )
    if not (values >= 0).all():
        raise ParameterError(f"split: sizes = {sizes!r}: none may be negative.")
    if values.dtype.kind == "f":
        if values.sum() > 1.0 + 1e-9:
            raise ParameterError(
                f"split: the fractions {sizes!r} add up to {values.sum():g}, more than 1. Numbers "
                "of recordings must be whole numbers."
            )
        return [int(c) for c in np.diff(np.rint(np.cumsum([0.0, *values]) * n))]
    if values.sum() > n:
        raise ParameterError(f"split: {values.sum()} recordings asked for, there are {n}.")
    return [int(c) for c in values]


def _shuffled(n: int, seed: int, purpose: str) -> NDArray[np.int64]:
    """Return 0 .. n - 1 in an order that depends on seed and purpose alone."""
    low, high = stream_key(seed, "split", purpose)
    bits = np.random.Philox(key=low | high << 32).random_raw(n)
    return np.argsort(bits, kind="stable")


def _deal(
    targets: NDArray[np.int64], counts: list[int], seed: int, stratify: bool
) -> NDArray[np.int64]:
    """Return the part of every recording, -1 for none."""
    order = _shuffled(targets.size, seed, "recordings")
    if stratify:
        # Each class is spread evenly over [0, 1): its k-th of m recordings lies at (k + 1/2) / m.
        # Consecutive stretches of that line then hold every class in proportion.
        labels = targets[order]
        place = np.empty(labels.size)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            place[own] = (np.arange(own.size) + 0.5) / own.size
        order = order[np.argsort(place, kind="stable")]
    part = np.full(targets.size, -1)
    for k, (first, count) in enumerate(zip(np.cumsum([0, *counts]), counts, strict=False)):
        part[order[first : first + count]] = k
    return part


def _deal_groups(groups: NDArray[Any], counts: list[int], seed: int) -> NDArray[np.int64]:
    """Return the part of every recording, whole groups together, -1 for none."""
    names, group = np.unique(groups, return_inverse=True)
    wanted = sum(count > 0 for count in counts)
    if names.size < wanted:
        raise ParameterError(f"split: {names.size} groups cannot be dealt to {wanted} parts.")
    sizes = np.bincount(group)
    lack = np.array([*counts, groups.size - sum(counts)], np.float64)  # the last: in no part
    part_of = np.full(names.size, -1)
    order = _shuffled(names.size, seed, "groups")
    for g in order[np.argsort(-sizes[order], kind="stable")]:
        part_of[g] = int(np.argmax(lack))
        lack[part_of[g]] -= sizes[g]
    part_of[part_of == len(counts)] = -1
    return part_of[group]
