"""Engines by name."""

from __future__ import annotations

from importlib.metadata import entry_points

from neurosim.engines.base import Engine
from neurosim.engines.cpu.options import CPU
from neurosim.engines.gpu.options import GPU
from neurosim.engines.reference.options import Reference
from neurosim.errors import EngineUnavailableError, ParameterError, unknown_name

_BUILT_IN: dict[str, type[Engine]] = {"cpu": CPU, "gpu": GPU, "reference": Reference}


def engine_of(engine: str | Engine) -> Engine:
    """Return the engine that a name or object stands for.

    Parameters
    ----------
    engine : str or Engine
        A built-in name, or the name under which a package registers an engine in the entry-point
        group ``neurosim.engines``.

    Raises
    ------
    UnknownNameError
        If there is no such engine.
    EngineUnavailableError
        If it exists but not in this installation.
    """
    if isinstance(engine, Engine):
        return engine
    if not isinstance(engine, str):
        made = f"; try {engine.__name__}()" if isinstance(engine, type) else ""
        raise ParameterError(f"engine = {engine!r}: a name or an engine object is needed{made}.")
    if engine in _BUILT_IN:
        return _BUILT_IN[engine]()
    found = {e.name: e for e in entry_points(group="neurosim.engines")}
    if engine in found:
        made = found[engine].load()()
        if not isinstance(made, Engine):
            raise ParameterError(f"engine {engine!r}: {made!r} is no Engine.")
        return made
    if engine == "mpi":
        raise EngineUnavailableError(
            "engine 'mpi' is not part of this version of neurosim; use 'cpu'."
        )
    raise unknown_name("engine", engine, [*_BUILT_IN, *found], "neurosim")
