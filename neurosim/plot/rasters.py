"""Spike rasters with the population rate below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError, unknown_name
from neurosim.plot._style import (
    Populations,
    axes_for,
    color,
    finish,
    need_some,
    populations_of,
    split_below,
)
from neurosim.results._arrays import FloatArray, IntArray
from neurosim.results.spike_trains import SpikeTrains

TIME_PIXELS = 800
ROW_PIXELS = 400
RATE_HEIGHT = 0.28  # of the rate, relative to the raster


def raster(
    spikes: Populations,
    *,
    ax: Any = None,
    order: ArrayLike | Mapping[str, ArrayLike] | None = None,
    bin: float | None = None,
    max_points: int = 100_000,
) -> Any:
    """Draw spikes over time, a row a neuron, and the mean rate of each population below.

    Parameters
    ----------
    spikes : SpikeTrains, mapping of name to SpikeTrains, or several SpikeTrains
        The populations, stacked from top to bottom, each in its colour.
    ax : matplotlib Axes, optional
        Where to draw; its lower fifth becomes the axes of the rate. A new figure by default.
    order : array_like of int, or mapping of name to array_like, optional
        Ids of the neurons from top to bottom; neurons that are not in it are left out of the
        raster (not of the rate). By default the order of recording.
    bin : float, optional
        Bin of the rate [ms]; by default about a hundredth of the recording.
    max_points : int, default 100000
        With more spikes the raster becomes an image of spike density, which stays readable and
        small; the rate always counts all spikes.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes are the raster and the rate.

    Raises
    ------
    ParameterError
        If there is nothing to plot, or `order` names an unknown neuron or one twice.
    UnknownNameError
        If `order` names an unknown population.
    """
    ax = axes_for(ax, (8.0, 5.0))
    return draw_raster(ax, split_below(ax, RATE_HEIGHT), spikes, order, bin, max_points)


def draw_raster(
    ax: Any,
    rate_ax: Any,
    spikes: Populations,
    order: ArrayLike | Mapping[str, ArrayLike] | None = None,
    bin: float | None = None,
    max_points: int = 100_000,
) -> Any:
    """Draw what `raster` shows into two given axes and return their figure."""
    populations = populations_of(spikes)
    need_some(populations)
    rows = _rows(populations, order)
    start = min(trains.t_start for _, trains in populations)
    stop = max(trains.t_stop for _, trains in populations)
    dense = sum(len(trains) for _, trains in populations) > max_points
    total = max(sum(int(r.max(initial=-1)) + 1 for r in rows), 1)
    base = 0
    for k, ((_, trains), row) in enumerate(zip(populations, rows, strict=True)):
        if dense:
            _draw_density(ax, trains, row, base, color(k), total)
        else:
            _draw_points(ax, trains, row, base, color(k), total)
        base += int(row.max(initial=-1)) + 1
    ax.set_ylim(total - 0.5, -0.5)
    ax.set_xlim(start, stop if stop > start else start + 1.0)
    _label_rows(ax, populations, rows)
    for k, (_, trains) in enumerate(populations):
        _draw_rate(rate_ax, trains, bin, color(k))
    rate_ax.set_ylim(0.0, None if any(len(trains) for _, trains in populations) else 1.0)
    finish(ax, "", "neuron" if order is None else "neuron, ordered")
    if dense:
        number = sum(len(trains) for _, trains in populations)
        ax.set_title(f"density of {number:,} spikes", fontsize="small", loc="right")
    return finish(rate_ax, "time [ms]", "rate [Hz]")


def _rows(
    populations: list[tuple[str, SpikeTrains]], order: ArrayLike | Mapping[str, ArrayLike] | None
) -> list[IntArray]:
    """Return, for each population, the row of every neuron (by place), -1 for those left out."""
    if order is None:
        given: Mapping[str, ArrayLike] = {}
    elif isinstance(order, Mapping):
        given = order
    elif len(populations) == 1:
        given = {populations[0][0]: order}
    else:
        raise ParameterError(
            f"order is for one population, {len(populations)} are plotted: "
            "give a mapping of name to ids."
        )
    names = [name for name, _ in populations]
    for name in given:
        if name not in names:
            raise unknown_name("population", name, names, "the raster")
    result = []
    for name, trains in populations:
        row = np.arange(trains.n)
        if name in given:
            place = trains.positions(given[name])
            if len(np.unique(place)) != len(place):
                raise ParameterError(f"order of population {name!r} has a neuron twice.")
            row = np.full(trains.n, -1)
            row[place] = np.arange(len(place))
        result.append(row)
    return result


def _draw_points(
    ax: Any, trains: SpikeTrains, row: IntArray, base: int, paint: str, total: int
) -> None:
    y = row[trains.positions(trains.ids)]
    shown = y >= 0
    few = total <= 60
    height = 240.0 / total  # points a row: the raster of a default figure is 240 points high
    ax.plot(
        trains.times[shown],
        y[shown] + base,
        linestyle="none",
        marker="|" if few else ".",
        markersize=float(np.clip(0.7 * height, 3.0, 14.0) if few else np.clip(height, 1.2, 3.0)),
        markeredgewidth=1.0 if few else 0.0,
        color=paint,
        rasterized=len(trains) > 5000,
    )


def _draw_density(
    ax: Any, trains: SpikeTrains, row: IntArray, base: int, paint: str, total: int
) -> None:
    """Draw spikes a pixel, white where there are none; the shade grows with the square root."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    n_rows = int(row.max(initial=-1)) + 1
    if n_rows == 0 or trains.duration <= 0:
        return
    height = min(n_rows, max(ROW_PIXELS * n_rows // total, 8))
    image = np.zeros(height * TIME_PIXELS, np.int64)
    for times, ids in trains.blocks():
        y = row[trains.positions(ids)]
        shown = y >= 0
        x = ((times[shown] - trains.t_start) * (TIME_PIXELS / trains.duration)).astype(np.int64)
        pixel = y[shown] * height // n_rows * TIME_PIXELS + np.minimum(x, TIME_PIXELS - 1)
        image += np.bincount(pixel, minlength=image.size)
    filled = image[image > 0]
    peak = float(np.percentile(filled, 99)) if len(filled) else 1.0
    ax.imshow(
        image.reshape(height, TIME_PIXELS),
        cmap=LinearSegmentedColormap.from_list("density", ["#FFFFFF", paint]),
        norm=PowerNorm(0.5, vmin=0.0, vmax=max(peak, 1.0)),
        extent=(trains.t_start, trains.t_stop, base + n_rows - 0.5, base - 0.5),
        aspect="auto",
        interpolation="antialiased",
    )


def _label_rows(ax: Any, populations: list[tuple[str, SpikeTrains]], rows: list[IntArray]) -> None:
    from matplotlib.ticker import MaxNLocator

    if len(populations) == 1:
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        return
    sizes = np.array([int(row.max(initial=-1)) + 1 for row in rows])
    ends = np.cumsum(sizes)
    middles = _spread(ends - sizes / 2 - 0.5, 0.055 * float(ends[-1]))
    ax.set_yticks(middles, [name for name, _ in populations])
    ax.tick_params(axis="y", length=0)
    for k, label in enumerate(ax.get_yticklabels()):
        label.set_color(color(k))
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color="0.8", linewidth=0.6, zorder=0)


def _spread(places: FloatArray, gap: float) -> FloatArray:
    """Push ascending places downwards, then the whole upwards, until none overlaps the next.

    Examples
    --------
    >>> _spread(np.array([0.0, 1.0, 10.0]), 4.0)
    array([ 0.,  4., 10.])
    >>> _spread(np.array([0.0, 9.0, 10.0]), 4.0)
    array([ 0.,  6., 10.])
    """
    last = places[-1]
    places = places.copy()
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + gap)
    places[-1] = min(places[-1], last)
    for k in range(len(places) - 2, -1, -1):
        places[k] = min(places[k], places[k + 1] - gap)
    return places


def _draw_rate(ax: Any, trains: SpikeTrains, bin: float | None, paint: str) -> None:
    if trains.duration <= 0 or not trains.n:
        return
    found = trains.psth(nice_bin(trains.duration) if bin is None else bin)
    ax.stairs(found.rate, found.edges, baseline=None, color=paint, linewidth=1.0)


def nice_bin(duration: float) -> float:
    """Return 1, 2 or 5 times a power of ten near a hundredth of the duration [ms].

    Examples
    --------
    >>> nice_bin(1000.0), nice_bin(350.0), nice_bin(10.0)
    (10.0, 2.0, 0.1)
    """
    rough = duration / 100.0
    power = 10.0 ** np.floor(np.log10(rough) + 1e-9)
    factor = max(f for f in (1.0, 2.0, 5.0) if f * power <= rough * (1 + 1e-9))
    return float(round(factor * power, 12))
