"""The owner variant of the GPU engine on the emulator: equal to the ring variant and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from emulator import Emulated, EmulatedDevice, EmulatedProgram, compiled
from hypothesis import given
from hypothesis import strategies as st
from random_networks import SLEEPING, STEPPED, networks
from runs import assert_identical, assert_same_trains, everything, few
from test_emulation_layer import python
from test_engine import (
    assert_checkpoints_move,
    assert_like_reference,
    assert_near,
    assert_parts_are_one_run,
    assert_reset_begins_again,
    assert_small_buffers_change_nothing,
    begun,
    simulated,
    small,
)
from test_models import assert_equal, built_in, run

import neurosim as ns
from neurosim.engines.gpu.options import GPU
from neurosim.engines.gpu.owner_layout import _classes, _owners
from neurosim.engines.gpu.owner_structs import HALF, TABLE, WIDE
from neurosim.engines.gpu.runner import GpuRunner
from neurosim.errors import EngineUnavailableError, NetworkError, NetworkSizeError, ParameterError

_CELLS = SLEEPING + STEPPED


def owner(seed: int = 0, *, blocks: int = 3, **options: Any) -> Emulated:
    # the networks have few blocks and long delays: more shared memory than a GPU has
    device = options.pop("device", None) or EmulatedDevice(seed, blocks=blocks, shared=500 << 10)
    return Emulated(variant="owner", device=device, **options)


@few(2)
@given(networks())
def test_random_networks_equal_reference(description):
    description = description | {"cells": list(_CELLS)}
    expected = simulated(description, "reference")
    assert_like_reference(simulated(description, owner(4)), expected)


@few(2)
@given(networks())
def test_deterministic_runs_equal_the_ring_variant_to_the_last_bit(description):
    description = description | {"cells": list(_CELLS)}
    expected = simulated(description, Emulated(deterministic=True))
    for seed, blocks in ((0, 3), (1, 5), (3, 16)):
        found = simulated(description, owner(seed, blocks=blocks, deterministic=True))
        assert_identical(found, expected)
        for name in ("spikes", "synaptic_events"):
            assert found.counters[name] == expected.counters[name]


def test_adaptive_models_keep_their_substeps():
    adaptive = {name: m() for name, m in built_in().items() if m.spec.method == "rk45"}
    found, expected = (run(adaptive, e, 15.0) for e in (owner(2), Emulated()))
    assert_equal(found, expected)
    assert expected.counters["spikes"] > 10


@pytest.mark.parametrize("deterministic", [False, True])
def test_states_in_shared_memory_are_the_same(monkeypatch, deterministic):
    expected = begun(deterministic=deterministic)
    monkeypatch.setattr("neurosim.engines.gpu.owner._REGISTERS", 1)
    found = begun(owner(deterministic=deterministic))
    for simulation in (found, expected):
        simulation.run(12.0)
    assert found._runner._owner._shared.parts["states"] > 0
    (assert_identical if deterministic else assert_same_trains)(found, expected)


def test_a_run_in_parts_is_the_same():
    assert_parts_are_one_run(owner(1, deterministic=True))


def test_checkpoints_move_between_variants_and_engines(tmp_path):
    mine, exact = Emulated(variant="owner"), Emulated(variant="owner", deterministic=True)
    assert_checkpoints_move(tmp_path, (
        (mine, Emulated()), (Emulated(), mine), (mine, "reference"), (ns.CPU(threads=1), mine),
        (exact, owner(blocks=5)),
    ))  # fmt: skip


def test_reset_begins_again():
    assert_reset_begins_again(owner(1))


def test_recordings_larger_than_the_buffers_are_complete(monkeypatch):
    assert_small_buffers_change_nothing(monkeypatch, owner(deterministic=True))


@pytest.mark.parametrize(
    ("weight", "weights", "form", "n_table"),
    [
        (30.0, "auto", TABLE, 2),
        (ns.Normal(30.0, 3.0), "float16", HALF, 1),
        (ns.Normal(30.0, 3.0), "auto", WIDE, 0),
    ],
)
@pytest.mark.parametrize("deterministic", [False, True])
def test_weights_take_the_narrowest_form(weight, weights, form, n_table, deterministic):
    def simulation(**options: Any) -> ns.Simulation:
        net = ns.Network()
        cells = net.population(200, ns.models.iaf_psc_exp(), name="cells", V_m=ns.Uniform(-70, -54))
        net.poisson_input(cells, rate=8.0, n=1000, weight=87.8)
        net.connect(cells[:150], cells, ns.FixedIndegree(30), weight=weight, delay=0.1)
        net.connect(cells[150:], cells, ns.FixedIndegree(9), weight=-90.7, delay=1.7)
        options |= {"precision": "float32"} if deterministic else {}
        engine = Emulated(weights=weights, deterministic=deterministic, **options)
        made = ns.Simulation(net, seed=3, record=everything(net), engine=engine)
        made.run(12.0)
        return made

    found, expected = simulation(variant="owner", seed=5), simulation()
    rows = found._runner._owner._rows
    assert (rows.form, rows.table.size) == (form, n_table)
    if deterministic:
        assert_identical(found, expected)
    else:
        assert_same_trains(found, expected)
        assert_near(found, expected)


# ---- how a network is divided


@few(20)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 1000))
def test_every_neuron_has_one_owner_and_shares_are_alike(n, n_owners, seed):
    order = np.random.default_rng(seed).permutation(n)
    owners, member = _owners(order, n_owners)
    counts = np.bincount(owners, minlength=n_owners)
    assert counts.max() - counts.min() <= 1
    assert len(set(zip(owners, member, strict=True))) == n
    assert member.max() < -(-n // n_owners)


@few(20)
@given(st.lists(st.tuples(st.integers(1, 70), st.integers(1, 50)), min_size=1, max_size=12))
def test_classes_hold_the_delays_of_their_rows_in_few_places(rows):
    lengths, shares = (np.array(x) for x in zip(*rows, strict=True))
    class_of, steps = _classes(lengths, shares)
    assert (steps[class_of] >= lengths).all()
    used = (steps[class_of] * shares).sum()
    assert used <= lengths.max() * shares.sum()
    if np.unique(lengths).size <= 4:
        assert used == (lengths * shares).sum()


# ---- sanitizers


_CODE = """
from test_owner import run_sanitized
run_sanitized({sanitizer!r}, {flags!r}, {broken!r})
print("finished")
"""


class _PartlySanitized(EmulatedDevice):
    """Rows of the ring variant are built by kernels that other tests sanitize."""

    def compile(self, source, *, exact):
        mine = "owner_cell.cuh" in source or "divide.cu" in source
        library = compiled(source, sanitizer=self.sanitizer, flags=self.flags) if mine else None
        return EmulatedProgram(library or compiled(source), self)


def run_sanitized(sanitizer: str, flags: tuple[str, ...] = (), broken: bool = False) -> None:
    """Run a small network with sanitized kernels; `broken`: with too little shared memory."""
    net, record = small()
    noise = net.population(40, ns.models.poisson(rate=30.0), name="noise")
    net.connect(noise, net.populations["cells"], weight=20.0, delay=0.1)
    plan = ns.Simulation(net, record=record, engine="reference").plan
    device = _PartlySanitized(7, sanitizer=sanitizer, flags=flags, blocks=3)
    runner = GpuRunner(plan, GPU(precision="float64", variant="owner"), device)
    variant = runner._owner
    if broken:
        variant._grid = replace(variant._grid, shared=variant._grid.shared - 64)
    while runner.time < 2.99:
        runner.advance(3.0)
    assert runner.counters()["spikes"] > 20


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_the_owner_variant_passes_the_sanitizers(sanitizer):
    done = python(_CODE.format(sanitizer=sanitizer, flags=(), broken=False), sanitizer)
    assert done.stdout == "finished\n", done.stderr[-3000:]
    assert "WARNING" not in done.stderr


def test_a_planted_access_out_of_bounds_is_found():
    done = python(_CODE.format(sanitizer="address", flags=(), broken=True), "address")
    assert "finished" not in done.stdout
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr


def test_a_planted_race_is_found_at_its_line():
    flags = ("-DNS_PLANT_RACE=1",)
    done = python(_CODE.format(sanitizer="thread", flags=flags, broken=False), "thread")
    assert "ThreadSanitizer: data race" in done.stderr
    assert "owner" in done.stderr
    assert done.returncode == 66


# ---- refusals


def refused(error: type[Exception], text: str, net: ns.Network, **device: Any) -> None:
    with pytest.raises(error, match=text):
        ns.Simulation(net, engine=owner(device=EmulatedDevice(**device)))


def test_what_does_not_fit_is_told_with_the_figures():
    net = small()[0]
    refused(
        NetworkSizeError,
        r"divides the network among 3 blocks, each with 64 threads and 4\.6 KiB of shared memory "
        r"\(input to come, up to 12 steps: 4\.5 KiB; states: 0\.0 KiB\), but the emulator has 1024 "
        r"threads and 2\.4 KiB for a block\. About 69 of 130 neurons would fit\. Use "
        r"variant='ring', shorter delays or precision='float32'\.",
        net, shared=2500,
    )  # fmt: skip
    net = ns.Network()
    net.population(4000, ns.models.iaf_psc_exp(), name="cells")
    refused(NetworkSizeError, r"About 20\d\d of 4000 neurons would fit", net, blocks=1)


def test_what_cannot_run_is_refused():
    net = small()[0]
    refused(
        EngineUnavailableError, r"the emulator cannot launch cooperatively.*variant='ring'", net,
        is_cooperative=False,
    )  # fmt: skip
    with pytest.raises(ParameterError, match="launch = 'graph' does not go with variant = 'owner'"):
        GPU(variant="owner", launch="graph")
    with pytest.raises(ParameterError, match="variant = 'owners'; choose one of auto, ring, owner"):
        GPU(variant="owners")
    with pytest.raises(NetworkError, match=r"stores all synapses.*variant='ring'"):
        procedural = small()[0]
        cells = procedural.populations["cells"]
        procedural.connect(cells, cells, ns.FixedProbability(0.1), name="drawn")
        ns.Simulation(procedural, engine=Emulated(variant="owner", procedural=["drawn"]))
    cells = net.populations["cells"]
    net.connect(cells, cells, weight=1.0, synapse=ns.models.stdp(), name="plastic")
    refused(NetworkError, r"static synapses only.*'plastic'.*stdp.*variant='ring'", net)
