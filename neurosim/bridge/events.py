"""Spikes as lists of events: built once, kept with their dense tensor, used by products.

A tensor of activity ``x [T, B, *shape]`` that is mostly zero is described by the columns of its
non-zero values, row by row: a CSR matrix with one row r = t * B + b for each step of each sample
and one column for each of the N = prod(shape) neurons. Neurons mark their spikes while they run
(`kernels.marks`) and leave the marks with their output, from which sparse products make the list
when they want one; that of other tensors takes a look at their values. Both are forgotten when
torch's counter of versions says that the tensor was changed in place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch.utils.weak import WeakIdKeyDictionary

from neurosim.bridge.kernels import marks, sparse
from neurosim.bridge.kernels.marks import Marks
from neurosim.bridge.kernels.threads import run_blocks
from neurosim.errors import ParameterError

#: Rows of a block of the scanning kernels.
_ROWS = 64
#: A tensor is taken for dense when one row in `_SAMPLE` shows twice the density asked for.
_SAMPLE = 32
#: What is known of tensors: their version then, and their events or marks. No attribute of theirs,
#: which `torch.save` would write.
_kept: Any = WeakIdKeyDictionary()


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
    return _keep(x, events)


def attach_marks(x: torch.Tensor, found: Marks) -> None:
    """Keep the marks of a result of differentiable operations with it, as `attach` does.

    Parameters
    ----------
    x : [T, ...] tensor
        Of zeros and ones.
    found : Marks
    """
    if x.grad_fn is not None:
        _keep(x, found)


def inherit(x: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """Keep what is kept of a tensor with its view or copy, too.

    Parameters
    ----------
    x : tensor
        With the values of `of` in the same order, whatever the shape and type.
    of : tensor

    Returns
    -------
    x
    """
    known = _known(of)
    return x if known is None or x is of else _keep(x, known)


def attached(x: torch.Tensor) -> SpikeEvents | None:
    """Return the event list kept with a tensor, or None if it has none or was changed since."""
    known = _known(x)
    if isinstance(known, Marks):
        found = _counted(known, x)
        return None if _differs(x, found.ptr) else _keep_events(x, _build(found))
    return None if known is None or _differs(x, known.ptr) else known


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
        events = _keep_events(x, _build(_scan(_matrix(x))))
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
    known = _known(x)
    if isinstance(known, SpikeEvents) and not _differs(x, known.ptr):
        return known if known.density < limit else None
    found = _counted(known, x) if isinstance(known, Marks) else None
    if found is None or _differs(x, found.ptr):
        matrix = _matrix(x)
        sample = matrix[::_SAMPLE]
        if np.count_nonzero(sample != 0) > 2.0 * limit * sample.size:  # bools count 8 times faster
            return None
        found = _scan(matrix)
    if found.ptr[-1] >= limit * x.numel():
        return None
    return _keep_events(x, _build(found))


def marked_below(known: Marks, n_rows: int, n: int, limit: float) -> SpikeEvents | None:
    """Return the events of the first rows of marks if their density is below a limit, else None.

    Parameters
    ----------
    known : Marks
    n_rows, n : int
        Rows wanted, and the columns of each.
    limit : float
        Fraction of marked values.
    """
    found = _count(known, n_rows, n)
    return None if found.ptr[-1] >= limit * n_rows * n else _build(found)


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


def _keep(x: torch.Tensor, what: SpikeEvents | Marks) -> torch.Tensor:
    if not x.is_inference():  # whose version is not counted
        _kept[x] = (x._version, what)
    return x


def _keep_events(x: torch.Tensor, events: SpikeEvents) -> SpikeEvents:
    """Keep a list with a result of differentiable operations, not with other tensors."""
    if x.grad_fn is not None:
        _keep(x, events)
    return events


def _known(x: torch.Tensor) -> SpikeEvents | Marks | None:
    """Return what is kept of a tensor, if that has not been changed since."""
    version, known = _kept.get(x, (None, None))
    return known if version is not None and version == x._version else None


def _differs(x: torch.Tensor, ptr: np.ndarray) -> bool:
    """Return whether one row in `_SAMPLE` has other events than a list says.

    This finds most of what changes values behind torch's counter of versions, as ``x.data`` does.
    """
    if x.numel() == 0:
        return False
    rows = x.detach().reshape(ptr.size - 1, -1)[::_SAMPLE]
    values = rows.numpy() if rows.dtype in (torch.float32, torch.float64) else rows.float().numpy()
    return int(np.count_nonzero(values != 0)) != int(np.diff(ptr)[::_SAMPLE].sum())


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


class _Found(NamedTuple):
    """Marks of R rows of N columns, and where the events of each row begin."""

    marks: Marks
    ptr: np.ndarray
    n: int
    #: The matrix [R, N], where some value is neither 0 nor 1.
    graded: np.ndarray | None = None


def _scan(matrix: np.ndarray) -> _Found:
    n_rows, n = matrix.shape
    blocks = -(-n_rows // _ROWS)
    found = Marks.empty(n_rows, n)
    ptr, others = np.zeros(n_rows + 1, np.int64), np.empty(blocks, np.uint64)
    counts = ptr[1:]
    run_blocks(sparse.scan, blocks, matrix.size // 4, _ROWS, matrix, found.by_group, counts, others)
    np.cumsum(counts, out=counts)
    return _Found(found, ptr, n, matrix if others.any() else None)


def _counted(known: Marks, x: torch.Tensor) -> _Found:
    """Return the marks of a tensor with the events of each row counted."""
    return _count(known, x.shape[0] * x.shape[1], math.prod(x.shape[2:]))


def _count(known: Marks, n_rows: int, n: int) -> _Found:
    ptr = np.zeros(n_rows + 1, np.int64)
    counts = ptr[1:]
    blocks = -(-n_rows // _ROWS)
    run_blocks(marks.count, blocks, 3 * known.words.size, _ROWS, *known.rows(n), counts)
    np.cumsum(counts, out=counts)
    return _Found(known, ptr, n)


def _build(found: _Found) -> SpikeEvents:
    n_rows, ptr = found.ptr.size - 1, found.ptr
    index = np.empty(ptr[-1], np.int32)
    blocks = -(-n_rows // _ROWS)
    work = 8 * found.marks.words.size + 2 * index.size
    run_blocks(marks.columns, blocks, work, _ROWS, *found.marks.rows(found.n), ptr, index)
    values = None
    if found.graded is not None:
        values = np.empty(index.size, found.graded.dtype)
        run_blocks(sparse.fill_values, blocks, index.size, _ROWS, found.graded, ptr, index, values)
    return SpikeEvents(ptr, index, found.n, values)


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
