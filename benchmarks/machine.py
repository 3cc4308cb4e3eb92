"""Describe the machine that a benchmark runs on."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

MEGABYTES = 256  # of each of the two arrays that are copied: far more than any cache


def describe() -> dict[str, Any]:
    """Return CPU, cores, memory, load and the measured memory bandwidth."""
    cores = len(os.sched_getaffinity(0))
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": cores,
        "memory_gb": round(int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024 / 1e9, 1),
        "bandwidth_gb_per_s": {n: round(bandwidth(n), 1) for n in sorted({1, cores})},
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()}, Python {platform.python_version()}",
    }


def bandwidth(threads: int) -> float:
    """Return bytes read and written a second by copies of a large array [GB/s], best of five."""
    source, target = (np.ones((threads, MEGABYTES * 125_000 // threads)) for _ in range(2))
    best = np.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = perf_counter()
            list(pool.map(np.copyto, target, source))
            best = min(best, perf_counter() - start)
    return 2 * source.nbytes / best / 1e9


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
