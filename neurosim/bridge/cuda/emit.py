"""CUDA C++ of a step: a forward kernel and its backward, with the loop over time inside.

One thread carries one neuron of one sample through all of time, its states in registers. Arrays
are flat as for the CPU's kernels: inputs and outputs [T, M] with M = batch x neurons, states [M],
parameters [1] or [N] (repeated over the batch). Inputs and outputs are in the format IO; outputs
that are states, and all else, in the precision of the computation, REAL.

The forward pass keeps the states before every `SEGMENT`-th step. The backward pass goes through the
segments from the last to the first: it repeats one into a short tape, then walks it back. What
was computed is computed again by the same operations, so a neuron at its threshold does the same
in both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from neurosim.bridge.kernels.emit import _variable as variable
from neurosim.bridge.kernels.reverse import adjoint
from neurosim.bridge.kernels.step import Program
from neurosim.bridge.surrogate import Surrogate
from neurosim.engines.gpu.literals import number
from neurosim.expressions import Printer, Symbol, substitute

#: Steps between two kept states; also the length of the tape, which must stay in fast memory.
SEGMENT = 16
Lines = list[str]
_FUNCTIONS = {
    **{f: f"ns_{f}" for f in ("exp", "exprel", "log", "sqrt", "sin", "cos", "tanh", "abs")},
    "min": "({0} <= {1} ? {0} : {1})", "max": "({0} >= {1} ? {0} : {1})",
    "clip": "({0} < {1} ? {1} : ({0} > {2} ? {2} : {0}))", "where": "({0} ? {1} : {2})",
    "**": "ns_pow({0}, {1})", "not": "(!{0})", "and": " && ", "or": " || ",
}  # fmt: skip


@dataclass(frozen=True)
class Gradient:
    """What a backward kernel computes.

    Attributes
    ----------
    surrogate : Surrogate
        The values of its parameters are arguments of the kernel.
    wanted : frozenset of str
        Parameters of the step whose gradient is needed.
    """

    surrogate: Surrogate
    wanted: frozenset[str]


class StepKernels:
    """Prints the kernels of one lowered step.

    Parameters
    ----------
    program : Program
    per_neuron : frozenset of str
        Parameters with one value a neuron.
    gradient : Gradient, optional
        Without one there is no backward kernel, and the forward kernel keeps no states.
    """

    def __init__(
        self, program: Program, per_neuron: frozenset[str], gradient: Gradient | None
    ) -> None:
        self.program, self.step, self.per_neuron = program, program.step, per_neuron
        self.gradient = gradient
        self.print = Printer(variable, _FUNCTIONS, number)

    @cached_property
    def formats(self) -> dict[str, str]:
        """The format of each output."""
        return {o: "REAL" if o in self.step.states else "IO" for o in self.step.outputs}

    # ---- the two kernels

    def forward(self) -> str:
        """Return the kernel ``forward``."""
        step = self.step
        kept = step.states if self.gradient is not None else ()
        arguments = [
            *(f"const IO* __restrict__ X_{n}" for n in step.inputs), *self.arguments(),
            *(f"const REAL* __restrict__ S_{s}" for s in step.states),
            *(f"{f}* __restrict__ Y_{o}" for o, f in self.formats.items()),
            *(f"REAL* __restrict__ E_{s}" for s in step.states),
            *(f"REAL* __restrict__ K_{s}" for s in kept),
        ]  # fmt: skip
        keep = [f"  K_{s}[t / {SEGMENT} * M + i] = s_{s};" for s in kept]
        body = [
            *self.parameters("i"), *(f"REAL s_{s} = S_{s}[i];" for s in step.states),
            "#pragma unroll 4",
            "for (int t = 0; t < T; t++) {",
            *([f"  if (t % {SEGMENT} == 0) {{", *_indent(2, keep), "  }"] if keep else []),
            "  const long long at = t * M + i;",
            *_indent(1, [*self._read(), *self.lines(), *self._write("at"), *self._advance()]),
            "}",
            *(f"E_{s}[i] = s_{s};" for s in step.states),
        ]  # fmt: skip
        return _kernel("forward", arguments, body)

    def backward(self) -> str:
        """Return the kernel ``backward``."""
        assert self.gradient is not None
        step = self.step
        surrogate, wanted = self.gradient.surrogate, self._wanted()
        arguments = [
            *(f"const IO* __restrict__ X_{n}" for n in step.inputs), *self.arguments(),
            *(f"const REAL* __restrict__ K_{s}" for s in step.states),
            *(f"REAL {variable(f'psi {n}')}" for n, _ in surrogate.parameters),
            *(f"const {f}* __restrict__ GY_{o}" for o, f in self.formats.items()),
            *(f"const REAL* GE_{s}" for s in step.states),
            *(f"IO* __restrict__ GX_{n}" for n in step.inputs),
            *(f"REAL* __restrict__ GP_{p}" for p in wanted),
            *(f"REAL* GS_{s}" for s in step.states),
        ]  # fmt: skip
        body = [
            *self.parameters("i"),
            *(f"REAL {variable(f'after {s}')} = GE_{s}[i];" for s in step.states),
            *(f"REAL L_{p} = REAL(0.0);" for p in wanted),
            f"for (int k = (T + {SEGMENT - 1}) / {SEGMENT} - 1; k >= 0; k--) {{",
            f"  const int first = k * {SEGMENT}, rest = T - first;",
            f"  const int n = rest < {SEGMENT} ? rest : {SEGMENT};",
            *_indent(1, [*self._replay(), *self._walk_back(wanted)]),
            "}",
            *(f"GP_{p}[i] = L_{p};" for p in wanted),
            *(f"GS_{s}[i] = {variable(f'after {s}')};" for s in step.states),
        ]  # fmt: skip
        return _kernel("backward", arguments, body)

    # ---- parts that other kernels use as well

    def parameters(self, lane: str) -> Lines:
        """Return the lines that read the parameters of the neuron `lane`."""
        return [
            f"const REAL {variable(p)} = P_{p}[" + (f"{lane} % N_{p}];" if p in self.per_neuron
                                                    else "0];")
            for p in self.step.parameters
        ]  # fmt: skip

    def lines(self) -> Lines:
        """Return the definitions of the step; inputs, parameters and old states are there."""
        fire = ">" if self.step.strict else ">="
        found = []
        for line in self.program.lines:
            value = self.print(line.value)
            if line.fires:
                value = f"{value} {fire} REAL(0.0) ? REAL(1.0) : REAL(0.0)"
            found.append(f"const REAL {variable(line.target)} = {value};")
        return found

    def arguments(self) -> Lines:
        """Return the arguments that hold parameters."""
        return [
            *(f"const REAL* __restrict__ P_{p}" for p in self.step.parameters),
            *(f"int N_{p}" for p in self.step.parameters if p in self.per_neuron),
        ]

    def _wanted(self) -> list[str]:
        assert self.gradient is not None
        return [p for p in self.step.parameters if p in self.gradient.wanted]

    def _read(self) -> Lines:
        return [
            *(f"const REAL {variable(n)} = ns_load(X_{n} + at);" for n in self.step.inputs),
            *(f"const REAL {variable(f'old {s}')} = s_{s};" for s in self.step.states),
        ]

    def _write(self, at: str) -> Lines:
        return [
            f"ns_store(Y_{o} + {at}, {variable(n)});"
            for o, n in zip(self.step.outputs, self.program.outputs, strict=True)
        ]

    def _advance(self) -> Lines:
        return [f"s_{s} = {variable(n)};" for s, n in self.program.final.items()]

    def _replay(self) -> Lines:
        """Return the lines that repeat a segment and keep its states on the tape."""
        states = self.step.states
        return [
            *(f"REAL tape_{s}[{SEGMENT}], s_{s} = K_{s}[k * M + i];" for s in states),
            "for (int u = 0; u < n; u++) {",
            "  const long long at = (first + u) * M + i;",
            *(f"  tape_{s}[u] = s_{s};" for s in states),
            *_indent(1, [*self._read(), *self.lines(), *self._advance()]),
            "}",
        ]

    def _walk_back(self, wanted: Lines) -> Lines:
        """Return the lines that walk the tape back."""
        assert self.gradient is not None
        step, surrogate = self.step, self.gradient.surrogate
        names = {n: Symbol(f"psi {n}") for n, _ in surrogate.parameters}
        reverse = adjoint(
            self.program, substitute(surrogate.expression, names), self.gradient.wanted
        )
        result = {name: self.print(value) for name, value in reverse.results.items()}
        return [
            "for (int u = n - 1; u >= 0; u--) {",
            "  const long long at = (first + u) * M + i;",
            *_indent(1, [
                *(f"s_{s} = tape_{s}[u];" for s in step.states), *self._read(), *self.lines(),
                *(f"const REAL {variable(f'grad {o}')} = ns_load(GY_{o} + at);"
                  for o in step.outputs),
                *(f"const REAL {variable(name)} = {self.print(value)};"
                  for name, value in reverse.lines),
                *(f"ns_store(GX_{n} + at, {result[n]});" for n in step.inputs),
                *(f"L_{p} += {result[p]};" for p in wanted),
                *(f"const REAL next_{s} = {result[f'old {s}']};" for s in step.states),
                *(f"{variable(f'after {s}')} = next_{s};" for s in step.states),
            ]),
            "}",
        ]  # fmt: skip


def _kernel(name: str, arguments: Iterable[str], body: Lines) -> str:
    """Return a kernel whose threads each take neurons i of M."""
    listed = ",\n    ".join(("int T, long long M", *arguments))
    return "\n".join((
        f'extern "C" __global__ void {name}(\n    {listed}) {{',
        "  const long long stride = (long long)gridDim.x * blockDim.x;",
        "  const long long start = (long long)blockIdx.x * blockDim.x + threadIdx.x;",
        "  for (long long i = start; i < M; i += stride) {",
        *_indent(2, body), "  }", "}", "",
    ))  # fmt: skip


def _indent(depth: int, lines: Iterable[str]) -> Lines:
    return ["  " * depth + line for line in lines]
