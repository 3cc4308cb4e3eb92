"""Taste in the brain of the adult fly, after Shiu et al. (2024).

127,400 leaky neurons, wired as in the FlyWire connectome (14.7 million connections), are silent
until 21 sugar-sensing neurons are stimulated; about 400 neurons answer, among them the motor neuron
MN9 that extends the proboscis. You will see who fires, when, and how the rates compare with the
published ones. Only a few hundred neurons are ever active: the event-driven engine runs faster than
real time.

The wiring (87 MB) cannot be shipped: give its path with `--connectivity` or fetch it with
`--download` (reading it needs pandas and pyarrow). Ids and published results come from `--data`.
Without the wiring a SURROGATE network takes its place, with the published numbers of neurons,
connections and synapses, but connected at random: its neurons have no meaning.

Source: P. K. Shiu et al. (2024), A Drosophila computational brain model reveals sensorimotor
processing, Nature 634:210, doi:10.1038/s41586-024-07763-9;
github.com/philshiu/Drosophila_brain_model.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _fly_surrogate import N_STIMULATED, N, draw_edges
from matplotlib.figure import Figure

import neurosim as ns

COMMIT = "91bdd1e7dcf193f3e7ca5a8933497fcef63b7960"
FILE = "2023_03_23_connectivity_630_final.parquet"
URL = f"https://github.com/philshiu/Drosophila_brain_model/raw/{COMMIT}/{FILE}"
SHA256 = "94db8c650533bc36ffa3223f2e62325d5648b8d6bd31c3a4e1c804628c7557b3"
DATA = Path(__file__).resolve().parents[2] / "shared/data/connectomes/fly_shiu2024"
COLUMNS = ("Presynaptic_Index", "Postsynaptic_Index", "Excitatory x Connectivity")
DURATION, DELAY, JUMP, KICK = 1000.0, 1.8, 0.275, 68.75  # ms, ms, mV a synapse, mV
# tuned so that about 400 neurons fire at 100 Hz
SURROGATE = {"seed": 1234, "group": 430, "local_share": 0.46, "preference": 0.4}
ACTIVE, SPIKES = 404, 9635.8  # published for the real wiring at 100 Hz, mean of 30 trials


class fly_lif(ns.NeuronModel):
    """Leaky neuron whose states stand still, and whose input is lost, while it is refractory."""

    tau_m = ns.param(20.0, "ms", gt=0, doc="membrane time constant")
    tau_g = ns.param(5.0, "ms", gt=0, doc="synaptic time constant")
    v_0 = ns.param(-52.0, "mV", doc="resting potential")
    v_reset = ns.param(-52.0, "mV", doc="reset potential")
    v_th = ns.param(-45.0, "mV", doc="threshold")
    t_ref = ns.param(2.2, "ms", ge=0, doc="refractory time")
    v = ns.state("mV", init="v_0")
    g = ns.state("mV", init=0.0)
    equations = """
        dv/dt = (v_0 - v + g)/tau_m : mV
        dg/dt = -g/tau_g : mV
    """
    receptors = {"exc": "g += weight", "kick": "v += weight"}
    threshold = "v > v_th"
    reset = "v = v_reset; g = 0"
    refractory = ns.Refractory("t_ref", hold=["v", "g"], ignore=["exc"])


@dataclass
class Wiring:
    """Who is connected to whom, with signed numbers of synapses, and who is stimulated."""

    pre: np.ndarray
    post: np.ndarray
    synapses: np.ndarray
    n: int
    stimulated: np.ndarray
    ids: np.ndarray | None = None  # FlyWire ids; None for the surrogate

    @property
    def label(self) -> str:
        """What the wiring is, for titles."""
        return "FlyWire connectome" if self.ids is not None else "SURROGATE wiring (random)"


def read_wiring(path: Path, data: Path, version: str, group: str) -> Wiring:
    """Read the published table of connections and the ids of the stimulated neurons."""
    pandas = ns.errors.require("pandas", "analysis", "fly_brain.py --connectivity")
    try:
        table = pandas.read_parquet(path, columns=list(COLUMNS))
    except ImportError as error:
        raise ns.errors.MissingPackageError(
            f"reading {path} needs pyarrow ({error}). Try: pip install pyarrow"
        ) from error
    ids, groups = published_ids(data, version)
    stimulated = np.array([k for k in groups[f"index_{version}"][group] if k >= 0])
    return Wiring(*(table[c].to_numpy() for c in COLUMNS), len(ids), stimulated, ids)


def published_ids(data: Path, version: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the FlyWire id of every neuron and the groups of neurons."""
    if not (data / "neuron_ids.npz").exists():
        raise SystemExit(f"{data} has no neuron_ids.npz: say with --data where the ids are.")
    groups = json.loads((data / "neuron_groups.json").read_text())
    return np.load(data / "neuron_ids.npz")[version], groups


