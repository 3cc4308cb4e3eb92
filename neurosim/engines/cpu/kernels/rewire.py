"""Moving synapses to other rows, with all they carry, in place of the old arrays."""

from __future__ import annotations

import numpy as np

from neurosim.engines.cpu.kernels.cached import cached


@cached(error_model="numpy", nogil=True)
def new_places(pointers, packed, bits, moved, destination, by_delay):
    """Return where each synapse goes, and set the pointers of the rows.

    Parameters
    ----------
    pointers : int64 (n_sources + 1,)
        Rows; changed.
    packed : uint32 (n_synapses,)
    bits : int
    moved : int64 (n_synapses,)
        Number of a synapse among those that move, -1 for those that stay.
    destination : int64 (n_moved,)
        New source of each that moves.
    by_delay : bool
        Whether rows are sorted by delay.

    Returns
    -------
    int64 (n_synapses,)
        Which synapse of old takes each place.
    """
    n_sources, n = pointers.size - 1, packed.size
    counts = np.zeros(n_sources + 1, np.int64)
    for s in range(n_sources):
        for k in range(pointers[s], pointers[s + 1]):
            counts[(s if moved[k] < 0 else destination[moved[k]]) + 1] += 1
    starts = np.cumsum(counts)
    filled = starts[:-1].copy()
    old = np.empty(n, np.int64)
    for s in range(n_sources):
        for k in range(pointers[s], pointers[s + 1]):
            if moved[k] < 0:
                old[filled[s]] = k
                filled[s] += 1
    for s in range(n_sources):
        for k in range(pointers[s], pointers[s + 1]):
            if moved[k] >= 0:
                row = destination[moved[k]]
                at = filled[row]
                filled[row] += 1
                if by_delay:
                    while at > starts[row] and packed[old[at - 1]] >> bits > packed[k] >> bits:
                        old[at] = old[at - 1]
                        at -= 1
                old[at] = k
    pointers[:] = starts
    return old
