"""The GPU engine on the emulator: networks, orders of threads, recordings, checkpoints, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulator import Emulated, EmulatedDevice
from hypothesis import given
from random_networks import DT, DURATION, SLEEPING, STEPPED, build, networks
from runs import assert_identical, assert_same_trains, everything, few, traces

import neurosim as ns
from neurosim.errors import NetworkError, NetworkSizeError, ParameterError, SimulationError

#: All kinds of cells in one network, so that one kernel serves all examples.
_CELLS = SLEEPING + STEPPED


def simulated(description: dict[str, Any], engine: Any) -> ns.Simulation:
    network = build(description)
    simulation = ns.Simulation(
        network, dt=DT, seed=description["seed"], record=everything(network), engine=engine
    )
    simulation.run(DURATION)
    return simulation


def assert_near(found: ns.Simulation, expected: ns.Simulation, atol: float = 1e-8) -> None:
    values = traces(found)
    for name, trace in traces(expected).items():
        np.testing.assert_allclose(values[name], trace, rtol=1e-8, atol=atol, err_msg=name)


def assert_like_reference(found: ns.Simulation, expected: ns.Simulation) -> None:
    assert_same_trains(found, expected)
    assert_near(found, expected)
    for name in ("spikes", "synaptic_events", "neuron_updates", "steps"):
        assert found.counters[name] == expected.counters[name]


@few(3)
@given(networks())
def test_random_networks_equal_reference(description):
    description = description | {"cells": list(_CELLS)}
    expected = simulated(description, "reference")
    for engine in (Emulated(), Emulated(seed=4, launch="phases")):
        assert_like_reference(simulated(description, engine), expected)


@few(2)
@given(networks())
def test_deterministic_sums_are_the_same_in_every_order(description):
    description = description | {"cells": list(_CELLS)}
    first = simulated(description, Emulated(deterministic=True))
    for seed, blocks, launch in ((1, 3, "phases"), (2, 5, "auto"), (3, 1, "auto"), (4, 2, "graph")):
        device = EmulatedDevice(seed, blocks=blocks)
        engine = Emulated(deterministic=True, launch=launch, device=device)
        assert_identical(simulated(description, engine), first)
    # weights are rounded to 30 bits, which the upstroke of a spike may make a thousand times more
    expected = simulated(description, "reference")
    assert_same_trains(first, expected)
    assert_near(first, expected, atol=1e-3)


@few(1)
@given(networks())
def test_single_precision_runs_every_kind_of_cell(description):
    description = description | {"cells": list(_CELLS)}
    expected = simulated(description, "reference")
    found = simulated(description, Emulated(precision="float32", seed=9))
    a, b = found.counters["spikes"], expected.counters["spikes"]
    assert abs(a - b) <= 0.05 * b + 20


# ---- one small network for the rest


def small(**population: Any) -> tuple[ns.Network, list[Any]]:
    net = ns.Network()
    cells = net.population(
        130, ns.models.iaf_psc_exp(), name="cells", V_m=ns.Uniform(-70, -54), **population
    )
    net.poisson_input(cells, rate=8.0, n=1000, weight=87.8)
    net.connect(cells, cells, ns.FixedIndegree(40), weight=ns.Normal(50, 5), delay=1.2, name="cc")
    return net, [ns.Spikes(cells), ns.State(cells[3:9], ["I_syn_ex", "V_m"], 0.3)]


def begun(engine: Any = None, **options: Any) -> ns.Simulation:
    net, record = small()
    return ns.Simulation(net, seed=11, record=record, engine=engine or Emulated(**options))


def assert_parts_are_one_run(engine: Any) -> None:
    """Assert that an engine gives in parts what the ring variant gives at once."""
    whole, parts = begun(deterministic=True), begun(engine)
    whole.run(30.0)
    for part in (0.1, 7.3, 0.2, 22.4):
        parts.run(part)
    assert_identical(parts, whole)
    assert whole.counters["spikes"] > 30
    assert parts.counters["bytes"] < 1.2 * whole.counters["bytes"]  # nothing is kept twice


def test_a_run_in_parts_is_the_same():
    assert_parts_are_one_run(Emulated(deterministic=True))


def test_without_cooperative_launches_graphs_are_replayed():
    whole = begun(deterministic=True)
    device = EmulatedDevice(5, is_cooperative=False)
    found = begun(deterministic=True, device=device)
    for simulation in (whole, found):
        simulation.run(23.0)
    assert_identical(found, whole)


def assert_small_buffers_change_nothing(patch: pytest.MonkeyPatch, engine: Any) -> None:
    """Assert that all is recorded though the buffers hold little."""
    whole = begun(deterministic=True)
    whole.run(20.0)
    patch.setattr("neurosim.engines.gpu.network._MOST_RECORDS", 1000)  # 7 steps
    patch.setattr("neurosim.engines.gpu.network._SAMPLE_BYTES", 2 * 12 * 8)  # 2 samples
    found = begun(engine)
    found.run(20.0)
    assert_identical(found, whole)


def test_recordings_larger_than_the_buffers_are_complete(monkeypatch):
    assert_small_buffers_change_nothing(monkeypatch, Emulated(deterministic=True))


def test_long_delays_and_wide_words(monkeypatch):
    monkeypatch.setattr("neurosim.engines.gpu.synapses._NARROW", 2**8)

    def run(engine: Any) -> ns.Simulation:
        net = ns.Network()
        source = net.population(
            3, ns.models.spike_source(times=[1.0, 1.0, 5.0], ids=[0, 0, 2]), name="source"
        )
        cells = net.population(70, ns.models.iaf_psc_delta(), name="cells")
        net.connect(source, cells, weight=8.0, delay=120.0)
        simulation = ns.Simulation(net, record=everything(net), engine=engine)
        simulation.run(140.0)
        return simulation

    assert_identical(run(Emulated()), run("reference"))


def assert_checkpoints_move(
    folder: Path, pairs: Iterable[tuple[Any, Any]], *, reference: Any = "reference",
    same: Callable[[ns.Simulation, ns.Simulation], None] = assert_same_trains,
) -> None:  # fmt: skip
    """Assert for each pair of engines that the second goes on where the first was saved."""
    expected = begun(reference)
    expected.run(30.0)
    for first, second in pairs:
        simulation = begun(first)
        simulation.run(11.3)
        simulation.save(folder / "state.h5")
        simulation = ns.Simulation.load(folder / "state.h5", engine=second)
        simulation.run(18.7)
        same(simulation, expected)
    assert expected.counters["spikes"] > 30


def test_checkpoints_move_between_engines(tmp_path):
    cpu = ns.CPU(threads=1)
    assert_checkpoints_move(tmp_path, (
        ("reference", Emulated()), (Emulated(), "reference"), (cpu, Emulated()),
        (Emulated(), cpu), (Emulated(deterministic=True), Emulated()),
    ))  # fmt: skip


def assert_reset_begins_again(engine: Any) -> None:
    """Assert that a run after `reset` is the one that the reference engine gives."""
    simulations = begun(engine), begun("reference")
    for simulation in simulations:
        simulation.run(10.0)
        simulation.reset()
        simulation.run(10.0)
    assert_same_trains(*simulations)


def test_reset_begins_again():
    assert_reset_begins_again(Emulated(seed=1))


def test_weights_and_sources_are_read_back():
    found, expected = begun(), begun("reference")
    a, b = found.weights("cc"), expected.weights("cc")
    for name in ("pre", "post", "weight", "delay"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert "n_V_m" in found.sources()["cells"]


def test_a_state_that_is_no_number_stops_the_run():
    class unstable(ns.NeuronModel):
        """A state that grows until it is infinite."""

        x = ns.state("1", init=1.0)
        equations = "x := where(x > 1e10, x*1e308, x*100) : 1"
        receptors = {"in": "x += weight"}

    net = ns.Network()
    cells = net.population(70, unstable(), name="cells", x=[1e-30] * 66 + [1.0] + [1e-30] * 3)
    simulations = [
        ns.Simulation(net, record=[ns.State(cells, ["x"], 0.1)], engine=e)
        for e in (Emulated(), "reference")
    ]
    for simulation in simulations:
        refusal = pytest.raises(SimulationError, match=r"neuron 66 of .*'cells'.*t = 0.7 ms")
        with np.errstate(over="ignore"), refusal:
            simulation.run(3.0)
    a, b = (np.asarray(s.results.traces["cells"]["x"]) for s in simulations)
    np.testing.assert_array_equal(a, b)


# ---- refusals


def refused(error: type[Exception], text: str, net: ns.Network, engine: Any = None, **options):
    with pytest.raises(error, match=text):
        ns.Simulation(net, engine=engine or Emulated(), **options)


def pair() -> tuple[ns.Network, Any, Any]:
    net = ns.Network()
    return net, *(net.population(3, ns.models.iaf_psc_exp(), name=n) for n in "ab")


def test_refusals_name_what_cannot_run():
    net, a, b = pair()
    net.connect(a, b, weight=1.0, synapse=ns.models.weight_normalization(), name="plastic")
    refused(NetworkError, r"'plastic': its rule weight_normalization acts at.*engine='cpu'", net)
    net, a, b = pair()
    refused(NetworkError, "continuous time", net, dt=None)
    net.gap_junctions(a, b, ns.OneToOne(), g=1.0)
    refused(NetworkError, r"cannot run gap junctions\. Use engine='cpu'", net)
    net, a, b = pair()
    net.couple(a, b, ns.OneToOne(), signal="I_syn_ex", into="I_e", delay=1.0, name="field")
    refused(NetworkError, "continuous signal 'field'", net)


def test_too_little_memory_is_told_with_the_figures():
    net, _ = small()
    device = EmulatedDevice(memory=10_000)
    refused(
        NetworkSizeError, r"needs .*5200 synapses .*neurons .*but the emulator has .* free.*fewer",
        net, Emulated(device=device),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"precision": "float16"}, "precision = 'float16'; choose one of float32, float64"),
        ({"launch": "graphs"}, "launch = 'graphs'; choose one of"),
        ({"deterministic": 1}, "deterministic = 1; True, False or"),
        ({"device": -1}, "device = -1; a whole number >= 0"),
    ],
)
def test_options_are_checked(options, text):
    from neurosim.engines.gpu.options import GPU

    with pytest.raises(ParameterError, match=text):
        GPU(**options)
