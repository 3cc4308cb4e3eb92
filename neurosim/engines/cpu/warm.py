"""Compiling what all simulations share: beside the first one, or before any.

Compilation is most of the time to the first result on a machine that has never run neurosim, and
Numba compiles one function at a time. A second process leaves the driver in the cache on disk
while the first one builds the network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.engines.cpu.compile import undisturbed
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
    undisturbed(lambda: simulation.run(0.1))


def fill_cache() -> None:
    """Compile ahead what does not depend on the models of a network.

    That is the loops over steps and over events in continuous time, and the generators of
    synapses. Numba keeps them where it can write; without such a place nothing is gained.
    """
    for precision in ("float64", "float32"):
        start_compiling(precision)
    for precision in ("float64", "float32"):
        undisturbed(partial(_run_steps, precision))
    undisturbed(_run_events)


def _run_steps(precision: str) -> None:
    """Run a network with each way to draw synapses, recorded."""
    import neurosim as ns

    net = ns.Network()
    source = net.population(4, ns.models.poisson(rate=100.0), name="source")
    parrot = net.population(4, ns.models.parrot(), name="parrot")
    rules: list[Any] = [
        ns.AllToAll(), ns.OneToOne(), ns.FixedProbability(0.5), ns.FixedIndegree(2),
        ns.FixedIndegree(2, multapses=False), ns.FixedOutdegree(2),
        ns.FixedOutdegree(2, multapses=False), ns.FixedTotalNumber(4),
        ns.FixedTotalNumber(4, multapses=False),
    ]  # fmt: skip
    for i, rule in enumerate(rules):
        net.connect(source, parrot, rule, weight=1.0, delay=1.0, name=f"same {i}")
        net.connect(source, parrot, rule, weight=ns.Normal(1.0, 0.1), delay=ns.Uniform(1.0, 2.0),
                    name=f"drawn {i}")  # fmt: skip
    listed = ns.Explicit(np.array([0, 1]), np.array([1, 0]))
    net.connect(source, parrot, listed, weight=[1.0, 2.0], delay=[1.0, 2.0], name="listed")
    record = [ns.Spikes(parrot)]
    ns.simulate(net, 1.0, record=record, engine=CPU(threads=1, precision=precision))


def _run_events() -> None:
    """Run a network in continuous time."""
    import neurosim as ns

    net = ns.Network()
    source = net.population(1, ns.models.poisson(rate=100.0), name="source")
    parrot = net.population(1, ns.models.parrot(), name="parrot")
    net.connect(source, parrot, weight=1.0, delay=1.0)
    ns.simulate(net, 1.0, dt=None, record=[ns.Spikes(parrot)])
