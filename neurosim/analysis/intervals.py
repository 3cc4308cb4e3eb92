"""Statistics of inter-spike intervals and of counts: how irregular is the firing?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neurosim.analysis.counts import sparse_counts
from neurosim.errors import ParameterError
from neurosim.results._arrays import FloatArray, IntArray
from neurosim.results.spike_trains import SpikeTrains


def isi(spikes: SpikeTrains) -> FloatArray:
    """Return all inter-spike intervals [ms], neuron after neuron, each in order of time.

    Examples
    --------
    >>> isi(SpikeTrains.from_lists([[1.0, 3.0, 7.0], [2.0], [0.0, 5.0]]))
    array([2., 4., 5.])
    """
    return _intervals(spikes)[0]


def _intervals(spikes: SpikeTrains) -> tuple[FloatArray, IntArray]:
    """Return all intervals and the place of the neuron that each belongs to."""
    times, start = spikes.by_neuron()
    owner = np.repeat(np.arange(spikes.n), np.diff(start))
    same = owner[1:] == owner[:-1]
    return np.diff(times)[same], owner[1:][same]


def _mean_by(place: IntArray, values: FloatArray, n: int) -> tuple[FloatArray, IntArray]:
    """Return the mean of `values` at each place, NaN where there are none, and their number."""
    number = np.bincount(place, minlength=n)
    total = np.bincount(place, weights=values, minlength=n)
    return np.divide(total, number, out=np.full(n, np.nan), where=number > 0), number


def isi_cv(spikes: SpikeTrains, *, min_intervals: int = 2) -> FloatArray:
    """Return the coefficient of variation of every neuron's inter-spike intervals.

    A regular train has 0, a Poisson process 1, a gamma process of order k 1/sqrt(k).

    Parameters
    ----------
    spikes : SpikeTrains
    min_intervals : int, default 2
        Neurons with fewer intervals get NaN.

    Returns
    -------
    cv : (n,) float64
        Standard deviation over mean of the intervals, dimensionless.

    Raises
    ------
    ParameterError
        If `min_intervals` is below 2.

    Notes
    -----
    Population standard deviation (ddof=0). Softky & Koch (1993), J. Neurosci. 13:334.

    Examples
    --------
    >>> isi_cv(SpikeTrains.from_lists([[0.0, 10.0, 20.0], [0.0, 10.0, 40.0], [1.0]]))
    array([0. , 0.5, nan])
    """
    if min_intervals < 2:
        raise ParameterError(f"min_intervals = {min_intervals}: at least 2 are expected.")
    values, place = _intervals(spikes)
    mean, number = _mean_by(place, values, spikes.n)
    variance, _ = _mean_by(place, (values - mean[place]) ** 2, spikes.n)
    enough = (number >= min_intervals) & (mean > 0)
    cv = np.full(spikes.n, np.nan)
    np.divide(np.sqrt(variance), mean, out=cv, where=enough)
    return cv


def _adjacent(spikes: SpikeTrains) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return each pair of successive intervals of a neuron that are not both zero."""
    values, place = _intervals(spikes)
    same = (place[1:] == place[:-1]) & (values[1:] + values[:-1] > 0)
    return values[:-1][same], values[1:][same], place[1:][same]


def cv2(spikes: SpikeTrains) -> FloatArray:
    """Return every neuron's CV2, a measure of irregularity that slow rate changes do not raise.

    The mean of ``2 |I(i+1) - I(i)| / (I(i+1) + I(i))`` over successive intervals I: 0 for a
    regular train, 1 for a Poisson process.

    Returns
    -------
    cv2 : (n,) float64
        Dimensionless; NaN for neurons with fewer than three spikes.

    Notes
    -----
    Holt, Softky, Koch & Douglas (1996), J. Neurophysiol. 75:1806.

    Examples
    --------
    >>> cv2(SpikeTrains.from_lists([[0.0, 10.0, 40.0]]))
    array([1.])
    """
    first, second, place = _adjacent(spikes)
    return _mean_by(place, 2.0 * np.abs(second - first) / (second + first), spikes.n)[0]


def lv(spikes: SpikeTrains) -> FloatArray:
    """Return every neuron's local variation.

    The mean of ``3 (I(i+1) - I(i))^2 / (I(i+1) + I(i))^2`` over successive intervals I: 0 for
    a regular train, 1 for a Poisson process, 3/(2k + 1) for a gamma process of order k.

    Returns
    -------
    lv : (n,) float64
        Dimensionless; NaN for neurons with fewer than three spikes.

    Notes
    -----
    Shinomoto, Shima & Tanji (2003), Neural Computation 15:2823.

    Examples
    --------
    >>> lv(SpikeTrains.from_lists([[0.0, 10.0, 40.0]]))
    array([0.75])
    """
    first, second, place = _adjacent(spikes)
    return _mean_by(place, 3.0 * ((second - first) / (second + first)) ** 2, spikes.n)[0]


def fano_factor(spikes: SpikeTrains, window: float) -> FloatArray:
    """Return the variance over the mean of every neuron's counts in successive windows.

    A regular train has about 0, a Poisson process 1.

    Parameters
    ----------
    spikes : SpikeTrains
    window : float
        Length of a window [ms]; the recording is cut into whole windows.

    Returns
    -------
    fano : (n,) float64
        Dimensionless; NaN for silent neurons.

    Raises
    ------
    ParameterError
        If fewer than two windows fit into the recording.

    Notes
    -----
    Population variance (ddof=0). Fano (1947), Phys. Rev. 72:26; Teich (1989), IEEE Trans.
    Biomed. Eng. 36:150.

    Examples
    --------
    >>> fano_factor(SpikeTrains.from_lists([[1.0, 2.0], [5.0, 15.0]], t_stop=20.0), 10.0)
    array([1., 0.])
    """
    counts = sparse_counts(spikes, window)
    if counts.shape[1] < 2:
        raise ParameterError(
            f"window = {window} ms: fewer than two fit into the {spikes.duration} ms of spikes "
            f"{spikes.name!r}; use a shorter window."
        )
    mean = counts.mean(axis=1)
    variance = np.maximum(counts.power(2).mean(axis=1) - mean**2, 0.0)
    fano = np.full(spikes.n, np.nan)
    np.divide(variance, mean, out=fano, where=mean > 0)
    return fano


def ks_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples, NaN values left out.

    The largest distance between the two empirical distribution functions: 0 for equal samples,
    1 for samples that do not overlap. It compares, say, the rates or CVs of two simulations.

    Raises
    ------
    ParameterError
        If a sample is empty.

    Notes
    -----
    Massey (1951), J. Am. Stat. Assoc. 46:68.

    Examples
    --------
    >>> ks_distance([1.0, 2.0], [2.0, 3.0])
    0.5
    """
    samples = [np.sort(np.ravel(np.asarray(s, np.float64))) for s in (first, second)]
    samples = [s[~np.isnan(s)] for s in samples]
    if not all(len(s) for s in samples):
        raise ParameterError("ks_distance: a sample is empty (NaN values do not count).")
    where = np.concatenate(samples)
    low, high = (np.searchsorted(s, where, side="right") / len(s) for s in samples)
    return float(np.abs(low - high).max())
