"""Connections between layers: dense, sparse, convolutional, delayed, rewired."""

from neurosim.bridge.connections.linear import Linear

__all__ = ["Linear"]
