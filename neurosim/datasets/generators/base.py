"""What all generated data sets share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.formats.structured import AUDIO, VISION, Events
from neurosim.datasets.sets.base import Dataset, check_option
from neurosim.datasets.transforms.base import need_whole
from neurosim.random import stream_key

SPLITS = ("train", "validation", "test")

Transforming = Callable[..., Any] | None


class Recipe(Protocol):
    """How to make one recording; a frozen dataclass."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Width, height and polarities; ``(channels, 1, 1)`` for audio."""

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return recording `index`, which is of class `target`."""


def item_rng(seed: int, *parts: str) -> np.random.Generator:
    """Return the generator of a named stream, which is the same in any order and process.

    Parameters
    ----------
    seed : int
        Any integer.
    *parts : str
        What the numbers are for.
    """
    low, high = stream_key(seed, *parts)
    return np.random.Generator(np.random.Philox(key=low | high << 32))


class Generated(Dataset):
    """Recordings made when asked for, each a function of (seed, split, index) alone.

    Recording i is the same whatever was read before, in any process, and however many the set
    has. Splits share what defines the classes (patterns, templates, manifolds) and nothing else.

    Attributes
    ----------
    recipe : object
        The settings, and what was drawn for the classes.
    targets, classes, sensor_size, dtype, ordering, transform, target_transform
        As in every data set.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        n: int,
        *,
        seed: int,
        split: str,
        transform: Transforming = None,
        target_transform: Callable[[int], Any] | None = None,
        targets: ArrayLike | None = None,
    ) -> None:
        need_whole(name, n=n)
        check_option(name, "split", split, SPLITS)
        self.recipe = recipe
        self._stream = (name, split)
        self._seed = seed
        super().__init__(
            np.arange(n) % len(recipe.classes) if targets is None else targets,
            sensor_size=recipe.sensor_size,
            classes=recipe.classes,
            transform=transform,
            target_transform=target_transform,
            options={"generator": name, "seed": seed, "split": split, **settings(recipe)},
            files=(),
        )

    def read(self, index: int) -> Events:
        """Return recording `index`, 0 <= index < len, without transforms."""
        rng = item_rng(self._seed, *self._stream, str(index))
        return self.recipe.make(index, int(self.targets[index]), rng)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an event."""
        return AUDIO if self.sensor_size[1] == 1 else VISION


def settings(recipe: object) -> dict[str, Any]:
    """Return the plain settings of a recipe; arrays are drawn from them and the seed."""
    if not is_dataclass(recipe):
        return {}
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.repr}
    return {k: v for k, v in values.items() if not isinstance(v, np.ndarray)}


def poisson_spikes(
    rng: np.random.Generator, n_channels: int, rate: float, duration: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return times [us] in [0, duration) and channels of independent Poisson trains, unordered.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_channels : int
    rate : float
        Of each channel [Hz].
    duration : int
        Length [us].
    """
    count = int(rng.poisson(rate * duration * 1e-6 * n_channels))
    return rng.integers(duration, size=count), rng.integers(n_channels, size=count)
