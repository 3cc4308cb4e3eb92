"""Generated kernels on disk: written once, compiled once, loaded in milliseconds afterwards."""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numba

from neurosim.engines.cpu.kernels import functions, intrinsics, pipeline

T = TypeVar("T")


def cache_directory() -> Path:
    """Return where generated kernels are kept.

    ``NEUROSIM_CACHE_DIR`` if set; else the user's cache directory; a temporary one if that cannot
    be written.
    """
    chosen = os.environ.get("NEUROSIM_CACHE_DIR")
    if chosen:
        path = Path(chosen)
    elif sys.platform == "win32":
        path = Path(os.environ.get("LOCALAPPDATA", Path.home())) / "neurosim" / "cache"
    elif sys.platform == "darwin":
        path = Path.home() / "Library" / "Caches" / "neurosim"
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neurosim"
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        fallback = (
            Path(tempfile.gettempdir()) / f"neurosim-{os.getuid() if hasattr(os, 'getuid') else ''}"
        )
        fallback.mkdir(parents=True, exist_ok=True)
        return fallback


@cache
def _inlined() -> str:
    """Return what generated kernels inline: a change of it must recompile them."""
    parts = [numba.__version__, sys.version]
    parts += [Path(m.__file__).read_text() for m in (functions, intrinsics, pipeline)]  # type: ignore[arg-type]
    return "\n".join(parts)


@cache
def load(name: str, source: str) -> ModuleType:
    """Return the module that a generated source makes, compiled.

    Parameters
    ----------
    name : str
        Name of the model, for the file name.
    source : str
        Python source of the kernels.
    """
    digest = hashlib.blake2b((source + _inlined()).encode(), digest_size=10).hexdigest()
    module_name = f"neurosim_kernels_{name}_{digest}"
    path = cache_directory() / f"{module_name}.py"
    if not path.exists():
        # written aside and renamed, so that another process never reads half a file
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".tmp") as file:
            file.write(source)
        os.replace(file.name, path)
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    execute = spec.loader.exec_module
    undisturbed(lambda: execute(module))
    return module


def undisturbed(call: Callable[[], T]) -> T:
    """Return what a call that compiles returns: with room on the stack, and cyclic garbage left.

    Looking for garbage takes an eighth of the time of a compilation, and finds little.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        return with_room(call)
    finally:
        if enabled:
            gc.enable()


def with_room(call: Callable[[], T]) -> T:
    """Return what a call returns, with room on the stack of Python for all that it calls.

    CPython keeps frames in chunks of 16 KB and gives a chunk back when the first frame in it ends.
    Where such an edge lies under a busy function, each call maps and unmaps memory: a compilation
    took a third longer, depending on how deep it began. The frame of this function is so large that
    the chunk made for it has a megabyte left.
    """
    return call()


with_room.__code__ = with_room.__code__.replace(co_stacksize=1 << 17)


def clear_cache() -> int:
    """Delete all generated kernels; return their number."""
    removed = 0
    for path in cache_directory().rglob("neurosim_kernels_*"):
        removed += path.suffix == ".py"
        path.unlink(missing_ok=True)
    load.cache_clear()
    return removed
