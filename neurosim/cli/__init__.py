"""The command `neurosim`."""

from neurosim.cli.main import main

__all__ = ["main"]
