"""Deterministic sums: the CPU engine, the emulated GPU and rounded weights give the same bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from emulator import Emulated, EmulatedDevice
from hypothesis import given
from hypothesis import strategies as st
from random_networks import SLEEPING, STEPPED, networks
from runs import assert_identical, assert_same_trains, few, traces
from test_engine import assert_checkpoints_move, begun, refused, simulated

import neurosim as ns
from neurosim.engines.base import Engine, Runner
from neurosim.engines.gpu.options import GPU
from neurosim.engines.reference import runner as reference
from neurosim.errors import NetworkError, NetworkSizeError, ParameterError
from neurosim.lower.expand import expand
from neurosim.lower.quantize import rounded, unit

#: The kinds that the other tests of this folder use, so that their kernels are compiled already.
_CELLS = SLEEPING + STEPPED


class _Rounded(Engine):
    """The reference engine with the rounded weights of another simulation."""

    name = "reference"

    def __init__(self, units: tuple[np.ndarray, ...]) -> None:
        self.units = units

    def prepare(self, plan: Any) -> Runner:
        targets = {id(c.spec): c.post for c in plan.connections}

        def expanded(spec: Any) -> Any:
            edges = expand(spec)
            unit = self.units[targets[id(spec)]][edges.receptor]
            return replace(edges, weight=rounded(edges.weight, unit))

        inputs = [
            replace(i, weight=float(rounded(i.weight, self.units[i.population][i.receptor])))
            for i in plan.inputs
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reference, "expand", expanded)
            return reference.ReferenceRunner(replace(plan, inputs=tuple(inputs)))


def driven(description: dict[str, Any], cells: tuple[str, ...]) -> dict[str, Any]:
    return description | {"cells": list(cells), "inputs": [*description["inputs"], "dense"]}


@few(3)
@given(networks())
def test_cpu_equals_emulated_gpu_to_the_last_bit(description):
    description = driven(description, _CELLS)
    expected = simulated(description, Emulated(deterministic=True, seed=1))
    for threads in (1, 2):
        found = simulated(description, ns.CPU(deterministic=True, threads=threads))
        assert_identical(found, expected)
    assert_same_trains(simulated(description, _Rounded(found._runner.units)), expected)
    assert expected.counters["spikes"] > 100


@few(2)
@given(networks())
def test_single_precision_gives_the_same_spikes_too(description):
    description = driven(description, ("lif_varied", "conductance", "noisy"))
    expected = simulated(description, Emulated(precision="float32", deterministic=True))
    found = simulated(description, ns.CPU(precision="float32", deterministic=True, threads=1))
    assert_same_trains(found, expected)
    values = traces(found)
    for name, trace in traces(expected).items():
        # this engine takes numbers below 1e-38 as 0, the emulator does not
        np.testing.assert_allclose(values[name], trace, rtol=0.0, atol=1e-30, err_msg=name)
    assert expected.counters["spikes"] > 100


@few(2)
@given(networks())
def test_sums_in_32_bits_are_the_same_everywhere(description):
    sources = [s for s in description["sources"] if "parrot" not in s]
    description = driven(description, _CELLS) | {"sources": sources}
    expected = simulated(description, ns.CPU(deterministic="int32", threads=2))
    device = EmulatedDevice(3, blocks=5, shared=500 << 10)
    for options in ({"seed": 1}, {"variant": "owner", "device": device}):
        found = simulated(description, Emulated(deterministic="int32", **options))
        assert_identical(found, expected)
        assert found._runner._network.ring.dtype == np.int32
    assert expected.counters["spikes"] > 100


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_possible_sum_fits_into_32_bits(sign):
    # all synapses of a neuron at once, some sources several times, and nothing to spare
    net = ns.Network()
    cells = net.population(3, ns.models.iaf_psc_delta(V_th=1e9, C_m=1.0), name="cells")
    for name, n, times in (("one", 2047, [1.0]), ("three", 1, [1.0, 1.0, 1.0])):
        ids = np.repeat(np.arange(n), len(times))
        source = ns.models.spike_source(times=np.tile(times, n), ids=ids)
        net.connect(net.population(n, source, name=name), cells, weight=sign * 0.999, delay=0.5)
    record = [ns.State(cells, ["V_m"], interval=1.5)]
    values = []
    for engine in (
        "reference", ns.CPU(deterministic="int32"), Emulated(deterministic="int32"),
        Emulated(deterministic="int32", variant="owner"),
    ):  # fmt: skip
        results = ns.simulate(net, 1.5, seed=3, record=record, engine=engine)
        values.append(results.traces["cells"]["V_m"])
    np.testing.assert_allclose(values[0], -70.0 + sign * 2050 * 0.999)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-5)
    for found in values[2:]:
        np.testing.assert_array_equal(found, values[1])


def test_what_has_no_sums_in_32_bits_is_refused():
    def network(source: Any, **synapse: Any) -> ns.Network:
        net = ns.Network()
        cells = net.population(2, ns.models.iaf_psc_exp(), name="cells")
        net.connect(net.population(1, source, name="source"), cells, weight=1.0, delay=1.0,
                    name="projection", **synapse)  # fmt: skip
        return net

    often = ns.models.spike_source(times=np.ones(300_000), ids=np.zeros(300_000, int))
    for engine in (ns.CPU(deterministic="int32"), Emulated(deterministic="int32")):
        text = r"members of population 'source' may spike any number of times in a step"
        refused(NetworkError, text, network(ns.models.parrot()), engine)
        text = (
            r"receptor 'exc' of population 'cells' may get 3e\+05 in a step from weights up to 1;"
        )
        refused(NetworkSizeError, text, network(often), engine)
    text = r"GPU\(deterministic='int32'\) needs a bound.*'projection' change \(stdp\)"
    plastic = network(ns.models.poisson(rate=5.0), synapse=ns.models.stdp())
    refused(NetworkError, text, plastic, engine)
    for engine in (ns.CPU, GPU):
        with pytest.raises(ParameterError, match="deterministic = 'int16'; True, False or 'int32'"):
            engine(deterministic="int16")


def test_checkpoints_move_within_the_mode(tmp_path):
    engines = (Emulated(deterministic=True), ns.CPU(deterministic=True, threads=2))
    assert_checkpoints_move(
        tmp_path, (engines, engines[::-1]), reference=ns.CPU(deterministic=True, threads=1),
        same=assert_identical,
    )  # fmt: skip


def test_weights_are_rounded_to_the_unit_of_their_receptor():
    net = ns.Network()
    cells = net.population(20, ns.models.iaf_psc_exp(), name="cells")
    net.connect(cells, cells, weight=ns.Uniform(1.0, 90.0), delay=1.0, name="drawn")
    net.connect(cells, cells, weight=-1 / 3, delay=1.0, name="given")
    net.poisson_input(cells, rate=10.0, weight=1000.0)
    exact = ns.Simulation(net, engine=ns.CPU(deterministic=True))
    weight = exact.weights("drawn").weight
    plain = ns.Simulation(net, engine="reference").weights("drawn").weight
    # the input has the largest weight that the exciting receptor gets
    multiples = weight / unit(1000.0)
    np.testing.assert_array_equal(multiples, np.rint(multiples))
    assert 0.0 < np.abs(weight - plain).max() <= unit(1000.0) / 2
    third = float(rounded(np.array(-1 / 3), np.array(unit(1 / 3))))
    assert sorted(exact._runner.threads[0].constants.tolist()) == [third, 0.0]
    assert third != -1 / 3


@given(st.floats(1e-30, 1e30))
def test_the_largest_weight_takes_thirty_bits(largest):
    multiple = largest / unit(largest)
    assert 2**29 <= multiple < 2**30
    assert np.log2(unit(largest)) % 1.0 == 0.0


def test_what_cannot_be_deterministic_is_refused():
    with pytest.raises(ParameterError, match=r"strategy = 'event' .*needs strategy='auto' or"):
        ns.CPU(deterministic=True, strategy="event")
    with pytest.raises(ParameterError, match="deterministic = 1; True, False"):
        ns.CPU(deterministic=1)
    net = ns.Network()
    a, b = (net.population(3, ns.models.iaf_psc_exp(), name=n) for n in "ab")
    net.connect(a, b, weight=1.0, synapse=ns.models.stdp(), name="plastic")
    text = r"weights of projection 'plastic' change \(stdp\).*same results in every run"
    refused(NetworkError, text, net, ns.CPU(deterministic=True))
    text = "deterministic = True is not possible in continuous time"
    refused(ParameterError, text, begun().network, ns.CPU(deterministic=True), dt=None)
