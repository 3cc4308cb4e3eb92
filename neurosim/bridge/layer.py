"""Layer: what the modules of this package have in common."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from neurosim.errors import ParameterError

#: The state of a layer, by name; of a container, by the names of its modules.
State = Mapping[str, Any]


class Layer(nn.Module, abc.ABC):
    """A module that maps a sequence and a state to an output and the state after it.

    ``out, state = layer(x, state)`` with `x` of shape [T, B, ...]. `Sequential` hands states only
    to modules of this class; all others are applied to every time step alike.
    """

    @abc.abstractmethod
    def forward(self, x: Any, state: State | None = None) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the output [T, B, ...] and the state after the last step."""


def check_sequence(layer: object, x: Any) -> None:
    """Raise a ParameterError for what is neither a tensor nor a batch of events.

    Parameters
    ----------
    layer : object
        Named in the message by its representation.
    x : object
    """
    if isinstance(x, torch.Tensor) or hasattr(x, "ptr"):
        return
    hint = ""
    if isinstance(x, tuple):
        hint = (
            " Layers return two values: out, state = layer(x). bridge.Sequential passes the first "
            "one on; torch's nn.Sequential cannot."
        )
    elif type(x).__module__ == "numpy":
        hint = " Use torch.from_numpy(x)."
    raise ParameterError(
        f"{layer!r}: the input must be a tensor [time, batch, ...], not {type(x).__name__}.{hint}"
    )


def reset(module: nn.Module) -> None:
    """Clear the running state of every layer inside a module, our own and snnTorch's.

    Parameters
    ----------
    module : nn.Module
        Only what is inside it is touched (``snntorch.utils.reset`` clears all neurons of the
        process that are of the same classes).

    Raises
    ------
    ParameterError
        If it is no module.
    """
    if not isinstance(module, nn.Module):
        raise ParameterError(f"reset: {module!r} is no torch module.")
    for part in module.modules():
        clear = getattr(part, "reset_state", None) or getattr(part, "reset_mem", None)
        if callable(clear):
            clear()
