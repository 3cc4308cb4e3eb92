"""CUDA C++ of a step whose spikes return to it: one block carries one sample through all of time.

All neurons of a sample are in one block, so that what spikes cause in the next step needs no
barrier between blocks and a sequence is one launch. In every step the spikes of the step before are
listed, each thread adds what they cause in its neurons to their input, and steps them. All is in
the precision of the computation, REAL.
"""

from __future__ import annotations

from neurosim.bridge.cuda.emit import StepKernels
from neurosim.bridge.kernels.emit import _variable as variable

#: Spikes reach all neurons a step later: ``C[t] = X[t] + bias + weights of the spikes before``.
_AT_ONCE = (
    [
        "const REAL* __restrict__ W",
        "const REAL* __restrict__ bias",
        "int has_bias",
        "const REAL* R",
    ],
    """\
const REAL* before = t ? {y} + (t - 1) * M + lane : R + lane;
for (int j = threadIdx.x; j < N; j += NS_THREADS)
  total[j] = has_bias ? x[j] + bias[j] : x[j];
for (int first = 0; first < N; first += NS_SPAN) {{
  const int n = ns_compact(before, first, N, column, value, counts);
  for (int j = threadIdx.x; j < N; j += NS_THREADS)
    total[j] = ns_add_rows(total[j], W + j, N, n, column, value);
}}""",
)
#: Synapses i -> j have taps at the lags start[i, j] + k after that, which collect in a ring.
_DELAYED = (
    ["const int* __restrict__ start", "const REAL* __restrict__ taps", "int n_taps", "int width",
     "REAL* ring"],
    """\
REAL* const slots = ring + b * width * N;
const int now = t % width;
for (int first = 0; t > 0 && first < N; first += NS_SPAN) {{
  const int n = ns_compact({y} + (t - 1) * M + lane, first, N, column, value, counts);
  for (int j = threadIdx.x; j < N; j += NS_THREADS)
    for (int p = 0; p < n; p++) {{
      const long long synapse = (long long)column[p] * N + j;
      int slot = now + ns_clamped(start[synapse], width - n_taps);
      for (int k = 0; k < n_taps; k++, slot++)
        slots[(slot < width ? slot : slot - width) * (long long)N + j] +=
            taps[synapse * n_taps + k] * value[p];
    }}
}}
for (int j = threadIdx.x; j < N; j += NS_THREADS) {{
  total[j] = x[j] + slots[now * (long long)N + j];
  slots[now * (long long)N + j] = REAL(0.0);
}}""",
)  # fmt: skip


def recurrent_kernel(kernels: StepKernels, *, delayed: bool) -> str:
    """Return the kernel ``recurrent`` of a step with one input.

    Its first output are the spikes. It writes the total input current to C as well.
    """
    step, program = kernels.step, kernels.program
    own, feedback = _DELAYED if delayed else _AT_ONCE
    arguments = [
        "const REAL* X", *own, *(a.replace(" __restrict__", "") for a in kernels.arguments()),
        *(f"const REAL* S_{s}" for s in step.states), "REAL* C",
        *(f"REAL* Y_{o}" for o in step.outputs), *(f"REAL* E_{s}" for s in step.states),
    ]  # fmt: skip
    step_lines = [
        "const long long i = lane + j;",
        *kernels.parameters("i"), f"const REAL {variable(step.inputs[0])} = total[j];",
        *(f"const REAL {variable(f'old {s}')} = E_{s}[i];" for s in step.states),
        *kernels.lines(),
        *(f"Y_{o}[t * M + i] = {variable(n)};"
          for o, n in zip(step.outputs, program.outputs, strict=True)),
        *(f"E_{s}[i] = {variable(n)};" for s, n in program.final.items()),
    ]  # fmt: skip
    listed = ",\n    ".join(("int T, int B, int N", *arguments))
    return "\n".join((
        f'extern "C" __global__ void __launch_bounds__(NS_THREADS) recurrent(\n    {listed}) {{',
        "  NS_SHARED(int, column, NS_SPAN);",
        "  NS_SHARED(REAL, value, NS_SPAN);",
        "  NS_SHARED(int, counts, NS_WARPS);",
        "  const long long M = (long long)B * N;",
        "  for (long long b = blockIdx.x; b < B; b += gridDim.x) {",
        "    const long long lane = b * N;",
        *(f"    for (int j = threadIdx.x; j < N; j += NS_THREADS) "
          f"E_{s}[lane + j] = S_{s}[lane + j];" for s in step.states),
        "    for (long long t = 0; t < T; t++) {",
        "      __syncthreads();  // all spikes of the step before are there",
        "      const REAL* x = X + t * M + lane;",
        "      REAL* total = C + t * M + lane;",
        *("      " + line for line in feedback.format(y=f"Y_{step.outputs[0]}").splitlines()),
        "      for (int j = threadIdx.x; j < N; j += NS_THREADS) {",
        *("        " + line for line in step_lines),
        "      }", "    }", "  }", "}", "",
    ))  # fmt: skip
