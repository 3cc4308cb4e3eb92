"""Histograms: rates, intervals, latencies, weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError
from neurosim.plot._style import (
    Populations,
    axes_for,
    color,
    finish,
    legend,
    need_some,
    populations_of,
    with_unit,
)
from neurosim.results._arrays import FloatArray, float_vector
from neurosim.results.spike_trains import SpikeTrains
from neurosim.results.weights import WeightTraces


def _size(populations: list[tuple[str, SpikeTrains]]) -> tuple[float, float]:
    """Return a figure size that leaves room for a long legend beside the axes."""
    return (7.5, 3.4) if len(populations) > 3 else (5.0, 3.4)


def rate_distribution(
    spikes: Populations, *, ax: Any = None, bins: int = 30, log: bool = False
) -> Any:
    """Draw the distribution of the neurons' firing rates, one outline a population.

    Parameters
    ----------
    spikes : SpikeTrains, mapping of name to SpikeTrains, or several SpikeTrains
    ax : matplotlib Axes, optional
        A new figure by default.
    bins : int, default 30
    log : bool, default False
        Logarithmic rates; silent neurons cannot be shown then and the legend counts them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    populations = populations_of(spikes)
    need_some(populations)
    ax = axes_for(ax, _size(populations))
    rates = [trains.rates() for _, trains in populations]
    together = np.concatenate(rates)
    longest = max(trains.duration for _, trains in populations)
    edges = _rate_edges(together, bins, 1000.0 / longest, log)
    for k, ((name, _), values) in enumerate(zip(populations, rates, strict=True)):
        mean = float(values.mean()) if len(values) else 0.0
        label = f"{name}: mean {mean:.3g} Hz"
        if log and np.any(values == 0):
            label += f", {np.count_nonzero(values == 0)} silent"
        _outline(ax, values, edges, color(k), label)
    if log:
        ax.set_xscale("log")
    legend(ax, max(len(populations), 2))  # the numbers in it are worth one even for one curve
    return finish(ax, "firing rate [Hz]", "fraction of neurons")


def isi_histogram(spikes: Populations, *, ax: Any = None, bins: int = 60, log: bool = False) -> Any:
    """Draw the distribution of inter-spike intervals, one outline a population.

    The legend has the mean over neurons of the coefficient of variation. Intervals above the
    99.5th percentile are out of sight on the linear axis.

    Parameters
    ----------
    spikes : SpikeTrains, mapping of name to SpikeTrains, or several SpikeTrains
    ax : matplotlib Axes, optional
        A new figure by default.
    bins : int, default 60
    log : bool, default False
        Logarithmic intervals.

    Returns
    -------
    matplotlib.figure.Figure
    """
    populations = populations_of(spikes)
    need_some(populations)
    ax = axes_for(ax, _size(populations))
    intervals = [trains.isi() for _, trains in populations]
    together = np.concatenate(intervals)
    if not log and len(together):
        together = together[together <= np.percentile(together, 99.5)]
    edges = _edges(together, bins, log)
    for k, ((name, trains), values) in enumerate(zip(populations, intervals, strict=True)):
        cv = trains.isi_cv()
        known = cv[~np.isnan(cv)]
        label = f"{name}: CV {known.mean():.2f}" if len(known) else name
        _outline(ax, values, edges, color(k), label)
    if log:
        ax.set_xscale("log")
    legend(ax, max(len(populations), 2))  # the numbers in it are worth one even for one curve
    return finish(ax, "inter-spike interval [ms]", "fraction of intervals")


