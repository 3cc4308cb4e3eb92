"""Batches of recordings of different length, dense or as lists of events."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.transforms.base import (
    SensorSize,
    coordinates,
    need_fields,
    need_size,
    need_whole,
)
from neurosim.errors import ParameterError, ParameterWarning, require

#: More values than this in a batch are a forgotten time_step or a clock that starts far from 0.
LARGEST_BATCH = 2**31

Items = Sequence[tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class EventBatch:
    """A batch of event recordings as the non-zero values of a tensor [T, B, *shape], by row.

    Row r = t * B + b holds what sample b sends in step t; `neurosim.bridge` layers take it in
    place of the tensor.

    Attributes
    ----------
    ptr : (T * B + 1,) int64 tensor
        Row r has the values ``ptr[r]`` to ``ptr[r + 1]``.
    index : (n,) int32 tensor
        Columns, ascending within a row and each at most once: x for audio, (p * H + y) * W + x for
        cameras.
    values : (n,) float32 tensor or None
        Number of events; None where all are 1.
    shape : tuple of int
        (T, B, C) for audio, (T, B, P, H, W) for cameras.
    targets : (B, ...) tensor
    lengths : (B,) int64 tensor
        Steps of each recording, 1 to T.
    """

    ptr: Any
    index: Any
    values: Any
    shape: tuple[int, ...]
    targets: Any
    lengths: Any

    def to_dense(self) -> Any:
        """Return the float32 tensor [T, B, *shape]."""
        torch = require("torch", "train", "EventBatch.to_dense")
        rows = torch.repeat_interleave(torch.diff(self.ptr))
        cells = rows * math.prod(self.shape[2:]) + self.index
        dense = torch.zeros(math.prod(self.shape), dtype=torch.float32, device=self.index.device)
        dense[cells] = 1.0 if self.values is None else self.values
        return dense.view(self.shape)

    def to(self, device: Any) -> EventBatch:
        """Return the batch on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def pin_memory(self) -> EventBatch:
        """Return the batch in page-locked memory; called by torch's loader."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Any], Any]) -> EventBatch:
        return EventBatch(
            ptr=change(self.ptr),
            index=change(self.index),
            values=None if self.values is None else change(self.values),
            shape=self.shape,
            targets=change(self.targets),
            lengths=change(self.lengths),
        )


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """How events become cells of a tensor [T, B, *shape]."""

    owner: str
    sensor_size: SensorSize | None
    time_step: int | None
    n_steps: int | None
    t_start: int | None
    binary: bool

    def __post_init__(self) -> None:
        need_whole(self.owner, time_step=self.time_step, n_steps=self.n_steps)
        if self.sensor_size is not None:
            need_size(self.owner, self.sensor_size)

    def cells(
        self, recordings: Sequence[Any]
    ) -> tuple[NDArray[np.int64], tuple[int, ...], NDArray[np.int64]]:
        """Return the cell of every event, the shape of the tensor, and steps a recording."""
        if self.sensor_size is None or (self.time_step is None and self.n_steps is None):
            raise ParameterError(
                f"{self.owner}: recordings of events need sensor_size (that of the data set after "
                "its transforms) and time_step [us] or n_steps."
            )
        width, height, polarities = self.sensor_size
        audio = height == polarities == 1
        shape = (width,) if audio else (polarities, height, width)
        placed = [self._place(events) for events in recordings]
        lengths = np.array([length for *_, length in placed], np.int64)
        n_steps = self.n_steps or int(lengths.max())
        full = (n_steps, len(recordings), *shape)
        if math.prod(full) > LARGEST_BATCH:
            raise ParameterError(
                f"{self.owner}: a batch of shape {list(full)} does not fit into memory: give a "
                "longer time_step, or n_steps, or t_start=None if the clock does not start near 0."
            )
        rows = np.concatenate([s * len(placed) + b for b, (s, _, _) in enumerate(placed)])
        columns = np.concatenate([column for _, column, _ in placed])
        if rows.size == 0 and any(len(events) for events in recordings):
            warnings.warn(
                f"{self.owner}: every event of the batch comes after {n_steps} steps of "
                f"{self.time_step} us, so that the batch is empty. time_step is in microseconds: "
                "for 10 ms write 10_000.",
                ParameterWarning,
                stacklevel=4,
            )
        return rows * math.prod(shape) + columns, full, lengths

    def _place(self, events: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Return the step and column of the events of one recording that lie on the grid."""
        assert self.sensor_size is not None
        width, height, _ = self.sensor_size
        need_fields(self.owner, events, "t", "x")
        p, y, x = coordinates(self.owner, events, self.sensor_size)
        column = (p * height + y) * width + x
        t = events["t"].astype(np.int64)
        if t.size == 0:
            return t, column, 1 if self.time_step else self.n_steps or 1
        t = t - (t.min() if self.t_start is None else self.t_start)
        if t.min() < 0:
            raise ParameterError(
                f"{self.owner}: an event lies {-int(t.min())} us before t_start = {self.t_start}: "
                "give an earlier t_start, or None for the first event of each recording."
            )
        if self.time_step is None:  # n_steps steps of equal length
            assert self.n_steps is not None
            return t * self.n_steps // (int(t.max()) + 1), column, self.n_steps
        step = t // self.time_step
        length = int(step.max()) + 1
        if self.n_steps is not None and length > self.n_steps:
            kept = step < self.n_steps
            return step[kept], column[kept], self.n_steps
        return step, column, length


