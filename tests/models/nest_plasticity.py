"""Make nest_plasticity.npz: weights of NEST's plastic synapses between given trains of spikes.

Run with NEST 3.10 installed: ``python tests/models/nest_plasticity.py``. NEST is not needed by
the tests. Each case holds the trains, and the weight that each presynaptic spike carried; cases
with a membrane hold also the states that the rule read, at every step.
"""

from pathlib import Path

import numpy as np

STOP, DELAY = 2000.0, 1.5
RATES = (10.0, 20.0, 40.0, 50.0)
PAIRS = {
    "jonke_synapse": ("jonke", {"alpha": 1.1, "beta": 0.03, "lambda": 0.02, "mu_plus": -0.03,
                                "mu_minus": 0.02, "tau_plus": 17.0}, 40.0),
    "stdp_nn_pre_centered_synapse": ("pre_centered", {"lambda": 0.05, "alpha": 0.9,
                                     "mu_plus": 0.4, "mu_minus": 0.6, "tau_plus": 17.0}, 40.0),
    "stdp_nn_restr_synapse": ("restr", {"lambda": 0.05, "alpha": 0.9, "mu_plus": 0.4,
                                        "mu_minus": 0.6, "tau_plus": 17.0}, 40.0),
    "stdp_pl_synapse_hom": ("power_law", {"lambda": 0.05, "alpha": 0.2, "mu": 0.6}, 40.0),
    "stdp_dopamine_synapse": ("dopamine", {"A_plus": 0.8, "A_minus": 0.5, "tau_plus": 17.0,
                                           "tau_c": 300.0, "tau_n": 90.0, "b": 0.001}, 40.0),
}  # fmt: skip


def trains(rng, *counts):
    """Return sorted trains of distinct spike times [ms] on the grid."""
    last = int(10 * STOP) - 200
    return [np.sort(rng.choice(np.arange(100, last), n, replace=False)) / 10 for n in counts]


def pair(nest, model, parameters, weight, pre, post, dopamine):
    """Return the weights that a synapse between two parrots carries."""
    nest.ResetKernel()
    nest.resolution = 0.1
    shift = 0.1  # from a generator to a parrot
    cells = nest.Create("parrot_neuron", 2)
    for cell, times in zip(cells, (pre, post), strict=True):
        source = nest.Create("spike_generator", params={"spike_times": np.round(times - shift, 1)})
        nest.Connect(source, cell, syn_spec={"delay": shift})
    recorder = nest.Create("weight_recorder")
    extra = {"weight_recorder": recorder}
    if model == "stdp_dopamine_synapse":
        reward, transmitter = nest.Create("parrot_neuron"), nest.Create("volume_transmitter")
        source = nest.Create(
            "spike_generator", params={"spike_times": np.round(dopamine - shift, 1)}
        )
        nest.Connect(source, reward, syn_spec={"delay": shift})
        nest.Connect(reward, transmitter, syn_spec={"delay": 1.0})
        extra["volume_transmitter"] = transmitter
    nest.CopyModel(model, "recorded", extra | parameters)
    # a parrot does not repeat what arrives at its receptor 1
    nest.Connect(cells[0], cells[1], syn_spec={"synapse_model": "recorded", "receptor_type": 1,
                                               "weight": weight, "delay": DELAY})  # fmt: skip
    nest.Simulate(STOP)
    return recorder.get("events")["weights"]


def clopath(nest, model, states, parameters, pre, post, strength):
    """Return weights and states [time, state] of a synapse onto a neuron with filtered voltages."""
    nest.ResetKernel()
    nest.resolution = 0.1
    cell = nest.Create(model, params=parameters)
    generators = nest.Create("spike_generator", 2)
    generators[0].spike_times, generators[1].spike_times = np.round(pre - 0.1, 1), post
    relay = nest.Create("parrot_neuron")
    nest.Connect(generators[0], relay, syn_spec={"delay": 0.1})
    nest.Connect(generators[1], cell, syn_spec={"delay": 1.0, "weight": strength})
    recorder = nest.Create("weight_recorder")
    meter = nest.Create("multimeter", params={"record_from": states, "interval": 0.1})
    nest.Connect(meter, cell)
    spikes = nest.Create("spike_recorder")
    nest.Connect(cell, spikes)
    nest.CopyModel("clopath_synapse", "recorded", {"weight_recorder": recorder})
    nest.Connect(relay, cell, syn_spec={"synapse_model": "recorded", "weight": 0.5,
                                        "delay": DELAY, "Wmax": 3.0})  # fmt: skip
    nest.Simulate(float(pre[-1]) + 20.0)
    events = meter.get("events")
    order = np.argsort(events["times"])
    held = np.array([events[s] for s in states]).T[order]
    return recorder.get("events")["weights"], held, spikes.get("events")["times"]


