"""Finding the files of a data set, and fetching and unpacking those that are missing."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from neurosim.errors import FileFormatError, ParameterError
from neurosim.io.download import download

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A file or folder of a data set, and where it comes from.

    Parameters
    ----------
    names : tuple of str
        Its name in the data set's folder; further ones are accepted as well.
    file : str
        Name of the file that is fetched: an archive (``.zip .tar.gz .gz``), or the piece itself.
    urls : tuple of str
        Where it is, several places of the same file.
    member : str
        What of the archive becomes the piece: a file or folder, or ``""`` for everything.
    sha256, md5 : str, optional
        Hash of the fetched file.
    """

    names: tuple[str, ...]
    file: str
    urls: tuple[str, ...]
    member: str = ""
    sha256: str | None = None
    md5: str | None = None


def locate(
    owner: str, root: str | Path, pieces: Sequence[Piece], *, fetch: bool, layout: str
) -> list[Path]:
    """Return the paths of all pieces, after fetching the missing ones if that is wanted.

    Parameters
    ----------
    owner : str
        The data set, for messages.
    root : str or Path
        Its folder.
    pieces : sequence of Piece
    fetch : bool
        Whether to download.
    layout : str
        The files and folders that are expected, for messages.

    Raises
    ------
    ParameterError
        If `root` is a file.
    FileNotFoundError
        If pieces are missing and not to be fetched.
    DownloadError, FileFormatError
        If one cannot be fetched or unpacked.
    """
    root = Path(root)
    if root.is_file():
        raise ParameterError(
            f"{owner}: root = {str(root)!r} is a file; give the folder that holds: {layout}."
        )
    found = [_present(root, piece) for piece in pieces]
    if fetch:
        for i, piece in enumerate(pieces):
            if found[i] is None:
                found[i] = _get(root, piece)
    missing = [p for p, path in zip(pieces, found, strict=True) if path is None]
    if missing:
        names = ", ".join(piece.names[0] for piece in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        above = all(_present(root.parent, piece) for piece in missing)
        hint = f" They are in {root.parent}: give that as root." if above else ""
        raise FileNotFoundError(
            f"{owner}: {names}{more} not found in {root}.{hint} Expected there: {layout}. Give the "
            f"folder that holds these, or download=True, or fetch {missing[0].urls[0]} by hand, "
            f"save it as {root / missing[0].file} and give download=True to unpack it."
        )
    return [path for path in found if path is not None]


def _present(root: Path, piece: Piece) -> Path | None:
    return next((root / name for name in piece.names if (root / name).exists()), None)


def _get(root: Path, piece: Piece) -> Path:
    """Fetch a piece and unpack it if it comes in an archive."""
    target = root / piece.names[0]
    archive = root / piece.file
    with _bar(piece.file) as progress:
        download(piece.urls, archive, sha256=piece.sha256, md5=piece.md5, progress=progress)
    if archive != target:
        unpack(archive, target, member=piece.member)
    return target


@contextlib.contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a progress function that draws a bar of bytes on stderr."""
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1024, delay=0.5) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def unpack(archive: str | Path, target: str | Path, *, member: str = "") -> Path:
    """Unpack an archive, or one member of it, as a file or folder that appears complete or not.

    Everything is written to a temporary folder beside `target` first, which an exception removes;
    only the last step gives it its name.

    Parameters
    ----------
    archive : str or Path
        A ``.zip``, ``.tar``, ``.tar.gz``, ``.tgz`` or ``.gz`` file.
    target : str or Path
        What comes out. If it exists by then, made by another process, it is left as it is.
    member : str, default ""
        The file or folder in the archive; all of it by default. Not for ``.gz``.

    Returns
    -------
    target : Path

    Raises
    ------
    FileFormatError
        If the archive is damaged, of another kind, has no such member, or one that would be
        written outside the folder.
    """
    archive, target = Path(archive), Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        inside = Path(folder) / "content"
        try:
            result = _extract(archive, inside, member)
        except _DAMAGED as error:
            raise FileFormatError(
                f"{archive} is damaged or no archive of its kind ({error}). Delete it and fetch "
                "it again."
            ) from error
        if not result.exists():
            raise FileFormatError(f"{archive} does not contain {member!r}.")
        if not target.exists():
            with contextlib.suppress(FileExistsError):
                os.rename(result, target)
    return target


def _extract(archive: Path, inside: Path, member: str) -> Path:
    """Unpack into `inside` and return where the member is."""
    name = archive.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                if not entry.is_dir() and _wanted(entry.filename, member):
                    if stat.S_ISLNK(entry.external_attr >> 16):
                        raise _refused(archive, entry.filename, "a link")
                    with zipped.open(entry) as source:
                        _write(archive, inside, entry.filename, source)
    elif name.endswith((".tar", ".tar.gz", ".tgz")):
        packed = name.endswith("gz")
        with (
            gzip.open(archive) if packed else open(archive, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for info in tar:
                if info.isdir() or not _wanted(info.name, member):
                    continue
                content = tar.extractfile(info) if info.isreg() else None
                if content is None:
                    raise _refused(archive, info.name, "no plain file")
                _write(archive, inside, info.name, content)
            while stream.read(1 << 20):
                pass  # gzip's sum of everything is behind the last member
    elif name.endswith(".gz"):
        with gzip.open(archive) as source, open(inside, "wb") as out:
            shutil.copyfileobj(source, out)
        return inside
    else:
        raise FileFormatError(f"{archive}: .zip, .tar, .tar.gz, .tgz or .gz is expected.")
    return inside / member if member else inside


def _wanted(name: str, member: str) -> bool:
    path = PurePosixPath(name)
    return not member or path == PurePosixPath(member) or PurePosixPath(member) in path.parents


def _write(archive: Path, inside: Path, name: str, source: IO[bytes]) -> None:
    """Write one member of an archive, which must stay inside the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise _refused(archive, name, "a path that leads out of the folder")
    out = inside.joinpath(*path.parts)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out, "wb") as file:
        shutil.copyfileobj(source, file)


def _refused(archive: Path, name: str, what: str) -> FileFormatError:
    return FileFormatError(f"{archive}: member {name!r} is {what}; nothing was unpacked.")
