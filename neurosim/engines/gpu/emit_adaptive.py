"""CUDA C++ of a step by the adaptive method: substeps of one neuron, each with its own length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurosim.engines.gpu.literals import number

if TYPE_CHECKING:
    from neurosim.engines.gpu.emit import StepEmitter


def adaptive_lines(emitter: StepEmitter) -> list[str]:
    """Return the lines that bring the states ``s_*`` to the end of the step, ``n_*``."""
    model = emitter.model
    attempt = [
        *emitter.attempt(),
        "if (ratio > REAL(1.1) && h > smallest) {",
        "  h = ns_max(h * ns_max(REAL(0.2), REAL(0.9) / ns_pow(ratio, REAL(0.2))), smallest);",
        "  last = false;",
        "  continue;",
        "}",
        *emitter.accepted(),
        "if (!last) {",
        "  if (ratio < REAL(0.5)) {",
        f"    const REAL growth = REAL(0.9) / ns_pow(ns_max(ratio, REAL(1e-12)), {number(1 / 6)});",
        "    h = h * ns_min(REAL(5.0), ns_max(REAL(1.0), growth));",
        "  }",
        "  proposed = h;",
        "}",
    ]
    if emitter.tests_substeps:
        attempt += _spike(emitter)
    attempt.append("if (last) break;")
    return [
        *[f"REAL n_{s} = s_{s};" for s in model.states],
        f"const REAL whole = {number(model.dt)}, smallest = whole * REAL(1e-6);",
        # single precision cannot resolve a smaller error of a potential
        f"const REAL tolerance = REAL(sizeof(REAL) == 8 ? {model.spec.tolerance!r} "
        f": {max(model.spec.tolerance, 1e-4)!r});",
        "REAL gone = REAL(0.0), proposed = ns_substep(cell), h = proposed;",
        "bool last = false;",
        "int n_fired = 0;",
        "do {",
        "  if (h > whole - gone) {",
        "    h = whole - gone;",
        "    last = true;",
        "  }",
        *(f"  {line}" for line in attempt),
        "  h = proposed;",
        "} while (gone < whole);",
        "ns_substep(cell) = proposed;",
    ]


def _spike(emitter: StepEmitter) -> list[str]:
    """Return the test of the threshold within a step, as NEST's adaptive exponential models do."""
    time = "(t0 + gone)"
    test = emitter.fires(time)
    lines = [f"if ({f'!held && {test}' if emitter.held else test}) {{"]
    lines += [f"  {line}" for line in emitter.reset_states("n_{}".format, time)]
    lines.append("  n_fired++;")
    if emitter.model.spec.refractory is not None:
        steps = emitter.refractory_steps()
        lines += [f"  if ({steps} > REAL(0.0)) {{", f"    ns_until(cell) = (int)t + (int){steps};"]
        lines += ["    held = true;", "  }"]
    return [*lines, "}"]
