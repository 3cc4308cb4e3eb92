"""State traces over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError
from neurosim.plot._style import axes_for, color, finish, with_unit
from neurosim.results._arrays import int_vector
from neurosim.results.spike_trains import SpikeTrains
from neurosim.results.traces import Traces

MOST_LINES = 7


def traces(
    traces: Traces,
    *,
    ax: Any = None,
    states: Sequence[str] | None = None,
    neurons: ArrayLike | None = None,
    spikes: SpikeTrains | None = None,
) -> Any:
    """Draw states over time, one panel a state and one line a neuron.

    Parameters
    ----------
    traces : Traces
    ax : matplotlib Axes, optional
        Where to draw a single state. A new figure by default.
    states : sequence of str, optional
        Which states; all by default.
    neurons : array_like of int, optional
        Ids of the neurons; by default the first seven recorded ones.
    spikes : SpikeTrains, optional
        Spikes of these neurons, drawn as ticks above the first panel (threshold models do not
        show them in their membrane potential).

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If a neuron was not recorded, or `ax` is given for several states.
    UnknownNameError
        If a state was not recorded.
    """
    shown = traces.states if states is None else list(states)
    ids = traces.ids[:MOST_LINES] if neurons is None else int_vector(neurons, "neurons")
    if not shown:
        raise ParameterError(f"traces {traces.name!r} hold no state to plot.")
    panels = _panels(ax, len(shown))
    columns = [traces.of(int(neuron)) for neuron in ids]
    for panel, state in zip(panels, shown, strict=True):
        traces[state]  # an unknown state is an error, even without neurons
        for k, column in enumerate(columns):
            panel.plot(
                traces.t, column[state], color=color(k), linewidth=0.9, label=f"neuron {ids[k]}"
            )
        finish(panel, "", with_unit(state, traces.units[state]))
    if spikes is not None:
        _draw_spikes(panels[0], spikes, [int(neuron) for neuron in ids])
    if len(ids) > 1:
        panels[0].legend(
            frameon=False,
            fontsize="small",
            handlelength=1.0,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
        )
    if len(traces.t):
        panels[-1].set_xlim(traces.t[0], max(traces.t[-1], np.nextafter(traces.t[0], np.inf)))
    panels[-1].set_xlabel("time [ms]")
    return panels[-1].get_figure(root=True)


def _panels(ax: Any, number: int) -> list[Any]:
    if number == 1:
        return [axes_for(ax, (8.0, 3.0))]
    if ax is not None:
        raise ParameterError(f"one ax cannot show {number} states: choose one with states=[...].")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 0.8 + 1.7 * number), layout="constrained")
    return list(figure.subplots(number, 1, sharex=True))


def _draw_spikes(ax: Any, spikes: SpikeTrains, ids: list[int]) -> None:
    known = set(spikes.neuron_ids.tolist())
    for k, neuron in enumerate(ids):
        if neuron in known:
            times = spikes.of(neuron)
            ax.plot(
                times,
                np.full(len(times), 1.03 + 0.05 * k),
                "|",
                color=color(k),
                markersize=6.0,
                transform=ax.get_xaxis_transform(),
                clip_on=False,
            )
