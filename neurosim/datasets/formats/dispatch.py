"""Reading a recording whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from neurosim.datasets.formats._evt import encoding
from neurosim.datasets.formats._source import SensorSize, Source
from neurosim.datasets.formats.aedat2 import read_aedat2
from neurosim.datasets.formats.aedat3 import read_aedat3
from neurosim.datasets.formats.aedat4 import read_aedat4
from neurosim.datasets.formats.dat import read_dat
from neurosim.datasets.formats.evt2 import read_evt2
from neurosim.datasets.formats.evt3 import read_evt3
from neurosim.datasets.formats.nmnist import read_nmnist
from neurosim.datasets.formats.ntidigits import read_ntidigits
from neurosim.datasets.formats.shd import read_shd
from neurosim.datasets.formats.structured import Events
from neurosim.errors import FileFormatError, ParameterError

_VISION: dict[str, Callable[..., Events]] = {
    "nmnist": read_nmnist,
    "aedat2": read_aedat2,
    "aedat3": read_aedat3,
    "aedat4": read_aedat4,
    "dat": read_dat,
    "evt2": read_evt2,
    "evt3": read_evt3,
}
_AUDIO = ("shd", "ntidigits")
_BEGINNINGS = (
    (b"#!AER-DAT2.0", "aedat2"),
    (b"#!AER-DAT3.1", "aedat3"),
    (b"#!AER-DAT4.0", "aedat4"),
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_NMNIST_SUFFIXES = (".bin", ".bs2")


def event_format(path: str | Path) -> str:
    """Return the name of a file's format, from its first bytes or, failing that, its suffix.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    name : str
        ``aedat2 aedat3 aedat4 dat evt2 evt3 nmnist ntidigits shd``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the format is none of these.
    """
    source = Source(path, "a file of events")
    start = source.data[:16].tobytes()
    for beginning, name in _BEGINNINGS:
        if start.startswith(beginning):
            return name
    if start.startswith(_HDF5):
        return _hdf5_format(path)
    if start.startswith(b"%"):
        lines, _ = source.header(b"%")
        version = encoding(lines)
        if version in ("2.0", "3.0"):
            return "evt" + version[0]
        if version is None and (source.path.suffix == ".dat" or _states_data(lines)):
            return "dat"
    elif source.path.suffix.lower() in _NMNIST_SUFFIXES:
        return "nmnist"
    raise FileFormatError(
        f"{path} is in no known format of events; it begins with {start!r}. Known: AEDAT 2.0, "
        "3.1 and 4.0, Prophesee DAT, EVT 2.0 and 3.0 with their header, N-MNIST (.bin), SHD and "
        "N-TIDIGITS (HDF5). If you know the format, call its reader, such as read_evt3."
    )


def _states_data(lines: list[str]) -> bool:
    return any(line.lower().startswith("data file containing") for line in lines)


def _hdf5_format(path: str | Path) -> str:
    from neurosim.io._hdf5 import opened

    with opened(path, "an HDF5 file of spikes") as file:
        if "spikes" in file:
            return "shd"
        if "train_labels" in file or "test_labels" in file:
            return "ntidigits"
        raise FileFormatError(
            f"{path} is an HDF5 file, but of neither SHD's nor N-TIDIGITS' layout; it has "
            f"{', '.join(file) or 'nothing'}."
        )


def read_events(
    path: str | Path, *, item: int | None = None, sensor_size: SensorSize | None = None
) -> Events:
    """Read a recording of events of any known format.

    Parameters
    ----------
    path : str or Path
    item : int, optional
        Which recording; needed for files of many recordings (SHD, N-TIDIGITS' training part) and
        not allowed for others.
    sensor_size : (W, H) or (W, H, P), optional
        Pixels; default: what the file states (34 x 34 for N-MNIST).

    Returns
    -------
    events : (n_events,) structured array
        Vision: fields ``x y t p``; audio: ``t x p``.

    Raises
    ------
    FileNotFoundError, FileFormatError, IndexError
        As the format's own reader; also if the format is not known.
    ParameterError
        If `item` is missing or not allowed.
    """
    name = event_format(path)
    if name in _AUDIO:
        if item is None:
            raise ParameterError(
                f"read_events: {path} holds many recordings; choose one with item=, or open it "
                f"with read_{name}."
            )
        with read_shd(path) if name == "shd" else read_ntidigits(path) as file:
            return file[item]
    if item is not None:
        raise ParameterError(f"read_events: {path} holds one recording; item = {item} has no use.")
    if sensor_size is None:
        return _VISION[name](path)
    return _VISION[name](path, sensor_size=sensor_size)
