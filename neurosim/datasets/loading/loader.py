"""Batches in an order, and with augmentation, that depend on seed and epoch alone."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.sets.base import Recordings
from neurosim.errors import ParameterError, require
from neurosim.random import stream_key


def loader(
    data: Any,
    batch_size: int,
    *,
    collate: Callable[[list[Any]], Any],
    shuffle: bool = False,
    seed: int = 0,
    workers: int = 0,
    drop_last: bool = False,
    pin_memory: bool = False,
    prefetch: int = 2,
) -> Loader:
    """Return a torch loader whose batches do not depend on the number of workers.

    Parameters
    ----------
    data : Recordings or sequence
        A data set of this package, or anything with ``len`` and ``[index]``.
    batch_size : int
        Recordings a batch.
    collate : callable
        Of a list of items: `collate_dense` or `collate_events`;
        ``torch.utils.data.default_collate`` for images.
    shuffle : bool, default False
        Whether to go through the data in another order each epoch.
    seed : int, default 0
        Of the order and of random transforms.
    workers : int, default 0
        Processes that read recordings; 0 for this one. They live as long as the loader.
    drop_last : bool, default False
        Leave out a last batch that is not full.
    pin_memory : bool, default False
        Put batches into page-locked memory, for a GPU.
    prefetch : int, default 2
        Batches that each worker reads ahead.

    Returns
    -------
    loader : Loader

    Raises
    ------
    ParameterError
        If there are no recordings, or a number is not whole and large enough; when batches are
        made, if `collate` cannot take events.
    MissingPackageError
        If torch is not installed.

    Notes
    -----
    The order is a function of (seed, epoch), the generator of a recording's random transforms one
    of (seed, epoch, index). Functions that use the global generators of Python, NumPy or torch
    find them seeded from the same three numbers while a recording is read, and as they were after.

    Examples
    --------
    >>> from neurosim.datasets import SpokenDigits, collate_dense
    >>> digits = SpokenDigits("test")
    >>> collate = collate_dense(sensor_size=digits.sensor_size, time_step=10_000, n_steps=100)
    >>> batches = loader(digits, 64, collate=collate, shuffle=True, seed=1)
    >>> for x, targets, lengths in batches:
    ...     pass
    >>> x.shape, len(batches), batches.epoch
    (torch.Size([100, 44, 70]), 5, 1)
    """
    _check_whole(batch_size=(batch_size, 1), workers=(workers, 0), prefetch=(prefetch, 1))
    _check_whole(seed=(seed, None))
    if len(data) == 0:
        raise ParameterError(f"loader: {data!r} has no recordings.")
    torch = require("torch", "train", "loader")
    batches = _Batches(len(data), int(batch_size), shuffle, seed, drop_last)
    return Loader(
        torch.utils.data.DataLoader(
            _Keyed(data, seed),
            batch_sampler=batches,
            collate_fn=functools.partial(_collated, collate),
            num_workers=int(workers),
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            prefetch_factor=int(prefetch) if workers else None,
            generator=torch.Generator(),  # else each epoch would draw from the global one
        ),
        batches,
    )


class Loader:
    """Batches of a data set, epoch by epoch; made by `loader`.

    Each ``for batch in loader`` is one epoch and counts when it starts: after a state saved
    between two epochs is loaded, everything goes on as if never interrupted.

    Attributes
    ----------
    torch_loader : torch.utils.data.DataLoader
        What does the work.
    epoch : int
        Epochs begun so far; the number of the next one.
    """

    def __init__(self, torch_loader: Any, batches: _Batches) -> None:
        self.torch_loader = torch_loader
        self._batches = batches

    @property
    def epoch(self) -> int:
        """Epochs begun so far; the number of the next one."""
        return self._batches.epoch

    @property
    def data(self) -> Any:
        """The data set."""
        return self.torch_loader.dataset.data

    def set_epoch(self, epoch: int) -> None:
        """Choose the number of the next epoch.

        Raises
        ------
        ParameterError
            If it is negative or not whole.
        """
        _check_whole(epoch=(epoch, 0))
        self._batches.epoch = int(epoch)

    def state_dict(self) -> dict[str, int]:
        """Return what is needed to go on at the next epoch."""
        return {"epoch": self.epoch, "seed": self._batches.seed, "length": self._batches.length}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at the epoch that a state was saved before.

        Raises
        ------
        ParameterError
            If it belongs to another seed or number of recordings.
        """
        for name, own in (("seed", self._batches.seed), ("length", self._batches.length)):
            if state.get(name) != own:
                raise ParameterError(
                    f"loader: the state was saved with {name} = {state.get(name)!r}, this loader "
                    f"has {own!r}: the batches would not be the same."
                )
        self.set_epoch(state["epoch"])

    def __iter__(self) -> Iterator[Any]:
        self._batches.current = self._batches.epoch
        self._batches.epoch += 1
        return iter(self.torch_loader)

    def __len__(self) -> int:
        return len(self._batches)


class _Batches:
    """Yields lists of (epoch, index), which reach workers that were started epochs ago."""

    def __init__(
        self, length: int, batch_size: int, shuffle: bool, seed: int, drop_last: bool
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0  # the next
        self.current = 0  # the one that an iterator made now goes through

    def __len__(self) -> int:
        full, rest = divmod(self.length, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self.current  # now, not when the first batch is asked for
        order = self._order(epoch)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return ([(epoch, int(i)) for i in order[k : k + self.batch_size]] for k in starts)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(self.length)
        bits = _philox(self.seed, "order", epoch).random_raw(self.length)
        return np.argsort(bits, kind="stable")


class _Keyed:
    """A data set whose index is (epoch, index); reads with the generator of both."""

    def __init__(self, data: Recordings | Sequence[Any], seed: int) -> None:
        self.data = data
        self.seed = seed

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, index = key
        rng = np.random.Generator(_philox(self.seed, "recording", epoch, index))
        if isinstance(self.data, Recordings) and self.data.keyed:
            return self.data.get(index, rng)
        with _global_generators(int(rng.integers(2**32))):
            if isinstance(self.data, Recordings):
                return self.data.get(index, rng)
            return self.data[index]


def _philox(seed: int, *purpose: str | int) -> np.random.Philox:
    low, high = stream_key(seed, "loader", *map(str, purpose))
    return np.random.Philox(key=low | high << 32)


@contextlib.contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators, and put them back afterwards."""
    torch = require("torch", "train", "loader")
    own = torch.random.default_generator  # of the CPU; torch.manual_seed would touch GPUs too
    before = random.getstate(), np.random.get_state(), own.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    own.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        own.set_state(before[2])


def _collated(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """Return the batch; say what to take for events where the collator takes no such arrays."""
    try:
        return collate(items)
    except TypeError as error:
        recording = items[0][0] if isinstance(items[0], tuple) else items[0]
        if getattr(recording, "dtype", np.dtype(float)).names is None:
            raise
        raise ParameterError(
            f"loader: collate = {collate!r} makes no batches of events ({error}). Give "
            "collate_dense(sensor_size=data.sensor_size, time_step=10_000) or collate_events(...)."
        ) from error


def _check_whole(**numbers: tuple[Any, int | None]) -> None:
    for name, (value, least) in numbers.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        whole = number and np.isfinite(value) and value == int(value)
        if not whole or (least is not None and value < least):
            bound = "" if least is None else f" >= {least}"
            raise ParameterError(f"loader: {name} = {value!r}: a whole number{bound} is needed.")
