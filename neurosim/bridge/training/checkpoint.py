"""Checkpoints of training: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurosim.bridge.training.files import replacing
from neurosim.errors import FileFormatError, ParameterError

FORMAT, VERSION = "neurosim training checkpoint", 1


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    **extra: Any,
) -> None:
    """Write a checkpoint; an existing file is replaced only when the new one is complete.

    Parameters
    ----------
    path : str or Path
        Folders are made.
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer, optional
    **extra
        Anything else of tensors, numbers, text, lists and dictionaries: ``epoch=3``,
        ``rng=capture_rng()``.

    Raises
    ------
    ParameterError
        If `extra` holds objects that could not be read back safely.

    Examples
    --------
    >>> import tempfile
    >>> model = nn.Linear(2, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(f"{folder}/a.pt", model, epoch=3)
    ...     load_checkpoint(f"{folder}/a.pt", model)["epoch"]
    3
    """
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION, **extra}
    content["model"] = model.state_dict()
    if optimizer is not None:
        content["optimizer"] = optimizer.state_dict()
    for name, value in extra.items():
        _check_plain(value, name)
    with replacing(path) as file:
        torch.save(content, file)


def read_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Return the content of a checkpoint file; runs no code of the file.

    Raises
    ------
    FileFormatError
        If the file is damaged, of another kind, or of a newer version.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no checkpoint of this name.")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, KeyError, ValueError) as error:
        # torch's own advice, to load without its checks, is left out
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        raise FileFormatError(
            f"{path}: this cannot be read as a checkpoint; it is damaged, incomplete or holds "
            f"other objects than tensors and plain values ({reason})."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileFormatError(
            f"{path}: this is no neurosim training checkpoint. A file with a bare state_dict is "
            "loaded by model.load_state_dict(torch.load(path, weights_only=True))."
        )
    if int(content["version"]) > VERSION:
        raise FileFormatError(
            f"{path}: checkpoint version {content['version']}, but this neurosim reads up to "
            f"version {VERSION}; update neurosim."
        )
    return content


def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    which: str = "last",
) -> dict[str, Any]:
    """Load a checkpoint into a model (and an optimiser) and return all that it holds.

    Parameters
    ----------
    path : str or Path
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer, optional
    which : "last" or "best"
        The model at the end, or that of the best epoch of `fit` (needs a validation set).

    Raises
    ------
    FileFormatError
        If the file cannot be read or does not belong to this model.
    ParameterError
        If `which` is unknown or the file holds no best model.
    """
    if which not in ("last", "best"):
        raise ParameterError(f"which = {which!r}: expected 'last' or 'best'.")
    content = read_checkpoint(path)
    if which == "best" and not content.get("best"):
        raise ParameterError(f"{path}: it holds no best model; use which='last'.")
    load_model(model, content["best"]["model"] if which == "best" else content["model"], path)
    if optimizer is not None:
        if "optimizer" not in content:
            raise FileFormatError(f"{path}: the checkpoint holds no optimiser.")
        load_optimizer(optimizer, content["optimizer"], path)
    return content


def load_model(model: nn.Module, state: Mapping[str, Any], path: str | Path) -> None:
    """Load a state_dict; a mismatch is an error that names the parameters."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        details = " ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise FileFormatError(
            f"{path}: it was made by another model than this {type(model).__name__}. {details}"
        ) from error


def load_optimizer(
    optimizer: torch.optim.Optimizer, state: dict[str, Any], path: str | Path
) -> None:
    """Load an optimiser's state; other groups than the file's are an error."""
    try:
        optimizer.load_state_dict(state)
    except (ValueError, KeyError) as error:
        raise FileFormatError(
            f"{path}: its optimiser has other groups of parameters than this "
            f"{type(optimizer).__name__} ({error}). Use the same optimizer and learning rates."
        ) from error


def _check_plain(value: Any, name: str) -> None:
    """Refuse what ``weights_only`` would refuse, at the time of writing."""
    if value is None or isinstance(value, torch.Tensor | str | int | float | bool | bytes):
        if type(value).__module__.startswith("numpy"):  # numpy.float64 is a float
            raise ParameterError(f"checkpoint entry {name}: convert {value!r} to a Python number.")
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_plain(inner, f"{name}[{key!r}]")
        return
    if isinstance(value, list | tuple):
        for k, inner in enumerate(value):
            _check_plain(inner, f"{name}[{k}]")
        return
    raise ParameterError(
        f"checkpoint entry {name} is a {type(value).__name__}: a checkpoint holds tensors, "
        "numbers, text, lists and dictionaries only."
    )
