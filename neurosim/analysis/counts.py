"""Counts and rates of spikes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim.analysis._bins import bin_index, edges, number_of_bins
from neurosim.errors import ParameterError
from neurosim.results._arrays import FloatArray, IntArray, float_vector
from neurosim.results.spike_trains import SpikeTrains


def spike_counts(spikes: SpikeTrains) -> IntArray:
    """Return the number of spikes of every neuron, (n,) int64.

    A recording in a file is read block by block.

    Examples
    --------
    >>> spike_counts(SpikeTrains.from_lists([[1.0, 2.0], [], [3.0]]))
    array([2, 0, 1])
    """
    total = np.zeros(spikes.n, np.int64)
    for _, ids in spikes.blocks():
        total += np.bincount(spikes.positions(ids), minlength=spikes.n)
    return total


def firing_rates(spikes: SpikeTrains) -> FloatArray:
    """Return the firing rate of every neuron [Hz]: spikes over the recorded interval.

    Returns
    -------
    rates : (n,) float64

    Raises
    ------
    ParameterError
        If the recorded interval has no length.

    Examples
    --------
    >>> firing_rates(SpikeTrains.from_lists([[10.0, 60.0], []], t_stop=100.0))
    array([20.,  0.])
    """
    if spikes.duration <= 0:
        raise ParameterError(
            f"spikes {spikes.name!r} cover no time ({spikes.t_start} to {spikes.t_stop} ms), "
            "so they have no rate: give t_stop."
        )
    return spike_counts(spikes) / (spikes.duration / 1000.0)


def binned_counts(spikes: SpikeTrains, bin: float) -> IntArray:
    """Return the spikes of every neuron in every bin.

    Bins are open at the left and closed at the right, as the spikes of a run lie in (0, T]; a
    spike exactly at `t_start` is in the first one. A last, partial bin is left out.

    Parameters
    ----------
    spikes : SpikeTrains
    bin : float
        Length of a bin [ms].

    Returns
    -------
    counts : (n_bins, n) int64

    Raises
    ------
    ParameterError
        If the bin is not positive or longer than the recorded interval.

    Examples
    --------
    >>> binned_counts(SpikeTrains.from_lists([[5.0, 10.0], [10.5]], t_stop=20.0), 10.0)
    array([[2, 0],
           [0, 1]])
    """
    counts: IntArray = sparse_counts(spikes, bin).toarray().T
    return np.ascontiguousarray(counts)


def sparse_counts(spikes: SpikeTrains, bin: float) -> Any:
    """Return the counts of `binned_counts` as a sparse `csr_array` [neuron, bin].

    For many neurons and short bins, where nearly all counts are zero.
    """
    from scipy.sparse import coo_array

    n_bins = number_of_bins(spikes, bin)
    index = bin_index(spikes.times, spikes.t_start, bin)
    inside = index < n_bins
    place = spikes.positions(spikes.ids)[inside]
    entries = (np.ones(len(place), np.int64), (place, index[inside]))
    return coo_array(entries, shape=(spikes.n, n_bins)).tocsr()


def population_counts(spikes: SpikeTrains, bin: float) -> IntArray:
    """Return the spikes of all neurons together in every bin, (n_bins,) int64.

    Examples
    --------
    >>> population_counts(SpikeTrains.from_lists([[5.0, 10.0], [10.5]], t_stop=20.0), 10.0)
    array([2, 1])
    """
    n_bins = number_of_bins(spikes, bin)
    total = np.zeros(n_bins, np.int64)
    for times, _ in spikes.blocks():
        index = bin_index(times, spikes.t_start, bin)
        total += np.bincount(index[index < n_bins], minlength=n_bins)
    return total


class Psth(NamedTuple):
    """A time histogram: bin `edges` [ms], (n_bins + 1,), and mean `rate` [Hz], (n_bins,)."""

    edges: FloatArray
    rate: FloatArray


def psth(
    spikes: SpikeTrains,
    bin: float,
    *,
    events: FloatArray | None = None,
    window: tuple[float, float] | None = None,
) -> Psth:
    """Return the (peri-stimulus) time histogram of the mean rate of a neuron.

    Parameters
    ----------
    spikes : SpikeTrains
    bin : float
        Length of a bin [ms].
    events : (n_events,) array_like, optional
        Times [ms] of the stimuli to align to. Without them the histogram runs over the whole
        recording.
    window : (float, float), optional
        The interval around each event [ms], such as ``(-50, 200)``; required with `events`.

    Returns
    -------
    Psth
        Bin edges [ms] (relative to the events, where given) and mean rate [Hz] over neurons
        and events.

    Raises
    ------
    ParameterError
        If only one of `events` and `window` is given, or a window leaves the recording.

    Notes
    -----
    Gerstein & Kiang (1960), Biophys. J. 1:15; without events it is the population rate.

    Examples
    --------
    >>> spikes = SpikeTrains.from_lists([[5.0, 25.0]], t_stop=40.0)
    >>> psth(spikes, 10.0).rate
    array([100.,   0., 100.,   0.])
    >>> psth(spikes, 10.0, events=[0.0, 20.0], window=(0.0, 20.0)).rate
    array([100.,   0.])
    """
    if (events is None) != (window is None):
        raise ParameterError("psth needs both or none of events and window.")
    if events is None or window is None:
        return Psth(
            edges(spikes, bin), rate_of_counts(population_counts(spikes, bin), bin, spikes.n)
        )
    onsets = float_vector(events, "events")
    if not len(onsets):
        raise ParameterError("psth: events holds no time.")
    parts = []
    for onset in onsets:
        part = spikes.window(onset + window[0], onset + window[1])
        parts.append(population_counts(part, bin))
    relative = window[0] + bin * np.arange(len(parts[0]) + 1, dtype=np.float64)
    return Psth(relative, rate_of_counts(np.mean(parts, axis=0), bin, spikes.n))


def rate_of_counts(counts: NDArray[Any], bin: float, n: int) -> FloatArray:
    """Return the mean rate of n neurons [Hz] from their counts in bins [ms]."""
    return np.asarray(counts * (1000.0 / (bin * max(n, 1))), dtype=np.float64)


def instantaneous_rate(spikes: SpikeTrains, sigma: float, step: float = 1.0) -> Psth:
    """Return the mean rate of a neuron, smoothed with a Gaussian kernel.

    Spikes are counted in bins of `step`, then convolved with the normalised kernel, cut at 5
    sigma; nothing is reflected at the ends, where the rate therefore falls off.

    Parameters
    ----------
    spikes : SpikeTrains
    sigma : float
        Standard deviation of the kernel [ms].
    step : float, default 1.0
        Length of a bin [ms]; at most sigma.

    Returns
    -------
    Psth
        Bin edges [ms] and rate [Hz].

    Raises
    ------
    ParameterError
        If sigma is shorter than the step.

    Notes
    -----
    Nawrot, Aertsen & Rotter (1999), J. Neurosci. Methods 94:81.

    Examples
    --------
    >>> rate = instantaneous_rate(SpikeTrains.from_lists([[50.0]], t_stop=100.0), 5.0).rate
    >>> round(float(rate.sum()) * 1e-3, 9)  # the integral over seconds is the one spike
    1.0
    """
    from scipy.ndimage import gaussian_filter1d

    if not sigma >= step:
        raise ParameterError(f"sigma = {sigma} ms is shorter than step = {step} ms.")
    raw = psth(spikes, step)
    smooth: FloatArray = gaussian_filter1d(raw.rate, sigma / step, mode="constant", truncate=5.0)
    return Psth(raw.edges, smooth)


def first_spike_latency(spikes: SpikeTrains, *, after: float | None = None) -> FloatArray:
    """Return how long after a time every neuron fires first.

    Parameters
    ----------
    spikes : SpikeTrains
    after : float, optional
        The time [ms] to count from; the beginning of the recording by default.

    Returns
    -------
    latency : (n,) float64
        Time from `after` to the first spike later than it [ms]; NaN where there is none.

    Notes
    -----
    Thorpe, Delorme & Van Rullen (2001), Neural Networks 14:715.

    Examples
    --------
    >>> first_spike_latency(SpikeTrains.from_lists([[5.0, 30.0], []]), after=10.0)
    array([20., nan])
    """
    origin = spikes.t_start if after is None else float(after)
    latency = np.full(spikes.n, np.nan)
    late = spikes.times > origin if after is not None else spikes.times >= origin
    place = spikes.positions(spikes.ids[late])
    # Assignment in reverse order of time: the earliest spike is written last and stays.
    latency[place[::-1]] = spikes.times[late][::-1] - origin
    return latency
