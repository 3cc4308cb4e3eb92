"""Files of NIR."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurosim.errors import FileFormatError, require


def read_graph(path: str | Path) -> Any:
    """Read a graph from a file, node by node, without checking its types.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    graph : nir.NIRGraph

    Raises
    ------
    FileNotFoundError
        If there is no file.
    FileFormatError
        If it is damaged or no NIR; the node is named.
    MissingPackageError
        If nir is not installed.
    """
    nir: Any = require("nir", "nir", "load_nir")
    h5py: Any = require("h5py", "nir", "load_nir")
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        with h5py.File(path, "r") as file:
            content = nir.serialization.hdf2dict(file)
    except OSError as error:
        raise FileFormatError(f"{path}: not a NIR (HDF5) file, or damaged: {error}.") from error
    root = content.get("node")
    if not isinstance(root, dict) or root.get("type") != "NIRGraph":
        raise FileFormatError(f"{path}: no graph in it (/node of type NIRGraph); is it a NIR file?")
    return _graph(nir, str(path), "", root)


def _graph(nir: Any, path: str, name: str, content: Mapping[str, Any]) -> Any:
    where = f"{path}: graph {name!r}" if name else path
    if not isinstance(content.get("nodes"), dict) or "edges" not in content:
        raise FileFormatError(f"{where}: a graph needs 'nodes' and 'edges'.")
    nodes = {}
    for key, node in content["nodes"].items():
        full = f"{name}.{key}" if name else key
        kind = node.get("type") if isinstance(node, dict) else None
        if kind == "NIRGraph":
            nodes[key] = _graph(nir, path, full, node)
            continue
        if not isinstance(kind, str) or kind not in nir.ir.__all__:
            raise FileFormatError(
                f"{path}: node {full!r} has the type {kind!r}, which nir {nir.version} does not "
                "know."
            )
        try:
            nodes[key] = nir.dict2NIRNode(dict(node))
        except (AssertionError, KeyError, TypeError, ValueError, IndexError) as error:
            raise FileFormatError(
                f"{path}: node {full!r} ({kind}) cannot be read: {type(error).__name__}: {error}."
            ) from error
    try:
        edges = [(_text(a), _text(b)) for a, b in content["edges"]]
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{where}: 'edges' are not pairs of names.") from error
    metadata = dict(content.get("metadata", {}))
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
