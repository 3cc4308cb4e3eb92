"""Spiking temporal memory: sequences learned by dendrites and structural plasticity.

You will see a network learn sequences that share their middle, {A,D,B,E} and {F,D,B,C}, from a few
presentations: items that were unexpected make all cells of their subpopulation fire, predicted
ones about twenty, other ones in each context, so that the network knows what comes next. In the end
it replays a sequence by itself when its first item is cued, faster than it was taught.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
from _temporal_memory import (
    DELTA_T,
    LEAD,
    START,
    TASKS,
    Scores,
    Task,
    replay,
    score,
    simulation,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import neurosim as ns

EPISODES = 100
QUICK = 30
DRAWN = 3  # replays in the figure


@dataclass(frozen=True)
class Shared:
    """The cells of an item that two sequences share: in one context only, in both, in the other."""

    name: str
    first: int
    both: int
    second: int

    @property
    def overlap(self) -> float:
        """Part of the smaller set that the other one shares."""
        return self.both / max(1, self.both + min(self.first, self.second))


def contexts(task: Task, scores: Scores) -> list[Shared]:
    """Return the cells of all items that occur in two different contexts, in the last episode."""
    found = []
    for (q, first), (r, second) in combinations(enumerate(task.sequences), 2):
        for (k, item), (m, other) in product(enumerate(first), enumerate(second)):
            if k and m and item == other and first[: k + 1] != second[: m + 1]:
                a, b = set(scores.who[q][k].tolist()), set(scores.who[r][m].tolist())
                name = f"{item} in {first} and {second}"
                found.append(Shared(name, len(a - b), len(a & b), len(b - a)))
    return found


def draw_learning(task: Task, scores: Scores, overlaps: list[Shared]) -> Figure:
    """Return error, active cells of the predictable items, and overlap of contexts."""
    figure = Figure(figsize=(12.0, 3.6), layout="constrained")
    panels = 3 if overlaps else 2
    errors, active = (axes := figure.subplots(1, panels, width_ratios=(2, 2, 1.6)[:panels]))[:2]
    episodes = np.arange(1, scores.error.size + 1)
    errors.plot(episodes, scores.error, color="k", lw=2, label="prediction error")
    errors.plot(episodes, scores.false_positives, color=ns.plot.PALETTE[1], label="false positives")
    errors.plot(episodes, scores.false_negatives, color=ns.plot.PALETTE[0], label="false negatives")
    errors.set(xlabel="episode", ylabel="per predictable item", ylim=(-0.05, None))
    errors.legend(frameon=False)
    first = np.concatenate([np.arange(len(s)) == 0 for s in task.sequences])
    active.plot(episodes, scores.active[:, ~first], color="0.7", lw=0.8)
    active.plot(episodes, scores.active[:, ~first].mean(axis=1), color="k", lw=2)
    active.axhspan(20, 60, color=ns.plot.PALETTE[2], alpha=0.2, lw=0)
    active.set(xlabel="episode", ylabel="active cells per item (black: mean)", yscale="log")
    ticks = [10, 20, 60, task.cells]
    active.set_yticks(ticks, [str(t) for t in ticks])
    active.minorticks_off()
    if overlaps:
        draw_overlaps(axes[2], overlaps)
    return figure


def draw_overlaps(ax: Axes, overlaps: list[Shared]) -> None:
    """Draw how many cells an item has in one context, in both, and in the other."""
    left = np.zeros(len(overlaps))
    for part, label in (("first", "first only"), ("both", "both"), ("second", "second only")):
        width = np.array([getattr(o, part) for o in overlaps])
        color = {"first": ns.plot.PALETTE[0], "both": "k", "second": ns.plot.PALETTE[1]}[part]
        ax.barh(range(len(overlaps)), width, left=left, color=color, label=label)
        left = left + width
    ax.set_yticks(range(len(overlaps)), [o.name for o in overlaps], fontsize=7)
    ax.set(xlabel="active cells", title="one item, two contexts")
    ax.legend(frameon=False, ncols=3, fontsize=7, loc="lower center")
    ax.set_ylim(-1.0 - 0.08 * len(overlaps), None)


def prediction_lines(
    task: Task, results: ns.Results, begin: float, end: float
) -> list[tuple[float, float, int]]:
    """Return the dendritic action potentials of a time window: onset, end [ms], and cell.

    What is recorded is the time that is left of each, so its onset follows from any sample; it
    ends early where the cell fires.
    """
    traces, spikes = results.traces["exc"], results.spikes["exc"]
    duration = ns.models.iaf_psc_exp_nonlineardendrite().values["tau_dAP"]
    lines = {}
    for k in np.flatnonzero((traces.t > begin) & (traces.t <= end)):
        left = traces["dAP"][k]
        for cell in np.flatnonzero(left > 0):
            onset = round(float(traces.t[k] - (duration - left[cell])), 1)
            fired = spikes.times[(spikes.ids == cell) & (spikes.times >= onset)]
            stop = min(onset + duration, fired.min() if fired.size else np.inf)
            lines[(cell, onset)] = (onset, float(stop), int(cell))
    return sorted(lines.values())


def draw_episode(ax: Axes, task: Task, results: ns.Results, episode: int, title: str) -> None:
    """Draw spikes and dendritic action potentials of one episode."""
    begin = START + episode * task.period - 1.5 * LEAD
    end = begin + task.period
    spikes = results.spikes["exc"]
    chosen = (spikes.times > begin) & (spikes.times <= end)
    lines = prediction_lines(task, results, begin, end)
    if lines:
        onset, stop, cell = np.array(lines).T
        ax.hlines(cell, onset - begin, stop - begin, color=ns.plot.PALETTE[0], lw=0.5, alpha=0.5)
    ax.plot(spikes.times[chosen] - begin, spikes.ids[chosen], ".", ms=2, color=ns.plot.PALETTE[1])
    top, size = len(task.items) * task.cells * 1.01, float(np.clip(7500.0 / task.period, 5.5, 10.0))
    for onsets, sequence in zip(task.onsets(episode), task.sequences, strict=True):
        for onset, item in zip(onsets, sequence, strict=True):
            ax.text(onset - begin, top, item, ha="center", fontsize=size)
    finish(ax, task, (0.0, task.period), title)


def finish(ax: Axes, task: Task, limits: tuple[float, float], title: str) -> None:
    """Name the subpopulations and the axes of a raster."""
    edges = task.cells * np.arange(1, len(task.items))
    ax.hlines(edges, *limits, color="0.8", lw=0.6)
    ax.set_yticks(task.cells * (np.arange(len(task.items)) + 0.5), task.items)
    ax.set(xlim=limits, ylim=(0, len(task.items) * task.cells), xlabel="time [ms]")
    ax.set_title(title, pad=18)


def draw_activity(task: Task, results: ns.Results, episodes: int, replays: dict) -> Figure:
    """Return rasters before and after learning, and of the replay of the first items."""
    replays = dict(list(replays.items())[:DRAWN])
    figure = Figure(figsize=(13.0, 5.2), layout="constrained")
    ratios = [3, 3, *[1.2] * len(replays)]
    axes = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios)
    draw_episode(axes[0], task, results, 0, "episode 1")
    title = f"episode {episodes} (blue: dendritic spikes)"
    draw_episode(axes[1], task, results, episodes - 1, title)
    for ax, (first, (replayed, _)) in zip(axes[2:], replays.items(), strict=True):
        spikes = replayed.spikes["exc"]
        ax.plot(spikes.times, spikes.ids, ".", ms=2, color=ns.plot.PALETTE[1])
        finish(ax, task, (START - LEAD, START + 3 * DELTA_T), f"replay of {first}")
    axes[0].set_ylabel("cells, by item")
    return figure


def report(
    task: Task, scores: Scores, seconds: float, overlaps: list[Shared], replays: dict
) -> None:
    """Print what was found."""
    episodes = scores.error.size
    print(f"{len(task.items)} items of {task.cells} cells, {', '.join(task.sequences)}")
    print(f"{1e3 * seconds / episodes:.0f} ms a training episode of {task.period:.0f} ms")
    learned = "never 0 to the end" if scores.learned is None else f"0 from {scores.learned + 1} on"
    print(f"prediction error by episode: {scores.error[0]:.2f} in the first, {learned}")
    print(
        f"last episode: error {scores.error[-1]:.3f} (last items {scores.last[-1]:.3f}), false "
        f"positives {scores.false_positives[-1]:.3f}, negatives {scores.false_negatives[-1]:.3f}"
    )
    print(f"active cells by item, first episode: {scores.active[0].tolist()}")
    print(f"active cells by item, last episode:  {scores.active[-1].tolist()}")
    for o in overlaps:
        print(f"cells of {o.name}: {o.first}, {o.second}, and {o.both} in both")
    for first, (_, starts) in replays.items():
        order = " ".join(f"{item} {when:.0f}" for when, item in starts)
        print(f"replay of {first} [ms]: {order} (taught with {DELTA_T:.0f} ms between items)")


def options_of(argv: list[str] | None) -> argparse.Namespace:
    """Return the command line's options, defaults filled in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out/spiking_temporal_memory"), metavar="DIR"
    )
    parser.add_argument("--task", choices=TASKS, default="reduced", help="sequences to learn")
    parser.add_argument("--sequences", nargs="+", metavar="ABCD", help="others than the task's")
    parser.add_argument("--rule", choices=("stdsp", "stdsp_homeostasis"), help="plasticity")
    parser.add_argument("--cells", type=int, help="excitatory cells of an item")
    parser.add_argument("--density", type=float, help="potential synapses onto a cell, as a part")
    parser.add_argument("--episodes", type=int, help=f"default {EPISODES}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} episodes")
    options = parser.parse_args(argv)
    sequences, cells, density, rule = TASKS[options.task]
    options.sequences = options.sequences or sequences
    if min(map(len, options.sequences)) < 2:
        parser.error(f"--sequences {' '.join(options.sequences)}: each needs at least two items")
    options.cells = options.cells or cells
    options.density = options.density or density
    options.rule = options.rule or rule
    options.episodes = options.episodes or (QUICK if options.quick else EPISODES)
    return options


