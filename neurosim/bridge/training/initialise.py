"""Weights with which every layer spikes from the first batch on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from neurosim.bridge.training.batches import unpack_input
from neurosim.bridge.training.evaluation import Forward, placement, run_model
from neurosim.bridge.training.rng import unchanged_rng
from neurosim.bridge.training.spikes import SpikeMonitor, spiking_layers
from neurosim.errors import ParameterError, SimulationError, unknown_name

#: Scales are searched between 2**-LARGEST and 2**LARGEST.
_LARGEST = 12


def initialise_rates_(
    model: nn.Module,
    batch: Any,
    *,
    target_rate: float = 0.05,
    tolerance: float = 0.2,
    layers: Sequence[str] | None = None,
    forward: Forward = run_model,
) -> dict[str, float]:
    """Scale the weights in front of each spiking layer until it spikes at a given rate.

    Layer by layer, from the input on, weight and bias of the module in front (the normalisation,
    where there is one) are multiplied by the factor at which the layer's mean rate on this batch
    is `target_rate` within `tolerance`; found by bisection. What the layers in front of it emit is
    then already as it will be. Recurrent weights stay as they are.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place. Running statistics of normalisations are put back.
    batch : tensor [T, B, ...], batch of events, or (x, target)
        A typical batch of the data; some dozens of samples are enough.
    target_rate : float, default 0.05
        Spikes per neuron and step.
    tolerance : float, default 0.2
        The band: relative distance from `target_rate` that is allowed.
    layers : sequence of str, optional
        Names of the spiking layers to adjust; all by default.
    forward : callable, optional
        As for `fit`.

    Returns
    -------
    dict of str to float
        Rates of the spiking layers afterwards.

    Raises
    ------
    SimulationError
        If a layer does not reach the band at any scale (its input is silent, or its rate jumps).
    ParameterError
        If there is nothing to scale in front of a layer, or arguments are out of range.
    UnknownNameError
        If a layer does not exist.

    Examples
    --------
    >>> from neurosim.bridge import LIF, Sequential
    >>> model = Sequential(nn.Linear(10, 200), LIF(beta=0.9))
    >>> rates = initialise_rates_(model, (torch.rand(50, 8, 10) < 0.1).float(), target_rate=0.1)
    >>> 0.08 < rates["1"] < 0.12
    True
    """
    if not 0.0 < target_rate < 1.0 or not 0.0 < tolerance < 1.0:
        raise ParameterError(
            f"target_rate = {target_rate} and tolerance = {tolerance} must be between 0 and 1."
        )
    found = spiking_layers(model)
    for name in layers or ():
        if name not in found:
            raise unknown_name("spiking layer", name, found, type(model).__name__)
    x = unpack_input(batch, *placement(model))
    with _unchanged_buffers(model), torch.no_grad():
        in_front = _modules_in_front(model, lambda: forward(model, x))
        for name, front in in_front.items():
            if layers is None or name in layers:
                measure = _rate_of(model, name, lambda: forward(model, x))
                _adjust(name, front, measure, target_rate, tolerance)
        with SpikeMonitor(model) as monitor, unchanged_rng():
            forward(model, x)
    return monitor.rates()


@contextlib.contextmanager
def _unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """Put running statistics and running states back after the block."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        for name, value in before.items():
            owner, _, last = name.rpartition(".")
            setattr(model.get_submodule(owner), last, value)


