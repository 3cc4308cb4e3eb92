"""Batches ``(x [T, B, ...], target [B])`` from arrays, data sets and loaders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from neurosim.errors import ParameterError

#: Makes a batch of a list of items.
Collate: TypeAlias = Callable[[list[Any]], Any]
#: Samples in a batch unless said otherwise.
DEFAULT_BATCH = 64


class ArrayBatches:
    """Batches of a whole data set held in two arrays.

    Parameters
    ----------
    x : (T, N, ...) tensor or array
        Inputs of all N samples, time first.
    target : (N, ...) tensor or array
    batch_size : int, default 64
        The last batch of an epoch may be smaller.
    shuffle : bool, default True
        A new order each epoch, given by `seed` and the epoch alone.
    seed : int, default 0

    Raises
    ------
    ParameterError
        If the numbers of samples differ or there are none.

    Examples
    --------
    >>> batches = ArrayBatches(torch.zeros(5, 3, 2), torch.tensor([0, 1, 1]), batch_size=2)
    >>> [tuple(x.shape) for x, _ in batches]
    [(5, 2, 2), (5, 1, 2)]
    """

    def __init__(
        self,
        x: Any,
        target: Any,
        *,
        batch_size: int = DEFAULT_BATCH,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        self.x, self.target = _tensor(x), _tensor(target)
        if self.x.dim() < 2 or self.x.shape[1] != len(self.target) or not len(self.target):
            raise ParameterError(
                f"data (x, target): x has shape {list(self.x.shape)} and target "
                f"{list(self.target.shape)}; expected x [T, N, ...] and one target for each of N "
                "samples. If the samples are in front, use x.transpose(0, 1)."
            )
        if batch_size < 1:
            raise ParameterError(f"batch_size = {batch_size}: must be at least 1.")
        self.batch_size, self.shuffle, self.seed, self.epoch = batch_size, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.target) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self.target)
        order = np.random.default_rng([self.seed % 2**63, self.epoch]).permutation(n)
        index = torch.from_numpy(order if self.shuffle else np.arange(n))
        for start in range(0, n, self.batch_size):
            chosen = index[start : start + self.batch_size]
            yield self.x[:, chosen], self.target[chosen]

    def parted(self, fraction: float) -> tuple[ArrayBatches, ArrayBatches]:
        """Return training and validation batches, parted at random by `seed`, class by class."""
        generator = np.random.default_rng([self.seed % 2**63, 2**31])
        labels = self.target.cpu().numpy() if self.target.dim() == 1 else np.zeros(len(self.target))
        classes = np.unique(labels) if labels.dtype.kind in "iub" else [None]
        held: list[int] = []
        for label in classes:
            members = np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)
            held += generator.permutation(members)[: round(fraction * len(members))].tolist()
        rest = np.setdiff1d(np.arange(len(labels)), held)
        if not held or not len(rest):
            raise ParameterError(
                f"validation = {fraction}: of {len(labels)} samples this leaves {len(rest)} for "
                f"training and {len(held)} for validation; both need some."
            )
        return self._subset(rest, self.shuffle), self._subset(np.sort(held), False)

    def _subset(self, index: Any, shuffle: bool) -> ArrayBatches:
        chosen = torch.from_numpy(np.asarray(index, np.int64))
        return ArrayBatches(
            self.x[:, chosen], self.target[chosen],
            batch_size=self.batch_size, shuffle=shuffle, seed=self.seed,
        )  # fmt: skip


def _tensor(values: Any) -> Tensor:
    return values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))


def batches_of(
    data: Any,
    *,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    collate: Collate | None = None,
    what: str = "data",
) -> Iterable[Any]:
    """Return an iterable of batches for what a user may give as data.

    Parameters
    ----------
    data : loader, (x, target) or data set
        An iterable of batches is returned as it is; a pair of arrays becomes `ArrayBatches`; a
        data set goes through ``neurosim.datasets.loader``.
    batch_size : int, optional
        Default 64. A loader has its own.
    shuffle : bool
    seed : int, optional
    collate : callable, optional
        For data sets; by default ``collate_dense()``, which takes recordings that are frames.
    what : str
        Name of the argument, for messages.

    Raises
    ------
    ParameterError
        If it is none of these, or a loader is given together with `batch_size` or `collate`.
    """
    size = DEFAULT_BATCH if batch_size is None else batch_size
    if isinstance(data, tuple) and len(data) == 2:
        _need_none(what, "a pair of arrays has nothing to collate", collate=collate)
        return ArrayBatches(*data, batch_size=size, shuffle=shuffle, seed=seed or 0)
    if is_dataset(data):
        from neurosim.datasets import collate_dense, loader

        if collate is None:
            _need_collate(data, what)
        return cast(
            "Iterable[Any]",
            loader(data, size, collate=collate or collate_dense(), shuffle=shuffle, seed=seed or 0),
        )
    wrong = Iterator | str | dict | Tensor | np.ndarray
    if isinstance(data, Iterable) and not isinstance(data, wrong):
        own = f"{type(data).__name__} makes its own batches"
        _need_none(what, own, batch_size=batch_size, collate=collate)
        return data
    once = " An iterator can be run through only once." if isinstance(data, Iterator) else ""
    raise ParameterError(
        f"{what} is a {type(data).__name__}: expected a loader of batches (x, target), a pair of "
        f"arrays (x [T, N, ...], target [N]) or a data set.{once}"
    )


def _need_collate(data: Any, what: str) -> None:
    """Raise a ParameterError if recordings are events, which need steps of time to be a batch."""
    if len(data) and getattr(np.asarray(data[0][0]).dtype, "names", None):
        size = getattr(data, "sensor_size", "...")
        raise ParameterError(
            f"{what}: the recordings of {data!r} are events, and how they become steps of time "
            f"must be said: collate=neurosim.datasets.collate_dense(sensor_size={size}, "
            "time_step=10_000, n_steps=100), times in us, for steps of 10 ms."
        )


def _need_none(what: str, why: str, **options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise ParameterError(f"{what}: {why}: leave out {name}.")


def is_dataset(data: Any) -> bool:
    """Return whether `data` is a collection of samples rather than of batches."""
    if isinstance(data, list | tuple | dict | str | Tensor | np.ndarray):
        return False
    return hasattr(data, "__getitem__") and isinstance(data, Sized)


def unpack_input(batch: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Return the input of a batch ``(x, ...)`` or ``x``, on a device and in a precision."""
    x = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if isinstance(x, Tensor):
        # no copy where nothing changes: the list of events that x may carry stays with it
        return x.to(device=device, dtype=dtype)
    return x.to(device) if callable(getattr(x, "to", None)) else x


def unpack(batch: Any, device: torch.device, dtype: torch.dtype) -> tuple[Any, Tensor]:
    """Return input and target of a batch, on a device and in the model's precision.

    Parameters
    ----------
    batch : (x, target, ...) or batch of events
        Of events: an object with ``targets`` (`neurosim.datasets.EventBatch`), which is then the
        input itself.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    target = getattr(batch, "targets", None)
    if target is None:
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            raise ParameterError(
                f"a batch is a {type(batch).__name__}: expected (x, target), such as DataLoader "
                "and neurosim.datasets.loader give, or an EventBatch."
            )
        target = batch[1]
    target = target if isinstance(target, Tensor) else torch.as_tensor(np.asarray(target))
    return unpack_input(batch, device, dtype), target.to(device)
