"""The Yin-Yang task: four spike times tell a point in the symbol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.generators.base import SPLITS, Generated, Transforming
from neurosim.datasets.sets.base import check_option
from neurosim.datasets.transforms.base import need_whole
from neurosim.errors import ParameterError

BIG, SMALL = 0.5, 0.1  # radii of the symbol and of its dots
STANDARD = {"train": (5000, 42), "validation": (1000, 41), "test": (1000, 40)}


def yin_yang_class(x: float, y: float) -> int:
    """Return the class of a point of the symbol: 0 yin, 1 yang, 2 one of the dots."""
    right = np.hypot(x - 1.5 * BIG, y - BIG)
    left = np.hypot(x - 0.5 * BIG, y - BIG)
    if right < SMALL or left < SMALL:
        return 2
    # The points at exactly SMALL from a dot's centre follow the published construction.
    yang = right <= SMALL or SMALL < left <= 0.5 * BIG or (y > BIG and right > 0.5 * BIG)
    return int(yang)


def yin_yang_points(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the published points: (n, 4) features (x, y, 1 - x, 1 - y) and (n,) classes.

    Every sample draws its class, then points until one of that class comes, from
    ``numpy.random.RandomState(seed)``, as Kriener, Goltz & Petrovici (2022), "The Yin-Yang
    dataset", NICE, and their code do; seeds 42, 41 and 40 give the standard splits.
    """
    rng = np.random.RandomState(seed)
    values = np.empty((n, 4))
    classes = np.empty(n, np.int64)
    for i in range(n):
        goal = rng.randint(3)
        while True:
            x, y = rng.rand(2) * 2.0 * BIG
            if np.hypot(x - BIG, y - BIG) <= BIG and yin_yang_class(x, y) == goal:
                break
        values[i] = x, y, 1.0 - x, 1.0 - y
        classes[i] = goal
    return values, classes


@dataclass(frozen=True, kw_only=True)
class YinYang:
    """Recipe of `yin_yang`."""

    t_early: int
    t_late: int
    t_bias: int | None
    values: NDArray[np.float64] = field(repr=False)
    classes = ("yin", "yang", "dot")

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Four channels, or five with the bias."""
        return 4 + (self.t_bias is not None), 1, 1

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return the four or five spikes of a point."""
        t = np.rint(self.t_early + self.values[index] * (self.t_late - self.t_early))
        if self.t_bias is not None:
            t = np.append(t, self.t_bias)
        order = np.argsort(t, kind="stable")
        return make_events(t=t[order], x=np.arange(t.size)[order])


def yin_yang(
    n: int | None = None,
    *,
    split: str = "train",
    seed: int | None = None,
    t_early: int = 200,
    t_late: int = 29_800,
    t_bias: int | None = 200,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return the Yin-Yang data set as spike times.

    A point (x, y) of the symbol gives one spike on each of four channels: the value u of x, y, 1 -
    x, 1 - y at t_early + u (t_late - t_early).

    Parameters
    ----------
    n : int, optional
        Samples; default 5000 for training, else 1000.
    split : "train", "validation" or "test", default "train"
        Chooses the standard seed and size.
    seed : int, optional
        Default the standard one: 42, 41, 40. The first samples do not depend on n.
    t_early, t_late : int, default 200 and 29800
        Times of the values 0 and 1 [us].
    t_bias : int or None, default 200
        Time of a spike on a fifth channel [us]; None for no such channel.
    transform, target_transform : callable, optional
        Applied to events and target.

    Returns
    -------
    dataset : Generated
        Classes yin, yang, dot; ``dataset.recipe.values`` has the (n, 4) features.

    Raises
    ------
    ParameterError
        If t_late is not after t_early, or a time is negative.

    Notes
    -----
    Kriener, Goltz & Petrovici (2022), "The Yin-Yang dataset", NICE. A network must use its hidden
    layer: linear read-out reaches 64 %.
    """
    check_option("yin_yang", "split", split, SPLITS)
    default_n, default_seed = STANDARD[split]
    n, seed = n if n is not None else default_n, seed if seed is not None else default_seed
    need_whole("yin_yang", n=n)
    if not 0 <= t_early < t_late or (t_bias is not None and t_bias < 0):
        raise ParameterError(
            f"yin_yang: t_early = {t_early}, t_late = {t_late}, t_bias = {t_bias} us: times must "
            "not be negative and t_late must be after t_early."
        )
    values, classes = yin_yang_points(n, seed)
    recipe = YinYang(t_early=t_early, t_late=t_late, t_bias=t_bias, values=values)
    return Generated(
        "yin_yang", recipe, n, seed=seed, split=split, targets=classes,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip
