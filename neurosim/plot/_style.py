"""What all figures share: colours, fresh axes without pyplot's global state, and layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from neurosim.errors import ParameterError
from neurosim.results.spike_trains import SpikeTrains

# Okabe & Ito's colours, told apart by colour-blind people; brown stands for their yellow, as thin
# marks in it cannot be seen on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A4A1E")

Populations: TypeAlias = SpikeTrains | Mapping[str, SpikeTrains] | Iterable[SpikeTrains]


def populations_of(spikes: Populations) -> list[tuple[str, SpikeTrains]]:
    """Return (label, trains) of one or several populations."""
    if isinstance(spikes, SpikeTrains):
        return [(spikes.name, spikes)]
    if isinstance(spikes, Mapping):
        return list(spikes.items())
    return [(trains.name, trains) for trains in spikes]


def color(k: int) -> str:
    """Return the k-th colour; after eight they begin again."""
    return PALETTE[k % len(PALETTE)]


def axes_for(ax: Any, size: tuple[float, float]) -> Any:
    """Return `ax`, or the axes of a new figure of the given size [inch]."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained").add_subplot()


def split_below(ax: Any, height: float) -> Any:
    """Make room below `ax` and return the new axes there, with the same time axis.

    `height` is that of the new axes, relative to that of the old.
    """
    figure, spec = ax.figure, ax.get_subplotspec()
    if spec is not None:
        parts = spec.subgridspec(2, 1, height_ratios=[1.0, height], hspace=0.06)
        ax.set_subplotspec(parts[0])
        below = figure.add_subplot(parts[1], sharex=ax)
    else:
        x, y, width, full = ax.get_position().bounds
        lower = full * height / (1.0 + height)
        ax.set_position((x, y + lower, width, full - lower))
        below = figure.add_axes((x, y, width, 0.9 * lower), sharex=ax)
    ax.tick_params(labelbottom=False)
    return below


def finish(ax: Any, xlabel: str, ylabel: str) -> Any:
    """Label the axes, take the box away and return the figure."""
    if xlabel:
        ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    return ax.get_figure(root=True)


def legend(ax: Any, entries: int) -> None:
    """Show a legend where there is more than one thing to tell apart; beside, if it is long."""
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if entries > 3 else {}
    if entries > 1:
        ax.legend(frameon=False, handlelength=1.2, fontsize="small", **beside)


def with_unit(text: str, unit: str) -> str:
    """Return ``text [unit]``, or the bare text for numbers without a unit."""
    return f"{text} [{unit}]" if unit and unit != "1" else text


def need_some(populations: list[tuple[str, SpikeTrains]]) -> None:
    """Refuse to draw nothing."""
    if not populations:
        raise ParameterError("there are no spike trains to plot: none were recorded.")
