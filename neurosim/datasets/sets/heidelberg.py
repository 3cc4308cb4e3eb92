"""Spiking Heidelberg Digits and Spiking Speech Commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.formats.shd import read_shd
from neurosim.datasets.formats.structured import AUDIO, Events
from neurosim.datasets.sets.base import FileSet, grouping
from neurosim.datasets.sets.remote import Piece
from neurosim.errors import FileFormatError

CHANNELS = 700
PLACES = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")
#: MD5, as the publisher's md5sums.txt gives them; there are no other sums.
MD5 = {
    "shd_train": "f3252aeb598ac776c1b526422d90eecb",
    "shd_test": "1503a5064faa34311c398fb0a1ed0a6f",
    "ssc_train": "d102be95e7144fcc0553d1f45ba94170",
    "ssc_valid": "b4eee3516a4a90dd0c71a6ac23a8ae43",
    "ssc_test": "a35ff1e9cffdd02a20eb850c17c37748",
}


class _Heidelberg(FileSet):
    """Recordings of one file in the layout of SHD, read from it when asked for."""

    names: Mapping[str, str]  # by split
    n_classes: int
    dtype = AUDIO

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        groups: int = CHANNELS,
        download: bool = False,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        self.splits = tuple(self.names)
        self.sensor_size = (groups, 1, 1)
        self._channels_a_group = grouping(type(self).__name__, CHANNELS, groups)
        super().__init__(
            root,
            split,
            download=download,
            transform=transform,
            target_transform=target_transform,
        )
        self._options["groups"] = groups

    def _open(self, root: Path, split: str, download: bool) -> tuple[ArrayLike, tuple[Path, ...]]:
        name = self.names[split]
        self.layout = f"{name}.h5"
        path = root if root.is_file() else self._locate(root, [_piece(name)], download)[0]
        self._recordings = read_shd(path)
        self.classes = self._recordings.classes or tuple(str(i) for i in range(self.n_classes))
        if (self._recordings.labels >= len(self.classes)).any():
            raise FileFormatError(
                f"{type(self).__name__}: {path} has label {self._recordings.labels.max()}; 0 to "
                f"{len(self.classes) - 1} are expected."
            )
        return self._recordings.labels, (path,)

    @property
    def speakers(self) -> NDArray[np.int64] | None:
        """Who speaks, (n,); None if the file does not say."""
        return self._recordings.speakers

    def read(self, index: int) -> Events:
        """Return the spikes of recording `index`, in the order of the file."""
        events = self._recordings[index]
        events["x"] //= self._channels_a_group
        return events


class SHD(_Heidelberg):
    """Spiking Heidelberg Digits: 20 classes, 700 channels, 8,156 and 2,264 recordings.

    Parameters
    ----------
    root : str or Path
        Folder with ``shd_train.h5`` and ``shd_test.h5``; or a file of this layout, which is then
        read whatever `split` is.
    split : {"train", "test"}, default "train"
        There is no official validation set: make one from the training recordings with
        ``split(data, ...)``, best by `speakers`, and do not select models on the test set.
    groups : int, default 700
        Sum neighbouring channels to this number, a divisor of 700; 140 is usual.
    download : bool, default False
        Fetch and unpack what is missing.
    transform, target_transform : callable, optional
        Applied to the events and to the class.

    Attributes
    ----------
    speakers : (n,) int64
        Two of the twelve speak in the test set only.

    Raises
    ------
    FileNotFoundError
        If files are missing and not downloaded.
    FileFormatError
        If a file is damaged.
    ParameterError
        If `groups` does not divide 700.

    Notes
    -----
    Cramer, Stradmann, Schemmel, Zenke 2020, doi:10.1109/TNNLS.2020.3044364; CC BY 4.0.
    """

    names = {"train": "shd_train", "test": "shd_test"}
    n_classes = 20


class SSC(_Heidelberg):
    """Spiking Speech Commands: 35 words, 700 channels, 75,466 / 9,981 / 20,382 recordings.

    Parameters, attributes and errors are those of `SHD`, with ``ssc_train.h5``, ``ssc_valid.h5``
    and ``ssc_test.h5`` (about 1.2, 0.2 and 0.3 GB to fetch) and `split` one of "train",
    "validation" and "test". `speakers` is None unless the file gives them.

    Notes
    -----
    Cramer, Stradmann, Schemmel, Zenke 2020, doi:10.1109/TNNLS.2020.3044364; CC BY 4.0.
    """

    names = {"train": "ssc_train", "validation": "ssc_valid", "test": "ssc_test"}
    n_classes = 35


def _piece(name: str) -> Piece:
    file = f"{name}.h5.zip"
    return Piece(
        names=(f"{name}.h5",),
        file=file,
        urls=tuple(place + file for place in PLACES),
        member=f"{name}.h5",
        md5=MD5[name],
    )
