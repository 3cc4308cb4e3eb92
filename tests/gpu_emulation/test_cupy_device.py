"""What a machine lacks for the GPU engine is told; CuPy is played by a stand-in."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

import neurosim as ns
from neurosim.engines.gpu.cupy_device import open_device
from neurosim.engines.gpu.device import Grid
from neurosim.engines.gpu.options import GPU
from neurosim.errors import EngineUnavailableError, NetworkSizeError


class _RuntimeError(RuntimeError):
    pass


class _OutOfMemoryError(MemoryError):
    pass


def _no_memory(size: int, dtype: Any) -> None:
    raise _OutOfMemoryError("Out of memory allocating")


class _Module:
    """A compiled source whose kernels the driver refuses to launch."""

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal

    def get_function(self, name: str) -> Any:
        def launch(*_: object, **__: object) -> None:
            raise _RuntimeError(self.refusal)

        launch.ptr = 0  # type: ignore[attr-defined]
        return SimpleNamespace(kernel=launch)


def stand_in(
    monkeypatch: Any, *, driver: int = 13000, built: int = 13020, devices: int | None = 1,
    capability: str = "90", cooperative: int = 1, resident: int = 2,
    launch: str = "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE: too many blocks",
) -> None:  # fmt: skip
    """Put a CuPy in place that knows one machine, has no memory, and refuses to launch."""

    def count() -> int:
        if devices is None:
            raise _RuntimeError("cudaErrorNoDevice")
        return devices

    class _Device:
        def __init__(self, number: int) -> None:
            self.compute_capability = capability
            self.attributes = {"CooperativeLaunch": cooperative}

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver, runtimeGetVersion=lambda: built,
        getDeviceCount=count, CUDARuntimeError=_RuntimeError,
        getDeviceProperties=lambda n: {"name": b"Test GPU", "multiProcessorCount": 4},
    )  # fmt: skip
    cuda = SimpleNamespace(
        runtime=runtime, Device=_Device, Stream=lambda **_: _Device(0),
        memory=SimpleNamespace(OutOfMemoryError=_OutOfMemoryError),
        driver=SimpleNamespace(occupancyMaxActiveBlocksPerMultiprocessor=lambda *_: resident),
    )  # fmt: skip
    cupy = SimpleNamespace(cuda=cuda, empty=_no_memory, RawModule=lambda **_: _Module(launch))
    monkeypatch.setitem(sys.modules, "cupy", cupy)


def network() -> ns.Network:
    net = ns.Network()
    net.population(1, ns.models.iaf_psc_exp(), name="cell")
    return net


def test_no_cupy_is_no_silent_fall_back(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for engine in ("gpu", GPU()):
        with pytest.raises(EngineUnavailableError, match=r"'gpu' needs CuPy.*neurosim\[gpu\]"):
            ns.Simulation(network(), engine=engine)


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        ({"driver": 0}, "needs an NVIDIA driver, and this machine has none"),
        ({"driver": 12040}, r"supports CUDA 12\.4, but this CuPy is built for CUDA 13\.2"),
        ({"devices": None}, "reports no usable GPU"),
        ({"devices": 2}, r"device = 2, but there are 2 \(0 to 1\)"),
        ({"devices": 3, "capability": "61"}, r"GPU 2 \(Test GPU\) has compute capability 6\.1"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, machine, text):
    stand_in(monkeypatch, **machine)
    with pytest.raises(EngineUnavailableError, match=text):
        open_device(2)


def test_a_device_that_will_do_is_described(monkeypatch):
    stand_in(monkeypatch, cooperative=0)
    device = open_device(0)
    assert device.describe() == "GPU 0 (Test GPU)"
    assert not device.is_cooperative
    assert device.multiprocessors == 4


def test_a_missing_compiler_is_named(monkeypatch):
    stand_in(monkeypatch)

    class _NoCompiler:
        def __init__(self, **_: object) -> None: ...

        def get_function(self, name: str) -> None:
            raise RuntimeError("libnvrtc.so.13 was not found")

    sys.modules["cupy"].RawModule = _NoCompiler
    device = open_device(0)
    with pytest.raises(EngineUnavailableError, match=r"NVRTC.*libnvrtc.so.13 was not found.*Try"):
        device.compile("", exact=False)


def test_memory_that_is_not_left_is_told_with_the_size(monkeypatch):
    stand_in(monkeypatch)
    text = r"GPU 0 \(Test GPU\) has no 8\.0 GiB left \(Out of memory.*shorter delays or fewer"
    with pytest.raises(NetworkSizeError, match=text):
        open_device(0).empty(1 << 30, "float64")


def test_cooperative_grids_that_do_not_fit_are_refused(monkeypatch):
    text = r"needs all of its blocks .*{} of 256 threads do not fit on GPU 0.* its 4 multi.*'graph'"
    stand_in(monkeypatch)
    program = open_device(0).compile("", exact=False)
    assert program.grid(100, cooperative=True).blocks == 8
    grid = Grid(10**6, 256, 128)
    with pytest.raises(EngineUnavailableError, match=text.format(10**6)):
        program.launch("run", grid, (), cooperative=True)
    stand_in(monkeypatch, resident=0)
    program = open_device(0).compile("", exact=False)
    with pytest.raises(EngineUnavailableError, match=text.format(1)):
        program.grid(100, cooperative=True)
    stand_in(monkeypatch, cooperative=0)
    program = open_device(0).compile("", exact=False)
    with pytest.raises(EngineUnavailableError, match=r"cannot launch cooperatively; use ns\.GPU"):
        program.grid(100, cooperative=True)


@pytest.mark.parametrize(
    ("refusal", "error", "text"),
    [
        ("CUDA_ERROR_OUT_OF_MEMORY: out", NetworkSizeError, "no memory left to launch .*'update'"),
        ("CUDA_ERROR_ILLEGAL_ADDRESS: an", _RuntimeError, "^CUDA_ERROR_ILLEGAL_ADDRESS: an$"),
    ],
)
def test_other_refusals_of_the_driver_are_passed_on(monkeypatch, refusal, error, text):
    stand_in(monkeypatch, launch=refusal)
    program = open_device(0).compile("", exact=False)
    with pytest.raises(error, match=text):
        program.launch("update", Grid(1, 256, 128), ())
