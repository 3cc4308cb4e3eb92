"""MNIST and Fashion-MNIST: images, to be encoded as spikes or seen by a moving event camera."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.sets.base import FileSet
from neurosim.datasets.sets.remote import Piece
from neurosim.errors import FileFormatError

_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_LAYOUT = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
    "t10k-labels-idx1-ubyte.gz (or the same without .gz)"
)

MNIST_PLACES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}
FASHION_PLACES = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
#: The publisher gives MD5 sums only.
FASHION_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def _pieces(places: tuple[str, ...], **sums: Mapping[str, str]) -> dict[str, list[Piece]]:
    """Return the pieces of every split, with their sums by kind and name."""

    def piece(name: str) -> Piece:
        hashes = {kind: by_name[name] for kind, by_name in sums.items()}
        urls = tuple(place + name for place in places)
        return Piece(names=(name, name.removesuffix(".gz")), file=name, urls=urls, **hashes)

    return {split: [piece(name) for name in names] for split, names in _FILES.items()}


class _Images(FileSet):
    """Images and labels of a pair of idx files, all in memory (a byte a pixel)."""

    layout = _LAYOUT
    pieces: Mapping[str, Sequence[Piece]]

    def _open(self, root: Path, split: str, download: bool) -> tuple[ArrayLike, tuple[Path, ...]]:
        owner, classes = type(self).__name__, self.classes
        paths = self._locate(root, self.pieces[split], download)
        self.images = read_idx(paths[0])
        labels = read_idx(paths[1])
        if self.images.ndim != 3 or labels.shape != self.images.shape[:1]:
            raise FileFormatError(
                f"{owner}: {paths[0]} has shape {self.images.shape} and {paths[1]} "
                f"{labels.shape}; (n, height, width) and (n,) are expected."
            )
        if labels.size and labels.max() >= len(classes):
            raise FileFormatError(
                f"{owner}: {paths[1]} has label {labels.max()}; 0 to {len(classes) - 1} are "
                "expected."
            )
        self.sensor_size = (self.images.shape[2], self.images.shape[1], 1)
        return labels, tuple(paths)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel: uint8."""
        return self.images.dtype

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`, (height, width), 0 to 255."""
        image: NDArray[np.uint8] = self.images[index].copy()
        return image


class MNIST(_Images):
    """Handwritten digits, 28 x 28 pixels, 60,000 to train and 10,000 to test.

    An item is ``(image, digit)``, the image (28, 28) uint8.

    Parameters
    ----------
    root : str or Path
        Folder with the four idx files, with or without ``.gz``.
    split : {"train", "test"}, default "train"
    download : bool, default False
        Fetch missing files (11 MB, SHA-256 checked).
    transform, target_transform : callable, optional
        Applied to the image and to the digit.

    Attributes
    ----------
    images : (n, 28, 28) uint8

    Raises
    ------
    FileNotFoundError
        If files are missing and not downloaded.
    FileFormatError
        If a file is damaged, or images and labels do not agree.

    Notes
    -----
    Y. LeCun, C. Cortes, C. Burges; commonly given as CC BY-SA 3.0.
    """

    classes = tuple("0123456789")
    pieces = _pieces(MNIST_PLACES, sha256=MNIST_SHA256)


class FashionMNIST(_Images):
    """Clothes, 28 x 28 pixels, 60,000 to train and 10,000 to test, in the files of MNIST.

    Parameters, attributes and errors are those of `MNIST`; downloads (31 MB) are checked by MD5,
    the only sums that are published.

    Notes
    -----
    H. Xiao, K. Rasul, R. Vollgraf 2017, arXiv:1708.07747; MIT licence.
    """

    classes = FASHION_CLASSES
    pieces = _pieces(FASHION_PLACES, md5=FASHION_MD5)


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """Read an array of bytes in idx format, as MNIST uses it.

    Two zero bytes, the type (8 = uint8), the number of dimensions, their lengths (uint32,
    big-endian), the values.

    Parameters
    ----------
    path : str or Path
        A file, packed if its name ends in ``.gz``.

    Returns
    -------
    array : uint8 array

    Raises
    ------
    FileFormatError
        If it is another kind of file or its length is not the one its head tells.
    """
    path = Path(path)
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise FileFormatError(f"{path} is no complete gzip file ({error}).") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise FileFormatError(f"{path} is no idx file of bytes: it begins with {data[:4]!r}.")
    head = 4 + 4 * data[3]
    shape = struct.unpack(f">{data[3]}I", data[4:head])
    size = int(np.prod(shape, dtype=object)) if shape else 1
    if len(data) - head != size:
        raise FileFormatError(
            f"{path} is damaged: it holds {len(data) - head:,} values, its head says "
            f"{' x '.join(map(str, shape))}."
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)
