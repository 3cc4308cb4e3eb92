"""An HDF5 file of many recordings that is opened once and read item by item."""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats.structured import AUDIO, Events
from neurosim.errors import FileFormatError, NeurosimError
from neurosim.io._hdf5 import opened

_LATEST = 1 << 53  # us, 285 years; a float64 has all whole numbers up to there


class SpikeFile(ABC):
    """Recordings of spikes in an HDF5 file, read when asked for.

    The file is opened at the first access in each process and stays open until `close`; the object
    can be pickled and sent to worker processes, which open it for themselves.
    """

    #: The format, as errors are to call it.
    kind: str
    #: Number of channels; spikes lie in 0 .. n_channels - 1.
    n_channels: int

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: Any = None
        self._owner = 0
        with opened(self.path, self.kind) as file:
            self._length = self._read_index(file)

    @abstractmethod
    def _read_index(self, file: Any) -> int:
        """Check the file's structure, keep what is small; return the number of recordings."""

    @abstractmethod
    def _read_item(self, file: Any, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return (times [s], channels) of a recording."""

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Events:
        """Return one recording.

        Parameters
        ----------
        index : int
            Negative ones count from the end.

        Returns
        -------
        events : (n_spikes,) structured array
            Fields ``t`` (us, rounded), ``x`` (channel), ``p`` (1), in the order of the file.

        Raises
        ------
        IndexError
            If there is no such recording.
        FileFormatError
            If the recording is damaged.
        """
        number = operator.index(index)
        if not -self._length <= number < self._length:
            raise IndexError(f"{self.path} has {self._length} recordings; there is no {number}.")
        number %= self._length
        with self._reading(number) as file:
            times, channels = self._read_item(file, number)
        return self._events(np.asarray(times), np.asarray(channels), number)

    def __iter__(self) -> Iterator[Events]:
        return (self[i] for i in range(self._length))

    def close(self) -> None:
        """Close the file; it is opened again by the next access."""
        if self._file is not None and self._owner == os.getpid():
            self._file.close()
        self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {self._length} recordings)"

    @contextmanager
    def _reading(self, number: int) -> Iterator[Any]:
        import h5py

        try:
            # a forked process must not share the parent's position in the file
            if self._file is None or self._owner != os.getpid():
                self._file, self._owner = h5py.File(self.path, "r"), os.getpid()
            yield self._file
        except NeurosimError:
            raise
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path}: there is no such file any more.") from None
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError) as error:
            text = str(error.args[0] if error.args else error).splitlines() or [""]
            raise FileFormatError(
                f"{self.path} is damaged: recording {number} cannot be read: {text[0]}"
            ) from error

    def _events(self, times: NDArray[Any], channels: NDArray[Any], number: int) -> Events:
        where = f"{self.path} is damaged: recording {number}"
        if times.ndim != 1 or channels.shape != times.shape:
            raise FileFormatError(
                f"{where} has times of shape {times.shape}, but channels of {channels.shape}."
            )
        if times.dtype.kind != "f" or channels.dtype.kind not in "iu":
            raise FileFormatError(
                f"{where} has times of {times.dtype} and channels of {channels.dtype}; numbers "
                "with and without fraction are expected."
            )
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are errors below
            microseconds = np.rint(times.astype(np.float64) * 1e6)
        # written so that NaN is wrong too
        wrong = ~((microseconds >= 0) & (microseconds <= _LATEST))
        if wrong.any():
            bad = int(np.argmax(wrong))
            raise FileFormatError(f"{where}, spike {bad}: time {times[bad]} s is not >= 0.")
        wrong = (channels < 0) | (channels >= self.n_channels)
        if wrong.any():
            bad = int(np.argmax(wrong))
            raise FileFormatError(
                f"{where}, spike {bad}: channel {channels[bad]} is not one of the "
                f"{self.n_channels} channels 0 to {self.n_channels - 1}."
            )
        out = np.empty(times.size, AUDIO)
        out["t"], out["x"], out["p"] = microseconds, channels, 1
        return out
