"""N-TIDIGITS: spoken digits heard by a silicon cochlea."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from neurosim.datasets.formats.ntidigits import read_ntidigits
from neurosim.datasets.formats.structured import AUDIO, Events
from neurosim.datasets.sets.base import FileSet
from neurosim.datasets.sets.remote import Piece

#: Dropbox folder of the authors and its former mirror; only this MD5 sum was ever published.
PIECE = Piece(
    names=("n-tidigits.hdf5",),
    file="n-tidigits.hdf5",
    urls=(
        "https://www.dropbox.com/scl/fi/1x4lxt9yyw25sc3tez8oi/n-tidigits.hdf5"
        "?e=2&rlkey=w8gi5udvib2zqzosusa5tr3wq&dl=1",
        "https://www.neuromorphic-vision.com/public/downloads/n-tidigits.hdf5",
    ),
    md5="360a2d11e5429555c9197381cf6b58e0",
)
_CLASSES = ("z", "1", "2", "3", "4", "5", "6", "7", "8", "9", "o")


class NTIDIGITS(FileSet):
    """Single digits of N-TIDIGITS18: 11 classes, 64 channels, 2,464 to train and 2,486 to test.

    The file's recordings of several digits are left out; `neurosim.datasets.read_ntidigits` has
    them.

    Parameters
    ----------
    root : str or Path
        Folder with ``n-tidigits.hdf5``, or the file.
    split : {"train", "test"}, default "train"
        The speakers differ. For validation use ``split(data, groups=data.speakers, ...)``.
    download : bool, default False
        Fetch the file if it is missing. It has moved before: if all places fail, the error lists
        them.
    transform, target_transform : callable, optional
        Applied to the events and to the class: 0 zero, 1 to 9, 10 oh.

    Attributes
    ----------
    speakers : (n,) int64
        A number a speaker, by the sorted names of the split.

    Raises
    ------
    FileNotFoundError
        If the file is missing and not downloaded.
    FileFormatError
        If it is damaged.

    Notes
    -----
    Anumula, Neil, Delbruck, Liu 2018, Front. Neurosci. 12:23 (CochleaAMS1b, one ear).
    """

    layout = "n-tidigits.hdf5"
    classes = _CLASSES
    dtype = AUDIO

    def _open(self, root: Path, split: str, download: bool) -> tuple[ArrayLike, tuple[Path, ...]]:
        path = root if root.is_file() else self._locate(root, [PIECE], download)[0]
        self._recordings = read_ntidigits(path, split)
        digits = self._recordings.digits
        self._single = np.array([i for i, said in enumerate(digits) if len(said) == 1], np.int64)
        names = [self._recordings.speakers[i] for i in self._single]
        number = {name: i for i, name in enumerate(sorted(set(names)))}
        self.speakers = np.array([number[name] for name in names], np.int64)
        self.sensor_size = (self._recordings.n_channels, 1, 1)
        return [_CLASSES.index(digits[i]) for i in self._single], (path,)

    def read(self, index: int) -> Events:
        """Return the spikes of recording `index`, in the order of the file."""
        return self._recordings[int(self._single[index])]
