"""Scale: elementwise factors as a layer."""

from __future__ import annotations

from typing import Any

import torch

from neurosim.bridge.layer import Layer, State


class Scale(Layer):
    """Multiply every value by its own factor.

    Parameters
    ----------
    factor : tensor
        One value, or the shape of a step without time and batch; not learnt.

    Examples
    --------
    >>> Scale(torch.tensor([1.0, 2.0]))(torch.ones(1, 1, 2))[0].flatten().tolist()
    [1.0, 2.0]
    """

    factor: torch.Tensor

    def __init__(self, factor: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor.detach().clone())

    def forward(
        self, x: torch.Tensor, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the scaled values; there is no state.

        Parameters
        ----------
        x : [T, B, *shape] tensor
        state : None

        Returns
        -------
        out : [T, B, *shape] tensor
        state : dict
            Empty.
        """
        return x * self.factor.to(x.dtype), {}
