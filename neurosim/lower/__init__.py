"""Lowering: from a network to a Plan with numbers, engine-neutral."""
