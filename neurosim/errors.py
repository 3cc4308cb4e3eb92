"""The errors and warnings that neurosim raises for a user's mistakes.

Every class also subclasses the builtin that a Python programmer would expect, so that
``except ValueError`` keeps working.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class NeurosimError(Exception):
    """Base class of every error that neurosim raises on purpose."""


class ParameterError(NeurosimError, ValueError):
    """A parameter, initial value or option has a value that is not allowed."""


class ParameterWarning(UserWarning):
    """A parameter is allowed but far outside its usual range (often a unit mix-up)."""


class UnitError(NeurosimError, ValueError):
    """A unit is unknown, or two quantities of different dimension were combined."""


class ModelError(NeurosimError, ValueError):
    """A model's equations, threshold, reset or receptors cannot be understood."""


class UnknownNameError(NeurosimError, KeyError):
    """A name (parameter, state, receptor, population, ...) does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NetworkError(NeurosimError, ValueError):
    """A population, projection or input cannot be described like this."""


class DelayError(NetworkError):
    """A synaptic delay is too short, negative, or not on the grid."""


class RecordingError(NeurosimError, ValueError):
    """A recording asks for something that its target does not have."""


class ConversionError(NeurosimError, ValueError):
    """A part of a trained model has no counterpart in a network."""


class SimulationError(NeurosimError, RuntimeError):
    """A run had to stop (for instance: a state became NaN)."""


class NetworkSizeError(NeurosimError, MemoryError):
    """The network does not fit into memory, or an index does not fit its type."""


class EngineUnavailableError(NeurosimError, ImportError):
    """The requested engine cannot run on this machine."""


class MissingPackageError(NeurosimError, ImportError):
    """An optional package is needed and cannot be imported."""


class FileFormatError(NeurosimError, ValueError):
    """A file is not in the format it should be in, or is damaged."""


class DownloadError(NeurosimError, OSError):
    """A file cannot be fetched, or is not the one that was asked for."""


def unknown_name(kind: str, name: object, valid: Iterable[str], owner: str) -> UnknownNameError:
    """Return the error for an unknown name, with the valid ones and the nearest of them.

    Parameters
    ----------
    kind : str
        What was looked up, such as ``"parameter"``.
    name : object
        The name as the user wrote it.
    valid : iterable of str
        The names that exist.
    owner : str
        The thing that was asked, such as ``"iaf_psc_exp"``.

    Returns
    -------
    UnknownNameError
        To be raised by the caller.

    Examples
    --------
    >>> print(unknown_name("state", "v_m", ["V_m", "w"], "aeif_psc_exp"))
    aeif_psc_exp has no state 'v_m'. States: V_m, w. Did you mean 'V_m'?
    """
    names = list(valid)
    plural = _plural(kind[0].upper() + kind[1:])
    listing = f"{plural}: {', '.join(names)}." if names else f"It has no {_plural(kind)}."
    hint = near_name(name, names)
    return UnknownNameError(f"{owner} has no {kind} {name!r}. {listing}{hint}")


def near_name(name: object, valid: Iterable[str]) -> str:
    """Return `` Did you mean ...?`` with the nearest of the valid names, or an empty text."""
    lower = {n.lower(): n for n in valid}
    near = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.5)
    return f" Did you mean {lower[near[0]]!r}?" if near else ""


def _plural(kind: str) -> str:
    """Return the plural of ``"state"``, ``"loss"`` or ``"kind of delays"``."""
    first, of, rest = kind.partition(" of ")
    return first + ("es" if first.endswith("s") else "s") + of + rest


def require(package: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package or raise an error that says how to install it.

    Parameters
    ----------
    package : str
        Import name, such as ``"pandas"``.
    extra : str
        The extra of neurosim that installs it.
    purpose : str
        What it is needed for; the first word of the message.

    Returns
    -------
    module

    Raises
    ------
    MissingPackageError
        If the import fails; the original error is its cause.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"{purpose} needs {package}, which cannot be imported ({error}). "
            f'Try: pip install "neurosim[{extra}]".'
        ) from error