@dataclass(frozen=True, kw_only=True)
class _Dense:
    grid: _Grid

    def __call__(self, items: Items) -> tuple[Any, Any, Any]:
        torch = require("torch", "train", "collate_dense")
        recordings, targets = _apart(items, self.grid.owner)
        if getattr(recordings[0], "dtype", np.dtype(float)).names is None:
            batch, lengths = _stack(recordings, self.grid.n_steps)
        else:
            cells, shape, lengths = self.grid.cells(recordings)
            batch = np.zeros(math.prod(shape), np.float32)
            if self.grid.binary:
                batch[cells] = 1.0
            else:
                np.add.at(batch, cells, np.float32(1.0))
            batch = batch.reshape(shape)
        return torch.from_numpy(batch), _tensor(targets), torch.from_numpy(lengths)


@dataclass(frozen=True, kw_only=True)
class _Sparse:
    grid: _Grid

    def __call__(self, items: Items) -> EventBatch:
        torch = require("torch", "train", "collate_events")
        recordings, targets = _apart(items, self.grid.owner)
        if getattr(recordings[0], "dtype", np.dtype(float)).names is None:
            raise ParameterError(
                "collate_events: recordings are no events any more; leave out the transform that "
                "makes frames, or use collate_dense."
            )
        cells, shape, lengths = self.grid.cells(recordings)
        cells, counts = np.unique(cells, return_counts=True)
        n_columns = math.prod(shape[2:])
        rows = np.bincount(cells // n_columns, minlength=shape[0] * shape[1])
        plain = self.grid.binary or bool((counts == 1).all())
        return EventBatch(
            ptr=torch.from_numpy(np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)),
            index=torch.from_numpy((cells % n_columns).astype(np.int32)),
            values=None if plain else torch.from_numpy(counts.astype(np.float32)),
            shape=shape,
            targets=_tensor(targets),
            lengths=torch.from_numpy(lengths),
        )


