"""CUDA kernels of the layers: what runs where tensors are on an NVIDIA GPU.

The steps of neurons are printed as CUDA C++ from the trees that print the CPU's kernels; products
at events and delays are written by hand (`kernels/`). All of them are launched on torch's current
stream, take no answer from the device, and sum in an order that is fixed.
"""
