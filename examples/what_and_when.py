"""What will come, and when: a reservoir learns to expect it, and to expect something else.

A cue is followed by outcome A after 200 ms, with probability 0.8, or by B after 400 ms. 600
heterogeneous Izhikevich neurons are started by the cue; two linear readouts learn to show each
outcome at its time by a three-factor rule, error times presynaptic trace times a gate that is open
after the cue (Yamada and Chao 2025, arXiv:2510.14382, whose constants are not published: those here
are our own). You will see readouts that peak when an outcome is due, as high as it is likely, and
what happens when the latency of A becomes 300 ms or its probability 0.2: the rule re-adapts, while
FORCE (recursive least squares over all trials so far; Sussillo and Abbott 2009, Nicola and Clopath
2017, Nat. Commun. 8:2208) averages over the past until it is reset by hand.

Reservoir, readouts and rule run in the engine. There a changed weight counts from the next spike
on; so the readout itself moves by what the change means for the spikes so far, for which a second
kind of synapse sends |r|^2. The same rule in NumPy, and FORCE, see the spikes of that reservoir.

Over seeds 0 to 9 (a reservoir and an order of outcomes each) the engine's readouts peak within
10 ms of the outcomes, the cosine of their weights is between -0.07 and 0.13, a new latency is
expected after 25 to 51 trials and a new probability after 13 to 26.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from _reservoir import (
    CUE_OFF,
    CUE_ON,
    STEPS,
    TRIAL,
    DeltaRule,
    Force,
    Recorded,
    simulate,
    trial,
)
from matplotlib.figure import Figure

import neurosim as ns

LATENCY = {"A": 200.0, "B": 400.0}  # ms after the onset of the cue
P_A, LATER, RARER = 0.8, 300.0, 0.2  # and what changes: latency of A, probability of A
RATE = 0.1  # eta times the mean of |r|^2
WIDTH = 25.0  # ms, of the bump that marks an outcome
TIMES = np.arange(1, STEPS + 1) - CUE_ON  # ms after the onset of the cue
LEARNING = TIMES > CUE_OFF - CUE_ON
LEARNERS = ("three-factor", "FORCE", "FORCE, reset")


def outcomes(
    n_trials: int, seed: int, *, change: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which trials show A (n_trials,), and the targets (n_trials, n_steps, 2)."""
    rng = np.random.default_rng(seed)
    half = np.arange(n_trials) >= n_trials // 2
    p = np.where(half & (change == "probability"), RARER, P_A)
    latency = np.where(half & (change == "latency"), LATER, LATENCY["A"])
    shows_a = rng.random(n_trials) < p
    targets = np.zeros((n_trials, STEPS, 2))
    targets[shows_a, :, 0] = bump(latency[shows_a, None])
    targets[~shows_a, :, 1] = bump(np.array([LATENCY["B"]]))
    return shows_a, targets


def bump(latency: np.ndarray) -> np.ndarray:
    """Return a Gaussian in time around a latency."""
    return np.exp(-0.5 * ((TIMES - latency) / WIDTH) ** 2)


def mean_power(seed: int, n_trials: int = 4) -> float:
    """Return the mean of |r|^2 while the gate is open; the learning rate is scaled by it."""
    run = simulate(np.zeros((n_trials, STEPS, 2)), eta=0.0, seed=seed, gate=False)
    return float(np.mean([(run.traces(k)[LEARNING] ** 2).sum(1).mean() for k in range(n_trials)]))


def predictions(run: Recorded) -> np.ndarray:
    """Return w r with the weights from before each trial: what it expects, (n, n_steps, 2)."""
    before = np.concatenate([np.zeros_like(run.weights[:1]), run.weights[:-1]])
    return np.array([run.traces(k) @ w.T for k, w in enumerate(before)])


