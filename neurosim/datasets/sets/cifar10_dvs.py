"""CIFAR10-DVS: images that moved in front of an event camera."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import ArrayLike

from neurosim.datasets.formats.aedat2 import read_aedat2
from neurosim.datasets.formats.structured import VISION, Events
from neurosim.datasets.sets.base import FileSet
from neurosim.datasets.sets.remote import Piece
from neurosim.errors import FileFormatError

#: figshare file numbers and MD5 sums, doi:10.6084/m9.figshare.4724671; there are no other sums.
FILES = {
    "airplane": ("7712788", "0afd5c4bf9ae06af762a77b180354fdd"),
    "automobile": ("7712791", "8438dfeba3bc970c94962d995b1b9bdd"),
    "bird": ("7712794", "a9c207c91c55b9dc2002dc21c684d785"),
    "cat": ("7712812", "52c63c677c2b15fa5146a8daf4d56687"),
    "deer": ("7712815", "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    "dog": ("7712818", "f379ebdf6703d16e0a690782e62639c3"),
    "frog": ("7712842", "cad6ed91214b1c7388a5f6ee56d08803"),
    "horse": ("7712851", "e7cbbf77bec584ffbf913f00e682782a"),
    "ship": ("7712836", "41c7bd7d6b251be82557c6cce9a7d5c9"),
    "truck": ("7712839", "89f3922fd147d9aeff89e76a2b0b70a7"),
}
PLACES = ("https://ndownloader.figshare.com/files/", "https://figshare.com/ndownloader/files/")


class CIFAR10DVS(FileSet):
    """CIFAR10-DVS: 10 classes of 1,000 recordings, 128 x 128 pixels, about 1.3 s each.

    Parameters
    ----------
    root : str or Path
        Folder with ``airplane/cifar10_airplane_0.aedat`` ... ``truck/cifar10_truck_999.aedat``.
    split : {"train", "test", "all"}, default "train"
        There is no official split. The usual one is taken: of every class, the tenth with the
        highest numbers is the test set (900 and 100 recordings if the set is complete).
    download : bool, default False
        Fetch and unpack missing classes (8 GB for all).
    transform, target_transform : callable, optional
        Applied to the events and to the class.

    Attributes
    ----------
    files : list of Path
        One a recording, by class and number.

    Raises
    ------
    FileNotFoundError
        If classes are missing and not downloaded.
    FileFormatError
        If a recording is damaged (when it is read), a class is empty or a name has no number.

    Notes
    -----
    Li, Liu, Ji, Li, Shi 2017, Front. Neurosci. 11:309; CC BY 4.0. The events are as in the files:
    see `neurosim.datasets.read_aedat2` for origin and polarity.
    """

    splits = ("train", "test", "all")
    layout = "airplane/cifar10_airplane_0.aedat ... truck/cifar10_truck_999.aedat"
    sensor_size = (128, 128, 2)
    classes = tuple(FILES)
    dtype = VISION

    def _open(self, root: Path, split: str, download: bool) -> tuple[ArrayLike, tuple[Path, ...]]:
        folders = self._locate(root, [_piece(name) for name in FILES], download)
        self.files: list[Path] = []
        targets: list[int] = []
        for target, folder in enumerate(folders):
            files = sorted(folder.glob("*.aedat"), key=_number)
            if not files:
                raise FileFormatError(f"CIFAR10DVS: {folder} has no file *.aedat.")
            n_train = len(files) - len(files) // 10
            part = {"train": files[:n_train], "test": files[n_train:], "all": files}[split]
            self.files += part
            targets += [target] * len(part)
        return targets, tuple(self.files)

    def read(self, index: int) -> Events:
        """Return the events of recording `index`."""
        return read_aedat2(self.files[index], camera="dvs128")


def _number(path: Path) -> int:
    digits = path.stem.rpartition("_")[2]
    if not digits.isdecimal():
        raise FileFormatError(f"CIFAR10DVS: {path} is not named like cifar10_airplane_0.aedat.")
    return int(digits)


def _piece(name: str) -> Piece:
    number, md5 = FILES[name]
    urls = tuple(place + number for place in PLACES)
    return Piece(names=(name,), file=f"{name}.zip", urls=urls, member=name, md5=md5)
