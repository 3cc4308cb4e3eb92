"""Figures of training: loss, accuracy and firing rates over epochs; confusion of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError
from neurosim.plot._style import axes_for, color, finish, legend


class HistoryLike(Protocol):
    """A table of epochs (`neurosim.bridge.History`)."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""

    def __getitem__(self, column: str) -> Any:
        """Return a column."""

    def __len__(self) -> int: ...


def training(history: HistoryLike) -> Any:
    """Draw loss, accuracy and firing rates over epochs, one panel each.

    Parameters
    ----------
    history : History
        What `neurosim.bridge.fit` returns.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If the history holds no epoch.
    """
    if not len(history):
        raise ParameterError("there is no epoch to plot yet.")
    panels = [
        (label, columns)
        for label, prefix, suffix in (
            ("loss", "", "_loss"),
            ("accuracy", "", "_accuracy"),
            ("spikes per neuron\nand step", "rate.", ""),
        )
        if (columns := _columns(history.columns, prefix, suffix))
    ]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 0.8 + 1.9 * len(panels)), layout="constrained")
    axes = np.ravel(figure.subplots(len(panels), 1, sharex=True, squeeze=False))
    for ax, (label, columns) in zip(axes, panels, strict=True):
        for k, (name, column) in enumerate(columns):
            values = history[column]
            ax.plot(history["epoch"], values, ".-", color=color(k), linewidth=1.0, label=name)
        legend(ax, len(columns))
        finish(ax, "", label)
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def _columns(columns: Sequence[str], prefix: str, suffix: str) -> list[tuple[str, str]]:
    """Return (label, column) of the columns with a prefix and a suffix."""
    return [
        (c.removeprefix(prefix).removesuffix(suffix), c)
        for c in columns
        if c.startswith(prefix) and c.endswith(suffix)
    ]


def confusion_matrix(
    counts: ArrayLike, *, classes: Sequence[str] | None = None, ax: Any = None
) -> Any:
    """Draw how often each class (rows) was taken for each other (columns).

    Parameters
    ----------
    counts : (n_classes, n_classes) array_like of int
        ``counts[i, j]`` samples of class i were predicted as j (`Evaluation.confusion`).
    classes : sequence of str, optional
        Names; numbers by default.
    ax : matplotlib Axes, optional
        A new figure by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If `counts` is not square or the number of names differs.
    """
    matrix = np.asarray(counts)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ParameterError(f"confusion_matrix: counts have shape {matrix.shape}, not square.")
    if classes is not None and len(classes) != len(matrix):
        raise ParameterError(f"confusion_matrix: {len(classes)} names for {len(matrix)} classes.")
    ax = axes_for(ax, (5.0, 4.2))
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    ax.figure.colorbar(image, ax=ax, label="fraction of the class")
    if classes is not None:
        ticks = range(len(matrix))
        ax.set_xticks(ticks, labels=classes, rotation=90, fontsize="small")
        ax.set_yticks(ticks, labels=classes, fontsize="small")
    return finish(ax, "predicted class", "class")
