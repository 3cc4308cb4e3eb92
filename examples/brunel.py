"""Four regimes of a balanced random network (Brunel 2000).

5,000 leaky neurons with delta synapses, each with 400 excitatory and 100 inhibitory inputs and
Poisson input from outside. Two numbers decide what the network does: the relative strength g of
inhibition and the external rate, eta times the rate that alone would reach the threshold. You will
see rasters of synchronous regular, fast synchronous irregular, asynchronous irregular and slow
synchronous irregular activity, and rates and irregularity beside those of an independent
simulation.

Source: N. Brunel (2000), Dynamics of sparsely connected networks of excitatory and inhibitory
spiking neurons, J. Comput. Neurosci. 8:183, doi:10.1023/A:1008925309027 (fig. 8).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

N_EXC, N_INH, C_EXC, C_INH = 4000, 1000, 400, 100
J, TAU_M, THETA, V_RESET, T_REF, DELAY = 0.25, 20.0, 20.0, 10.0, 2.0, 1.5  # mV, ms
REGIMES = {  # (g, eta): rate [Hz] and CV of intervals, plain NumPy, 0.8 s
    "synchronous regular": ((3.0, 2.0), (332.9, 0.01)),
    "fast synchronous irregular": ((6.0, 4.0), (59.8, 1.13)),
    "asynchronous irregular": ((5.0, 2.0), (41.3, 0.80)),
    "slow synchronous irregular": ((4.5, 0.9), (11.0, 0.62)),
}


def run(g: float, eta: float, duration: float, seed: int) -> ns.SpikeTrains:
    """Simulate one regime and return the spikes after 200 ms."""
    net = ns.Network()
    model = ns.models.iaf_psc_delta(
        tau_m=TAU_M, E_L=0.0, V_th=THETA, V_reset=V_RESET, t_ref=T_REF, C_m=250.0
    )
    cells = net.population(N_EXC + N_INH, model, name="cells", V_m=ns.Uniform(0.0, THETA))
    exc, inh = cells[:N_EXC], cells[N_EXC:]
    net.connect(exc, cells, ns.FixedIndegree(C_EXC), weight=J, delay=DELAY, name="exc")
    net.connect(inh, cells, ns.FixedIndegree(C_INH), weight=-g * J, delay=DELAY, name="inh")
    rate = eta * THETA / (J * TAU_M) * 1e3  # Hz, of all external sources of a neuron together
    net.poisson_input(cells, rate=rate, weight=J)
    results = ns.simulate(net, 200.0 + duration, seed=seed, record=[ns.Spikes(cells)])
    return results.spikes["cells"].window(200.0, 200.0 + duration)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Run the example and return the rate of each regime."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/brunel"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="200 ms instead of 800 ms")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    figure = Figure(figsize=(11.0, 7.5), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    print("regime                         g   eta  rate [Hz]  reference   CV  reference")
    rates = {}
    for k, (name, ((g, eta), (rate, cv))) in enumerate(REGIMES.items()):
        spikes = run(g, eta, 200.0 if options.quick else 800.0, options.seed)
        rates[name] = spikes.rate()
        print(
            f"{name:27s} {g:4.1f} {eta:5.1f} {spikes.rate():10.1f} {rate:10.1f} "
            f"{np.nanmean(spikes.isi_cv()):5.2f} {cv:10.2f}"
        )
        ax = figure.add_subplot(grid[k // 2, k % 2])
        end = spikes.t_start + (50.0 if k == 0 else 200.0)
        shown = spikes.window(spikes.t_start, end)
        ns.plot.raster(shown, ax=ax, order=shown.neuron_ids[::84], bin=0.5)
        ax.set_ylabel("neuron")
        ax.set_title(f"{name}: g = {g:g}, eta = {eta:g}, {spikes.rate():.0f} Hz", fontsize=10)
    figure.suptitle("Four regimes of the balanced random network (60 of 5,000 neurons)")
    figure.savefig(options.out / "brunel.png", dpi=110)
    print(f"\nThe rasters are in {options.out / 'brunel.png'}")
    return rates


if __name__ == "__main__":
    main()
