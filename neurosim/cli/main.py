"""Commands: explain a simulation, train and evaluate networks, look at the installation."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from neurosim.cli import train as training
from neurosim.errors import NeurosimError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (0 good, 1 a neurosim error, 2 bad usage)."""
    parser = argparse.ArgumentParser(prog="neurosim", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    explain = commands.add_parser(
        "explain", help="print what the first simulation of a script does, instead of running it"
    )
    explain.add_argument("script", help="Python file that makes a simulation")
    explain.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the script")
    explain.add_argument("--no-kernels", action="store_true", help="leave out generated sources")
    commands.add_parser("info", help="print versions, cores, memory and where kernels are kept")
    cache = commands.add_parser("cache", help="the cache of compiled kernels")
    cache.add_argument(
        "action",
        choices=("where", "clear", "fill"),
        help="print the folder; delete what is in it; compile what all simulations share",
    )
    training.add_commands(commands)
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "explain":
            return _explain(arguments.script, arguments.arguments, not arguments.no_kernels)
        if arguments.command == "info":
            return _info()
        if arguments.command == "train":
            return training.train(arguments)
        if arguments.command == "evaluate":
            return training.evaluate(arguments)
        return _cache(arguments.action)
    except NeurosimError as error:
        print(f"neurosim: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        if arguments.command == "explain":  # the script's own
            raise
        print(f"neurosim: {error}", file=sys.stderr)
        return 1


class _Explained(BaseException):
    """Leaves the script once its first simulation is explained; no `except Exception` stops it."""


def _explain(script: str, arguments: Sequence[str], kernels: bool) -> int:
    from neurosim.explain import explain
    from neurosim.simulation import Simulation

    def run(simulation: Simulation, *_: Any, **__: Any) -> None:
        print(explain(simulation, kernels=kernels))
        raise _Explained

    original, argv = Simulation.run, sys.argv
    Simulation.run = run  # type: ignore[method-assign, assignment]
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except _Explained:
        return 0
    finally:
        Simulation.run, sys.argv = original, argv  # type: ignore[method-assign]
    print(f"neurosim: {script} ran no simulation.", file=sys.stderr)
    return 1


def _info() -> int:
    from neurosim import __version__
    from neurosim.engines.cpu.compile import cache_directory
    from neurosim.engines.cpu.options import available_cores
    from neurosim.lower.memory import available_bytes, gib
    from neurosim.recorder import package_version

    memory = available_bytes()
    print(f"neurosim {__version__}")
    for package in ("numpy", "scipy", "numba", "h5py", "matplotlib"):
        print(f"{package} {package_version(package)}")
    print(f"cores: {available_cores()}")
    print(f"memory available: {'unknown' if memory is None else gib(memory)}")
    print(f"kernels: {cache_directory()}")
    return 0


def _cache(action: str) -> int:
    from neurosim.engines.cpu.compile import cache_directory, clear_cache

    if action == "where":
        print(cache_directory())
    elif action == "fill":
        from neurosim.engines.cpu.warm import fill_cache

        start = perf_counter()
        fill_cache()
        print(f"compiled in {perf_counter() - start:.1f} s")
    else:
        print(f"removed {clear_cache()} generated kernels")
    return 0