def learn(
    run: Recorded, targets: np.ndarray, learner: DeltaRule | Force, *, reset_at: int = -1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let a learner in NumPy see all trials.

    Returns readouts and predictions (n, n_steps, 2), and the weights after each trial (n, 2, N).
    """
    z, expected = np.empty_like(targets), np.empty_like(targets)
    weights = np.empty((len(targets), *learner.w.shape))
    for k in range(len(targets)):
        if k == reset_at and isinstance(learner, Force):
            learner.reset()
        r = run.traces(k)
        expected[k] = r @ learner.w.T
        z[k] = trial(learner, r, targets[k])
        weights[k] = learner.w
    return z, expected, weights


def summary(name: str, z: np.ndarray, w: np.ndarray, shows_a: np.ndarray) -> dict[str, float]:
    """Print and return peaks of the mean readout, and the angle of the mean weights.

    Means are over the last third of the trials; `w` has weights after each of them.
    """
    last = slice(-(len(z) // 3), None)
    mean, w = z[last].mean(axis=0)[LEARNING], w[last].mean(axis=0)
    times = TIMES[LEARNING]
    (a, b), (peak_a, peak_b) = mean.max(axis=0), times[mean.argmax(axis=0)]
    cosine = w[0] @ w[1] / np.linalg.norm(w[0]) / np.linalg.norm(w[1])
    found = {
        "time of A": peak_a, "A": a, "time of B": peak_b, "B": b, "share": a / (a + b),
        "shown": shows_a.mean(), "cosine": cosine,
    }  # fmt: skip
    print(
        f"{name:32s} {peak_a:5.0f} / {a:.3f} {peak_b:7.0f} / {b:.3f} {a / (a + b):8.2f} "
        f"{shows_a.mean():6.2f} {cosine:8.3f}"
    )
    return {k: float(v) for k, v in found.items()}


def preference(expected: np.ndarray, change: str) -> np.ndarray:
    """Return for each trial how far it expects the new rather than the old, from -1 to 1.

    Readouts show a late outcome more faintly than an early one that is as likely. Probabilities are
    therefore what a readout shows over what it showed for a known one before the change.
    """
    half = len(expected) // 2

    def at(latency: float) -> np.ndarray:
        return np.clip(expected[:, np.searchsorted(TIMES, latency)], 0.0, None)

    def probability(shown: np.ndarray, before: float) -> np.ndarray:
        return before * shown / max(float(shown[half // 2 : half].mean()), 1e-9)

    if change == "latency":
        new, old = at(LATER)[:, 0], at(LATENCY["A"])[:, 0]
    else:
        new = probability(at(LATENCY["B"])[:, 1], 1.0 - P_A)
        old = probability(at(LATENCY["A"])[:, 0], P_A)
    return (new - old) / np.maximum(new + old, 1e-9)


def smooth(values: np.ndarray, n: int = 20) -> np.ndarray:
    """Return the mean of each value and the n - 1 before it."""
    sums = np.cumsum(np.concatenate([np.zeros(n), values]))
    return (sums[n:] - sums[:-n]) / np.minimum(np.arange(1, values.size + 1), n)


def trials_to_adapt(values: np.ndarray) -> int | None:
    """Return after how many trials the new stays preferred on average; None: not within the run."""
    half = values.size // 2
    behind = np.flatnonzero(smooth(values)[half:] <= 0.0)
    after = int(behind[-1]) + 1 if behind.size else 0
    return after if after < values.size - half else None


def adapt(change: str, eta: float, power: float, options: Any) -> tuple[dict[str, Any], np.ndarray]:
    """Return the preference for the new, trial by trial, of each learner; and predictions."""
    n = options.trials
    _, targets = outcomes(n, options.seed + 1, change=change)
    run = simulate(targets, eta=eta, seed=options.seed)
    expected = {"three-factor": predictions(run)}
    for name, reset_at in (("FORCE", -1), ("FORCE, reset", n // 2)):
        _, expected[name], _ = learn(run, targets, Force(power), reset_at=reset_at)
    return {k: preference(v, change) for k, v in expected.items()}, expected["three-factor"]


def draw(found: dict[str, Any], path: Path) -> None:
    """Write the figure."""
    figure = Figure(figsize=(12.0, 7.0), layout="constrained")
    axes = figure.subplots(2, 3)
    palette = ns.plot.PALETTE
    run = found["run"]
    last = run.spikes.window(run.spikes.t_stop - TRIAL, run.spikes.t_stop)
    shown = last.ids % 4 == 0
    axes[0, 0].plot(last.times[shown] - last.t_start - CUE_ON, last.ids[shown], "k.", ms=1.5)
    axes[0, 0].axvspan(0.0, CUE_OFF - CUE_ON, color=palette[4], alpha=0.4, lw=0)
    axes[0, 0].set(title="reservoir after a cue (every 4th neuron)", ylabel="neuron")

    ax = axes[0, 1]
    for k, (name, p) in enumerate((("A", P_A), ("B", 1.0 - P_A))):
        mean = found["readout"][-len(found["readout"]) // 3 :, :, k].mean(axis=0)
        ax.plot(TIMES[LEARNING], mean[LEARNING], color=palette[k], label=f"expects {name}")
        ax.plot(TIMES, p * bump(np.array([LATENCY[name]])), "--", color=palette[k], lw=1.0)
    ax.plot([], [], "k--", lw=1.0, label="probability x bump")
    ax.set(title="readouts, last third of trials", ylabel="readout")
    ax.legend(frameon=False, loc="upper right")

    ax = axes[0, 2]
    image = ax.imshow(
        found["expected"][:, LEARNING, 0], aspect="auto", origin="lower", cmap="magma",
        vmin=0.0, vmax=0.7, extent=(CUE_OFF - CUE_ON, TIMES[-1], 0, len(found["expected"])),
    )  # fmt: skip
    ax.axhline(len(found["expected"]) // 2, color="w", lw=0.8, ls=":")
    figure.colorbar(image, ax=ax, label="prediction of A", extend="max")
    ax.set(title="three-factor: 200 ms become 300 ms", ylabel="trial")
    for ax in axes[0]:
        ax.set_xlabel("time after cue onset [ms]")
        ax.set_xlim(-CUE_ON, TRIAL - CUE_ON)

    titles = {"latency": "A comes 100 ms later", "probability": "A becomes rare"}
    for ax, (change, curves) in zip(axes[1], found["preference"].items(), strict=False):
        for k, (name, values) in enumerate(curves.items()):
            after = np.arange(values.size) - values.size // 2
            ax.plot(after, smooth(values), color=palette[k], label=name)
        ax.axhline(0.0, color="0.6", lw=0.8)
        ax.axvline(0.0, color="0.6", lw=0.8, ls=":")
        ax.set(title=titles[change], xlabel="trials after the change",
               ylabel="expects the old (-1) or new (+1)", ylim=(-1.05, 1.05))  # fmt: skip
    axes[1, 0].legend(frameon=False)

    ax = axes[1, 2]
    for j, (change, counts) in enumerate(found["trials"].items()):
        most = len(found["expected"]) // 2
        heights = [most if c is None else c for c in counts.values()]
        at = np.arange(len(heights)) + (j - 0.5) * 0.38
        ax.bar(at, heights, 0.36, color=palette[3 + 2 * j], label=titles[change])
        for x, h, c in zip(at, heights, counts.values(), strict=True):
            ax.text(x, h, f">{most}" if c is None else str(c), ha="center", va="bottom",
                    fontsize=8)  # fmt: skip
    ax.set_xticks(range(len(LEARNERS)), LEARNERS)
    ax.set(title="trials until the new is expected", ylabel="trials")
    ax.legend(frameon=False, loc="upper left")
    ax.margins(y=0.4)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/what_and_when"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--quick", action="store_true", help="40 trials")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    options.trials = 40 if options.quick else options.trials

    power = mean_power(options.seed)
    eta = RATE / power
    shows_a, targets = outcomes(options.trials, options.seed)
    began = time.perf_counter()
    run = simulate(targets, eta=eta, seed=options.seed)
    seconds = time.perf_counter() - began
    print(f"{options.trials} trials in {seconds:.1f} s; reservoir {run.spikes.rate():.1f} Hz\n")
    print(
        "mean readout, last third         A: ms / height  B: ms / height  A/(A+B)  shown  cos(A,B)"
    )
    table = {"engine": summary("engine, while learning", run.readout, run.weights, shows_a)}
    expected = predictions(run)
    table["expected"] = summary("engine, prediction", expected, run.weights, shows_a)
    z, expected_exact, weights = learn(run, targets, DeltaRule(eta))
    table["numpy"] = summary("NumPy, while learning", z, weights, shows_a)
    summary("NumPy, prediction", expected_exact, weights, shows_a)
    fast = DeltaRule(3.0 * eta)
    with np.errstate(over="ignore", invalid="ignore"):
        diverged = np.abs(learn(run, targets[:40], fast)[0]).max()
    print(f"at three times the rate (NumPy): largest readout in 40 trials {diverged:.3g}\n")

    found: dict[str, Any] = {
        "run": run, "readout": run.readout, "table": table, "diverged": float(diverged),
        "preference": {}, "trials": {},
    }  # fmt: skip
    for change in ("latency", "probability"):
        curves, predicted = adapt(change, eta, power, options)
        found["preference"][change] = curves
        found["trials"][change] = {k: trials_to_adapt(v) for k, v in curves.items()}
        if change == "latency":
            found["expected"] = predicted
        counts = ", ".join(
            f"{name} {'more than ' + str(options.trials // 2) if c is None else c}"
            for name, c in found["trials"][change].items()
        )
        print(f"trials until the new {change} is expected: {counts}")
    draw(found, options.out / "what_and_when.png")
    print(f"\nThe figure is {options.out / 'what_and_when.png'}")
    return found


if __name__ == "__main__":
    main()