def collate_dense(
    *,
    sensor_size: SensorSize | None = None,
    time_step: int | None = None,
    n_steps: int | None = None,
    t_start: int | None = 0,
    binary: bool = False,
) -> Callable[[Items], tuple[Any, Any, Any]]:
    """Return a collator that makes dense batches, time first.

    Parameters
    ----------
    sensor_size : tuple of 3 int, optional
        (W, H, P), or (C, 1, 1) for audio, of the recordings after their transforms. Not needed for
        arrays.
    time_step : int, optional
        Length of a step [us]; step k holds t_start + k * time_step <= t < t_start + (k + 1) *
        time_step.
    n_steps : int, optional
        Steps T of every batch. With `time_step`, later events are left out; without it, the time
        from `t_start` to the last event of each recording is divided into n_steps equal parts.
        Default: those of the longest recording of the batch.
    t_start : int or None, default 0
        Time of the first step [us]; None for the first event of each recording.
    binary : bool, default False
        1 where at least one event fell, instead of the number of events.

    Returns
    -------
    collate : callable
        Of a list of ``(recording, target)``; it can be pickled. Gives ``(x, targets, lengths)``:
        x [T, B, C] or [T, B, P, H, W] float32, zero after the end of a recording; targets, int64
        [B] for classes; lengths int64 [B], the steps of each recording. Recordings that are
        arrays [T, ...] already (from `ToFrames`) are padded and stacked to [T, B, ...].

    Raises
    ------
    ParameterError
        When called: if sensor_size or a step is missing, an event lies outside the sensor or
        before `t_start`, arrays have different shapes, or the batch is too large.

    Examples
    --------
    >>> from neurosim.datasets import SpokenDigits
    >>> digits = SpokenDigits("test")
    >>> collate = collate_dense(sensor_size=digits.sensor_size, time_step=10_000)
    >>> x, targets, lengths = collate([digits[0], digits[1]])
    >>> x.shape[1:], targets.tolist()
    (torch.Size([2, 70]), [1, 5])
    """
    return _Dense(
        grid=_Grid(
            owner="collate_dense",
            sensor_size=sensor_size,
            time_step=time_step,
            n_steps=n_steps,
            t_start=t_start,
            binary=binary,
        )
    )


def collate_events(
    *,
    sensor_size: SensorSize,
    time_step: int | None = None,
    n_steps: int | None = None,
    t_start: int | None = 0,
    binary: bool = False,
) -> Callable[[Items], EventBatch]:
    """Return a collator that keeps a batch as lists of events.

    Parameters and errors are those of `collate_dense`; recordings must be events.

    Returns
    -------
    collate : callable
        Of a list of ``(events, target)``; it can be pickled. Gives an `EventBatch`, whose
        ``to_dense()`` is the x of `collate_dense`.

    Examples
    --------
    >>> from neurosim.datasets import SpokenDigits
    >>> digits = SpokenDigits("test")
    >>> collate = collate_events(sensor_size=digits.sensor_size, time_step=10_000)
    >>> batch = collate([digits[0], digits[1]])
    >>> tuple(batch.to_dense().shape) == batch.shape, float(batch.values.sum())
    (True, 11612.0)
    """
    return _Sparse(
        grid=_Grid(
            owner="collate_events",
            sensor_size=sensor_size,
            time_step=time_step,
            n_steps=n_steps,
            t_start=t_start,
            binary=binary,
        )
    )


def _apart(items: Items, owner: str) -> tuple[list[Any], list[Any]]:
    if not items:
        raise ParameterError(f"{owner}: a batch needs at least one recording.")
    return [recording for recording, _ in items], [target for _, target in items]


def _stack(
    recordings: Sequence[Any], n_steps: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pad arrays [T, ...] with zeros and stack them to [T, B, ...]."""
    arrays = [np.asarray(recording, np.float32) for recording in recordings]
    shape = arrays[0].shape[1:]
    for array in arrays:
        if array.ndim == 0 or array.shape[1:] != shape:
            raise ParameterError(
                f"collate_dense: recordings of shape {list(arrays[0].shape)} and "
                f"{list(array.shape)}: all dimensions but the first, time, must be the same."
            )
    lengths = np.array([min(len(a), n_steps or len(a)) for a in arrays], np.int64)
    out = np.zeros((n_steps or int(lengths.max()), len(arrays), *shape), np.float32)
    for b, (array, length) in enumerate(zip(arrays, lengths, strict=True)):
        out[:length, b] = array[:length]
    return out, lengths


def _tensor(targets: list[Any]) -> Any:
    """Return targets as one tensor: int64 for whole numbers, float32 for others."""
    torch = require("torch", "train", "collate")
    if isinstance(targets[0], torch.Tensor):
        return torch.stack(targets)
    try:
        array = np.stack([np.asarray(target) for target in targets])
    except ValueError as error:
        raise ParameterError(f"collate: targets of a batch differ in shape ({error}).") from error
    if array.dtype.kind not in "biuf":
        raise ParameterError(
            f"collate: targets are {array.dtype}; numbers are expected. Give the data set a "
            "target_transform that makes some."
        )
    return torch.from_numpy(array.astype(np.float32 if array.dtype.kind == "f" else np.int64))
