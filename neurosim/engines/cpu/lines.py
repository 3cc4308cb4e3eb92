"""Lists of source lines of Python."""

from __future__ import annotations

from neurosim.lower.step_text import Lines


def indent(lines: Lines, by: int = 1) -> Lines:
    """Return the lines moved to the right."""
    return ["    " * by + line for line in lines]


def unpacked(lines: Lines, prologue: Lines) -> Lines:
    """Return the lines with what unpacks coefficients, known only at the end, in each kernel."""
    result: Lines = []
    for line in lines:
        if line.strip() == "@prologue":
            space = line[: len(line) - len(line.lstrip())]
            result += [space + p for p in prologue]
        else:
            result.append(line)
    return result
