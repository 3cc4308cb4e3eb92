"""Make nest_couplings.npz: NEST's gap junctions, astrocyte and slow inward current.

Run with NEST 3.10 installed: ``python tests/models/nest_couplings.py``. NEST is not needed by the
tests.
"""

from pathlib import Path

import numpy as np

GAP = {"dt": 0.05, "duration": 350.0, "I_e": 100.0, "g": 0.5, "V_m": -10.0}
#: Times [ms] and weight of the spikes that an astrocyte receives, and what its neuron gets.
TRAIN = np.arange(100.0, 4000.0, 2.5)
ASTRO = {"duration": 30000.0, "weight": 1.0, "sic_weight": 20.0, "delay": 2.0}


def kernel(nest, dt, **status):
    nest.ResetKernel()
    nest.resolution = dt
    nest.set(print_time=False, **status)


def hh(nest, g):
    """Return spikes of both and potentials [mV] of two neurons joined by a gap junction."""
    kernel(
        nest, GAP["dt"], use_wfr=True, wfr_tol=1e-7, wfr_comm_interval=1.0, wfr_max_iterations=50
    )
    cells = nest.Create("hh_psc_alpha_gap", 2, params={"I_e": GAP["I_e"]})
    cells[0].V_m = GAP["V_m"]
    meter = nest.Create("voltmeter", params={"interval": GAP["dt"]})
    recorder = nest.Create("spike_recorder")
    nest.Connect(meter, cells)
    nest.Connect(cells, recorder)
    if g:
        rule = {"rule": "one_to_one", "make_symmetric": True}
        syn = {"synapse_model": "gap_junction", "weight": g}
        nest.Connect(cells[0], cells[1], rule, syn)
    nest.Simulate(GAP["duration"])
    events = meter.get("events")
    v = [events["V_m"][events["senders"] == c] for c in cells.tolist()]
    spikes = recorder.get("events")
    return np.array(v), spikes["times"], spikes["senders"] - 1


def astrocyte(nest):
    """Return states of an astrocyte [uM], and the potential and current of its neuron, every ms."""
    kernel(nest, 0.1)
    source = nest.Create("spike_generator", params={"spike_times": TRAIN.tolist()})
    cell = nest.Create("astrocyte_lr_1994")
    neuron = nest.Create("aeif_cond_alpha_astro")
    syn = {"weight": ASTRO["weight"], "delay": 1.0}
    nest.Connect(source, nest.Create("parrot_neuron"))
    nest.Connect(source, cell, syn_spec=syn)
    sic = {"synapse_model": "sic_connection", "weight": ASTRO["sic_weight"]}
    nest.Connect(cell, neuron, syn_spec=sic | {"delay": ASTRO["delay"]})
    meters = []
    for node, names in ((cell, ["IP3", "Ca_astro", "h_IP3R"]), (neuron, ["V_m", "I_SIC"])):
        meters.append(nest.Create("multimeter", params={"record_from": names, "interval": 10.0}))
        nest.Connect(meters[-1], node)
    nest.Simulate(ASTRO["duration"])
    return {
        name: values
        for meter in meters
        for name, values in meter.get("events").items()
        if name != "senders"
    }


def main():
    import nest

    arrays = {"version": np.array(nest.__version__)}
    for name, g in (("alone", 0.0), ("gap", GAP["g"])):
        v, times, ids = hh(nest, g)
        arrays |= {f"{name} V_m": v[:, 9::10], f"{name} times": times, f"{name} ids": ids}
        print(name, v.shape, times[-6:], ids[-6:])
    arrays |= {f"astrocyte {k}": v for k, v in astrocyte(nest).items()}
    np.savez_compressed(Path(__file__).with_name("nest_couplings.npz"), **arrays)


if __name__ == "__main__":
    main()
