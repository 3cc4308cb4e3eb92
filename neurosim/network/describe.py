"""A network in words: its representation, and tables for notebooks."""

from __future__ import annotations

import html
from typing import Any

import numpy as np


def summary(network: Any) -> str:
    """Return how much a network has, in a line."""
    neurons = sum(p.n for p in network.populations.values())
    return (
        f"Network({_counted(len(network.populations), 'population')} with "
        f"{_counted(neurons, 'member')}, {_counted(len(network.projections), 'projection')})"
    )


def tables(network: Any) -> str:
    """Return tables of populations and projections as HTML."""
    populations = [(p.name, p.n, repr(p.model)) for p in network.populations.values()]
    projections = [
        (p.name, repr(p.rule), _cell(p.weight), _cell(p.delay))
        for p in network.projections.values()
    ]
    return (
        f"<b>{html.escape(summary(network))}</b>"
        + _table(("population", "n", "model"), populations)
        + _table(("projection", "rule", "weight", "delay [ms]"), projections)
    )


def members_table(target: Any) -> str:
    """Return what a population (or a view of one) is, with its parameters, as HTML."""
    model = target.model
    rows = [
        (name, _cell(model.values.get(name)), declared.unit, declared.doc)
        for name, declared in model.parameters.items()
    ]
    title = f"{target.name}: {_counted(target.n, 'member')}, {model.name}"
    return f"<b>{html.escape(title)}</b>" + _table(("parameter", "value", "unit", "meaning"), rows)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _cell(value: Any) -> str:
    return f"{value.size} values" if isinstance(value, np.ndarray) else str(value)


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
