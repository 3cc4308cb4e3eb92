"""One figure of all that a run recorded over time."""

from __future__ import annotations

from typing import Any

from neurosim.errors import ParameterError
from neurosim.plot.lines import traces as draw_traces
from neurosim.plot.rasters import draw_raster
from neurosim.results.results import Results


def overview(results: Results, **options: Any) -> Any:
    """Draw the raster and rates of all populations and, below, all state traces.

    Parameters
    ----------
    results : Results
    **options
        The options `order`, `bin` and `max_points` of `raster`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If neither spikes nor traces were recorded.
    """
    from matplotlib.figure import Figure

    panels = [(name, state) for name, found in results.traces.items() for state in found.states]
    heights = ([3.6, 1.0] if results.spikes else []) + [1.6] * len(panels)
    if not heights:
        raise ParameterError("nothing that could be plotted over time was recorded.")
    figure = Figure(figsize=(8.0, sum(heights) + 0.5), layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    shared = None
    if results.spikes:
        shared = figure.add_subplot(grid[0])
        rate_ax = figure.add_subplot(grid[1], sharex=shared)
        draw_raster(shared, rate_ax, results.spikes, **options)
    for k, (name, state) in enumerate(panels, start=len(heights) - len(panels)):
        ax = figure.add_subplot(grid[k], sharex=shared)
        draw_traces(results.traces[name], ax=ax, states=[state])
        ax.set_title(name, fontsize="small", loc="left")
        shared = ax if shared is None else shared
    stops = [s.t_stop for s in results.spikes.values()]
    stops += [float(t.t[-1]) for t in results.traces.values() if len(t.t)]
    start = min([s.t_start for s in results.spikes.values()] or [0.0])
    stop = max(stops, default=start)
    figure.axes[0].set_xlim(start, stop if stop > start else start + 1.0)  # nothing was run yet
    for ax in figure.axes[:-1]:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    _one_legend(figure, panels, results)
    return figure


def _one_legend(figure: Any, panels: list[tuple[str, str]], results: Results) -> None:
    """Keep each recording's first legend, inside its panel: beside it, time axes would differ."""
    for ax, (name, state) in zip(
        figure.axes[len(figure.axes) - len(panels) :], panels, strict=True
    ):
        if ax.get_legend() is None:
            continue
        ax.get_legend().remove()
        if state == results.traces[name].states[0]:
            ax.legend(
                fontsize="small",
                handlelength=1.0,
                ncols=4,
                loc="lower right",
                bbox_to_anchor=(1.0, 0.95),
                frameon=False,
            )
