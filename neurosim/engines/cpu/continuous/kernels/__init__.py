"""Compiled kernels of the continuous-time engine."""
