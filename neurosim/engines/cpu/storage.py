"""The synapses of one thread as they are stored, and reading them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.engines.cpu.partition import Partition
from neurosim.lower.connectivity import ConnectionSpec, Edges

I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ThreadSynapses:
    """The synapses of a bundle onto the targets of one thread.

    Attributes
    ----------
    ptr : (n_sources * n_projections + 1,) int64
        Projection k of source s holds synapses ``ptr[s * n_projections + k]`` up to the next.
    packed : (n_synapses,) uint32
        ``delay in steps << bits | channel``.
    weight : (n_synapses,) float32 or float64, or None
        Weights as the receptor sees them, never -0.0; None where each projection has one weight.
    n_projections : int
        Number of projections in the bundle.
    """

    ptr: I64
    packed: NDArray[np.uint32]
    weight: NDArray[Any] | None
    n_projections: int

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        weights = 0 if self.weight is None else self.weight.nbytes
        return self.ptr.nbytes + self.packed.nbytes + weights


@dataclass(frozen=True, eq=False)
class Layout:
    """Which thread owns which targets, and their input channels.

    Attributes
    ----------
    bounds : sequence of (n_threads + 1,) int64
        Thread t owns targets ``bounds[p][t] <= i < bounds[p][t + 1]`` of population p.
    chan_base : nested sequence of int
        ``chan_base[t][p][r]``: channel of the first of them for receptor r; the others follow.
    bits : int
        Bits of a packed synapse that the channel takes.
    """

    bounds: Sequence[I64]
    chan_base: Sequence[Sequence[Sequence[int]]]
    bits: int

    @property
    def threads(self) -> int:
        """Number of threads that own targets."""
        return len(self.chan_base)


def edges_of(
    parts: Sequence[ThreadSynapses],
    number: int,
    spec: ConnectionSpec,
    target: int,
    partition: Partition,
) -> Edges:
    """Read the synapses of one projection back.

    Parameters
    ----------
    parts : sequence of ThreadSynapses
        The bundle.
    number : int
        Position of the projection in the bundle.
    spec : ConnectionSpec
        The projection.
    target : int
        Index of its target population.
    partition : Partition
        The partition that the bundle was built for.

    Returns
    -------
    Edges
        Sorted by source, then target, then generation, whatever the partition (as
        `Edges.by_target` does).
    """
    pieces = [decode(part, number, spec, target, partition, t) for t, part in enumerate(parts)]
    columns = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Edges(*columns).by_target()


def ranks(
    parts: Sequence[ThreadSynapses], spec: ConnectionSpec, target: int, partition: Partition
) -> list[I64]:
    """Return the place of every stored synapse in the order of `edges_of`, for each thread.

    For a bundle of one projection, whose synapses are stored row by row.
    """
    pieces = [decode(part, 0, spec, target, partition, t) for t, part in enumerate(parts)]
    pre, post, _, delay, _ = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((delay, post, pre))
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    ends = np.cumsum([part.packed.size for part in parts])
    return np.split(rank, ends[:-1])


def decode(
    part: ThreadSynapses,
    number: int,
    spec: ConnectionSpec,
    target: int,
    partition: Partition,
    thread: int,
) -> tuple[I64, I64, NDArray[np.float64], I64, I64]:
    """Return pre, post, weight, delay and receptor of the synapses on one thread."""
    first = part.ptr[number : -1 : part.n_projections]
    degree = part.ptr[number + 1 :: part.n_projections] - first
    pre = np.repeat(np.arange(first.size), degree)
    slot = np.arange(pre.size) + np.repeat(first - (np.cumsum(degree) - degree), degree)
    packed = part.packed[slot].astype(np.int64)
    channel = (packed & ((1 << partition.bits) - 1)) - partition.channels[thread, target]
    receptor, post = np.divmod(channel, max(partition.padded[thread, target], 1))
    if part.weight is None:
        weight = np.full(pre.size, spec.constant_weight)
    else:
        weight = part.weight[slot].astype(np.float64)
    return (
        pre, post + partition.bounds[target][thread], weight, packed >> partition.bits, receptor
    )  # fmt: skip
