"""The adaptive Runge-Kutta-Fehlberg 4(5) method, as source lines for one neuron.

Coefficients and step-size control: `neurosim.lower.fehlberg`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from neurosim.engines.cpu.kernels import layout
from neurosim.lower.fehlberg import ERROR, FIFTH, NODES, STAGES

if TYPE_CHECKING:
    from neurosim.engines.cpu.emit_step import StepEmitter


def _stage_name(jumping: set[str], prefix: str, state: str) -> str:
    """Return the name of a state at a stage: those without an equation stand still."""
    return f"n_{state}" if state in jumping else prefix + state


def _combination(coefficients: tuple[float, ...], state: str, number: object) -> str:
    terms = [f"{number(c)} * k{j + 1}_{state}" for j, c in enumerate(coefficients) if c]  # type: ignore[operator]
    return " + ".join(terms)


def adaptive_lines(emitter: StepEmitter) -> list[str]:
    """Return the body of the loop over neurons for the adaptive method."""
    from neurosim.engines.cpu.emit_step import indent, number

    model = emitter.model
    states = model.stepped
    attempt: list[str] = []
    for stage, (node, row) in enumerate(zip(NODES, STAGES, strict=True), 1):
        if row:
            attempt += [f"y_{s} = n_{s} + h * ({_combination(row, s, number)})" for s in states]
        name = "y_" if row else "n_"
        jumping = set(model.states) - set(states)
        attempt += emitter._rates(
            f"k{stage}",
            partial(_stage_name, jumping, name),
            f"t0 + gone + {number(node)} * h",
            model.rhs,
        )
    attempt += [f"e_{s} = abs(h * ({_combination(ERROR, s, number)}))" for s in states]
    attempt.append("error = e_" + states[0])
    attempt += [f"error = max(error, e_{s})" for s in states[1:]]
    attempt += [
        "ratio = error / tolerance",
        "if ratio > 1.1 and h > smallest:",
        "    h = max(h * max(REAL(0.2), REAL(0.9) / ratio ** REAL(0.2)), smallest)",
        "    last = False",
        "    continue",
        *[f"n_{s} = n_{s} + h * ({_combination(FIFTH, s, number)})" for s in states],
        "gone = gone + h",
        "if not last:",
        "    if ratio < 0.5:",
        "        h = h * min(REAL(5.0), max(REAL(1.0), REAL(0.9) / max(ratio, tiny) ** sixth))",
        "    proposed = h",
    ]
    substep = model.spec.threshold_test == "substep" and model.spec.threshold is not None
    if substep:
        attempt += _substep_spike(emitter)
    attempt += ["if last:", "    break"]
    lines = [
        *emitter._load(),
        *[f"n_{s} = s_{s}" for s in model.states],
        f"sub = view(B[{layout.SUBSTEP}], n, REAL)",
        f"whole = {number(model.dt)}",
        # single precision cannot resolve a smaller error of a potential
        f"tolerance = REAL(max({model.spec.tolerance!r}, 0.0 if ITEM == 8 else 1e-4))",
        "smallest = whole * REAL(1e-6)",
        "tiny = REAL(1e-12)",
        "sixth = REAL(1.0 / 6.0)",
        "gone = ZERO",
        "proposed = sub[i]",
        "fired = 0",
        "h = proposed",
        "last = False",
        f"while i < B[{layout.N_REAL}]:",
        "    if h > whole - gone:",
        "        h = whole - gone",
        "        last = True",
        *indent(attempt),
        "    h = proposed",
        "    if gone >= whole:",
        "        break",
        "sub[i] = proposed",
        *emitter._arrivals(),
        *[f"x_{s}[i] = n_{s}" for s in model.states],
    ]
    if substep:
        total = " + ".join(f"n_{s}" for s in model.states)
        return [
            *lines,
            f"total = {total}",
            "flags[i] = np.uint8(2) if (total - total != ZERO) else np.uint8(min(fired, 63) << 2)",
        ]
    return lines + emitter._flag()


def _substep_spike(emitter: StepEmitter) -> list[str]:
    """Return the test of the threshold within a step, as NEST's adaptive exponential models do."""
    model = emitter.model
    assert model.spec.threshold is not None
    show = emitter.printer(lambda s: f"n_{s}", "(t0 + gone)")
    test = show(model.spec.threshold)
    lines = [f"if {test}{' and not held' if emitter.held else ''}:"]
    body = [f"n_{s.target} = {show(s.result())}" for s in model.spec.reset]
    body.append("fired += 1")
    if model.spec.refractory is not None:
        steps = emitter.coefficient("refractory steps", model.refractory_steps)
        body += [f"if {steps} > 0:", f"    until[i] = now + np.int32({steps})", "    held = True"]
    return lines + ["    " + line for line in body]
