"""The CUDA source of a network: constants, structs, a step for each kind of population, phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from neurosim import random
from neurosim.engines.gpu.structs import DENSE, GIVEN, MEASURED, MODES, SPARSE, declarations
from neurosim.lower.poisson import DENSE_BLOCK
from neurosim.lower.rows import EDGE, SOURCE
from neurosim.network import distributions

_PARTS_BEFORE = ("device.cuh", "functions.cuh", "random.cuh")
_PARTS_AFTER = (
    "weights.cuh", "rows.cuh", "ring_cell.cuh", "update.cu", "events.cuh", "drive.cu",
    "deliver.cu", "drivers.cu",
)  # fmt: skip
_DISTRIBUTIONS = ("CONSTANT", "UNIFORM", "NORMAL", "LOGNORMAL", "EXPONENTIAL")
#: Delays [steps] are limited to this before they become integers; the host refuses them.
_LONGEST = 2.0**40
#: A source of spikes sends as many as have reached it: generators, given spikes, parrots.
RELAY = """\
  return (int)ns_input(cell, 0);
"""


@dataclass(frozen=True)
class Format:
    """Types of the numbers on the device.

    Attributes
    ----------
    real : {"float", "double"}
        Of states.
    deterministic : bool
        Whether amounts are integers.
    wide : bool
        Whether a synapse takes 64 bits.
    tile, chunk : int
        Threads of a block; synapses of a work item, a divisor of `tile`.
    half : bool
        Whether weights are stored in half precision.
    drawn : bool
        Whether there are rows that are drawn when they are delivered.
    narrow : bool
        Whether amounts that are integers have 32 bits.
    """

    real: str
    deterministic: bool
    wide: bool
    tile: int = 256
    chunk: int = 128
    half: bool = False
    drawn: bool = False
    narrow: bool = False

    @property
    def amount(self) -> str:
        """The C type of a sum of input."""
        return ("int" if self.narrow else "long long") if self.deterministic else self.real

    @property
    def weight(self) -> str:
        """The C type of a stored weight."""
        return "unsigned short" if self.half else "int" if self.deterministic else self.real


def source_text(bodies: Sequence[str], form: Format, plastic: str = "") -> str:
    """Return the whole source.

    Parameters
    ----------
    bodies : sequence of str
        Body of ``ns_step`` for each kind of population.
    form : Format
    plastic : str
        What plastic synapses add, see `plastic_text`.
    """
    after = (*(["draw.cuh"] if form.drawn else []), *_PARTS_AFTER)
    parts = [*common_parts(bodies, form), plastic, *(kernel_part(name) for name in after)]
    return "\n".join(parts) + "\n"


def common_parts(bodies: Sequence[str], form: Format) -> list[str]:
    """Return the beginning of every source of a network, down to the steps of its neurons."""
    parts = [_options(form), _constants(), *(kernel_part(name) for name in _PARTS_BEFORE)]
    parts += ['#line 1 "structs"', declarations(), kernel_part("ring.cuh")]
    parts += [kernel_part("fail.cuh"), kernel_part("current.cuh"), '#line 1 "steps"']
    head = "(const Net& net, const Population& p, Cell& cell, long long i, long long t)"
    start = "template <class Cell>\n__device__ __forceinline__ int "
    for k, body in enumerate(bodies):
        parts.append(f"{start}ns_step_{k}{head} {{\n{body}}}")
    parts.append(f"{start}ns_step{head} {{\n  switch (p.kind) {{")
    parts += [f"    case {k}: return ns_step_{k}(net, p, cell, i, t);" for k in range(len(bodies))]
    return [*parts, "  }\n  return 0;\n}"]


def build_text(form: Format) -> str:
    """Return the source of the kernels that build rows of synapses."""
    parts = [_options(form), _constants(), *(kernel_part(name) for name in _PARTS_BEFORE)]
    parts += ['#line 1 "structs"', declarations()]
    parts += [kernel_part(name) for name in ("weights.cuh", "draw.cuh", "build.cu", "sources.cu")]
    return "\n".join(parts) + "\n"


def plastic_text(structs: str, rules: str, every: bool) -> str:
    """Return what plastic synapses add to a source: their structs, rules and phases.

    Parameters
    ----------
    structs, rules : str
    every : bool
        Whether some rule looks at its targets in every step.
    """
    options = [
        "#define NS_PLASTIC 1",
        f"#define NS_EVERY {int(every)}",
        # with registers for more blocks on a multiprocessor the compiler spills some
        "#undef NS_RESIDENT",
        "#define NS_RESIDENT 2",
    ]
    parts = [*options, structs, kernel_part("rules.cuh"), rules, kernel_part("plastic.cu")]
    return "\n".join(parts)


def kernel_part(name: str) -> str:
    """Return the text of a file of kernels."""
    text = resources.files("neurosim.engines.gpu").joinpath("kernels", name).read_text()
    return f'#line 1 "{name}"\n{text}'


def _options(form: Format) -> str:
    return "\n".join(
        [
            f"typedef {form.real} REAL;",
            f"typedef unsigned {'long long' if form.wide else 'int'} ns_synapse;",
            f"typedef {form.weight} ns_weight;",
            f"typedef {form.amount} ns_amount;",
            f"#define NS_DETERMINISTIC {int(form.deterministic)}",
            f"#define NS_HALF {int(form.half)}",
            f"#define NS_DRAWN {int(form.drawn)}",
            f"#define NS_TILE {form.tile}",
            f"#define NS_CHUNK {form.chunk}",
        ]
    )


def _constants() -> str:
    """Return the constants of the draws and of exp, from where the other engines have them."""
    values: dict[str, object] = {
        "DENSE": DENSE, "SPARSE": SPARSE, "GIVEN": GIVEN, "DENSE_BLOCK": DENSE_BLOCK,
        "INFINITY": "__longlong_as_double(0x7ff0000000000000ll)",
        "PHILOX_ROUNDS": random.PHILOX_ROUNDS,
        "SQRT_HALF_BITS": f"{random.SQRT_HALF_BITS}ll",
        "EDGE": f"{EDGE}u", "SOURCE": f"{SOURCE}u", "LONGEST": _LONGEST,
    }  # fmt: skip
    values |= {name: getattr(distributions, name) for name in _DISTRIBUTIONS}
    values |= {mode.upper(): k for k, mode in enumerate(MODES)}
    values |= {name: k for k, name in enumerate(MEASURED)}
    for k in (0, 1):
        values[f"PHILOX_M{k}"] = f"{random.PHILOX_MULTIPLIERS[k]}ull"
        values[f"PHILOX_W{k}"] = f"{random.PHILOX_WEYL[k]}u"
    values |= {f"FACTOR{k}": 1.0 / math.factorial(k) for k in range(2, 14)}
    for name in (
        "LN2_HIGH", "LN2_LOW", "INV_LN2", "LOG_COEFFICIENTS", "EXP_COEFFICIENTS", "PPF_CENTRE",
        "PPF_CENTRE_NUM", "PPF_CENTRE_DEN", "PPF_TAIL", "PPF_TAIL_NUM", "PPF_TAIL_DEN",
        "PPF_FAR_NUM", "PPF_FAR_DEN",
    ):  # fmt: skip
        value = getattr(random, name)
        many = isinstance(value, tuple)
        values[name] = "{" + ", ".join(map(repr, value)) + "}" if many else value
    return "\n".join(f"#define NS_{name} {value}" for name, value in values.items())
