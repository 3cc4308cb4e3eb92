"""Pair STDP in a balanced random network: stable rates, and what becomes of the weights.

The delta-synapse network of Brunel (2000), 8,000 excitatory and 2,000 inhibitory neurons,
inhibition five times as strong as excitation, with pair STDP (Guetig et al. 2003) on all synapses
between excitatory neurons. Connections are sparser than Brunel's (C_E = 100, C_I = 25) and stronger
by the same factor (J = 1 mV on average), so that one synapse matters to its target and the weights
settle within half a minute. They begin with any weight equally likely. You will see that rates and
irregularity settle while the weights go two ways: steps that ignore the weight (additive, mu = 0)
drive them to both bounds, steps that shrink towards the bounds (multiplicative, mu = 1) gather
them in one hump.

Sources: N. Brunel (2000), J. Comput. Neurosci. 8:183, doi:10.1023/A:1008925309027; R. Guetig et al.
(2003), Learning input correlations through nonlinear temporally asymmetric Hebbian plasticity,
J. Neurosci. 23:3697, doi:10.1523/JNEUROSCI.23-09-03697.2003 (equation 3).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

N_EXC, N_INH, C_EXC, C_INH = 8000, 2000, 100, 25
J, G, ETA = 1.0, 5.0, 0.95  # mV; inhibition over excitation; external rate over threshold rate
TAU_M, THETA, V_RESET, T_REF, DELAY = 20.0, 20.0, 10.0, 2.0, 1.5  # ms, mV
LAMBDA, ALPHA, W_MAX = 0.03, 1.05, 2.0 * J
RULES = {"additive": 0.0, "multiplicative": 1.0}  # mu, the exponent of the weight
BINS = np.linspace(0.0, 1.0, 26)  # of w/W_max


@dataclass(frozen=True)
class Run:
    """What is kept of a network: per piece the rates, CV and histogram of weights."""

    times: np.ndarray  # (n_pieces,) s
    rates: np.ndarray  # (n_pieces, 2) Hz, excitatory and inhibitory
    cv: np.ndarray  # (n_pieces,)
    histograms: np.ndarray  # (n_pieces + 1, n_bins), the first at the start
    weights: np.ndarray  # (n_synapses,) w/W_max at the end
    spikes: ns.SpikeTrains
    factor: float  # simulation time over model time, without building


def network(mu: float, scale: float) -> tuple[ns.Network, Any]:
    """Return the network and its neurons; in-degrees do not depend on the scale."""
    n_exc, n_inh = round(N_EXC * scale), round(N_INH * scale)
    net = ns.Network()
    model = ns.models.iaf_psc_delta(
        tau_m=TAU_M, E_L=0.0, V_th=THETA, V_reset=V_RESET, t_ref=T_REF, C_m=250.0
    )
    cells = net.population(n_exc + n_inh, model, name="cells", V_m=ns.Uniform(0.0, THETA))
    exc, inh = cells[:n_exc], cells[n_exc:]
    rule = ns.models.stdp(lambda_=LAMBDA, alpha=ALPHA, mu_plus=mu, mu_minus=mu, Wmax=W_MAX)
    k = ns.FixedIndegree(C_EXC)
    any_weight = ns.Uniform(0.0, W_MAX)
    net.connect(exc, exc, k, weight=any_weight, delay=DELAY, synapse=rule, name="plastic")
    net.connect(exc, inh, k, weight=J, delay=DELAY)
    net.connect(inh, cells, ns.FixedIndegree(C_INH), weight=-G * J, delay=DELAY)
    net.poisson_input(cells, rate=ETA * THETA / (J * TAU_M) * 1e3, weight=J)
    return net, exc


def run(mu: float, *, scale: float, duration: float, pieces: int, seed: int) -> Run:
    """Simulate in pieces of equal length and look at the network after each."""
    net, exc = network(mu, scale)
    cells = net.populations["cells"]
    sim = ns.Simulation(net, seed=seed, record=[ns.Spikes(cells)])
    piece, shown = duration / pieces, min(duration / pieces, 500.0)
    rows: list[tuple[np.ndarray, float]] = []
    histograms = [_histogram(sim)]
    seconds = 0.0
    for _ in range(pieces):
        began = time.perf_counter()
        sim.run(piece)
        seconds += time.perf_counter() - began
        last = sim.results.spikes["cells"].window(sim.time - shown, sim.time)
        rates = last.rates()
        cv = float(np.nanmean(last.isi_cv()))
        rows.append((np.array([rates[: exc.n].mean(), rates[exc.n :].mean()]), cv))
        histograms.append(_histogram(sim))
    return Run(
        times=np.arange(1, pieces + 1) * piece * 1e-3,
        rates=np.array([r for r, _ in rows]),
        cv=np.array([c for _, c in rows]),
        histograms=np.array(histograms),
        weights=sim.weights("plastic").weight / W_MAX,
        spikes=last,
        factor=seconds / (duration * 1e-3),
    )


def _histogram(sim: ns.Simulation) -> np.ndarray:
    weights = sim.weights("plastic").weight / W_MAX
    return np.histogram(weights, BINS)[0] / weights.size


def bimodality(run: Run) -> float:
    """Return the share of weights in the outer fifths over that in the middle fifth (1: flat)."""
    share = run.histograms[-1].reshape(5, -1).sum(axis=1)
    return float(0.5 * (share[0] + share[-1]) / share[2])


def draw(runs: dict[str, Run], path: Path) -> None:
    """Write the figure: for each rule weights over time and at the end, rates and CV."""
    figure = Figure(figsize=(11.0, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[1.35, 1.0, 1.0])
    for row, (name, found) in enumerate(runs.items()):
        ax = figure.add_subplot(grid[row, 0])
        end = found.times[-1]
        image = ax.imshow(
            found.histograms.T * len(BINS[1:]), origin="lower", aspect="auto", cmap="magma",
            extent=(0.0, end, 0.0, 1.0), vmin=0.0, vmax=4.0,
        )  # fmt: skip
        figure.colorbar(image, ax=ax, label="density", extend="max")
        ax.set(xlabel="time [s]", ylabel="w / W_max", title=f"{name}: weights over time")

        ax = figure.add_subplot(grid[row, 1])
        color = ns.plot.PALETTE[row]
        ax.hist(found.weights, 50, range=(0.0, 1.0), density=True, color=color)
        ax.set(xlabel="w / W_max", ylabel="density", title=f"after {end:g} s")

        ax = figure.add_subplot(grid[row, 2])
        for k, label in enumerate(("excitatory", "inhibitory")):
            ax.plot(found.times, found.rates[:, k], color=ns.plot.PALETTE[k], label=label)
        ax.set(xlabel="time [s]", ylabel="rate [Hz]", title=f"CV at the end: {found.cv[-1]:.2f}")
        ax.set_ylim(0.0, 1.3 * max(r.rates.max() for r in runs.values()))
        ax.legend(frameon=False, loc="lower right")
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> dict[str, Run]:
    """Run the example and return what was found for each rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/stdp_network"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0: 10,000 neurons")
    parser.add_argument("--seconds", type=float, default=30.0, help="model time of each network")
    parser.add_argument("--quick", action="store_true", help="1,000 neurons, 6 s")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    scale, seconds = (0.1, 6.0) if options.quick else (options.scale, options.seconds)
    pieces = min(30, max(5, int(seconds)))
    duration = round(seconds * 1e4 / pieces) * pieces * 0.1

    print("rule            synapses  rates E, I [Hz]    CV  mean w/W_max  outer/middle  s/model s")
    runs = {}
    for name, mu in RULES.items():
        found = run(mu, scale=scale, duration=duration, pieces=pieces, seed=options.seed)
        runs[name] = found
        exc, inh = found.rates[-1]
        print(
            f"{name:14s} {found.weights.size:9,d} {exc:8.1f} {inh:7.1f} {found.cv[-1]:6.2f} "
            f"{found.weights.mean():13.3f} {bimodality(found):13.2f} {found.factor:10.2f}"
        )
    draw(runs, options.out / "stdp_network.png")
    print(f"\nPlastic synapses only are counted; the figure is {options.out / 'stdp_network.png'}")
    return runs


if __name__ == "__main__":
    main()
