"""Where a part of the session runs: on a GPU at full size, or on the emulator at a tiny one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
EMULATION = ROOT / "tests" / "gpu_emulation"


class Row(NamedTuple):
    """One line of the results.

    Attributes
    ----------
    name : str
    value : float, bool or str
        A check is True or False.
    unit : str
    at_most, at_least : float, optional
        What issue 5 asks for.
    """

    name: str
    value: float | bool | str
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is what was asked for; None where nothing was."""
        if isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, str) or self.at_most is self.at_least is None:
            return None
        low = -np.inf if self.at_least is None else self.at_least
        high = np.inf if self.at_most is None else self.at_most
        return bool(low <= self.value <= high)


@dataclass(frozen=True)
class Place:
    """A GPU, or the emulator in its place.

    Parameters
    ----------
    emulated : bool
    """

    emulated: bool

    def size(self, full: Any, tiny: Any) -> Any:
        """Return the size to run at."""
        return tiny if self.emulated else full

    def device(self) -> Any:
        """Return a device of the engine."""
        if self.emulated:
            sys.path.insert(0, str(EMULATION))
            from emulator import EmulatedDevice

            return EmulatedDevice(blocks=2, flags=("-O0",))  # compiled fast, hardly used
        from neurosim.engines.gpu.cupy_device import open_device

        return open_device(0)

    def simulation(self, net: Any, record: Any = (), seed: int = 1234, **options: Any) -> Any:
        """Return a network on the device, built with some options of `neurosim.GPU`."""
        import neurosim as ns

        opener = nullcontext()
        if self.emulated:
            device = self.device()
            opener = patch("neurosim.engines.gpu.cupy_device.open_device", lambda number: device)
        with opener:
            return ns.Simulation(
                net, dt=0.1, seed=seed, record=list(record), engine=ns.GPU(**options)
            )

    def seconds(self, work: Callable[[], Any], end: Callable[[], Any], repeats: int = 5) -> float:
        """Return the median seconds of some work; `end` waits until the device has done it."""
        work()
        end()
        times = []
        for _ in range(repeats):
            start = perf_counter()
            work()
            end()
            times.append(perf_counter() - start)
        return median(times)


def guarded(label: str, rows: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """Yield rows; that something is refused or fails is a row as well, and the rest goes on."""
    from neurosim.errors import NetworkError, NetworkSizeError

    try:
        yield from rows()
    except (NetworkError, NetworkSizeError) as error:
        yield Row(label, f"refused: {error}")
    except Exception as error:
        yield Row(f"{label} failed: {type(error).__name__}: {error}"[:400], False)


def real_time_factor(simulation: Any, full_ms: float, limit_s: float) -> tuple[float, float]:
    """Return seconds a second of model time, and the model time [ms] that was run.

    The model time is cut down so that it takes about `limit_s` at most.
    """
    first = min(full_ms, 100.0)
    start = perf_counter()
    simulation.run(first)
    seconds = perf_counter() - start
    longest = round(max(first, min(full_ms, limit_s / seconds * first)), 0)
    start = perf_counter()
    simulation.run(longest)
    return (perf_counter() - start) / longest * 1e3, longest
