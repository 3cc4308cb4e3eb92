"""The compressed packets of AEDAT 4: LZ4 frames and Zstandard, never more than they may unfold."""

from __future__ import annotations

from collections.abc import Iterator

from neurosim.datasets.formats._source import Source
from neurosim.errors import FileFormatError, require

#: Codes in the header of AEDAT 4 and their names here.
CODES = {0: "none", 1: "lz4", 2: "lz4_high", 3: "zstd", 4: "zstd_high"}
_EXTRA = "events"
_LARGEST = 1 << 30  # bytes of a packet; a camera's last some milliseconds
_PIECE = 1 << 20  # bytes unfolded at a time
_INPUT = 1 << 12  # bytes of Zstd fed at a time: they may unfold some ten thousandfold
_LEVELS = {"lz4": 0, "lz4_high": 9, "zstd": 3, "zstd_high": 9}


def decompress(source: Source, at: int, data: bytes, code: int) -> bytes:
    """Return the packet that begins at byte `at` of the file, unfolded.

    Raises
    ------
    FileFormatError
        If it is damaged, ends early or unfolds to more than its own size says.
    MissingPackageError
        If the package for its compression is not installed.
    """
    if code == 0:
        return data
    name = CODES[code].removesuffix("_high")
    pieces: list[bytes] = []
    total, limit = 0, _LARGEST
    # what the two packages raise about damage: RuntimeError and EOFError, ZstdError
    errors = (RuntimeError, EOFError, ValueError, MemoryError, _zstd_error(name))
    try:
        for piece in _lz4(data) if name == "lz4" else _zstd(data):
            pieces.append(piece)
            total += len(piece)
            if total >= 4 and limit == _LARGEST:
                limit = min(4 + int.from_bytes(b"".join(pieces)[:4], "little"), _LARGEST - 1)
            if total > limit:
                raise source.error(at, f"a packet that unfolds to {limit} bytes", "more")
    except FileFormatError:
        raise
    except errors as error:
        raise source.error(at, f"{len(data)} bytes of {name}", f"damage: {error}") from error
    return b"".join(pieces)


def _zstd_error(name: str) -> type[Exception]:
    if name != "zstd":
        return RuntimeError
    found: type[Exception] = require("zstandard", _EXTRA, "A Zstd AEDAT 4 file").ZstdError
    return found


def _lz4(data: bytes) -> Iterator[bytes]:
    frame = require("lz4.frame", _EXTRA, "An LZ4 AEDAT 4 file")
    decoder = frame.LZ4FrameDecompressor()
    yield decoder.decompress(data, max_length=_PIECE)
    while not decoder.eof:
        piece = decoder.decompress(b"", max_length=_PIECE)
        if not piece and not decoder.eof:
            raise EOFError("the frame is not complete")
        yield piece
    if decoder.unused_data:
        raise EOFError(f"{len(decoder.unused_data)} bytes after the frame")


def _zstd(data: bytes) -> Iterator[bytes]:
    zstandard = require("zstandard", _EXTRA, "A Zstd AEDAT 4 file")
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    for start in range(0, len(data), _INPUT):
        if decoder.eof:
            raise EOFError(f"{len(data) - start} bytes after the frame")
        yield decoder.decompress(data[start : start + _INPUT])
    if not decoder.eof or decoder.unused_data:
        raise EOFError("the frame is not complete, or bytes follow it")


def compress(data: bytes, name: str) -> bytes:
    """Return a packet folded by one of `CODES`' names."""
    if name == "none":
        return data
    level = _LEVELS[name]
    if name.startswith("lz4"):
        frame = require("lz4.frame", _EXTRA, "An LZ4 AEDAT 4 file")
        return bytes(frame.compress(data, compression_level=level))
    zstandard = require("zstandard", _EXTRA, "A Zstd AEDAT 4 file")
    return bytes(zstandard.ZstdCompressor(level=level).compress(data))
