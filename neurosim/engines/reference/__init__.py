"""The reference engine: plain NumPy, obviously right, slow."""
