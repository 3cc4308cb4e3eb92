"""Spikes as lists of events: built once from a dense tensor, kept with it, used by products.

A tensor of activity ``x [T, B, *shape]`` that is mostly zero is described by the columns of its
non-zero values, row by row: a CSR matrix with one row r = t * B + b for each step of each sample
and one column for each of the N = prod(shape) neurons. Layers that emit spikes attach the list to
their output, sparse products take it from there. A list is forgotten when torch's counter of
versions says that its tensor was changed in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from neurosim.bridge.kernels import sparse
from neurosim.bridge.kernels.threads import run_blocks
from neurosim.bridge.kernels.vector import WORD
from neurosim.errors import ParameterError

_ATTRIBUTE = "_neurosim_events"
#: Rows of a block of the scanning kernels.
_ROWS = 64
#: A tensor is taken for dense when one row in `_SAMPLE` shows twice the density asked for.
_SAMPLE = 32


@runtime_checkable
class EventBatch(Protocol):
    """A batch of event recordings, as `neurosim.datasets` collates it: never made dense.

    Attributes
    ----------
    ptr : (T * B + 1,) int64 array or tensor
    index : (n_events,) int32 array or tensor
    shape : (T, B, *shape)
    """

    ptr: Any
    index: Any
    shape: tuple[int, ...]


@dataclass(frozen=True)
class SpikeEvents:
    """The events of a tensor [T, B, *shape] as a CSR matrix.

    Parameters
    ----------
    ptr : (R + 1,) int64 array
        Row r = t * B + b has the events ``ptr[r]`` to ``ptr[r + 1]``.
    index : (n_events,) int32 array
        Columns, ascending within a row.
    n_columns : int
        Neurons a row, N.
    values : (n_events,) array, optional
        Amplitudes of graded spikes; None where all are 1.

    Examples
    --------
    >>> events = events_of(torch.tensor([[[0.0, 1.0, 1.0]], [[1.0, 0.0, 0.0]]]))
    >>> events.ptr.tolist(), events.index.tolist(), events.n_events
    ([0, 2, 3], [1, 2, 0], 3)
    """

    ptr: np.ndarray
    index: np.ndarray
    n_columns: int
    values: np.ndarray | None = field(default=None)

    @property
    def n_rows(self) -> int:
        """Steps times samples."""
        return int(self.ptr.size - 1)

    @property
    def n_events(self) -> int:
        """Number of non-zero values."""
        return int(self.index.size)

    @property
    def density(self) -> float:
        """Fraction of values that are not zero."""
        return self.n_events / max(1, self.n_rows * self.n_columns)

    def amplitudes(self, dtype: np.dtype) -> np.ndarray:
        """Return the values as the kernels take them: of size zero where all are 1."""
        if self.values is None:
            return np.empty(0, dtype)
        return self.values.astype(dtype, copy=False)

    @cached_property
    def by_column(self) -> SpikeEvents:
        """The same events sorted by column: row i lists the rows in which column i is active."""
        values = np.empty(0, np.float32) if self.values is None else self.values
        ptr = np.empty(self.n_columns + 1, np.int64)
        rows, amplitudes = np.empty(self.n_events, np.int32), np.empty_like(values)
        sparse.by_column(self.ptr, self.index, values, ptr, rows, amplitudes)
        return SpikeEvents(ptr, rows, self.n_rows, None if self.values is None else amplitudes)

    def last(self, n: int) -> SpikeEvents:
        """Return the events of the last n rows, or of all where there are fewer."""
        first = max(0, self.n_rows - n)
        begin = self.ptr[first]
        values = None if self.values is None else self.values[begin:]
        return SpikeEvents(self.ptr[first:] - begin, self.index[begin:], self.n_columns, values)

    def dense(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Return the matrix [R, N]."""
        out = torch.zeros(self.n_rows, self.n_columns, dtype=dtype)
        array = out.numpy()
        blocks = -(-self.n_rows // _ROWS)
        run_blocks(
            sparse.to_dense, blocks, self.n_events, _ROWS, self.ptr, self.index,
            self.amplitudes(array.dtype), array,
        )  # fmt: skip
        return out


def attach(x: torch.Tensor, events: SpikeEvents) -> torch.Tensor:
    """Keep the event list of a tensor with it, until the tensor is changed in place.

    Parameters
    ----------
    x : [T, B, *shape] tensor
    events : SpikeEvents
        Must describe `x`; only the sizes are checked.

    Returns
    -------
    x

    Raises
    ------
    ParameterError
        If the sizes differ.
    """
    if events.n_rows * events.n_columns != x.numel():
        raise ParameterError(
            f"attach: events of a {events.n_rows} x {events.n_columns} matrix do not describe a "
            f"tensor of shape {list(x.shape)}."
        )
    if not x.is_inference():  # whose version is not counted
        setattr(x, _ATTRIBUTE, (x._version, events))
    return x


def attached(x: torch.Tensor) -> SpikeEvents | None:
    """Return the event list kept with a tensor, or None if it has none or was changed since."""
    kept = getattr(x, _ATTRIBUTE, None)
    return kept[1] if kept is not None and kept[0] == x._version else None


def events_of(x: torch.Tensor | EventBatch | SpikeEvents) -> SpikeEvents:
    """Return the event list of a tensor [T, B, *shape].

    The list of a result of differentiable operations is kept with the tensor. That of other
    tensors is not: their memory may be changed behind torch's counter of versions (a NumPy array
    that it shares, ``x.data``). Who knows better keeps it: ``attach(x, events_of(x))``.

    Parameters
    ----------
    x : tensor, EventBatch or SpikeEvents

    Raises
    ------
    ParameterError
        If `x` has fewer than three dimensions, or a batch is inconsistent.
    """
    if isinstance(x, SpikeEvents):
        return x
    if not isinstance(x, torch.Tensor):
        return _from_batch(x)
    events = attached(x)
    if events is None:
        events = _keep(x, _build(_scan(_matrix(x))))
    return events


def events_below(x: torch.Tensor, limit: float) -> SpikeEvents | None:
    """Return the event list of a tensor if its density is below a limit, else None.

    A dense tensor costs a look at one row in 32 only.

    Parameters
    ----------
    x : [T, B, *shape] tensor
    limit : float
        Fraction of non-zero values.
    """
    events = attached(x)
    if events is None:
        matrix = _matrix(x)
        sample = matrix[::_SAMPLE]
        if np.count_nonzero(sample) > 2.0 * limit * sample.size:
            return None
        found = _scan(matrix)
        if found.ptr[-1] >= limit * matrix.size:
            return None
        events = _keep(x, _build(found))
    return events if events.density < limit else None


def concatenated(before: SpikeEvents, after: SpikeEvents) -> SpikeEvents:
    """Return the rows of one list followed by those of another of as many columns."""
    values = None
    if before.values is not None or after.values is not None:
        values = np.concatenate(
            [np.ones(e.n_events) if e.values is None else e.values for e in (before, after)]
        )
    return SpikeEvents(
        np.concatenate((before.ptr, after.ptr[1:] + before.n_events)),
        np.concatenate((before.index, after.index)),
        before.n_columns,
        values,
    )


def density(x: torch.Tensor | EventBatch | SpikeEvents) -> float:
    """Return the fraction of values that are not zero.

    Examples
    --------
    >>> density(torch.tensor([[[0.0, 2.0, 0.0, 0.0]]]))
    0.25
    """
    if isinstance(x, torch.Tensor):
        events = attached(x)
        if events is None:
            return float(torch.count_nonzero(x)) / max(1, x.numel())
        return events.density
    return events_of(x).density


def _keep(x: torch.Tensor, events: SpikeEvents) -> SpikeEvents:
    if x.grad_fn is not None:
        attach(x, events)
    return events


def _matrix(x: torch.Tensor) -> np.ndarray:
    if x.ndim < 3:
        raise ParameterError(
            f"events of a tensor of shape {list(x.shape)}: the dimensions must be [time, batch, "
            "...]; add those that are missing with x.unsqueeze()."
        )
    flat = x.detach().reshape(x.shape[0] * x.shape[1], math.prod(x.shape[2:]))
    if flat.dtype not in (torch.float32, torch.float64):
        flat = flat.to(torch.float32)
    return flat.contiguous().numpy()


class _Scan(NamedTuple):
    """What one pass over a matrix [R, N] finds."""

    matrix: np.ndarray
    words: np.ndarray
    ptr: np.ndarray
    graded: bool


def _scan(matrix: np.ndarray) -> _Scan:
    n_rows, n = matrix.shape
    blocks = -(-n_rows // _ROWS)
    words = np.empty((n_rows, -(-n // WORD)), np.uint64)
    ptr, others = np.zeros(n_rows + 1, np.int64), np.empty(blocks, np.uint64)
    counts = ptr[1:]
    run_blocks(sparse.scan, blocks, matrix.size // 4, _ROWS, matrix, words, counts, others)
    np.cumsum(counts, out=counts)
    return _Scan(matrix, words, ptr, bool(others.any()))


def _build(found: _Scan) -> SpikeEvents:
    matrix, ptr = found.matrix, found.ptr
    index = np.empty(ptr[-1], np.int32)
    blocks = -(-matrix.shape[0] // _ROWS)
    run_blocks(sparse.fill, blocks, 4 * index.size, _ROWS, found.words, ptr, index)
    values = None
    if found.graded:
        values = np.empty(index.size, matrix.dtype)
        run_blocks(sparse.fill_values, blocks, index.size, _ROWS, matrix, ptr, index, values)
    return SpikeEvents(ptr, index, matrix.shape[1], values)


def _from_batch(batch: EventBatch) -> SpikeEvents:
    ptr = np.ascontiguousarray(batch.ptr, np.int64)
    index = np.ascontiguousarray(batch.index, np.int32)
    n_steps, n_samples, *shape = batch.shape
    n_columns = math.prod(shape)
    if ptr.size != n_steps * n_samples + 1 or ptr[0] != 0 or ptr[-1] != index.size:
        raise ParameterError(
            f"event batch of shape {tuple(batch.shape)}: ptr must have T * B + 1 = "
            f"{n_steps * n_samples + 1} values from 0 to {index.size} events; got {ptr.size} "
            f"values from {ptr[0] if ptr.size else None} to {ptr[-1] if ptr.size else None}."
        )
    if (np.diff(ptr) < 0).any():
        raise ParameterError(
            f"event batch of shape {tuple(batch.shape)}: ptr decreases at row "
            f"{int(np.argmax(np.diff(ptr) < 0))}."
        )
    if index.size and (index.min() < 0 or index.max() >= n_columns):
        raise ParameterError(
            f"event batch of shape {tuple(batch.shape)}: an index is {int(index.max())} or "
            f"{int(index.min())}; it must be in 0 .. {n_columns - 1}."
        )
    values = getattr(batch, "values", None)
    if callable(values):
        values = None
    amplitudes = None if values is None else np.ascontiguousarray(values)
    return SpikeEvents(ptr, index, n_columns, amplitudes)
