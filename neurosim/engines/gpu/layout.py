"""Where populations lie: among the sources of spikes, the channels of the ring, and the tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.lower.plan import Plan


@dataclass(frozen=True)
class Layout:
    """Offsets of each population, by index.

    Attributes
    ----------
    source, channel, tile : (n_populations,) int64
        Its first source, channel and tile.
    rows : (n_populations,) int64
        Rows of channels: one a receptor, and one for a population that repeats what reaches it.
    n_sources, n_channels, n_tiles : int
    """

    source: np.ndarray
    channel: np.ndarray
    tile: np.ndarray
    rows: np.ndarray
    n_sources: int
    n_channels: int
    n_tiles: int


def layout_of(plan: Plan, tile: int) -> Layout:
    """Return the layout of a network whose populations are updated in tiles of some neurons."""
    sizes = np.array([p.n for p in plan.populations], np.int64)
    rows = np.array([len(p.receptors) if p.model else 1 for p in plan.populations], np.int64)
    n_channels, n_tiles = sizes * rows, -(-sizes // tile)
    return Layout(
        _starts(sizes), _starts(n_channels), _starts(n_tiles), rows,
        int(sizes.sum()), int(n_channels.sum()), int(n_tiles.sum()),
    )  # fmt: skip


def _starts(lengths: np.ndarray) -> np.ndarray:
    starts: np.ndarray = np.cumsum(lengths) - lengths
    return starts
