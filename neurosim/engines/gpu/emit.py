"""CUDA C++ of one step of one neuron, printed from a lowered model.

The counterpart of the CPU engine's `emit_step`: the same operations in the same order, so that both
give the same bits in float64 where the compiler contracts nothing.
"""

from __future__ import annotations

from neurosim.engines.gpu.emit_adaptive import adaptive_lines
from neurosim.engines.gpu.literals import number
from neurosim.lower.model import LoweredModel
from neurosim.lower.propagator import Propagator
from neurosim.lower.step_text import Coefficients, Lines, StepText, Syntax

FUNCTIONS = {
    **{f: f"ns_{f}" for f in ("exp", "exprel", "log", "sqrt", "sin", "cos", "tanh", "abs")},
    "min": "ns_min", "max": "ns_max", "clip": "ns_min(ns_max({0}, {1}), {2})",
    "where": "({0} ? {1} : {2})", "**": "ns_pow({0}, {1})", "not": "(!{0})", "and": " && ",
    "or": " || ",
}  # fmt: skip


SYNTAX = Syntax(
    functions=FUNCTIONS, number=number, zero="REAL(0.0)", injected="injected", noise="noise{}",
    new="REAL {} = {};", fixed="const REAL {} = {};", put="{} = {};", hold="if (held) {} = {};",
    choice="held ? {} : {}", stage="y{}",
)  # fmt: skip


class StepEmitter(StepText):
    """Prints the body of the step of one lowered model.

    Parameters
    ----------
    model : LoweredModel
    """

    def __init__(self, model: LoweredModel) -> None:
        super().__init__(model, Coefficients("p.scalars[{}]", "p.arrays[{} * p.n + i]"), SYNTAX)

    def linear(self, prefix: str, propagator: Propagator, held: Propagator | None = None) -> Lines:
        """Return lines that set ``<prefix><state>``, whatever the size of the matrix."""
        return self.written_out(prefix, propagator, held)

    def body(self) -> str:
        """Return the body of ``int step(net, p, cell, i, t)``: the number of spikes of neuron i.

        Where its states and its input lie, the functions of `cell` know (kernels/ring_cell.cuh).
        """
        model = self.model
        lines = [f"const REAL s_{s} = ns_state(cell, {k});" for k, s in enumerate(model.states)]
        if self.held:
            lines.append("bool held = ns_until(cell) >= t;")
        if model.inject is not None:
            lines.append("const REAL injected = ns_injected(p, i, t);")
        lines += [
            f"const REAL noise{k} = (REAL)ns_normal(ns_words((uint32_t)i, t, {k}, p.key).w0);"
            for k in range(len(self.noise))
        ]
        if self.uses_time:
            lines.append(f"const REAL t0 = (REAL)((t - 1) * {model.dt!r});")
        lines += adaptive_lines(self) if self.adaptive else self.fixed()
        lines += [*self._arrivals(), *self._spike()]
        return "\n".join(f"  {line}" for line in lines) + "\n"

    def _arrivals(self) -> Lines:
        lines: Lines = []
        for k, (name, _) in enumerate(self.model.receptors):
            lines.append(f"REAL r{k} = ns_input(cell, {k});")
            if name in self.model.ignore:
                lines.append(f"if (held) r{k} = REAL(0.0);")
            lines += self.arrived(k, f"r{k}")
        return lines

    def _spike(self) -> Lines:
        """Return the lines from the check of the states to the end."""
        model = self.model
        lines = [
            f"const REAL total = {' + '.join(f'n_{s}' for s in model.states)};",
            "if (total - total != REAL(0.0)) ns_fail(net, t, p.source + i);",
        ]
        store = [f"ns_state(cell, {k}) = n_{s};" for k, s in enumerate(model.states)]
        if self.tests_substeps:
            return [*lines, *store, "return n_fired;"]
        if model.spec.threshold is None:
            return [*lines, *store, "return 0;"]
        time = f"(REAL)(t * {model.dt!r})"
        test = self.fires(time)
        lines += [
            f"const bool fired = {f'!held && {test}' if self.held else test};",
            "if (fired) {",
            *(f"  {line}" for line in self.reset_states("n_{}".format, time)),
        ]
        if model.spec.refractory is not None:
            lines.append(f"  ns_until(cell) = (int)t + (int){self.refractory_steps()};")
        return [*lines, "}", *store, "return fired;"]
