"""What a machine lacks for the GPU engine is told; CuPy is played by a stand-in."""

from __future__ import annotations

import os
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
    """A compiled source whose kernels the driver may refuse to launch.

    As CuPy does, it launches fewer blocks in place of a cooperative grid that is too large.
    """

    def __init__(self, refusal: str | None) -> None:
        self.refusal = refusal

    def load(self, code: bytes) -> None:
        assert code == b"machine code"

    def get_function(self, name: str) -> Any:
        def launch(*_: object, **__: object) -> None:
            if self.refusal is not None:
                raise _RuntimeError(self.refusal)

        launch.ptr = 0  # type: ignore[attr-defined]
        return launch


def compiler(**changes: Any) -> Any:
    """Return what plays NVRTC; options of the last compilation are in its list `flags`."""
    flags: list[str] = []
    functions = {
        "flags": flags, "getVersion": lambda: (13, 0), "getSupportedArchs": lambda: (75, 90, 100),
        "createProgram": lambda source, name, headers, names: 1,
        "compileProgram": lambda program, options: flags.extend(options),
        "getCUBIN": lambda program: b"machine code", "getPTX": lambda program: b"machine code",
        "getProgramLog": lambda program: "k.cu(3): error", "destroyProgram": lambda program: None,
    }  # fmt: skip
    return SimpleNamespace(**functions | changes)


def stand_in(
    monkeypatch: Any, *, driver: int = 13000, built: int = 13020, devices: int | None = 1,
    capability: str = "90", cooperative: int = 1, resident: int = 2,
    launch: str | None = None,
) -> None:  # fmt: skip
    """Put a CuPy in place that knows one machine, has no memory, and may refuse to launch."""

    def count() -> int:
        if devices is None:
            raise _RuntimeError("cudaErrorNoDevice")
        return devices

    class _Device:
        def __init__(self, number: int) -> None:
            self.compute_capability, self.id = capability, number
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
        Module=lambda: _Module(launch), nvrtc=compiler(),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda, empty=_no_memory))
    monkeypatch.setenv("CUPY_CACHE_DIR", os.devnull)  # which keeps nothing


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


def _fails(text: str) -> Any:
    def fail(*_: object) -> None:
        raise RuntimeError(text)

    return fail


@pytest.mark.parametrize(
    ("capability", "nvrtc", "text"),
    [
        ("90", compiler(getSupportedArchs=_fails("libnvrtc.so.13 was not found")),
         r"^engine 'gpu' compiles its kernels with NVRTC.*libnvrtc.so.13 was not found.*Try: pip"),
        ("90", compiler(compileProgram=_fails("COMPILATION (6)")),
         r"which failed \(COMPILATION \(6\): k.cu\(3\): error\)"),
        ("70", compiler(), r"GPU 0 has compute capability 7\.0, but NVRTC 13\.0 compiles for 7\.5 "
         r"and newer\. Install the CuPy of an older CUDA version"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_is_told(monkeypatch, capability, nvrtc, text):
    stand_in(monkeypatch, capability=capability)
    sys.modules["cupy"].cuda.nvrtc = nvrtc
    with pytest.raises(EngineUnavailableError, match=text):
        open_device(0).compile("", exact=False)


@pytest.mark.parametrize(
    ("capability", "chosen"), [("90", "sm_90"), ("103", "compute_100"), ("86", "compute_75")]
)
def test_machine_code_is_kept_on_disk(monkeypatch, tmp_path, capability, chosen):
    stand_in(monkeypatch, capability=capability)
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "cache"))
    nvrtc = sys.modules["cupy"].cuda.nvrtc
    for _ in range(2):  # the second time it comes from the disk
        open_device(0).compile("source", exact=True)
        assert nvrtc.flags == [f"--gpu-architecture={chosen}", "--std=c++17", "--fmad=false"]
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".cubin"]


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
        ("CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE: too", EngineUnavailableError,
         "needs all of its blocks .* 1 of 256 threads do not fit"),
        ("CUDA_ERROR_OUT_OF_MEMORY: out", NetworkSizeError, "no memory left to launch .*'update'"),
        ("CUDA_ERROR_ILLEGAL_ADDRESS: an", _RuntimeError, "^CUDA_ERROR_ILLEGAL_ADDRESS: an$"),
    ],
)  # fmt: skip
def test_other_refusals_of_the_driver_are_passed_on(monkeypatch, refusal, error, text):
    stand_in(monkeypatch, launch=refusal)
    program = open_device(0).compile("", exact=False)
    with pytest.raises(error, match=text):
        program.launch("update", Grid(1, 256, 128), ())
