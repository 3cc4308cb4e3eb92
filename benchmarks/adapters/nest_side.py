"""Run a case in NEST."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from case import DT, SEED, Built, Case


def measure(case: Case, *, threads: int, precision: str, model_ms: float) -> dict[str, Any]:
    """Build, warm up and run the case; NEST computes in double precision."""
    import numpy as np

    start = perf_counter()
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.set(resolution=DT, local_num_threads=threads, rng_seed=SEED, print_time=False)
    assert case.nest is not None
    built: Built = case.nest(nest)
    # Where all neurons have about the same out-degree the kernel's own count is enough, and
    # nothing is recorded; otherwise one recorder a population counts.
    recorders = _recorders(nest, built) if len(built.populations) > 1 else {}
    nest.Prepare()
    nest.Run(DT)  # sorts the connections, which is part of building them
    ready = perf_counter()
    if case.warmup_ms:
        nest.Run(case.warmup_ms)
    before = {name: recorder.n_events for name, recorder in recorders.items()}
    warm = perf_counter()
    nest.Run(model_ms)
    sim_s = perf_counter() - warm
    counts = {name: recorder.n_events - before[name] for name, recorder in recorders.items()}
    if not recorders:
        counts = {next(iter(built.populations)): nest.local_spike_counter}
    sizes = {name: len(nodes) for name, nodes in built.populations.items()}
    return {
        "build_s": ready - start,
        "warmup_s": warm - ready,
        "sim_s": sim_s,
        "spikes": sum(counts.values()),
        "synaptic_events": round(
            sum(n * float(np.mean(built.out_degrees[name])) for name, n in counts.items())
        ),
        "rates_hz": {name: n / sizes[name] / model_ms * 1e3 for name, n in counts.items()},
        "versions": {"nest": nest.__version__, "numpy": np.__version__},
    }


def _recorders(nest: Any, built: Built) -> dict[str, Any]:
    recorders = {}
    for name, nodes in built.populations.items():
        recorders[name] = nest.Create("spike_recorder")
        nest.Connect(nodes, recorders[name])
    return recorders
