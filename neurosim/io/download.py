"""Fetching a file from the network: resumed where it broke off, and checked against its hash."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neurosim.errors import DownloadError, ParameterError

BLOCK = 1 << 20  # bytes
_DIGITS = {"sha256": 64, "md5": 32}
_TRANSIENT = (urllib.error.URLError, http.client.HTTPException, OSError)


def download(
    url: str | Sequence[str],
    path: str | Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    attempts: int = 5,
    timeout: float = 30.0,
    pause: float = 1.0,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Fetch a file over HTTP, unless it is there already, and return its path.

    The data go into ``<path>.part`` and get their name once complete and right; what an
    interrupted download left there is continued, within a call and by the next one.

    Parameters
    ----------
    url : str or sequence of str
        ``https://...`` or ``http://...``; of several, places of the same file, the first that
        gives it is used.
    path : str or Path
        Where the file is to be; its folder is made.
    sha256 : str, optional
        Its hash, 64 hexadecimal digits. A file with another hash is never kept.
    md5 : str, optional
        The MD5 sum, 32 hexadecimal digits, for files whose publisher gives no other; it finds
        damage, not forgery. One of the two is required.
    attempts : int, default 5
        How often a connection that fails or ends early is tried at each place, before giving up.
    timeout : float, default 30
        Seconds without data after which a connection counts as failed.
    pause : float, default 1
        Seconds before the second attempt, doubled before each further one.
    progress : callable, optional
        Called with the bytes so far and in all (None if the server does not say).

    Returns
    -------
    path : Path

    Raises
    ------
    DownloadError
        If every place refuses, cannot be reached, or has another file; it lists the reasons.
    ParameterError
        If there is no URL or one is not of HTTP, no hash is given or it has another number of
        digits, or `attempts` is below 1.
    """
    urls = (url,) if isinstance(url, str) else tuple(url)
    if not urls:
        raise ParameterError("download: url is empty; at least one address is needed.")
    for one in urls:
        if not one.startswith(("https://", "http://")):
            raise ParameterError(f"download: url = {one!r}; https://... or http://... is needed.")
    hashes = {name: value for name, value in (("sha256", sha256), ("md5", md5)) if value}
    if not hashes:
        raise ParameterError("download: sha256 or md5 is needed, to know the file when it comes.")
    for name, value in hashes.items():
        if not re.fullmatch(rf"[0-9a-fA-F]{{{_DIGITS[name]}}}", value):
            raise ParameterError(
                f"download: {name} = {value!r}; {_DIGITS[name]} hexadecimal digits are needed."
            )
    if attempts < 1:
        raise ParameterError(f"download: attempts = {attempts}; at least 1 is needed.")
    path = Path(path)
    if path.exists():
        _check(path, hashes, f"{path} exists already, but is")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    problems: list[DownloadError] = []
    for one in urls:
        try:
            _complete(one, part, path, attempts, timeout, pause, progress)
            _check_new(part, hashes, one)
            return part.replace(path)
        except DownloadError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    listing = "\n".join(f"- {problem}" for problem in problems)
    raise DownloadError(
        f"{path.name} could not be fetched from any of {len(urls)} places:\n{listing}"
    ) from problems[-1]


def _complete(
    url: str,
    part: Path,
    path: Path,
    attempts: int,
    timeout: float,
    pause: float,
    progress: Callable[[int, int | None], None] | None,
) -> None:
    """Bring `part` to its full length with as many attempts, or raise DownloadError."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2.0 ** (attempt - 1))
        try:
            return _fetch(url, part, timeout, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise DownloadError(
                    f"{url}: the server answers {error.code} {error.reason}."
                ) from error
            problem: Exception = error
        except _TRANSIENT as error:
            problem = error
    done = part.stat().st_size if part.exists() else 0
    raise DownloadError(
        f"{url}: {problem} ({attempts} attempts, {done:,} bytes so far). Try again: the "
        f"download goes on where it stopped; or fetch it by hand and save it as {path}."
    ) from problem


def _fetch(
    url: str, part: Path, timeout: float, progress: Callable[[int, int | None], None] | None
) -> None:
    """Bring `part` to its full length; raise if the connection ends before."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "neurosim"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing is left, or the file there is shorter than ours
            error.close()
            if _length(error.headers) == have:
                return
            part.unlink()
            raise http.client.HTTPException("the file on the server is shorter") from error
        raise
    with response:
        resumed = response.status == 206
        total = _length(response.headers)
        done = have if resumed else 0
        with open(part, "ab" if resumed else "wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total)
    if total is not None and done < total:
        raise http.client.HTTPException(f"the connection ended after {done:,} of {total:,} bytes")


def _length(headers: Any) -> int | None:
    """Return the length of the whole file, or None."""
    whole = re.fullmatch(r"bytes .*/(\d+)", headers.get("Content-Range", ""))
    length = whole[1] if whole else headers.get("Content-Length")
    return int(length) if length else None


def _check_new(part: Path, hashes: dict[str, str], url: str) -> None:
    try:
        _check(part, hashes, f"{url} is")
    except DownloadError:
        part.unlink()  # continuing it could never give the right file
        raise


def _check(path: Path, hashes: dict[str, str], what: str) -> None:
    for name, wanted in hashes.items():
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, name).hexdigest()
        if found != wanted.lower():
            label = {"sha256": "SHA-256", "md5": "MD5"}[name]
            raise DownloadError(
                f"{what} not the file asked for: its {label} is {found}, {wanted.lower()} is "
                "expected. Delete it, or give the hash of the version that you want."
            )