def build(wiring: Wiring, rate: float) -> ns.Network:
    """Return the network with the stimulated neurons driven at `rate` [Hz]."""
    t_ref = np.full(wiring.n, 2.2)
    t_ref[wiring.stimulated] = 0.0
    net = ns.Network()
    brain = net.population(wiring.n, fly_lif(t_ref=t_ref), name="brain")
    synapses = ns.Explicit(wiring.pre, wiring.post)
    net.connect(brain, brain, synapses, weight=wiring.synapses * JUMP, delay=DELAY, receptor="exc")
    net.poisson_input(brain[wiring.stimulated], rate=rate, weight=KICK, receptor="kick")
    return net


def compare(
    wiring: Wiring, rates: np.ndarray, data: Path, version: str, run: str
) -> dict[str, Any]:
    """Print and return how the rates of the real wiring agree with the published ones."""
    ids, groups = published_ids(data, version)
    reference = np.load(data / "reference_rates.npz")
    index = {int(neuron): k for k, neuron in enumerate(ids)}
    published = np.zeros(wiring.n)
    for neuron, rate in zip(reference[f"{run}__id"], reference[f"{run}__rate"], strict=True):
        if int(neuron) in index:
            published[index[int(neuron)]] = rate
    for name in ("MN9_contralateral", "MN9_ipsilateral"):
        k = index[int(groups[name])]
        print(f"{name:18s} {rates[k]:6.1f} Hz, published {published[k]:6.1f} Hz")
    either = (rates > 0) | (published > 0)
    correlation = float(np.corrcoef(rates[either], published[either])[0, 1])
    print(f"correlation with the published rates, {either.sum()} neurons: {correlation:.3f}")
    return {"published": published, "correlation": correlation}


def draw(
    wiring: Wiring,
    spikes: ns.SpikeTrains,
    rates: np.ndarray,
    published: np.ndarray | None,
    title: str,
) -> Figure:
    """Draw the raster of the active neurons by latency, and their rates."""
    figure = Figure(figsize=(11.0, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.8, 1.0])
    first = spikes.first_spike()
    active = np.flatnonzero(~np.isnan(first))
    is_driven = np.isin(active, wiring.stimulated)
    driven, others = (
        active[part][np.argsort(first[active[part]])] for part in (is_driven, ~is_driven)
    )
    groups = {"stimulated": spikes.select(driven), "others": spikes.select(others)}
    ns.plot.raster(groups, ax=left, bin=10.0)
    left.set_ylabel(f"{len(active)} active neurons, by first spike")
    left.set_title(f"one trial: {len(spikes):,} spikes", fontsize=10)
    if wiring.ids is not None and published is not None:
        either = (rates > 0) | (published > 0)
        right.plot(published[either], rates[either], ".", color=ns.plot.PALETTE[0])
        right.plot([0, rates.max()], [0, rates.max()], color="0.6", linewidth=0.8)
        right.set_xlabel("published rate [Hz]")
        right.set_ylabel("rate here [Hz]")
    else:
        right.plot(np.sort(rates[rates > 0])[::-1], label="this SURROGATE")
        if published is not None:
            right.plot(np.sort(published[published > 0])[::-1], "--", color="0.3",
                       label="published, real wiring")  # fmt: skip
        right.legend(frameon=False)
        right.set_xlabel("active neurons, by rate")
        right.set_ylabel("rate [Hz]")
    right.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/fly_brain"), metavar="DIR")
    parser.add_argument("--connectivity", type=Path, metavar="FILE", help="parquet, as published")
    parser.add_argument("--download", action="store_true", help="fetch the wiring into --out")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NEUROSIM_DATA", DATA)),
                        metavar="DIR", help="ids, groups and published rates")  # fmt: skip
    parser.add_argument("--version", choices=("v630", "v783"), default="v630", help="of FlyWire")
    parser.add_argument("--group", default="neu_sugar", help="who is stimulated")
    parser.add_argument("--rate", type=float, default=100.0, help="of the stimulus [Hz]")
    parser.add_argument("--trials", type=int, default=1, help="published: 30")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a surrogate of a 20th of the size")
    return parser.parse_args(argv)