def pairing(nest, rate, lag, late):
    """Return the change of a weight by five pairs, with filters that are read `late` ms late."""
    pre = np.round(30.0 + np.arange(5) * 1000.0 / rate, 1)
    post = np.round(pre + lag - 1.0, 1)
    weights, _, spikes = clopath(
        nest, "aeif_psc_delta_clopath", ["V_m"], {"delay_u_bars": late},
        np.append(pre, pre[-1] + 60.0), post, 80.0,
    )  # fmt: skip
    assert spikes.size == 5
    return weights[-1] - 0.5


def urbanczik(nest, pre, soma):
    """Return weights, states and spikes of a synapse onto the dendrite of a cell of two parts."""
    nest.ResetKernel()
    nest.resolution = 0.1
    nest.rng_seed = 3
    cell = nest.Create("pp_cond_exp_mc_urbanczik", params={"t_ref": 0.0})
    ports = cell.get("receptor_types")
    generators = nest.Create("spike_generator", 2)
    generators[0].spike_times = np.round(pre - 0.1, 1)
    generators[1].spike_times = soma
    relay = nest.Create("parrot_neuron")
    nest.Connect(generators[0], relay, syn_spec={"delay": 0.1})
    nest.Connect(generators[1], cell, syn_spec={"weight": 40.0, "delay": 1.0,
                                                "receptor_type": ports["soma_exc"]})  # fmt: skip
    recorder = nest.Create("weight_recorder")
    meter = nest.Create("multimeter", params={"record_from": ["V_m.p", "V_m.s"], "interval": 0.1})
    nest.Connect(meter, cell)
    spikes = nest.Create("spike_recorder")
    nest.Connect(cell, spikes)
    nest.CopyModel("urbanczik_synapse", "recorded", {"weight_recorder": recorder})
    nest.Connect(relay, cell, syn_spec={"synapse_model": "recorded", "weight": 80.0,
                                        "delay": DELAY, "receptor_type": ports["dendritic_exc"],
                                        "eta": 0.5, "Wmax": 1000.0})  # fmt: skip
    nest.Simulate(float(pre[-1]) + 20.0)
    events = meter.get("events")
    order = np.argsort(events["times"])
    held = np.array([events[s] for s in ("V_m.p", "V_m.s")]).T[order]
    return recorder.get("events")["weights"], held, spikes.get("events")["times"]


def main():
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR
    rng = np.random.default_rng(11)
    result = {}
    pre, post, dopamine = trains(rng, 60, 60, 12)
    result |= {"pre": pre, "post": post, "dopamine": dopamine}
    for model, (name, parameters, weight) in PAIRS.items():
        result[f"{name}_w"] = pair(nest, model, parameters, weight, pre, post, dopamine)
    pre, post = (np.sort(rng.choice(np.arange(200, 3000), n, replace=False)) / 10 for n in (25, 20))
    result |= {"clopath_pre": pre, "clopath_post": post}
    voltages = ["V_m", "u_bar_plus", "u_bar_minus", "u_bar_bar"]
    cases = {
        "aeif": ("aeif_psc_delta_clopath", ["w", "z", "V_th"],
                 {"A_LTD_const": False, "A_LTD": 4e-6, "A_LTP": 8e-4}, 80.0),
        "hh": ("hh_psc_alpha_clopath", [], {"theta_plus": -35.0, "theta_minus": -64.9,
               "u_bar_plus": -65.0, "u_bar_minus": -65.0, "u_bar_bar": -65.0,
               "tau_u_bar_plus": 7.0, "A_LTD": 14e-4, "A_LTP": 8e-4}, 2000.0),
    }  # fmt: skip
    for name, (model, more, parameters, strength) in cases.items():
        w, held, spikes = clopath(nest, model, voltages + more, parameters, pre, post, strength)
        result |= {f"{name}_w": w, f"{name}_states": held, f"{name}_spikes": spikes}
    result["clopath_pairs"] = [
        [[pairing(nest, rate, lag, late) for rate in RATES] for lag in (10.0, -10.0)]
        for late in (5.0, 0.0)
    ]
    pre = np.sort(rng.choice(np.arange(200, 3000), 30, replace=False)) / 10
    soma = np.sort(rng.choice(np.arange(200, 3000), 30, replace=False)) / 10
    result |= {"urbanczik_pre": pre, "urbanczik_soma": soma}
    w, held, spikes = urbanczik(nest, pre, soma)
    result |= {"urbanczik_w": w, "urbanczik_states": held, "urbanczik_spikes": spikes}
    np.savez_compressed(Path(__file__).with_name("nest_plasticity.npz"), **result)


if __name__ == "__main__":
    main()
