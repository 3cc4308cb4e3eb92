"""Gentle touch in the nervous system of the worm C. elegans.

The 281 neurons and 2,309 chemical connections of Varshney et al. (2011) become a network of
adaptive integrate-and-fire neurons, and the touch receptor neurons (ALM and AVM in front, PLM
behind) are stimulated for 500 ms. You will see the activity pass to the command interneurons (AVA,
AVD, AVE for backward, AVB, PVC for forward movement) and on to the motor neurons of the ventral
cord, in bursts that adaptation ends.

Assumptions: the 35 GABA neurons inhibit and all others excite (glutamate inhibits at some synapses
of the worm); a synapse has a weight of 30 pA, with which activity reaches the motor neurons and
ends with the stimulus (25 pA: weak, 60 pA: it never ends). Real neurons of the worm rarely fire
spikes. Gap junctions, which carry much of this reflex, are left out unless ``--gap-junctions G``
gives each of them a conductance [nS]: without the shape of spikes they only draw charge from the
neurons that are excited, so that 0.1 nS halves the rates and 1 nS keeps the motor neurons silent.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

DATA = Path(__file__).parent / "data" / "celegans_varshney2011.npz"
ON, OFF, STOP = 100.0, 600.0, 800.0  # ms
WEIGHT, KICK, RATE = 30.0, 800.0, 100.0  # pA a synapse, pA, Hz
TOUCH = {"anterior": ("ALM", "AVM"), "posterior": ("PLM",), "both": ("ALM", "AVM", "PLM")}
GROUPS = {
    "touch": ("ALM", "AVM", "PLM"),
    "command, backward": ("AVA", "AVD", "AVE"),
    "command, forward": ("AVB", "PVC"),
    "motor, backward (A)": ("VA", "DA"),
    "motor, forward (B)": ("VB", "DB"),
    "motor, other (AS)": ("AS",),
    "motor, GABA (D)": ("VD", "DD"),
}
STATED = "Signs are assumed: GABA neurons inhibit, all others excite."


def members(cells: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return the ids of the cells whose name is one of `names` plus a side or a number."""
    pattern = re.compile(rf"({'|'.join(names)})(L|R|\d+)?")
    return np.array([k for k, cell in enumerate(cells) if pattern.fullmatch(cell)])


def run(data: Any, stimulated: np.ndarray, weight: float, g: float, seed: int) -> ns.SpikeTrains:
    """Simulate the worm's nervous system and return all spikes."""
    sign = np.where(data["transmitter"] == "GABA", -1.0, 1.0)
    pre = data["chem_pre"].astype(np.int64)
    net = ns.Network()
    model = ns.models.alif_psc_exp(
        C_m=100.0, E_L=-60.0, V_th=-45.0, tau_syn_ex=5.0, tau_syn_in=5.0, beta=10.0, tau_a=100.0
    )
    worm = net.population(len(sign), model, name="worm")
    synapses = ns.Explicit(pre, data["chem_post"].astype(np.int64))
    net.connect(worm, worm, synapses, weight=weight * data["chem_weight"] * sign[pre], delay=1.0)
    if g > 0:
        a, b = data["gap_a"].astype(np.int64), data["gap_b"].astype(np.int64)
        others = a != b  # a few are listed between a neuron and itself
        pairs = ns.Explicit(a[others], b[others])
        net.gap_junctions(worm, worm, pairs, g=g * data["gap_weight"][others])
    touch = ns.models.inhomogeneous_poisson(times=[ON, OFF], rates=[RATE, 0.0])
    skin = net.population(len(stimulated), touch, name="skin")
    net.connect(skin, worm[stimulated], ns.OneToOne(), weight=KICK, delay=1.0)
    return ns.simulate(net, STOP, seed=seed, record=[ns.Spikes(worm)]).spikes["worm"]


def draw(groups: dict[str, ns.SpikeTrains], title: str, stated: str) -> Figure:
    """Draw the raster of the groups, their rates and latencies."""
    figure = Figure(figsize=(11.0, 6.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2.2, 1.0])
    ns.plot.raster(groups, ax=left, bin=10.0)
    left.set_title(title, fontsize=10)
    left.set_ylabel("")
    ns.plot.first_spike_latency(
        {name: trains.window(ON, OFF) for name, trains in groups.items()}, ax=right
    )
    right.set_xlim(0.0, 100.0)
    right.get_legend().remove()  # the colours are those of the raster
    right.set_title("who has fired", fontsize=10)
    figure.supxlabel(stated, fontsize=8, color="0.35")
    return figure


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return the rate of each group [Hz]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/worm"), metavar="DIR")
    parser.add_argument("--touch", choices=TOUCH, default="both")
    parser.add_argument("--weight", type=float, default=WEIGHT, help="of one synapse [pA]")
    parser.add_argument(
        "--gap-junctions", type=float, default=0.0, metavar="G", help="of one junction [nS]"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="no effect: it is quick anyway")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    data = np.load(DATA)
    stimulated = members(data["cell"], TOUCH[options.touch])
    g = options.gap_junctions
    spikes = run(data, stimulated, options.weight, g, options.seed)
    stated = f"{STATED} {f'Gap junctions of {g:g} nS.' if g else 'No gap junctions.'}"
    groups = {name: spikes.select(members(data["cell"], g)) for name, g in GROUPS.items()}
    print(f"{spikes.n} neurons, {len(data['chem_pre']):,} chemical connections. {stated}")
    print(f"Touch ({options.touch}): " + ", ".join(data["cell"][stimulated]) + "\n")
    print("group                 neurons  rate [Hz]  first spike [ms]")
    rates = {}
    for name, trains in groups.items():
        during = trains.window(ON, OFF)
        rates[name] = during.rate()
        first = during.first_spike()
        fastest = f"{np.nanmin(first):17.1f}" if len(during) else "              none"
        print(f"{name:21s} {trains.n:7d} {during.rate():10.1f} {fastest}")
    active = np.count_nonzero(spikes.rates())
    title = f"touch from {ON:g} to {OFF:g} ms: {active} of {spikes.n} neurons fire"
    draw(groups, title, stated).savefig(options.out / "worm.png", dpi=110)
    spikes.to_csv(options.out / "worm_spikes.csv")
    after = spikes.window(OFF + 100.0, STOP).rate()
    print(f"\n{active} neurons fire; from 100 ms after the stimulus on {after:.2f} Hz.")
    print(f"worm.png and worm_spikes.csv are in {options.out}")
    return rates


if __name__ == "__main__":
    main()
