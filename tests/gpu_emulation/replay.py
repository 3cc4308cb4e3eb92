"""Launches that are run again in a bare process, without NumPy and PyTorch.

Under a sanitizer these two take longer to start than all kernels take to run.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class Launch(NamedTuple):
    """A kernel of a library, and the bytes of its arguments.

    An array is a pair of its address, by which arguments that share it are known, and its values.
    """

    library: str
    kernel: str
    blocks: int
    threads: int
    arguments: list[tuple[int | None, str]]
    cooperative: bool = False
    shared: int = 0


def number(value: Any) -> tuple[None, str]:
    """Return what `Launch` has for a number of NumPy."""
    return None, value.tobytes().hex()


def array(address: int, size: int) -> tuple[int, str]:
    """Return what `Launch` has for an array."""
    return address, ctypes.string_at(address, size).hex()


@cache
def sanitizer_library(sanitizer: str) -> str | None:
    """Return the path of a sanitizer's library, None if g++ has none."""
    name = {"address": "libasan.so", "thread": "libtsan.so"}[sanitizer]
    command = ["g++", f"-print-file-name={name}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return found if Path(found).is_absolute() else None


def environment(sanitizer: str) -> dict[str, str]:
    """Return the variables with which Python starts so that kernels can be sanitized."""
    found = sanitizer_library(sanitizer)
    assert found is not None
    return {
        "LD_PRELOAD": found, "ASAN_OPTIONS": "detect_leaks=0",
        "TSAN_OPTIONS": "exitcode=66:halt_on_error=1",
    }  # fmt: skip


def replayed(
    launches: Sequence[Launch], sanitizer: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run launches in a new process; the names of the kernels are printed as they end."""
    variables = os.environ | (environment(sanitizer) if sanitizer else {})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "launches.json"
        file.write_text(json.dumps(launches))
        return subprocess.run(
            [sys.executable, "-I", "-S", __file__, str(file)], capture_output=True, text=True,
            check=False, env=variables,
        )  # fmt: skip


def _run(launches: list[list]) -> None:
    memory = ctypes.CDLL(None)  # where the sanitizer's own malloc comes first
    memory.malloc.restype, memory.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    memory.free.argtypes = [ctypes.c_void_p]
    three = ctypes.c_uint * 3
    for turn, launch in enumerate(map(Launch._make, launches), start=1):
        places: dict[tuple[int, int], int] = {}
        boxes = []
        for address, text in launch.arguments:
            value = bytes.fromhex(text)
            if address is not None:
                key = address, len(value)
                if key not in places:
                    places[key] = memory.malloc(len(value))
                    ctypes.memmove(places[key], value, len(value))
                value = places[key].to_bytes(8, sys.byteorder)
            boxes.append(ctypes.create_string_buffer(value, len(value)))
        pointers = (ctypes.c_void_p * len(boxes))(*map(ctypes.addressof, boxes))
        failed = getattr(ctypes.CDLL(launch.library), f"cuemu_launch_{launch.kernel}")(
            three(launch.blocks, 1, 1), three(launch.threads, 1, 1), pointers,
            int(launch.cooperative), ctypes.c_uint64(3 + turn), ctypes.c_size_t(launch.shared),
        )  # fmt: skip
        for place in places.values():
            memory.free(place)
        print(f"failed: {launch.kernel}" if failed else launch.kernel, flush=True)


if __name__ == "__main__":
    _run(json.loads(Path(sys.argv[1]).read_text()))
