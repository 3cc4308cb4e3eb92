"""As much of FlatBuffers as AEDAT 4 needs: tables read with every position checked."""

from __future__ import annotations

import struct
from collections.abc import Callable

_FORMATS = {fmt: struct.Struct(f"<{fmt}") for fmt in ("H", "i", "I", "q")}


class FlatBuffer:
    """A size-prefixed FlatBuffer.

    Parameters
    ----------
    data : bytes
        From the size on.
    identifier : bytes
        The four letters that say what it is.
    error : callable
        ``error(expected, found)`` returns the exception to raise about damage.
    """

    def __init__(
        self, data: bytes, identifier: bytes, error: Callable[[str, str], Exception]
    ) -> None:
        self.data = data
        self._error = error
        size = self.number("I", 0)
        if size != len(data) - 4:
            raise error(f"a buffer of {len(data) - 4} bytes", f"a size of {size}")
        if data[8:12] != identifier:
            raise error(f"the identifier {identifier!r}", repr(data[8:12]))
        self.root = 4 + self.number("I", 4)

    def number(self, fmt: str, at: int) -> int:
        """Return a number of format H, i, I or q (as in `struct`)."""
        form = _FORMATS[fmt]
        if at < 0 or at + form.size > len(self.data):
            raise self._error(f"a position below {len(self.data)} in the buffer", f"position {at}")
        return int(form.unpack_from(self.data, at)[0])

    def field(self, index: int) -> int | None:
        """Return the position of a field of the root table, None if it has its default."""
        table = self.root - self.number("i", self.root)
        slot = 4 + 2 * index
        if slot + 2 > self.number("H", table):
            return None
        offset = self.number("H", table + slot)
        return self.root + offset if offset else None

    def vector(self, at: int, itemsize: int) -> tuple[int, int]:
        """Return (position, number of items) of the vector or string that a field points to."""
        start = at + self.number("I", at)
        n = self.number("I", start)
        if start + 4 + n * itemsize > len(self.data):
            raise self._error(
                f"at most {len(self.data)} bytes in the buffer", f"{n} items of {itemsize} bytes"
            )
        return start + 4, n
