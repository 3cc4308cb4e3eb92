"""What happened in each epoch of training."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.bridge.training.files import replacing
from neurosim.errors import FileFormatError, ParameterError, require, unknown_name

_INTEGERS = ("epoch",)
#: Columns of which a smaller value is better; of all others a larger one is.
_SMALLER = ("train_loss", "validation_loss")


class History:
    """One row an epoch: losses, accuracies, firing rates, learning rates, seconds.

    Columns: ``epoch`` (1 is the first), ``seconds``, ``train_loss``, ``train_accuracy``,
    ``validation_loss``, ``validation_accuracy``, ``gradient_norm`` (mean over batches, before
    clipping), ``learning_rate.KIND`` (that of the last batch), ``rate.LAYER`` (spikes per neuron
    and step while training) and ``dead.LAYER`` (fraction of neurons that were silent for the whole
    epoch). Accuracies are fractions. Columns that do not apply are absent.

    Parameters
    ----------
    rows : iterable of mapping
        Rows with equal columns.
    stopped : str
        Why training ended before the last epoch; empty if it did not.

    Examples
    --------
    >>> history = History([{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": 1.5}])
    >>> history["train_loss"]
    array([2. , 1.5])
    >>> history.best("train_loss")
    1
    """

    def __init__(self, rows: Iterable[Mapping[str, float]] = (), stopped: str = "") -> None:
        self.rows: list[dict[str, float]] = []
        self.stopped = stopped
        for row in rows:
            self.append(row)

    def append(self, row: Mapping[str, float]) -> None:
        """Add an epoch.

        Raises
        ------
        ParameterError
            If its columns are not those of the epochs before.
        """
        plain = {k: int(v) if k in _INTEGERS else float(v) for k, v in row.items()}
        if self.rows and list(self.rows[0]) != list(plain):
            raise ParameterError(
                f"History: a row has columns {', '.join(plain)}; the rows before have "
                f"{', '.join(self.rows[0])}."
            )
        self.rows.append(plain)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.rows[0]) if self.rows else []

    @property
    def layers(self) -> list[str]:
        """Names of the layers whose rates were taken."""
        return [c.removeprefix("rate.") for c in self.columns if c.startswith("rate.")]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        """Return a column, one value an epoch."""
        if column not in self.columns:
            raise unknown_name("column", column, self.columns, "the history")
        return np.array([row[column] for row in self.rows])

    def __eq__(self, other: object) -> bool:
        """Return whether everything but the seconds is equal, NaN included."""
        return isinstance(other, History) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]

    def _values(self) -> list[list[tuple[str, str]]]:
        return [[(k, repr(v)) for k, v in row.items() if k != "seconds"] for row in self.rows]

    def best(self, column: str = "validation_loss") -> int:
        """Return the index of the row with the best value; the first of equal ones.

        Smaller is better for losses, larger for everything else. NaN is never the best.

        Raises
        ------
        ParameterError
            If there is no row with a number.
        """
        values = self[column]
        if not len(values) or np.isnan(values).all():
            raise ParameterError(f"History: {column} holds no number to choose the best of.")
        return int(np.nanargmin(values) if column in _SMALLER else np.nanargmax(values))

    def to_csv(self, path: str | Path) -> None:
        """Write a table that `from_csv` reads back exactly."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([repr(value) for value in row.values()] for row in self.rows)
        with replacing(path) as file:
            file.write(text.getvalue().encode())

    @classmethod
    def from_csv(cls, path: str | Path) -> History:
        """Return the history written by `to_csv`.

        Raises
        ------
        FileFormatError
            If a row is cut or holds something else than numbers.
        """
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
        if not lines:
            raise FileFormatError(f"{path}: the file is empty; expected a line of column names.")
        history, names = cls(), lines[0]
        for number, line in enumerate(lines[1:], start=2):
            if len(line) != len(names):
                raise FileFormatError(
                    f"{path}:{number}: {len(line)} fields, but there are {len(names)} columns."
                )
            try:
                history.append({name: float(x) for name, x in zip(names, line, strict=True)})
            except ValueError as error:
                raise FileFormatError(f"{path}:{number}: {error}.") from error
        return history

    def to_pandas(self) -> Any:
        """Return a DataFrame with one row an epoch (needs pandas)."""
        pandas = require("pandas", "analysis", "History.to_pandas")
        return pandas.DataFrame(self.rows)

    def plot(self) -> Any:
        """Return a figure of loss, accuracy and firing rates; see `neurosim.plot.training`."""
        from neurosim.plot.training import training

        return training(self)

    def state(self) -> dict[str, Any]:
        """Return the history as plain data for a checkpoint."""
        return {"rows": [dict(row) for row in self.rows], "stopped": self.stopped}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> History:
        """Return the history of `state`."""
        return cls(state["rows"], state["stopped"])

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no epoch yet)"
        last = self.rows[-1]
        shown = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
        parts = [f"{name} {last[name]:.4g}" for name in shown if name in last]
        ended = f"; {self.stopped}" if self.stopped else ""
        return f"History({len(self)} epochs: {', '.join(parts)}{ended})"

    def _repr_html_(self) -> str:
        shown = [c for c in self.columns if not c.startswith(("dead.", "learning_rate."))]
        head = "".join(f"<th>{html.escape(c)}</th>" for c in shown)
        body = "".join(
            "<tr>" + "".join(f"<td>{_short(row[c])}</td>" for c in shown) + "</tr>"
            for row in self.rows[-20:]
        )
        left = len(self) - 20
        note = f"<p>{left} earlier epochs are not shown.</p>" if left > 0 else ""
        return f"<p>{html.escape(repr(self))}</p>{note}<table><tr>{head}</tr>{body}</table>"


def _short(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.4g}"
