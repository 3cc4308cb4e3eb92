"""What kernels measure of projections, and the groups of rows that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.engines.gpu.structs import MEASURED
from neurosim.errors import DelayError
from neurosim.lower.connectivity import ConnectionSpec, short_delay_error

#: No place: more than any draw has.
NONE = 2**64 - 1


@dataclass
class RowGroup:
    """Rows of one kind, of all sources of a population.

    Attributes
    ----------
    population : int
    weighted : bool
        Whether each synapse has a weight of its own.
    amount : float
        The one weight, or what weights in half precision are multiples of.
    members : list of int
        Projections, by number.
    first_row : int
    """

    population: int
    weighted: bool
    amount: float
    members: list[int]
    first_row: int = 0


def by_name(measured: np.ndarray) -> list[dict[str, int]]:
    """Return what was measured of each projection."""
    rows = measured.reshape(-1, len(MEASURED))
    return [dict(zip(MEASURED, map(int, row), strict=True)) for row in rows]


def number(ordered: int) -> float:
    """Return the number of a word that `ns_ordered` made; 0 for none."""
    if not ordered:
        return 0.0
    bits = ordered ^ (1 << 63) if ordered >> 63 else ~ordered & NONE
    return float(np.uint64(bits).view(np.float64))


def above(x: float) -> float:
    """Return the power of two above a number."""
    return float(2.0 ** int(np.frexp(x)[1]))


def short_error(
    spec: ConnectionSpec, m: dict[str, int], column: int, by_target: bool
) -> DelayError:
    """Return the error for delays below one step; `column` is that of the first."""
    pre, post = m["FIRST_SHORT"] >> 32, column
    if by_target:
        pre, post = post, pre
    return short_delay_error(
        spec, m["N_SHORT"], m["N_SYNAPSES"], number(m["SMALLEST"]),
        int(pre if spec.pre_ids is None else spec.pre_ids[pre]),
        int(post if spec.post_ids is None else spec.post_ids[post]),
    )  # fmt: skip
