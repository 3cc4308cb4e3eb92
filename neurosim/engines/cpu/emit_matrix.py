"""Source lines of an exact step with a large matrix, as loops over a table of its entries.

Small matrices are written out, entry by entry, into one vector loop over the neurons. The time to
compile that grows faster than the number of entries: 20 coupled compartments (400 entries) took
48 s, 50 of them minutes. A large matrix is a table instead (5 and 6 s), and the vector code is in
the loop over its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurosim.engines.cpu.kernels import layout
from neurosim.lower.propagator import Propagator

if TYPE_CHECKING:
    from neurosim.engines.cpu.emit_step import StepEmitter

#: Entries up to which a matrix is written out.
MOST_WRITTEN = 64


def is_table(propagator: Propagator) -> bool:
    """Return whether a propagator becomes a table: large, without noise, and one for all."""
    parts = (propagator.matrix, propagator.offset, propagator.injected)
    same = not any(np.ndim(v) for part in parts for v in part.values())
    return same and not propagator.noise and len(propagator.matrix) > MOST_WRITTEN


def table_of(propagator: Propagator) -> list[float]:
    """Return the columns of the matrix, then the offset and what an injected current adds."""
    states = propagator.states
    values = [float(propagator.matrix.get((r, c), 0.0)) for c in states for r in states]
    for part in (propagator.offset, propagator.injected):
        values += [float(part.get(r, 0.0)) for r in states]
    return values


def scratch_lines(propagator: Propagator) -> list[str]:
    """Return the lines that make room for the states of a neuron before and after."""
    m = len(propagator.states)
    return [f"before = np.zeros({m}, REAL)", f"after = np.zeros({m}, REAL)"]


def table_lines(
    emitter: StepEmitter, prefix: str, propagator: Propagator, held: Propagator | None
) -> list[str]:
    """Return lines that set ``<prefix><state>`` of neuron i; `held` is for refractory neurons."""
    states, m = propagator.states, len(propagator.states)
    at = emitter.coefficient.table(f"table {prefix}", table_of(propagator))
    lines = [f"at = {at}"]
    if held is not None:
        other = emitter.coefficient.table(f"table {prefix} held", table_of(held))
        lines = [f"at = {other} if held else {at}"]
    lines += [f"before[{k}] = s_{s}" for k, s in enumerate(states)]
    offset = f"C[at + {m * m} + r]"
    if propagator.injected:
        offset += f" + C[at + {m * m + m} + r] * injected[i]"
    return [
        *lines,
        # what only fills the last vector needs no states of its own
        f"rows = {m} if i < B[{layout.N_REAL}] else 0",
        "for r in range(rows):",
        f"    after[r] = {offset}",
        "for column in range(rows):",
        "    amount = before[column]",
        "    for r in range(rows):",
        f"        after[r] += C[at + column * {m} + r] * amount",
        *[f"{prefix}{s} = after[{k}]" for k, s in enumerate(states)],
    ]
