"""Run a case in Brian2 as a C++ standalone program."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter, time
from typing import Any

from case import DT, SEED, Built, Case

# Executed inside the generated program: when each phase ended, and how much memory it took.
MARK = """{{ timespec clock; clock_gettime(CLOCK_REALTIME, &clock);
std::ofstream mark("mark_{name}.txt");
mark << std::fixed << clock.tv_sec + 1e-9 * clock.tv_nsec << std::endl;
std::ifstream status("/proc/self/status"); std::string line;
while (std::getline(status, line)) if (line.compare(0, 6, "VmHWM:") == 0) mark << line; }}"""


def measure(case: Case, *, threads: int, precision: str, model_ms: float) -> dict[str, Any]:
    """Generate, compile and run the case in double precision with Brian2's default flags."""
    with tempfile.TemporaryDirectory(prefix="neurosim_bench_brian2_") as folder:
        return _measure(case, threads, model_ms, Path(folder))


def _measure(case: Case, threads: int, model_ms: float, folder: Path) -> dict[str, Any]:
    start = perf_counter()
    import brian2 as b2
    import numpy as np

    b2.set_device("cpp_standalone", build_on_run=False)
    b2.prefs.devices.cpp_standalone.openmp_threads = threads if threads > 1 else 0
    b2.defaultclock.dt = DT * b2.ms
    b2.seed(SEED)
    assert case.brian2 is not None
    built: Built = case.brian2(b2)
    monitors = {
        name: b2.SpikeMonitor(group, record=False) for name, group in built.populations.items()
    }
    network = b2.Network(*built.populations.values(), *built.objects)
    _mark(b2.device, "ready")
    if case.warmup_ms:
        network.run(case.warmup_ms * b2.ms)
    network.add(*monitors.values())
    _mark(b2.device, "warm")
    network.run(model_ms * b2.ms)
    _mark(b2.device, "done")
    described = perf_counter()
    b2.device.build(directory=str(folder), compile=True, run=False)
    compiled = perf_counter()
    launched = time()
    b2.device.run(directory=str(folder), with_output=False, run_args=[])
    finished = perf_counter()
    ready, warm, done = (_read(folder, name) for name in ("ready", "warm", "done"))
    counts = {name: np.asarray(monitor.count[:]) for name, monitor in monitors.items()}
    events = sum(float((n * built.out_degrees[name]).sum()) for name, n in counts.items())
    return {
        "build_s": compiled - start + ready[0] - launched,
        "compile_s": compiled - described,
        "connect_s": ready[0] - launched,
        "warmup_s": warm[0] - ready[0],
        "sim_s": float(b2.device._last_run_time),
        "finish_s": finished - compiled - (done[0] - launched),
        "spikes": int(sum(n.sum() for n in counts.values())),
        "synaptic_events": round(events),
        "active_neurons": int(sum((n > 0).sum() for n in counts.values())),
        "rates_hz": {name: float(n.mean()) / model_ms * 1e3 for name, n in counts.items()},
        "program_rss_mb": done[1],
        "versions": {"brian2": b2.__version__, "numpy": np.__version__},
    }


def _mark(device: Any, name: str) -> None:
    device.insert_code("main", MARK.format(name=name))


def _read(folder: Path, name: str) -> tuple[float, float]:
    """Return when a mark was passed [s since the epoch] and the peak memory until then [MB]."""
    clock, memory = (folder / f"mark_{name}.txt").read_text().splitlines()
    return float(clock), float(memory.split()[1]) * 1024 / 1e6
