"""The printed kernels: vector instructions in the machine code, and golden files of the source.

After a deliberate change of the emitters write the golden files anew with
``NEUROSIM_REGENERATE_GOLDEN=1 python -m pytest tests/engines/test_generated_kernels.py`` and look
at the difference.
"""

import os
import platform
import re
from pathlib import Path

import pytest

import neurosim as ns
from neurosim.engines.cpu.codegen import generate
from neurosim.engines.gpu.emit import StepEmitter
from neurosim.lower.plan import lower
from neurosim.lower.sleep import sleep_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
X86 = platform.machine().lower() in ("x86_64", "amd64")


def lowered(model, receptors=()):
    net = ns.Network()
    cells = net.population(8, model, name="cells")
    for receptor in receptors:
        net.poisson_input(cells, rate=1.0, weight=1.0, receptor=receptor)
    return lower(net, 0.1, 0, 0, ()).populations[0].model


def kernel(model, precision, *, event=True):
    found = lowered(model)
    sleep = sleep_of(found) if event else None
    return generate(found, None if isinstance(sleep, str) else sleep, precision)


@pytest.mark.skipif(not X86, reason="looks for x86 vector instructions")
@pytest.mark.parametrize(
    ("model", "precision"),
    [
        (ns.models.iaf_psc_exp(), "float64"),
        (ns.models.iaf_psc_exp(), "float32"),
        (ns.models.iaf_cond_exp(), "float64"),
        (ns.models.izhikevich(), "float32"),
        (ns.models.hh_psc_alpha(method="exponential_euler"), "float64"),
    ],
    ids=lambda v: v if isinstance(v, str) else v.name,
)
def test_clock_kernel_is_vector_code(model, precision):
    source = kernel(model, precision, event=False).source
    scope = {}
    # without the cache, from which a kernel comes back as machine code only
    exec(source.replace("cache=True, ", ""), scope)
    clock = scope["clock"]
    kind = "double" if precision == "float64" else "float"
    assert re.search(rf"fmul .*<\d+ x {kind}>", clock.inspect_llvm())
    packed = rf"\bv?(mul|fmadd\d*)p{kind[0]}\b".replace("pf", "ps")
    assert re.search(packed, clock._library.get_asm_str())


def assert_golden(name, text):
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("NEUROSIM_REGENERATE_GOLDEN"):
        path.write_text(text + "\n", encoding="utf-8")
    remedy = "regenerate with NEUROSIM_REGENERATE_GOLDEN=1 if the change is meant"
    assert path.read_text(encoding="utf-8") == text + "\n", remedy


@pytest.mark.parametrize(
    ("model", "precision"),
    [(ns.models.iaf_psc_exp(), "float64"), (ns.models.izhikevich(), "float32")],
    ids=lambda v: v if isinstance(v, str) else v.name,
)
def test_golden_source(model, precision):
    printed = kernel(model, precision)
    coefficients = ", ".join(f"{c:.10g}" for c in printed.scalars)
    assert_golden(f"{model.name}_{precision}", f"{printed.source}\n# coefficients: {coefficients}")


@pytest.mark.parametrize(
    "model", [ns.models.iaf_psc_exp(), ns.models.aeif_cond_exp()], ids=lambda m: m.name
)
def test_golden_cuda(model):
    printed = StepEmitter(lowered(model, ["exc"]))
    text = printed.body()
    coefficients = ", ".join(f"{c:.10g}" for c in printed.coefficient.scalars)
    assert_golden(f"{model.name}_cuda", f"{text}\n// coefficients: {coefficients}")


def test_values_are_arguments():
    """A sweep compiles once: other values of the parameters print the same source."""
    first = kernel(ns.models.iaf_psc_exp(), "float64")
    other = kernel(ns.models.iaf_psc_exp(tau_m=20.0, I_e=100.0, V_th=-50.0), "float64")
    assert first.source == other.source
    assert first.scalars != other.scalars
