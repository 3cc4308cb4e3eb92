"""What the device itself costs: launches, graphs, the barrier of the grid, atomic additions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib import resources
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np

from gpu.place import Place, Row, guarded

_KERNELS = """
extern "C" __global__ void run(int n) {
  for (int k = 0; k < n; k++) NS_GRID_SYNC();
}
extern "C" __global__ void nothing(int n) {}
extern "C" __global__ void scatter(const uint32_t* places, TYPE* ring, long long n) {
  for (long long k = blockIdx.x * (long long)blockDim.x + threadIdx.x; k < n;
       k += gridDim.x * (long long)blockDim.x)
    atomicAdd(ring + places[k], (TYPE)1);
}
// The same additions by each block to a ring of its own in shared memory, 2048 places.
extern "C" __global__ void scatter_shared(const uint32_t* places, TYPE* ring, int n) {
  NS_SHARED(TYPE, own, 2048);
  for (int k = threadIdx.x; k < 2048; k += blockDim.x) own[k] = 0;
  __syncthreads();
  for (int k = threadIdx.x; k < n; k += blockDim.x) atomicAdd(own + (places[k] & 2047u), (TYPE)1);
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(ring + blockIdx.x, own[0]);
}
"""
#: Synapses of a neuron of the microcircuit, and its spikes in a step of 0.1 ms.
_ROW, _SPIKES = 3873, (23, 230, 2300)
#: Places of the microcircuit's ring (64 slots, 77,169 neurons), and of one far beyond any cache.
_RINGS = {"ring in L2 (20 MB)": 64 * 77_169, "ring out of L2 (512 MB)": 1 << 27}


def source(kind: str = "float") -> str:
    """Return the kernels, with additions of a type."""
    head = resources.files("neurosim.engines.gpu").joinpath("kernels", "device.cuh").read_text()
    return f"{head}\n{_KERNELS.replace('TYPE', kind)}"


def _grid(device: Any, each: int, threads: int) -> Any:
    from neurosim.engines.gpu.device import Grid

    return Grid(each * getattr(device, "multiprocessors", 2), threads, threads)


def _waiting(device: Any) -> Any:
    flag = device.to_device(np.zeros(1, np.int32))
    return lambda: device.fetch(flag)


def machine(place: Place) -> Iterator[Row]:
    """Versions and properties."""
    import neurosim as ns

    device = place.device()
    yield Row("neurosim", ns.__version__)
    yield Row("device", device.describe())
    yield Row("free memory", device.free_bytes() / 2**30, "GiB")
    yield Row("cooperative launches", bool(device.is_cooperative))
    if place.emulated:
        return
    import cupy

    runtime, properties = cupy.cuda.runtime, cupy.cuda.runtime.getDeviceProperties(0)
    yield Row("multiprocessors", float(device.multiprocessors))
    yield Row("L2 cache", properties["l2CacheSize"] / 2**20, "MiB")
    yield Row("CuPy", cupy.__version__)
    yield Row("CUDA of the driver, of CuPy", f"{runtime.driverGetVersion()}, "
              f"{runtime.runtimeGetVersion()}")  # fmt: skip
    yield Row("NVRTC", ".".join(map(str, cupy.cuda.nvrtc.getVersion())))


def launches(place: Place) -> Iterator[Row]:
    """A launch from Python, and a node of a replayed graph."""
    device = place.device()
    program, wait, n = device.compile(source(), exact=False), _waiting(device), place.size(2000, 5)
    grid, arguments = _grid(device, 1, 64), (np.int32(0),)

    def launch() -> None:
        for _ in range(n):
            program.launch("nothing", grid, arguments)

    yield Row("launch from Python", place.seconds(launch, wait) / n * 1e6, "us")
    nodes = place.size(100, 5)
    replay = program.capture([("nothing", arguments)] * nodes, grid)

    def replays() -> None:
        for _ in range(n // nodes):
            replay()

    yield Row("node of a graph", place.seconds(replays, wait) / (n // nodes * nodes) * 1e6, "us")


def barriers(place: Place) -> Iterator[Row]:
    """The barrier of all blocks of a cooperative launch."""
    device = place.device()
    program, wait, n = device.compile(source(), exact=False), _waiting(device), place.size(5000, 3)
    for each in place.size((1, 2, 4), (1,)):
        for threads in place.size((256, 512), (64,)):
            grid = _grid(device, each, threads)

            def barrier(grid: Any = grid) -> None:
                program.launch("run", grid, (np.int32(n),), cooperative=True)

            seconds = place.seconds(barrier, wait) / n
            yield Row(f"barrier, {each} blocks of {threads} a multiprocessor", seconds * 1e6, "us")


def additions(place: Place) -> Iterator[Row]:
    """Atomic additions at random and at ordered places, in global and in shared memory."""
    for kind, item in (
        ("float", np.float32), ("unsigned", np.uint32), ("unsigned long long", np.uint64)
    ):  # fmt: skip
        yield from guarded(kind, partial(_additions, place, kind, item))


def _additions(place: Place, kind: str, item: Any) -> Iterator[Row]:
    device, rng = place.device(), np.random.default_rng(1)
    wait, most = _waiting(device), place.size(1 << 25, 1 << 10)
    program, grid = device.compile(source(kind), exact=False), _grid(device, 4, place.size(256, 64))

    def timed(kernel: str, arguments: tuple[Any, ...], nodes: int) -> float:
        replay = program.capture([(kernel, arguments)] * nodes, grid)
        return place.seconds(replay, wait, 3) / nodes

    for label, n_places in _RINGS.items():
        size = place.size(n_places, 1 << 12)
        ring = device.to_device(np.zeros(size, item))
        drawn = rng.integers(0, size, most, dtype=np.uint32)
        for n in (*(_ROW * s for s in _SPIKES), most):
            count = min(n, most)
            # as they are drawn; and as rows that are ordered by place
            for order, values in (("random", drawn[:count]), ("ordered", np.sort(drawn[:count]))):
                places = device.to_device(values)
                arguments = (
                    np.uint64(device.address(places)), np.uint64(device.address(ring)),
                    np.int64(count),
                )  # fmt: skip
                seconds = timed("scatter", arguments, place.size(50 if count < most else 2, 1))
                name = f"{kind}, {label}, {count} {order} additions a launch"
                yield Row(f"{name}: time", seconds * 1e6, "us")
                yield Row(f"{name}: rate", count / seconds * 1e-9, "1e9/s")
    n = place.size(1 << 16, 1 << 8)
    places = device.to_device(drawn[:n])
    arguments = (np.uint64(device.address(places)), np.uint64(device.address(ring)), np.int32(n))
    seconds = timed("scatter_shared", arguments, place.size(20, 1))
    rate = grid.blocks * n / seconds * 1e-9
    yield Row(f"{kind}, shared memory of each block, random: rate", rate, "1e9/s")


def compilation(place: Place) -> Iterator[Row]:
    """A network's source, compiled for the first time and taken from the cache on disk."""
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict(os.environ, {"CUPY_CACHE_DIR": folder}),
    ):
        import neurosim as ns
        from gpu import networks

        simulation = place.simulation(networks.circuit(ns, place.size(0.01, 0.002)))
        text, device = simulation._runner._network.source, place.device()
        for label in ("first", "from the cache"):
            start = perf_counter()
            device.compile(f"// another source\n{text}", exact=False)
            yield Row(f"compile, {label}", perf_counter() - start, "s")
