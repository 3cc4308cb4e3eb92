"""One neuron layer of snnTorch as one of ours."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.lapicque import Lapicque
from neurosim.bridge.neurons.lif import LIF
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.neurons.synaptic import AlphaLIF, CubaLIF
from neurosim.bridge.surrogate import Surrogate
from neurosim.errors import ParameterError, require

#: snnTorch's ``surrogate_disable``: spikes without derivative.
_NO_GRADIENT = Surrogate("none", "0")
#: Reset mechanisms by the method that a neuron of snnTorch chose at construction.
_STATE_FUNCTIONS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}
#: Parameters of snnTorch's neurons that ours hold under the same name.
SHARED = ("alpha", "beta", "threshold", "graded_spikes_factor")


def snntorch_package() -> ModuleType:
    """Return the package snntorch, or raise a MissingPackageError."""
    return require("snntorch", "train", "conversion from and to snnTorch")


def is_of_snntorch(module: nn.Module) -> bool:
    """Return whether a module is, or derives from, one of snnTorch; does not import it."""
    return any(c.__module__.startswith("snntorch.") for c in type(module).__mro__)


def layer_of(module: Any, where: str, *, copied: bool) -> Neuron | Recurrent:
    """Return the layer in a `SnnTorchNeuron`, or that of a neuron of snnTorch.

    Parameters
    ----------
    module, where, copied
        As of `from_neuron`.
    """
    from neurosim.bridge.snntorch.neuron import SnnTorchNeuron

    if isinstance(module, SnnTorchNeuron):
        layer: Neuron | Recurrent = module.neuron
        return copy.deepcopy(layer) if copied else layer
    return from_neuron(module, where, copied=copied)


def from_neuron(module: Any, where: str, *, copied: bool) -> Neuron | Recurrent:
    """Return the layer that computes what a neuron of snnTorch does.

    Parameters
    ----------
    module : snntorch.SpikingNeuron
    where : str
        Its name, for messages.
    copied : bool
        False: parameters that are learnt are the very same tensors.

    Raises
    ------
    ParameterError
        If snnTorch's neuron does something that ours cannot.
    """
    package = snntorch_package()
    convert = _FROM.get(type(module).__name__)
    if convert is None or type(module) is not getattr(package, type(module).__name__, None):
        raise ParameterError(
            f"{where}: {type(module).__module__}.{type(module).__name__} has no counterpart; "
            f"{', '.join(_FROM)} can be converted. A neuron of snnTorch that takes one step a call "
            "can stand as it is in neurosim.bridge.Sequential, which steps it."
        )
    _check(module, where)
    layer = convert(module, where, copied)
    neuron = layer.neuron if isinstance(layer, Recurrent) else layer
    for key in SHARED:
        theirs, ours = getattr(module, key, None), getattr(neuron, key, None)
        if isinstance(theirs, nn.Parameter) and isinstance(ours, nn.Parameter):
            ours.requires_grad_(theirs.requires_grad)
            if not copied:
                setattr(neuron, key, theirs)
    return layer


def _check(module: Any, where: str) -> None:
    """Raise a ParameterError for options that ours have not."""
    if module.inhibition:
        raise ParameterError(
            f"{where}: inhibition=True (only the largest membrane of a layer may fire) has no "
            "fused counterpart; keep this neuron in snnTorch inside neurosim.bridge.Sequential."
        )
    if module.state_quant:
        raise ParameterError(
            f"{where}: state_quant is set; quantised states have no fused counterpart. Keep this "
            "neuron in snnTorch inside neurosim.bridge.Sequential."
        )
    used = _STATE_FUNCTIONS[module.state_function.__name__]
    if module.reset_mechanism != used or int(module.reset_mechanism_val) != _value(used):
        raise ParameterError(
            f"{where}: reset_mechanism was changed to {module.reset_mechanism!r} after "
            f"construction, but snnTorch goes on with {used!r}. Construct the neuron with the "
            "mechanism that is meant."
        )


def _value(reset: str) -> int:
    return {"subtract": 0, "zero": 1, "none": 2}[reset]


def _common(module: Any, *, reset: str | None = None) -> dict[str, Any]:
    return {
        "threshold": module.threshold,
        "reset": reset or module.reset_mechanism,
        "spike_grad": _NO_GRADIENT if module.surrogate_disable else module.spike_grad,
        "learn_threshold": isinstance(module.threshold, nn.Parameter),
    }


def _timing(module: Any) -> dict[str, Any]:
    # a reset that is not delayed is part of snnTorch's graph
    return {"reset_delay": module.reset_delay, "detach_reset": module.reset_delay}


def _graded(module: Any) -> dict[str, Any]:
    factor = module.graded_spikes_factor
    return {
        "graded_spikes_factor": factor,
        "learn_graded_spikes_factor": isinstance(factor, nn.Parameter),
    }


def _decay(module: Any, *names: str) -> dict[str, Any]:
    given: dict[str, Any] = {name: getattr(module, name) for name in names}
    return given | {f"learn_{n}": isinstance(v, nn.Parameter) for n, v in given.items()}


def _ungraded(module: Any, where: str) -> None:
    if not bool((module.graded_spikes_factor == 1).all()):
        raise ParameterError(
            f"{where}: graded_spikes_factor = {module.graded_spikes_factor.tolist()}; "
            f"{type(module).__name__} can only be converted with 1."
        )


def _leaky(module: Any, where: str, copied: bool) -> LIF:
    return LIF(**_decay(module, "beta"), **_common(module), **_timing(module), **_graded(module))


def _synaptic(module: Any, where: str, copied: bool) -> CubaLIF:
    return CubaLIF(
        **_decay(module, "alpha", "beta"), **_common(module), **_timing(module), **_graded(module)
    )


def _alpha(module: Any, where: str, copied: bool) -> AlphaLIF:
    _ungraded(module, where)
    return AlphaLIF(**_decay(module, "alpha", "beta"), **_common(module))


def _lapicque(module: Any, where: str, copied: bool) -> Lapicque:
    _ungraded(module, where)
    if isinstance(module.beta, nn.Parameter):
        raise ParameterError(
            f"{where}: snnTorch's Lapicque(learn_beta=True) computes with R and C, which it made "
            "from beta once, so that training beta changes nothing. Build the neuron without "
            "learn_beta, or use neurosim.bridge.Lapicque(learn_R=True, learn_C=True)."
        )
    return Lapicque(R=module.R, C=module.C, dt=float(module.time_step), **_common(module))


def _rleaky(module: Any, where: str, copied: bool) -> Recurrent:
    # RLeaky's "zero" also drops the input of the step after a spike
    reset = "zero_all" if module.reset_mechanism == "zero" else module.reset_mechanism
    neuron = LIF(**_decay(module, "beta"), **_common(module, reset=reset), **_timing(module),
                 **_graded(module))  # fmt: skip
    return Recurrent(neuron, _fed_back(module, copied))


def _rsynaptic(module: Any, where: str, copied: bool) -> Recurrent:
    if not module.reset_delay:
        raise ParameterError(
            f"{where}: snnTorch 1.0 ignores RSynaptic(reset_delay=False) (it changes a variable "
            "that is not used again). Build it with reset_delay=True, which is what it computes."
        )
    neuron = CubaLIF(**_decay(module, "alpha", "beta"), **_common(module), **_graded(module))
    return Recurrent(neuron, _fed_back(module, copied))


def _fed_back(module: Any, copied: bool) -> nn.Module | torch.Tensor:
    """Return the recurrent connection: a module, or one weight a neuron."""
    connection: Any = module.recurrent
    if module.all_to_all:
        dense: nn.Module = copy.deepcopy(connection) if copied else connection
        return dense
    V: torch.Tensor = connection.V
    if copied and isinstance(V, nn.Parameter):
        return nn.Parameter(V.detach().clone(), requires_grad=V.requires_grad)
    return V


_FROM: dict[str, Callable[[Any, str, bool], Neuron | Recurrent]] = {
    "Leaky": _leaky,
    "Synaptic": _synaptic,
    "Alpha": _alpha,
    "Lapicque": _lapicque,
    "RLeaky": _rleaky,
    "RSynaptic": _rsynaptic,
}
