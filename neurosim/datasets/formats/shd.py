"""The HDF5 layout of the Spiking Heidelberg Digits and Spiking Speech Commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.formats._spike_file import SpikeFile
from neurosim.datasets.formats.structured import from_structured
from neurosim.errors import FileFormatError, ParameterError
from neurosim.io._hdf5 import dataset, text

_CHANNELS = 700


class ShdFile(SpikeFile):
    """An HDF5 file in the layout of SHD and SSC.

    ``spikes/times`` (s) and ``spikes/units`` (channels) have one entry of variable length a
    recording; ``labels`` the classes; ``extra/keys`` the names of classes; ``extra/speaker`` the
    speakers (SHD only).

    Parameters
    ----------
    path : str or Path
    n_channels : int, default 700
        Channels of the cochlea; a spike outside is an error.

    Attributes
    ----------
    labels : (n,) int64
        Class of each recording.
    speakers : (n,) int64 or None
        Speaker of each recording, None if the file does not say.
    classes : tuple of str
        Names of classes; empty if the file does not say.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no HDF5 file of this layout, or its parts have different lengths.

    Notes
    -----
    Source: Cramer et al. (2022), IEEE TNNLS 33:2744. The original files hold float16 times, which
    have a step of 0.5 ms between 0.5 and 1 s. An item costs one read of each of the two data
    sets, nothing is kept. Damage to HDF5's own structures is for the HDF5 library to find; some
    (1 in 300 random changes of bytes, HDF5 2.0) makes it crash or hang, so compare files from
    elsewhere with their hash first.
    """

    kind = "a file of the layout of SHD"

    def __init__(self, path: str | Path, *, n_channels: int = _CHANNELS) -> None:
        self.n_channels = _checked_channels(n_channels)
        self.labels: NDArray[np.int64] = np.empty(0, np.int64)
        self.speakers: NDArray[np.int64] | None = None
        self.classes: tuple[str, ...] = ()
        super().__init__(path)

    def _read_index(self, file: Any) -> int:
        spikes = {
            name: dataset(file, f"spikes/{name}", self.path, kinds="O")
            for name in ("times", "units")
        }
        labels = dataset(file, "labels", self.path)
        lengths = {name: found.shape[0] for name, found in spikes.items()}
        lengths["labels"] = labels.shape[0]
        if "extra/speaker" in file:
            speakers = dataset(file, "extra/speaker", self.path)
            lengths["extra/speaker"] = speakers.shape[0]
            self.speakers = speakers[()].astype(np.int64)
        if len(set(lengths.values())) != 1:
            raise FileFormatError(f"{self.path} is damaged: its parts differ in length: {lengths}.")
        self.labels = labels[()].astype(np.int64)
        if "extra/keys" in file:
            keys = dataset(file, "extra/keys", self.path, kinds="OSU")
            self.classes = tuple(text(key) for key in keys[()])
            largest = self.labels.max(initial=-1)
            if largest >= len(self.classes) or self.labels.min(initial=0) < 0:
                raise FileFormatError(
                    f"{self.path} is damaged: labels are {self.labels.min()} to {largest}, but "
                    f"there are {len(self.classes)} names of classes."
                )
        return len(self.labels)

    def _read_item(self, file: Any, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        return file["spikes/times"][index], file["spikes/units"][index]


def _checked_channels(n_channels: int) -> int:
    if not 0 < n_channels <= 1 << 15:
        raise ParameterError(f"n_channels = {n_channels}: 1 to 32768 channels are allowed.")
    return int(n_channels)


def read_shd(path: str | Path, *, n_channels: int = _CHANNELS) -> ShdFile:
    """Open an HDF5 file of SHD or SSC; see `ShdFile` for parameters and errors.

    Returns
    -------
    file : ShdFile
        ``len(file)`` recordings; ``file[i]`` reads one; ``file.labels``, ``file.classes``.
    """
    return ShdFile(path, n_channels=n_channels)


def write_shd(
    path: str | Path,
    recordings: Sequence[NDArray[Any]],
    labels: ArrayLike,
    *,
    classes: Sequence[str] = (),
    speakers: ArrayLike | None = None,
    times: str = "float32",
    n_channels: int = _CHANNELS,
) -> None:
    """Write recordings of spikes in the layout of SHD.

    Parameters
    ----------
    path : str or Path
    recordings : sequence of (n_spikes,) structured arrays
        Audio events: fields ``t`` [us] >= 0 and ``x``, the channel.
    labels : (n_recordings,) array_like of int
    classes : sequence of str, optional
        Names of classes.
    speakers : (n_recordings,) array_like of int, optional
    times : {"float32", "float16", "float64"}, default "float32"
        Type of the times [s]. float32 keeps every microsecond of recordings up to 8 s, float64 up
        to 285 years, float16 is that of the original files and keeps some 3 digits.
    n_channels : int, default 700

    Raises
    ------
    ParameterError
        If lengths differ, a channel or label lies outside, or a time is negative or too late.
    """
    import h5py

    _checked_channels(n_channels)
    if times not in ("float16", "float32", "float64"):
        raise ParameterError(f"write_shd: times = {times!r}; float16, float32 or float64.")
    tables = {"labels": np.asarray(labels)}
    if speakers is not None:
        tables["extra/speaker"] = np.asarray(speakers)
    for name, values in tables.items():
        if values.shape != (len(recordings),) or (values.size and values.dtype.kind not in "iu"):
            raise ParameterError(
                f"write_shd: {name} are {values.dtype} of shape {values.shape}; one whole number "
                f"for each of the {len(recordings)} recordings is expected."
            )
    known = tables["labels"]
    if classes and known.size and not 0 <= known.min() <= known.max() < len(classes):
        raise ParameterError(
            f"write_shd: labels are {known.min()} to {known.max()}, but there are "
            f"{len(classes)} classes."
        )
    columns = [_columns(events, i, times, n_channels) for i, events in enumerate(recordings)]
    with h5py.File(path, "w") as file:
        for number, (name, dtype) in enumerate((("times", times), ("units", "uint16"))):
            made = file.create_dataset(
                f"spikes/{name}", (len(columns),), h5py.vlen_dtype(np.dtype(dtype))
            )
            for i, pair in enumerate(columns):
                made[i] = pair[number]
        for name, values in tables.items():
            file.create_dataset(name, data=values.astype(np.uint16 if name == "labels" else int))
        if classes:
            file.create_dataset("extra/keys", data=[name.encode() for name in classes])


def _columns(
    events: NDArray[Any], i: int, times: str, n_channels: int
) -> tuple[NDArray[Any], NDArray[np.uint16]]:
    own = from_structured(events)
    if "y" in (own.dtype.names or ()):
        raise ParameterError(f"write_shd: recording {i} has a field y; audio has t and x only.")
    if own.size and not 0 <= own["x"].min() <= own["x"].max() < n_channels:
        raise ParameterError(
            f"write_shd: recording {i} has channels {own['x'].min()} to {own['x'].max()}; 0 to "
            f"{n_channels - 1} are allowed."
        )
    with np.errstate(over="ignore"):  # infinity is reported below
        seconds = (own["t"] * 1e-6).astype(times)
    if own.size and (own["t"].min() < 0 or not np.isfinite(seconds).all()):
        raise ParameterError(
            f"write_shd: recording {i} has times {own['t'].min()} to {own['t'].max()} us, which "
            f"{times} seconds >= 0 do not hold."
        )
    return seconds, own["x"].astype(np.uint16)
