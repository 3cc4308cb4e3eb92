"""One neuron layer of ours as one of snnTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.lapicque import Lapicque
from neurosim.bridge.neurons.leaky_integrator import LI
from neurosim.bridge.neurons.lif import LIF
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.neurons.synaptic import AlphaLIF, CubaLIF
from neurosim.bridge.snntorch.neurons import SHARED, snntorch_package
from neurosim.errors import ParameterError


def to_neuron(layer: Neuron | Recurrent, where: str, *, output: bool, copied: bool) -> nn.Module:
    """Return the neuron of snnTorch that computes what a layer does, with ``init_hidden=True``.

    Parameters
    ----------
    layer : Neuron or Recurrent
    where : str
        Its name, for messages.
    output : bool
        Whether it also returns its states.
    copied : bool
        As in `from_neuron`.

    Raises
    ------
    ParameterError
        If snnTorch has no such neuron.
    """
    kind = (type(layer), type(layer.neuron)) if isinstance(layer, Recurrent) else (type(layer),)
    if kind not in _TO:
        raise ParameterError(
            f"{where}: snnTorch has no counterpart of {layer!r}. SnnTorchNeuron(layer) makes it "
            "stand in a network of snnTorch, one step a call."
        )
    if kind == (LI,) and not output:
        raise ParameterError(
            f"{where}: {layer!r} passes its membrane on, which in snnTorch only the last neuron "
            "can; SnnTorchNeuron(layer) can stand anywhere."
        )
    neuron: Any = layer.neuron if isinstance(layer, Recurrent) else layer
    options = {"init_hidden": True, "output": output, "spike_grad": neuron.spike_grad}
    module = _TO[kind](layer, where, options)
    for key in SHARED:
        ours = getattr(neuron, key, None)
        if isinstance(ours, nn.Parameter) and isinstance(getattr(module, key), nn.Parameter):
            getattr(module, key).requires_grad_(ours.requires_grad)
            if not copied:
                setattr(module, key, ours)
    if isinstance(layer, Recurrent):
        _feed_back(module, layer, copied)
    return module


def _held(neuron: Any, *names: str) -> dict[str, Any]:
    """Return copies of parameters, with whether each is learnt."""
    given: dict[str, Any] = {n: getattr(neuron, n).detach().clone() for n in names}
    learnt = {f"learn_{n}": isinstance(getattr(neuron, n), nn.Parameter) for n in names}
    return given | learnt


def _reset(neuron: Any, where: str, *, zero: str = "zero", timing: bool = True) -> dict[str, Any]:
    mechanisms = {"subtract": "subtract", "none": "none", zero: "zero"}
    if neuron.reset not in mechanisms:
        raise ParameterError(
            f"{where}: snnTorch's counterpart of {neuron!r} has no reset {neuron.reset!r}; "
            f"{', '.join(mechanisms)} can be said."
        )
    delayed = neuron.reset_delay or neuron.reset == "none"
    if neuron.reset != "none" and neuron.detach_reset != delayed:
        raise ParameterError(
            f"{where}: in snnTorch the gradient ignores a reset exactly if it is delayed; this "
            f"layer has reset_delay={delayed} and detach_reset={neuron.detach_reset}."
        )
    mechanism = {"reset_mechanism": mechanisms[neuron.reset]}
    return mechanism | ({"reset_delay": delayed} if timing else {})


def _to_leaky(neuron: LIF, where: str, options: dict[str, Any]) -> nn.Module:
    names = ("beta", "threshold", "graded_spikes_factor")
    return _new("Leaky", _held(neuron, *names), _reset(neuron, where), options)


def _to_integrator(neuron: LI, where: str, options: dict[str, Any]) -> nn.Module:
    if neuron.normalise:
        raise ParameterError(
            f"{where}: LI(normalise=True) scales its input, which snnTorch's Leaky does not."
        )
    return _new("Leaky", _held(neuron, "beta"), {"reset_mechanism": "none"}, options)


def _to_synaptic(neuron: CubaLIF, where: str, options: dict[str, Any]) -> nn.Module:
    held = _held(neuron, "alpha", "beta", "threshold")
    module = _new("Synaptic", held, _reset(neuron, where), options)
    _set_graded(module, neuron)
    return module


def _to_alpha(neuron: AlphaLIF, where: str, options: dict[str, Any]) -> nn.Module:
    held = _held(neuron, "alpha", "beta", "threshold")
    if held["learn_alpha"]:
        raise ParameterError(f"{where}: snnTorch's Alpha cannot learn alpha.")
    return _new("Alpha", held, _reset(neuron, where, timing=False), options)


def _to_lapicque(neuron: Lapicque, where: str, options: dict[str, Any]) -> nn.Module:
    held = _held(neuron, "R", "C", "threshold")
    if held.pop("learn_R") or held.pop("learn_C"):
        raise ParameterError(f"{where}: snnTorch's Lapicque cannot learn R or C.")
    R, C = held.pop("R"), held.pop("C")
    reset = _reset(neuron, where, timing=False)
    # snnTorch's constructor asks whether R and C are true: one number each, replaced after it
    module: Any = _new("Lapicque", {"R": 1.0, "C": 1.0, "time_step": neuron.dt}, held, reset,
                       options)  # fmt: skip
    module.R, module.C = R, C
    module.beta = torch.exp(-neuron.dt / (R * C))
    return module  # type: ignore[no-any-return]


def _to_rleaky(layer: Recurrent, where: str, options: dict[str, Any]) -> nn.Module:
    neuron = layer.neuron
    held = _held(neuron, "beta", "threshold")
    # RLeaky's "zero" is our "zero_all"
    reset = _reset(neuron, where, zero="zero_all")
    module = _new("RLeaky", held, reset, options, {"all_to_all": False})
    _set_graded(module, neuron)
    return module


def _to_rsynaptic(layer: Recurrent, where: str, options: dict[str, Any]) -> nn.Module:
    neuron = layer.neuron
    held = _held(neuron, "alpha", "beta", "threshold")
    reset = _reset(neuron, where)
    if not reset["reset_delay"]:
        raise ParameterError(f"{where}: snnTorch 1.0 ignores RSynaptic(reset_delay=False).")
    module = _new("RSynaptic", held, reset, options, {"all_to_all": False})
    _set_graded(module, neuron)
    return module


def _new(name: str, *options: dict[str, Any]) -> nn.Module:
    merged = {k: v for given in options for k, v in given.items()}
    module: nn.Module = getattr(snntorch_package(), name)(**merged)
    return module


def _set_graded(module: Any, neuron: Any) -> None:
    """Give a neuron a spike amplitude where snnTorch's constructor takes none."""
    factor = neuron.graded_spikes_factor
    del module.graded_spikes_factor
    if isinstance(factor, nn.Parameter):
        module.graded_spikes_factor = nn.Parameter(factor.detach().clone())
    else:
        module.register_buffer("graded_spikes_factor", factor.clone())


