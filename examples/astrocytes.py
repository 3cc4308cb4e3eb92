"""Astrocytes: calcium waves from synapses, slow currents back, and a network that they lift.

Left: astrocytes at five levels of IP3; calcium is steady at low and high levels and oscillates
between, with a period of about 12 s. Middle: spikes of a presynaptic train raise the IP3 of one
astrocyte until its calcium rises in waves; each sends a slow inward current to a neuron. Right:
two networks of 1,000 adaptive neurons with the same synapses. In one, every second excitatory
synapse has an astrocyte that listens and answers (tripartite connections); as calcium rises, their
current doubles the rate of the neurons.

Parameters are those of NEST's example astrocyte_brunel_bernoulli with a tenth of the neurons and of
the inputs of each, for which IP3 per spike and the weight of the current are ten times as large.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import neurosim as ns

LEVELS = np.array([0.3, 0.4, 0.5, 0.6, 0.8])  # IP3 [uM]
SIGNAL = ns.network.tripartite.SLOW_INWARD_CURRENT


def clamped(duration: float) -> ns.Traces:
    """Return the calcium of astrocytes whose IP3 is held at each of the levels."""
    net = ns.Network()
    model = ns.models.astrocyte_lr_1994(IP3_0=LEVELS)
    cells = net.population(len(LEVELS), model, name="astrocytes", IP3=LEVELS)
    record = [ns.State(cells, ["Ca_astro"], interval=50.0)]
    return ns.simulate(net, duration, dt=2.0, record=record).traces["astrocytes"]


def driven(duration: float, rate: float) -> ns.Results:
    """Return an astrocyte that receives spikes, and the neuron that it drives."""
    net = ns.Network()
    source = net.population(1, ns.models.poisson(rate=rate), name="source")
    astrocyte = net.population(1, ns.models.astrocyte_lr_1994(), name="astrocyte")
    neuron = net.population(1, ns.models.aeif_cond_alpha(), name="neuron")
    net.connect(source, astrocyte)
    net.couple(astrocyte, neuron, signal=SIGNAL, weight=40.0, interval=10.0)
    record = [
        ns.State(astrocyte, ["IP3", "Ca_astro"], interval=50.0),
        ns.State(neuron, ["V_m"], interval=50.0),
    ]
    return ns.simulate(net, duration, dt=0.5, seed=2, record=record)


def network(n: int, duration: float, sic_weight: float, seed: int) -> ns.Results:
    """Run n adaptive neurons and as many astrocytes; without a weight the latter only listen."""
    net = ns.Network()
    model = ns.models.aeif_cond_alpha(tau_syn_ex=2.0, tau_syn_in=4.0)
    neurons = net.population(n, model, name="neurons", V_m=ns.Uniform(-70.6, -55.0))
    astrocytes = net.population(
        n, ns.models.astrocyte_lr_1994(delta_IP3=0.002), name="astrocytes", IP3=0.4
    )
    exc, inh = neurons[: 4 * n // 5], neurons[4 * n // 5 :]
    rule = ns.FixedProbability(100.0 / n)
    net.tripartite(
        exc, neurons, astrocytes, rule, p_third=0.5, pool_size=10, weight=1.0, delay=2.0,
        third_synapse=ns.models.tsodyks2(), sic_weight=sic_weight, interval=10.0,
    )  # fmt: skip
    net.connect(inh, neurons, rule, weight=-4.0)
    net.poisson_input(neurons, 2000.0)
    record = [ns.Spikes(neurons), ns.State(astrocytes, ["Ca_astro"], interval=50.0)]
    return ns.simulate(net, duration, seed=seed, record=record)


def draw(levels: ns.Traces, one: ns.Results, nets: dict[str, ns.Results]) -> Figure:
    """Draw calcium by level, the driven pair, and the rates of the networks."""
    figure = Figure(figsize=(13.0, 5.5), layout="constrained")
    axes = figure.subplots(2, 3)
    axes[0, 1].set_prop_cycle(color=ns.plot.PALETTE)
    seconds = levels.t / 1000.0
    for ax, chosen in ((axes[0, 0], [0, 2, 4]), (axes[1, 0], [1, 3])):
        for k in chosen:
            label, colour = f"IP3 {LEVELS[k]:g} uM", ns.plot.PALETTE[k]
            ax.plot(seconds, levels["Ca_astro"][:, k], label=label, color=colour)
        ax.set_ylabel("calcium [uM]")
        ax.legend(frameon=False, fontsize=8)
    axes[0, 0].set_title("IP3 held", fontsize=10)
    astrocyte, neuron = one.traces["astrocyte"], one.traces["neuron"]
    axes[0, 1].plot(astrocyte.t / 1000.0, astrocyte["IP3"][:, 0], label="IP3")
    axes[0, 1].plot(astrocyte.t / 1000.0, astrocyte["Ca_astro"][:, 0], label="calcium")
    axes[0, 1].set_ylabel("concentration [uM]")
    axes[0, 1].set_title("IP3 from spikes", fontsize=10)
    above(axes[0, 1])
    axes[1, 1].plot(neuron.t / 1000.0, neuron["V_m"][:, 0], color="0.2")
    axes[1, 1].set_ylabel("neuron's potential [mV]")
    for (name, results), colour in zip(nets.items(), ns.plot.PALETTE, strict=False):
        spikes, calcium = results.spikes["neurons"], results.traces["astrocytes"]
        edges = np.arange(0.0, spikes.t_stop + 1.0, 50.0)
        rate = np.histogram(spikes.times, edges)[0] / spikes.n / 0.05
        axes[0, 2].plot(edges[1:] / 1000.0, rate, label=name, color=colour)
        mean = calcium["Ca_astro"].mean(axis=1)
        axes[1, 2].plot(calcium.t / 1000.0, mean, label=name, color=colour)
    axes[0, 2].set_ylabel("rate [Hz]")
    axes[0, 2].set_title("network", fontsize=10)
    above(axes[0, 2])
    axes[1, 2].set_ylabel("mean calcium [uM]")
    for ax in axes.ravel():
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("time [s]")
    return figure


def above(ax: Axes) -> None:
    """Put the legend above the lines."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.2 * (high - low))
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the example and return the ranges of calcium [uM] and the rates of the networks [Hz]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/astrocytes"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="200 neurons, 2 s")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    levels = clamped(60_000.0)
    ranges = np.ptp(levels["Ca_astro"][600:], axis=0)
    for level, swing in zip(LEVELS, ranges, strict=True):
        print(f"IP3 {level:.1f} uM: calcium {'oscillates' if swing > 0.05 else 'is steady'}")
    one = driven(40_000.0, 250.0)
    n, duration = (200, 2000.0) if options.quick else (1000, 6000.0)
    nets = {
        "without astrocytes": network(n, duration, 0.0, options.seed),
        "with astrocytes": network(n, duration, 0.5, options.seed),
    }
    rates = {name: r.spikes["neurons"].rate() for name, r in nets.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.1f} Hz")
    draw(levels, one, nets).savefig(options.out / "astrocytes.png", dpi=110)
    print(f"astrocytes.png is in {options.out}")
    return {"ranges": ranges, "rates": rates}


if __name__ == "__main__":
    main()
