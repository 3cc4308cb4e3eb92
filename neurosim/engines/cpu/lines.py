"""Lists of source lines of Python."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from neurosim.lower.step_text import Lines

_NAME = re.compile(r"[A-Za-z_]\w*")
#: What gives a name to an array or a number of a table, and does nothing else.
_OPENS = re.compile(r"\s*(\w+) = (?:view\w*\(.*\)|[A-Z]\[\d+\])")


def indent(lines: Lines, by: int = 1) -> Lines:
    """Return the lines moved to the right."""
    return ["    " * by + line for line in lines]


def unpacked(lines: Lines, prologue: Lines) -> Lines:
    """Return functions with what unpacks coefficients, known only at the end, where it is used.

    Emitters open whatever a kernel might read; what a kernel does not read is dropped, since a
    line costs Numba as long to compile whether it is used or not.

    Parameters
    ----------
    lines : list of str
        Functions one after the other, with lines ``@prologue`` where the prologue goes.
    prologue : list of str
    """
    result: Lines = []
    for line in lines:
        if line.strip() == "@prologue":
            space = line[: len(line) - len(line.lstrip())]
            result += [space + p for p in prologue]
        else:
            result.append(line)
    starts = [k for k, line in enumerate(result) if line.startswith("def ")]
    bounds = [0, *starts, len(result)]
    return [line for first, last in pairwise(bounds) for line in _used(result[first:last])]


def _used(function: Lines) -> Lines:
    """Return the lines of a function without the names that nothing reads."""
    while True:
        counts = Counter(name for line in function for name in _NAME.findall(line))
        opened = [_OPENS.fullmatch(line) for line in function]
        kept = [
            line
            for line, match in zip(function, opened, strict=True)
            if match is None or counts[match[1]] > 1
        ]
        if len(kept) == len(function):
            return kept
        function = kept
