"""What a data set is."""

from __future__ import annotations

import abc
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.datasets.sets.remote import Piece, locate
from neurosim.datasets.transforms.base import Transform
from neurosim.datasets.transforms.compose import Compose
from neurosim.errors import FileFormatError, ParameterError, unknown_name


class Recordings(abc.ABC):
    """What `neurosim.datasets.loader` and `DiskCache` take: ``len``, ``[index]``, `get`."""

    targets: NDArray[np.int64]
    sensor_size: tuple[int, int, int]
    classes: tuple[str, ...]

    @abc.abstractmethod
    def get(self, index: int, rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        """Return a recording and its target; random transforms draw from `rng`."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return everything that decides what `get` returns."""

    @property
    @abc.abstractmethod
    def keyed(self) -> bool:
        """Whether randomness in `get` comes from `rng` alone, never from global generators."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.get(index)

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return (self.get(index) for index in range(len(self)))

    def position(self, index: int) -> int:
        """Return an index that may count from the end as 0 <= position < len.

        Raises
        ------
        IndexError, TypeError
            If there is no such recording, or it is no whole number.
        """
        try:
            position = operator.index(index)
        except TypeError:
            raise TypeError(
                f"{type(self).__name__}[{index!r}]: an index is a whole number; for several "
                "recordings use neurosim.datasets.Subset."
            ) from None
        if not -len(self) <= position < len(self):
            raise IndexError(
                f"{type(self).__name__}[{position}]: there are {len(self)} recordings."
            )
        return position % len(self)


class Dataset(Recordings):
    """A sequence of ``(recording, target)``, read when asked for.

    Parameters
    ----------
    targets : (n,) array_like of int
        The class of every recording; known without reading one.
    sensor_size : tuple of 3 int
        Width, height and polarities; ``(channels, 1, 1)`` for audio.
    classes : tuple of str
        Names of the classes; a target is an index into it.
    transform : callable, optional
        Applied to the recording: a `neurosim.datasets.transforms.Transform`, which also receives
        the random generator of `get`, or a function of the recording alone.
    target_transform : callable, optional
        Applied to the target.
    options : dict
        What else decides the content (split, ...); part of `describe`.
    files : tuple of Path
        The files that are read; part of `describe`.

    Raises
    ------
    ParameterError
        If a transform cannot be called.

    Attributes
    ----------
    targets : (n,) int64
    sensor_size, classes, transform, target_transform
        As above.
    """

    def __init__(
        self,
        targets: ArrayLike,
        *,
        sensor_size: tuple[int, int, int],
        classes: tuple[str, ...],
        transform: Callable[..., Any] | None,
        target_transform: Callable[[int], Any] | None,
        options: dict[str, Any],
        files: tuple[Path, ...],
    ) -> None:
        for name, change in (("transform", transform), ("target_transform", target_transform)):
            if change is not None and not callable(change):
                raise ParameterError(
                    f"{type(self).__name__}: {name} = {change!r} cannot be called; a transform of "
                    "neurosim.datasets or a function is needed."
                )
        self.targets: NDArray[np.int64] = np.asarray(targets, np.int64)
        self.sensor_size = sensor_size
        self.classes = classes
        self.transform = transform
        self.target_transform = target_transform
        self._options = options
        self._files = files

    @abc.abstractmethod
    def read(self, index: int) -> NDArray[Any]:
        """Return recording `index`, 0 <= index < len, without transforms."""

    @property
    @abc.abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Type of a recording's elements before transforms."""

    @property
    def ordering(self) -> str:
        """The fields of an event in their order, such as ``"xytp"``; empty for images."""
        return "".join(self.dtype.names or ())

    def get(self, index: int, rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        """Return the recording and its target, both transformed.

        Parameters
        ----------
        index : int
            -len <= index < len.
        rng : numpy.random.Generator, optional
            Where random transforms draw from. Without it they depend on their seed and the
            recording only, so that it always comes out the same.

        Raises
        ------
        IndexError
            If there is no such recording.
        """
        recording = self.read(self.position(index))
        if isinstance(self.transform, Transform):
            recording = self.transform(recording, rng)
        elif self.transform is not None:
            recording = self.transform(recording)
        target: Any = int(self.targets[index])
        return recording, target if self.target_transform is None else self.target_transform(target)

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self._options.items())
        return f"{type(self).__name__}({len(self)} recordings{options})"

    def describe(self) -> dict[str, Any]:
        """Return what decides the content: options, transforms, and files with their age."""
        stats = [(str(file), file.stat()) for file in self._files]
        return {
            "class": type(self).__qualname__,
            "options": self._options,
            "files": [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
            "transform": self.transform,
            "target_transform": self.target_transform,
        }

    @property
    def keyed(self) -> bool:
        """Whether randomness in `get` comes from `rng` alone, never from global generators."""
        return self.target_transform is None and is_keyed(self.transform)


class FileSet(Dataset):
    """A data set of files in a folder, which may be fetched; a base of such sets.

    A set declares `classes`, `sensor_size`, `layout` (what the folder holds, for messages), and
    `splits` if it has other ones; and finds its files in `_open`.

    Parameters
    ----------
    root : str or Path
        The folder.
    split : str, default "train"
        One of `splits`.
    download : bool, default False
        Fetch and unpack what is missing.
    transform, target_transform : callable, optional
        See `Dataset`.

    Raises
    ------
    UnknownNameError
        If there is no such split.
    ParameterError
        If `root` is no path, or that of a file where a folder is needed.
    FileNotFoundError
        If files are missing and not downloaded.
    FileFormatError
        If a file is damaged.
    """

    splits: tuple[str, ...] = ("train", "test")
    layout: str

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        download: bool = False,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        owner = type(self).__name__
        check_option(owner, "split", split, self.splits)
        if not isinstance(root, str | os.PathLike):
            raise ParameterError(f"{owner}: root = {root!r}; the path of a folder is needed.")
        try:
            targets, files = self._open(Path(root), split, download)
        except FileFormatError as error:
            raise FileFormatError(
                f"{str(error).removesuffix('.')}. If a download broke off, delete this file of "
                f"{owner} and fetch it again (download=True)."
            ) from error
        super().__init__(
            targets,
            sensor_size=self.sensor_size,
            classes=self.classes,
            transform=transform,
            target_transform=target_transform,
            options={"split": split},
            files=files,
        )

    @abc.abstractmethod
    def _open(self, root: Path, split: str, download: bool) -> tuple[ArrayLike, tuple[Path, ...]]:
        """Return the target of every recording, and the files that are read; see `Dataset`."""

    def _locate(self, root: Path, pieces: Sequence[Piece], download: bool) -> list[Path]:
        """Return the paths of all pieces; see `neurosim.datasets.sets.remote.locate`."""
        return locate(type(self).__name__, root, pieces, fetch=download, layout=self.layout)


def is_keyed(transform: object) -> bool:
    """Return whether a transform draws random numbers from the generator it is given alone."""
    if isinstance(transform, Compose):
        return all(is_keyed(part) for part in transform.transforms)
    return transform is None or isinstance(transform, Transform)


def check_option(owner: str, name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise `UnknownNameError` unless `value` is one of the allowed words."""
    if value not in allowed:
        raise unknown_name(name, value, allowed, owner)


def grouping(owner: str, channels: int, groups: int) -> int:
    """Return how many neighbouring channels make one of `groups` groups.

    Raises
    ------
    ParameterError
        If `groups` is no whole number or does not divide the number of channels.
    """
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer):
        raise ParameterError(f"{owner}: groups = {groups!r}: a whole number is needed.")
    if groups < 1 or channels % groups:
        divisors = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
        raise ParameterError(
            f"{owner}: groups = {groups!r} does not divide the {channels} channels. "
            f"Possible: {divisors}."
        )
    return channels // groups
