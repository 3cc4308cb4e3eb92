"""Rows of synapses that the device draws (`kernels/build.cu`): first measured, then filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from neurosim.engines.gpu.device import Device, Program
from neurosim.engines.gpu.layout import Layout
from neurosim.engines.gpu.measured import NONE, by_name, short_error
from neurosim.engines.gpu.projections import record_of
from neurosim.engines.gpu.source import Format, build_text
from neurosim.engines.gpu.source_counts import SourceCounter
from neurosim.engines.gpu.structs import BUILD, MEASURED, PROJECTION
from neurosim.lower.plan import ConnectionPlan, Plan
from neurosim.lower.rows import plan_rows

#: Bytes for the tables of what has been drawn (rules without multapses).
_TABLES = 1 << 28
_WARP = 32
#: Types of stored weights, by their names in C.
WEIGHTS: dict[str, np.dtype[Any]] = {
    "float": np.dtype(np.float32), "double": np.dtype(np.float64), "int": np.dtype(np.int32),
    "unsigned short": np.dtype(np.uint16),
}  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """A table of rows on the device.

    Attributes
    ----------
    row : array of (n_rows + 1,) int64
        Where rows begin.
    words : array of (n_synapses,) uint32 or uint64
        ``channel << delay_bits | delay``.
    weights : array of (n_weighted,)
        Of the first synapses: in the precision of the engine, as int32 in units of the channel's
        scale, or in half precision.
    """

    row: Any
    words: Any
    weights: Any


class Drawing:
    """Projections whose synapses are drawn on the device, measured when this is made.

    Parameters
    ----------
    plan : Plan
    layout : Layout
    device : Device
    form : Format
    connections : sequence of ConnectionPlan

    Attributes
    ----------
    rows : list of neurosim.lower.rows.Rows
        How the rows of each projection are filled.
    records : (n_projections,) PROJECTION
    counts : list of (n_sources,) uint32
        Synapses of each source.
    measured : list of dict
        What else is known of each projection (`MEASURED`).
    degrees : list of (n_receptors,) float64
        If sums have 32 bits: the most synapses of a receptor of one neuron, by population.

    Raises
    ------
    DelayError
        If a drawn delay rounds to less than one step.
    """

    def __init__(
        self, plan: Plan, layout: Layout, device: Device, form: Format,
        connections: Sequence[ConnectionPlan],
    ) -> None:  # fmt: skip
        self._plan, self._layout, self._device, self._form = plan, layout, device, form
        self._connections = connections
        self._program = device.compile(build_text(form), exact=True)
        counter = SourceCounter(device, self._program)
        self.rows = [plan_rows(c.spec, counter) for c in connections]
        self._kept: list[list[Any]] = [[] for _ in connections]  # what each is drawn from
        self.records = np.zeros(len(connections), PROJECTION)
        for k, (c, rows) in enumerate(zip(connections, self.rows, strict=True)):
            self.records[k] = record_of(c, rows, plan, layout, partial(self.put, k))[0]
        self.degrees: list[np.ndarray] = []
        self.counts, self.measured = self._measure()

    def put(self, k: int, values: np.ndarray) -> int:
        """Return the address of a copy on the device, kept for a projection."""
        array = self._device.to_device(values)
        self._kept[k].append(array)
        return self._device.address(array)

    def forget(self, k: int) -> None:
        """Free what a projection has been drawn from."""
        self._kept[k].clear()

    def _measure(self) -> tuple[list[np.ndarray], list[dict[str, int]]]:
        """Return how many synapses each source has in each projection, and what else is known."""
        sizes = [self._plan.populations[c.pre].n for c in self._connections]
        starts = np.cumsum([0, *sizes])
        first = [NONE if name in ("FIRST_SHORT", "SMALLEST", "LEAST") else 0 for name in MEASURED]
        device = self._device
        counts = device.to_device(np.zeros(starts[-1], np.uint32))
        measured = device.to_device(np.tile(np.array(first, np.uint64), (len(sizes), 1)))
        build = np.zeros(1, BUILD)
        build["counts"], build["find"] = device.address(counts), NONE
        if self._form.narrow:
            n_channels = self._layout.n_channels
            degrees = device.to_device(np.zeros(n_channels, np.uint32))
            build["degrees"] = device.address(degrees)
        self.records["first_row"] = starts[:-1]
        for k in range(len(sizes)):
            build["measured"] = device.address(measured) + 8 * len(MEASURED) * k
            self._launch(self._program, "measure", k, build)
        found = by_name(device.fetch(measured))
        if self._form.narrow:
            self.degrees = self._most_synapses(device.fetch(degrees, n_channels))
        for k, m in enumerate(found):
            if m["N_SHORT"]:  # once more, to see where the first of them leads
                build["measured"] = device.address(measured) + 8 * len(MEASURED) * k
                build["find"] = m["FIRST_SHORT"]
                self._launch(self._program, "measure", k, build)
                column = by_name(device.fetch(measured))[k]["SHORT_COLUMN"]
                raise short_error(self._connections[k].spec, m, column, self.rows[k].by_target)
        return np.split(device.fetch(counts), starts[1:-1]), found

    def _most_synapses(self, degrees: np.ndarray) -> list[np.ndarray]:
        """Return the most synapses that reach a receptor of one neuron, by population."""
        layout, most = self._layout, []
        for p in self._plan.populations:
            first, rows = layout.channel[p.index], layout.rows[p.index]
            part = degrees[first : first + rows * p.n].reshape(rows, p.n)
            most.append(part.max(axis=1, initial=0).astype(float))
        return most

    def _launch(self, program: Program, kernel: str, k: int, build: np.ndarray) -> None:
        """Launch a kernel for one projection."""
        n_threads = int(self.records["n_rows"][k])
        degree = self.rows[k].degree
        if self.rows[k].mode != "list":
            n_threads *= _WARP
        grid = program.grid(-(-n_threads // self._device.tile), cooperative=False)
        tables = None
        if self.rows[k].mode == "unique":
            size = 1 << (2 * (int(degree.max(initial=0)) + _WARP) - 1).bit_length()
            n_tables = max(1, min(grid.blocks * grid.tile // _WARP, _TABLES // (8 * size)))
            tables = self._device.empty(n_tables * size, np.uint64)
            build["tables"], build["n_tables"] = self._device.address(tables), n_tables
            build["table_size"] = size
        if n_threads:
            program.launch(kernel, grid, (self.records[k : k + 1], build))

    def fill(
        self, members: Sequence[tuple[int, int]], lengths: np.ndarray, n_weighted: int,
        delay_bits: int, word: np.dtype[Any],
    ) -> Rows:  # fmt: skip
        """Return a table of rows, each in the order of delay, target and weight.

        Parameters
        ----------
        members : sequence of (int, int)
            Projections, by number, and the row of each one's first source.
        lengths : (n_rows,) int64
        n_weighted : int
            How many of the first synapses have a weight each.
        delay_bits : int
        word : dtype
            Of a synapse.
        """
        device, program = self._device, self._program
        if word.itemsize == 8:
            program = device.compile(build_text(replace(self._form, wide=True)), exact=True)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        row, words = device.to_device(starts), device.empty(int(starts[-1]), word)
        weights = device.empty(n_weighted, WEIGHTS[self._form.weight])
        counts = device.to_device(np.zeros(lengths.size, np.uint32))
        build = np.zeros(1, BUILD)
        for name, array in (("row", row), ("synapses", words), ("weights", weights)):
            build[name] = device.address(array)
        build["counts"], build["delay_bits"] = device.address(counts), delay_bits
        build["n_rows"], build["n_weighted"] = lengths.size, n_weighted
        for k, first_row in members:
            self.records["first_row"][k] = first_row
            self._launch(program, "fill", k, build)
        if lengths.size:
            program.launch("sort_rows", program.grid(lengths.size, cooperative=False), (build,))
        device.fetch(counts)  # ends when the kernels have
        return Rows(row, words, weights)

    def repeated(self, values: Sequence[float], n: int) -> Any:
        """Return an array on the device with n copies of each value, as weights are stored."""
        device, size = self._device, len(values) * n
        array = device.empty(size, WEIGHTS[self._form.weight])
        if size:
            given = device.to_device(np.array(values, float))
            self._program.launch(
                "repeat", self._program.grid(-(-size // device.tile), cooperative=False),
                (np.uint64(device.address(array)), np.uint64(device.address(given)), np.int64(n),
                 np.int64(size)),
            )  # fmt: skip
            device.fetch(array, 1)  # ends when the kernel has
        return array
