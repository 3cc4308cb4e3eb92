"""Neurons of ours as nodes of NIR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from neurosim.bridge.neurons.adaptive import ALIF
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.lapicque import Lapicque
from neurosim.bridge.neurons.leaky_integrator import LI
from neurosim.bridge.neurons.lif import LIF
from neurosim.bridge.neurons.synaptic import CubaLIF
from neurosim.bridge.nir.grid import Array, Grid
from neurosim.bridge.snntorch.each_step import MembraneOutput
from neurosim.errors import ParameterError, require

Shape = tuple[int, ...]


def neuron_node(
    where: str, layer: Neuron | MembraneOutput, shape: Shape, grid: Grid
) -> tuple[Any, Array | None]:
    """Return the node of a layer of neurons, and the amplitude of its spikes if that is not 1.

    Parameters
    ----------
    where : str
        Name of the layer, for messages.
    layer : Neuron or MembraneOutput
    shape : tuple of int
    grid : Grid

    Raises
    ------
    ParameterError
        If NIR has no such neuron.
    """
    nir: Any = require("nir", "nir", "to_nir")
    if isinstance(layer, MembraneOutput):
        return _membrane(nir, where, layer.neuron, shape, grid), None
    for kind, convert in _CONVERT.items():
        if type(layer) is kind:
            node = convert(nir, where, layer, shape, grid)
            graded = layer.coefficients().get("graded")
            return node, None if graded is None else _full(where, graded, shape)
    raise ParameterError(
        f"{where}: NIR has no neuron like {layer!r}; LIF, CubaLIF, Lapicque and LI can be written."
    )


def _full(where: str, value: torch.Tensor, shape: Shape) -> Array:
    """Return a parameter with the shape of the layer, float64."""
    array = value.detach().double().cpu().numpy()
    array = array.reshape(()) if array.size == 1 else array
    try:
        return np.broadcast_to(array, shape).copy()
    except ValueError as error:
        raise ParameterError(
            f"{where}: a parameter has shape {array.shape}, but the layer {shape}."
        ) from error


def _all_or_none(where: str, what: str, flags: Array) -> bool:
    """Return whether a special case holds for all neurons; some of them would need two nodes."""
    if flags.any() and not flags.all():
        raise ParameterError(
            f"{where}: {what} for {int(flags.sum())} of {flags.size} neurons; NIR has another node "
            "for these, so that it must hold for all or none of them."
        )
    return bool(flags.all())


def _lif(nir: Any, where: str, layer: LIF, shape: Shape, grid: Grid) -> Any:
    values = layer.coefficients()
    beta, threshold = (_full(where, values[n], shape) for n in ("beta", "threshold"))
    memoryless = _all_or_none(where, "beta is 0", beta == 0)
    if memoryless and layer.reset in ("zero", "none"):
        return nir.Threshold(threshold=threshold)
    _check_reset(where, layer, grid)
    return _leaky(nir, where, beta, np.ones(shape), threshold, grid)


def _alif(nir: Any, where: str, layer: ALIF, shape: Shape, grid: Grid) -> Any:
    grid.lose(where, "NIR has no adapting threshold", "a LIF whose threshold stays at rest")
    _check_reset(where, layer, grid)
    values = layer.coefficients()
    beta, threshold = (_full(where, values[n], shape) for n in ("beta", "threshold"))
    return _leaky(nir, where, beta, np.ones(shape), threshold, grid)


def _lapicque(nir: Any, where: str, layer: Lapicque, shape: Shape, grid: Grid) -> Any:
    if layer.reset == "zero":
        _swallows(where, grid)
    else:
        _check_reset(where, layer, grid)
    values = {n: _full(where, v, shape) for n, v in layer.coefficients().items()}
    gain = values["R"] * values["rate"] * values["dt"]
    return _leaky(nir, where, values["keep"], gain, values["threshold"], grid)


def _leaky(nir: Any, where: str, beta: Array, gain: Array, threshold: Array, grid: Grid) -> Any:
    """Return the node of ``v = beta*v + gain*x`` with threshold and reset to 0."""
    _check_threshold(where, threshold)
    rest = np.zeros_like(threshold)
    if _all_or_none(where, "the membrane does not decay (beta = 1)", beta == 1):
        return nir.IF(r=gain / grid.dt, v_threshold=threshold, v_reset=rest)
    tau = _time_constant(where, beta, grid)
    return nir.LIF(
        tau=tau, r=gain / (1 - beta), v_leak=rest.copy(), v_threshold=threshold, v_reset=rest
    )


def _cuba(nir: Any, where: str, layer: CubaLIF, shape: Shape, grid: Grid) -> Any:
    values = layer.coefficients()
    threshold = _full(where, values["threshold"], shape)
    _check_threshold(where, threshold)
    if layer.reset == "zero" and layer.reset_delay:
        _swallows(where, grid)
    else:
        _check_reset(where, layer, grid)
    rest = np.zeros(shape)
    return nir.CubaLIF(
        **_filters(where, layer, shape, grid), v_leak=rest, v_threshold=threshold,
        v_reset=rest.copy(),
    )  # fmt: skip


def _filters(where: str, layer: CubaLIF, shape: Shape, grid: Grid) -> dict[str, Array]:
    values = layer.coefficients()
    alpha, beta = (_full(where, values[n], shape) for n in ("alpha", "beta"))
    return {
        "tau_syn": _time_constant(where, alpha, grid), "w_in": 1 / (1 - alpha),
        "tau_mem": _time_constant(where, beta, grid), "r": 1 / (1 - beta),
    }  # fmt: skip


def _integrator(nir: Any, where: str, layer: LI, shape: Shape, grid: Grid) -> Any:
    beta = _full(where, layer.coefficients()["beta"], shape)
    gain = 1 - beta if layer.normalise else np.ones(shape)
    return _readout(nir, where, beta, gain, grid)


def _readout(nir: Any, where: str, beta: Array, gain: Array, grid: Grid) -> Any:
    """Return the node of ``v = beta*v + gain*x`` whose output is v."""
    if _all_or_none(where, "beta is 0", beta == 0):
        return nir.Scale(scale=gain)
    if _all_or_none(where, "the membrane does not decay (beta = 1)", beta == 1):
        return nir.I(r=gain / grid.dt)
    tau = _time_constant(where, beta, grid)
    return nir.LI(tau=tau, r=gain / (1 - beta), v_leak=np.zeros_like(beta))


def _membrane(nir: Any, where: str, neuron: Neuron, shape: Shape, grid: Grid) -> Any:
    if getattr(neuron, "reset", None) != "none" or type(neuron) not in (LIF, CubaLIF):
        raise ParameterError(
            f"{where}: NIR can say a membrane as output only of neurons without spikes; "
            f"{neuron!r} is reset when it spikes. LI, or LIF(reset='none'), can be written."
        )
    if isinstance(neuron, CubaLIF):
        return nir.CubaLI(**_filters(where, neuron, shape, grid), v_leak=np.zeros(shape))
    beta = _full(where, neuron.coefficients()["beta"], shape)
    return _readout(nir, where, beta, np.ones(shape), grid)


# --- what can be said


def _time_constant(where: str, decay: Array, grid: Grid) -> Array:
    if not ((decay > 0) & (decay < 1)).all():
        raise ParameterError(
            f"{where}: decay factors must be between 0 and 1 to stand for a time constant, and "
            f"one is {decay[~((decay > 0) & (decay < 1))].flat[0]:g}."
        )
    return grid.time_constant(decay)


def _check_threshold(where: str, threshold: Array) -> None:
    if not (threshold > 0).all():
        raise ParameterError(
            f"{where}: NIR resets to 0, which must be below the threshold; the smallest is "
            f"{threshold.min():g}."
        )


def _check_reset(where: str, layer: Any, grid: Grid) -> None:
    if layer.reset == "subtract":
        grid.lose(where, "NIR has no reset by subtraction", "a reset to 0")
    elif layer.reset == "none":
        grid.lose(where, "NIR has no spiking neuron without reset", "one with a reset to 0")
    elif layer.reset == "zero_all":
        _swallows(where, grid)


def _swallows(where: str, grid: Grid) -> None:
    grid.lose(
        where, "its reset also drops the input of the step after a spike, which NIR cannot say",
        "a reset to 0 at the spike",
    )  # fmt: skip


_CONVERT: dict[type, Callable[[Any, str, Any, Shape, Grid], Any]] = {
    LIF: _lif,
    CubaLIF: _cuba,
    LI: _integrator,
    Lapicque: _lapicque,
    ALIF: _alif,
}
