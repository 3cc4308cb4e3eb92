"""A neuron model written by the user, in ten lines.

The adaptive quadratic integrate-and-fire neuron with white noise is not built in: parameters,
equations, threshold and reset are declared as text, checked for units, and compiled like any other
model. You will see its membrane potential and adaptation after a current step, and how noise
smooths the onset of its rate-current curve.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns


class adaptive_quadratic(ns.NeuronModel):
    tau_m = ns.param(10.0, "ms", gt=0, doc="time constant at rest")
    tau_w = ns.param(100.0, "ms", gt=0, doc="time constant of adaptation")
    V_r = ns.param(-65.0, "mV", doc="resting potential")
    V_c = ns.param(-50.0, "mV", doc="critical potential, above which the neuron fires")
    R = ns.param(0.1, "GOhm", gt=0, doc="membrane resistance")
    w_jump = ns.param(2.0, "mV", ge=0, doc="jump of adaptation at a spike")
    sigma = ns.param(0.0, "mV", ge=0, doc="strength of the noise")
    I_e = ns.param(0.0, "pA", doc="input current")
    V_m = ns.state("mV", init="V_r")
    equations = """
        dV_m/dt = ((V_m - V_r)*(V_m - V_c)/(V_c - V_r) - w + R*I_e)/tau_m + noise : mV
        dw/dt   = -w/tau_w : mV
        noise   = sigma*sqrt(2/tau_m)*xi
    """
    receptors = {"in": "V_m += weight"}
    threshold = "V_m >= 0[mV]"
    reset = "V_m = V_r; w += w_jump"
    method = "heun"


def step_response() -> ns.Results:
    """Return potential and adaptation of a quiet and a noisy neuron after a current step."""
    net = ns.Network()
    cells = net.population(2, adaptive_quadratic(sigma=np.array([0.0, 1.0])), name="cells")
    net.inject(cells, ns.StepCurrent(times=[100.0, 400.0], values=[100.0, 0.0]))
    record = [ns.Spikes(cells), ns.State(cells, ["V_m", "w"], interval=0.1)]
    return ns.simulate(net, 500.0, seed=1, record=record)


def rate_curve(sigma: float, currents: np.ndarray, duration: float, seed: int) -> np.ndarray:
    """Return the rate [Hz] of a neuron at each current."""
    net = ns.Network()
    cells = net.population(len(currents), adaptive_quadratic(sigma=sigma, I_e=currents), name="c")
    return ns.simulate(net, duration, seed=seed, record=[ns.Spikes(cells)]).spikes["c"].rates()


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Run the example and return the lowest currents that make the neuron fire [pA]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/custom_model"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="0.5 s instead of 5 s a rate")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    results = step_response()
    figure = ns.plot.traces(results.traces["cells"], spikes=results.spikes["cells"])
    figure.suptitle("adaptive quadratic neuron: 100 pA from 100 to 400 ms; neuron 1 with noise")
    figure.savefig(options.out / "custom_model_traces.png", dpi=110)

    currents = np.linspace(0.0, 120.0, 61)
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    ax = figure.add_subplot()
    onset = {}
    for sigma in (0.0, 1.0, 2.0):
        rates = rate_curve(sigma, currents, 500.0 if options.quick else 5000.0, options.seed)
        onset[f"{sigma:g}"] = float(currents[np.argmax(rates > 0)])
        ax.plot(currents, rates, label=f"noise {sigma:g} mV", color=ns.plot.PALETTE[len(onset) - 1])
        print(f"noise {sigma:g} mV: fires from {onset[f'{sigma:g}']:5.1f} pA on, "
              f"{rates[-1]:.1f} Hz at {currents[-1]:g} pA")  # fmt: skip
    ax.set_xlabel("current [pA]")
    ax.set_ylabel("rate [Hz]")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(options.out / "custom_model_rates.png", dpi=110)
    rheobase = 15.0 / 4 / 0.1  # (V_c - V_r)/(4 R): the quadratic has no root above it
    print(f"\nWithout noise theory says {rheobase:g} pA. custom_model_traces.png and "
          f"custom_model_rates.png are in {options.out}")  # fmt: skip
    return onset


if __name__ == "__main__":
    main()
