"""Source lines of the clock kernel: one step of every neuron of a block, branch-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from neurosim.engines.cpu import tableau
from neurosim.engines.cpu.emit_matrix import is_table, scratch_lines, table_lines
from neurosim.engines.cpu.kernels import layout
from neurosim.engines.cpu.lines import indent
from neurosim.lower.model import LoweredModel
from neurosim.lower.propagator import Propagator
from neurosim.lower.step_text import Lines, StepText, Syntax

if TYPE_CHECKING:
    from neurosim.engines.cpu.codegen import Coefficients

FUNCTIONS = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "tanh": "tanh",
    "abs": "abs", "min": "min", "max": "max", "clip": "min(max({0}, {1}), {2})",
    "where": "({1} if {0} else {2})", "exprel": "exprel", "**": "({0} ** {1})",
    "binomial": "REAL(binomial({0}, {1}, {2}))", "not": "({0} == False)", "and": " & ", "or": " | ",
}  # fmt: skip


def number(value: float) -> str:
    """Return a literal in the precision of the kernel."""
    return f"REAL({value!r})"


SYNTAX = Syntax(
    functions=FUNCTIONS, number=number, zero="ZERO", injected="injected[i]", noise="noise{}[i]",
    new="{} = {}", fixed="{} = {}", put="{} = {}", hold="{0} = {1} if held else {0}",
    choice="{} if held else {}", stage="y",
)  # fmt: skip


class StepEmitter(StepText):
    """Prints the clock kernel of one lowered model; `exact`: see `generate`."""

    coefficient: Coefficients

    def __init__(
        self, model: LoweredModel, coefficients: Coefficients, exact: bool = False
    ) -> None:
        super().__init__(model, coefficients, SYNTAX)
        self.exact = exact

    def linear(self, prefix: str, propagator: Propagator, held: Propagator | None = None) -> Lines:
        """Return lines that set ``<prefix><state>``; a large matrix is a table."""
        if is_table(propagator):
            return table_lines(self, prefix, propagator, held)
        return self.written_out(prefix, propagator, held)

    def prologue(self, records: Lines | None = None) -> Lines:
        """Return the lines with which every kernel of the block begins.

        `records` are lines that open the states where each neuron has a record of its own; by
        default each state has an array.
        """
        model = self.model
        n_table = layout.STATES + len(model.states) + 64
        lines = [
            f"B = view(block, {n_table}, np.int64)",
            f"n = B[{layout.N}]",
        ]
        if records is not None:
            lines += records
        else:
            lines.append(f"until = view(B[{layout.UNTIL}], n, np.int32)")
            lines += [
                f"x_{s} = view(B[{layout.STATES + k}], n, REAL)" for k, s in enumerate(model.states)
            ]
        if model.inject is not None:
            lines.append(f"injected = view(B[{layout.INJECTED}], n, REAL)")
        return [*lines, "@prologue"]

    def receptor_rows(self) -> Lines:
        """Return the lines that open the ring's row of each receptor."""
        item, kind = ("8", "np.float64") if self.exact else ("ITEM", "REAL")
        return [
            f"r{k} = view(row + {k} * n * {item}, n, {kind})"
            for k in range(len(self.model.receptors))
        ]

    # ---- the kernel

    def clock(self) -> Lines:
        """Return the whole clock kernel."""
        model = self.model
        head = [*self.prologue(), *self.receptor_rows()]
        head.append(f"flags = view(B[{layout.FLAGS}], n, np.uint8)")
        head += [
            f"noise{k} = view(B[{layout.NOISE}] + {k} * n * ITEM, n, REAL)"
            for k in range(len(self.noise))
        ]
        head += ["now = np.int32(step)"]
        if is_table(model.full):
            head += scratch_lines(model.full)
        if self.uses_time:
            head.append(f"t0 = REAL((step - 1) * {model.dt!r})")
        head += self.end_of_step()
        loop = tableau.adaptive_lines(self) if self.adaptive else self._fixed()
        lines = ["ITEM = REAL(0.0).itemsize", "", "", "@cfunc(KERNEL, **OPTIONS)",
                 "def clock(block, step, row, out):"]  # fmt: skip
        lines += indent([*head, "for i in range(n):", *indent(loop)])
        lines += indent(self._collect())
        return lines

    def end_of_step(self) -> Lines:
        """Return the line with the time at which thresholds are tested, where one looks at it."""
        return [f"t1 = REAL(step * {self.model.dt!r})"] if self.spikes_name_time() else []

    def load(self) -> Lines:
        """Return the lines that read the states of neuron i."""
        lines = [f"s_{s} = x_{s}[i]" for s in self.model.states]
        if self.held:
            lines.append("held = until[i] >= now")
        return lines

    def _fixed(self) -> Lines:
        """Return the loop body for every method with a fixed step."""
        lines = [*self.load(), *self.fixed(), *self.arrivals()]
        lines += [f"x_{s}[i] = n_{s}" for s in self.model.states]
        return [*lines, *self.flag()]

    def arrivals(self) -> Lines:
        """Return the lines that take input out of the ring."""
        lines: Lines = []
        for k, (name, _) in enumerate(self.model.receptors):
            text = f"REAL(r{k}[i])" if self.exact else f"r{k}[i]"
            if name in self.model.ignore:
                text = f"(ZERO if held else {text})"
            lines += [*self.arrived(k, text), f"r{k}[i] = UNTOUCHED"]
        return lines

    def flag(self) -> Lines:
        """Return the lines that note a spike, or a state that is no number."""
        total = " + ".join(f"n_{s}" for s in self.model.states)
        lines = [
            f"total = {total}",
            "bad = np.uint8(2) if (total - total != ZERO) else np.uint8(0)",
        ]
        if self.model.spec.threshold is None:
            return [*lines, "flags[i] = bad"]
        test = self.fires("t1")
        if self.held:
            test = f"{test} & (held == False)"
        return [*lines, f"flags[i] = bad | (np.uint8(1) if {test} else np.uint8(0))"]

    def reset(self, at: Callable[[str], str] = "{}[i]".format) -> Lines:
        """Return the lines of a spike of neuron i: the reset and the refractory end.

        `at` gives the text of one of its fields.
        """
        lines = self.reset_states(lambda s: at(f"x_{s}"), "t1")
        if self.model.spec.refractory is not None:
            lines.append(f"{at('until')} = now + np.int32({self.refractory_steps()})")
        return lines

    def _collect(self) -> Lines:
        """Return the scan of the flags, a word of eight at a time, and the resets."""
        spike = [*self.reset(), "spikes[count] = i", "count += 1"]
        if self.tests_substeps:
            spike = ["for _ in range(flags[i] >> 2):", *indent(["spikes[count] = i", "count += 1"])]
        return [
            f"words = view(B[{layout.FLAGS}], n // 8, np.int64)",
            "spikes = view(out, n, np.int32)",
            "count = 0",
            "for word in range(n // 8):",
            "    if words[word] != 0:",
            f"        for i in range(word * 8, min(word * 8 + 8, B[{layout.N_REAL}])):",
            "            if flags[i] & 2:",
            f"                if B[{layout.STATUS}] < 0:",
            f"                    B[{layout.STATUS}] = i",
            "            elif flags[i] != 0:",
            *indent(spike, 4),
            "return count",
        ]
