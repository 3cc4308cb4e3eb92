"""CUDA C++ of a step by the adaptive method: substeps of one neuron, each with its own length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurosim.engines.gpu.literals import number
from neurosim.lower.fehlberg import ERROR, FIFTH, NODES, STAGES

if TYPE_CHECKING:
    from neurosim.engines.gpu.emit import StepEmitter


def adaptive_lines(emitter: StepEmitter) -> list[str]:
    """Return the lines that bring the states ``s_*`` to the end of the step, ``n_*``."""
    model, states = emitter.model, emitter.model.stepped
    attempt = _stages(emitter)
    attempt.append(f"REAL error = e_{states[0]};")
    attempt += [f"error = ns_max(error, e_{s});" for s in states[1:]]
    attempt += [
        "const REAL ratio = error / tolerance;",
        "if (ratio > REAL(1.1) && h > smallest) {",
        "  h = ns_max(h * ns_max(REAL(0.2), REAL(0.9) / ns_pow(ratio, REAL(0.2))), smallest);",
        "  last = false;",
        "  continue;",
        "}",
        *[f"n_{s} = n_{s} + h * ({_combination(FIFTH, s)});" for s in states],
        "gone = gone + h;",
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


def _combination(weights: tuple[float, ...], state: str) -> str:
    return " + ".join(f"{number(c)} * k{j}_{state}" for j, c in enumerate(weights, 1) if c)


def _stages(emitter: StepEmitter) -> list[str]:
    """Return the lines of the six stages and the estimated errors."""
    states, lines = emitter.model.stepped, []
    for stage, (node, row) in enumerate(zip(NODES, STAGES, strict=True), 1):
        if row:
            lines += [
                f"const REAL y{stage}_{s} = n_{s} + h * ({_combination(row, s)});" for s in states
            ]

        def name(state: str, stage: int = stage, moved: bool = bool(row)) -> str:
            return f"y{stage}_{state}" if moved and state in states else f"n_{state}"

        lines += emitter.rates(f"k{stage}", name, f"t0 + gone + {number(node)} * h")
    return lines + [f"const REAL e_{s} = ns_abs(h * ({_combination(ERROR, s)}));" for s in states]


def _spike(emitter: StepEmitter) -> list[str]:
    """Return the test of the threshold within a step, as NEST's adaptive exponential models do."""
    model = emitter.model
    assert model.spec.threshold is not None
    show = emitter.printer(lambda s: f"n_{s}", "(t0 + gone)")
    test = show(model.spec.threshold)
    lines = [f"if ({f'!held && {test}' if emitter.held else test}) {{"]
    lines += [f"  n_{s.target} = {show(s.result())};" for s in model.spec.reset]
    lines.append("  n_fired++;")
    if model.spec.refractory is not None:
        steps = emitter.coefficient("refractory steps", model.refractory_steps)
        lines += [f"  if ({steps} > REAL(0.0)) {{", f"    ns_until(cell) = (int)t + (int){steps};"]
        lines += ["    held = true;", "  }"]
    return [*lines, "}"]
