"""How much memory there is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from neurosim.errors import NetworkSizeError


def available_bytes() -> int | None:
    """Return the bytes of memory that can be used, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def gib(size: int) -> str:
    """Return a number of bytes as text.

    Examples
    --------
    >>> gib(3 * 2**30)
    '3.0 GiB'
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.1f} MiB"


def require_memory(needed: float, what: str, remedy: str) -> None:
    """Raise NetworkSizeError if there is less memory than needed.

    Parameters
    ----------
    needed : float
        Bytes.
    what : str
        What needs them: the beginning of the message.
    remedy : str
        What to do about it: its end.
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise NetworkSizeError(
            f"{what} about {gib(int(needed))}, but {gib(available)} of memory are available. "
            f"{remedy}"
        )


def check_neurons(network: Any) -> None:
    """Raise NetworkSizeError if the states of the neurons alone exceed the memory there is."""
    needed = {p.name: 8 * p.n * (len(p.model.states) + 2) for p in network.populations.values()}
    largest = network.populations[max(needed, key=lambda name: needed[name])]
    require_memory(
        sum(needed.values()),
        f"the neurons (population {largest.name!r} alone has {largest.n}) need",
        "Use smaller populations or a larger machine.",
    )
