"""Spikes off the grid: exact spike times in continuous time, and what a grid makes of them.

Neurons with constant currents spike at times known in closed form. With ``dt=None`` the spike times
are roots of the exact membrane trajectory; on a grid every interval is rounded up to whole steps,
so that the error is proportional to dt and grows from spike to spike. You will see both, and a
trajectory that crosses the threshold between two grid points, which only continuous time notices.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import neurosim as ns

CURRENTS = np.linspace(400.0, 1000.0, 200)  # pA


def closed_form(current: float, duration: float) -> np.ndarray:
    """Return the spike times [ms] of a neuron with default parameters and a constant current."""
    cell = ns.models.iaf_psc_exp().values
    height = cell["tau_m"] / cell["C_m"] * current  # of the potential, without a threshold
    first = -cell["tau_m"] * np.log(1.0 - (cell["V_th"] - cell["E_L"]) / height)
    return np.arange(first, duration, first + cell["t_ref"])


def mean_errors(dt: float | None, duration: float) -> tuple[float, float]:
    """Return the mean error [ms] of first spikes, and of all spikes, against the closed form."""
    net = ns.Network()
    cells = net.population(CURRENTS.size, ns.models.iaf_psc_exp(I_e=CURRENTS), name="cells")
    spikes = ns.simulate(net, duration, dt=dt, record=[ns.Spikes(cells)]).spikes["cells"]
    first, every = [], []
    for i, current in enumerate(CURRENTS):
        times, exact = spikes.times[spikes.ids == i], closed_form(current, duration)
        n = min(times.size, exact.size)  # on a grid the last one may fall beyond the end
        first.append(abs(times[0] - exact[0]))
        every += list(np.abs(times[:n] - exact[:n]))
    return float(np.mean(first)), float(np.mean(every))


def hidden_spike(dt: float | None, interval: float) -> ns.Results:
    """Return the potential of a neuron that an input lifts above threshold for a moment."""
    net = ns.Network()
    model = ns.models.iaf_psc_exp(tau_syn_ex=0.3, I_e=340.0)
    cell = net.population(1, model, name="cell", V_m=-56.4)
    source = net.population(1, ns.models.spike_source(times=[2.0]), name="source")
    net.connect(source, cell, weight=1325.0, delay=2.0)
    record = [ns.Spikes(cell), ns.State(cell, ["V_m"], interval=interval)]
    return ns.simulate(net, 10.0, dt=dt, record=record)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Run the example and return the mean error [ms] for each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/continuous_time"), metavar="DIR")
    parser.add_argument("--duration", type=float, default=200.0, metavar="MS")
    parser.add_argument("--quick", action="store_true", help="50 ms")
    options = parser.parse_args(argv)
    duration = 50.0 if options.quick else options.duration
    steps = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02]
    errors = {dt: mean_errors(dt, duration) for dt in [*steps, None]}
    print("mean error of the spike times against the closed form")
    print("dt [ms]      first spikes [ms]   all spikes [ms]")
    for dt, (first, every) in errors.items():
        print(f"{'continuous' if dt is None else dt:<12} {first:<19.3g} {every:.3g}")

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        ax.set_prop_cycle(color=ns.plot.PALETTE)
    for k, label in enumerate(["first spikes", "all spikes"]):
        left.loglog(steps, [errors[dt][k] for dt in steps], "o-", label=label)
    left.loglog(steps, steps, "k:", label="dt")
    exact_error = "continuous time, all spikes"
    left.axhline(errors[None][1], color=ns.plot.PALETTE[1], ls="--", label=exact_error)
    left.set(xlabel="dt [ms]", ylabel="mean error [ms]", title="Error against the closed form")
    left.legend()
    exact, grid = hidden_spike(None, 0.01), hidden_spike(2.0, 2.0)
    for result, style, label in ((exact, "-", "continuous time"), (grid, "o--", "grid, dt = 2 ms")):
        trace = result.traces["cell"]
        right.plot(trace.t, trace["V_m"][:, 0], style, label=label)
    right.axhline(-55.0, color="k", ls=":", lw=1)
    times = exact.spikes["cell"].times
    right.plot(times, np.full(times.size, -55.0), "r*", ms=12, label="spike")
    right.set(xlabel="time [ms]", ylabel="membrane potential [mV]", ylim=(-57.0, -54.5))
    right.set_title("A spike between two steps")
    right.legend()
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "continuous_time.png", dpi=120)
    print(f"spikes of the hidden crossing: {len(exact.spikes['cell'])} in continuous time, "
          f"{len(grid.spikes['cell'])} on the grid")  # fmt: skip
    print(f"figure: {options.out / 'continuous_time.png'}")
    return {"continuous" if dt is None else str(dt): every for dt, (_, every) in errors.items()}


if __name__ == "__main__":
    main()
