"""The GPU engine on the emulation layer: a Device whose kernels g++ compiled and fibers run."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.engines.base import Engine, Runner
from neurosim.engines.gpu.device import Device, Grid, Program
from neurosim.engines.gpu.options import GPU
from neurosim.engines.gpu.runner import GpuRunner
from neurosim.engines.gpu.support import supported

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("CUEMU_CACHE", Path(tempfile.gettempdir()) / "neurosim-cuemu"))
#: Contraction would change last digits; kernels look at the bits of numbers.
FLAGS = ("-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing",
         "-Wno-unknown-pragmas", "-Wno-unused-function")  # fmt: skip


def compiled(source: str, *, sanitizer: str | None = None, flags: Sequence[str] = ()) -> Path:
    """Return the shared library of a CUDA source, from the cache if it has been compiled before.

    Parameters
    ----------
    source : str
    sanitizer : {"address", "thread"}, optional
    flags : sequence of str
        More flags of the compiler.
    """
    names = re.findall(r"__global__ void\s+(?:__launch_bounds__\([\w, ]+\)\s+)?(\w+)\(", source)
    text = "\n".join(
        ['#include "cuda_names.h"', source, *(f"CUEMU_EXPORT({name})" for name in names)]
    )
    # kernels run for less time than it takes to optimise them, which could hide mistakes as well
    options = [*FLAGS, "-O0"]
    if sanitizer is not None:
        options += ["-g1", f"-fsanitize={sanitizer}"]
    library = CACHE / f"{_digest(text, *options, *flags)}.so"
    if not library.exists():
        folder, runtime = _compiled_headers(tuple(options)), _runtime(sanitizer)
        options += [*flags, f"-I{folder}", f"-I{HERE}", "-Wl,-rpath,$ORIGIN", str(runtime)]
        _build(library, "kernels.cpp", text, options)
    return library


@cache
def _parts() -> str:
    return "\n".join(path.read_text() for path in sorted([*HERE.glob("*.h"), *HERE.glob("*.cpp")]))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join([*texts, _parts()]).encode()).hexdigest()[:20]


@cache
def _runtime(sanitizer: str | None) -> Path:
    """Return the library that runs kernels; libraries of kernels are linked to it."""
    options = [*FLAGS, "-O2", f"-I{HERE}"]
    if sanitizer is not None:
        options.append(f"-DCUEMU_{sanitizer.upper()}")
    library = CACHE / f"runtime-{_digest(*options)}.so"
    if not library.exists():
        text = (HERE / "cuemu.cpp").read_text()
        _build(library, "cuemu.cpp", text, [*options, f"-Wl,-soname,{library.name}"])
    return library


@cache
def _compiled_headers(options: tuple[str, ...]) -> Path:
    """Return the folder with the precompiled header, which saves a third of each compilation."""
    folder = CACHE / f"headers-{_digest(*options)}"
    made = folder / "cuda_names.h.gch"
    if not made.exists():
        text = (HERE / "cuda_names.h").read_text().replace("#pragma once\n", "")
        _build(made, "cuda_names.h", text, [*options, f"-I{HERE}", "-x", "c++-header"])
    return folder


def _build(target: Path, name: str, text: str, options: Sequence[str]) -> None:
    """Have g++ make a file, one process at a time; who looks for it finds all of it or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():  # another process was first
            return
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            file, made = Path(folder) / name, Path(folder) / target.name
            file.write_text(text)
            # libraries come after what needs them
            command = ["g++", str(file), *options, "-o", str(made)]
            # a sanitizer that was loaded into Python need not come into the compiler, too
            plain = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
            if done.returncode:
                raise RuntimeError(done.stderr)
            made.replace(target)


