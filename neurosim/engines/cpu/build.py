"""Building the synapses of the CPU engine: count, prefix sum, fill, in parallel.

All projections of one source population form a bundle. Each thread holds the synapses onto its
own targets, grouped by source and then by projection. Two passes generate every synapse twice,
so that it goes straight to its place and there is never a list of edges. Lists that the user gave
(Explicit) are read twice by every thread, in the user's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.cpu.jobs import Job, run_all
from neurosim.engines.cpu.storage import Layout, ThreadSynapses
from neurosim.errors import NetworkSizeError
from neurosim.lower.connectivity import ConnectionSpec

I64 = NDArray[np.int64]


def build_bundle(
    specs: Sequence[ConnectionSpec],
    targets: Sequence[int],
    layout: Layout,
    n_sources: int,
    workers: int,
    dtype: Any,
) -> list[ThreadSynapses]:
    """Generate all projections of one source population that store weights alike.

    Parameters
    ----------
    specs : sequence of ConnectionSpec
        The projections, all `constant` or none.
    targets : sequence of int
        Index of each projection's target population.
    layout : Layout
        Which thread owns which targets.
    n_sources : int
        Size of the source population.
    workers : int
        Number of Python threads that generate; the result does not depend on it.
    dtype : numpy dtype
        Type of stored weights, float32 or float64.

    Returns
    -------
    list of ThreadSynapses
        One for each thread that owns targets.

    Raises
    ------
    DelayError
        If a drawn delay rounds to less than one step.
    NetworkSizeError
        If a delay does not fit into its bits, or there is not enough memory.
    """
    n = len(specs)
    jobs = [
        Job(spec, target, k, n, layout, workers)
        for k, (spec, target) in enumerate(zip(specs, targets, strict=True))
    ]
    pointers = np.zeros((layout.threads, n_sources * n + 1), np.int64)
    base = np.zeros(layout.threads, np.int64)
    packed, weight = np.empty(0, np.uint32), np.empty(0, dtype)
    counting = [
        job.calls(job.place(pointers, base, packed, weight, layout.bits), True)
        for job in jobs
        if not job.count_known(pointers)
    ]
    run_all([call for calls in counting for call in calls], workers)
    totals = [int(pointers[:, k + 1 :: n].sum()) for k in range(n)]
    ends = np.cumsum(_to_positions(pointers))
    base[1:] = ends[:-1]
    packed, weight = _allocate(int(ends[-1]), specs, dtype)
    filling = [
        job.calls(job.place(pointers, base, packed, weight, layout.bits), False) for job in jobs
    ]
    run_all([call for calls in filling for call in calls], workers)
    for job, total in zip(jobs, totals, strict=True):
        job.check(total, layout.bits)
    return [
        ThreadSynapses(
            pointers[t], packed[start:end], None if specs[0].constant else weight[start:end], n
        )
        for t, (start, end) in enumerate(zip(base, ends, strict=True))
    ]


def _to_positions(pointers: I64) -> I64:
    """Turn numbers of synapses into first positions, in place; return each thread's total."""
    counts = pointers[:, 1:].copy()
    np.cumsum(counts, axis=1, out=pointers[:, 1:])
    totals = pointers[:, -1].copy()
    pointers[:, 1:] -= counts
    return totals


def _allocate(
    n: int, specs: Sequence[ConnectionSpec], dtype: Any
) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    n_weights = 0 if specs[0].constant else n
    try:
        return np.empty(n, np.uint32), np.empty(n_weights, dtype)
    except MemoryError as error:
        needed = (4 * n + np.dtype(dtype).itemsize * n_weights) / 2**30
        names = ", ".join(spec.name for spec in specs)
        raise NetworkSizeError(
            f"projections {names}: {n} synapses need {needed:.1f} GiB, more than there is. Use "
            "precision='float32', one weight for each projection, or fewer synapses."
        ) from error
