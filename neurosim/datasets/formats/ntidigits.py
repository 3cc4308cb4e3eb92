"""The HDF5 layout of N-TIDIGITS: spoken digits heard by a silicon cochlea of 64 channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurosim.datasets.formats._spike_file import SpikeFile
from neurosim.errors import FileFormatError, ParameterError
from neurosim.io._hdf5 import dataset, group, text

_PARTS = ("train", "test")
_DIGITS = frozenset("oz123456789")


class NTidigitsFile(SpikeFile):
    """One part of an N-TIDIGITS file.

    ``train_labels`` holds keys such as ``man-im-a-7557`` (speaker's group, speaker, take, spoken
    digits); ``train_timestamps/<key>`` and ``train_addresses/<key>`` times [s] and channels; the
    same for ``test``.

    Parameters
    ----------
    path : str or Path
    part : {"train", "test"}, default "train"

    Attributes
    ----------
    keys : tuple of str
        One a recording.
    digits : tuple of str
        What is said: one or more of ``1`` to ``9``, ``z`` (zero) and ``o`` (oh).
    speakers : tuple of str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no HDF5 file of this layout, or a key cannot be understood.
    ParameterError
        If `part` is none.

    Notes
    -----
    Source: Anumula et al. (2018), Front. Neurosci. 12:23, and the data set's own description. An
    item costs one read of each of the two data sets, nothing is kept.
    """

    kind = "an N-TIDIGITS file"
    n_channels = 64

    def __init__(self, path: str | Path, part: str = "train") -> None:
        if part not in _PARTS:
            raise ParameterError(f"N-TIDIGITS: part = {part!r}; 'train' or 'test' is expected.")
        self.part = part
        self.keys: tuple[str, ...] = ()
        self.digits: tuple[str, ...] = ()
        self.speakers: tuple[str, ...] = ()
        super().__init__(path)

    def _read_index(self, file: Any) -> int:
        name = f"{self.part}_labels"
        keys = tuple(text(key) for key in dataset(file, name, self.path, kinds="OSU")[()])
        for kind in ("timestamps", "addresses"):
            group(file, f"{self.part}_{kind}", self.path)
        fields = [key.split("-") for key in keys]
        for i, (key, parts) in enumerate(zip(keys, fields, strict=True)):
            if len(parts) != 4 or not parts[3] or not set(parts[3]) <= _DIGITS:
                raise FileFormatError(
                    f"{self.path}: {name}[{i}] is {key!r}; a key such as 'man-im-a-7557' (group, "
                    "speaker, take, digits 1-9, z, o) is expected."
                )
        self.keys = keys
        self.digits = tuple(parts[3] for parts in fields)
        self.speakers = tuple(parts[1] for parts in fields)
        return len(keys)

    def _read_item(self, file: Any, index: int) -> tuple[Any, Any]:
        key = self.keys[index]
        columns = []
        for kind, kinds in (("timestamps", "f"), ("addresses", "iuf")):
            parent = group(file, f"{self.part}_{kind}", self.path)
            columns.append(dataset(parent, key, self.path, kinds=kinds)[()])
        times, channels = columns
        return times, self._whole(channels, index)

    def _whole(self, channels: Any, index: int) -> Any:
        """Return channels that may be stored with a fraction of zero as whole numbers."""
        if channels.dtype.kind != "f":
            return channels
        whole = (channels >= 0) & (channels < self.n_channels) & (channels % 1 == 0)
        if not whole.all():
            bad = channels[~whole][0]
            raise FileFormatError(
                f"{self.path} is damaged: recording {index} has channel {bad}; 0 to "
                f"{self.n_channels - 1} are expected."
            )
        return channels.astype("int64")


def read_ntidigits(path: str | Path, part: str = "train") -> NTidigitsFile:
    """Open a part of an N-TIDIGITS file; see `NTidigitsFile` for parameters and errors.

    Returns
    -------
    file : NTidigitsFile
        ``len(file)`` recordings; ``file[i]`` reads one; ``file.digits``, ``file.speakers``.
    """
    return NTidigitsFile(path, part)