def _modules_in_front(
    model: nn.Module, run: Callable[[], Any]
) -> dict[str, tuple[str, nn.Module] | None]:
    """Return the last module with weights that ran before each spiking layer ran first."""
    spiking = {module: name for name, module in spiking_layers(model).items()}
    inside = {part for module in spiking for part in module.modules()} - set(spiking)
    found: dict[str, tuple[str, nn.Module] | None] = {}
    last: list[tuple[str, nn.Module] | None] = [None]
    hooks = []
    for name, module in model.named_modules():
        if module in inside:
            continue

        def note(module: nn.Module, _: Any, name: str = name) -> None:
            if module in spiking:
                found.setdefault(spiking[module], last[0])
            elif isinstance(getattr(module, "weight", None), Tensor):
                last[0] = (name, module)

        hooks.append(module.register_forward_pre_hook(note))
    try:
        with unchanged_rng():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _rate_of(model: nn.Module, layer: str, run: Callable[[], Any]) -> Callable[[], float]:
    def rate() -> float:
        # the same dropout for every scale, so that the rate is a function of the scale
        with unchanged_rng(), SpikeMonitor(model, [layer]) as monitor:
            run()
        return monitor.rates()[layer]

    return rate


def _adjust(
    layer: str,
    front: tuple[str, nn.Module] | None,
    rate: Callable[[], float],
    target: float,
    tolerance: float,
) -> None:
    """Scale the module in front of a layer by bisection of the scale's logarithm."""
    if front is None:
        raise ParameterError(
            f"initialise_rates_: no module with weights runs before layer {layer!r}; leave it out "
            "with layers=[...]."
        )
    name, module = front
    tensors = [getattr(module, part) for part in ("weight", "bias")]
    originals = [(t, t.detach().clone()) for t in tensors if isinstance(t, Tensor)]

    def at(exponent: float) -> float:
        for tensor, original in originals:
            tensor.copy_(original * 2.0**exponent)
        return rate()

    low, high, value = -float(_LARGEST), float(_LARGEST), at(0.0)
    exponent = 0.0
    for _ in range(40):
        if abs(value - target) <= tolerance * target:
            return
        low, high = (exponent, high) if value < target else (low, exponent)
        near = abs(exponent) < 3.0
        # short strides near the start, where the answer usually is, and halves after that
        if near and high == _LARGEST:
            exponent += 1.0
        elif near and low == -_LARGEST:
            exponent -= 1.0
        else:
            exponent = 0.5 * (low + high)
        value = at(exponent)
    for tensor, original in originals:
        tensor.copy_(original)
    raise SimulationError(
        f"initialise_rates_: layer {layer!r} does not come to {target:g} spikes per neuron and "
        f"step by scaling module {name!r}: near the factor {2.0**exponent:.3g} its rate is "
        f"{value:g}. Is its input silent (look at the batch), or all alike? A larger batch or "
        "tolerance may do."
    )


