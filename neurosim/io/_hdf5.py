"""Opening HDF5 files of others: whatever is wrong with one becomes a `FileFormatError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import FileFormatError, NeurosimError

# A compressed data set may unfold, but not a file's few bytes to more than this many times more.
LARGEST_EXPANSION = 2000


@contextmanager
def opened(path: str | Path, kind: str) -> Iterator[Any]:
    """Open an HDF5 file for reading; errors inside the block name the file and what it should be.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no HDF5 file, is damaged, or lacks something that the block reads.
    """
    import h5py

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except NeurosimError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path} cannot be read as {kind}: {_first_line(error)}") from error


def require_folder(path: str | Path) -> None:
    """Raise an error that names the remedy if a file of this name cannot be made.

    Raises
    ------
    IsADirectoryError
        If the path is a folder.
    FileNotFoundError
        If it lies in a folder that does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first.")


def _first_line(error: Exception) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.splitlines()[0] if text else type(error).__name__


def group(parent: Any, name: str, path: str | Path) -> Any:
    """Return a group, or raise an error that says which one is missing from the file."""
    import h5py

    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise FileFormatError(
            f"{path} has no group {_join(parent, name)}; found in {parent.name}: "
            f"{', '.join(parent) or 'nothing'}."
        )
    return found


def dataset(parent: Any, name: str, path: str | Path, *, ndim: int = 1, kinds: str = "iu") -> Any:
    """Return a data set of the given number of dimensions and kinds of dtype, not yet read."""
    import h5py

    found = parent.get(name)
    where = _join(parent, name)
    if not isinstance(found, h5py.Dataset):
        raise FileFormatError(
            f"{path} has no data set {where}; found in {parent.name}: "
            f"{', '.join(parent) or 'nothing'}."
        )
    if found.shape is None or len(found.shape) != ndim or found.dtype.kind not in kinds:
        raise FileFormatError(
            f"{path}: {where} has shape {found.shape} and dtype {found.dtype}; {ndim} "
            f"dimension(s) of {'numbers' if 'f' in kinds else 'whole numbers'} are expected."
        )
    n_bytes = found.size * found.dtype.itemsize
    if n_bytes > LARGEST_EXPANSION * Path(path).stat().st_size:
        raise FileFormatError(
            f"{path} is damaged: {where} claims {found.size} values, more than a file of "
            f"{Path(path).stat().st_size} bytes can hold."
        )
    return found


def signed(values: NDArray[Any], path: str | Path, where: str) -> NDArray[np.int64]:
    """Return ids as int64; ids above 2^63 - 1 mean a damaged file."""
    if values.size and int(values.max()) > np.iinfo(np.int64).max:
        raise FileFormatError(f"{path}: {where} holds {values.max()}, which is no neuron's id.")
    return values.astype(np.int64)


def text(value: Any) -> str:
    """Return an attribute as text, whether the file has it as bytes or as a string."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _join(parent: Any, name: str) -> str:
    return f"{str(parent.name).rstrip('/')}/{name}"
