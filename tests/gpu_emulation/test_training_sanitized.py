"""The bridge's CUDA kernels under the sanitizers: bounds, and races between threads."""

from __future__ import annotations

import pytest
import torch
from emulated_launcher import EmulatedLauncher, on
from test_emulation_layer import python
from test_training_kernels import results
from torch import nn

from neurosim import bridge


def run_all(sanitizer: str, left_out: str = "") -> None:
    """Run every kernel forward and backward; `left_out` is a line that a kernel lacks then."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    n = 40
    alif = bridge.ALIF(n, beta=0.9, rho=torch.linspace(0.5, 0.9, n), learn_rho=True)
    layers = [
        (alif, (20, 2, n)),
        (bridge.Linear(n, 9, sparse=True), (3, 1, n)),
        (bridge.DelayedLinear(n, 9, 6), (5, 2, n)),
        (bridge.DelayedLinear(3, 4, 80).double(), (9, 1, 3)),
        (bridge.DelayedLinear(2, 3, 6, kind="axon"), (9, 2, 2)),
        (bridge.Recurrent(alif, nn.Linear(n, n)), (4, 2, n)),
        (bridge.Recurrent(alif, bridge.DelayedLinear(n, n, 4)), (3, 1, n)),
    ]
    if left_out:
        layers = layers[5:6]
    used = set()
    for layer, shape in layers:
        kind = next(iter(layer.parameters())).dtype
        x = nn.functional.relu(torch.randn(shape, dtype=kind))
        with on(EmulatedLauncher(3, sanitizer, left_out)) as launcher:
            results(layer, x)
        used |= set(launcher.kernels)
    print("finished", *sorted(used))


def _run(sanitizer: str, left_out: str = "") -> str:
    call = f"from test_training_sanitized import run_all; run_all({sanitizer!r}, {left_out!r})"
    done = python(call, sanitizer)
    return done.stdout + done.stderr


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_all_kernels_pass_the_sanitizers(sanitizer: str):
    assert _run(sanitizer).split() == [
        "finished", "backward", "collect", "correlate", "correlate_axons", "deliver",
        "filter_axons", "forward", "gather", "pull_back", "recurrent",
    ]  # fmt: skip


def test_a_missing_barrier_is_a_race():
    found = _run("thread", "__syncthreads();  // all spikes of the step before are there")
    assert "WARNING: ThreadSanitizer: data race" in found
