"""Rate code: the larger the value, the more spikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from neurosim.datasets.encoders.base import Encoder, Spikes, unit_values
from neurosim.datasets.transforms.base import generator, need_positive, need_whole
from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class RateEncoder(Encoder):
    """Spikes drawn independently in every step, with a rate proportional to the value.

    Parameters
    ----------
    n_steps : int
        Steps T.
    max_rate : float, default 100.0
        Rate of the value 1 [Hz].
    dt : float, default 1.0
        Length of a step [ms].
    kind : "bernoulli" or "poisson", default "bernoulli"
        At most one spike a step, with probability value*max_rate*dt; or a Poisson count of that
        mean.
    seed : int, default 0
        Used when no ``rng`` is passed.

    Raises
    ------
    ParameterError
        If a value lies outside [0, 1], a setting is impossible or max_rate*dt > 1 with Bernoulli.

    Examples
    --------
    >>> RateEncoder(n_steps=1000, max_rate=100.0)([0.0, 1.0]).sum(0).tolist()
    [0, 98]
    """

    n_steps: int
    max_rate: float = 100.0
    dt: float = 1.0
    kind: str = "bernoulli"
    seed: int = 0

    def __post_init__(self) -> None:
        need_whole(self, n_steps=self.n_steps)
        need_positive(self, max_rate=self.max_rate, dt=self.dt)
        if self.kind not in ("bernoulli", "poisson"):
            raise ParameterError(
                f"RateEncoder: kind = {self.kind!r}: 'bernoulli' or 'poisson' is expected."
            )
        if self.kind == "bernoulli" and self._mean() > 1.0:
            raise ParameterError(
                f"RateEncoder: {self.max_rate} Hz are {self._mean()} spikes in a step of {self.dt} "
                "ms, but Bernoulli spikes are at most one: lower max_rate or dt, or kind='poisson'."
            )

    def _mean(self) -> float:
        return self.max_rate * self.dt / 1000.0

    def __call__(self, values: ArrayLike, rng: np.random.Generator | None = None) -> Spikes:
        """Return the (T, *shape) spikes of values between 0 and 1."""
        array = unit_values(self, values)
        rng = generator(self, array, self.seed, rng)
        shape = (self.n_steps, *array.shape)
        mean = array * self._mean()
        if self.kind == "bernoulli":
            return (rng.random(shape) < mean).astype(np.uint8)
        counts = rng.poisson(mean, shape)
        if counts.size and counts.max() > 255:
            raise ParameterError(
                f"RateEncoder: {counts.max()} spikes in a step of {self.dt} ms: lower max_rate "
                "or dt."
            )
        return counts.astype(np.uint8)
