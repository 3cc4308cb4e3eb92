"""Layers with delays on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from neurosim.bridge.connections.products import autocast_type
from neurosim.bridge.cuda.delays import axonal, synaptic
from neurosim.bridge.cuda.launcher import Launcher
from neurosim.bridge.cuda.products import event_linear
from neurosim.bridge.cuda.source import computed_in

if TYPE_CHECKING:
    from neurosim.bridge.connections.delays import DelayedLinear


def delayed_product(launcher: Launcher, layer: DelayedLinear, x: torch.Tensor) -> torch.Tensor:
    """Return the product of a layer with delays, [T, B, out_features].

    Parameters
    ----------
    launcher : Launcher
    layer : DelayedLinear
    x : [T, B, in_features] tensor
    """
    result = autocast_type(layer.weight)
    with torch.autocast(x.device.type, enabled=False):
        compute = computed_in(layer.weight.dtype)
        bias = None if layer.bias is None else layer.bias.to(compute)
        if layer.kind == "synapse":
            start, taps = layer.synapses()
            out = synaptic(launcher, x, taps, start, layer.largest_start(taps.shape[2]))
            return (out if bias is None else out + bias).to(result)
        start, gains = layer.taps()
        delayed, weight = axonal(launcher, x, gains, start), layer.weight.to(compute)
        if layer.sparse is True:
            return event_linear(launcher, delayed, weight, bias, compute).to(result)
        return functional.linear(delayed, weight, bias).to(result)
