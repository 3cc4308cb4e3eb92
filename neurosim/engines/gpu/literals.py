"""Numbers as C++ text."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Return a literal in the precision of the kernel.

    Examples
    --------
    >>> number(0.1), number(float("-inf"))
    ('REAL(0.1)', 'REAL(-NS_INFINITY)')
    """
    if math.isinf(value):
        return "REAL(NS_INFINITY)" if value > 0 else "REAL(-NS_INFINITY)"
    return f"REAL({float(value)!r})"
