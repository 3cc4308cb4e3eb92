"""Learned delays during training: rounded for evaluation, limited after each update."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


def delayed_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules with learned delays by name: those with a method ``round_``."""
    return {n: m for n, m in model.named_modules() if callable(getattr(m, "round_", None))}


@contextlib.contextmanager
def rounded_delays(model: nn.Module) -> Iterator[None]:
    """Round all learned delays to whole steps inside the block; put them back exactly after it.

    Published accuracies of networks with delays are those of the rounded network (Hammouamri et
    al. 2024, evaluation of every epoch).
    """
    modules = delayed_modules(model).values()
    kept = [
        (tensor, tensor.detach().clone())
        for module in modules
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False))
    ]
    try:
        for module in modules:
            module.round_()  # type: ignore[operator]
        yield
    finally:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)
