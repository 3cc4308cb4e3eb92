"""Connections between layers: dense, sparse, convolutional, delayed, rewired."""

from neurosim.bridge.connections.conv import Conv1d, Conv2d
from neurosim.bridge.connections.delay_training import (
    SigmaSchedule,
    clamp_after_step,
    clamp_delays_,
    evaluate_rounded,
    round_delays_,
)
from neurosim.bridge.connections.delays import DelayedLinear
from neurosim.bridge.connections.linear import Linear
from neurosim.bridge.connections.masks import Sparse
from neurosim.bridge.connections.rewiring import SET, DeepR, RigL

__all__ = [
    "SET",
    "Conv1d",
    "Conv2d",
    "DeepR",
    "DelayedLinear",
    "Linear",
    "RigL",
    "SigmaSchedule",
    "Sparse",
    "clamp_after_step",
    "clamp_delays_",
    "evaluate_rounded",
    "round_delays_",
]
