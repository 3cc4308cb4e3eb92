"""Which draws of which processes each owner makes."""

from __future__ import annotations

import numpy as np

from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.owner_structs import DRAW, PIECE
from neurosim.engines.gpu.processes import Processes
from neurosim.engines.gpu.structs import DENSE, SPARSE
from neurosim.lower.plan import Plan
from neurosim.lower.poisson import DENSE_BLOCK

_NOWHERE = 0xFFFF


def owned_draws(
    processes: Processes, targets: list[np.ndarray], homes: np.ndarray, n_owners: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the draws of dense processes, and where those of each owner begin.

    Parameters
    ----------
    processes : Processes
    targets : list of arrays
        The channel that each member of each process adds to.
    homes : (n_channels,) uint32
        See `OwnerLayout`.
    n_owners : int

    Returns
    -------
    draws : (n,) DRAW
    first : (n_owners + 1,) int32
    """
    parts = [np.zeros(0, DRAW)]
    owners = [np.zeros(0, np.int64)]
    for number, record in enumerate(processes.records):
        if record["kind"] != DENSE:
            continue
        home = homes[targets[number]].astype(np.int64)
        members = np.arange(home.size)
        quarter = DENSE_BLOCK // 4
        counter = members // DENSE_BLOCK * quarter + members % quarter
        word = members % DENSE_BLOCK // quarter
        keys, entry = np.unique((home >> 16) << 32 | counter, return_inverse=True)
        places = np.full((keys.size, 4), _NOWHERE, np.uint32)
        places[entry, word] = home & 0xFFFF
        draws = np.zeros(keys.size, DRAW)
        draws["process"], draws["counter"] = number, keys & 0xFFFFFFFF
        draws["low"] = places[:, 0] | places[:, 1] << 16
        draws["high"] = places[:, 2] | places[:, 3] << 16
        parts.append(draws)
        owners.append(keys >> 32)
    return _by_owner(np.concatenate(parts), np.concatenate(owners), n_owners)


def owned_blocks(
    processes: Processes, targets: list[np.ndarray], homes: np.ndarray, n_owners: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the blocks of sparse processes and given spikes that reach each owner.

    Parameters and what is returned are as for `owned_draws`; blocks are PIECE.
    """
    parts, owners = [np.zeros(0, PIECE)], [np.zeros(0, np.int64)]
    for number, record in enumerate(processes.records):
        if record["kind"] == DENSE:
            continue
        home = homes[targets[number]].astype(np.int64)
        size = int(record["block"]) if record["kind"] == SPARSE else max(1, home.size)
        keys = np.unique((home >> 16) << 32 | np.arange(home.size) // size)
        pieces = np.zeros(keys.size, PIECE)
        pieces["process"], pieces["number"] = number, keys & 0xFFFFFFFF
        parts.append(pieces)
        owners.append(keys >> 32)
    return _by_owner(np.concatenate(parts), np.concatenate(owners), n_owners)


def _by_owner(
    records: np.ndarray, owner: np.ndarray, n_owners: int
) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[order], np.arange(n_owners + 1)).astype(np.int32)
    return records[order], first


def process_targets(plan: Plan, layout: Layout) -> list[np.ndarray]:
    """Return the channel that each member of each process of `build_processes` adds to."""
    targets = []
    for i in plan.inputs:
        n = plan.populations[i.population].n
        targets.append(layout.channel[i.population] + i.receptor * n + i.ids)
    for p in plan.populations:
        if p.process is not None or p.given_steps is not None:
            targets.append(layout.channel[p.index] + np.arange(p.n))
    return targets
