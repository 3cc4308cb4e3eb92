"""Delays as the user gives them, checked."""

from __future__ import annotations

from typing import Literal

import torch

from neurosim.errors import DelayError, unknown_name

#: How the first delays are given: a name, one number, or a tensor of them.
Initial = Literal["uniform"] | float | torch.Tensor


def initial_delays(
    layer: str, given: Initial, shape: tuple[int, ...], max_delay: int
) -> torch.Tensor:
    """Return the first delays of a layer: drawn from 0 to `max_delay`, or as they are given.

    Parameters
    ----------
    layer : str
        What messages call it.
    given : str, number, or values of `shape`
    shape : tuple of int
    max_delay : int
        Steps.

    Raises
    ------
    UnknownNameError, DelayError
        For another name than "uniform", another shape, NaN, or delays out of range.
    """
    if isinstance(given, str):
        if given != "uniform":
            raise unknown_name("initial delay", given, ("uniform",), layer)
        return torch.rand(shape) * max_delay
    delay = torch.as_tensor(given).detach().to(torch.get_default_dtype())
    if delay.ndim and delay.shape != shape:
        raise DelayError(
            f"{layer}: delay_init has shape {list(delay.shape)}; it must be one number or have "
            f"shape {list(shape)}."
        )
    check_delays(layer, delay, max_delay)
    return delay.expand(shape).clone()


def check_delays(layer: str, delay: torch.Tensor, max_delay: int) -> None:
    """Raise a DelayError for delays that are NaN or out of range."""
    allowed = f"it must be between 0 and max_delay = {max_delay} steps"
    if torch.isnan(delay).any():
        raise DelayError(f"{layer}: a delay is NaN; {allowed}.")
    wrong = (delay < 0) | (delay > max_delay)
    if wrong.any():
        raise DelayError(
            f"{layer}: {int(wrong.sum())} of {delay.numel()} delays are out of range, the first "
            f"is {float(delay[wrong].reshape(-1)[0]):g}; {allowed}. Raise max_delay or change the "
            "delays."
        )


def check_max_delay(layer: str, max_delay: int) -> None:
    """Raise a DelayError unless the longest delay is a whole number of steps."""
    if isinstance(max_delay, bool) or not isinstance(max_delay, int) or max_delay < 1:
        raise DelayError(
            f"{layer}: max_delay={max_delay!r}: must be a whole number of steps >= 1; for "
            "connections without delay use Linear."
        )
