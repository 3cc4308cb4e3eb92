"""What a converted model is given: dense batches, lists of events, recordings or spike trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurosim.bridge.events import EventBatch, SpikeEvents, events_of
from neurosim.datasets.loading.collate import collate_events
from neurosim.errors import ParameterError
from neurosim.results import SpikeTrains

#: Spikes of one source in one step; more are an input that is no spike count.
MOST = 255


@dataclass(frozen=True)
class Samples:
    """Samples as events: row r = t * B + b of a matrix of counts (or of values).

    Attributes
    ----------
    n_steps, n_samples : int
    events : SpikeEvents
        With as many columns as the input has values.
    """

    n_steps: int
    n_samples: int
    events: SpikeEvents

    def spikes(self, starts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps and ids of all spikes; sample b begins after step ``starts[b]``.

        Raises
        ------
        ParameterError
            If a value is no number of spikes.
        """
        events = self.events
        rows = np.repeat(np.arange(events.n_rows), np.diff(events.ptr))
        step, sample = np.divmod(rows, self.n_samples)
        steps = np.asarray(starts, np.int64)[sample] + step + 1
        ids = events.index.astype(np.int64)
        if events.values is not None:
            counts = np.asarray(events.values)
            wrong = (counts != np.round(counts)) | (counts < 0) | (counts > MOST)
            if wrong.any():
                raise ParameterError(
                    f"the input holds {float(counts[wrong][0]):g}, which is no number of spikes "
                    f"from 0 to {MOST}; for real-valued input use to_network(..., "
                    "input='current')."
                )
            steps, ids = (np.repeat(a, counts.astype(np.int64)) for a in (steps, ids))
        return steps, ids

    def dense(self) -> np.ndarray:
        """Return the values, (T, B, n)."""
        dense = self.events.dense(torch.float64).numpy()
        return dense.reshape(self.n_steps, self.n_samples, -1)


def samples_of(
    given: Any,
    shape: tuple[int, ...],
    dt: float,
    n_steps: int | None,
    sensor_size: tuple[int, int, int] | None,
) -> Samples:
    """Return what `Conversion.run` was given as samples.

    Raises
    ------
    ParameterError
        If the type or the shape does not fit the input of the model.
    """
    if isinstance(given, SpikeTrains):
        given = [given]
    if isinstance(given, np.ndarray) and given.dtype.names is not None:
        given = [given]
    if isinstance(given, np.ndarray):
        given = torch.from_numpy(given)
    if isinstance(given, torch.Tensor):
        return _dense(given, shape, n_steps)
    if isinstance(given, EventBatch):
        _check_shape(tuple(given.shape)[2:], shape)
        return _batch(given)
    if isinstance(given, list | tuple) and given:
        if all(isinstance(s, SpikeTrains) for s in given):
            return _trains(given, shape, dt, n_steps)
        return _recordings(given, shape, dt, n_steps, sensor_size)
    raise ParameterError(
        f"Conversion.run: {type(given).__name__} given; a batch [T, B, *shape], an EventBatch, "
        "recordings of events, or SpikeTrains (one or a list) are needed."
    )


def _batch(batch: Any) -> Samples:
    return Samples(int(batch.shape[0]), int(batch.shape[1]), events_of(batch))


def _dense(x: torch.Tensor, shape: tuple[int, ...], n_steps: int | None) -> Samples:
    if tuple(x.shape[1:]) == shape and tuple(x.shape[2:]) != shape:
        raise ParameterError(
            f"Conversion.run: the input has shape {list(x.shape)}; [T, B, "
            f"{', '.join(map(str, shape))}] is needed: for one sample add x.unsqueeze(1)."
        )
    _check_shape(tuple(x.shape[2:]), shape)
    if n_steps is not None:
        x = x[:n_steps]
    flat = x.detach().to(torch.float64).reshape(*x.shape[:2], -1)
    return Samples(int(x.shape[0]), int(x.shape[1]), events_of(flat))


def _check_shape(given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if given != shape and not (len(given) and math.prod(given) == math.prod(shape)
                               and 1 in (len(given), len(shape))):  # fmt: skip
        raise ParameterError(
            f"Conversion.run: a sample has shape {list(given)} in every step, but the model takes "
            f"{list(shape)} (dimensions are [time, batch, ...])."
        )


def _trains(
    trains: Sequence[SpikeTrains], shape: tuple[int, ...], dt: float, n_steps: int | None
) -> Samples:
    """Bin spike trains: a spike at time t counts in step floor((t - t_start) / dt)."""
    n = math.prod(shape)
    steps = n_steps or max(1, *(math.ceil(s.duration / dt - 1e-6) for s in trains), 1)
    dense = np.zeros((steps, len(trains), n))
    for b, train in enumerate(trains):
        if train.ids.size and int(train.ids.max()) >= n:
            raise ParameterError(
                f"Conversion.run: spike trains have the id {int(train.ids.max())}, but the model "
                f"has {n} inputs."
            )
        at = np.floor((train.times - train.t_start) / dt + 1e-6).astype(np.int64)
        kept = at < steps
        np.add.at(dense[:, b], (at[kept], train.ids[kept]), 1.0)
    return Samples(steps, len(trains), events_of(torch.from_numpy(dense)))


def _recordings(
    items: Sequence[Any],
    shape: tuple[int, ...],
    dt: float,
    n_steps: int | None,
    sensor_size: tuple[int, int, int] | None,
) -> Samples:
    recordings = [item[0] if isinstance(item, tuple) else item for item in items]
    if sensor_size is None:
        size = {1: (shape[0], 1, 1), 3: (shape[-1], shape[-2 % len(shape)], shape[0])}
        if len(shape) not in size:
            raise ParameterError(
                f"Conversion.run: the model takes {list(shape)}; for recordings give sensor_size= "
                "(W, H, P)."
            )
        sensor_size = size[len(shape)]
    step_us = dt * 1e3
    if abs(step_us - round(step_us)) > 1e-6:
        raise ParameterError(
            f"Conversion.run: dt = {dt:g} ms is no whole number of microseconds, in which "
            "recordings are; collate them into a batch first."
        )
    collate = collate_events(sensor_size=sensor_size, time_step=round(step_us), n_steps=n_steps)
    batch = collate([(recording, 0) for recording in recordings])
    _check_shape(tuple(batch.shape)[2:], shape)
    return _batch(batch)
