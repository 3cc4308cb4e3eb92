"""The CUDA source of the owner variant of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neurosim.engines.gpu.owner_structs import CLASSES, HALF, STRUCTS, TABLE, WIDE
from neurosim.engines.gpu.source import Format, common_parts, kernel_part
from neurosim.engines.gpu.structs import copy_function, declarations

#: Threads of a block that the compiler is told of, unless there are more: registers suffice, and
#: small networks share a source.
_BOUNDS = (256, 512)


@dataclass(frozen=True)
class OwnerFormat:
    """What the source depends on, beside `Format`.

    Attributes
    ----------
    n_states : int
        Most states of a neuron.
    shared_states : bool
        Whether states lie in shared memory, not in registers.
    rows : int
        The form of synapses: TABLE, HALF or WIDE.
    wide_segments : bool
        Whether there are more synapses than 32 bits can count.
    n_threads, blocks_each : int
        Threads of a block, and blocks of a multiprocessor.
    """

    n_states: int
    shared_states: bool
    rows: int
    wide_segments: bool
    n_threads: int
    blocks_each: int


def owner_text(bodies: Sequence[str], form: Format, owner: OwnerFormat) -> str:
    """Return the whole source.

    Parameters
    ----------
    bodies : sequence of str
        Body of ``ns_step`` for each kind of population.
    form : Format
    owner : OwnerFormat
    """
    bound = next((n for n in _BOUNDS if n >= owner.n_threads), owner.n_threads)
    options = [
        *_row_options(form, owner.rows, owner.wide_segments),
        f"#define NS_CLASSES {CLASSES}",
        f"#define NS_STATES {max(1, owner.n_states)}",
        f"#define NS_SHARED_STATES {int(owner.shared_states)}",
        f"#define NS_BOUND {bound}",
        f"#define NS_BLOCKS_EACH {owner.blocks_each}",
    ]
    parts = [*common_parts(bodies, form), *options, declarations(STRUCTS)]
    parts.append(copy_function("Population"))
    parts += [kernel_part(name) for name in ("events.cuh", "owner_cell.cuh", "owner.cu")]
    return "\n".join(parts) + "\n"


def division_text(form: Format, rows: int, wide_segments: bool) -> str:
    """Return the source of the kernels that divide rows by owner."""
    parts = [*common_parts((), form), *_row_options(form, rows, wide_segments)]
    parts += [declarations(STRUCTS), kernel_part("weights.cuh"), kernel_part("divide.cu")]
    return "\n".join(parts) + "\n"


def _row_options(form: Format, rows: int, wide_segments: bool) -> list[str]:
    return [
        f"typedef unsigned {'long long' if wide_segments else 'int'} ns_segment;",
        f"typedef {'int' if form.deterministic else form.real} ns_owned;",
        f"#define NS_TABLE {TABLE}",
        f"#define NS_HALVES {HALF}",
        f"#define NS_WIDE {WIDE}",
        f"#define NS_FORM {rows}",
    ]
