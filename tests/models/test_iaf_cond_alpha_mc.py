"""iaf_cond_alpha_mc against NEST (nest_mc.npz, made by nest_mc.py) in both engines."""

from pathlib import Path

import nest_mc
import numpy as np
import pytest

import neurosim as ns

STORED = np.load(Path(__file__).with_name("nest_mc.npz"))
PREFIX = {"s": "soma", "p": "proximal", "d": "distal"}
#: The name here of each state that NEST recorded, such as "V_m.s".
STATES = {s: f"{PREFIX[s[-1]]}_{s[:-2]}" for s in nest_mc.STATES}


def run(case, engine, method="rk4"):
    """Return spikes and traces of a case; NEST starts every compartment at -70 mV."""
    params = {}
    for key, value in nest_mc.CASES[case].items():
        nested = isinstance(value, dict)
        params |= {f"{key}_{k}": v for k, v in value.items()} if nested else {key: value}
    net = ns.Network()
    start = {f"{c}_V_m": -70.0 for c in PREFIX.values()}
    model = ns.models.iaf_cond_alpha_mc(method=method, **params)
    cell = net.population(1, model, name="cell", **start)
    for k, receptor in enumerate(nest_mc.RECEPTORS):
        train = STORED["in_time"][STORED["in_source"] == k]
        source = net.population(1, ns.models.spike_source(times=train), name=receptor)
        weight, delay = STORED["weight"][k], STORED["delay"][k]
        net.connect(source, cell, ns.OneToOne(), weight=weight, delay=delay, receptor=receptor)
    record = [ns.Spikes(cell), ns.State(cell, list(STATES.values()), interval=1.0)]
    results = ns.simulate(net, nest_mc.DURATION, record=record, engine=engine)
    return results.spikes["cell"].times, results.traces["cell"]


@pytest.mark.parametrize("engine", ["reference", "cpu"])
@pytest.mark.parametrize("case", nest_mc.CASES)
def test_equals_nest(case, engine):
    """Every spike; states within what NEST's adaptive method (tolerance 1e-3 a step) leaves."""
    spikes, traces = run(case, engine)
    assert spikes.size > 15
    np.testing.assert_allclose(spikes, STORED[f"{case} spikes"], rtol=0, atol=1e-9)
    for theirs, ours in STATES.items():
        expected = STORED[f"{case} {theirs}"]
        np.testing.assert_allclose(
            traces[ours][: expected.size, 0], expected, rtol=0, atol=2e-4, err_msg=ours
        )


def test_engines_and_methods_agree():
    spikes, traces = run("changed", "reference")
    for engine, method, allowed in (("cpu", "rk4", 1e-10), ("cpu", "rk45", 2e-4)):
        other_spikes, other = run("changed", engine, method)
        np.testing.assert_array_equal(other_spikes, spikes)
        for state in STATES.values():
            np.testing.assert_allclose(other[state], traces[state], rtol=0, atol=allowed)


def test_defaults_are_those_of_nest():
    model = ns.models.iaf_cond_alpha_mc()
    expected = {"C_m": (150, 75, 150), "g_L": (10, 5, 10)} | {
        k: (v,) * 3
        for k, v in {"E_L": -70, "E_ex": 0, "E_in": -85, "I_e": 0, "tau_syn_ex": 0.5,
                     "tau_syn_in": 2.0}.items()
    }  # fmt: skip
    for key, values in expected.items():
        assert tuple(model.values[f"{c}_{key}"] for c in PREFIX.values()) == values
    rest = {k: model.values[k] for k in ("V_th", "V_reset", "t_ref", "g_sp", "g_pd")}
    assert rest == {"V_th": -55.0, "V_reset": -60.0, "t_ref": 2.0, "g_sp": 2.5, "g_pd": 1.0}
