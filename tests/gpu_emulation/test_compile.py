"""Generated sources compile for real GPUs: NVRTC needs no device and no driver."""

from __future__ import annotations

import re

import nvrtc
import pytest
from emulator import EmulatedDevice
from test_models import built_in, network

import neurosim as ns
from neurosim.engines.gpu.network import DeviceNetwork
from neurosim.engines.gpu.source import Format

pytestmark = pytest.mark.skipif(
    nvrtc.library() is None, reason="the wheel nvidia-cuda-nvrtc is not installed"
)
ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
KERNELS = (b"run", b"update", b"after", b"drive", b"tick")


class _Listed(EmulatedDevice):
    """Keeps the source instead of compiling it."""

    def compile(self, source, *, exact):
        self.source = source


def source_of(net: ns.Network, real: str, deterministic: bool) -> str:
    plan = ns.Simulation(net, engine="reference").plan
    device = _Listed(tile=256, chunk=128)
    DeviceNetwork(plan, device, real, deterministic)
    return device.source


def small() -> ns.Network:
    net = ns.Network()
    cells = net.population(100, ns.models.iaf_psc_exp(tau_m=ns.Uniform(8, 12)), name="cells")
    noise = net.population(10, ns.models.poisson(rate=5.0), name="noise")
    net.connect(noise, cells, weight=ns.Normal(1, 0.1), delay=ns.Uniform(0.5, 9.0))
    return net


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_compiles(architecture):
    for real, deterministic in (("float32", False), ("float32", True), ("float64", False)):
        options = ["--fmad=false"] if deterministic else []
        source = source_of(small(), real, deterministic)
        code, _ = nvrtc.assembled(source, architecture, *options)
        assert all(b".text." + name in code for name in KERNELS)


def test_every_model_compiles():
    models = {name: m() for name, m in built_in().items()}
    code, _ = nvrtc.assembled(source_of(network(models), "float32", False), "sm_90")
    assert b".text.run" in code


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hot_kernels_keep_everything_in_registers(architecture, deterministic):
    source = source_of(small(), "float32", deterministic)
    _, log = nvrtc.assembled(source, architecture, "--ptxas-options=-v")
    spilled = re.findall(r"Function properties for (\w+)\s+.*?(\d+) bytes spill stores", log)
    assert dict(spilled) == {k.decode(): "0" for k in KERNELS}


def test_mistakes_are_told_with_the_line():
    source = source_of(small(), "float32", False).replace("ns_emit(net, source,", "ns_emit(nut,")
    with pytest.raises(RuntimeError, match=r'update\.cu\(\d+\): error: identifier "nut"'):
        nvrtc.assembled(source, "sm_90")


def test_tiles_are_whole_numbers_of_chunks_and_warps():
    form = Format("float", False, False)
    assert form.tile % form.chunk == 0
    assert form.chunk % 32 == 0
