"""N-MNIST: the digits of MNIST seen by a moving event camera."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.datasets.formats.nmnist import read_nmnist
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.datasets.sets.base import Dataset, FileSet, check_option
from neurosim.datasets.sets.remote import Piece
from neurosim.errors import FileFormatError

SENSOR = (34, 34, 2)
DIGITS = tuple("0123456789")
_PLACE = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
#: Mendeley Data, doi:10.17632/468j46mzdv.1; MD5 is the only sum that is published.
PIECES = {
    "train": Piece(
        names=("Train", "train"),
        file="Train.zip",
        urls=(
            _PLACE + "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
            "https://www.dropbox.com/sh/tg2ljlbmtzygrag/AABlMOuR15ugeOxMCX0Pvoxga/Train.zip?dl=1",
        ),
        member="Train",
        md5="20959b8e626244a1b502305a9e6e2031",
    ),
    "test": Piece(
        names=("Test", "test"),
        file="Test.zip",
        urls=(
            _PLACE + "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
            "https://www.dropbox.com/sh/tg2ljlbmtzygrag/AADSKgJ2CjaBWh75HnTNZyhca/Test.zip?dl=1",
        ),
        member="Test",
        md5="69ca8762b2fe404d9b9bad1103e97832",
    ),
}


class NMNIST(FileSet):
    """N-MNIST, 60,000 recordings to train and 10,000 to test, 34 x 34 pixels, about 300 ms each.

    Parameters
    ----------
    root : str or Path
        Folder with ``Train/0/*.bin`` ... ``Train/9/*.bin`` and ``Test/...``.
    split : {"train", "test"}, default "train"
    download : bool, default False
        Fetch and unpack what is missing.
    transform, target_transform : callable, optional
        Applied to the events and to the digit.

    Attributes
    ----------
    files : list of Path
        One a recording, by class and name.

    Raises
    ------
    FileNotFoundError
        If files are missing and not downloaded.
    FileFormatError
        If a recording is damaged (when it is read), or there is none.

    Notes
    -----
    Orchard, Jayawant, Cohen, Thakor 2015, Front. Neurosci. 9:437; CC BY-SA 4.0. Three saccades.
    """

    layout = "Train/0/*.bin ... Train/9/*.bin and Test/0/*.bin ... Test/9/*.bin"
    sensor_size = SENSOR
    classes = DIGITS
    dtype = VISION

    def _open(self, root: Path, split: str, download: bool) -> tuple[ArrayLike, tuple[Path, ...]]:
        (folder,) = self._locate(root, [PIECES[split]], download)
        self.files, targets = class_files("NMNIST", folder, DIGITS, "*.bin")
        return targets, tuple(self.files)

    def read(self, index: int) -> Events:
        """Return the events of recording `index`."""
        return read_nmnist(self.files[index])


class SmallNMNIST(Dataset):
    """Recordings of N-MNIST in one npz file, such as the first 1,000 + 100 of the set.

    Parameters
    ----------
    path : str or Path
        The file: arrays ``t x y p`` of all events, ``offsets`` (n + 1; recording k is
        ``offsets[k]:offsets[k + 1]``), ``labels`` and ``split`` (0 train, 1 test).
    split : {"train", "test"}, default "train"
    transform, target_transform : callable, optional
        Applied to the events and to the digit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is no npz file with these arrays, or they do not agree.

    Notes
    -----
    Accuracies of the full set (98 to 99 %) do not apply to so few recordings.
    """

    dtype = VISION

    def __init__(
        self,
        path: str | Path,
        split: str = "train",
        *,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        check_option("SmallNMNIST", "split", split, ("train", "test"))
        arrays = _arrays(Path(path))
        chosen = np.flatnonzero(arrays["split"] == ("train", "test").index(split))
        self._starts = arrays["offsets"][chosen]
        self._ends = arrays["offsets"][chosen + 1]
        self._columns = {name: arrays[name] for name in "xytp"}
        super().__init__(
            arrays["labels"][chosen],
            sensor_size=SENSOR,
            classes=DIGITS,
            transform=transform,
            target_transform=target_transform,
            options={"split": split},
            files=(Path(path),),
        )

    def read(self, index: int) -> Events:
        """Return the events of recording `index`."""
        part = slice(self._starts[index], self._ends[index])
        events = np.empty(part.stop - part.start, VISION)
        for name, column in self._columns.items():
            events[name] = column[part]
        return events


def _arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a SmallNMNIST file, checked against each other."""
    if not path.is_file():
        raise FileNotFoundError(
            f"SmallNMNIST: {path} is not a file. Give the npz file with arrays t, x, y, p, "
            "offsets, labels, split; the full set is NMNIST."
        )
    names = ("t", "x", "y", "p", "offsets", "labels", "split")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in names}
    except Exception as error:  # zip, npy and zlib each raise their own
        raise FileFormatError(
            f"{path} is damaged or no npz file with the arrays {', '.join(names)} ({error}). If it "
            "was copied or fetched, do so again."
        ) from error
    n, events = arrays["labels"].size, arrays["t"].size
    offsets = arrays["offsets"]
    agree = (
        all(arrays[name].shape == (events,) for name in "xytp")
        and offsets.shape == (n + 1,)
        and arrays["split"].shape == (n,)
        and offsets[0] == 0
        and offsets[-1] == events
        and (np.diff(offsets) >= 0).all()
    )
    if not agree:
        raise FileFormatError(f"{path}: offsets, labels, split and events do not fit together.")
    return arrays


def class_files(
    owner: str, folder: Path, classes: tuple[str, ...], pattern: str
) -> tuple[list[Path], list[int]]:
    """Return the files below a folder a class, by class and name, and their targets.

    Raises
    ------
    FileFormatError
        If a class has no file.
    """
    files: list[Path] = []
    targets: list[int] = []
    for target, name in enumerate(classes):
        found = sorted((folder / name).glob(pattern))
        if not found:
            raise FileFormatError(
                f"{owner}: {folder / name} has no file {pattern}; each of the {len(classes)} "
                "classes needs some. Is the folder complete?"
            )
        files += found
        targets += [target] * len(found)
    return files, targets
