"""Compiled functions on disk, compiled anew when any source that they are made of changes.

Numba compares the file of a function with its cache, but not the files of the functions and
constants that it inlines: after a change of those the old code would go on running.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numba import njit

from neurosim.engines.cpu.kernels.pipeline import Straight

#: Modules outside the engine whose constants end up in compiled code.
_CONSTANTS = (
    "neurosim.random",
    "neurosim.lower.poisson",
    "neurosim.lower.rows",
    "neurosim.network.distributions",
)


@cache
def sources_digest() -> str:
    """Return a hash of all sources that compiled code is made of."""
    found = [find_spec(name) for name in _CONSTANTS]
    paths = [Path(spec.origin) for spec in found if spec is not None and spec.origin]
    engine = Path(__file__).parent.parent
    paths += sorted([*engine.glob("kernels/*.py"), *engine.glob("continuous/kernels/*.py")])
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cached(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return `numba.njit` with a cache on disk that knows all sources.

    Parameters
    ----------
    **options
        Of `numba.njit`.
    """
    options = {"pipeline_class": Straight, "no_cfunc_wrapper": True} | options

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            dispatcher = njit(cache=True, **options)(function)
        except RuntimeError:  # Numba finds no place that can be written
            return njit(**options)(function)
        index = _index(dispatcher)
        index._source_stamp = (index._source_stamp, sources_digest())
        return dispatcher

    return decorate


def _index(dispatcher: Any) -> Any:
    """Return Numba's index of what is on disk, or None where nothing is kept."""
    return getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)


def is_cached(dispatcher: Any, word: str) -> bool:
    """Return whether the cache on disk holds a version of a function.

    Parameters
    ----------
    dispatcher
        What `cached` returned.
    word : str
        Part of the signature of the version, such as ``"float32"``.
    """
    if any(word in str(signature) for signature in dispatcher.signatures):
        return True
    index = _index(dispatcher)
    if index is None:
        return False
    try:
        return any(word in str(key[0]) for key in index._load_index())
    except OSError:  # Windows: somebody is writing it
        return False


def can_cache(dispatcher: Any) -> bool:
    """Return whether what is compiled is kept on disk."""
    return _index(dispatcher) is not None
