"""The emulation layer does what CUDA does, and finds what it is for: these are tests of the tests.

The kernels are compiled as the engine's are; each launch is of a library of its own.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emulator import EmulatedDevice, EmulatedProgram, Grid, compiled
from replay import Launch, array, environment, number, replayed, sanitizer_library

HERE = Path(__file__).parent
SEEDS = (0, 1, 2, 3)
_KERNELS = """
extern "C" __global__ void reverse(int* x) {  // within each block
  NS_SHARED(int, copy, 64);
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  copy[threadIdx.x] = x[i];
  __syncthreads();
  x[i] = copy[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void add_up(long long* total, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(total, (long long)i);
}
extern "C" __global__ void add_lost(long long* total) {  // planted: read and write are not one
  const long long before = *total;
  __syncwarp();
  *total = before + 1;
}
extern "C" __global__ void warps(unsigned* votes, int* shuffled, int* sums) {
  const int i = threadIdx.x, lane = i & 31;
  votes[i] = __ballot_sync(0xffffffffu, lane % 3 == 0);
  shuffled[i] = __shfl_sync(0xffffffffu, i, 5);
  int sum = lane;
  for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, by);
  sums[i] = sum;
  if (lane < 8) votes[i] += __popc(__ballot_sync(0xffu, 1));
}
extern "C" __global__ void neighbours(int* up, int* down) {
  up[threadIdx.x] = __shfl_up_sync(0xffffffffu, (int)threadIdx.x, 1);
  down[threadIdx.x] = __shfl_down_sync(0xffffffffu, (int)threadIdx.x, 1);
}
extern "C" __global__ void votes_of_block(int* out) {
  const int i = threadIdx.x;
  const int any = __syncthreads_or(i == 7), all = __syncthreads_and(i < 1000);
  out[i] = any + 10 * all + 100 * __syncthreads_count(i % 2);
}
extern "C" __global__ void ring(int* x, int n_rounds) {  // all blocks meet between rounds
  const int n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;
  for (int round = 0; round < n_rounds; round++) {
    const int left = x[round % 2 * n + (i + n - 1) % n];
    x[(round + 1) % 2 * n + i] = left + 1;
    NS_GRID_SYNC();
  }
}
extern "C" __global__ void halves(int* x, int n_rounds, int planted) {
  NS_DYNAMIC_SHARED(shared);
  int* own = (int*)shared;
  const int n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;
  own[threadIdx.x] = 0;
  for (int round = 1; round <= n_rounds; round++) {
    x[round % 2 * n + i] = round;
    const unsigned arrived = NS_GRID_ARRIVE();
    own[threadIdx.x] += round;  // what no other block looks at
    if (planted) x[round % 2 * n + i] = round;
    NS_GRID_WAIT(arrived);
    own[threadIdx.x] += x[round % 2 * n + (i + blockDim.x) % n];  // of the next block
  }
  x[i] = own[threadIdx.x];
}
extern "C" __global__ void order(int* place, int* counter) {
  place[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(counter, 1);
}
extern "C" __global__ void poison(int* x) {
  NS_SHARED(int, never_set, 64);
  x[threadIdx.x] = never_set[threadIdx.x];
}
extern "C" __global__ void half(int* x) {  // planted: a barrier that one warp waits for in vain
  if (threadIdx.x < 32) __syncwarp();
  else if (threadIdx.x < 40) __ballot_sync(0xffffffffu, 1);
  x[threadIdx.x] = 1;
}
"""


def program(seed: int = 0, source: str = _KERNELS) -> EmulatedProgram:
    return EmulatedProgram(compiled(source), EmulatedDevice(seed))


def pointer(array: np.ndarray) -> np.uint64:
    return np.uint64(array.ctypes.data)


def launch(
    name: str, blocks: int, threads: int, *arguments, seed: int = 0, shared: int = 0, **options
) -> None:
    values = [pointer(a) if isinstance(a, np.ndarray) else np.int32(a) for a in arguments]
    program(seed).launch(name, Grid(blocks, threads, 32, shared), values, **options)


@pytest.mark.parametrize("seed", SEEDS)
def test_threads_of_a_block_meet(seed):
    x = np.arange(192, dtype=np.int32)
    launch("reverse", 3, 64, x, seed=seed)
    np.testing.assert_array_equal(x.reshape(3, 64), np.arange(192).reshape(3, 64)[:, ::-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_atomic_additions_lose_nothing(seed):
    total = np.zeros(1, np.int64)
    launch("add_up", 3, 96, total, 1000, seed=seed)
    assert total[0] == 499500


def test_additions_that_are_not_atomic_lose():
    total = np.zeros(1, np.int64)
    launch("add_lost", 1, 64, total)
    assert total[0] < 64


@pytest.mark.parametrize("seed", SEEDS)
def test_warp_operations(seed):
    votes, shuffled, sums = (np.zeros(64, np.int32) for _ in range(3))
    launch("warps", 1, 64, votes, shuffled, sums, seed=seed)
    lane = np.arange(64) % 32
    every_third = sum(1 << k for k in range(0, 32, 3))
    np.testing.assert_array_equal(votes.view(np.uint32), every_third + 8 * (lane < 8))
    np.testing.assert_array_equal(shuffled, np.repeat([5, 37], 32))
    np.testing.assert_array_equal(sums, 496)
    up, down = np.zeros(32, np.int32), np.zeros(32, np.int32)
    launch("neighbours", 1, 32, up, down, seed=seed)
    np.testing.assert_array_equal(up, np.maximum(np.arange(32) - 1, 0))
    np.testing.assert_array_equal(down, np.minimum(np.arange(32) + 1, 31))


def test_votes_of_a_block():
    out = np.zeros(50, np.int32)
    launch("votes_of_block", 1, 50, out, seed=2)
    np.testing.assert_array_equal(out, 1 + 10 + 100 * 25)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_blocks_meet_in_a_cooperative_launch(seed):
    x = np.zeros(2 * 120, np.int32)
    launch("ring", 3, 40, x, 10, seed=seed, cooperative=True)
    np.testing.assert_array_equal(x[:120], 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_blocks_meet_in_two_halves(seed):
    x = np.zeros(2 * 120, np.int32)
    launch("halves", 3, 40, x, 9, 0, seed=seed, shared=160, cooperative=True)
    np.testing.assert_array_equal(x[:120], 2 * 45)


def test_what_another_block_reads_may_not_be_written_between_the_halves():
    if sanitizer_library("thread") is None:
        pytest.skip("g++ has no race detector")
    library = str(compiled(_KERNELS, sanitizer="thread"))
    for planted in (0, 1):
        x = np.zeros(2 * 64, np.int32)
        values = [array(x.ctypes.data, x.nbytes), *(number(np.int32(v)) for v in (3, planted))]
        halves = Launch(library, "halves", 2, 32, values, cooperative=True, shared=128)
        done = replayed([halves], "thread")
        assert ("ThreadSanitizer: data race" in done.stderr) == bool(planted)
        assert done.returncode == (66 if planted else 0)


def test_seeds_change_the_order_of_threads_and_blocks():
    places = []
    for seed in (0, 0, 1, 2):
        place, counter = np.zeros(128, np.int32), np.zeros(1, np.int32)
        launch("order", 2, 64, place, counter, seed=seed)
        assert sorted(place) == list(range(128))
        places.append(place)
    np.testing.assert_array_equal(places[0], np.arange(128))
    np.testing.assert_array_equal(places[0], places[1])
    assert not np.array_equal(places[1], places[2])
    assert not np.array_equal(places[2], places[3])


def test_shared_memory_is_poisoned():
    x = np.zeros(64, np.uint32)
    launch("poison", 1, 64, x)
    assert (x == 0xCDCDCDCD).all()


def test_a_deadlock_is_reported_with_thread_and_line(capfd):
    x = np.zeros(64, np.int32)
    with pytest.raises(RuntimeError, match=r"half failed \(1\)"):
        launch("half", 1, 64, x)
    before = _KERNELS[: _KERNELS.index("__ballot_sync(0xffffffffu, 1);\n  x")]
    reports = capfd.readouterr().err
    assert "cuemu: deadlock: block 0 thread 32 waits at a warp barrier, line" in reports
    assert f"line {2 + before.count(chr(10))}\n" in reports  # an include stands before the source


def test_what_a_launch_cannot_do_stops_the_process():
    x = np.zeros(200, np.int32)
    values = [array(x.ctypes.data, x.nbytes), number(np.int32(1))]
    done = replayed([Launch(str(compiled(_KERNELS)), "ring", 2, 32, values)])
    assert done.returncode != 0
    assert "a grid barrier in a launch that is not cooperative" in done.stderr
    with pytest.raises(RuntimeError, match="failed"):
        launch("poison", 1, 2000, np.zeros(2000, np.uint32))


# ---- sanitizers: Python itself has to be started with their library


def python(code: str, sanitizer: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a new process, with the library of a sanitizer loaded first."""
    path = os.pathsep.join([str(HERE), str(HERE.parent / "engines")])
    variables = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1")
    if sanitizer is not None:
        if sanitizer_library(sanitizer) is None:
            pytest.skip(f"g++ has no library of the {sanitizer} sanitizer")
        variables |= environment(sanitizer)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables
    )


_PLANTED = """
from test_emulation_layer import run_small
run_small({sanitizer!r}, {flags!r}, {broken!r})
print("finished")
"""


def run_small(sanitizer: str | None, flags: tuple[str, ...] = (), broken: bool = False) -> None:
    """Run a small network with sanitized kernels; `broken`: one synapse has no target."""
    import neurosim as ns
    from neurosim.engines.gpu.options import GPU
    from neurosim.engines.gpu.runner import GpuRunner

    net = ns.Network()
    cells = net.population(100, ns.models.iaf_psc_exp(), name="cells", V_m=ns.Uniform(-70, -54))
    net.poisson_input(cells, rate=8.0, n=1000, weight=87.8)
    net.connect(cells, cells, ns.FixedIndegree(20), weight=60.0, delay=ns.Uniform(0.1, 1.0))
    simulation = ns.Simulation(net, record=[ns.Spikes(cells)], engine="reference")
    device = EmulatedDevice(7, sanitizer=sanitizer, flags=flags, blocks=2)
    runner = GpuRunner(simulation.plan, GPU(precision="float64"), device)
    if broken:
        runner._network.ring = short = np.zeros(150)
        runner._network.net["ring"] = short.ctypes.data
    while runner.time < 4.99:
        runner.advance(5.0)
    assert runner.counters()["spikes"] > 20


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_the_engine_passes_the_sanitizers(sanitizer):
    done = python(_PLANTED.format(sanitizer=sanitizer, flags=(), broken=False), sanitizer)
    assert done.stdout == "finished\n", done.stderr[-3000:]
    assert "WARNING" not in done.stderr


def test_a_planted_access_out_of_bounds_is_found():
    done = python(_PLANTED.format(sanitizer="address", flags=(), broken=True), "address")
    assert "finished" not in done.stdout
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr


def test_a_planted_race_is_found_at_its_line():
    flags = ("-DNS_PLANT_RACE=1",)
    done = python(_PLANTED.format(sanitizer="thread", flags=flags, broken=False), "thread")
    assert "ThreadSanitizer: data race" in done.stderr
    assert "update.cu" in done.stderr
    assert done.returncode == 66


def test_libraries_are_loaded_by_their_path():
    assert isinstance(program()._library, ctypes.CDLL)
