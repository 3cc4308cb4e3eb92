"""Latency code: the larger the value, the earlier its one spike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.encoders.base import Encoder, FloatArray, Spikes, unit_values
from neurosim.datasets.transforms.base import need_positive, need_whole
from neurosim.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class LatencyEncoder(Encoder):
    """One spike a value, at most.

    ``"rc"``: the value v is a current into a leaky capacitor, V(t) = v (1 - exp(-t/tau)), that
    fires when V reaches the threshold: t = tau ln(v / (v - threshold)). ``"linear"``: t = (1 - v)
    (n_steps - 1) dt, so that 1 fires in the first step and 0 would in the last.

    Parameters
    ----------
    n_steps : int
        Steps T.
    dt : float, default 1.0
        Length of a step [ms]. A spike at time t falls into step floor(t / dt).
    kind : "rc" or "linear", default "rc"
        Formula of the time.
    tau : float, default 5.0
        Time constant of "rc" [ms].
    threshold : float, default 0.01
        Values at or below never fire. Must be above 0 for "rc".

    Raises
    ------
    ParameterError
        If a value lies outside [0, 1] or a setting is impossible.

    Examples
    --------
    >>> LatencyEncoder(n_steps=11, kind="linear").times([1.0, 0.5, 0.0])
    array([ 0.,  5., inf])
    """

    n_steps: int
    dt: float = 1.0
    kind: str = "rc"
    tau: float = 5.0
    threshold: float = 0.01

    def __post_init__(self) -> None:
        need_whole(self, n_steps=self.n_steps)
        need_positive(self, dt=self.dt, tau=self.tau)
        if self.kind not in ("rc", "linear"):
            raise ParameterError(
                f"LatencyEncoder: kind = {self.kind!r}: 'rc' or 'linear' is expected."
            )
        if not (0.0 <= self.threshold < 1.0) or (self.kind == "rc" and self.threshold == 0.0):
            raise ParameterError(
                f"LatencyEncoder: threshold = {self.threshold!r} must be at least 0 (above 0 for "
                "'rc') and below 1."
            )

    def times(self, values: ArrayLike) -> FloatArray:
        """Return the spike time [ms] of every value; infinity where it never fires.

        Times at or after n_steps*dt fall outside the grid: they make no spike.
        """
        v = unit_values(self, values)
        times = np.full(v.shape, np.inf)
        fires = v > self.threshold
        if self.kind == "rc":
            times[fires] = self.tau * -np.log1p(-self.threshold / v[fires])
        else:
            times[fires] = (1.0 - v[fires]) * (self.n_steps - 1) * self.dt
        return times

    def __call__(self, values: ArrayLike, rng: np.random.Generator | None = None) -> Spikes:
        """Return the (T, *shape) spikes of values between 0 and 1; `rng` is not used."""
        times = self.times(values)
        # A time that is a whole number of steps may come out one rounding error below it.
        steps = np.floor(times / self.dt + 1e-9)
        grid = np.arange(self.n_steps).reshape(-1, *(1,) * times.ndim)
        fires: NDArray[np.bool_] = grid == steps
        return fires.astype(np.uint8)