def _feed_back(module: Any, layer: Recurrent, copied: bool) -> None:
    """Replace the recurrent connection of a new RLeaky or RSynaptic."""
    if layer.connection is None:
        V: torch.Tensor = copy.deepcopy(layer.V) if copied else layer.V
        del module.V
        if isinstance(V, nn.Parameter):
            module.V = V
        else:
            module.register_buffer("V", V)
        module.recurrent = type(module.recurrent)(V)
        return
    if not isinstance(layer.connection, nn.Linear | nn.Conv2d):
        raise ParameterError(
            f"{layer.connection!r} as recurrent connection has no counterpart in snnTorch; "
            "nn.Linear, nn.Conv2d or one weight a neuron have."
        )
    del module.V
    module.all_to_all = True
    module.recurrent = copy.deepcopy(layer.connection) if copied else layer.connection


_TO: dict[tuple[type, ...], Callable[[Any, str, dict[str, Any]], nn.Module]] = {
    (LIF,): _to_leaky,
    (LI,): _to_integrator,
    (CubaLIF,): _to_synaptic,
    (AlphaLIF,): _to_alpha,
    (Lapicque,): _to_lapicque,
    (Recurrent, LIF): _to_rleaky,
    (Recurrent, CubaLIF): _to_rsynaptic,
}
