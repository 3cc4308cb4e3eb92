"""What a machine lacks for the GPU engine is told; CuPy is played by a stand-in."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

import neurosim as ns
from neurosim.engines.gpu.cupy_device import open_device
from neurosim.engines.gpu.options import GPU
from neurosim.errors import EngineUnavailableError


class _RuntimeError(RuntimeError):
    pass


def stand_in(
    monkeypatch: Any, *, driver: int = 13000, built: int = 13020, devices: int | None = 1,
    capability: str = "90", cooperative: int = 1,
) -> None:  # fmt: skip
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
    cuda = SimpleNamespace(runtime=runtime, Device=_Device, Stream=lambda **_: None)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))


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

    class _Module:
        def __init__(self, **_: object) -> None: ...

        def get_function(self, name: str) -> None:
            raise RuntimeError("libnvrtc.so.13 was not found")

    sys.modules["cupy"].RawModule = _Module
    device = open_device(0)
    with pytest.raises(EngineUnavailableError, match=r"NVRTC.*libnvrtc.so.13 was not found.*Try"):
        device.compile("", exact=False)
