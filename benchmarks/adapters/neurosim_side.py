"""Run a case in neurosim."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from case import DT, SEED, Case


def measure(case: Case, *, threads: int, precision: str, model_ms: float) -> dict[str, Any]:
    """Build, warm up and run the case."""
    import numba
    import numpy as np

    start = perf_counter()
    import neurosim as ns

    net = case.neurosim(ns)
    engine = ns.CPU(threads=threads or None, strategy="auto", precision=precision)
    sim = ns.Simulation(net, dt=DT, seed=SEED, record=[], engine=engine)
    built = perf_counter()
    if case.warmup_ms:
        sim.run(case.warmup_ms)
    warm = perf_counter()
    before = _counts(sim)
    start_run = perf_counter()
    sim.run(model_ms)
    sim_s = perf_counter() - start_run
    after = _counts(sim)
    generated = case.generated(case.warmup_ms, case.warmup_ms + model_ms)
    seconds = dict(sim.counters["seconds"])
    return {
        "threads": int(sim.counters["threads"]),
        "build_s": built - start,
        "compile_s": float(seconds.get("compile", 0.0)),
        "warmup_s": warm - built,
        "sim_s": sim_s,
        "spikes": after["spikes"] - before["spikes"] - generated,
        "synaptic_events": after["synaptic_events"] - before["synaptic_events"] - generated,
        "neuron_updates": after["neuron_updates"] - before["neuron_updates"],
        "bytes": int(sim.counters["bytes"]),
        "strategies": dict(sim.counters.get("strategies", {})),
        "seconds": {name: float(value) for name, value in seconds.items()},
        "versions": {
            "neurosim": ns.__version__,
            "numba": numba.__version__,
            "numpy": np.__version__,
        },
    }


def _counts(sim: Any) -> dict[str, int]:
    return {
        name: int(sim.counters[name]) for name in ("spikes", "synaptic_events", "neuron_updates")
    }
