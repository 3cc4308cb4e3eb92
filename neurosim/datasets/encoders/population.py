"""Population code: a value excites the neurons whose preferred value is near."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from neurosim.datasets.encoders.base import Encoder, FloatArray, Spikes
from neurosim.datasets.encoders.latency import LatencyEncoder
from neurosim.datasets.transforms.base import need_positive, need_whole
from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class PopulationEncoder(Encoder):
    """Gaussian receptive fields that overlap, followed by a code for their activation.

    Neuron i = 1..n has its centre at low + (2 i - 3)/2 * (high - low)/(n - 2) and the width (high -
    low)/(beta (n - 2)) (Bohte, Kok & La Poutre 2002, Neurocomputing 48:17, section 5.1). Its
    activation exp(-(v - centre)^2 / (2 width^2)) is then encoded.

    Parameters
    ----------
    n_neurons : int
        Neurons for each value; at least 3.
    low, high : float
        Range of the values.
    beta : float, default 1.5
        The larger, the narrower the fields.
    code : Encoder, default LatencyEncoder(n_steps=11, kind="linear", threshold=0.1)
        Turns activations into spikes. The default is that of the paper: full activation fires at
        0, weaker ones later, those at or below 0.1 not at all.

    Raises
    ------
    ParameterError
        If a value lies outside [low, high] or a setting is impossible.

    Examples
    --------
    >>> encoder = PopulationEncoder(n_neurons=4, low=0.0, high=1.0)
    >>> encoder.centres
    array([-0.25,  0.25,  0.75,  1.25])
    >>> encoder([0.25, 0.9]).shape
    (11, 2, 4)
    """

    n_neurons: int
    low: float
    high: float
    beta: float = 1.5
    code: Encoder = field(
        default_factory=lambda: LatencyEncoder(n_steps=11, kind="linear", threshold=0.1)
    )

    def __post_init__(self) -> None:
        need_whole(self, n_neurons=self.n_neurons)
        need_positive(self, beta=self.beta, range=self.high - self.low)
        if self.n_neurons < 3:
            raise ParameterError(
                f"PopulationEncoder: n_neurons = {self.n_neurons}: at least 3 are needed to share "
                "a range."
            )

    @property
    def centres(self) -> FloatArray:
        """Preferred values, (n_neurons,)."""
        i = np.arange(1, self.n_neurons + 1)
        return self.low + (2 * i - 3) / 2 * (self.high - self.low) / (self.n_neurons - 2)

    @property
    def width(self) -> float:
        """Standard deviation of the receptive fields."""
        return (self.high - self.low) / (self.beta * (self.n_neurons - 2))

    def activations(self, values: ArrayLike) -> FloatArray:
        """Return the (*shape, n_neurons) activations between 0 and 1."""
        v = np.asarray(values, dtype=np.float64)
        bad = ~((v >= self.low) & (v <= self.high))
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ParameterError(
                f"PopulationEncoder: value {v[where]} at {where} lies outside {self.low} to "
                f"{self.high}: widen low and high or scale the values."
            )
        distance: FloatArray = (v[..., None] - self.centres) / self.width
        return np.exp(-0.5 * distance**2)

    def __call__(self, values: ArrayLike, rng: np.random.Generator | None = None) -> Spikes:
        """Return the (T, *shape, n_neurons) spikes."""
        return self.code(self.activations(values), rng)
