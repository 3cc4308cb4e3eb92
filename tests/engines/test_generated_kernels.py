"""The printed kernels: vector instructions in the machine code, and golden files of the source.

After a deliberate change of the emitters write the golden files anew with
``NEUROSIM_REGENERATE_GOLDEN=1 python -m pytest tests/engines/test_generated_kernels.py`` and look
at the difference.
"""

import os
import platform
import re
from pathlib import Path

import numba
import numpy as np
import pytest

import neurosim as ns
from neurosim.engines.cpu.codegen import generate
from neurosim.engines.cpu.kernels.pipeline import Straight
from neurosim.engines.cpu.lines import unpacked
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


def test_what_a_kernel_does_not_read_is_not_opened():
    prologue = ["C = view(B[2], 3, REAL)", *(f"c{k} = C[{k}]" for k in range(3))]
    first = [
        "def one(block):",
        "    B = view(block, 9, np.int64)",
        "    @prologue",
        "    return c1",
    ]
    second = ["def two(block):", "    @prologue", "    n = count(block)", "    return 0"]
    assert unpacked([*first, "", *second], prologue) == [
        "def one(block):", "    B = view(block, 9, np.int64)", "    C = view(B[2], 3, REAL)",
        "    c1 = C[1]", "    return c1", "",
        "def two(block):", "    n = count(block)", "    return 0",  # a call may do something
    ]  # fmt: skip


def test_the_short_pipeline_compiles_what_kernels_are_made_of():
    """Branches, loops, tuples and arrays, with and without the passes that are left out."""

    def f(x, n):
        pair = (x, 2.0)
        found, k = np.zeros(n), 0
        while k < n:
            found[k] = pair[0] * k if k % 2 else max(pair[1], x)
            k += 1
        for k in range(n - 1):
            found[k + 1] += found[k]
        return found

    short = numba.njit(pipeline_class=Straight)(f)
    np.testing.assert_array_equal(short(0.3, 9), numba.njit(f)(0.3, 9))
    np.testing.assert_array_equal(short(0.3, 9), f(0.3, 9))
    assert list(short.get_metadata(short.signatures[0])["pipeline_times"]) == ["straight"]
