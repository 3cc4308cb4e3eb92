"""How spike trains depend on each other: correlation, synchrony, spectrum, distance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from neurosim.analysis.counts import population_counts, rate_of_counts, sparse_counts
from neurosim.errors import ParameterError
from neurosim.results._arrays import FloatArray, IntArray, float_vector, int_vector
from neurosim.results.spike_trains import SpikeTrains

DENSE_NEURONS = 8192  # a matrix of all their pairs takes 0.5 GB
PAIRS_AT_ONCE = 1 << 14


class Correlations(NamedTuple):
    """Correlations of pairs of neurons: ids `first`, `second` and the `coefficient`."""

    first: IntArray
    second: IntArray
    coefficient: FloatArray


def pairwise_correlation(
    spikes: SpikeTrains,
    bin: float,
    *,
    pairs: ArrayLike | None = None,
    sample: int | None = None,
    seed: int = 0,
) -> Correlations:
    """Return Pearson's correlation coefficient of the binned counts of pairs of neurons.

    Parameters
    ----------
    spikes : SpikeTrains
    bin : float
        Length of a bin [ms].
    pairs : (n_pairs, 2) array_like of int, optional
        Ids of the pairs. Without it, all pairs of the neurons (of the sampled ones).
    sample : int, optional
        Take all pairs of this many neurons, drawn from those that fired: for large populations,
        whose pairs would fill the memory.
    seed : int, default 0
        Seed of that draw.

    Returns
    -------
    Correlations
        Ids of the two neurons and the coefficient, NaN where a neuron's count never varies.

    Raises
    ------
    ParameterError
        If both `pairs` and `sample` are given, an id was not recorded, or there are more than
        8192 neurons and neither is given.

    Notes
    -----
    Perkel, Gerstein & Moore (1967), Biophys. J. 7:419; Cohen & Kohn (2011), Nat. Neurosci.
    14:811.

    Examples
    --------
    >>> spikes = SpikeTrains.from_lists([[5.0], [6.0], [15.0]], t_stop=20.0)
    >>> pairwise_correlation(spikes, 10.0).coefficient.round(6)
    array([ 1., -1., -1.])
    """
    if pairs is not None and sample is not None:
        raise ParameterError("pairwise_correlation takes pairs or sample, not both.")
    if pairs is not None:
        table = np.asarray(pairs)
        if table.ndim != 2 or table.shape[1] != 2:
            raise ParameterError(f"pairs has shape {table.shape}: (n_pairs, 2) is expected.")
        first, second = (int_vector(table[:, side], "pairs") for side in (0, 1))
    else:
        if sample is None and spikes.n > DENSE_NEURONS:
            raise ParameterError(
                f"spikes {spikes.name!r}: {spikes.n} neurons have {spikes.n * (spikes.n - 1) // 2} "
                f"pairs; give sample= (such as 500) or pairs=."
            )
        chosen = spikes.neuron_ids if sample is None else _sample(spikes, sample, seed)
        upper = np.triu_indices(len(chosen), k=1)
        first, second = chosen[upper[0]], chosen[upper[1]]
    coefficient = _pearson(spikes, bin, spikes.positions(first), spikes.positions(second))
    return Correlations(first, second, coefficient)


def _sample(spikes: SpikeTrains, size: int, seed: int) -> IntArray:
    active = np.unique(spikes.ids)
    if not 2 <= size <= len(active):
        raise ParameterError(
            f"sample = {size} neurons: 2 to {len(active)} (those of spikes {spikes.name!r} that "
            "fired) are possible."
        )
    generator = np.random.Generator(np.random.Philox(key=seed))
    return np.sort(generator.choice(active, size, replace=False))


def _pearson(spikes: SpikeTrains, bin: float, one: IntArray, two: IntArray) -> FloatArray:
    counts = sparse_counts(spikes, bin).astype(np.float64)
    mean = counts.mean(axis=1)
    spread = np.sqrt(np.maximum(counts.power(2).mean(axis=1) - mean**2, 0.0))
    product = _row_products(counts, one, two) / counts.shape[1]
    covariance = product - mean[one] * mean[two]
    scale = spread[one] * spread[two]
    coefficient = np.full(len(one), np.nan)
    np.divide(covariance, scale, out=coefficient, where=scale > 0)
    return coefficient


def _row_products(counts: Any, one: IntArray, two: IntArray) -> FloatArray:
    """Return the scalar products of rows `one` and rows `two` of a sparse matrix."""
    used, place = np.unique(np.concatenate([one, two]), return_inverse=True)
    if len(used) <= DENSE_NEURONS:
        part = counts[used]
        gram: FloatArray = (part @ part.T).toarray()
        return gram[place[: len(one)], place[len(one) :]]
    result = np.empty(len(one))
    for start in range(0, len(one), PAIRS_AT_ONCE):
        block = slice(start, start + PAIRS_AT_ONCE)
        result[block] = counts[one[block]].multiply(counts[two[block]]).sum(axis=1)
    return result


def golomb_chi(values: ArrayLike) -> float:
    """Return Golomb's synchrony measure chi of signals [time, neuron].

    chi^2 is the variance over time of the population mean, divided by the mean over neurons of
    each one's variance over time: 1 where all do the same, about 1/sqrt(n) where n neurons are
    independent.

    Parameters
    ----------
    values : (n_times, n) array_like
        Membrane potentials, say, or spike counts.

    Returns
    -------
    chi : float
        Dimensionless; NaN where nothing varies.

    Notes
    -----
    Golomb & Rinzel (1994), Physica D 72:259; Golomb (2007), Scholarpedia 2(1):1347.

    Examples
    --------
    >>> golomb_chi([[0.0, 0.0], [1.0, 1.0]])
    1.0
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or 0 in array.shape:
        raise ParameterError(f"golomb_chi: shape {array.shape}, (n_times, n) is expected.")
    single = array.var(axis=0).mean()
    return float(np.sqrt(array.mean(axis=1).var() / single)) if single > 0 else float("nan")


