"""How reliably a dendritic segment recognises a sparse pattern, in theory and by sampling.

A segment with a few synapses on a pattern of active cells answers when enough of them are active.
You will see why ten synapses among ten thousand cells are enough: how the probability of taking a
random pattern for the stored one falls with the threshold and the size of the population, what
storing many patterns on one segment costs, and how many cells of a pattern may fail. The table
sets the closed forms beside random patterns, beside segments that are simulated (1,000 of them,
each shown 400 patterns), and beside the published numbers.

Source: S. Ahmad & J. Hawkins (2016), How do neurons operate on sparse distributed representations?
A mathematical theory of sparsity, neurons and active dendrites, arXiv:1601.00720.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _segment_matches import simulated_matches
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosim.analysis import dendrites
from neurosim.plot import PALETTE

#: What can be sampled: description, arguments, draws (of a full run), published value.
SAMPLED = (
    ("false match, n=500 a=64 s=24 theta=8", (500, 64, 24, 8), {}, 200_000, None),
    ("false match, n=300 a=64 s=24 theta=12", (300, 64, 24, 12), {}, 400_000, 1.09462e-3),
    ("false match, n=400 a=8 s=4 theta=2", (400, 8, 4, 2), {}, 400_000, 0.00206315),
    ("union of 10, n=10000 a=200 s=20 theta=10", (10_000, 200, 20, 10),
     {"n_patterns": 10}, 40_000, None),
    ("union of 20, n=10000 a=200 s=20 theta=10", (10_000, 200, 20, 10),
     {"n_patterns": 20}, 10_000, None),
    ("missed, a=128 s=30 theta=12, 64 silent", (1000, 128, 30, 12),
     {"n_silent": 64}, 100_000, 7.17e-2),
    ("missed, a=128 s=30 theta=16, 51 silent", (1000, 128, 30, 16),
     {"n_silent": 51}, 100_000, 0.1391),
)  # fmt: skip
#: What is too rare to be sampled: n, a, s, theta, published value.
RARE = (
    (10_000, 300, 24, 12, 8.37585e-13),
    (2000, 40, 20, 15, 2.47192e-23),
    (100_000, 2000, 20, 10, 1.54193e-12),
    (100_000, 2000, 240, 20, 1.07991e-07),
    (4100, 64, 24, 12, 1.66259e-16),
)


def theory(numbers: tuple[int, int, int, int], options: dict[str, int]) -> float:
    """Return the closed form for what a row of SAMPLED draws."""
    n, a, s, theta = numbers
    if "n_silent" in options:
        return float(dendrites.false_negative(a, s, theta, options["n_silent"]))
    return float(dendrites.union_false_match(n, a, s, theta, options.get("n_patterns", 1)))


def table(part: float, seed: int) -> dict[str, float]:
    """Print theory, sampled and published values; return the distance in standard errors."""
    print(f"{'':42s} {'theory':>10s}  {'sampled':>10s} {'+-':>8s}  {'simulated':>10s} {'+-':>8s}  "
          f"{'published':>10s}")  # fmt: skip
    found = {}
    for name, numbers, options, draws, published in SAMPLED:
        expected = theory(numbers, options)
        got = dendrites.sample_matches(
            *numbers, n_draws=max(1000, int(part * draws)), seed=seed, **options
        )
        sampled = 1 - got.probability if "n_silent" in options else got.probability
        error = np.sqrt(expected * (1 - expected) / got.n_draws)
        found[name] = float((sampled - expected) / error)
        shape = {"segments": 1000, "patterns": max(10, int(part * 400))}
        spiked = simulated_matches(*numbers, **options, **shape, seed=seed)
        simulated = 1 - spiked if "n_silent" in options else spiked
        coarse = np.sqrt(expected * (1 - expected) / (shape["segments"] * shape["patterns"]))
        found[f"{name}, simulated"] = float((simulated - expected) / coarse)
        known = "" if published is None else f"{published:.3e}"
        print(f"{name:42s} {expected:10.3e}  {sampled:10.3e} {error:8.1e}  {simulated:10.3e} "
              f"{coarse:8.1e}  {known:>10s}")  # fmt: skip
    for n, a, s, theta, published in RARE:
        name = f"false match, n={n} a={a} s={s} theta={theta}"
        value = float(dendrites.false_match(n, a, s, theta))
        print(f"{name:42s} {value:10.3e}  {'too rare':>10s} {'':29s} "
              f"{published:10.3e}")  # fmt: skip
    return found


def draw_thresholds(ax: Axes) -> None:
    """Draw the error over the grid of populations and segments."""
    errors = dendrites.threshold_errors()
    ax.fill_between(
        errors.theta, errors.min, errors.max, alpha=0.2, label="smallest (0: a < theta) to largest"
    )
    ax.semilogy(errors.theta, errors.mean, "o-", ms=3, label="mean")
    ax.semilogy(errors.theta, errors.median, "s-", ms=3, label="median")
    ax.axvspan(8, 20, color=PALETTE[2], alpha=0.12, label="NMDA spikes: about 8 to 20")
    ax.set(ylim=(1e-30, 1), xlabel="threshold theta (synapses)", ylabel="false match")
    ax.set_title("210 populations and segments")
    ax.legend(loc="lower left", fontsize=8)


def draw_populations(ax: Axes) -> None:
    """Draw the error against the number of cells."""
    n = np.arange(300, 20_001, 200)
    for a in (64, 128, 256):
        ax.semilogy(n, dendrites.false_match(n, a, 24, 12), label=f"a = {a}")
    ax.semilogy(n, dendrites.false_match(n, n // 2, 24, 12), "k:", label="half of the cells")
    ax.set(xlabel="cells n", ylabel="false match", ylim=(1e-26, 3))
    ax.set_title("s = 24 synapses, theta = 12")
    ax.legend(fontsize=8)


def draw_unions(ax: Axes, draws: int, seed: int) -> None:
    """Draw the error of a segment that stores many patterns, and sampled points."""
    m = np.arange(1, 101)
    sets = (((10_000, 200, 20, 10), (10, 20, 40)), ((4000, 40, 30, 15), (20, 40, 70)))
    for k, ((n, a, s, theta), points) in enumerate(sets):
        label = f"n = {n}, a = {a}, s = {s}, theta = {theta}"
        ax.semilogy(
            m, dendrites.union_false_match(n, a, s, theta, m), color=PALETTE[k], label=label
        )
        for number in points:
            got = dendrites.sample_matches(
                n, a, s, theta, n_draws=draws, n_patterns=number, seed=seed
            )
            if got.probability > 0:
                ax.semilogy(number, got.probability, "o", color=PALETTE[k], ms=5)
    ax.set(xlabel="patterns on one segment", ylabel="false match", ylim=(1e-13, 3))
    ax.set_title("Union (points: sampled)")
    ax.legend(loc="lower right", fontsize=8)


def draw_noise(ax: Axes, draws: int, seed: int) -> None:
    """Draw how often a pattern is missed when part of its cells is silent."""
    n, a, s = 6000, 128, 30
    silent = np.arange(0, a + 1, 2)
    sampled = np.arange(16, 121, 8)
    thresholds = np.array([8, 12, 16, 20])
    drawn = [
        dendrites.sample_matches(n, a, s, thresholds, n_draws=draws, n_silent=v, seed=seed)
        for v in sampled
    ]
    points = np.array([1 - got.probability for got in drawn])
    for k, theta in enumerate(thresholds):
        missed = dendrites.false_negative(a, s, theta, silent)
        false = float(dendrites.false_match(n, a, s, theta))
        label = f"theta = {theta} (false match {false:.0e})"
        ax.plot(100 * silent / a, missed, color=PALETTE[k], label=label)
        ax.plot(100 * sampled / a, points[:, k], "o", color=PALETTE[k], ms=3)
    ax.set(
        xlabel="cells of the pattern that are silent (%)",
        ylabel="pattern missed",
        ylim=(-0.03, 1.55),
    )
    ax.set_yticks(np.linspace(0.0, 1.0, 6))
    ax.set_title(f"n = {n}, a = {a}, s = {s} (points: sampled)")
    ax.legend(loc="upper left", fontsize=8)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Run the example and return how many standard errors samples lie from theory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/dendritic_theory"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the draws")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    found = table(0.05 if options.quick else 1.0, options.seed)
    best = dendrites.optimal_threshold(6000, 128, 30, 64, n_distractors=1_000_000)
    print(f"\nA segment of 30 synapses that sees a million random patterns for each showing of its "
          f"own, half of whose cells are silent, does best with theta = {best.theta}: it misses "
          f"{100 * best.false_negative:.2g} % of its own and takes "
          f"{1e6 * best.false_match:.2g} of the million for it.")  # fmt: skip
    figure = Figure(figsize=(10.5, 8.0), layout="constrained")
    (first, second), (third, fourth) = figure.subplots(2, 2)
    for ax in figure.axes:
        ax.set_prop_cycle(color=PALETTE)
    draw_thresholds(first)
    draw_populations(second)
    draw_unions(third, 200 if options.quick else 3000, options.seed)
    draw_noise(fourth, 50 if options.quick else 500, options.seed)
    figure.savefig(options.out / "dendritic_theory.png", dpi=110)
    print(f"figure: {options.out / 'dendritic_theory.png'}")
    return found


if __name__ == "__main__":
    main()
