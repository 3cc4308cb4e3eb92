"""Every NEST case of ../shared/reference whose model is built in, in every engine and strategy."""

import nest_cases
import numpy as np
import pytest

import neurosim as ns
from neurosim.lower.plan import lower
from neurosim.lower.sleep import sleep_of

NEURONS, NETWORKS = nest_cases.index("neuron"), nest_cases.index("network")
#: Models that NEST integrates adaptively, and the largest error of a state relative to its largest
#: magnitude: NEST's own error (1e-6 a step) and what grows from it, largest on the steep flank of a
#: spike. Fixed-step RK4 of the conductance models comes within 1e-9 of NEST's adaptive solution.
ADAPTIVE = {
    "aeif_cond_exp": 1e-5,
    "aeif_cond_alpha": 1e-5,
    "aeif_psc_exp": 1e-4,
    "hh_cond_exp_traub": 5e-3,
    "hh_psc_alpha": 2e-4,
}
TOLERANCE = ADAPTIVE | {"iaf_cond_exp": 5e-9, "iaf_cond_alpha": 5e-9}
ENGINES = {
    "reference": ns.Reference(),
    "clock-1": ns.CPU(strategy="clock", threads=1),
    "clock-2": ns.CPU(strategy="clock", threads=2),
    "event-1": ns.CPU(strategy="event", threads=1),
    "event-2": ns.CPU(strategy="event", threads=2),
    "auto-1": ns.CPU(strategy="auto", threads=1),
    "auto-2": ns.CPU(strategy="auto", threads=2),
}
needs_data = pytest.mark.skipif(not NEURONS, reason="../shared/reference is not here")


def skip_if_awake(engine, net):
    """Skip the event strategy for a model whose neurons cannot sleep."""
    if not engine.startswith("event"):
        return
    model = next(p.model for p in lower(net, 0.1, 0, 0, ()).populations if p.model is not None)
    reason = sleep_of(model)
    if isinstance(reason, str):
        pytest.skip(f"cannot sleep: {reason}")


@needs_data
def test_reference_data_is_complete():
    assert len(NEURONS) == 14 and len(NETWORKS) == 4


@needs_data
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NEURONS)
def test_neuron(name, engine):
    case, data = NEURONS[name], nest_cases.load(name)
    net, cell = nest_cases.neuron(case, data)
    skip_if_awake(engine, net)
    # The adaptive method is slow in NumPy; there, the time until the first spike has to do.
    slow = engine == "reference" and case["model"] in ADAPTIVE
    duration = np.ceil(data["spikes"][0] + 5) if slow else case["t_stop"]
    states = [k for k in data if k in cell.model.states]
    record = [ns.Spikes(cell), ns.State(cell, states, interval=0.1)]
    results = ns.simulate(net, duration, record=record, engine=ENGINES[engine])
    spikes = data["spikes"][data["spikes"] <= duration + 1e-6]
    assert spikes.size >= (1 if slow else 5), "the case is empty"
    assert results.spikes["cell"].times.size == spikes.size
    np.testing.assert_allclose(results.spikes["cell"].times, spikes, rtol=0, atol=1e-6)
    step = np.rint(data["t"] / 0.1).astype(int) - 1
    inside = step < round(duration / 0.1)
    for state in states:
        error = np.abs(results.traces["cell"][state][step[inside], 0] - data[state][inside]).max()
        allowed = TOLERANCE.get(case["model"], 1e-9) * np.abs(data[state]).max()
        assert error < allowed, f"{state}: {error}"


@needs_data
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "network_iaf_cond_exp"])
def test_network(name, engine):
    case, data = NETWORKS[name], nest_cases.load(name)
    net, cells = nest_cases.network(case, data)
    skip_if_awake(engine, net)
    spikes = ns.simulate(
        net, case["t_net"], record=[ns.Spikes(cells)], engine=ENGINES[engine]
    ).spikes["cells"]
    order = np.lexsort((data["spike_id"], data["spike_time"]))
    assert np.unique(data["spike_id"]).size > 0.5 * cells.n, "most neurons are silent"
    np.testing.assert_allclose(spikes.times, data["spike_time"][order], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(spikes.ids, data["spike_id"][order])


@needs_data
@pytest.mark.parametrize("engine", ["reference", "clock-1", "auto-2"])
def test_network_of_conductances(engine):
    """NEST integrates these adaptively: equal over 50 ms, then equal rates within 2 %."""
    case, data = NETWORKS["network_iaf_cond_exp"], nest_cases.load("network_iaf_cond_exp")
    net, cells = nest_cases.network(case, data, method="rk45")
    duration = 50.0 if engine == "reference" else case["t_net"]
    spikes = ns.simulate(net, duration, record=[ns.Spikes(cells)], engine=ENGINES[engine]).spikes[
        "cells"
    ]
    early, expected = spikes.times <= 50 + 1e-6, data["spike_time"] <= 50 + 1e-6
    order = np.lexsort((data["spike_id"][expected], data["spike_time"][expected]))
    assert expected.sum() > 300
    np.testing.assert_allclose(
        spikes.times[early], data["spike_time"][expected][order], rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(spikes.ids[early], data["spike_id"][expected][order])
    if duration == case["t_net"]:
        assert abs(spikes.times.size / data["spike_time"].size - 1) < 0.02
