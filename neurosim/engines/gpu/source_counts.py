"""How many synapses of FixedTotalNumber each source gets, counted on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosim.engines.gpu.device import Device, Program
from neurosim.engines.gpu.structs import BUILD, MEASURED, PROJECTION
from neurosim.lower.connectivity import ConnectionSpec

#: Draws that are listed at a time, to bound memory.
_LISTED = 1 << 26


class SourceCounter:
    """Does what `neurosim.lower.rows.count_sources` does.

    Parameters
    ----------
    device : Device
    program : Program
        Compiled from `neurosim.engines.gpu.source.build_text`, with narrow synapses.
    """

    def __init__(self, device: Device, program: Program) -> None:
        self._device, self._program = device, program

    def __call__(self, spec: ConnectionSpec, excluded: np.ndarray) -> np.ndarray:
        """Return the number of synapses of each source."""
        rule: Any = spec.rule
        device = self._device
        counts = device.to_device(np.zeros(spec.n_pre, np.uint32))
        measured = device.to_device(np.zeros(len(MEASURED), np.uint64))
        own = device.to_device(excluded) if (excluded >= 0).any() else None
        record, build = np.zeros(1, PROJECTION), np.zeros(1, BUILD)
        record["n_rows"], record["n_columns"] = spec.n_pre, spec.n_post
        record["key"] = spec.key[0] | spec.key[1] << 32
        record["excluded"] = 0 if own is None else device.address(own)
        build["counts"], build["measured"] = device.address(counts), device.address(measured)
        start, missing = 0, int(rule.n)
        while missing:
            n = missing if rule.multapses else min(missing, _LISTED)
            if rule.multapses:
                self._launch("count_sources", record, build, n, np.int64(start), np.int64(n))
            else:
                self._settle(record, build, start, n)
            start += n
            missing = rule.n - int(device.fetch(measured)[MEASURED.index("N_SYNAPSES")])
        return device.fetch(counts).astype(np.int64)

    def _launch(self, kernel: str, record: Any, build: Any, n: int, *arguments: Any) -> None:
        grid = self._program.grid(-(-n // self._device.tile), cooperative=False)
        self._program.launch(kernel, grid, (record, build, *arguments))

    def _settle(self, record: np.ndarray, build: np.ndarray, start: int, n: int) -> None:
        """Decide the n draws from `start` on."""
        device, n_sources = self._device, int(record["n_rows"][0])
        every, listing = record.copy(), build.copy()
        every["excluded"] = 0
        of_source = device.to_device(np.zeros(n_sources, np.uint32))
        unused = device.to_device(np.zeros(len(MEASURED), np.uint64))
        listing["counts"], listing["measured"] = device.address(of_source), device.address(unused)
        span = np.int64(start), np.int64(n)
        self._launch("count_sources", every, listing, n, *span)
        lengths = device.fetch(of_source).astype(np.int64)
        row = device.to_device(np.concatenate([[0], np.cumsum(lengths)]))
        draws = device.empty(n, np.uint32)
        device.store(of_source, np.zeros(n_sources, np.uint32))
        listing["row"], listing["synapses"] = device.address(row), device.address(draws)
        listing["n_rows"], listing["delay_bits"] = n_sources, 1
        self._launch("list_draws", every, listing, n, *span)
        grid = self._program.grid(n_sources, cooperative=False)
        self._program.launch("sort_rows", grid, (listing,))
        settling = listing.copy()
        settling["counts"], settling["measured"] = build["counts"], build["measured"]
        self._launch("settle", record, settling, n_sources, span[0])
