"""The bridge's CUDA kernels under the sanitizers: bounds, and races between threads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from subprocess import CompletedProcess

import pytest
import torch
from emulated_launcher import EmulatedLauncher, on
from emulator import compiled
from replay import Launch, array, number, replayed, sanitizer_library
from test_emulation_layer import python
from test_training_kernels import results
from torch import nn

from neurosim import bridge
from neurosim.bridge.cuda.launcher import Argument


class _Recording(EmulatedLauncher):
    """Prints all launches before they run, with their sources, and then lets them run."""

    def launch(
        self, source: str, kernel: str, blocks: int, threads: int, arguments: Sequence[Argument]
    ) -> None:
        values = []
        for a in arguments:
            if isinstance(a, torch.Tensor):
                assert a.is_contiguous()
                values.append(array(a.data_ptr(), a.numel() * a.element_size()))
            else:
                values.append(number(a))
        print(json.dumps([source, Launch("", kernel, blocks, threads, values)]), flush=True)
        super().launch(source, kernel, blocks, threads, arguments)


def record() -> None:
    """Run every kernel forward and backward, without a sanitizer."""
    torch.manual_seed(0)
    n = 40
    alif = bridge.ALIF(n, beta=0.9, rho=torch.linspace(0.5, 0.9, n), learn_rho=True)
    layers = [
        (alif, (20, 2, n)),
        (bridge.Linear(n, 9, sparse=True), (3, 1, n)),
        (bridge.DelayedLinear(n, 9, 6), (5, 2, n)),
        (bridge.DelayedLinear(3, 4, 80).double(), (9, 1, 3)),
        (bridge.DelayedLinear(2, 3, 6, kind="axon"), (9, 2, 2)),
        (bridge.Recurrent(alif, bridge.DelayedLinear(n, n, 4)), (3, 1, n)),
        (bridge.Recurrent(alif, nn.Linear(n, n)), (4, 2, n)),
    ]
    with on(_Recording(3)):
        for layer, shape in layers:
            kind = next(iter(layer.parameters())).dtype
            results(layer, nn.functional.relu(torch.randn(shape, dtype=kind)))


@cache
def launches() -> list[tuple[str, Launch]]:
    """Return what `record` prints in another process, which a broken kernel may stop."""
    done = python("from test_training_sanitized import record; record()")
    pairs = map(json.loads, done.stdout.splitlines())
    return [(source, Launch(*launch)) for source, launch in pairs]


def run(
    sanitizer: str, chosen: list[tuple[str, Launch]], left_out: str = ""
) -> CompletedProcess[str]:
    """Run launches under a sanitizer; `left_out` is a line that the kernels lack then."""
    if sanitizer_library(sanitizer) is None:
        pytest.skip(f"g++ has no library of the {sanitizer} sanitizer")
    made = []
    for source, launch in chosen:
        text = source.replace(left_out, "") if left_out else source
        made.append(launch._replace(library=str(compiled(text, sanitizer=sanitizer))))
    return replayed(made, sanitizer)


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_all_kernels_pass_the_sanitizers(sanitizer: str):
    done = run(sanitizer, launches())
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.split() == [launch.kernel for _, launch in launches()]
    assert sorted(set(done.stdout.split())) == [
        "backward", "collect", "correlate", "correlate_axons", "deliver", "filter_axons",
        "forward", "gather", "pull_back", "recurrent",
    ]  # fmt: skip


def test_a_missing_barrier_is_a_race():
    line = "__syncthreads();  // all spikes of the step before are there"
    chosen = [pair for pair in launches() if line in pair[0] and pair[1].kernel == "recurrent"]
    done = run("thread", chosen[-1:], left_out=line)
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
    assert done.returncode == 66


def test_a_planted_access_out_of_bounds_is_found():
    source, launch = next(pair for pair in launches() if pair[1].kernel == "forward")
    k = max(range(len(launch.arguments)), key=lambda k: len(launch.arguments[k][1]))
    address, values = launch.arguments[k]
    launch.arguments[k] = address, values[:-8]  # the largest array lacks its last number
    try:
        done = run("address", [(source, launch)])
    finally:
        launch.arguments[k] = address, values
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
