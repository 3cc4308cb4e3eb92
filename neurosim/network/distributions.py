"""Distributions of weights, delays, heterogeneous parameters and initial values.

A draw is the inverse cumulative distribution of one 32-bit random word, so that any engine can
make any draw on its own. Each distribution lowers to a kind and four numbers (`Lowered`), which
are all that an engine needs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim import random
from neurosim.errors import ParameterError, unknown_name

CONSTANT, UNIFORM, NORMAL, LOGNORMAL, EXPONENTIAL = range(5)


class Lowered(NamedTuple):
    """A distribution as an engine sees it.

    Attributes
    ----------
    kind : int
        ``CONSTANT``, ``UNIFORM``, ``NORMAL``, ``LOGNORMAL`` or ``EXPONENTIAL``.
    p0, p1, p2, p3 : float
        ``CONSTANT``: value. ``UNIFORM``: low, width. ``NORMAL``: mean, std, lowest probability,
        width of the probabilities. ``LOGNORMAL``: mu, sigma. ``EXPONENTIAL``: mean.
    """

    kind: int
    p0: float
    p1: float = 0.0
    p2: float = 0.0
    p3: float = 0.0


def draw(lowered: Lowered, word: ArrayLike) -> NDArray[np.float64]:
    """Return the value of a lowered distribution for each random word.

    Parameters
    ----------
    lowered : Lowered
        What to draw from.
    word : array_like of uint32
        Random words.

    Returns
    -------
    values : ndarray of float64
        One value a word.
    """
    kind, p0, p1, p2, p3 = lowered
    u = random.uniform(word)
    if kind == CONSTANT:
        return np.full(u.shape, p0)
    if kind == UNIFORM:
        return p0 + p1 * u
    if kind == NORMAL:
        return p0 + p1 * random.normal_ppf(p2 + p3 * u)
    if kind == LOGNORMAL:
        return random.exp(p0 + p1 * random.normal_ppf(u))
    return -p0 * random.log(1.0 - u)


@dataclass(frozen=True)
class Distribution(ABC):
    """Base class of the distributions; use `Normal`, `Uniform`, `LogNormal` or `Exponential`."""

    @abstractmethod
    def lower(self) -> Lowered:
        """Return kind and numbers as an engine sees them."""

    @property
    @abstractmethod
    def mean_value(self) -> float:
        """Expected value."""

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Lowest and highest value that may be drawn."""

    def draw(self, word: ArrayLike) -> NDArray[np.float64]:
        """Return one value for each 32-bit random word, by the inverse cumulative distribution."""
        return draw(self.lower(), word)

    def to_dict(self) -> dict[str, Any]:
        """Return the distribution as plain data (see `distribution_from_dict`)."""
        return {"distribution": type(self).__name__} | {
            f.name: getattr(self, f.name) for f in fields(self)
        }

    def _require(self, condition: bool, name: str, expected: str) -> None:
        if not condition:
            value = getattr(self, name)
            raise ParameterError(f"{type(self).__name__}: {name} = {value!r}; {expected}.")

    def _to_floats(self, *infinite: str) -> None:
        """Convert every field to float; only those named in `infinite` may be infinite."""
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = math.nan
            allowed = math.isfinite(number) or (field.name in infinite and not math.isnan(number))
            self._require(
                allowed, field.name, "a finite number is needed, in the unit of what is drawn"
            )
            object.__setattr__(self, field.name, number)


