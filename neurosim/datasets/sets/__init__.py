"""Data sets: sequences of ``(recording, target)``, one module a set."""
