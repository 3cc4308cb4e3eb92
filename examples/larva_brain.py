"""The complete brain of a fly larva, driven through its senses.

2,952 neurons and their 110,677 connections (Winding et al. 2023) become a network of adaptive
integrate-and-fire neurons. For 400 ms every sensory neuron gets 40 random kicks a second; the
activity runs through the brain, from the sensory neurons down to the descending neurons that
leave it, and dies out after the stimulus. You will see the spikes ordered by depth, rates and
latencies of the cell classes, and what happens when one class is silenced.

Assumptions, as the connectome has synapse counts but neither transmitters nor strengths:

- Signs by cell class: local neurons (LNs) and mushroom body output neurons (MBONs) inhibit; of the
  interneurons about whose transmitters little is known (CNs, LHNs, FFNs, MB-FBNs, PNs-somato,
  pre-dVNCs, pre-dSEZs, unk) 40 % drawn at random do, homologous pairs alike (in the adult fly,
  40 % of the connections are inhibitory); all other classes excite. Two kinds of synapses have
  no fast effect: those of the modulatory MBINs, and the axo-axonic ones between KCs.
- Strengths: a neuron's weights are its synapse counts over their sum (at least 100), times
  2,000 pA. With 1,500 pA hardly any descending neuron fires, with 3,000 pA they fire at over
  100 Hz; the value between lets activity through without amplifying it (larva_silencing.png).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

DATA = Path(__file__).parent / "data" / "larva_connectome.npz"
ON, OFF, STOP = 200.0, 600.0, 800.0  # ms: stimulus, end
WEIGHT, FEWEST = 2000.0, 100  # pA for all synapses of a neuron together; least number of them
KICK, RATE = 700.0, 40.0  # pA, Hz: one kick is one spike of a resting sensory neuron
UNKNOWN = (
    "CNs", "LHNs", "FFNs", "MB-FBNs", "PNs-somato", "pre-dVNCs", "pre-dSEZs", "unk",
)  # fmt: skip
INHIBITORY = {"LNs": 1.0, "MBONs": 1.0} | dict.fromkeys(UNKNOWN, 0.4)  # share of the class
SILENCED = ("LNs", "KCs", "PNs", "LHNs", "MBONs")
GROUPS = {
    "sensory": ("sensories", "ascendings"),
    "projection": ("PNs", "PNs-somato"),
    "local": ("LNs",),
    "mushroom body": ("KCs", "MBINs", "MBONs", "FFNs", "MB-FBNs"),
    "lateral horn, CN": ("LHNs", "CNs"),
    "premotor, unk": ("pre-dVNCs", "pre-dSEZs", "unk"),
    "descending, RGN": ("dSEZs", "dVNCs", "RGNs"),
}
STATED = (
    "Signs are assumed by cell class: LNs, MBONs and 40 % of the unknown interneurons inhibit, "
    "the rest excite;\nMBIN and KC-KC synapses have no fast effect. Data: Winding et al. 2023."
)


class Larva:
    """The 2,952 neurons of the brain and their connections, with assumed signs."""

    def __init__(self) -> None:
        data = np.load(DATA)
        inside = data["in_brain_2952"]
        index = np.cumsum(inside) - 1
        kept = inside[data["pre"]] & inside[data["post"]]
        self.pre, self.post = index[data["pre"][kept]], index[data["post"][kept]]
        self.synapses = data["synapses"][kept].astype(float)
        self.cell_class, self.pair = data["cell_class"][inside], data["pair_id"][inside]
        depth = data["depth_order"][inside]
        sensory = self.cell_class == "sensories"
        self.depth = np.where(np.isnan(depth), np.where(sensory, 0.0, np.nanmedian(depth)), depth)
        self.n = len(self.depth)
        self.sign = self._signs()

    def _signs(self) -> np.ndarray:
        """Return +1 or -1 for every neuron; homologous partners get the same."""
        alone = self.pair < 0
        key = np.where(alone, self.pair.max() + 1 + np.arange(self.n), self.pair)
        draw = np.random.default_rng(0).random(key.max() + 1)[key]
        share = np.array([INHIBITORY.get(c, 0.0) for c in self.cell_class])
        return np.where(draw < share, -1.0, 1.0)

    def weights(self, total: float = WEIGHT, silenced: str = "") -> np.ndarray:
        """Return the weight of every connection [pA]; a silenced class has none."""
        source, target = self.cell_class[self.pre], self.cell_class[self.post]
        slow = (source == "MBINs") | ((source == "KCs") & (target == "KCs"))
        effective = np.where(slow, 0.0, self.synapses)
        received = np.bincount(self.post, effective, self.n)
        weight = total * effective / np.maximum(received, FEWEST)[self.post] * self.sign[self.pre]
        return np.where(source == silenced, 0.0, weight)

    def run(self, weights: np.ndarray, seed: int) -> ns.SpikeTrains:
        """Simulate the stimulus and return all spikes."""
        net = ns.Network()
        model = ns.models.alif_psc_exp(
            tau_m=20.0, C_m=100.0, E_L=-60.0, V_th=-45.0, tau_syn_ex=5.0, tau_syn_in=5.0,
            t_ref=2.0, beta=6.0, tau_a=100.0,
        )  # fmt: skip
        brain = net.population(self.n, model, name="brain")
        net.connect(brain, brain, ns.Explicit(self.pre, self.post), weight=weights, delay=1.0)
        sensory = np.flatnonzero(self.cell_class == "sensories")
        stimulus = ns.models.inhomogeneous_poisson(times=[ON, OFF], rates=[RATE, 0.0])
        world = net.population(len(sensory), stimulus, name="world")
        net.connect(world, brain[sensory], ns.OneToOne(), weight=KICK, delay=1.0)
        return ns.simulate(net, STOP, seed=seed, record=[ns.Spikes(brain)]).spikes["brain"]

    def by_class(self, values: np.ndarray) -> dict[str, float]:
        """Return the mean of a value over the neurons of each class, classes by depth."""
        classes = sorted(
            np.unique(self.cell_class), key=lambda c: self.depth[self.cell_class == c].mean()
        )
        return {str(c): float(np.mean(values[self.cell_class == c])) for c in classes}


def draw_activity(larva: Larva, spikes: ns.SpikeTrains) -> Figure:
    """Draw the raster by depth, rates by class and latency against depth."""
    figure = Figure(figsize=(11.0, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.9, 1.0])
    groups, order = {}, {}
    for name, classes in GROUPS.items():
        ids = np.flatnonzero(np.isin(larva.cell_class, classes))
        groups[name] = spikes.select(ids)
        order[name] = ids[np.argsort(larva.depth[ids], kind="stable")]
    ax = figure.add_subplot(grid[:, 0])
    ns.plot.raster(groups, ax=ax, order=order, bin=10.0)
    ax.set_title(f"{len(spikes):,} spikes; sensory input from {ON:g} to {OFF:g} ms", fontsize=10)
    ax.set_ylabel("neurons by group and depth")

    rates = larva.by_class(spikes.window(ON, OFF).rates())
    ax = figure.add_subplot(grid[0, 1])
    ax.barh(list(rates), list(rates.values()), color=[paint(c) for c in rates])
    ax.tick_params(axis="y", labelsize=7)
    ax.invert_yaxis()
    ax.set_xlabel("mean rate during the stimulus [Hz]")
    ax.set_title("cell classes, by depth", fontsize=10)

    latency = spikes.window(ON, OFF).first_spike()
    ax = figure.add_subplot(grid[1, 1])
    edges = np.linspace(0.0, 1.0, 9)
    place = np.clip(np.digitize(larva.depth, edges) - 1, 0, len(edges) - 2)
    fired = [latency[(place == k) & ~np.isnan(latency)] for k in range(len(edges) - 1)]
    ax.boxplot(
        fired, positions=edges[:-1] + 0.0625, widths=0.09, showfliers=False, manage_ticks=False
    )
    ax.set_xlabel("depth in the network (0 sensory, 1 output)")
    ax.set_ylabel("first spike after onset [ms]")
    ax.set_xlim(-0.02, 1.02)
    for ax in figure.axes[2:]:
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Brain of a fly larva: 2,952 neurons, 110,677 connections", fontsize=13)
    figure.supxlabel(STATED, fontsize=8, color="0.35")
    return figure


def paint(cell_class: str) -> str:
    """Return the colour of the group of a class."""
    group = next(k for k, classes in enumerate(GROUPS.values()) if cell_class in classes)
    return ns.plot.PALETTE[group]


def draw_silencing(
    change: dict[str, dict[str, float]], sweep: dict[float, dict[str, float]]
) -> Figure:
    """Draw the change of rates by silencing a class, and rates against the weight factor."""
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1.0])
    classes = list(next(iter(change.values())))
    image = np.array([[row[c] for c in classes] for row in change.values()])
    peak = np.abs(image).max()
    shown = left.imshow(image, cmap="RdBu_r", vmin=-peak, vmax=peak, aspect="auto")
    left.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=8)
    left.set_yticks(range(len(change)), [f"without {name}" for name in change])
    left.set_title("what silencing a class changes", fontsize=10)
    figure.colorbar(shown, ax=left, label="change of the mean rate [Hz]", shrink=0.9)
    for k, name in enumerate(("KCs", "dVNCs", "after the stimulus")):
        values = [row[name] for row in sweep.values()]
        right.plot(list(sweep), values, "o-", color=ns.plot.PALETTE[k], label=name)
    right.axvline(WEIGHT, color="0.6", linestyle=":", label="chosen")
    right.set_xlabel("summed weight of a neuron's input [pA]")
    right.set_ylabel("mean rate [Hz]")
    right.legend(framealpha=1.0, edgecolor="none", fontsize="small")
    right.spines[["top", "right"]].set_visible(False)
    right.set_title("how the weight was chosen", fontsize=10)
    figure.supxlabel(STATED, fontsize=8, color="0.35")
    return figure


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/larva_brain"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="silence one class, no weight sweep")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    larva = Larva()
    print(
        f"{larva.n:,} neurons, {len(larva.pre):,} connections, {larva.synapses.sum():,.0f} synapses"
    )
    print(f"{STATED}\nInhibitory: {np.mean(larva.sign < 0):.0%} of the neurons.\n")
    spikes = larva.run(larva.weights(), options.seed)
    rates = larva.by_class(spikes.window(ON, OFF).rates())
    latency = spikes.window(ON, OFF).first_spike()
    print("class        neurons  depth  rate [Hz]  active  first spike [ms], median")
    for name, rate in rates.items():
        ids = larva.cell_class == name
        first = latency[ids][~np.isnan(latency[ids])]
        print(
            f"{name:12s} {ids.sum():7d} {larva.depth[ids].mean():6.2f} {rate:10.1f} "
            f"{len(first) / ids.sum():7.0%} {np.median(first) if len(first) else np.nan:17.1f}"
        )
    after = spikes.window(OFF + 100.0, STOP).rate()
    print(f"\n{len(spikes):,} spikes; mean rate from 100 ms after the stimulus on: {after:.2f} Hz")

    change = {}
    for name in SILENCED[: 1 if options.quick else None]:
        found = larva.run(larva.weights(silenced=name), options.seed)
        without = larva.by_class(found.window(ON, OFF).rates())
        change[name] = {c: without[c] - rates[c] for c in rates}
        print(f"without {name:10s} dVNCs {rates['dVNCs']:5.1f} -> {without['dVNCs']:5.1f} Hz")
    sweep = {}
    for total in (WEIGHT,) if options.quick else (1000.0, 1500.0, WEIGHT, 2500.0, 3000.0):
        found = larva.run(larva.weights(total), options.seed)
        sweep[total] = larva.by_class(found.window(ON, OFF).rates())
        sweep[total]["after the stimulus"] = found.window(OFF + 100.0, STOP).rate()

    draw_activity(larva, spikes).savefig(options.out / "larva_brain.png", dpi=110)
    draw_silencing(change, sweep).savefig(options.out / "larva_silencing.png", dpi=110)
    spikes.to_sonata(options.out / "larva_spikes.h5")
    print(f"\nFigures larva_brain.png, larva_silencing.png and spikes larva_spikes.h5 (SONATA) "
          f"are in {options.out}")  # fmt: skip
    return {"spikes": len(spikes), "rates": rates, "after": after, "change": change}


if __name__ == "__main__":
    main()
