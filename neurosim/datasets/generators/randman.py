"""Random smooth manifolds: each class is a surface of spike times."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats.structured import Events, make_events
from neurosim.datasets.generators.base import Generated, Transforming, item_rng
from neurosim.datasets.transforms.base import need_positive, need_whole

PRECISION = 1e-3  # the series ends where its coefficients fall below
GRID_POINTS = 8  # for each period of the fastest term


def factors(
    points: NDArray[np.float64], theta: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """Return the (n, n_units, dim) factors of a random manifold at (n, dim) points of its surface.

    f_i(x) = prod_j sum_k k^-alpha A_ijk sin(2 pi (k x_j B_ijk + C_ijk)), k = 1, 2, ...; the factors
    are the sums.

    Parameters
    ----------
    points : (n, dim) float64
        Between 0 and 1.
    theta : (3, n_units, dim, cutoff) float64
        A, B and C, uniform between 0 and 1.
    alpha : float
        Exponent; the larger, the smoother.
    """
    amplitude, frequency, phase = theta
    k = np.arange(1, theta.shape[-1] + 1)
    waves = np.sin(2.0 * np.pi * (k * points[:, None, :, None] * frequency + phase))
    values: NDArray[np.float64] = (waves * amplitude * k**-alpha).sum(-1)
    return values


def manifold(
    points: NDArray[np.float64], theta: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """Return the (n, n_units) values of a random manifold: the product of its `factors`."""
    return np.asarray(factors(points, theta, alpha).prod(-1), np.float64)


def extremes(theta: NDArray[np.float64], alpha: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return smallest and largest value of every unit, (n_units,) each, over the whole manifold.

    Each factor depends on its own coordinate, so the range of the product is that of the product
    of the ranges; those are found on a grid.
    """
    _, n_units, dim, cutoff = theta.shape
    grid = np.linspace(0.0, 1.0, max(GRID_POINTS * cutoff, 256) + 1)
    low, high = np.ones((2, n_units))
    for unit in range(n_units):  # one at a time: bounds the memory
        values = factors(np.repeat(grid[:, None], dim, 1), theta[:, unit : unit + 1], alpha)[:, 0]
        for least, most in zip(values.min(0), values.max(0), strict=True):
            ends = np.outer([low[unit], high[unit]], [least, most])
            low[unit], high[unit] = ends.min(), ends.max()
    return low, high


@dataclass(frozen=True, kw_only=True)
class RandomManifolds:
    """Recipe of `randman`."""

    n_classes: int
    n_units: int
    dim: int
    alpha: float
    duration: int
    theta: NDArray[np.float64] = field(repr=False)
    low: NDArray[np.float64] = field(repr=False)
    high: NDArray[np.float64] = field(repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """One for each manifold."""
        return tuple(f"manifold {c}" for c in range(self.n_classes))

    @property
    def sensor_size(self) -> tuple[int, int, int]:
        """One channel for each unit."""
        return self.n_units, 1, 1

    def times(self, points: NDArray[np.float64], target: int) -> NDArray[np.float64]:
        """Return the (n, n_units) times [us] of (n, dim) points of a manifold."""
        values = manifold(points, self.theta[target], self.alpha)
        scaled = (values - self.low[target]) / (self.high[target] - self.low[target])
        return np.asarray(np.clip(scaled, 0.0, 1.0) * (self.duration - 1), np.float64)

    def make(self, index: int, target: int, rng: np.random.Generator) -> Events:
        """Return the spikes of a random point."""
        t = np.rint(self.times(rng.random((1, self.dim)), target)[0]).astype(np.int64)
        order = np.argsort(t, kind="stable")
        return make_events(t=t[order], x=order)


def randman(
    n: int = 1000,
    *,
    split: str = "train",
    seed: int = 0,
    n_classes: int = 10,
    n_units: int = 100,
    dim: int = 2,
    alpha: float = 2.0,
    duration: int = 100_000,
    transform: Transforming = None,
    target_transform: Callable[[int], Any] | None = None,
) -> Generated:
    """Return the random-manifold classification task.

    Every class is a smooth random function from a hypercube of `dim` dimensions to one spike time
    for each unit; a recording is a random point of the surface. All units spike once, so only the
    times carry the class.

    Parameters
    ----------
    n : int, default 1000
        Recordings; recording i is of class i modulo n_classes.
    split : "train", "validation" or "test", default "train"
        Other points of the same manifolds.
    seed : int, default 0
        Of manifolds and points.
    n_classes, n_units, dim : int, default 10, 100 and 2
        Manifolds, channels, and dimensions of a manifold.
    alpha : float, default 2.0
        Smoothness: coefficients of frequency k fall as k^-alpha, up to 1e-3.
    duration : int, default 100000
        Spikes lie in [0, duration) [us].
    transform, target_transform : callable, optional
        Applied to events and target.

    Returns
    -------
    dataset : Generated

    Raises
    ------
    ParameterError
        If a setting is impossible.

    Notes
    -----
    Zenke & Vogels (2021), Neural Computation 33:899. The values of a unit are scaled so that
    their extremes over the manifold become 0 and `duration`.
    """
    need_whole("randman", n_classes=n_classes, n_units=n_units, dim=dim, duration=duration)
    need_positive("randman", alpha=alpha)
    rng = item_rng(seed, "randman", "manifolds")
    cutoff = max(1, math.ceil(PRECISION ** (-1.0 / alpha)))
    theta = rng.random((n_classes, 3, n_units, dim, cutoff))
    ranges = np.array([extremes(one, alpha) for one in theta])
    recipe = RandomManifolds(
        n_classes=n_classes, n_units=n_units, dim=dim, alpha=alpha, duration=duration,
        theta=theta, low=ranges[:, 0], high=ranges[:, 1],
    )  # fmt: skip
    return Generated(
        "randman", recipe, n, seed=seed, split=split,
        transform=transform, target_transform=target_transform,
    )  # fmt: skip