def first_spike_latency(spikes: Populations, *, ax: Any = None, after: float | None = None) -> Any:
    """Draw the share of neurons that have fired at least once, against time.

    Parameters
    ----------
    spikes : SpikeTrains, mapping of name to SpikeTrains, or several SpikeTrains
    ax : matplotlib Axes, optional
        A new figure by default.
    after : float, optional
        Count from this time on [ms]; by default from the beginning of the recording.

    Returns
    -------
    matplotlib.figure.Figure
    """
    populations = populations_of(spikes)
    need_some(populations)
    ax = axes_for(ax, _size(populations))
    end = max(trains.t_stop - (trains.t_start if after is None else after)
              for _, trains in populations)  # fmt: skip
    for k, (name, trains) in enumerate(populations):
        latency = np.sort(trains.first_spike(after=after))
        fired = latency[~np.isnan(latency)]
        share = np.arange(len(fired) + 1) / max(trains.n, 1)
        x, y = np.append(0.0, fired), share
        ax.step(np.append(x, end), np.append(y, y[-1]), where="post", color=color(k), label=name)
    ax.set_xlim(0.0, end if end > 0 else 1.0)
    ax.set_ylim(0.0, 1.02)
    legend(ax, len(populations))
    return finish(ax, "latency of the first spike [ms]", "fraction of neurons")


def weight_histogram(
    weights: WeightTraces | ArrayLike, *, ax: Any = None, bins: int = 60, unit: str = ""
) -> Any:
    """Draw the distribution of synaptic weights; of recorded ones, the first and the last.

    Parameters
    ----------
    weights : WeightTraces or (n_synapses,) array_like
    ax : matplotlib Axes, optional
        A new figure by default.
    bins : int, default 60
    unit : str
        Unit for the label, where `weights` does not know its own.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If there are no synapses.
    """
    if isinstance(weights, WeightTraces):
        curves = {"at the end": weights.weight}
        if len(weights.times):
            curves = {f"at {weights.times[0]:g} ms": weights.values[0], **curves}
        unit = weights.unit or unit
    else:
        curves = {"weights": float_vector(weights, "weights")}
    if not len(next(iter(curves.values()))):
        raise ParameterError("there are no synapses whose weights could be plotted.")
    ax = axes_for(ax, (5.0, 3.4))
    edges = _edges(np.concatenate(list(curves.values())), bins, log=False)
    for k, (label, values) in enumerate(curves.items()):
        _outline(ax, values, edges, color(k), label)
    legend(ax, len(curves))
    return finish(ax, with_unit("weight", unit), "fraction of synapses")


def _rate_edges(rates: FloatArray, bins: int, quantum: float, log: bool) -> FloatArray:
    """Return edges between the possible rates: whole numbers of spikes would alias otherwise.

    Examples
    --------
    >>> _rate_edges(np.array([0.0, 4.0]), bins=3, quantum=1.0, log=False)
    array([-0.5,  1.5,  3.5,  5.5])
    """
    if log:
        between = np.floor(_edges(rates, bins, True) / quantum) + 0.5
        first = max(between[0] - 1.0, 0.5)
        return np.asarray(np.unique(np.append(first, between)) * quantum, np.float64)
    most = round(float(rates.max(initial=0.0)) / quantum)
    step = max(-(-(most + 1) // bins), 1)
    number = -(-(most + 1) // step)
    return np.asarray((step * np.arange(number + 1) - 0.5) * quantum, np.float64)


def _edges(values: FloatArray, bins: int, log: bool) -> FloatArray:
    if log:
        values = np.log10(values[values > 0])
    if not len(values):
        edges = np.linspace(0.0, 1.0, bins + 1)
    else:
        edges = np.histogram_bin_edges(values, bins)
        if not log and values.min() >= 0 and edges[0] < 0.2 * edges[-1]:
            edges = np.linspace(0.0, edges[-1], bins + 1)
    return np.asarray(10.0**edges if log else edges, np.float64)


def _outline(ax: Any, values: FloatArray, edges: FloatArray, paint: str, label: str) -> None:
    counts = np.histogram(values, edges)[0] / max(len(values), 1)
    ax.stairs(counts, edges, color=paint, fill=True, alpha=0.15)
    ax.stairs(counts, edges, color=paint, linewidth=1.3, label=label)
