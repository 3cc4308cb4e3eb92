"""One population's neurons on one thread: the arrays behind a block of the kernels."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from neurosim.engines.cpu.codegen import Kernel
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.records import Record
from neurosim.lower.model import LoweredModel
from neurosim.lower.sleep import Sleep


class Block:
    """States and coefficients of neurons lo <= i < hi of a population.

    Parameters
    ----------
    model : LoweredModel
    sleep : Sleep or None
    kernel : Kernel
    module : module
        The compiled kernels.
    lo, hi : int
    padded : int
        Neurons including padding.
    dtype : numpy dtype
        float64 or float32.
    """

    def __init__(
        self,
        model: LoweredModel,
        sleep: Sleep | None,
        kernel: Kernel,
        module: ModuleType,
        lo: int,
        hi: int,
        padded: int,
        dtype: Any,
    ) -> None:
        self.model, self.module = model, module
        self.lo, self.n, self.padded = lo, hi - lo, padded
        self.states = {s: self._padded(v, dtype) for s, v in model.initial.items()}
        self.until = np.zeros(padded, np.int32)
        self.until[self.n :] = L.FOREVER
        self.last = np.zeros(padded, np.int32)
        self.is_awake = np.zeros(padded, np.uint8)
        self.awake = np.zeros(padded, np.int32)
        self.injected = np.zeros(padded, dtype)
        self.substep = np.full(padded, model.dt, dtype)
        self._owned = {
            L.COEFFICIENTS: np.array(kernel.scalars, dtype),
            L.UNTIL: self.until,
            L.FLAGS: np.zeros(padded, np.uint8),
            L.LAST: self.last,
            L.AWAKE: self.awake,
            L.IS_AWAKE: self.is_awake,
            L.INJECTED: self.injected,
            L.SUBSTEP: self.substep,
            L.NOISE: np.zeros((kernel.n_noise, padded), dtype),
            L.SCRATCH: np.zeros(padded if kernel.n_noise else 0),
        }
        self.record = Record(len(self.states), len(model.receptors), np.dtype(dtype).itemsize)
        self.records = self.record.allocate(padded if sleep is not None else 0)
        if sleep is not None:
            self._owned[L.TABLES] = np.ascontiguousarray(sleep.tables.astype(dtype))
            self._owned[L.RECORDS] = self.records
        self._arrays = [self._padded(a, dtype) for a in kernel.arrays]
        self.table = np.zeros(L.STATES + len(self.states) + len(self._arrays) + 64, np.int64)
        self.table[L.N], self.table[L.N_REAL], self.table[L.STATUS] = padded, self.n, -1
        for column, array in self._owned.items():
            self.table[column] = array.ctypes.data
        self.table[L.RECORD_BYTES] = self.record.nbytes
        self.table[L.MARKS] = self.records.ctypes.data + self.record.mark
        rows = [*self.states.values(), *self._arrays]
        for k, array in enumerate(rows):
            self.table[L.STATES + k] = array.ctypes.data

    def _padded(self, values: np.ndarray, dtype: Any) -> np.ndarray:
        """Return this block's part; padding neurons are copies of the last one."""
        part = np.asarray(values)[self.lo : self.lo + self.n]
        return np.ascontiguousarray(
            np.pad(part, (0, self.padded - self.n), mode="edge").astype(dtype)
        )

    def reset(self, step: int) -> None:
        """Put all neurons back to their initial states at a step."""
        for s, values in self.states.items():
            values[:] = self._padded(self.model.initial[s], values.dtype)
        self.until[: self.n] = 0
        self.last[: self.n] = step
        self.is_awake[:] = 0
        self.substep[:] = self.model.dt

    def to_records(self) -> None:
        """Copy the neurons from the arrays of the clock strategy into their records."""
        record, records = self.record, self.records
        numbers = record.numbers(records, self.injected.dtype)
        numbers[:] = L.UNTOUCHED
        for k, values in enumerate(self.states.values()):
            numbers[:, k] = values
        record.field(records, record.last)[:] = self.last
        record.field(records, record.until)[:] = self.until
        record.field(records, record.mark)[:] = self.is_awake

    def from_records(self) -> None:
        """Copy the neurons from their records into the arrays."""
        record, records = self.record, self.records
        numbers = record.numbers(records, self.injected.dtype)
        for k, values in enumerate(self.states.values()):
            values[:] = numbers[:, k]
        self.last[:] = record.field(records, record.last)
        self.until[:] = record.field(records, record.until)
        self.is_awake[:] = record.field(records, record.mark)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = [*self.states.values(), *self._arrays, *self._owned.values(), self.table]
        return sum(a.nbytes for a in arrays)

    @property
    def failed(self) -> int | None:
        """The neuron (id within the population) whose state stopped being a number, or None."""
        at = int(self.table[L.STATUS])
        return None if at < 0 else self.lo + at

    def call(self, kernel: str, step: int) -> int:
        """Call one of the kernels that only look at the block."""
        function = getattr(self.module, kernel)
        return int(function.ctypes(self.table.ctypes.data, step, 0, 0))

    def address(self, kernel: str) -> int:
        """Return the address of a kernel, or 0 if the model does not have it."""
        function = getattr(self.module, kernel, None)
        return 0 if function is None else int(function.address)
