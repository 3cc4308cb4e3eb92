"""Synapses by source and owner: what each owner reads when a source spikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.owner_layout import OwnerLayout
from neurosim.engines.gpu.synapses import Synapses

#: Most weights of a table: it lies in shared memory.
MOST_WEIGHTS = 256
#: Synapses that 32 bits can count.
_NARROW = 2**32


@dataclass(frozen=True)
class OwnedRows:
    """Rows of synapses divided by owner.

    Attributes
    ----------
    segments : (n_sources * (n_owners + 1),) uint32 or uint64
        Where the synapses of each source at each owner begin, and where the last ones end.
    words : (n_synapses,) uint32
        ``code << 16 | place``: the place of what arrives a delay later, and the number of the
        weight in `table` where there is one.
    weights, table : arrays
        One of the two is empty.
    """

    segments: np.ndarray
    words: np.ndarray
    weights: np.ndarray
    table: np.ndarray


def longest_delays(synapses: Synapses, layout: Layout) -> np.ndarray:
    """Return the longest delay [steps] to each row of channels, population by population."""
    longest = np.zeros(int(layout.rows.sum()), np.int64)
    channel, delay = _channels(synapses)
    np.maximum.at(longest, _row_of_channel(layout)[channel], delay)
    return longest


def weight_table(synapses: Synapses) -> np.ndarray:
    """Return all weights that there are, ascending; none if they are too many for a table."""
    table: np.ndarray = np.unique(synapses.weights)
    return table if table.size <= MOST_WEIGHTS else table[:0]


def owned_rows(
    synapses: Synapses, layout: Layout, owners: OwnerLayout, table: np.ndarray
) -> OwnedRows:
    """Return the rows of a network divided by owner.

    Parameters
    ----------
    synapses : Synapses
    layout : Layout
    owners : OwnerLayout
    table : array
        What `weight_table` returned.
    """
    channel, delay = _channels(synapses)
    source = np.repeat(np.arange(layout.n_sources), np.diff(synapses.row))
    home = owners.homes[channel].astype(np.int64)
    width = owners.widths[_row_of_channel(layout)[channel]]
    place = (home & 0xFFFF) + (delay - 1) * width
    key = source * owners.n_owners + (home >> 16)
    order = np.argsort(key, kind="stable")
    begins = np.searchsorted(key[order], np.arange(layout.n_sources * owners.n_owners))
    segments = np.empty((layout.n_sources, owners.n_owners + 1), np.int64)
    segments[:, :-1] = begins.reshape(layout.n_sources, owners.n_owners)
    segments[:, -1] = synapses.row[1:]
    narrow = key.size < _NARROW
    weights, place = synapses.weights[order], place[order]
    if table.size:
        place |= np.searchsorted(table, weights) << 16
        weights = weights[:0]
    return OwnedRows(
        segments.reshape(-1).astype(np.uint32 if narrow else np.uint64),
        place.astype(np.uint32), weights, table,
    )  # fmt: skip


def _channels(synapses: Synapses) -> tuple[np.ndarray, np.ndarray]:
    """Return channel and delay of each synapse."""
    words = synapses.words.astype(np.int64)
    return words >> synapses.delay_bits, words & ((1 << synapses.delay_bits) - 1)


def _row_of_channel(layout: Layout) -> np.ndarray:
    sizes = np.diff(np.append(layout.channel, layout.n_channels))
    rows = []
    first = 0
    for n_rows, size in zip(layout.rows, sizes, strict=True):
        rows.append(first + np.repeat(np.arange(n_rows), size // max(1, n_rows)))
        first += int(n_rows)
    return np.concatenate(rows).astype(np.int64)
