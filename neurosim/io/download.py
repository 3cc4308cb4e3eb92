"""Fetching a file from the network: resumed where it broke off, and checked against its hash."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurosim.errors import DownloadError, ParameterError

BLOCK = 1 << 20  # bytes
_TRANSIENT = (urllib.error.URLError, http.client.HTTPException, OSError)


def download(
    url: str,
    path: str | Path,
    *,
    sha256: str,
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
    url : str
        ``https://...`` or ``http://...``.
    path : str or Path
        Where the file is to be; its folder is made.
    sha256 : str
        Its hash, 64 hexadecimal digits. A file with another hash is never kept.
    attempts : int, default 5
        How often a connection that fails or ends early is tried, before giving up.
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
        If the server refuses, cannot be reached, or the file is not the one asked for.
    ParameterError
        If the URL is not of HTTP, the hash not of 64 digits, or `attempts` below 1.
    """
    if not url.startswith(("https://", "http://")):
        raise ParameterError(f"download: url = {url!r}; https://... or http://... is needed.")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ParameterError(f"download: sha256 = {sha256!r}; 64 hexadecimal digits are needed.")
    if attempts < 1:
        raise ParameterError(f"download: attempts = {attempts}; at least 1 is needed.")
    path = Path(path)
    if path.exists():
        _check(path, sha256, f"{path} exists already, but is")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2.0 ** (attempt - 1))
        try:
            _fetch(url, part, timeout, progress)
            break
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise DownloadError(
                    f"{url}: the server answers {error.code} {error.reason}."
                ) from error
            problem: Exception = error
        except _TRANSIENT as error:
            problem = error
    else:
        done = part.stat().st_size if part.exists() else 0
        raise DownloadError(
            f"{url}: {problem} ({attempts} attempts, {done:,} bytes so far). Try again: the "
            f"download goes on where it stopped; or fetch it by hand and save it as {path}."
        ) from problem
    try:
        _check(part, sha256, f"{url} is")
    except DownloadError:
        part.unlink()  # continuing it could never give the right file
        raise
    return part.replace(path)


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


def _check(path: Path, sha256: str, what: str) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise DownloadError(
            f"{what} not the file asked for: its SHA-256 is {found}, {sha256.lower()} is expected. "
            "Delete it, or give the hash of the version that you want."
        )
