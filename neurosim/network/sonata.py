"""Reading synapses from SONATA edges files.

Format: SONATA developer guide (https://github.com/AllenInstitute/sonata), "Edges". Properties of
an edge are looked up in its group in the HDF5 file first, then by its type in the CSV file.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import FileFormatError

_REQUIRED = (
    "source_node_id",
    "target_node_id",
    "edge_type_id",
    "edge_group_id",
    "edge_group_index",
)


def read_edges(
    path: str | Path, population: str | None = None, edge_types: str | Path | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.float64] | None]]:
    """Read one edge population.

    Parameters
    ----------
    path : path
        The edges file.
    population : str, optional
        Edge population; may be left out if the file has one.
    edge_types : path, optional
        The edge types file (CSV, separated by spaces).

    Returns
    -------
    pre, post : (n_edges,) int64
        Source and target node ids.
    values : dict
        ``"weight"`` and ``"delay"`` [ms], each (n_edges,) float64, or None if no edge has one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If something that SONATA prescribes is missing, or only some edges have a weight or delay.
    """
    import h5py

    path = Path(path)
    for given in (path, edge_types):
        if given is not None and not Path(given).is_file():
            raise FileNotFoundError(f"{given}: there is no such file.")
    types = _read_types(edge_types)
    try:
        with h5py.File(path, "r") as file:
            pre, post, columns = _read_population(_population(file, path, population), path, types)
    except FileFormatError:
        raise
    except (OSError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise FileFormatError(
            f"{path}: cannot be read as a SONATA edges file ({reason})."
        ) from error
    weight = columns["syn_weight"] * np.where(np.isnan(columns["nsyns"]), 1.0, columns["nsyns"])
    values = {
        "weight": _complete(weight, "syn_weight", path),
        "delay": _complete(columns["delay"], "delay", path),
    }
    return pre, post, values


def _read_population(
    group: Any, path: Path, types: dict[int, dict[str, float]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Return source and target ids, and for each property a column with NaN where it is missing."""
    ids = [_whole_numbers(group[name], path) for name in _REQUIRED]
    pre, post, type_id, group_id, group_index = ids
    sizes = {name: column.size for name, column in zip(_REQUIRED, ids, strict=True)}
    if len(set(sizes.values())) > 1:
        raise FileFormatError(f"{path}: {group.name} has columns of unequal length: {sizes}.")
    columns: dict[str, NDArray[np.float64]] = {}
    for name in ("syn_weight", "nsyns", "delay"):
        column = np.full(pre.size, np.nan)
        for edge_type, properties in types.items():
            column[type_id == edge_type] = properties.get(name, np.nan)
        for number in np.unique(group_id):
            dataset = f"{number}/{name}"
            if dataset in group:
                chosen = group_id == number
                column[chosen] = _entries(group[dataset], group_index[chosen], path)
        columns[name] = column
    return pre, post, columns


def _whole_numbers(dataset: Any, path: Path) -> NDArray[np.int64]:
    values = np.asarray(dataset[:])
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise FileFormatError(
            f"{path}: {dataset.name} has shape {values.shape} and type {values.dtype}; a flat "
            "list of whole numbers is needed."
        )
    return values.astype(np.int64)


def _entries(dataset: Any, index: NDArray[np.int64], path: Path) -> NDArray[np.float64]:
    values = np.asarray(dataset[:], np.float64)
    outside = (index < 0) | (index >= values.size)
    if outside.any():
        raise FileFormatError(
            f"{path}: edge_group_index {index[outside][0]} lies outside {dataset.name}, which has "
            f"{values.size} values."
        )
    return values[index]


def _population(file: Any, path: Path, population: str | None) -> Any:
    if not hasattr(file.get("edges"), "keys"):
        raise FileFormatError(f"{path}: no group /edges; this is not a SONATA edges file.")
    names = list(file["edges"])
    if population is None:
        if len(names) != 1:
            raise FileFormatError(
                f"{path} holds {len(names)} edge populations ({', '.join(names)}); name one."
            )
        population = names[0]
    if population not in names:
        raise FileFormatError(
            f"{path} has no edge population {population!r}. Populations: {', '.join(names)}."
        )
    group = file["edges"][population]
    missing = [name for name in _REQUIRED if name not in group]
    if missing:
        raise FileFormatError(f"{path}: /edges/{population} lacks {', '.join(missing)}.")
    return group


def _read_types(path: str | Path | None) -> dict[int, dict[str, float]]:
    """Return the numeric weight, number and delay of each edge type."""
    if path is None:
        return {}
    types: dict[int, dict[str, float]] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter=" ", skipinitialspace=True):
                if row.get("edge_type_id") is None:
                    raise FileFormatError(f"{path}: no column edge_type_id.")
                types[int(row["edge_type_id"])] = {
                    name: float(row[name])
                    for name in ("syn_weight", "nsyns", "delay")
                    if row.get(name) not in (None, "", "NULL")
                }
    except FileFormatError:
        raise
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise FileFormatError(f"{path}: cannot be read as edge types ({error}).") from error
    return types


def _complete(column: NDArray[np.float64], name: str, path: Path) -> NDArray[np.float64] | None:
    missing = int(np.isnan(column).sum())
    if missing == column.size:
        return None
    if missing:
        raise FileFormatError(
            f"{path}: {missing} of {column.size} edges have no {name}. "
            "Pass edge_types= if it stands in the edge types file."
        )
    return column
