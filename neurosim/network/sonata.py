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
    FileFormatError
        If something that SONATA prescribes is missing, or only some edges have a weight or delay.
    """
    import h5py

    path = Path(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read as an HDF5 file ({error}).") from error
    with file:
        group = _population(file, path, population)
        pre, post, type_id, group_id, group_index = (
            np.asarray(group[name][:]).astype(np.int64) for name in _REQUIRED
        )
        types = _read_types(edge_types)
        columns: dict[str, NDArray[np.float64]] = {}
        for name in ("syn_weight", "nsyns", "delay"):
            column = np.full(pre.size, np.nan)
            for edge_type, properties in types.items():
                column[type_id == edge_type] = properties.get(name, np.nan)
            for number in np.unique(group_id):
                dataset = f"{number}/{name}"
                if dataset in group:
                    chosen = group_id == number
                    column[chosen] = np.asarray(group[dataset][:])[group_index[chosen]]
            columns[name] = column
    weight = columns["syn_weight"] * np.where(np.isnan(columns["nsyns"]), 1.0, columns["nsyns"])
    values = {
        "weight": _complete(weight, "syn_weight", path),
        "delay": _complete(columns["delay"], "delay", path),
    }
    return pre, post, values


def _population(file: Any, path: Path, population: str | None) -> Any:
    if "edges" not in file:
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
    with open(path, newline="") as file:
        for row in csv.DictReader(file, delimiter=" ", skipinitialspace=True):
            if row.get("edge_type_id") is None:
                raise FileFormatError(f"{path}: no column edge_type_id.")
            types[int(row["edge_type_id"])] = {
                name: float(row[name])
                for name in ("syn_weight", "nsyns", "delay")
                if row.get(name) not in (None, "", "NULL")
            }
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
