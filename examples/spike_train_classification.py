"""Two ways to classify spike trains by when, not how often, neurons fire.

A tempotron learns to fire at some random patterns and not at others, by changing its weights at the
moment of its highest potential. You will see how many passes it needs as the number of patterns a
synapse grows, and that a network of the event engine with the learned weights decides alike, at the
predicted times. Lempel-Ziv complexity counts the new words of a sequence: the mean of each class is
enough to tell apart trains of equal rate, among them those of bursting and of regular neurons
simulated here, whose spike counts say nothing.

Sources: R. Guetig & H. Sompolinsky (2006), Nat. Neurosci. 9:420; A. Lempel & J. Ziv (1976), IEEE
Trans. Inform. Theory 22:75; classification after Rudnicka et al. (2025), arXiv:2508.11674.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import neurosim as ns
from neurosim.analysis import LempelZivClassifier, NearestMean, spike_train_complexity
from neurosim.learning import SpikePatterns, Tempotron

LOADS = (0.5, 1.0, 1.5, 2.0)  # patterns a synapse
REFERENCE = {0.5: (9, 22), 1.0: (17, 21), 1.5: (37, 125)}  # plain NumPy, 1-ms grid, two seeds
AFFERENTS, DURATION, PASSES = 100, 500.0, 200
RECORDED, BIN = 5000.0, 5.0  # ms, of the simulated neurons


def task(load: float, seed: int) -> tuple[SpikePatterns, np.ndarray]:
    """Return patterns of one spike an afferent and random labels."""
    rng = np.random.default_rng(seed)
    patterns = SpikePatterns.random_latencies(int(load * AFFERENTS), AFFERENTS, DURATION, seed=seed)
    return patterns, rng.random(len(patterns)) < 0.5


def learn(loads: tuple[float, ...], seeds: int) -> dict[str, dict[float, list[float]]]:
    """Print and return the passes without and with a grid; NaN where 200 are not enough."""
    found: dict[str, dict[float, list[float]]] = {"exact": {}, "1-ms grid": {}}
    print("tempotron, 100 afferents: passes until no error (or patterns right after 200)")
    for name, options in (("exact", {}), ("1-ms grid", {"grid": 1.0, "shunting": False})):
        for load in loads:
            shown, found[name][load] = [], []
            for seed in range(seeds):
                patterns, labels = task(load, seed)
                fit = Tempotron.fit(patterns, labels, passes=PASSES, seed=seed, **options)
                right = fit.tempotron.predict(patterns, grid=options.get("grid")) == labels
                passes = len(fit.errors) if fit.converged else np.nan
                found[name][load].append(passes)
                shown.append(f"{100 * right.mean():.0f}%" if np.isnan(passes) else f"{passes}")
            known = ", ".join(map(str, REFERENCE.get(load, ()))) or "95-98%"
            known = f"   reference {known}" if name != "exact" else ""
            print(f"  {name:9s} load {load:3.1f}: " + " ".join(f"{s:>5s}" for s in shown) + known)
    return found


def compare_with_the_engine() -> tuple[Tempotron, SpikePatterns, np.ndarray, float]:
    """Learn load 1, run the network, and return the largest difference of spike times [ms]."""
    patterns, labels = task(1.0, 0)
    cell = Tempotron.fit(patterns, labels).tempotron
    net = cell.to_network(patterns)
    out = net.populations["tempotron"]
    spikes = ns.simulate(net, DURATION + 2.0, dt=None, record=[ns.Spikes(out)]).spikes["tempotron"]
    fired = np.isin(np.arange(len(patterns)), spikes.ids)
    crossing = cell.maximum(patterns).crossing
    difference = float(np.abs(spikes.times - 2.0 - crossing[spikes.ids]).max())
    print(
        f"event engine: {(fired == labels).sum()} of {len(labels)} patterns decided as wanted, "
        f"spikes within {difference:.0e} ms of the predicted crossings"
    )
    return cell, patterns, labels, difference


def markov(n_trains: int, n: int, rate: float, stay: float, rng: np.random.Generator) -> np.ndarray:
    """Return trains of a stationary chain that stays active with the probability `stay`."""
    enter = rate * (1.0 - stay) / (1.0 - rate)
    draws = rng.random((n_trains, n))
    trains = np.zeros((n_trains, n), np.int64)
    trains[:, 0] = draws[:, 0] < rate
    for k in range(1, n):
        trains[:, k] = draws[:, k] < np.where(trains[:, k - 1], stay, enter)
    return trains


def simulated(n: int, duration: float, seed: int) -> tuple[list[ns.SpikeTrains], np.ndarray]:
    """Return trains of regular and of bursting neurons in pairs of equal spike count, and classes.

    Izhikevich's regular-spiking and chattering neurons, with noise and different currents.
    """
    net, record = ns.Network(), []
    kinds = {"regular": {"c": -65.0, "d": 8.0}, "bursting": {"c": -50.0, "d": 2.0}}
    for name, shape in kinds.items():
        low, high = (11.0, 14.0) if name == "regular" else (0.0, 1.5)
        model = ns.models.izhikevich(I_e=ns.Uniform(low, high), **shape)
        cells = net.population(4 * n, model, name=name)
        net.inject(cells, ns.NoiseCurrent(mean=0.0, std=8.0, dt=1.0))
        record.append(ns.Spikes(cells))
    results = ns.simulate(net, 200.0 + duration, dt=0.1, seed=seed, record=record)
    trains = {k: results.spikes[k].window(200.0, 200.0 + duration) for k in kinds}
    counts = {k: np.bincount(t.ids, minlength=4 * n) for k, t in trains.items()}
    pairs = []
    free = {c: list(np.flatnonzero(counts["bursting"] == c)) for c in set(counts["bursting"])}
    for i, count in enumerate(counts["regular"]):
        if free.get(count) and count > 0:
            pairs.append((i, free[count].pop()))
    samples, labels = [], []
    for i, j in pairs[:n]:
        samples += [trains["regular"].select([i]), trains["bursting"].select([j])]
        labels += ["regular", "bursting"]
    return samples, np.array(labels)


def halves(features: np.ndarray, labels: np.ndarray) -> float:
    """Return how many % of the second half of the samples the rule of the first gets right."""
    half = len(labels) // 2
    rule = NearestMean.fit(features[:half, None], labels[:half])
    return 100.0 * rule.score(features[half:, None], labels[half:])


def classify(n: int, seed: int) -> tuple[dict[str, tuple[float, float]], tuple[Any, ...]]:
    """Print and return accuracies [%] by complexity and by count, and the simulated trains."""
    rng = np.random.default_rng(seed)
    low, high = (rng.random((n, 1024)) < p for p in (0.1, 0.2))
    chain = markov(n, 1024, 0.1, 0.8, rng)
    labels, half = np.tile([0, 1], n), n  # alternating classes
    tasks = {
        "Bernoulli p=0.1 / 0.2": np.stack([low, high], axis=1),
        "Bernoulli / Markov, p=0.1": np.stack([low, chain], axis=1),
    }
    found = {}
    print("\nnearest mean of           complexity  spike count  (% of test trains right)")
    for name, pairs in tasks.items():
        trains = pairs.reshape(2 * n, 1024).astype(np.int64)
        rule = LempelZivClassifier.fit(trains[:half], labels[:half])
        score = 100.0 * rule.score(trains[half:], labels[half:])
        found[name] = (score, halves(trains.sum(axis=1).astype(float), labels))
    samples, kinds = simulated(n, RECORDED, seed)
    rates = np.array([s.select(s.ids[:1]).rates()[0] for s in samples])
    complexity = np.array([_complexity(s) for s in samples])
    found["simulated regular / bursting"] = (halves(complexity, kinds), halves(rates, kinds))
    for name, (by_words, by_count) in found.items():
        print(f"{name:28s} {by_words:6.1f}  {by_count:11.1f}")
    print(f"({len(samples) // 2} pairs of simulated neurons of equal count, "
          f"{rates.min():.0f} to {rates.max():.0f} Hz, bins of {BIN:g} ms)")  # fmt: skip
    return found, (samples, kinds, rates, complexity)


def _complexity(sample: ns.SpikeTrains) -> float:
    return float(spike_train_complexity(sample, BIN)[0])


def draw_learning(ax: Axes, found: dict[str, dict[float, list[float]]]) -> None:
    """Draw the passes of all seeds against the load."""
    for k, (name, by_load) in enumerate(found.items()):
        for load, passes in by_load.items():
            label = name if load == LOADS[0] else None
            at = np.full(len(passes), load + 0.06 * (k - 0.5))
            values = np.array(passes)
            ax.plot(at, values, "o", color=ns.plot.PALETTE[k], ms=5, alpha=0.7, label=label)
            ax.plot(
                at[np.isnan(values)],
                np.full(np.isnan(values).sum(), 250),
                "^",
                color=ns.plot.PALETTE[k],
                ms=5,
            )
    for load, values in REFERENCE.items():
        label = "reference (grid)" if load == LOADS[0] else None
        ax.plot(np.full(2, load + 0.1), values, "kx", label=label)
    ax.axhline(PASSES, color="k", lw=0.8, ls=":")
    ax.set(yscale="log", xlabel="load (patterns a synapse)", ylabel="passes", ylim=(4, 330))
    ax.set_title("Tempotron: passes until no error\n(triangles: more than 200)", fontsize=10)
    ax.legend(loc="lower right", fontsize=8)


def draw_potential(ax: Axes, cell: Tempotron, patterns: SpikePatterns, labels: Any) -> None:
    """Draw the potential of two patterns of each class."""
    t = np.arange(0.0, DURATION, 0.5)
    for wanted, colour in zip((True, False), ns.plot.PALETTE, strict=False):
        for n, p in enumerate(np.flatnonzero(labels == wanted)[:3]):
            label = ("fire" if wanted else "be silent") if n == 0 else None
            ax.plot(t, cell.potential(patterns, p, t), color=colour, lw=0.9, label=label)
    ax.axhline(cell.threshold, color="k", ls=":", lw=1)
    ax.set(xlabel="time [ms]", ylabel="potential", xlim=(0, DURATION), ylim=(-1.6, 1.8))
    ax.set_title("Potential after learning, six patterns", fontsize=10)
    ax.legend(loc="lower right", fontsize=8, title="learned to", ncols=2)


def draw_trains(ax: Axes, samples: Any, kinds: np.ndarray) -> None:
    """Draw half a second of some pairs of trains."""
    for row in range(min(12, len(samples))):
        times = samples[row].times - samples[row].t_start
        colour = ns.plot.PALETTE[0 if kinds[row] == "regular" else 1]
        ax.eventplot(times[times < 800.0], lineoffsets=row, linelengths=0.8, colors=colour)
    ax.set(xlabel="time [ms]", xlim=(0, 800), yticks=[])
    ax.set_title("Pairs of equal count over 5 s: regular, bursting", fontsize=10)


def draw_complexity(ax: Axes, kinds: np.ndarray, rates: np.ndarray, complexity: np.ndarray) -> None:
    """Draw complexity against rate of the simulated neurons."""
    for name, colour in zip(("regular", "bursting"), ns.plot.PALETTE, strict=False):
        own = kinds == name
        ax.plot(rates[own], complexity[own], "o", color=colour, ms=4, alpha=0.7, label=name)
    ax.set(xlabel="rate [Hz]", ylabel="LZ76 complexity [bits a bin]")
    ax.set_title("Same rates, other complexity", fontsize=10)
    ax.legend(fontsize=8)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return passes and accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out/spike_train_classification"), metavar="DIR"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two seeds, two loads, 40 trains")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    passes = learn(LOADS[:2] if options.quick else LOADS, 2 if options.quick else 5)
    cell, patterns, labels, difference = compare_with_the_engine()
    accuracy, (samples, kinds, rates, complexity) = classify(
        40 if options.quick else 200, options.seed
    )
    figure = Figure(figsize=(10.5, 7.5), layout="constrained")
    (first, second), (third, fourth) = figure.subplots(2, 2)
    draw_learning(first, passes)
    draw_potential(second, cell, patterns, labels)
    draw_trains(third, samples, kinds)
    draw_complexity(fourth, kinds, rates, complexity)
    figure.savefig(options.out / "spike_train_classification.png", dpi=110)
    print(f"figure: {options.out / 'spike_train_classification.png'}")
    return {"passes": passes, "accuracy": accuracy, "difference": difference}


if __name__ == "__main__":
    main()
