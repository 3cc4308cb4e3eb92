"""Keeping transformed recordings on disk."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import io
import os
import tempfile
import types
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.datasets.sets.base import Recordings, is_keyed
from neurosim.datasets.transforms.base import Transform
from neurosim.errors import ParameterError


class DiskCache(Recordings):
    """A data set whose recordings are computed once and then read from disk.

    What the data set and its transforms give without a generator is kept, so each recording is
    stored once; random augmentation belongs into this class's own `transform`. Files lie in a
    folder named by a hash of the data set's options and files (path, size, date), its transforms
    (of functions the own code, not that of what they call) and neurosim's version: a change leads
    to another folder, never to wrong data. Writing is atomic; several processes may fill one cache.

    Parameters
    ----------
    data : Recordings
        A data set of this package or a `Subset`. Recordings must be arrays.
    path : str or Path
        Folder of caches.
    transform : callable, optional
        Applied to the recording after reading it, never stored.
    key : str, optional
        Stands for the transforms in the hash, if they are functions with hidden values (lambdas,
        closures, objects), which cannot be told apart.
    compress : bool, default False
        Pack the files (zlib).

    Attributes
    ----------
    folder : Path
        ``path/<hash>``.

    Raises
    ------
    ParameterError
        If a transform cannot be described and no `key` is given; when reading, if a recording is
        no array.

    Examples
    --------
    >>> import tempfile
    >>> from neurosim.datasets import SpokenDigits
    >>> from neurosim.datasets.transforms import ToFrames
    >>> frames = ToFrames(sensor_size=(70, 1, 1), time_window=10_000)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cached = DiskCache(SpokenDigits("test", transform=frames), folder)
    ...     cached[0][0].shape, len(list(cached.folder.glob("*.npz")))
    ((29, 70), 1)
    """

    def __init__(
        self,
        data: Recordings,
        path: str | Path,
        *,
        transform: Callable[..., Any] | None = None,
        key: str | None = None,
        compress: bool = False,
    ) -> None:
        self.data = data
        self.transform = transform
        self.targets = data.targets
        self.sensor_size = data.sensor_size
        self.classes = data.classes
        self._compress = compress
        content = _text(data.describe(), key)
        text = f"neurosim {importlib.metadata.version('neurosim')}\\n{content}\\nkey {key!r}\\n"
        self.folder = Path(path) / hashlib.sha256(text.encode()).hexdigest()[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "description.txt", text.encode())

    def get(self, index: int, rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        """Return recording `index`, from the disk if it is there, and its target."""
        position = self.position(index)
        file = self.folder / f"{position:06d}.npz"
        item = _unpacked(file.read_bytes()) if file.exists() else None
        if item is None:  # not there yet, or damaged
            packed = self._packed(*self.data.get(position))
            _write(file, packed)
            item = _unpacked(packed)
            assert item is not None
        recording, target = item
        if isinstance(self.transform, Transform):
            recording = self.transform(recording, rng)
        elif self.transform is not None:
            recording = self.transform(recording)
        return recording, target

    def describe(self) -> dict[str, Any]:
        """Return everything that decides what `get` returns."""
        return {"class": "DiskCache", "cache": self.folder.name, "transform": self.transform}

    @property
    def keyed(self) -> bool:
        """Whether randomness in `get` comes from `rng` alone, never from global generators."""
        return is_keyed(self.transform) and self.data.keyed

    def fill(self) -> DiskCache:
        """Compute what is not there yet, in this process, and return the cache itself."""
        for index in range(len(self)):
            self.get(index)
        return self

    def __repr__(self) -> str:
        return f"DiskCache({self.data!r} in {self.folder})"

    def _packed(self, recording: Any, target: Any) -> bytes:
        arrays = {"recording": recording, "target": np.asarray(target)}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufcV":
                raise ParameterError(
                    f"DiskCache: a {name} is {array!r:.60}, no NumPy array of numbers; leave the "
                    "transform that makes it to DiskCache(transform=...)."
                )
        out = io.BytesIO()
        save: Callable[..., None] = np.savez_compressed if self._compress else np.savez
        save(out, **arrays)
        return out.getvalue()


def _unpacked(data: bytes) -> tuple[Any, Any] | None:
    """Return what a file of the cache holds; None if it is damaged."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            target = arrays["target"]
            return arrays["recording"], target.item() if target.ndim == 0 else target
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _write(file: Path, data: bytes) -> None:
    """Write a file that other processes see complete or not at all."""
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def _text(value: Any, key: str | None) -> str:
    """Return a text that is equal for equal settings, in every process."""
    if value is None or isinstance(value, bool | int | float | str | bytes | Path | np.generic):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_text(v, key)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(v, key) for v in value) + "]"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array({value.dtype}, {value.shape}, {content})"
    if isinstance(value, functools.partial):
        return f"partial{_text([value.func, list(value.args), value.keywords], key)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        settings = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return f"{type(value).__module__}.{type(value).__qualname__}{_text(settings, key)}"
    if isinstance(value, types.FunctionType) and "<" not in value.__qualname__:
        body = repr((_body(value.__code__), value.__defaults__, value.__kwdefaults__))
        digest = hashlib.sha256(body.encode()).hexdigest()
        return f"{value.__module__}.{value.__qualname__}({digest})"
    if isinstance(value, types.BuiltinFunctionType | np.ufunc | type):
        return f"{getattr(value, '__module__', None)}.{value.__name__}"
    if key is not None:
        return f"{type(value).__qualname__} of the key"
    raise ParameterError(
        f"DiskCache: {value!r} cannot be described, so that a change of it would go unnoticed. Use "
        "transforms of neurosim.datasets or functions of a module, or give key='a name for it'."
    )


def _body(code: types.CodeType) -> tuple[Any, ...]:
    """Return what a function does, without names of files and addresses."""
    consts = tuple(_body(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    return code.co_code, code.co_names, consts
