"""Delay: every value later by its own number of steps."""

from __future__ import annotations

from typing import Any

import torch

from neurosim.bridge.layer import Layer, State
from neurosim.errors import ParameterError


class Delay(Layer):
    """Delay every value by whole steps: ``out[t, b, i] = x[t - steps[i], b, i]``.

    Parameters
    ----------
    steps : int64 tensor
        One number, or the shape of a step without time and batch; not learnt.

    Raises
    ------
    ParameterError
        If one is negative.

    Examples
    --------
    >>> out, state = Delay(torch.tensor([0, 1]))(torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]]))
    >>> out.flatten(1).tolist(), state["tail"].tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[[0.0, 0.0]]])
    """

    steps: torch.Tensor

    def __init__(self, steps: torch.Tensor) -> None:
        super().__init__()
        if int(steps.min()) < 0:
            raise ParameterError(f"Delay: a delay is negative: {int(steps.min())} steps.")
        self.register_buffer("steps", steps.detach().to(torch.int64).clone())

    def forward(
        self, x: torch.Tensor, state: State | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the delayed values.

        Parameters
        ----------
        x : [T, B, *shape] tensor
        state : dict, optional
            ``"tail"``: the values before, [largest delay, B, *shape].

        Returns
        -------
        out : [T, B, *shape] tensor
        state : dict
        """
        longest = int(self.steps.max())
        tail = state["tail"] if state else x.new_zeros(longest, *x.shape[1:])
        values = torch.cat((tail.to(x.dtype), x))
        time = torch.arange(longest, len(values)).reshape(-1, *(1,) * (x.dim() - 1))
        index = (time - self.steps).expand(x.shape)
        return values.gather(0, index), {"tail": values[len(values) - longest :]}
