"""The printed kernels: vector instructions in the machine code, and golden files of the source.

After a deliberate change of the emitters write the golden files anew with
``NEUROSIM_REGENERATE_GOLDEN=1 python -m pytest tests/engines/test_generated_kernels.py`` and look
at the difference.
"""

import operator
import os
import platform
import re
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.types.functions import BaseFunction

import neurosim as ns
from neurosim.engines.cpu.codegen import generate
from neurosim.engines.cpu.kernels.pipeline import Generated, Straight, asked_once
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


@pytest.mark.parametrize("pipeline", [Straight, Generated])
def test_short_pipelines_compile_what_kernels_are_made_of(pipeline):
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

    short = numba.njit(pipeline_class=pipeline)(f)
    np.testing.assert_array_equal(short(0.3, 9), numba.njit(f)(0.3, 9))
    np.testing.assert_array_equal(short(0.3, 9), f(0.3, 9))
    assert list(short.get_metadata(short.signatures[0])["pipeline_times"]) == [
        pipeline.__name__.lower()
    ]


def test_a_variable_that_changes_its_type_is_compiled_with_versions():
    def f(values):
        total = 0.0
        for k in range(values.size):
            if k > 0:
                at = 0.5
                total += at * values[k]
            else:
                at = 1
                total += values[at]
        return total

    passes = {}
    for pipeline in (Straight, Generated):
        compiled = numba.njit("float64(float64[:])", pipeline_class=pipeline)(f)
        assert compiled(np.array([4.0, 2.0])) == 3.0
        (passes[pipeline],) = compiled.get_metadata(compiled.signatures[0])[
            "pipeline_times"
        ].values()
    assert list(passes[Generated]) == list(passes[Straight])


def test_an_operator_is_asked_once_for_each_choice_of_flags(monkeypatch):
    """What implements `max` is itself compiled, with the flags of whoever calls it."""
    asked = []
    plain = BaseFunction.get_call_type

    def count(function, context, args, kws):
        asked.append(str(function.typing_key))
        return plain(function, context, args, kws)

    def f(x, y):
        return max(x * y + x * y, y * x) + max(y * x, x)

    def times_asked(compile_two):
        asked.clear()
        compile_two()
        return asked.count(str(operator.mul)), asked.count(str(max))

    def compile_two():
        for fastmath in (False, {"contract"}):
            compiled = numba.njit("float64(float64, float64)", fastmath=fastmath)(f)
            assert compiled(3.0, 4.0) == f(3.0, 4.0)

    def compile_two_asking_once():
        with asked_once():
            compile_two()

    monkeypatch.setattr(BaseFunction, "get_call_type", count)
    assert min(times_asked(compile_two)) >= 8
    assert times_asked(compile_two_asking_once) == (2, 2)
    assert BaseFunction.get_call_type is count
