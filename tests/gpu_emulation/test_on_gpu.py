"""The same networks on a real GPU: marked ``gpu``, left out where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator import Emulated
from random_networks import SLEEPING
from runs import assert_identical, assert_same_trains, traces
from test_engine import assert_checkpoints_move, simulated
from test_models import built_in, run
from test_plastic import all_rules, all_same, run_all

import neurosim as ns
from neurosim.engines.gpu.cupy_device import open_device
from neurosim.engines.gpu.options import GPU
from neurosim.errors import EngineUnavailableError


def _missing() -> str | None:
    try:
        open_device(0)
    except EngineUnavailableError as error:
        return str(error)
    return None


_REASON = _missing()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(_REASON is not None, reason=_REASON or "there is a GPU"),
]
_DESCRIPTION: dict[str, Any] = {
    "cells": list(SLEEPING), "sources": ["spikes", "varied poisson", "parrot"],
    "inputs": ["dense", "some"], "currents": ["step", "held noise"], "shortest": 4,
    "numbers": 12, "seed": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"launch": "cooperative"}, {"launch": "graph"}, {"launch": "phases"},
        {"variant": "owner"}, {"procedural": True},
    ],
    ids=str,
)  # fmt: skip
def test_deterministic_runs_equal_the_emulator_to_the_last_bit(options):
    # only exact propagators: no function whose last digit may differ on the device
    found = simulated(_DESCRIPTION, GPU(precision="float64", deterministic=True, **options))
    assert_identical(found, simulated(_DESCRIPTION, Emulated(deterministic=True)))
    assert found.counters["spikes"] > 100


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_deterministic_runs_equal_the_cpu_engine(precision):
    found = simulated(_DESCRIPTION, GPU(precision=precision, deterministic=True))
    expected = simulated(_DESCRIPTION, ns.CPU(precision=precision, deterministic=True))
    assert_same_trains(found, expected)


def test_plastic_networks_equal_reference():
    net, record = all_rules()
    expected = run_all(net, record, "reference")
    all_same(run_all(net, record, GPU(precision="float64")), expected)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_owners_equal_the_emulated_ring_to_the_last_bit(precision):
    options = {"precision": precision, "deterministic": True}
    found = simulated(_DESCRIPTION, GPU(variant="owner", **options))
    assert_identical(found, simulated(_DESCRIPTION, Emulated(**options)))


def test_every_model_with_an_owner_stays_near_the_emulator():
    models = {name: m() for name, m in built_in().items()}
    found = run(models, GPU(precision="float64", variant="owner"), 20.0)
    expected = traces(run(models, Emulated(), 20.0))
    values = traces(found)
    assert sum(
        np.allclose(values[name], trace, rtol=1e-6, atol=1e-6 * np.abs(trace).max())
        for name, trace in expected.items()
    ) > 0.95 * len(values)


def test_double_precision_equals_reference():
    found = simulated(_DESCRIPTION, GPU(precision="float64"))
    assert_same_trains(found, simulated(_DESCRIPTION, "reference"))


def test_single_precision_equals_the_emulator_when_deterministic():
    found = simulated(_DESCRIPTION, GPU(deterministic=True))
    assert_identical(
        found, simulated(_DESCRIPTION, Emulated(precision="float32", deterministic=True))
    )


def test_every_model_stays_near_the_emulator():
    models = {name: m() for name, m in built_in().items()}
    found, expected = run(models, GPU(precision="float64"), 20.0), run(models, Emulated(), 20.0)
    values = traces(found)
    near = 0
    for name, trace in traces(expected).items():
        scale = np.abs(trace).max() + 1e-9
        near += bool(np.allclose(values[name] / scale, trace / scale, atol=1e-6))
    assert near > 0.95 * len(values)


def test_checkpoints_move_between_gpu_and_reference(tmp_path):
    gpu = GPU(precision="float64")
    assert_checkpoints_move(tmp_path, ((gpu, "reference"), ("reference", gpu)))
