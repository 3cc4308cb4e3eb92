"""The adaptive Runge-Kutta-Fehlberg 4(5) method, as source lines for one neuron.

Coefficients and step-size control: `neurosim.lower.fehlberg`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurosim.engines.cpu.kernels import layout
from neurosim.engines.cpu.lines import indent

if TYPE_CHECKING:
    from neurosim.engines.cpu.emit_step import StepEmitter


def adaptive_lines(emitter: StepEmitter) -> list[str]:
    """Return the body of the loop over neurons for the adaptive method."""
    model, number = emitter.model, emitter.syntax.number
    attempt = [
        *emitter.attempt(),
        "if ratio > 1.1 and h > smallest:",
        "    h = max(h * max(REAL(0.2), REAL(0.9) / ratio ** REAL(0.2)), smallest)",
        "    last = False",
        "    continue",
        *emitter.accepted(),
        "if not last:",
        "    if ratio < 0.5:",
        "        h = h * min(REAL(5.0), max(REAL(1.0), REAL(0.9) / max(ratio, tiny) ** sixth))",
        "    proposed = h",
    ]
    if emitter.tests_substeps:
        attempt += _substep_spike(emitter)
    attempt += ["if last:", "    break"]
    lines = [
        *emitter.load(),
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
        *emitter.arrivals(),
        *[f"x_{s}[i] = n_{s}" for s in model.states],
    ]
    if emitter.tests_substeps:
        total = " + ".join(f"n_{s}" for s in model.states)
        return [
            *lines,
            f"total = {total}",
            "flags[i] = np.uint8(2) if (total - total != ZERO) else np.uint8(min(fired, 63) << 2)",
        ]
    return lines + emitter.flag()


def _substep_spike(emitter: StepEmitter) -> list[str]:
    """Return the test of the threshold within a step, as NEST's adaptive exponential models do."""
    time = "(t0 + gone)"
    lines = [f"if {emitter.fires(time)}{' and not held' if emitter.held else ''}:"]
    body = [*emitter.reset_states("n_{}".format, time), "fired += 1"]
    if emitter.model.spec.refractory is not None:
        steps = emitter.refractory_steps()
        body += [f"if {steps} > 0:", f"    until[i] = now + np.int32({steps})", "    held = True"]
    return lines + ["    " + line for line in body]
