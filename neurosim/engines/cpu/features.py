"""Parts of the driver that only some networks need: compiled, and loaded, when one does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurosim.engines.cpu.compile import load
from neurosim.engines.cpu.kernels import layout as L
from neurosim.engines.cpu.kernels.cached import sources_digest

if TYPE_CHECKING:
    from neurosim.engines.cpu.thread import Thread

_SOURCE = '''"""A part of the driver of neurosim; changes are lost."""

import numpy as np
from numba import cfunc, types

from neurosim.engines.cpu.kernels.features import {name}
from neurosim.engines.cpu.kernels.pipeline import Generated

# made of sources {digest}
REAL = np.{real}
FEATURE = types.int64(types.int64, types.int64, types.int64)


@cfunc(FEATURE, cache=True, error_model="numpy", pipeline_class=Generated, _nrt=False)
def feature(table, slot, step):
    return {name}(table, slot, step, REAL)
'''


def address(name: str, dtype: Any) -> int:
    """Return the address of a function of `neurosim.engines.cpu.kernels.features`.

    Parameters
    ----------
    name : str
    dtype : numpy dtype
        Precision of the engine.
    """
    real = np.dtype(dtype).name
    source = _SOURCE.format(name=name, real=real, digest=sources_digest())
    return int(load(f"{name}_{real}", source).feature.address)


def feature_table(thread: Thread, bits: int, real: Any) -> np.ndarray:
    """Return what a thread hands to the features that its network needs: int64 (T_COLUMNS,).

    Currents are in the precision of the states, `real`, and input in that of the ring.
    """
    tables, ring = thread.tables, thread.ring
    table = np.zeros(L.T_COLUMNS, np.int64)
    table[L.T_POPS], table[L.T_N_POPS] = thread.pops.ctypes.data, len(thread.pops)
    table[L.T_RING], table[L.T_RING_SIZE] = ring.ctypes.data, ring.size
    table[L.T_BITS] = bits
    table[L.T_PROCESSES] = tables.processes.ctypes.data
    table[L.T_N_PROCESSES] = len(tables.processes)
    table[L.T_WEIGHTS] = tables.weights.ctypes.data
    table[L.T_CURRENTS], table[L.T_N_CURRENTS] = tables.currents.ctypes.data, len(tables.currents)
    table[L.T_MEANS], table[L.T_STDS] = tables.means.ctypes.data, tables.stds.ctypes.data
    if (tables.processes[:, L.Q_CHANNEL] >= 0).any():
        table[L.T_INPUTS_FN] = address("poisson_inputs", ring.dtype)
    if len(tables.currents):
        table[L.T_CURRENTS_FN] = address("injected_currents", real)
    records = thread.records.table
    table[L.T_RECORDINGS], table[L.T_N_RECORDINGS] = records.ctypes.data, len(records)
    if len(records):
        table[L.T_RECORD_FN] = address("recordings", real)
    return table
