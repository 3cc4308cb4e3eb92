"""Spike trains in NWB 2 files, the archive format of DANDI (writing needs pynwb)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from neurosim.errors import FileFormatError, ParameterError, require
from neurosim.io._hdf5 import dataset, group, opened, signed, text
from neurosim.io.sonata import choose_population
from neurosim.results.spike_trains import SpikeTrains

KIND = "an NWB 2 file with a Units table"


def write_nwb(
    path: str | Path,
    spikes: SpikeTrains | Iterable[SpikeTrains],
    *,
    session_description: str = "spikes simulated with neurosim",
    identifier: str | None = None,
    session_start_time: datetime | None = None,
) -> None:
    """Write spike trains to a new NWB 2 file, one unit a neuron.

    Spike times are in seconds, as NWB demands; ``obs_intervals`` is the recorded interval, so
    that rates computed from the file are right. The columns ``population`` and ``neuron_id``
    say which neuron a unit is.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced.
    spikes : SpikeTrains or several
        The populations.
    session_description, identifier : str
        NWB's mandatory fields; a random identifier by default.
    session_start_time : datetime, optional
        With a time zone; now, by default.

    Raises
    ------
    MissingPackageError
        If pynwb is not installed.
    ParameterError
        If `session_start_time` has no time zone.
    """
    pynwb = require("pynwb", "nwb", "SpikeTrains.to_nwb")
    start = datetime.now(UTC) if session_start_time is None else session_start_time
    if start.tzinfo is None:
        raise ParameterError(f"session_start_time = {start} has no time zone.")
    populations = [spikes] if isinstance(spikes, SpikeTrains) else list(spikes)
    nwb = pynwb.NWBFile(
        session_description=session_description,
        identifier=identifier or str(uuid.uuid4()),
        session_start_time=start,
    )
    nwb.add_unit_column("population", "name of the population")
    nwb.add_unit_column("neuron_id", "number of the neuron within its population")
    for population in populations:
        times, first = population.by_neuron()
        interval = [[population.t_start / 1000.0, population.t_stop / 1000.0]]
        for k, neuron in enumerate(population.neuron_ids):
            nwb.add_unit(
                spike_times=times[first[k] : first[k + 1]] / 1000.0,
                obs_intervals=interval,
                population=population.name,
                neuron_id=int(neuron),
            )
    with pynwb.NWBHDF5IO(str(path), "w") as file:
        file.write(nwb)


def read_nwb(path: str | Path, population: str | None = None) -> SpikeTrains:
    """Read the units of an NWB 2 file; pynwb is not needed.

    Parameters
    ----------
    path : str or Path
    population : str, optional
        Needed only where the table has a column ``population`` with several.

    Returns
    -------
    SpikeTrains
        Times in ms. Neurons have their ``neuron_id``, or else are numbered in the table's
        order; the interval spans all ``obs_intervals``, or else ends at the last spike.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged or has no units.
    UnknownNameError, ParameterError
        If the population does not exist, or there are several and none was named.
    """
    with opened(path, KIND) as file:
        units = group(file, "units", path)
        times = dataset(units, "spike_times", path, kinds="f")[:] * 1000.0
        stop = signed(dataset(units, "spike_times_index", path)[:], path, "spike_times_index")
        names = [text(v) for v in units["population"][:]] if "population" in units else []
        ids = signed(units["neuron_id"][:], path, "neuron_id") if "neuron_id" in units else None
        bounds = units["obs_intervals"][:] * 1000.0 if "obs_intervals" in units else None
    size = np.diff(stop, prepend=0)
    if np.any(size < 0) or size.sum() != len(times) or (names and len(names) != len(stop)):
        raise FileFormatError(f"{path}: the columns of /units do not fit together.")
    populations = list(dict.fromkeys(names))
    if population is not None or len(populations) > 1:
        population = choose_population(path, populations, population)
        unit = np.flatnonzero([name == population for name in names])
    else:
        unit = np.arange(len(stop))
    neurons = np.arange(len(unit)) if ids is None else ids[unit]
    place = np.full(len(stop), -1)
    place[unit] = np.arange(len(unit))
    owner = place[np.repeat(np.arange(len(stop)), size)]
    try:
        return SpikeTrains(
            times[owner >= 0],
            neurons[owner[owner >= 0]],
            len(unit),
            t_start=0.0 if bounds is None else float(bounds.min()),
            t_stop=None if bounds is None else float(bounds.max()),
            name=population or (populations[0] if populations else "units"),
            neuron_ids=neurons,
        )
    except ParameterError as error:
        raise FileFormatError(f"{path}: {error}") from error
