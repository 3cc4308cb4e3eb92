"""Which block owns which neurons, and where in its shared memory their input to come lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.owner_structs import CLASSES
from neurosim.lower.plan import Plan
from neurosim.lower.poisson import DENSE_BLOCK

_WARP = 32


@dataclass(frozen=True)
class OwnerLayout:
    """Owners, threads and places. All blocks have the same places and threads.

    Attributes
    ----------
    n_owners, n_threads : int
    n_places : int
        Amounts in the ring of a block.
    neurons : (n_owners, n_threads) int32
        Number within its population of the neuron of each thread, or -1.
    populations : (n_threads,) int32
    first_thread : (n_populations,) int32
    first_row : (n_populations + 1,) int32
        Rows of channels, population by population.
    places, widths : (n_rows,) int32
        Of each row: its first place, and how far on the place for the step after lies.
    ends, sizes, lines : (CLASSES,) int32
        Of each class of delays: where its places end, how many they are, those of one step.
    homes : (n_channels,) uint32
        Of each channel: ``owner << 16 | place``.
    """

    n_owners: int
    n_threads: int
    n_places: int
    neurons: np.ndarray
    populations: np.ndarray
    first_thread: np.ndarray
    first_row: np.ndarray
    places: np.ndarray
    widths: np.ndarray
    ends: np.ndarray
    sizes: np.ndarray
    lines: np.ndarray
    homes: np.ndarray


def owner_layout(
    plan: Plan, layout: Layout, kinds: Sequence[int], longest: np.ndarray, n_owners: int
) -> OwnerLayout:
    """Divide a network among owners, each of which gets a like share of every population.

    Parameters
    ----------
    plan : Plan
    layout : Layout
    kinds : sequence of int
        The kind of step of each population: threads are ordered by it.
    longest : (n_rows,) int64
        Longest delay [steps] to each row of channels.
    n_owners : int
    """
    sizes = np.array([p.n for p in plan.populations], np.int64)
    shares = -(-sizes // n_owners)
    order = np.argsort(np.asarray(kinds), kind="stable")
    first_thread = np.zeros(sizes.size, np.int64)
    first_thread[order] = np.cumsum(shares[order]) - shares[order]
    n_threads = int(-(-shares.sum() // _WARP)) * _WARP
    first_row = np.concatenate([[0], np.cumsum(layout.rows)])
    row_shares = np.repeat(shares, layout.rows)
    lengths = np.maximum(longest, 1)
    places, widths, ends, sizes_of, lines = _places(lengths, row_shares)
    neurons = np.full((n_owners, n_threads), -1, np.int32)
    populations = np.zeros(n_threads, np.int32)
    homes = np.zeros(layout.n_channels, np.uint32)
    for p in plan.populations:
        owner, member = _owners(_order(plan, p.index), n_owners)
        thread = first_thread[p.index]
        neurons[owner, thread + member] = np.arange(p.n)
        populations[thread : thread + shares[p.index]] = p.index
        for k, r in enumerate(range(first_row[p.index], first_row[p.index + 1])):
            channel = layout.channel[p.index] + k * p.n
            homes[channel : channel + p.n] = owner << 16 | (places[r] + member) & 0xFFFF
    return OwnerLayout(
        n_owners, n_threads, int(ends[-1]), neurons, populations, _int32(first_thread),
        _int32(first_row), _int32(places), _int32(widths), _int32(ends), _int32(sizes_of),
        _int32(lines), homes,
    )  # fmt: skip


def _int32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int32)


def _order(plan: Plan, population: int) -> np.ndarray:
    """Return the members of a population in the order in which they are dealt out.

    Four members of a dense process share a draw: they come one after the other, so that few owners
    have to repeat it.
    """
    members = np.arange(plan.populations[population].n)
    for i in plan.inputs:
        if i.population == population and i.process.dense:
            number = members - i.ids[0]
            quarter = DENSE_BLOCK // 4
            return np.argsort(number // DENSE_BLOCK * quarter + number % quarter, kind="stable")
    return members


def _owners(order: np.ndarray, n_owners: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the owner of each member, and which of its owner's members it is."""
    n = order.size
    owner = np.empty(n, np.int64)
    owner[order] = np.arange(n) * n_owners // n
    by_owner = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[by_owner], np.arange(n_owners))
    member = np.empty(n, np.int64)
    member[by_owner] = np.arange(n) - first[owner[by_owner]]
    return owner, member


def _places(lengths: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return places and widths of rows, and ends, sizes and lines of classes."""
    class_of, steps = _classes(lengths, shares)
    lines = np.bincount(class_of, shares, minlength=CLASSES).astype(np.int64)
    sizes = lines * steps
    ends = np.cumsum(sizes)
    places = np.zeros(lengths.size, np.int64)
    for k in range(CLASSES):
        mine = np.flatnonzero(class_of == k)
        places[mine] = ends[k] - sizes[k] + np.cumsum(shares[mine]) - shares[mine]
    return places, lines[class_of], ends, sizes, lines


def _classes(lengths: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows into at most CLASSES classes; return the class of each and their steps.

    Every row of a class gets as many steps as the longest needs: neighbours by length are joined
    where that costs the fewest places.
    """
    groups = [(int(n), int(shares[lengths == n].sum())) for n in np.unique(lengths)]
    while len(groups) > CLASSES:
        costs = [w * (up - n) for (n, w), (up, _) in pairwise(groups)]
        k = int(np.argmin(costs))
        groups[k : k + 2] = [(groups[k + 1][0], groups[k][1] + groups[k + 1][1])]
    steps = np.array([n for n, _ in groups])
    class_of = np.searchsorted(steps, lengths)
    padded = np.zeros(CLASSES, np.int64)
    padded[: steps.size] = steps
    return class_of, padded