def membrane_kernel(neuron: nn.Module, n_steps: int = 500, *, size: float = 1e-4) -> Any:
    """Return what one input spike of weight 1 does to the membrane, step by step.

    Found by an input so small that nothing spikes.

    Parameters
    ----------
    neuron : Neuron
        With a state ``mem``; one time constant for all its neurons, or the first is taken.
    n_steps : int, default 500
        Long against the time constants.
    size : float, default 1e-4
        The input, in units of the threshold's.

    Returns
    -------
    kernel : (n_steps,) float64 array

    Raises
    ------
    ParameterError
        If the neuron has no membrane to look at.

    Examples
    --------
    >>> from neurosim.bridge import LIF
    >>> membrane_kernel(LIF(beta=0.5), 4).round(6)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    traces: Any = getattr(neuron, "traces", None)
    if not callable(traces):
        raise ParameterError(
            f"membrane_kernel: {type(neuron).__name__} shows no membrane; give the kernel itself "
            "(for snnTorch's Leaky it is beta ** numpy.arange(n))."
        )
    shape = getattr(neuron, "shape", None) or (1,)
    x = torch.zeros((n_steps, 1, *shape), dtype=torch.float64, device=placement(neuron)[0])
    x[0] = size
    with torch.no_grad():
        recorded = traces(x)
    if "mem" not in recorded:
        raise ParameterError(f"membrane_kernel: {type(neuron).__name__} has no state 'mem'.")
    return recorded["mem"].reshape(n_steps, -1)[:, 0].cpu().numpy() / size


def fluctuation_driven_std(
    kernel: ArrayLike,
    *,
    n_inputs: int,
    rate: float,
    threshold: float = 1.0,
    xi: float = 2.0,
    mean: float = 0.0,
    share: float = 1.0,
) -> float:
    """Return the standard deviation of weights that keeps the threshold `xi` sigmas away.

    With n inputs of nu spikes a step, membrane kernel e[k], its sum e1 and the sum of its squares
    e2, weights of mean m and variance s^2 give the membrane (Poisson input, Campbell's theorem)::

        mu_U = n nu m e1,      sigma_U^2 = n nu (s^2 + m^2) e2,      xi = (theta - mu_U) / sigma_U

    so ``s^2 = share * ((theta - mu_U) / xi)^2 / (n nu e2) - m^2``: Rossbroich, Gygax & Zenke
    (2022), Neuromorph. Comput. Eng. 2:044016, in steps instead of seconds. Fluctuations, not the
    mean, then make neurons spike, some times in a hundred steps for ``xi`` of 1 to 3.

    Parameters
    ----------
    kernel : (n_steps,) array_like
        Effect of one spike of weight 1 on the membrane (`membrane_kernel`).
    n_inputs : int
        Inputs of a neuron.
    rate : float
        Spikes per input and step.
    threshold : float, default 1
    xi : float, default 2
        Distance of threshold and mean membrane in standard deviations.
    mean : float, default 0
        Mean weight.
    share : float, default 1
        Part of the variance that these inputs provide; with recurrent ones of ``1 - share``.

    Returns
    -------
    float

    Raises
    ------
    ParameterError
        If arguments are out of range, or the mean alone takes the membrane over the threshold or
        brings more fluctuation than asked for.

    Examples
    --------
    >>> round(fluctuation_driven_std(0.9 ** np.arange(500), n_inputs=100, rate=0.02), 4)
    0.1541
    """
    values = np.asarray(kernel, np.float64)
    positive = {"n_inputs": n_inputs, "rate": rate, "threshold": threshold, "xi": xi}
    for name, value in positive.items():
        if not value > 0:
            raise ParameterError(f"fluctuation_driven_std: {name} = {value}: must be > 0.")
    if not 0.0 < share <= 1.0:
        raise ParameterError(f"fluctuation_driven_std: share = {share}: must be in (0, 1].")
    drive = n_inputs * rate
    distance = threshold - drive * mean * values.sum()
    variance = share * (distance / xi) ** 2 / (drive * (values**2).sum()) - mean**2
    if distance <= 0.0 or variance <= 0.0:
        raise ParameterError(
            f"fluctuation_driven_std: mean = {mean} puts the mean membrane at "
            f"{threshold - distance:.3g} of {threshold:g} or makes more fluctuation than xi = {xi} "
            "allows; use a mean weight nearer to 0."
        )
    return math.sqrt(variance)


def fluctuation_driven_(
    layer: nn.Module, neuron: nn.Module, *, rate: float, xi: float = 2.0, share: float = 1.0
) -> float:
    """Draw a layer's weights so that the neurons behind it are driven by fluctuations.

    Weights are normal with mean 0 and the standard deviation of `fluctuation_driven_std`, drawn
    from torch's generator; the bias becomes 0.

    Parameters
    ----------
    layer : Linear, Conv2d, DelayedLinear, ...
        Has ``weight [out, in, ...]``.
    neuron : Neuron
        Behind it; its first threshold counts.
    rate : float
        Spikes per input and step of the layer's input.
    xi, share : float
        See `fluctuation_driven_std`.

    Returns
    -------
    float
        The standard deviation.
    """
    weight: Any = layer.weight
    threshold = float(torch.as_tensor(getattr(neuron, "threshold", 1.0)).reshape(-1)[0])
    std = fluctuation_driven_std(
        membrane_kernel(neuron), n_inputs=weight[0].numel(), rate=rate, threshold=threshold,
        xi=xi, share=share,
    )  # fmt: skip
    with torch.no_grad():
        weight.normal_(0.0, std)
        if isinstance(layer.bias, Tensor):
            layer.bias.zero_()
    return std
