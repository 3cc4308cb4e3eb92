"""Timed motifs: classes that differ in when, not in how often, channels spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.generators.base import Generated, Transforming, item_rng
from neurosim.datasets.transforms.base import need_probability, need_whole
from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class TimedMotifs:
    """Recipe of `timed_motifs`; `templates` is (n_classes, n_channels) in steps."""

    n_classes: int
    n_channels: int
    n_steps: int
    last: int
    jitter: float
    shift: int
    drop: float
    noise: float
    step: int
    templates: NDArray[np.float64] = field(repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """One for each motif."""
        return tuple(f"motif {c}" for c in range(self.n_classes))

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """Channels, 1 and 1."""
        return self.n_channels, 1, 1

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return a motif, shifted, jittered, thinned and with noise."""
        shift = rng.integers(-self.shift, self.shift + 1)
        moved = self.templates[target] + shift + self.jitter * rng.standard_normal(self.n_channels)
        steps = np.rint(moved).astype(np.int64)
        kept = rng.random(self.n_channels) >= self.drop
        kept &= (steps >= 0) & (steps < self.n_steps)
        grid = rng.random((self.n_steps, self.n_channels)) < self.noise
        grid[steps[kept], np.flatnonzero(kept)] = True
        when, channel = np.nonzero(grid)
        return make_events(t=when * self.step, x=channel)


def timed_motifs(
    n: int | None = None,
    *,
    split: str = "train",
    seed: int = 0,
    n_classes: int = 10,
    n_channels: int = 30,
    n_steps: int = 40,
    last: int = 31,
    jitter: float = 1.0,
    shift: int = 2,
    drop: float = 0.1,
    noise: float = 0.01,
    step: int = 1000,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return the timed-motif task, on which learned delays matter.

    Each class has one template time for every channel, uniform in [1, last] steps. A recording
    shifts the whole template by -shift..shift steps, jitters every time, rounds to steps, drops
    spikes, and adds noise. All classes have the same counts, so only timing tells them apart.

    Parameters
    ----------
    n : int, optional
        Recordings; default 1200 for training, else 1000. Recording i is of class i modulo
        n_classes.
    split : "train", "validation" or "test", default "train"
        Other recordings of the same templates.
    seed : int, default 0
        Of templates and recordings.
    n_classes, n_channels, n_steps : int, default 10, 30 and 40
        Classes, channels and steps.
    last : int, default 31
        Latest template time [steps].
    jitter : float, default 1.0
        Standard deviation of each time [steps].
    shift : int, default 2
        Largest shift of the whole pattern [steps].
    drop : float, default 0.1
        Probability with which a spike is missing. Spikes moved out of the recording are, too.
    noise : float, default 0.01
        Probability of a noise spike in every step of every channel.
    step : int, default 1000
        Length of a step [us]; step k is at k*step.
    transform, target_transform : callable, optional
        Applied to events and target; ``ToFrames(sensor_size=(30, 1, 1), time_window=1000,
        t_start=0, duration=40_000)`` gives the (40, 30) array of the task.

    Returns
    -------
    dataset : Generated

    Raises
    ------
    ParameterError
        If a setting is impossible.

    Notes
    -----
    The calibration task for networks with learned delays, after Hammouamri, Khalfaoui-Hassani &
    Masquelier (2024), ICLR: a memoryless network of 30-32-32-10 neurons reaches about 94 % with
    learned and 79 % with random delays.
    """
    name = "timed_motifs"
    need_whole(name, n_classes=n_classes, n_channels=n_channels, n_steps=n_steps, step=step)
    need_probability(name, drop)
    need_probability(name, noise)
    if not (1 <= last <= n_steps and shift >= 0 and 0 <= jitter < np.inf):
        raise ParameterError(
            f"timed_motifs: last = {last} must lie in 1 to n_steps = {n_steps}, and shift = "
            f"{shift} and jitter = {jitter} must not be negative."
        )
    templates = item_rng(seed, name, "templates").uniform(1.0, last, (n_classes, n_channels))
    recipe = TimedMotifs(
        n_classes=n_classes, n_channels=n_channels, n_steps=n_steps, last=last, jitter=jitter,
        shift=shift, drop=drop, noise=noise, step=step, templates=templates,
    )  # fmt: skip
    if n is None:
        n = 1200 if split == "train" else 1000
    return Generated(
        name, recipe, n, seed=seed, split=split,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip
