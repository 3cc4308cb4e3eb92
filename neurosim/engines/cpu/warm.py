"""Compiling the driver in a second process, while this one builds the network.

Compilation is most of the time to the first result on a machine that has never run neurosim, and
Numba compiles one function at a time. The second process leaves the driver in the cache on disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

from neurosim.engines.cpu.compile import uncollected, with_room
from neurosim.engines.cpu.kernels.cached import can_cache, is_cached
from neurosim.engines.cpu.kernels.driver import run_thread
from neurosim.engines.cpu.options import CPU, available_cores

#: Set in the second process, which must not start a third.
_MARK = "NEUROSIM_COMPILING"


@cache
def start_compiling(precision: str) -> threading.Thread | None:
    """Start to compile the driver elsewhere, if that is possible and saves time; only once.

    Parameters
    ----------
    precision : {"float64", "float32"}

    Returns
    -------
    thread or None
        To be joined before the driver is called.
    """
    if os.environ.get(_MARK) or available_cores() < 2 or not can_cache(run_thread):
        return None
    python = Path(sys.executable or "")
    if is_cached(run_thread, precision) or not python.name.lower().startswith("python"):
        return None
    command = f"from neurosim.engines.cpu.warm import compile_driver; compile_driver({precision!r})"
    try:
        # modules are found where this process finds them, and nowhere else (-P: not in its folder)
        path = os.pathsep.join(p or os.getcwd() for p in sys.path)
        process = subprocess.Popen(
            [python, "-P", "-c", command],
            env=os.environ | {_MARK: "1", "PYTHONPATH": path},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    thread = threading.Thread(target=process.wait, name="neurosim-compiling", daemon=True)
    thread.start()
    return thread


def compile_driver(precision: str) -> None:
    """Compile the driver by running the smallest network there is."""
    import neurosim as ns

    net = ns.Network()
    net.population(1, ns.models.parrot(), name="parrot")
    simulation = ns.Simulation(net, engine=CPU(threads=1, precision=precision))
    with uncollected():
        with_room(lambda: simulation.run(0.1))
