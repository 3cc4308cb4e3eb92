"""Every built-in neuron model on the emulated GPU gives the spikes of the reference engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator import Emulated, EmulatedDevice
from runs import assert_same_trains, everything, traces

import neurosim as ns
from neurosim.models.base import NeuronModel

#: Weights that move the membrane by some millivolts, by the unit of what they add to.
_WEIGHTS = {"mV": 3.0, "pA": 200.0, "pA/ms": 200.0, "nS": 2.0, "nS/ms": 2.0, "1": 1.0, "uM": 0.1}


_BASES = (NeuronModel, ns.models.CompartmentalModel)


def built_in() -> dict[str, type[NeuronModel]]:
    found = {name: getattr(ns.models, name) for name in ns.models.__all__}
    return {
        name: m
        for name, m in found.items()
        if isinstance(m, type) and issubclass(m, NeuronModel) and m not in _BASES
    }


def network(models: dict[str, NeuronModel]) -> ns.Network:
    """Return a few cells of each model, driven at every receptor and by each other."""
    net = ns.Network()
    for name, model in models.items():
        cells = net.population(5, model, name=name)
        for receptor, statements in model.spec.receptors.items():
            unit = model.spec.states[statements[0].target].unit
            weight = _WEIGHTS.get(unit, 1.0)
            inhibits = receptor.endswith(("inh", "in", "gaba", "gaba_a", "gaba_b"))
            rate = 300.0 if inhibits and receptor != "in" else 3000.0
            if receptor == "inh" and not model.spec.absolute:
                weight = -weight
            net.poisson_input(cells, rate=rate, weight=weight, receptor=receptor)
            net.connect(
                cells, cells, ns.FixedIndegree(2), weight=ns.Normal(weight, 0.1 * abs(weight)),
                delay=ns.Uniform(0.3, 4.0), receptor=receptor, name=f"{name} {receptor}",
            )  # fmt: skip
    return net


def run(models: dict[str, NeuronModel], engine: Any, duration: float = 50.0) -> ns.Simulation:
    net = network(models)
    simulation = ns.Simulation(net, seed=5, record=everything(net, 1.3), engine=engine)
    with np.errstate(over="ignore"):  # in branches that are not chosen
        simulation.run(duration)
    return simulation


@pytest.fixture(scope="module")
def models():
    return {name: m() for name, m in built_in().items() if m.spec.method != "rk45"}


@pytest.fixture(scope="module")
def expected(models):
    return run(models, "reference")


@pytest.fixture(scope="module")
def adaptive():
    return {name: m() for name, m in built_in().items() if m.spec.method == "rk45"}


def assert_equal(found: ns.Simulation, expected: ns.Simulation) -> None:
    assert_same_trains(found, expected)
    values = traces(found)
    for name, trace in traces(expected).items():
        scale = np.abs(trace).max() + 1e-9
        np.testing.assert_allclose(values[name] / scale, trace / scale, atol=1e-7, err_msg=name)
    for name in ("spikes", "synaptic_events", "neuron_updates"):
        assert found.counters[name] == expected.counters[name]


def test_every_model_equals_reference(models, expected):
    # in one test, so that the reference engine, which is slow, runs them once
    device = EmulatedDevice(3, shared=500 << 10)
    for engine in (Emulated(seed=3), Emulated(variant="owner", device=device)):
        assert_equal(run(models, engine), expected)
    assert expected.counters["spikes"] > 500


def test_every_adaptive_model_equals_reference(adaptive):
    # 8 ms: the reference engine is slow here
    expected = run(adaptive, "reference", 8.0)
    assert_equal(run(adaptive, Emulated(seed=2), 8.0), expected)
    assert expected.counters["spikes"] > 5


def test_most_models_spike(expected):
    # a guard for the test above
    silent = {name for name, train in expected.results.spikes.items() if not train.times.size}
    assert len(silent) < 0.3 * len(expected.results.spikes), silent


def test_single_precision_stays_near(models, expected):
    # 20 ms: before any difference in the last digit could grow into another number of spikes
    found = run(models, Emulated(precision="float32"), 20.0)
    values = traces(found)
    near = 0
    for name, trace in traces(expected).items():
        part = trace[: len(values[name])]
        scale = np.abs(part).max() + 1e-9
        near += bool(np.allclose(values[name] / scale, part / scale, atol=2e-3))
    assert near > 0.9 * len(values)
