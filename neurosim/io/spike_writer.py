"""Spikes that go to disk while the simulation runs, so that long recordings fill no memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError, SimulationError, unknown_name
from neurosim.io._hdf5 import group, opened, require_folder
from neurosim.io.sonata import (
    KIND,
    create_population,
    extend_population,
    inspect_population,
    read_spikes,
)
from neurosim.results._arrays import FloatArray, IntArray, float_vector, int_vector
from neurosim.results._source import by_time
from neurosim.results.spike_trains import SpikeTrains


class SpikeWriter:
    """Write spikes of one or several populations to a SONATA file, block after block.

    Blocks arrive in order of time. They are collected and written when `buffer` spikes are
    there, or on `flush`. The file is open only while it is written: at any other moment others
    may read it, and if the process dies, the file is valid and lacks the buffered spikes only.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced; `resume` continues one.
    populations : mapping of str to int
        Number of neurons of each population.
    t_start : float, default 0.0
        Beginning of the recording [ms].
    neuron_ids : mapping of str to array_like, optional
        The recorded neurons of populations that are not recorded as a whole.
    buffer : int, default 131072
        Spikes kept in memory, 2 MB.

    Raises
    ------
    ParameterError
        If a name cannot be a population's, or neuron_ids has the wrong length.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "spikes.h5"
    >>> with SpikeWriter(path, {"exc": 3}) as writer:
    ...     writer.append([0.5, 1.0], [2, 0])
    ...     writer.append([1.5], [1])
    ...     writer.flush(t_stop=10.0)
    >>> SpikeTrains.from_sonata(path).rates()
    array([100., 100., 100.])
    """

    def __init__(
        self,
        path: str | Path,
        populations: Mapping[str, int],
        *,
        t_start: float = 0.0,
        neuron_ids: Mapping[str, ArrayLike] | None = None,
        buffer: int = 1 << 17,
    ) -> None:
        import h5py

        require_folder(path)
        self._prepare(path, dict.fromkeys(populations, float(t_start)), buffer)
        views = {
            name: int_vector(v, f"neuron_ids of {name!r}") for name, v in (neuron_ids or {}).items()
        }
        for name, n in populations.items():
            if name in views and len(views[name]) != n:
                raise ParameterError(
                    f"{path}: population {name!r} has n = {n} and {len(views[name])} neuron_ids."
                )
        with h5py.File(self.path, "w") as file:
            file.create_group("spikes")
            for name, n in populations.items():
                create_population(file, name, n, t_start, views.get(name))

    def _prepare(self, path: str | Path, last: dict[str, float], buffer: int) -> None:
        self.path = Path(path)
        self.closed = False
        self._buffer = buffer
        self._n_waiting = 0
        self._waiting: dict[str, list[tuple[FloatArray, IntArray]]] = {n: [] for n in last}
        self._last = last

    @classmethod
    def resume(cls, path: str | Path, t: float, *, buffer: int = 1 << 17) -> SpikeWriter:
        """Continue a file from time `t` [ms] on; later spikes that it has are removed.

        For a simulation that continues from a checkpoint older than the end of its recording.

        Raises
        ------
        FileNotFoundError, FileFormatError
            If the file is missing or damaged.
        """
        import h5py

        with opened(path, KIND) as file:
            spikes = group(file, "spikes", path)
            sources = {name: inspect_population(path, spikes, name)[0] for name in spikes}
        numbers = {name: source.search(t) for name, source in sources.items()}
        with h5py.File(path, "r+") as file:
            for name, number in numbers.items():
                for part in ("timestamps", "node_ids"):
                    file[f"spikes/{name}/{part}"].resize((number,))
                file[f"spikes/{name}"].attrs["t_stop"] = float(t)
        writer = object.__new__(cls)
        writer._prepare(path, dict.fromkeys(sources, float(t)), buffer)
        return writer

    def append(self, times: ArrayLike, ids: ArrayLike, population: str | None = None) -> None:
        """Add a block of spikes, none of them earlier than the last one of the block before.

        Parameters
        ----------
        times : (n_spikes,) array_like
            Times [ms], in any order within the block.
        ids : (n_spikes,) array_like of int
            The neuron of each spike.
        population : str, optional
            Needed only if the file has several.

        Raises
        ------
        ParameterError
            If lengths differ or the block begins before the end of the one before.
        SimulationError
            If the writer is closed.
        """
        name = self._name(population)
        new_times, new_ids = float_vector(times, "times"), int_vector(ids, "ids")
        if len(new_times) != len(new_ids):
            raise ParameterError(f"{self.path}: {len(new_times)} times and {len(new_ids)} ids.")
        if not len(new_times):
            return
        block = by_time(new_times.copy(), new_ids.copy())
        if block[0][0] < self._last[name]:
            raise ParameterError(
                f"{self.path}: a spike of {name!r} at {block[0][0]} ms comes after one at "
                f"{self._last[name]} ms was written; blocks must arrive in order of time."
            )
        self._waiting[name].append(block)
        self._last[name] = float(block[0][-1])
        self._n_waiting += len(new_times)
        if self._n_waiting >= self._buffer:
            self.flush()

    def _name(self, population: str | None) -> str:
        if self.closed:
            raise SimulationError(f"{self.path}: the writer is closed and takes no more spikes.")
        if population is None and len(self._waiting) == 1:
            return next(iter(self._waiting))
        if population not in self._waiting:
            raise unknown_name("population", population, self._waiting, str(self.path))
        return population

    def flush(self, t_stop: float | None = None) -> None:
        """Write what is in memory, and that the recording lasts until `t_stop` [ms]."""
        import h5py

        with h5py.File(self.path, "r+") as file:
            for name, blocks in self._waiting.items():
                target = file[f"spikes/{name}"]
                if blocks:
                    times, ids = (np.concatenate(part) for part in zip(*blocks, strict=True))
                    extend_population(target, times, ids)
                    blocks.clear()
                if t_stop is not None:
                    target.attrs["t_stop"] = float(t_stop)
        self._n_waiting = 0

    def spikes(self, population: str | None = None) -> SpikeTrains:
        """Flush, and return the trains written so far; they are read from the file on demand."""
        name = self._name(population)
        self.flush()
        return read_spikes(self.path, name)

    def close(self, t_stop: float | None = None) -> None:
        """Flush for the last time; closing twice does no harm."""
        if not self.closed:
            self.flush(t_stop)
            self.closed = True

    def __enter__(self) -> SpikeWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
