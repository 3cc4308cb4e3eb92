"""The engine on an NVIDIA GPU: CUDA C++ kernels compiled and launched through CuPy."""
