"""Nested dicts of arrays and plain values in HDF5: groups, datasets and JSON attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosim.errors import FileFormatError


def write_tree(group: Any, tree: Mapping[Any, Any]) -> None:
    """Write a nested dict into an HDF5 group.

    Parameters
    ----------
    group : h5py.Group
        Where to write.
    tree : mapping
        Values are mappings, lists of mappings, arrays, tuples of arrays, or what JSON can hold
        (numbers may be infinite). Keys are strings or integers.
    """
    plain: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{key}" if isinstance(key, str) else f"#{key}"
        if isinstance(value, Mapping):
            write_tree(group.create_group(f"{name}"), value)
        elif isinstance(value, np.ndarray):
            group.create_dataset(name, data=value)
        elif isinstance(value, list | tuple) and any(
            isinstance(v, Mapping | np.ndarray) for v in value
        ):
            inner = group.create_group(name)
            inner.attrs["sequence"] = len(value)
            write_tree(inner, dict(enumerate(value)))
        else:
            plain[name] = value
    group.attrs["json"] = json.dumps(plain, default=_plain)


def read_tree(group: Any) -> dict[Any, Any]:
    """Return the nested dict that `write_tree` wrote; sequences become lists."""
    import h5py

    if "json" not in group.attrs:
        raise FileFormatError(
            f"{group.file.filename}: group {group.name} was not written by neurosim."
        )
    tree = {_key(k): v for k, v in json.loads(group.attrs["json"]).items()}
    for name, item in group.items():
        if isinstance(item, h5py.Dataset):
            tree[_key(name)] = item[()]
        elif "sequence" in item.attrs:
            inner = read_tree(item)
            tree[_key(name)] = [inner[k] for k in range(int(item.attrs["sequence"]))]
        else:
            tree[_key(name)] = read_tree(item)
    return tree


def _key(name: str) -> str | int:
    return int(name[1:]) if name.startswith("#") else name


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot store {value!r} of {type(value).__name__}")
