"""Kernels of the CPU engine."""
