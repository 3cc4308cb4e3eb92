"""Connectivity as an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError
from neurosim.plot._style import axes_for, with_unit
from neurosim.results._arrays import float_vector, int_vector


def connectivity_matrix(
    pre: ArrayLike,
    post: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    shape: tuple[int, int] | None = None,
    unit: str = "",
    pixels: int = 300,
    ax: Any = None,
) -> Any:
    """Draw synapses as an image: presynaptic neurons downwards, postsynaptic ones to the right.

    Matrices larger than `pixels` are binned: a pixel sums the synapses between two groups of
    neighbours. So millions of synapses make a small image.

    Parameters
    ----------
    pre, post : (n_synapses,) array_like of int
    weight : (n_synapses,) array_like, optional
        Draw summed weights, negative ones in another colour, instead of numbers of synapses.
    shape : (int, int), optional
        Numbers of pre- and postsynaptic neurons; by default the largest ids plus one.
    unit : str
        Unit of the weights, for the label.
    pixels : int, default 300
        Most pixels on a side.
    ax : matplotlib Axes, optional
        A new figure by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ParameterError
        If lengths differ or an id does not fit into `shape`.
    """
    from matplotlib.ticker import MaxNLocator

    rows, columns = int_vector(pre, "pre"), int_vector(post, "post")
    values = np.ones(len(rows)) if weight is None else float_vector(weight, "weight")
    if not len(rows) == len(columns) == len(values):
        raise ParameterError(f"{len(rows)} pre, {len(columns)} post, {len(values)} weights.")
    if shape is None:
        shape = (int(rows.max(initial=0)) + 1, int(columns.max(initial=0)) + 1)
    for side, ids, size in (("pre", rows, shape[0]), ("post", columns, shape[1])):
        if len(ids) and not 0 <= ids.min() <= ids.max() < size:
            raise ParameterError(
                f"{side} has ids from {ids.min()} to {ids.max()}; shape = {shape} allows "
                f"0 to {size - 1}."
            )
    height, width = (min(size, pixels) for size in shape)
    flat = (rows * height // shape[0]) * width + columns * width // shape[1]
    image = np.bincount(flat, weights=values, minlength=height * width).reshape(height, width)
    ax = axes_for(ax, (5.4, 4.6))
    shown = _show(ax, image, shape, signed=weight is not None and bool(np.any(values < 0)))
    binned = (height, width) != shape
    label = "synapses" if weight is None else with_unit("weight", unit)
    ticks = MaxNLocator(integer=True) if weight is None else None
    ax.get_figure(root=True).colorbar(
        shown,
        ax=ax,
        ticks=ticks,
        shrink=0.85,
        label=f"{label}{', summed in each pixel' if binned else ''}",
    )
    ax.set_xlabel("postsynaptic neuron")
    ax.set_ylabel("presynaptic neuron")
    return ax.get_figure(root=True)


def _show(ax: Any, image: Any, shape: tuple[int, int], *, signed: bool) -> Any:
    """Draw the image; the scale ends at the 99.5th percentile, so that one pixel hides nothing."""
    filled = np.abs(image[image != 0])
    peak = float(np.percentile(filled, 99.5)) if len(filled) else 1.0
    ratio = shape[1] / shape[0]
    return ax.imshow(
        image,
        cmap="RdBu_r" if signed else "Blues",
        vmin=-peak if signed else 0.0,
        vmax=peak,
        extent=(-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5),
        aspect="equal" if 0.4 < ratio < 2.5 else "auto",
        interpolation="nearest",
    )
