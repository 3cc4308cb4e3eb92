"""The CPU engine: event-driven, compiled with Numba."""
