"""k winners take all: only the most excited units of a layer stay active."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neurosim.bridge.layer import Layer, State
from neurosim.errors import ParameterError


class KWinners(Layer):
    """Keep the k largest values of each sample (at each step), set all others to zero.

    Parameters
    ----------
    k : int or float
        Number of winners, or their fraction of the units (rounded, at least one), as in
        ``KWinners(0.05)``.

    Raises
    ------
    ParameterError
        If `k` is neither a number of units above 0 nor a fraction between 0 and 1, or is above
        the number of units of an input.

    Notes
    -----
    Gradients reach the winners only. There is no boosting. Before spiking neurons, it selects
    the units that get their input current in a step.

    Examples
    --------
    >>> KWinners(2)(torch.tensor([[[1.0, 4.0, 3.0, -2.0]]]))[0]
    tensor([[[0., 4., 3., 0.]]])
    """

    def __init__(self, k: int | float) -> None:
        super().__init__()
        if isinstance(k, bool) or not (0 < k < 1 or (k >= 1 and k == int(k))):
            raise ParameterError(
                f"KWinners: k = {k!r}; a number of units (1, 2, ...) or a fraction between 0 and 1 "
                "is needed."
            )
        self.k = k

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the winners and an empty state.

        Parameters
        ----------
        x : Tensor [T, B, *shape]
            The units of a sample compete over all of `shape`.
        state : dict, optional
            Not used: the layer has none.
        """
        units = x.flatten(2)
        n = units.shape[2]
        k = max(1, round(self.k * n)) if self.k < 1 else int(self.k)
        if k > n:
            raise ParameterError(f"KWinners: k = {k} winners of {n} units; choose at most {n}.")
        winners = units.topk(k, dim=2).indices
        losers = torch.ones_like(units, dtype=torch.bool).scatter_(2, winners, False)
        return units.masked_fill(losers, 0.0).reshape(x.shape), {}

    def extra_repr(self) -> str:
        """Describe the layer."""
        return f"k={self.k}"
