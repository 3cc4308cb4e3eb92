"""Time a sample in the event engine and in torch: the same network, the same spikes.

Usage: python benchmarks/training/engine_inference.py [--repeats 3]

The network is that of the training cases. Each sample lasts a second: 100 steps of 10 ms, or 1,000
steps of 1 ms with the same events. Time in the engine is that of the run, per sample, for many
samples one after another, without building. Torch runs one sample at a time, densely.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shapes import BETA, CASES

import neurosim as ns
from neurosim import bridge
from neurosim.bridge.convert import to_network

HERE = Path(__file__).resolve().parent
SAMPLES = 40
#: Steps of a second, and the decay in such a step for equal time constants.
STEPS = {100: BETA, 1000: BETA**0.1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE.parent / "results-training")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = {f"{steps} steps": measure(steps, args.repeats) for steps in STEPS}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "engine_inference.json").write_text(json.dumps(results, indent=1) + "\n")
    names = ("torch, snnTorch", "torch, dense products, fused neurons", "engine")
    for case, row in results.items():
        print(case, {n: round(statistics.median(row[n]), 2) for n in names}, "ms a sample;",
              f"{row['synaptic operations']:.0f} synaptic operations a sample")  # fmt: skip


def measure(steps: int, repeats: int) -> dict[str, Any]:
    """Return milliseconds a sample of each way, over repeats that take turns."""
    beta = STEPS[steps]
    x = events(steps)
    ours, theirs = models(beta)
    converted = to_network(ours, dt=1000.0 / steps)
    engine = ns.CPU(threads=1, precision="float32")
    result: dict[str, Any] = {
        "torch, snnTorch": [], "torch, dense products, fused neurons": [], "engine": [],
    }  # fmt: skip
    with torch.no_grad():
        expected = ours(x)[0].argmax(-1)
        for _ in range(repeats):
            for name, run in (("torch, snnTorch", theirs), (
                "torch, dense products, fused neurons", lambda s: ours(s)[0])):  # fmt: skip
                run(x[:, :1])
                start = time.perf_counter()
                for k in range(SAMPLES):
                    run(x[:, k : k + 1])
                result[name].append(1e3 * (time.perf_counter() - start) / SAMPLES)
            run = converted.run(x, engine)
            result["engine"].append(1e3 * sum(c["seconds"] for c in run.counters) / SAMPLES)
            operations = sum(c["synaptic_events"] for c in run.counters)
            result["synaptic operations"] = operations / SAMPLES
    decided = np.asarray(run.output).argmax(-1)
    result["equal decisions at each step"] = float((decided == expected.numpy()).mean())
    return result


def events(steps: int) -> torch.Tensor:
    """Return the same events in steps of different length: [T, B, 700]."""
    rng = np.random.default_rng(3)
    coarse = rng.random((100, SAMPLES, 700)) < CASES["shd"].density
    t, b, i = np.nonzero(coarse)
    x = np.zeros((steps, SAMPLES, 700), np.float32)
    x[t * (steps // 100) + rng.integers(0, steps // 100, t.size), b, i] = 1.0
    return torch.from_numpy(x)


def models(beta: float) -> tuple[Any, Any]:
    """Return the network in layers of neurosim and as snnTorch's loop, with the same weights."""
    import snntorch as snn

    weights = [torch.from_numpy(w) for w in CASES["shd"].weights()]
    layers = [bridge.Linear(w.shape[1], w.shape[0], bias=False, sparse=False) for w in weights]
    for layer, w in zip(layers, weights, strict=True):
        layer.weight.data = w
    ours = bridge.Sequential(layers[0], bridge.LIF(beta=beta), layers[1], bridge.LIF(beta=beta),
                             layers[2], bridge.LI(beta=beta))  # fmt: skip
    hidden = [snn.Leaky(beta=beta), snn.Leaky(beta=beta)]
    readout = snn.Leaky(beta=beta, reset_mechanism="none")

    def theirs(x: torch.Tensor) -> torch.Tensor:
        memories = [lif.reset_mem() for lif in (*hidden, readout)]
        out = []
        for z in x.unbind(0):
            for k, lif in enumerate(hidden):
                z, memories[k] = lif(torch.nn.functional.linear(z, weights[k]), memories[k])
            _, memories[2] = readout(torch.nn.functional.linear(z, weights[2]), memories[2])
            out.append(memories[2])
        return torch.stack(out)

    return ours.eval(), theirs


if __name__ == "__main__":
    sys.exit(main())
