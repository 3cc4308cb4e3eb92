"""Synapses by source and owner: what each owner reads when a source spikes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurosim.engines.gpu.device import Grid
from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.network import DeviceNetwork
from neurosim.engines.gpu.owner_layout import OwnerLayout
from neurosim.engines.gpu.owner_source import division_text
from neurosim.engines.gpu.owner_structs import DIVISION, HALF, TABLE, WIDE
from neurosim.errors import NetworkSizeError
from neurosim.lower.memory import gib

#: Most weights of a table: it lies in shared memory.
_MOST_WEIGHTS = 256
#: A half with these bits is no number: here it stands for a weight of the table.
_IN_TABLE = 0x7C00
#: Synapses that 32 bits can count.
_NARROW = 2**32


class OwnedRows:
    """Divides the rows of a network by owner, in the narrowest of three forms.

    ===== ======= ================================================================================
    form  bytes   a synapse is
    ===== ======= ================================================================================
    TABLE 4       the number of its weight, place: where each projection has one weight
    HALF  4       its weight in half precision (or the number of one), place: if weights are halves
    WIDE  8 or 12 place, and its weight in the precision of the engine
    ===== ======= ================================================================================

    Parameters
    ----------
    network : DeviceNetwork

    Attributes
    ----------
    form : int
    owned : dtype
        Of weights that are no halves.
    table : array
        Weights that have a number.
    factors : (n_populations,) float32
        What the weights of a source in `table` and in halves are multiples of.
    wide_segments : bool
        Whether 32 bits cannot count the synapses.
    """

    def __init__(self, network: DeviceNetwork) -> None:
        self._network, self._device = network, network.device
        form = network.form
        self.owned = np.dtype(np.int32) if form.deterministic else network.real
        self.wide_segments = network.synapses.n_synapses >= _NARROW
        self._row = self._device.fetch(network.synapses.rows.row).astype(np.int64)
        self._choose()
        self._row_of = self._device.to_device(_row_of(network.layout))
        wide = network.synapses.word.itemsize == 8
        source = division_text(replace(form, wide=wide), self.form, self.wide_segments)
        self._program = self._device.compile(source, exact=True)

    def _choose(self) -> None:
        """Choose the form, and number the weights that projections have."""
        network = self._network
        synapses, groups = network.synapses, network.synapses.groups()
        weighted = self._row[groups["first_row"]] < synapses.n_weighted
        self.form = (HALF if network.form.half else WIDE) if weighted.any() else TABLE
        factors = np.ones(len(network.plan.populations), np.float32)
        amounts = groups["amount"].copy()
        for p in network.plan.populations:
            first, n = synapses.groups_of(p.index)
            mine = slice(first, first + n)
            if self.form == HALF and not network.form.deterministic and weighted[mine].any():
                factors[p.index] = amounts[mine][weighted[mine]][0]
                amounts[mine] /= factors[p.index]
        constants = amounts[~weighted].astype(self.owned)
        self.table = np.unique(constants)
        if self.form == WIDE or self.table.size > _MOST_WEIGHTS:
            self.form, self.table, factors = WIDE, self.table[:0], np.ones_like(factors)
        self.factors = factors
        self._codes = np.zeros(max(1, groups.size), np.uint32)
        if self.table.size:
            numbers = np.searchsorted(self.table, constants)
            self._codes[: groups.size][~weighted] = numbers | (_IN_TABLE * (self.form == HALF))

    def longest_delays(self) -> np.ndarray:
        """Return the longest delay [steps] to each row of channels, population by population."""
        device, n_rows = self._device, int(self._network.layout.rows.sum())
        longest = device.to_device(np.zeros(max(1, n_rows), np.uint32))
        division = self._division()
        division["n_rows"], division["longest"] = n_rows, device.address(longest)
        grid = self._grid("longest", self._network.synapses.n_synapses, 4 * n_rows)
        self._program.launch("longest", grid, (self._network.net, division))
        return device.fetch(longest, n_rows).astype(np.int64)

    def divide(self, owners: OwnerLayout) -> dict[str, object]:
        """Return the divided rows: segments, words and weights, arrays on the device.

        Raises
        ------
        NetworkSizeError
            If there is no memory for them beside the rows of the ring variant.
        """
        network, device, n = self._network, self._device, self._network.synapses.n_synapses
        n_sources = network.layout.n_sources
        segment = np.dtype(np.uint64 if self.wide_segments else np.uint32)
        n_segments, n_weights = n_sources * (owners.n_owners + 1), n * (self.form == WIDE)
        self.nbytes = 4 * n + self.owned.itemsize * n_weights + segment.itemsize * n_segments
        if self.nbytes > device.free_bytes():
            raise NetworkSizeError(
                f"engine 'gpu': GPU(variant='owner') needs {gib(self.nbytes)} more for {n} "
                f"synapses divided by owner, but {device.describe()} has "
                f"{gib(device.free_bytes())} free. Use variant='ring'"
                + (" or weights='float16'." if self.form == WIDE else ".")
            )
        rows = {
            "segments": device.empty(n_segments, segment), "words": device.empty(n, np.uint32),
            "weights": device.empty(n_weights, self.owned),
        }  # fmt: skip
        tables = {
            "begins": self._begins(), "homes": owners.homes, "widths": owners.widths,
            "codes": self._codes,
        }  # fmt: skip
        kept = {name: device.to_device(values) for name, values in tables.items()}
        division = self._division()
        division["n_owners"] = owners.n_owners
        for name, array in (rows | kept).items():
            division[name] = device.address(array)
        for p in network.plan.populations:
            grid = self._grid("divide", p.n * device.tile, 4 * owners.n_owners)
            self._program.launch("divide", grid, (network.net, division, np.int32(p.index)))
        device.fetch(rows["segments"], 1)  # ends when the kernels have
        return dict(rows)

    def _division(self) -> np.ndarray:
        division = np.zeros(1, DIVISION)
        division["n_synapses"] = self._network.synapses.n_synapses
        division["row_of"] = self._device.address(self._row_of)
        return division

    def _grid(self, kernel: str, n_threads: int, shared: int) -> Grid:
        tiles = max(1, -(-n_threads // self._device.tile))
        grid = replace(self._program.grid(tiles, cooperative=False), shared=shared)
        self._program.admit(kernel, grid)
        return grid

    def _begins(self) -> np.ndarray:
        """Return where the synapses of each source begin, once divided."""
        network, layout = self._network, self._network.layout
        lengths = np.zeros(layout.n_sources, np.int64)
        groups = network.synapses.groups()
        for p in network.plan.populations:
            first, n = network.synapses.groups_of(p.index)
            at = layout.source[p.index]
            for row in groups["first_row"][first : first + n]:
                lengths[at : at + p.n] += np.diff(self._row[row : row + p.n + 1])
        begins: np.ndarray = np.cumsum(lengths) - lengths
        return begins


def _row_of(layout: Layout) -> np.ndarray:
    """Return the row of each channel, population by population."""
    sizes = np.diff(np.append(layout.channel, layout.n_channels))
    per_row = np.repeat(sizes // np.maximum(layout.rows, 1), layout.rows)
    return np.repeat(np.arange(per_row.size), per_row).astype(np.int32)
