"""Generated sources compile for real GPUs: NVRTC needs no device and no driver."""

from __future__ import annotations

import re
from types import SimpleNamespace

import nvrtc
import pytest
from emulator import EmulatedDevice
from test_models import built_in, network

import neurosim as ns
from neurosim.engines.gpu.network import DeviceNetwork
from neurosim.engines.gpu.owner import OwnerVariant
from neurosim.engines.gpu.owner_source import division_text
from neurosim.engines.gpu.owner_structs import HALF, TABLE, WIDE
from neurosim.engines.gpu.source import Format, build_text

pytestmark = pytest.mark.skipif(
    nvrtc.library() is None, reason="the wheel nvidia-cuda-nvrtc is not installed"
)
ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
KERNELS = {"run", "update", "after", "drive", "tick"}
FORMS = (("float32", False), ("float32", True), ("float64", False), ("float64", True),
         ("float32", "int32"))  # fmt: skip


class _Listed(EmulatedDevice):
    """Keeps the source of the network instead of compiling it; its rows are built."""

    def compile(self, source, *, exact):
        if not re.search(r"\brun\(const Net", source):
            return super().compile(source, exact=exact)
        self.source = source
        return SimpleNamespace(admit=lambda kernel, grid: True)


def source_of(
    net: ns.Network, real: str, deterministic: bool | str, procedural: bool = False
) -> str:
    plan = ns.Simulation(net, engine="reference").plan
    device = _Listed(tile=256, chunk=128)
    _ = DeviceNetwork(plan, device, real, deterministic, procedural=procedural).program
    return device.source


def small() -> ns.Network:
    net = ns.Network()
    cells = net.population(100, ns.models.iaf_psc_exp(tau_m=ns.Uniform(8, 12)), name="cells")
    noise = net.population(10, ns.models.poisson(rate=5.0), name="noise")
    net.connect(noise, cells, weight=ns.Normal(1, 0.1), delay=ns.Uniform(0.5, 9.0))
    return net


def assert_in_registers(source: str, architecture: str, *options: str, kernels=KERNELS) -> None:
    """Compile; neither spills nor arrays in local memory, and two blocks on a multiprocessor."""
    found = nvrtc.resources(source, architecture, *options)
    assert set(found) >= kernels
    for name, kernel in found.items():
        assert (kernel.stack, kernel.spilled) == (0, 0), name
        assert kernel.registers <= 128, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("real", "deterministic"), FORMS)
def test_hot_kernels_keep_everything_in_registers(architecture, real, deterministic):
    options = ["--fmad=false"] if deterministic else []
    assert_in_registers(source_of(small(), real, deterministic), architecture, *options)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_are_built_in_registers(architecture):
    forms = [("float", False, False, True), ("double", False, True, False)]
    if architecture == ARCHITECTURES[-1]:
        forms += [("float", True, False, False), ("float", False, False, False)]
    for real, deterministic, wide, half in forms:
        text = build_text(Format(real, deterministic, wide, half=half))
        kernels = {"measure", "fill", "sort_rows", "count_sources", "list_draws", "settle"}
        assert_in_registers(text, architecture, "--fmad=false", kernels=kernels)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_are_drawn_again_in_registers(architecture):
    source = source_of(small(), "float32", False, procedural=True)
    assert "NS_DRAWN 1" in source
    assert_in_registers(source, architecture, "--fmad=false")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_model_compiles_and_keeps_its_states_in_registers(architecture):
    models = [(name, m()) for name, m in built_in().items()]
    # some at a time: the time of a compilation grows faster than the number of models
    for part in range(6):
        source = source_of(network(dict(models[part::6])), "float32", False)
        # the models alone: `run` would compile each of them once more
        phases, _, drivers = source.partition('#line 1 "drivers.cu"')
        update = next(k for k in drivers.split("extern ")[1:] if " update(" in k)
        assert_in_registers(f"{phases}extern {update}", architecture, kernels={"update"})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("real", "deterministic", "weights"),
    [(*FORMS[0], "auto"), (*FORMS[0], "float16"), (*FORMS[1], "float16"), (*FORMS[2], "auto"),
     (*FORMS[4], "auto")],
)  # fmt: skip
def test_owners_keep_everything_in_registers(architecture, real, deterministic, weights):
    # as many neurons a block as the cortical microcircuit gives each of an H200
    net = ns.Network()
    cells = net.population(1200, ns.models.iaf_psc_exp(), name="cells")
    net.poisson_input(cells, rate=8.0, n=1000, weight=87.8)
    net.connect(cells, cells, ns.FixedIndegree(5), weight=ns.Normal(80, 8), delay=1.5)
    device = _Listed(tile=256, chunk=128, blocks=2)
    plan = ns.Simulation(net, engine="reference").plan
    OwnerVariant(DeviceNetwork(plan, device, real, deterministic, weights))
    assert "#define NS_BOUND 608" in device.source
    assert "#define NS_SHARED_STATES 0" in device.source
    options = ["--fmad=false"] if deterministic else []
    found = nvrtc.resources(device.source, architecture, *options)["run"]
    assert (found.stack, found.spilled) == (0, 0)
    assert found.registers * 608 <= 65536


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_are_divided_in_registers(architecture):
    for rows in (TABLE, HALF, WIDE):
        text = division_text(Format("float", False, False, half=rows == HALF), rows, False)
        assert_in_registers(text, architecture, "--fmad=false", kernels={"longest", "divide"})


def test_local_memory_is_seen():
    text = """extern "C" __global__ void spilling(const int* in, int* out) {
      int kept[64];
      for (int k = 0; k < 64; k++) kept[k] = in[k];
      for (int k = 0; k < 64; k++) out[k] = kept[in[k] & 63];
    }"""
    assert nvrtc.resources(text, "sm_90")["spilling"].stack == 256


def test_mistakes_are_told_with_the_line():
    source = source_of(small(), "float32", False).replace("ns_emit(net, p,", "ns_emit(nut, p,")
    with pytest.raises(RuntimeError, match=r'update\.cu\(\d+\): error: identifier "nut"'):
        nvrtc.assembled(source, "sm_90")


def test_tiles_are_whole_numbers_of_chunks_and_warps():
    form = Format("float", False, False)
    assert form.tile % form.chunk == 0
    assert form.chunk % 32 == 0
