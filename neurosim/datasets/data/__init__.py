"""Data that ship with the package; see README.md beside this file for source and licence."""
