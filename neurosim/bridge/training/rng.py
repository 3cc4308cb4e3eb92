"""All random state that training can touch: torch, NumPy and Python, as plain data."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from neurosim.errors import FileFormatError

Generators = Sequence[np.random.Generator | torch.Generator]


def capture_rng(generators: Generators = ()) -> dict[str, Any]:
    """Return the states of the global generators of torch (CPU, CUDA), NumPy and Python.

    Parameters
    ----------
    generators : sequence of numpy.random.Generator or torch.Generator
        Others whose state is to be kept as well, in this order.

    Returns
    -------
    dict
        Tensors, numbers and text only, so that ``torch.load(..., weights_only=True)`` reads it.
    """
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    version, internal, next_gauss = random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "numpy": [str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position),
                  int(has_gauss), float(gauss)],
        "python": [int(version), list(internal), next_gauss],
        "generators": [_state_of(generator) for generator in generators],
    }  # fmt: skip


def restore_rng(state: dict[str, Any], generators: Generators = ()) -> None:
    """Set all generators to a state made by `capture_rng`.

    Raises
    ------
    FileFormatError
        If the number of `generators` differs from that of the state.
    """
    if len(state["generators"]) != len(generators):
        raise FileFormatError(
            f"the checkpoint holds the states of {len(state['generators'])} generators, but "
            f"{len(generators)} were given: pass the same generators=(...) in the same order."
        )
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        (name, keys.cpu().numpy().astype(np.uint32), position, has_gauss, gauss)
    )
    version, internal, next_gauss = state["python"]
    random.setstate((version, tuple(internal), next_gauss))
    for generator, saved in zip(generators, state["generators"], strict=True):
        _restore(generator, saved)


def _state_of(generator: np.random.Generator | torch.Generator) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    # As text: 128-bit integers and arrays of any bit generator.
    return json.dumps(generator.bit_generator.state, default=lambda a: {"array": a.tolist()})


def _restore(generator: np.random.Generator | torch.Generator, saved: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(saved.cpu())
        return

    def arrays(data: dict[str, Any]) -> Any:
        return np.array(data["array"], np.uint64) if set(data) == {"array"} else data

    generator.bit_generator.state = json.loads(saved, object_hook=arrays)


@contextlib.contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed torch, NumPy and Python inside the block and put their states back after it.

    With None nothing is seeded, and the generators run on after the block.

    Examples
    --------
    >>> with seeded(1):
    ...     a = torch.rand(1)
    >>> with seeded(1):
    ...     b = torch.rand(1)
    >>> bool(a == b)
    True
    """
    if seed is None:
        yield
        return
    before = capture_rng()
    try:
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        yield
    finally:
        restore_rng(before)


@contextlib.contextmanager
def unchanged_rng() -> Iterator[None]:
    """Put the states of all global generators back after the block (for validation)."""
    before = capture_rng()
    try:
        yield
    finally:
        restore_rng(before)
