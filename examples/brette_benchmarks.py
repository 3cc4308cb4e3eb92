"""The four benchmark networks of Brette et al. (2007), side by side.

4,000 neurons, 3,200 of them excitatory, connected at random with 2 % probability and without any
input, keep each other active: with conductances (COBA), currents (CUBA), Hodgkin-Huxley neurons
(COBAHH) or mere jumps of the voltage. You will see a raster of each and a table of rates and
irregularity beside those of an independent simulation. The COBA network may fall silent, depending
on the seed: the example tries up to five.

Source: R. Brette et al. (2007), Simulation of networks of spiking neurons, J. Comput. Neurosci.
23:349, doi:10.1007/s10827-007-0038-6.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

N, N_EXC, P, DELAY, DT = 4000, 3200, 0.02, 0.1, 0.1  # delay and step in ms
REFERENCE = {  # mean rate [Hz] and CV of intervals in plain NumPy runs of 1 s without delay
    "CUBA": ((5.3, 5.8), 0.53),
    "COBA": ((15.0, 25.0), 1.57),
    "COBAHH": ((30.0, 39.0), 2.1),
    "voltage jump": ((9.5, 9.7), 0.38),
}
LEAKY = {"tau_m": 20.0, "C_m": 200.0, "E_L": -49.0, "V_th": -50.0, "V_reset": -60.0, "t_ref": 5.0}
REVERSAL = {"C_m": 200.0, "g_L": 10.0, "E_L": -60.0, "E_ex": 0.0, "E_in": -80.0}
DECAY = {"tau_syn_ex": 5.0, "tau_syn_in": 10.0}


def parts(name: str, rng: np.random.Generator) -> tuple[Any, float, float, dict[str, np.ndarray]]:
    """Return the model, the weights of both kinds of synapses and the initial state."""
    uniform = {"V_m": rng.uniform(-60.0, -50.0, N)}
    conductances = {
        "g_ex": np.maximum(10.0 * rng.normal(4.0, 1.5, N), 0.0),
        "g_in": np.maximum(10.0 * rng.normal(20.0, 12.0, N), 0.0),
    }
    if name == "CUBA":  # jumps of 1.62 and -9 mV times C_m/tau_m are 16.2 and -90 pA
        return ns.models.iaf_psc_exp(**LEAKY, **DECAY), 16.2, -90.0, uniform
    if name == "voltage jump":
        return ns.models.iaf_psc_delta(**LEAKY), 0.25, -2.25, uniform
    if name == "COBA":
        model = ns.models.iaf_cond_exp(
            **REVERSAL, **DECAY, V_th=-50.0, V_reset=-60.0, t_ref=5.0, method="exponential_euler"
        )
        return model, 6.0, -67.0, uniform | conductances
    model = ns.models.hh_cond_exp_traub(**REVERSAL, **DECAY, t_ref=3.0, method="exponential_euler")
    return model, 6.0, -67.0, {"V_m": rng.normal(-65.0, 5.0, N)} | conductances


def run(name: str, duration: float, seed: int) -> ns.Results:
    """Build and simulate one of the networks."""
    model, w_ex, w_in, start = parts(name, np.random.default_rng(seed))
    net = ns.Network()
    cells = net.population(N, model, name="cells", **start)
    rule = ns.FixedProbability(P)
    net.connect(cells[:N_EXC], cells, rule, weight=w_ex, delay=DELAY, name="exc")
    net.connect(cells[N_EXC:], cells, rule, weight=w_in, delay=DELAY, name="inh")
    return ns.simulate(net, duration, dt=DT, seed=seed, record=[ns.Spikes(cells)])


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/brette_benchmarks"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="200 ms instead of 1 s, no COBAHH")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    duration = 200.0 if options.quick else 1000.0
    names = [name for name in REFERENCE if not (options.quick and name == "COBAHH")]

    figure = Figure(figsize=(11.0, 7.5), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    print("network       seed  rate [Hz]  reference    CV  reference  events/s of model  run [s]")
    found: dict[str, float] = {}
    for k, name in enumerate(names):
        for seed in range(options.seed, options.seed + 5):
            began = time.perf_counter()
            results = run(name, duration, seed)
            spikes, seconds = results.spikes["cells"], time.perf_counter() - began
            alive = spikes.window(0.8 * duration, duration).rate() > 0
            low, high = REFERENCE[name][0]
            events = results.counters["synaptic_events"] / duration * 1e3
            cv = np.nanmean(spikes.isi_cv()) if alive else np.nan
            print(
                f"{name:13s} {seed:4d} {spikes.rate():10.2f}  {low:4.1f}-{high:4.1f} "
                f"{cv:7.2f} {REFERENCE[name][1]:10.2f} {events:18,.0f} {seconds:8.2f}"
                + ("" if alive else "  fell silent")
            )
            if alive:
                break
        found[name] = spikes.rate()
        ax = figure.add_subplot(grid[k // 2, k % 2])
        groups = {"exc": spikes.select(range(N_EXC)), "inh": spikes.select(range(N_EXC, N))}
        few = {group: trains.neuron_ids[::10] for group, trains in groups.items()}
        ns.plot.raster(groups, ax=ax, order=few, bin=5.0, max_points=1_000_000)
        ax.set_ylabel("")
        ax.set_title(f"{name}: {spikes.rate():.1f} Hz, every 10th neuron", fontsize=10)
    figure.suptitle("Benchmark networks of Brette et al. (2007)")
    figure.savefig(options.out / "brette_benchmarks.png", dpi=110)
    print("\nrun: with building, and with loading or compiling the kernels, most of the first.")
    print(f"The rasters are in {options.out / 'brette_benchmarks.png'}")
    return found


if __name__ == "__main__":
    main()