class EmulatedProgram(Program):
    """A library of kernels."""

    def __init__(self, library: Path, device: EmulatedDevice) -> None:
        self._library, self._device = ctypes.CDLL(str(library)), device

    def grid(self, n_tiles: int, *, cooperative: bool) -> Grid:
        return Grid(self._device.blocks, self._device.tile, self._device.chunk)

    def admit(self, kernel: str, grid: Grid) -> bool:
        return True

    def launch(
        self, kernel: str, grid: Grid, arguments: Sequence[Any], *, cooperative: bool = False
    ) -> None:
        boxes = [np.array(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(boxes))(*(b.ctypes.data for b in boxes))
        three = ctypes.c_uint * 3
        launch = getattr(self._library, f"cuemu_launch_{kernel}")
        self._device.launches += 1
        seed = self._device.seed and self._device.seed + self._device.launches
        result = launch(
            three(grid.blocks, 1, 1), three(grid.tile, 1, 1), pointers, int(cooperative),
            ctypes.c_uint64(seed), ctypes.c_size_t(grid.shared),
        )  # fmt: skip
        if result:
            raise RuntimeError(f"cuemu: kernel {kernel} failed ({result}); see stderr")

    def capture(
        self, launches: Sequence[tuple[str, Sequence[Any]]], grid: Grid
    ) -> Callable[[], None]:
        kept = [(kernel, [np.array(a) for a in arguments]) for kernel, arguments in launches]
        return lambda: [self.launch(kernel, grid, a) for kernel, a in kept].clear()


class EmulatedDevice(Device):
    """Memory is NumPy's; what is not initialised is poisoned.

    Parameters
    ----------
    seed : int
        Of the order of threads; 0: in turn.
    sanitizer : {"address", "thread"}, optional
    memory : int
        Bytes that the device pretends to have.
    """

    def __init__(
        self, seed: int = 0, *, blocks: int = 3, tile: int = 64, chunk: int = 32,
        sanitizer: str | None = None, memory: int = 1 << 30, flags: Sequence[str] = (),
        is_cooperative: bool = True, shared: int = 227 << 10,
    ) -> None:  # fmt: skip
        self.seed, self.blocks, self.tile, self.chunk = seed, blocks, tile, chunk
        self.sanitizer, self.memory, self.flags = sanitizer, memory, tuple(flags)
        self.launches = 0
        self._is_cooperative, self._shared = is_cooperative, shared

    def describe(self) -> str:
        return "the emulator"

    def free_bytes(self) -> int:
        return self.memory

    @property
    def is_cooperative(self) -> bool:
        return self._is_cooperative

    @property
    def multiprocessors(self) -> int:
        return self.blocks

    @property
    def shared_bytes(self) -> int:
        return self._shared

    def to_device(self, values: np.ndarray) -> np.ndarray:
        return np.array(values).reshape(-1)

    def empty(self, size: int, dtype: Any) -> np.ndarray:
        kind = np.dtype(dtype)
        return np.full(size * kind.itemsize, 0xCD, np.uint8).view(kind)

    def store(self, array: np.ndarray, values: np.ndarray) -> None:
        array[:] = np.asarray(values).reshape(-1)

    def fetch(self, array: np.ndarray, size: int | None = None) -> np.ndarray:
        return array[:size].copy()

    def address(self, array: np.ndarray) -> int:
        return int(array.ctypes.data)

    def compile(self, source: str, *, exact: bool) -> Program:
        return EmulatedProgram(compiled(source, sanitizer=self.sanitizer, flags=self.flags), self)


@dataclass(frozen=True, kw_only=True)
class Emulated(Engine):
    """The GPU engine with another device; the options are those of `GPU` and `EmulatedDevice`."""

    precision: str = "float64"
    deterministic: Any = False
    launch: str = "auto"
    variant: str = "auto"
    weights: str = "auto"
    procedural: Any = False
    seed: int = 0
    device: Any = None
    name = "gpu"

    def prepare(self, plan: Any) -> Runner:
        options = GPU(
            precision=self.precision, deterministic=self.deterministic, launch=self.launch,
            variant=self.variant,
            weights=self.weights, procedural=self.procedural,
        )  # fmt: skip
        checked = supported(plan, narrow=self.deterministic == "int32")
        return GpuRunner(checked, options, self.device or EmulatedDevice(self.seed))