def main(argv: list[str] | None = None) -> dict[str, object]:
    """Run the example and return what it found."""
    options = options_of(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    rule = getattr(ns.models, options.rule)()
    task = Task(options.sequences, options.cells, options.seed, rule, options.density)
    sim = simulation(task, options.episodes)
    begin = time.perf_counter()
    sim.run(START + options.episodes * task.period)
    seconds = time.perf_counter() - begin
    scores, learned = score(task, sim.results, options.episodes), sim.weights("potential")
    overlaps = contexts(task, scores)
    replays = {first: replay(task, learned, first) for first in task.firsts}
    report(task, scores, seconds, overlaps, replays)
    figures = {
        "learning.png": draw_learning(task, scores, overlaps),
        "activity.png": draw_activity(task, sim.results, options.episodes, replays),
    }
    for name, figure in figures.items():
        for ax in figure.axes:
            ax.spines[["top", "right"]].set_visible(False)
        figure.savefig(options.out / name, dpi=110)
    print(f"{' and '.join(figures)} are in {options.out}")
    return {
        "error": scores.error,
        "learned": scores.learned,
        "active": scores.active,
        "overlaps": overlaps,
        "replay": {first: starts for first, (_, starts) in replays.items()},
    }


if __name__ == "__main__":
    main()