def synchrony(spikes: SpikeTrains, bin: float) -> float:
    """Return Golomb's synchrony measure chi of the binned spike counts.

    See `golomb_chi`; for traces of the membrane potential call that directly. The value depends
    on the bin, which should be near the membrane time constant.

    Parameters
    ----------
    spikes : SpikeTrains
    bin : float
        Length of a bin [ms].

    Returns
    -------
    chi : float
        1 for identical trains, about 1/sqrt(n) for n independent ones, NaN for silence and for no
        neurons.

    Examples
    --------
    >>> synchrony(SpikeTrains.from_lists([[5.0], [6.0]], t_stop=20.0), 10.0)
    1.0
    """
    counts = sparse_counts(spikes, bin).astype(np.float64)
    if not spikes.n:
        return float("nan")
    mean = counts.mean(axis=1)
    single = float((counts.power(2).mean(axis=1) - mean**2).mean())
    together = counts.mean(axis=0).var()
    return float(np.sqrt(together / single)) if single > 0 else float("nan")


class Spectrum(NamedTuple):
    """A power spectrum: `frequency` [Hz] and one-sided `density` [Hz^2/Hz]."""

    frequency: FloatArray
    density: FloatArray


def rate_spectrum(spikes: SpikeTrains, bin: float = 1.0, segment: float = 1000.0) -> Spectrum:
    """Return the power spectrum of the population rate (mean rate of a neuron).

    Welch's estimate with Hann windows that overlap by half, mean removed. n independent
    Poisson neurons of rate r have the flat density 2 r / n.

    Parameters
    ----------
    spikes : SpikeTrains
    bin : float, default 1.0
        Length of a bin [ms]; frequencies reach 500/bin Hz.
    segment : float, default 1000.0
        Length of a segment [ms]; frequencies are 1000/segment Hz apart. A shorter recording is
        one segment.

    Returns
    -------
    Spectrum

    Raises
    ------
    ParameterError
        If a segment is shorter than two bins.

    Notes
    -----
    Welch (1967), IEEE Trans. Audio Electroacoust. 15:70.

    Examples
    --------
    >>> times = [[float(t) for t in range(5, 2000, 20)]]  # 50 Hz, regular
    >>> spectrum = rate_spectrum(SpikeTrains.from_lists(times, t_stop=2000.0), bin=4.0)
    >>> float(spectrum.frequency[spectrum.density.argmax()])
    50.0
    """
    from scipy.signal import welch

    if not segment >= 2 * bin:
        raise ParameterError(f"segment = {segment} ms is shorter than two bins of {bin} ms.")
    counts = population_counts(spikes, bin)
    rate = rate_of_counts(counts, bin, spikes.n)
    length = min(len(rate), round(segment / bin))
    frequency, density = welch(rate, fs=1000.0 / bin, nperseg=length, detrend="constant")
    return Spectrum(frequency, density)


def van_rossum_distance(first: ArrayLike, second: ArrayLike, tau: float) -> float:
    """Return van Rossum's distance of two spike trains.

    Each spike becomes ``exp(-t/tau)``; the distance is ``sqrt(1/tau * integral (f - g)^2 dt)``.
    A train and the empty train are ``sqrt(1/2)`` apart for one spike; for tau to 0 the squared
    distance counts the spikes that do not coincide, halved.

    Parameters
    ----------
    first, second : (n_spikes,) array_like
        Spike times [ms].
    tau : float
        Time constant of the kernel [ms].

    Raises
    ------
    ParameterError
        If tau is not positive.

    Notes
    -----
    van Rossum (2001), Neural Computation 13:751, in closed form; memory and time grow with the
    product of the numbers of spikes.

    Examples
    --------
    >>> van_rossum_distance([10.0], [10.0], tau=5.0)
    0.0
    """
    if not tau > 0:
        raise ParameterError(f"tau = {tau} ms: a time constant > 0 is expected.")
    one, two = float_vector(first, "first"), float_vector(second, "second")

    def overlap(a: FloatArray, b: FloatArray) -> float:
        return float(np.exp(-np.abs(a[:, None] - b[None, :]) / tau).sum())

    squared = 0.5 * (overlap(one, one) + overlap(two, two)) - overlap(one, two)
    return float(np.sqrt(max(squared, 0.0)))