def trials(wiring: Wiring, rate: float, number: int, seed: int) -> tuple[np.ndarray, Any]:
    """Simulate some trials and return mean rates [Hz] and the spikes of the last trial."""
    net = build(wiring, rate)
    record = [ns.Spikes(net.populations["brain"])]
    rates, n_spikes, seconds = np.zeros(wiring.n), 0, 0.0
    began = time.perf_counter()
    for trial in range(number):
        sim = ns.Simulation(net, seed=seed + trial, record=record)
        sim.run(DURATION)
        spikes = sim.results.spikes["brain"]
        rates += spikes.rates() / number
        n_spikes += len(spikes)
        seconds += sim.counters["seconds"]["run"]
    print(
        f"{number} trial(s) of {DURATION:g} ms, {len(wiring.stimulated)} neurons stimulated at "
        f"{rate:g} Hz:\n{np.count_nonzero(rates)} neurons fire, {n_spikes / number:,.1f} spikes a "
        f"trial, the stimulated neurons fire at {rates[wiring.stimulated].mean():.1f} Hz\n"
        f"(published for the real wiring at 100 Hz: {ACTIVE} neurons, {SPIKES:,} spikes, 99.0 Hz)\n"
        f"simulated in {seconds:.2f} s, {DURATION * number / 1e3 / seconds:.1f} times faster than "
        f"real time; with building {time.perf_counter() - began:.1f} s"
    )
    return rates, spikes


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return what was found."""
    options = arguments(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.download:
        options.connectivity = ns.io.download(URL, options.out / FILE, sha256=SHA256, progress=show)
    if options.connectivity:
        wiring = read_wiring(options.connectivity, options.data, options.version, options.group)
    else:
        shrink = 20 if options.quick else 1
        edges = draw_edges(**SURROGATE, shrink=shrink)
        wiring = Wiring(*edges, N // shrink, np.arange(N_STIMULATED))
    synapses = np.abs(wiring.synapses.astype(int)).sum()
    print(f"{wiring.label}: {wiring.n:,} neurons, {len(wiring.pre):,} connections, "
          f"{synapses:,} synapses")  # fmt: skip
    rates, spikes = trials(wiring, options.rate, options.trials, options.seed)

    found: dict[str, Any] = {"active": int(np.count_nonzero(rates)), "published": None}
    run = {100.0: "sugarR_100Hz", 200.0: "sugarR"}.get(options.rate)
    if run and options.group == "neu_sugar" and (options.data / "reference_rates.npz").exists():
        if wiring.ids is not None:
            found |= compare(wiring, rates, options.data, options.version, run)
        else:
            found["published"] = np.load(options.data / "reference_rates.npz")[f"{run}__rate"]
    title = f"Adult fly, {wiring.label}: {len(wiring.stimulated)} neurons at {options.rate:g} Hz"
    figure = draw(wiring, spikes, rates, found["published"], title)
    figure.savefig(options.out / "fly_brain.png", dpi=110)
    print(f"The figure is {options.out / 'fly_brain.png'}")
    return found


def show(done: int, total: int | None) -> None:
    """Print the progress of the download in one line."""
    print(f"\r{done / 1e6:.0f} of {(total or 0) / 1e6:.0f} MB", end="", flush=True)


if __name__ == "__main__":
    main()
