"""The cortical microcircuit of Potjans & Diesmann (2014), at any scale.

Four cortical layers with an excitatory and an inhibitory population each: 77,169 neurons and 299
million synapses under one square millimetre of cortex at full scale. You will see a raster, and
rates and irregularity of the eight populations beside the published ones.

`--scale` shrinks the numbers of neurons and of synapses a neuron alike; weights then grow by the
inverse root and a direct current replaces the lost mean input, which keeps the rates. `--drive dc`
replaces the Poisson input by its mean; use it at full scale only, a small network may fall silent
(at 10 % it does). Full scale takes 4 GB of memory (2.7 GB with `--precision float32`) and shows a
progress bar.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

DATA = Path(__file__).parent / "data" / "potjans_diesmann_2014.json"
DT, START = 0.1, 500.0  # ms; spikes before START are not counted
REFERENCE_10 = (0.45, 2.09, 3.96, 5.03, 6.65, 7.80, 0.87, 6.99)  # Hz, NumPy, scale 0.1, 2 seeds


class Microcircuit:
    """The published numbers at one scale of neurons and in-degrees."""

    def __init__(self, scale: float, drive: str) -> None:
        self.facts: dict[str, Any] = json.loads(DATA.read_text())
        synapse, root = self.facts["synapse"], np.sqrt(scale)
        self.names = self.facts["populations"]
        self.published = self.facts["reference_mean_rates_hz"][
            "reference_implementation_full_scale_single_run"
        ]
        full = np.array(self.facts["num_synapses_rows_are_targets"])
        k_ext = np.array(self.facts["K_ext"])
        weight = np.tile([synapse["PSC_exc_pA"], synapse["g"] * synapse["PSC_exc_pA"]], (8, 4))
        weight[0, 2] *= synapse["PSP_L4E_to_L23E_factor"]
        tau_syn = self.facts["neuron"]["tau_syn_ms"] * 1e-3  # s, as rates are in Hz
        rate_ext = self.facts["bg_rate_hz"]
        external = tau_syn * rate_ext * k_ext * synapse["PSC_exc_pA"]
        indegree = full / np.array(self.facts["num_neurons"])[:, None]
        internal = tau_syn * (weight * indegree * self.published).sum(1)
        self.sizes = np.round(np.array(self.facts["num_neurons"]) * scale).astype(int)
        self.synapses = np.round(full * scale**2).astype(int)
        self.weight, self.weight_ext = weight / root, synapse["PSC_exc_pA"] / root
        self.n_ext = np.round(k_ext * scale).astype(int) if drive == "poisson" else np.zeros(8, int)
        self.I_e = (1.0 - root) * internal + (1.0 - root * (drive == "poisson")) * external

    def network(self) -> ns.Network:
        """Return the description of the network."""
        net, cell, synapse = ns.Network(), self.facts["neuron"], self.facts["synapse"]
        model = ns.models.iaf_psc_exp(
            C_m=cell["C_m_pF"], tau_m=cell["tau_m_ms"], E_L=cell["E_L_mV"], V_th=cell["V_th_mV"],
            V_reset=cell["V_reset_mV"], t_ref=cell["t_ref_ms"], tau_syn_ex=cell["tau_syn_ms"],
            tau_syn_in=cell["tau_syn_ms"],
        )  # fmt: skip
        start = cell["V0"]["optimized"]
        cells = [
            net.population(
                int(n), model.replace(I_e=float(I_e)), name=name, V_m=ns.Normal(mean, std)
            )
            for name, n, I_e, mean, std in zip(
                self.names, self.sizes, self.I_e, start["mean_mV"], start["sd_mV"], strict=True
            )
        ]
        for target, n in zip(cells, self.n_ext, strict=True):
            net.poisson_input(
                target, rate=self.facts["bg_rate_hz"], n=int(n), weight=self.weight_ext
            )
        delays = (synapse["delay_exc_mean_ms"], synapse["delay_inh_mean_ms"])
        for t, s in np.argwhere(self.synapses > 0):
            w, d = float(self.weight[t, s]), delays[s % 2]
            bound = {"low": 0.0} if w > 0 else {"high": 0.0}
            net.connect(
                cells[s], cells[t], ns.FixedTotalNumber(int(self.synapses[t, s])),
                weight=ns.Normal(w, synapse["weight_rel_std"] * abs(w), **bound),
                delay=ns.Normal(d, synapse["delay_rel_std"] * d, low=DT / 2),
            )  # fmt: skip
        return net


def draw(spikes: dict[str, ns.SpikeTrains], circuit: Microcircuit, title: str) -> Figure:
    """Draw a raster of part of the neurons, and rates and irregularity beside the published."""
    figure = Figure(figsize=(11.0, 6.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.8, 1.0])
    ax = figure.add_subplot(grid[:, 0])
    start = next(iter(spikes.values())).t_start
    stop = min(start + 400.0, next(iter(spikes.values())).t_stop)
    every = max(1, int(circuit.sizes.sum()) // 2000)
    order = {name: np.arange(trains.n)[::every] for name, trains in spikes.items()}
    shown = {name: trains.window(start, stop) for name, trains in spikes.items()}
    ns.plot.raster(shown, ax=ax, order=order, bin=5.0, max_points=10_000_000)
    ax.set_title(f"one of {every} neurons" if every > 1 else "all neurons", fontsize=10)
    ax.set_ylabel("")
    colors = ns.plot.PALETTE
    place = np.arange(8)
    ax = figure.add_subplot(grid[0, 1])
    ax.bar(place, [trains.rate() for trains in spikes.values()], color=colors, label="here")
    ax.plot(
        place, circuit.published, "_", color="0.3", markersize=22, label="published, full scale"
    )
    ax.set_ylabel("mean rate [Hz]")
    ax.legend(frameon=False, fontsize="small", handles=ax.get_lines())
    below = figure.add_subplot(grid[1, 1])
    for k, trains in enumerate(spikes.values()):
        cv = trains.isi_cv(min_intervals=3)
        below.boxplot(cv[~np.isnan(cv)], positions=[k], widths=0.6, showfliers=False,
                      medianprops={"color": colors[k]}, manage_ticks=False)  # fmt: skip
    below.set_ylabel("CV of inter-spike intervals")
    for panel in (ax, below):
        panel.set_xticks(place, circuit.names)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Run the example and return the rate of every population [Hz]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out/cortical_microcircuit"), metavar="DIR"
    )
    parser.add_argument("--scale", type=float, default=0.1, help="of neurons and in-degrees")
    parser.add_argument("--drive", choices=("poisson", "dc"), default="poisson")
    parser.add_argument("--duration", type=float, default=2000.0, help="counted model time [ms]")
    parser.add_argument("--precision", choices=("float32", "float64"), default="float64")
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="scale 0.1, 500 ms")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    scale, duration = (0.1, 500.0) if options.quick else (options.scale, options.duration)

    circuit = Microcircuit(scale, options.drive)
    net = circuit.network()
    n, n_synapses = circuit.sizes.sum(), circuit.synapses.sum()
    print(f"{n:,} neurons, {n_synapses:,} synapses, {options.drive} drive")
    engine = ns.CPU(precision=options.precision, threads=options.threads)
    record = [ns.Spikes(population) for population in net.populations.values()]
    sim = ns.Simulation(net, dt=DT, seed=options.seed, record=record, engine=engine)
    sim.run(START + duration, progress=True)
    spikes = {
        name: sim.results.spikes[name].window(START, START + duration) for name in circuit.names
    }
    reference = [f"{r:.2f}" for r in REFERENCE_10] if scale == 0.1 else ["-"] * 8
    print("population  rate [Hz]  NumPy at 10 %  published, full scale    CV")
    rates = {}
    for (name, trains), near, full in zip(
        spikes.items(), reference, circuit.published, strict=True
    ):
        rates[name] = trains.rate()
        cv = trains.isi_cv(min_intervals=3)
        shown = f"{np.nanmean(cv):.2f}" if not np.isnan(cv).all() else "-"
        print(f"{name:10s} {trains.rate():10.2f} {near:>14s} {full:22.2f} {shown:>5s}")
    seconds = sim.counters["seconds"]
    print(
        f"\nbuilt in {seconds['build']:.1f} s, {sim.time:g} ms took {seconds['run']:.1f} s: "
        f"real-time factor {seconds['run'] / sim.time * 1e3:.2f}, "
        f"{sim.counters['synaptic_events'] / seconds['run']:,.0f} synaptic events a second"
    )
    if options.drive == "dc" and scale < 1:
        print(
            "A constant drive holds the published state at full scale only; a small network may "
            "fall silent."
        )
    title = f"Cortical microcircuit, {scale:.0%} of neurons and in-degrees, {options.drive} drive"
    draw(spikes, circuit, title).savefig(options.out / "cortical_microcircuit.png", dpi=110)
    print(f"The figure is {options.out / 'cortical_microcircuit.png'}")
    return rates


if __name__ == "__main__":
    main()
