"""Kinds of parameters, and optimiser groups with a learning rate for each kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn

from neurosim.errors import ParameterError, unknown_name

#: weights and biases; learned delays [steps]; decays and time constants; thresholds; scales and
#: offsets of normalisation layers.
KINDS = ("weights", "delays", "time_constants", "thresholds", "norms")

# Whole words of a parameter's last name, separated by underscores.
_WORDS = {
    "delays": {"delay", "delays", "position", "positions"},
    "time_constants": {"beta", "alpha", "rho", "tau", "decay", "decays"},
    "thresholds": {"threshold", "thresholds", "theta"},
}
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def parameter_kinds(model: nn.Module) -> dict[str, str]:
    """Return the kind of every parameter of a model by its name.

    A module may say it itself by a mapping ``parameter_kinds = {"name": kind}``; otherwise
    parameters of normalisation layers are ``norms``, those whose name has a word such as
    ``delay``, ``beta``, ``tau``, ``threshold`` are of that kind and all others are ``weights``.

    Returns
    -------
    dict of str to str
        Kinds are those of `KINDS`.

    Raises
    ------
    UnknownNameError
        If a module declares a kind that does not exist.

    Examples
    --------
    >>> parameter_kinds(nn.Sequential(nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3)))
    {'0.weight': 'weights', '1.weight': 'norms', '1.bias': 'norms'}
    """
    kinds: dict[str, str] = {}
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        declared: Mapping[str, str] = getattr(module, "parameter_kinds", {})
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            kind = declared.get(name) or _guess(module, name)
            if kind not in KINDS:
                raise unknown_name("kind of parameters", kind, KINDS, type(module).__name__)
            kinds[f"{prefix}.{name}" if prefix else name] = kind
    return kinds


def _guess(module: nn.Module, name: str) -> str:
    if isinstance(module, _NORMS):
        return "norms"
    words = set(re.split(r"[_\d]+", name.lower()))
    return next((kind for kind, known in _WORDS.items() if words & known), "weights")


def parameters_of_kind(model: nn.Module, kind: str) -> dict[str, nn.Parameter]:
    """Return the parameters of one kind by name."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name] for name, k in parameter_kinds(model).items() if k == kind}


def parameter_groups(
    model: nn.Module,
    learning_rate: float | Mapping[str, float] = 1e-3,
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """Return groups for a torch optimiser, one for each kind of parameters that the model has.

    Parameters
    ----------
    model : torch.nn.Module
    learning_rate : float or mapping of str to float
        One for all kinds, or one a kind; kinds that are not named take that of ``"weights"``. A
        rate of 0 leaves these parameters as they are. Learned delays are in steps and usually
        want about 100 times the rate of the weights (Hammouamri et al. 2024).
    weight_decay : float, default 0
        For ``weights`` only: decaying a delay, a time constant or the scale of a normalisation
        has another meaning.

    Returns
    -------
    list of dict
        Keys ``params``, ``lr``, ``weight_decay``, ``kind`` and ``names``.

    Raises
    ------
    ParameterError, UnknownNameError
        If a learning rate is negative, a kind does not exist, or nothing is to be trained.

    Examples
    --------
    >>> [g["kind"] for g in parameter_groups(nn.Linear(2, 3), {"weights": 1e-3, "delays": 0.1})]
    ['weights']
    """
    rates = _rates(learning_rate)
    groups: list[dict[str, Any]] = []
    parameters = dict(model.named_parameters())
    kinds = parameter_kinds(model)
    for kind in KINDS:
        names = [n for n, k in kinds.items() if k == kind and parameters[n].requires_grad]
        if names:
            groups.append(
                {
                    "params": [parameters[name] for name in names],
                    "lr": rates.get(kind, rates["weights"]),
                    "weight_decay": weight_decay if kind == "weights" else 0.0,
                    "kind": kind,
                    "names": names,
                }
            )
    if not groups:
        raise ParameterError(
            f"{type(model).__name__} has no parameter with requires_grad: there is nothing to "
            "train."
        )
    return groups


def _rates(learning_rate: float | Mapping[str, float]) -> dict[str, float]:
    if not isinstance(learning_rate, Mapping):
        rates = {"weights": float(learning_rate)}
    else:
        rates = {str(kind): float(rate) for kind, rate in learning_rate.items()}
        for kind in rates:
            if kind not in KINDS:
                raise unknown_name("kind of parameters", kind, KINDS, "learning_rate")
        rates.setdefault("weights", 1e-3)
    for kind, rate in rates.items():
        if not 0.0 <= rate < float("inf"):
            raise ParameterError(f"learning_rate of {kind} = {rate}: must be a number >= 0.")
    return rates
