"""Spike trains as CSV text, NumPy archives and pandas tables."""

from __future__ import annotations

import csv
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import FileFormatError, ParameterError, require
from neurosim.results.spike_trains import SpikeTrains

HEADER = ["time_ms", "neuron_id"]
NPZ_KEYS = ("times", "ids", "neuron_ids", "t_start", "t_stop", "name")


def spikes_to_pandas(spikes: SpikeTrains) -> Any:
    """Return a tidy DataFrame with the columns time [ms], neuron and population."""
    pandas = require("pandas", "analysis", "SpikeTrains.to_pandas")
    frame = pandas.DataFrame({"time": spikes.times, "neuron": spikes.ids})
    frame["population"] = pandas.Categorical([spikes.name]).repeat(len(frame))
    return frame


def write_spikes_csv(path: str | Path, spikes: SpikeTrains) -> None:
    """Write the header ``time_ms,neuron_id`` and a line for each spike, no digit lost.

    Text has no place for silent neurons and the recorded interval: npz and SONATA keep them.
    """
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write(",".join(HEADER) + "\n")
        for times, ids in spikes.blocks():
            rows = zip(times.tolist(), ids.tolist(), strict=True)
            file.writelines(f"{time!r},{neuron}\n" for time, neuron in rows)


def read_spikes_csv(
    path: str | Path,
    *,
    n: int | None = None,
    t_start: float = 0.0,
    t_stop: float | None = None,
    name: str = "spikes",
) -> SpikeTrains:
    """Read spikes from CSV text: ours, or SONATA's (``timestamps population node_ids``).

    Parameters
    ----------
    path : str or Path
    n : int, optional
        Number of neurons; by default the largest id plus one.
    t_start, t_stop : float, optional
        The recorded interval [ms]; by default 0 to the last spike.
    name : str
        Name of the population; of a file in SONATA's layout only its spikes are read, unless
        the file has only one population.

    Returns
    -------
    SpikeTrains

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If a line cannot be understood; the message has its number.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} is not a text file: {error}") from error
    header = lines[0].replace(",", " ").split() if lines else []
    if header == HEADER:
        pairs = [(number, _fields(path, number, line, ",", 2)) for number, line in _body(lines)]
        rows = [(number, fields[0], fields[1]) for number, fields in pairs]
    elif header == ["timestamps", "population", "node_ids"]:
        rows, name = _sonata_rows(path, lines, name)
    else:
        raise FileFormatError(
            f"{path}, line 1: the header {','.join(HEADER)} is expected, found "
            f"{(lines[0][:60] if lines else 'an empty file')!r}."
        )
    times, ids = np.empty(len(rows)), np.empty(len(rows), np.int64)
    for k, (number, time, neuron) in enumerate(rows):
        try:
            times[k], ids[k] = float(time), int(neuron)
        except (ValueError, OverflowError) as error:
            raise FileFormatError(f"{path}, line {number}: {error}") from error
    try:
        size = n if n is not None else (max(int(ids.max()) + 1, 0) if len(ids) else 0)
        return SpikeTrains(times, ids, size, t_start=t_start, t_stop=t_stop, name=name)
    except ParameterError as error:
        raise FileFormatError(f"{path}: {error}") from error


def _body(lines: list[str]) -> list[tuple[int, str]]:
    return [(k, line) for k, line in enumerate(lines[1:], start=2) if line.strip()]


def _fields(path: str | Path, number: int, line: str, separator: str, expected: int) -> list[str]:
    fields = next(csv.reader([line], delimiter=separator))
    if len(fields) != expected:
        raise FileFormatError(
            f"{path}, line {number}: {expected} fields are expected, found {line[:60]!r}."
        )
    return fields


def _sonata_rows(
    path: str | Path, lines: list[str], name: str
) -> tuple[list[tuple[int, str, str]], str]:
    split = [(number, _fields(path, number, line, " ", 3)) for number, line in _body(lines)]
    populations = sorted({fields[1] for _, fields in split})
    chosen = populations[0] if len(populations) == 1 else name
    if populations and chosen not in populations:
        raise FileFormatError(
            f"{path} holds the populations {', '.join(populations)}: give one as name."
        )
    return [(k, fields[0], fields[2]) for k, fields in split if fields[1] == chosen], chosen


def write_spikes_npz(path: str | Path, spikes: SpikeTrains) -> None:
    """Write a compressed NumPy archive with everything that the trains hold."""
    with open(path, "wb") as file:  # given a name, NumPy would append ".npz" to it
        np.savez_compressed(
            file,
            times=spikes.times,
            ids=spikes.ids,
            neuron_ids=spikes.neuron_ids,
            t_start=np.float64(spikes.t_start),
            t_stop=np.float64(spikes.t_stop),
            name=np.array(spikes.name),
        )


def read_spikes_npz(path: str | Path) -> SpikeTrains:
    """Read what `write_spikes_npz` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the archive is damaged or lacks an array; the message says which.
    """
    broken = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error,
              NotImplementedError, RuntimeError)  # fmt: skip
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        # NumPy leaves a file that it opened itself open when it fails.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            stored = {key: archive[key] for key in getattr(archive, "files", [])}
    except (*broken, AttributeError, TypeError) as error:
        raise FileFormatError(f"{path} is not a readable NumPy archive: {error}") from error
    missing = [key for key in NPZ_KEYS if key not in stored]
    if missing:
        raise FileFormatError(f"{path} is no spike archive: it has no {', '.join(missing)}.")
    try:
        return SpikeTrains(
            stored["times"], stored["ids"], len(stored["neuron_ids"]),
            t_start=float(stored["t_start"]), t_stop=float(stored["t_stop"]),
            name=str(stored["name"]), neuron_ids=stored["neuron_ids"],
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from error
