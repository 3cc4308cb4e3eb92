"""The tempotron: a neuron that learns to fire at some spike patterns and not at others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ParameterError
from neurosim.learning.patterns import SpikePatterns
from neurosim.models import iaf_psc_exp, spike_source
from neurosim.network import Explicit, Network
from neurosim.random import stream_key
from neurosim.results._arrays import FloatArray, IntArray, float_vector

ONSET = 1.0  # ms; a network's spikes lie after 0, those of a pattern may begin there
DELAY = 1.0  # ms


class Maximum(NamedTuple):
    """The largest potential of each pattern, when it is reached, and the first crossing [ms].

    All (n_patterns,) float64; `crossing` is NaN where the threshold is not reached.
    """

    potential: FloatArray
    time: FloatArray
    crossing: FloatArray


class TempotronFit(NamedTuple):
    """What `Tempotron.fit` found.

    `tempotron` has the learned weights; `errors` (n_passes,) int64 counts wrong decisions in each
    pass, made while learning. `converged` says whether the last pass had none.
    """

    tempotron: Tempotron
    errors: IntArray
    converged: bool


@dataclass(frozen=True, kw_only=True)
class Tempotron:
    """A leaky neuron that decides by whether its potential reaches the threshold.

    ``V(t) = sum_i w_i sum_(t_i < t) K(t - t_i)`` with ``K(x) = V0 (exp(-x/tau) - exp(-x/tau_s))``,
    V0 making the largest value of K one.

    Parameters
    ----------
    weights : (n_afferents,) array_like
        Peaks of the synaptic potentials, in the unit of the threshold.
    tau : float, default 15.0
        Membrane time constant [ms].
    tau_s : float, optional
        Synaptic time constant [ms], default tau/4.
    threshold : float, default 1.0
        Above rest.

    Raises
    ------
    ParameterError
        If not 0 < tau_s < tau, the threshold is not > 0, or a weight is not finite.

    Notes
    -----
    Guetig & Sompolinsky (2006), Nat. Neurosci. 9:420. Between two events the maximum of V has a
    closed form, so no maximum and no crossing is missed; `grid` restricts V to multiples of a step.

    Examples
    --------
    >>> cell = Tempotron(weights=[0.6, 0.6])
    >>> patterns = SpikePatterns.from_latencies([[10.0, 11.0], [10.0, 90.0]], 100.0)
    >>> cell.predict(patterns)
    array([ True, False])
    """

    weights: FloatArray
    tau: float = 15.0
    tau_s: float = 0.0
    threshold: float = 1.0

    def __post_init__(self) -> None:
        if self.tau_s == 0.0:
            object.__setattr__(self, "tau_s", self.tau / 4)
        if not 0 < self.tau_s < self.tau < np.inf:
            raise ParameterError(
                f"Tempotron: tau = {self.tau} ms and tau_s = {self.tau_s} ms: 0 < tau_s < tau is "
                "expected."
            )
        if not 0 < self.threshold < np.inf:
            raise ParameterError(f"Tempotron: threshold = {self.threshold} must be > 0.")
        object.__setattr__(self, "weights", float_vector(self.weights, "Tempotron: weights"))

    @property
    def peak_time(self) -> float:
        """Time from a spike to the peak of its potential [ms]."""
        return self.tau * self.tau_s / (self.tau - self.tau_s) * math.log(self.tau / self.tau_s)

    @property
    def V0(self) -> float:
        """The factor that makes the peak of the kernel one."""
        ratio = self.tau / self.tau_s
        return float(ratio ** (ratio / (ratio - 1)) / (ratio - 1))

    def kernel(self, x: ArrayLike) -> FloatArray:
        """Return the potential of a spike of weight 1 after `x` ms; 0 before it."""
        late = np.maximum(np.asarray(x, np.float64), 0.0)
        return np.asarray(self.V0 * (np.exp(-late / self.tau) - np.exp(-late / self.tau_s)))

    def potential(self, patterns: SpikePatterns, pattern: int, times: ArrayLike) -> FloatArray:
        """Return V at `times` [ms] of one pattern, without threshold or shunting."""
        self._check(patterns)
        when, ids = patterns[pattern]
        return np.asarray(self.kernel(np.asarray(times)[..., None] - when) @ self.weights[ids])

    def maximum(
        self, patterns: SpikePatterns, *, grid: float | None = None, shunting: bool = False
    ) -> Maximum:
        """Return where the potential is largest.

        Parameters
        ----------
        patterns : SpikePatterns
        grid : float, optional
            Look at the potential at 0, grid, 2 grid, ... [ms] only. Without it: everywhere.
        shunting : bool, default False
            Whether spikes after the first crossing are lost. The potential then goes on to the
            peak that earlier spikes bring.

        Returns
        -------
        Maximum
            Where V never exceeds its resting value 0, the maximum is 0 at time 0.

        Raises
        ------
        ParameterError
            If the patterns have another number of afferents, or the grid is not > 0.
        """
        self._check(patterns)
        from neurosim.learning.kernels import maxima  # compiled code is loaded by those who use it

        return Maximum(
            *maxima(
                patterns.times, patterns.ids, patterns.start, self.weights,
                *self._constants(patterns, grid), shunting,
            )
        )  # fmt: skip

    def predict(self, patterns: SpikePatterns, *, grid: float | None = None) -> NDArray[np.bool_]:
        """Return whether the neuron fires at each pattern, (n_patterns,)."""
        return np.asarray(self.maximum(patterns, grid=grid).potential >= self.threshold)

    @classmethod
    def fit(
        cls,
        patterns: SpikePatterns,
        labels: ArrayLike,
        *,
        rate: float = 3e-3,
        momentum: float = 0.9,
        passes: int = 200,
        grid: float | None = None,
        shunting: bool = True,
        shuffle: bool = True,
        initial: ArrayLike | None = None,
        tau: float = 15.0,
        tau_s: float = 0.0,
        threshold: float = 1.0,
        seed: int = 0,
    ) -> TempotronFit:
        """Learn to fire at the patterns with label True and not at the others.

        Parameters
        ----------
        patterns : SpikePatterns
        labels : (n_patterns,) array_like of bool
        rate : float, default 3e-3
            Change of a weight at an error, at the peak of the kernel (the paper's lambda).
        momentum : float, default 0.9
            Part of the last change that is made again, at errors.
        passes : int, default 200
            At most; learning ends after a pass without error.
        grid, shunting
            As for `maximum`.
        shuffle : bool, default True
            Whether each pass has its own random order.
        initial : (n,) array_like, optional
            First weights. Without it normal, mean 0, standard deviation a tenth of the threshold.
        tau, tau_s, threshold
            As for the class.
        seed : int, default 0
            Of orders and first weights.

        Returns
        -------
        TempotronFit

        Raises
        ------
        ParameterError
            If a setting is impossible or lengths differ.

        Notes
        -----
        At an error, ``dw_i = +-rate sum_(t_i < t_max) K(t_max - t_i) + momentum dw_i(last)``, t_max
        being the time of the largest potential: Guetig & Sompolinsky (2006), eq. 2 and methods.
        """
        wanted = np.asarray(labels)
        if wanted.shape != (len(patterns),) or wanted.dtype.kind != "b":
            raise ParameterError(
                f"Tempotron.fit: labels of type {wanted.dtype} and shape {wanted.shape}: one bool "
                f"for each of {len(patterns)} patterns is expected."
            )
        if not (0 < rate < np.inf and 0 <= momentum < 1 and passes >= 1):
            raise ParameterError(
                f"Tempotron.fit: rate = {rate} must be > 0, momentum = {momentum} in [0, 1), and "
                f"passes = {passes} at least 1."
            )
        low, high = stream_key(seed, "Tempotron.fit")
        rng = np.random.Generator(np.random.Philox(key=low | high << 32))
        first = 0.1 * threshold * rng.standard_normal(patterns.n) if initial is None else initial
        cell = cls(weights=np.array(first), tau=tau, tau_s=tau_s, threshold=threshold)
        cell._check(patterns)
        from neurosim.learning.kernels import one_pass

        weights, last, errors = cell.weights.copy(), np.zeros(patterns.n), []
        order = np.arange(len(patterns))
        constants = cell._constants(patterns, grid)
        for _ in range(passes):
            if shuffle:
                rng.shuffle(order)
            errors.append(
                one_pass(
                    order, patterns.times, patterns.ids, patterns.start, wanted, weights, last,
                    rate, momentum, *constants, shunting,
                )
            )  # fmt: skip
            if errors[-1] == 0:
                break
        found = np.array(errors, np.int64)
        return TempotronFit(replace(cell, weights=weights), found, bool(found[-1] == 0))

    def neuron_model(self, *, t_ref: float = 2.0, C_m: float = 250.0) -> Any:
        """Return a built-in model, `iaf_psc_exp`, that fires exactly when V reaches the threshold.

        Its synaptic current has the time constant tau_s, so that the membrane adds up V; one mV is
        one unit of the weights. After a spike it is reset and may fire again after `t_ref` [ms].
        """
        return iaf_psc_exp(
            tau_m=self.tau, tau_syn_ex=self.tau_s, tau_syn_in=self.tau_s, C_m=C_m, E_L=0.0,
            V_reset=0.0, V_th=self.threshold, t_ref=t_ref,
        )  # fmt: skip

    def currents(self, C_m: float = 250.0) -> FloatArray:
        """Return the weights as jumps of the synaptic current of `neuron_model`, (n,) [pA].

        A jump J moves the membrane by ``J/C_m tau tau_s/(tau - tau_s)`` times the difference of
        the two exponentials.
        """
        response = self.tau * self.tau_s / (self.tau - self.tau_s) / C_m
        return np.asarray(self.weights * self.V0 / response)

    def to_network(self, patterns: SpikePatterns, *, round_times: bool = False) -> Network:
        """Return a network in which each pattern is shown to a neuron of its own.

        Parameters
        ----------
        patterns : SpikePatterns
            Time t of a pattern reaches the neurons at t + 2 ms: run the network for
            ``patterns.duration + 2.0`` ms.
        round_times : bool, default False
            For runs with a step: round spike times to it. Without a grid (``dt=None``) they stay.

        Returns
        -------
        network : Network
            Populations ``"afferents"``, of all patterns one after another, and ``"tempotron"``, a
            neuron for each pattern, which fires once or not at all.

        Raises
        ------
        ParameterError
            If the patterns have another number of afferents.
        """
        self._check(patterns)
        net = Network()
        count = len(patterns)
        pattern = np.repeat(np.arange(count), np.diff(patterns.start))
        source = spike_source(
            times=ONSET + patterns.times, ids=pattern * patterns.n + patterns.ids,
            round_times=round_times,
        )  # fmt: skip
        afferents = net.population(count * patterns.n, source, name="afferents")
        model = self.neuron_model(t_ref=patterns.duration + ONSET + DELAY)
        cells = net.population(count, model, name="tempotron")
        pre, post = np.arange(count * patterns.n), np.repeat(np.arange(count), patterns.n)
        net.connect(
            afferents, cells, Explicit(pre, post), weight=np.tile(self.currents(), count),
            delay=DELAY,
        )  # fmt: skip
        return net

    def _check(self, patterns: SpikePatterns) -> None:
        if patterns.n != len(self.weights):
            raise ParameterError(
                f"Tempotron: patterns of {patterns.n} afferents, but {len(self.weights)} weights."
            )

    def _constants(self, patterns: SpikePatterns, grid: float | None) -> tuple[float, ...]:
        """Return tau, tau_s, V0, threshold, duration and grid (0 for none), for the kernels."""
        if grid is not None and not 0 < grid < np.inf:
            raise ParameterError(f"Tempotron: grid = {grid} ms must be > 0, or None for no grid.")
        return self.tau, self.tau_s, self.V0, self.threshold, patterns.duration, grid or 0.0