@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform distribution between `low` and `high`.

    Parameters
    ----------
    low, high : float
        Bounds, ``low <= high``, in the unit of what is drawn.

    Raises
    ------
    ParameterError
        If a bound is not finite or `high` is below `low`.

    Examples
    --------
    >>> Uniform(0.5, 3.0).draw(2**31).round(6)
    np.float64(1.75)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        self._to_floats()
        self._require(self.high >= self.low, "high", f"it must not be below low = {self.low:g}")

    def lower(self) -> Lowered:
        """Return kind and numbers as an engine sees them."""
        return Lowered(UNIFORM, self.low, self.high - self.low)

    @property
    def mean_value(self) -> float:
        """Expected value."""
        return 0.5 * (self.low + self.high)

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value that may be drawn."""
        return self.low, self.high


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal distribution, optionally truncated to ``[low, high]``.

    Truncation is exact: the probability is drawn between those of the two bounds. It neither
    piles values up at a bound, as clipping would, nor needs redraws.

    Parameters
    ----------
    mean : float
        Mean before truncation.
    std : float
        Standard deviation before truncation, >= 0.
    low, high : float
        Bounds; infinite for none.

    Raises
    ------
    ParameterError
        If `std` is negative, a number is not finite, or nothing lies between the bounds.

    Examples
    --------
    >>> bool((Normal(1.5, 0.75, low=0.1).draw(np.arange(1000, dtype=np.uint32)) >= 0.1).all())
    True
    """

    mean: float
    std: float
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        self._to_floats("low", "high")
        self._require(self.std >= 0, "std", "a standard deviation must be >= 0")
        self._require(self.high > self.low, "high", f"it must be above low = {self.low:g}")
        if self.std == 0:
            inside = self.low <= self.mean <= self.high
            self._require(inside, "mean", "with std = 0 it must lie between low and high")
        elif self.lower().p3 <= 0:
            raise ParameterError(
                f"{self!r}: (nearly) no part of the distribution lies between low and high; "
                "move the bounds closer to the mean."
            )

    def lower(self) -> Lowered:
        """Return kind and numbers as an engine sees them."""
        if self.std == 0:
            return Lowered(CONSTANT, self.mean)
        low = (self.low - self.mean) / self.std
        high = (self.high - self.mean) / self.std
        if low > 0:
            # Mirrored, because probabilities near 0 have more digits than those near 1.
            first, last = random.normal_cdf(-high), random.normal_cdf(-low)
            return Lowered(NORMAL, self.mean, -self.std, first, last - first)
        first, last = random.normal_cdf(low), random.normal_cdf(high)
        return Lowered(NORMAL, self.mean, self.std, first, last - first)

    @property
    def mean_value(self) -> float:
        """Expected value (of the truncated distribution)."""
        if self.std == 0:
            return self.mean
        a, b = (self.low - self.mean) / self.std, (self.high - self.mean) / self.std
        density = (math.exp(-0.5 * a * a) - math.exp(-0.5 * b * b)) / math.sqrt(2 * math.pi)
        return self.mean + self.std * density / self.lower().p3

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value that may be drawn."""
        return (self.mean, self.mean) if self.std == 0 else (self.low, self.high)


@dataclass(frozen=True)
class LogNormal(Distribution):
    """Log-normal distribution: the exponential of a normal variable.

    Parameters
    ----------
    mu, sigma : float
        Mean and standard deviation of the logarithm; ``abs(mu) + 7 sigma <= 700``.

    Raises
    ------
    ParameterError
        If `sigma` is negative, or draws would leave the range of a float64.

    Examples
    --------
    >>> round(LogNormal(mu=0.0, sigma=1.0).mean_value, 6)
    1.648721
    """

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        self._to_floats()
        self._require(self.sigma >= 0, "sigma", "a standard deviation must be >= 0")
        # A 32-bit word reaches 6.4 standard deviations.
        self._require(
            abs(self.mu) + 7 * self.sigma <= 700, "mu", "abs(mu) + 7 sigma must not exceed 700"
        )

    def lower(self) -> Lowered:
        """Return kind and numbers as an engine sees them."""
        return Lowered(LOGNORMAL, self.mu, self.sigma)

    @property
    def mean_value(self) -> float:
        """Expected value."""
        return math.exp(self.mu + 0.5 * self.sigma**2)

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value that may be drawn."""
        return 0.0, math.inf


@dataclass(frozen=True)
class Exponential(Distribution):
    """Exponential distribution.

    Parameters
    ----------
    mean : float
        Mean; the sign is that of all values, so ``Exponential(-20.0)`` draws inhibitory weights.

    Examples
    --------
    >>> Exponential(20.0).mean_value
    20.0
    """

    mean: float

    def __post_init__(self) -> None:
        self._to_floats()

    def lower(self) -> Lowered:
        """Return kind and numbers as an engine sees them."""
        return Lowered(EXPONENTIAL, self.mean)

    @property
    def mean_value(self) -> float:
        """Expected value."""
        return self.mean

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value that may be drawn."""
        return (0.0, math.inf) if self.mean >= 0 else (-math.inf, 0.0)


DISTRIBUTIONS: dict[str, type[Distribution]] = {
    d.__name__: d for d in (Uniform, Normal, LogNormal, Exponential)
}


def distribution_from_dict(data: dict[str, Any]) -> Distribution:
    """Return the distribution that `Distribution.to_dict` described.

    Examples
    --------
    >>> distribution_from_dict(Uniform(0.0, 1.0).to_dict())
    Uniform(low=0.0, high=1.0)
    """
    name = data["distribution"]
    if name not in DISTRIBUTIONS:
        raise unknown_name("distribution", name, DISTRIBUTIONS, "neurosim")
    return DISTRIBUTIONS[name](**{k: v for k, v in data.items() if k != "distribution"})
