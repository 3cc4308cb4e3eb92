"""An NVIDIA GPU through CuPy, which is imported here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from neurosim.engines.gpu.compiler import INSTALL, dotted, load_module
from neurosim.engines.gpu.device import Device, Grid, Program
from neurosim.errors import EngineUnavailableError, NetworkSizeError
from neurosim.lower.memory import gib

#: Kernels need atomic additions of doubles (6.0) and acquire/release operations (7.0).
_OLDEST = 70
_SMALLER = "Use a smaller network, shorter delays or fewer recordings, or engine='cpu'."


def _cupy() -> ModuleType:
    try:
        import cupy  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise EngineUnavailableError(
            f"engine 'gpu' needs CuPy, which cannot be imported ({error}). {INSTALL}"
        ) from error
    module: ModuleType = cupy
    return module


def open_device(number: int) -> CupyDevice:
    """Return a GPU.

    Parameters
    ----------
    number : int
        Which one, from 0.

    Raises
    ------
    EngineUnavailableError
        If CuPy, a driver or the device is missing, or one of them is too old.
    """
    cupy = _cupy()
    runtime = cupy.cuda.runtime
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        raise EngineUnavailableError(
            "engine 'gpu' needs an NVIDIA driver, and this machine has none. Install one, or use "
            "engine='cpu'."
        )
    if driver // 1000 < needed // 1000:
        raise EngineUnavailableError(
            f"engine 'gpu': the driver supports CUDA {_version(driver)}, but this CuPy is built "
            f"for CUDA {_version(needed)}. Update the driver, or install the CuPy that fits it. "
            f"{INSTALL}"
        )
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise EngineUnavailableError(
            f"engine 'gpu': the driver reports no usable GPU ({error}). Use engine='cpu'."
        ) from error
    if number >= count:
        raise EngineUnavailableError(
            f"engine 'gpu': device = {number}, but there are {count} (0 to {count - 1})."
        )
    device = CupyDevice(cupy, number)
    device.check()
    return device


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


class CupyDevice(Device):
    """One GPU. Everything runs on its own stream."""

    tile = 256
    chunk = 128
    #: Blocks on a multiprocessor at most: a few hide latency, more make the grid's barrier slower.
    blocks_each = 4

    def __init__(self, cupy: Any, number: int) -> None:
        self._cupy = cupy
        self.number = number
        self.device = cupy.cuda.Device(number)
        self._properties = cupy.cuda.runtime.getDeviceProperties(number)
        with self.device:
            self.stream = cupy.cuda.Stream(non_blocking=True)

    def check(self) -> None:
        """Raise EngineUnavailableError if the device is too old."""
        if int(self.device.compute_capability) < _OLDEST:
            raise EngineUnavailableError(
                f"engine 'gpu': {self.describe()} has compute capability "
                f"{dotted(self.device.compute_capability)}; at least {dotted(_OLDEST)} is needed. "
                "Use engine='cpu'."
            )

    def too_large(self, blocks: int, threads: int) -> EngineUnavailableError:
        """Return the error for a cooperative launch that does not fit."""
        return EngineUnavailableError(
            f"engine 'gpu': a cooperative launch needs all of its blocks on the GPU at once, and "
            f"{blocks} of {threads} threads do not fit on {self.describe()} with its "
            f"{self.multiprocessors} multiprocessors. Use ns.GPU(launch='graph')."
        )

    def describe(self) -> str:
        """Return the name of the GPU."""
        return f"GPU {self.number} ({self._properties['name'].decode()})"

    def free_bytes(self) -> int:
        """Return how much memory can still be allocated."""
        with self.device:
            pool = self._cupy.get_default_memory_pool()
            return int(self._cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes())

    @property
    def is_cooperative(self) -> bool:
        """Whether launches can be cooperative."""
        return bool(self.device.attributes["CooperativeLaunch"])

    @property
    def multiprocessors(self) -> int:
        """Number of multiprocessors."""
        return int(self._properties["multiProcessorCount"])

    @property
    def shared_bytes(self) -> int:
        """Most shared memory that a block can have."""
        return int(self.device.attributes["MaxSharedMemoryPerBlockOptin"])

    def to_device(self, values: np.ndarray) -> Any:
        """Return a copy of an array on the device, as bytes."""
        flat = np.ascontiguousarray(values).reshape(-1)
        array = self.empty(flat.size, flat.dtype)
        self.store(array, flat)
        return array

    def empty(self, size: int, dtype: Any) -> Any:
        """Return an array whose contents mean nothing."""
        kind = np.dtype(dtype)
        try:
            with self.device, self.stream:
                data = self._cupy.empty(max(1, size * kind.itemsize), np.uint8)
        except self._cupy.cuda.memory.OutOfMemoryError as error:
            raise NetworkSizeError(
                f"engine 'gpu': {self.describe()} has no {gib(size * kind.itemsize)} left "
                f"({error}). {_SMALLER}"
            ) from error
        return _Array(data, size, kind)

    def store(self, array: Any, values: np.ndarray) -> None:
        """Overwrite a whole array on the device."""
        flat = np.ascontiguousarray(values, array.dtype).reshape(-1)
        if flat.size:
            with self.device, self.stream:
                array.data[: flat.nbytes].set(flat.view(np.uint8), stream=self.stream)
            self.stream.synchronize()

    def fetch(self, array: Any, size: int | None = None) -> np.ndarray:
        """Return a copy of the first elements, once all launches ended."""
        n = array.size if size is None else size
        with self.device, self.stream:
            values = array.data[: n * array.dtype.itemsize].get(stream=self.stream)
        self.stream.synchronize()
        result: np.ndarray = values.view(array.dtype)
        return result

    def address(self, array: Any) -> int:
        """Return where an array begins."""
        return int(array.data.data.ptr)

    def compile(self, source: str, *, exact: bool) -> Program:
        """Compile a source by NVRTC, or take it from the cache on disk."""
        options = ("--std=c++17", *(["--fmad=false"] if exact else []))
        return _CupyProgram(self._cupy, self, source, options)


class _Array:
    """Bytes on the device, and what they mean."""

    def __init__(self, data: Any, size: int, dtype: np.dtype) -> None:
        self.data, self.size, self.dtype = data, size, dtype


class _CupyProgram(Program):
    def __init__(
        self, cupy: Any, device: CupyDevice, source: str, options: tuple[str, ...]
    ) -> None:
        self._cupy, self._device = cupy, device
        with device.device:
            self._module = load_module(cupy, device.device, source, options, "engine 'gpu'")
        self._kernels: dict[str, Any] = {}
        self._resident: dict[tuple[str, int, int], int] = {}

    def _kernel(self, name: str) -> Any:
        if name not in self._kernels:
            with self._device.device:
                self._kernels[name] = self._module.get_function(name)
        return self._kernels[name]

    def _most_blocks(self, kernel: str, threads: int, shared: int) -> int:
        """Return how many blocks of a kernel are on the whole GPU at once."""
        key = kernel, threads, shared
        if key not in self._resident:
            with self._device.device:
                occupancy = self._cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor
                self._resident[key] = int(occupancy(self._kernel(kernel).ptr, threads, shared))
        return self._resident[key] * self._device.multiprocessors

    def grid(self, n_tiles: int, *, cooperative: bool) -> Grid:
        """Return a grid that fits the device as a whole."""
        device = self._device
        most = device.blocks_each * device.multiprocessors
        if cooperative:
            if not device.is_cooperative:
                raise EngineUnavailableError(
                    f"engine 'gpu': {device.describe()} cannot launch cooperatively; use "
                    "ns.GPU(launch='graph')."
                )
            most = min(most, self._most_blocks("run", device.tile, 0))
            if most == 0:
                raise device.too_large(1, device.tile)
        blocks = max(1, min(most, max(n_tiles, device.multiprocessors)))
        return Grid(blocks, device.tile, device.chunk)

    def admit(self, kernel: str, grid: Grid) -> bool:
        """Allow a kernel the shared memory of a grid; return whether all blocks fit at once."""
        driver = self._cupy.cuda.driver
        with self._device.device:
            driver.funcSetAttribute(
                self._kernel(kernel).ptr,
                driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, grid.shared,
            )  # fmt: skip
        return self._most_blocks(kernel, grid.tile, grid.shared) >= grid.blocks

    def launch(
        self, kernel: str, grid: Grid, arguments: Sequence[Any], *, cooperative: bool = False
    ) -> None:
        """Launch a kernel on the device's stream."""
        if cooperative and self._most_blocks(kernel, grid.tile, grid.shared) < grid.blocks:
            # CuPy would launch fewer blocks, with no more than a warning
            raise self._device.too_large(grid.blocks, grid.tile)
        try:
            with self._device.device, self._device.stream:
                self._kernel(kernel)(
                    (grid.blocks,), (grid.tile,), tuple(arguments), shared_mem=grid.shared,
                    enable_cooperative_groups=cooperative,
                )  # fmt: skip
        except RuntimeError as error:  # of the driver; its classes differ between versions
            if "COOPERATIVE_LAUNCH_TOO_LARGE" in str(error):
                raise self._device.too_large(grid.blocks, grid.tile) from error
            if "OUT_OF_MEMORY" in str(error):
                raise NetworkSizeError(
                    f"engine 'gpu': {self._device.describe()} has no memory left to launch kernel "
                    f"{kernel!r} ({error}). {_SMALLER}"
                ) from error
            raise

    def capture(
        self, launches: Sequence[tuple[str, Sequence[Any]]], grid: Grid
    ) -> Callable[[], None]:
        """Return a function that replays launches as a CUDA graph on the device's stream."""
        stream = self._device.stream
        for kernel, _ in launches:
            self._kernel(kernel)  # compiled and loaded before the capture
        with self._device.device, stream:
            stream.begin_capture()
            for kernel, arguments in launches:
                self.launch(kernel, grid, arguments)
            graph = stream.end_capture()

        def replay() -> None:
            with self._device.device:
                graph.launch(stream)

        return replay
