"""Make nest_glif.json: NEST's glif_psc with each combination of its flags.

Run with NEST 3.10 installed: ``python tests/models/nest_glif.py``. NEST is not needed by the tests.
"""

import json
from pathlib import Path

import numpy as np

LEVELS = {1: (0, 0, 0), 2: (1, 0, 0), 3: (0, 1, 0), 4: (1, 1, 0), 5: (1, 1, 1)}
FLAGS = ("spike_dependent_threshold", "after_spike_currents", "adapting_threshold")
DURATION = 300.0


def inputs():
    """Return times [ms], sources, weights [pA] and delays [ms] of twelve random trains."""
    rng = np.random.default_rng(7)
    times, ids = [], []
    for source in range(12):
        chosen = np.unique(rng.integers(10, int(DURATION * 10), 25)) / 10
        times += [float(round(t, 1)) for t in chosen]
        ids += [source] * chosen.size
    weights = [float(round(w, 3)) for w in np.append(rng.uniform(60, 180, 9), [-90, -60, -120])]
    delays = [float(round(d, 1)) for d in rng.integers(1, 40, 12) / 10]
    return times, ids, weights, delays


def main():
    import nest

    times, ids, weights, delays = inputs()
    result = {
        "program": f"NEST {nest.__version__}, glif_psc, dt 0.1 ms",
        "times": times, "ids": ids, "weights": weights, "delays": delays, "levels": {},
    }  # fmt: skip
    for level, on in LEVELS.items():
        nest.ResetKernel()
        nest.resolution = 0.1
        cell = nest.Create("glif_psc", params={f: bool(v) for f, v in zip(FLAGS, on, strict=True)})
        for source, (weight, delay) in enumerate(zip(weights, delays, strict=True)):
            train = [t for t, i in zip(times, ids, strict=True) if i == source]
            generator = nest.Create("spike_generator", params={"spike_times": train})
            synapse = {"weight": weight, "delay": delay, "receptor_type": 1}
            nest.Connect(generator, cell, syn_spec=synapse)
        states = ["V_m", "threshold", "ASCurrents_sum"]
        meter = nest.Create("multimeter", params={"record_from": states, "interval": 2.0})
        recorder = nest.Create("spike_recorder")
        nest.Connect(meter, cell)
        nest.Connect(cell, recorder)
        nest.Simulate(DURATION)
        events = meter.get("events")
        result["levels"][level] = {"spikes": recorder.get("events")["times"].round(1).tolist()} | {
            s: events[s].tolist() for s in states
        }
    path = Path(__file__).with_name("nest_glif.json")
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
