"""Fused kernels generated from declared steps: forward and backward through all of time."""
