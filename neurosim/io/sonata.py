"""Spikes in the SONATA format: HDF5 files that BlueBrain's and the Allen Institute's tools read.

``/spikes/<population>`` holds ``timestamps`` (float64, attribute ``units`` = "ms"), ``node_ids``
(uint64) and the attribute ``sorting``, an HDF5 enumeration. The number of neurons and the
recorded interval, which SONATA leaves out, are further attributes that other readers ignore:
``n_neurons``, ``t_start``, ``t_stop``; a recording of some neurons only adds the data set
``neuron_ids``.

Dai et al. (2020), PLoS Comput. Biol. 16:e1007696; github.com/AllenInstitute/sonata.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import FileFormatError, ParameterError, unknown_name
from neurosim.io._hdf5 import dataset, group, opened, require_folder, signed, text
from neurosim.results._arrays import FloatArray, IntArray
from neurosim.results.spike_trains import SpikeTrains

SORTING = {"none": 0, "by_id": 1, "by_time": 2}
KIND = "a SONATA spike file"
OLD_POPULATION = "spikes"  # files of the first draft have one nameless population
CHUNK = 1 << 16  # spikes in an HDF5 chunk, 0.5 MB
_MS = {"ms": 1.0, "milliseconds": 1.0, "millisecond": 1.0, "s": 1e3, "seconds": 1e3, "second": 1e3}


def sorting_type() -> Any:
    """Return the HDF5 type of the attribute ``sorting``; libsonata refuses plain strings."""
    import h5py

    return h5py.enum_dtype(SORTING, basetype="u1")


def create_population(
    file: Any, name: str, n: int, t_start: float, neuron_ids: IntArray | None
) -> Any:
    """Create the empty, resizable data sets of one population and return their group."""
    if not name or "/" in name or name == ".":
        raise ParameterError(f"{name!r} cannot be the name of a population in an HDF5 file.")
    target = file.create_group(f"spikes/{name}")
    target.attrs.create("sorting", SORTING["by_time"], dtype=sorting_type())
    target.attrs["n_neurons"] = np.int64(n)
    target.attrs["t_start"] = float(t_start)
    shape = {"shape": (0,), "maxshape": (None,), "chunks": (CHUNK,)}
    target.create_dataset("timestamps", dtype=np.float64, **shape).attrs["units"] = "ms"
    target.create_dataset("node_ids", dtype=np.uint64, **shape)
    if neuron_ids is not None and not np.array_equal(neuron_ids, np.arange(n)):
        target["neuron_ids"] = np.asarray(neuron_ids, np.uint64)
    return target


def extend_population(target: Any, times: FloatArray, ids: IntArray) -> None:
    """Write spikes behind those that the group already has."""
    old = target["timestamps"].shape[0]
    for name, values in (("timestamps", times), ("node_ids", ids.astype(np.uint64))):
        target[name].resize((old + len(values),))
        target[name][old:] = values


def write_spikes(path: str | Path, spikes: SpikeTrains | Iterable[SpikeTrains]) -> None:
    """Write spike trains to a new SONATA file; each one's name is its population's.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced once the new one is complete.
    spikes : SpikeTrains or several
        The populations.

    Raises
    ------
    ParameterError
        If two have the same name, or an id is negative.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "spikes.h5"
    >>> write_spikes(file, SpikeTrains([1.0, 2.0], [0, 1], n=2, t_stop=5.0, name="exc"))
    >>> read_spikes(file)
    SpikeTrains('exc': 2 spikes of 2 neurons, 0 to 5 ms)
    """
    import h5py

    populations = [spikes] if isinstance(spikes, SpikeTrains) else list(spikes)
    names = [p.name for p in populations]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"{path}: two populations are named {name!r}.")
    for population in populations:
        if population.n and population.neuron_ids.min() < 0:
            raise ParameterError(f"{path}: negative ids cannot be written to a SONATA file.")
    require_folder(path)
    aside = Path(path).with_name(Path(path).name + ".part")  # the spikes may come from `path`
    with h5py.File(aside, "w") as file:
        file.create_group("spikes")
        for population in populations:
            target = create_population(
                file, population.name, population.n, population.t_start, population.neuron_ids
            )
            for times, ids in population.blocks():
                extend_population(target, times, ids)
            target.attrs["t_stop"] = population.t_stop
    os.replace(aside, path)


def spike_populations(path: str | Path) -> list[str]:
    """Return the names of the populations in a SONATA spike file.

    Raises
    ------
    FileNotFoundError, FileFormatError
        If there is no such file, or it is no SONATA spike file.
    """
    with opened(path, KIND) as file:
        return _names(group(file, "spikes", path))


def _names(spikes: Any) -> list[str]:
    if "timestamps" in spikes:
        return [OLD_POPULATION]
    return list(spikes)


def read_spikes(
    path: str | Path,
    population: str | None = None,
    *,
    n: int | None = None,
    t_start: float | None = None,
    t_stop: float | None = None,
) -> SpikeTrains:
    """Open one population of a SONATA spike file.

    Of a file that neurosim wrote, spikes are read when they are first needed, and `window`
    reads the window only. The files of others are read at once. The layout of SONATA's first
    draft (``/spikes/gids``) is understood as well.

    Parameters
    ----------
    path : str or Path
    population : str, optional
        Needed only where the file holds several.
    n, t_start, t_stop : optional
        Number of neurons and recorded interval [ms], for files that do not say: by default the
        largest id plus one, 0 (or the first spike, if that is negative) and the last spike.

    Returns
    -------
    SpikeTrains

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged or lacks something; the message says what.
    UnknownNameError
        If it has no such population.
    ParameterError
        If it holds several and none was named.
    """
    with opened(path, KIND) as file:
        spikes = group(file, "spikes", path)
        name = choose_population(path, _names(spikes), population)
        source, attributes, neurons = inspect_population(path, spikes, name)
    known = int(attributes["n_neurons"]) if n is None and "n_neurons" in attributes else n
    start = float(attributes.get("t_start", 0.0)) if t_start is None else t_start
    stop = attributes.get("t_stop") if t_stop is None else t_stop
    if source.sorted and known is not None:
        if stop is None:
            last = source.read(max(source.n_spikes - 1, 0), source.n_spikes)[0]
            stop = last[0] if len(last) else start
        return SpikeTrains.from_source(
            source, known, t_start=start, t_stop=float(stop), name=name, neuron_ids=neurons
        )
    times, ids = source.read(0, source.n_spikes)
    if known is None:
        known = int(ids.max()) + 1 if len(ids) else 0
    if t_start is None and len(times):
        start = min(start, float(times.min()))
    try:
        return SpikeTrains(
            times, ids, known, t_start=start, t_stop=stop, name=name, neuron_ids=neurons
        )
    except ParameterError as error:
        raise FileFormatError(f"{path}: {error}") from error


def choose_population(path: str | Path, names: list[str], population: str | None) -> str:
    """Return the population that is meant: the named one, or the only one of the file."""
    if population is not None:
        if population not in names:
            raise unknown_name("population", population, names, str(path))
        return population
    if len(names) != 1:
        raise ParameterError(
            f"{path} holds {len(names)} populations ({', '.join(names) or 'none'}): name one."
        )
    return names[0]


def inspect_population(
    path: str | Path, spikes: Any, name: str
) -> tuple[SpikeFile, dict[str, Any], IntArray | None]:
    """Check the data sets of one population and return where and how to read them."""
    old = name == OLD_POPULATION and "timestamps" in spikes
    target = spikes if old else group(spikes, name, path)
    ids_name = "gids" if old else "node_ids"
    times = dataset(target, "timestamps", path, kinds="fiu")
    ids = dataset(target, ids_name, path)
    if times.shape != ids.shape:
        raise FileFormatError(
            f"{path}: {times.name} has {times.shape[0]} values and {ids.name} {ids.shape[0]}; "
            "every spike needs one of each."
        )
    unit = text(times.attrs.get("units", "ms"))
    if unit not in _MS:
        raise FileFormatError(f"{path}: {times.name} has the unit {unit!r}; ms is expected.")
    attributes = dict(target.attrs)
    neurons = None
    if "neuron_ids" in target:
        neurons = signed(dataset(target, "neuron_ids", path)[:], path, "neuron_ids")
    # Only our own files are trusted to be sorted by time: those of others may merely claim it.
    ordered = "n_neurons" in attributes and _sorting(attributes.get("sorting")) == "by_time"
    source = SpikeFile(Path(path), times.name, ids.name, times.shape[0], _MS[unit], ordered)
    return source, attributes, neurons


def _sorting(value: Any) -> str:
    if isinstance(value, int | np.integer):
        return {number: word for word, number in SORTING.items()}.get(int(value), "none")
    return {"time": "by_time"}.get(text(value), text(value))


class SpikeFile:
    """One population's spikes in a SONATA file, opened only while a stretch is read."""

    def __init__(
        self, path: Path, times: str, ids: str, n_spikes: int, scale: float, is_sorted: bool
    ) -> None:
        self.path = path
        self.n_spikes = n_spikes
        self.sorted = is_sorted
        self._times = times
        self._ids = ids
        self._scale = scale

    def read(self, start: int, stop: int) -> tuple[FloatArray, IntArray]:
        """Return times [ms] and ids of spikes `start` to `stop` (exclusive)."""
        with opened(self.path, KIND) as file:
            times = np.asarray(file[self._times][start:stop], np.float64) * self._scale
            ids = signed(file[self._ids][start:stop], self.path, self._ids)
        if not np.isfinite(times).all():
            raise FileFormatError(f"{self.path}: {self._times} holds values that are not finite.")
        return times, ids

    def search(self, time: float) -> int:
        """Return the number of spikes at or before `time` [ms], by bisection in the file."""
        with opened(self.path, KIND) as file:
            times = file[self._times]
            low, high = 0, self.n_spikes
            while high - low > CHUNK:
                middle = (low + high) // 2
                if times[middle] * self._scale <= time:
                    low = middle + 1
                else:
                    high = middle
            inside = np.asarray(times[low:high]) * self._scale
        return low + int(np.searchsorted(inside, time, side="right"))
