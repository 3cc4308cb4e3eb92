"""Make nest_mc.npz: NEST's iaf_cond_alpha_mc with input to every compartment.

Run with NEST 3.10 installed: ``python tests/models/nest_mc.py``. NEST is not needed by the tests.
"""

from pathlib import Path

import numpy as np

RECEPTORS = [f"{c}_{kind}" for c in ("soma", "proximal", "distal") for kind in ("exc", "inh")]
STATES = [f"{s}.{c}" for s in ("V_m", "g_ex", "g_in") for c in "spd"]
#: Parameters of the two cases: NEST's defaults with currents, and all of them different.
CASES = {
    "currents": {"soma": {"I_e": 120.0}, "proximal": {"I_e": 30.0}, "distal": {"I_e": 60.0}},
    "changed": {
        "V_th": -52.0, "V_reset": -62.0, "t_ref": 3.0, "g_sp": 12.0, "g_pd": 8.0,
        "soma": {"C_m": 180.0, "g_L": 12.0, "E_L": -68.0, "tau_syn_ex": 0.8, "tau_syn_in": 3.0},
        "proximal": {"C_m": 60.0, "g_L": 4.0, "E_L": -66.0, "E_ex": 5.0, "E_in": -90.0},
        "distal": {"C_m": 90.0, "g_L": 6.0, "E_L": -72.0, "tau_syn_ex": 1.5, "tau_syn_in": 6.0},
    },
}  # fmt: skip
DURATION = 300.0


def inputs():
    """Return times [ms], sources, weights [nS] and delays [ms] of a random train a receptor."""
    rng = np.random.default_rng(11)
    times, ids = [], []
    for source in range(len(RECEPTORS)):
        chosen = np.unique(rng.integers(10, int(DURATION * 10), 60))
        times.append(chosen / 10)
        ids.append(np.full(chosen.size, source))
    weights = np.array([25.0, 8.0, 30.0, 9.0, 40.0, 12.0])
    return np.concatenate(times), np.concatenate(ids), weights, rng.integers(1, 40, 6) / 10


def simulate(nest, params):
    """Return the spikes and states of one case."""
    times, ids, weights, delays = inputs()
    nest.ResetKernel()
    nest.resolution = 0.1
    cell = nest.Create("iaf_cond_alpha_mc", params=params)
    ports = nest.GetDefaults("iaf_cond_alpha_mc")["receptor_types"]
    for k, receptor in enumerate(RECEPTORS):
        train = {"spike_times": times[ids == k].round(1).tolist()}
        generator = nest.Create("spike_generator", params=train)
        port = {"receptor_type": ports[receptor]}
        nest.Connect(generator, cell, syn_spec={"weight": weights[k], "delay": delays[k]} | port)
    meter = nest.Create("multimeter", params={"record_from": STATES, "interval": 1.0})
    recorder = nest.Create("spike_recorder")
    nest.Connect(meter, cell)
    nest.Connect(cell, recorder)
    nest.Simulate(DURATION)
    return recorder.get("events")["times"], meter.get("events")


def main():
    import nest

    times, ids, weights, delays = inputs()
    arrays = {"in_time": times, "in_source": ids, "weight": weights, "delay": delays}
    for name, params in CASES.items():
        spikes, events = simulate(nest, params)
        arrays[f"{name} spikes"] = spikes
        arrays |= {f"{name} {s}": events[s] for s in STATES}
        print(name, len(spikes), "spikes")
    np.savez_compressed(Path(__file__).with_name("nest_mc.npz"), **arrays)


if __name__ == "__main__":
    main()
