"""Connections, pools and delays as nodes of NIR."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from neurosim.bridge.connections import DelayedLinear, Linear
from neurosim.bridge.nir.grid import Grid
from neurosim.errors import ParameterError, require

Shape = tuple[int, ...]


def connection_node(where: str, module: nn.Module, shape: Shape) -> Any:
    """Return the node of a module of torch that is applied to every step.

    Parameters
    ----------
    where : str
        Its name, for messages.
    module : nn.Module
    shape : tuple of int
        Of its input, without time and batch.

    Raises
    ------
    ParameterError
        If NIR cannot say it.
    """
    nir: Any = require("nir", "nir", "to_nir")
    if isinstance(module, nn.Linear) and type(module).forward in (
        nn.Linear.forward,
        Linear.forward,
    ):
        if len(shape) != 1:
            raise ParameterError(
                f"{where}: NIR's Linear takes vectors, and the input has shape {shape}; flatten it."
            )
        return _linear(nir, module.weight, module.bias)
    if isinstance(module, nn.Conv2d | nn.Conv1d):
        return _convolution(nir, where, module, shape)
    if isinstance(module, nn.AvgPool2d):
        return _pool(nir, where, module)
    if isinstance(module, nn.Flatten):
        return _flatten(nir, where, module, shape)
    raise ParameterError(
        f"{where}: NIR has no node for {module}; Linear, Conv1d, Conv2d, AvgPool2d, Flatten and "
        "BatchNorm can be written."
    )


def with_batch_norm(where: str, module: nn.Module, norm: Any) -> nn.Module:
    """Return a copy of a Linear or Conv with the `BatchNorm` after it in its weights.

    Raises
    ------
    ParameterError
        If it is another module, or the norm has no running statistics.
    """
    if norm.running_mean is None:
        raise ParameterError(f"{where}: {norm} has no running statistics to be folded.")
    if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
        raise ParameterError(
            f"{where}: {norm} follows {module}; it can be folded into a Linear or Conv only."
        )
    fuse: Any = fuse_linear_bn_weights if isinstance(module, nn.Linear) else fuse_conv_bn_weights
    merged = copy.deepcopy(module)
    exact = copy.deepcopy(norm).double()
    bias = None if module.bias is None else module.bias.detach().double()
    weight, bias = fuse(
        module.weight.detach().double(), bias, exact.running_mean, exact.running_var, exact.eps,
        exact.weight, exact.bias,
    )  # fmt: skip
    dtype = module.weight.dtype
    merged.weight = nn.Parameter(weight.detach().to(dtype))
    merged.bias = nn.Parameter(bias.detach().to(dtype))
    return merged


def delay_node(where: str, module: DelayedLinear, grid: Grid) -> tuple[Any, Any]:
    """Return the nodes of the weights and of the delays before them (None if there is none).

    Raises
    ------
    ParameterError
        If delays differ between the synapses of an axon, or are between two steps.
    """
    nir: Any = require("nir", "nir", "to_nir")
    delay = module.delay.detach().double().clamp(0, module.max_delay).numpy()
    steps = np.round(delay)
    rounds = module.rounded or (module.round_in_eval and not module.training)
    if not rounds and (module.window is not None or (steps != delay).any()):
        grid.lose(
            where, "its delays act at several steps (between two, or in a window)",
            "delays of whole steps (round_ does the same to the layer)",
        )  # fmt: skip
    if steps.ndim == 2:
        if (steps != steps[:1]).any():
            raise ParameterError(
                f"{where}: NIR has delays per neuron, not per synapse; use "
                "DelayedLinear(..., kind='axon')."
            )
        steps = steps[0]
    node = nir.Delay(delay=steps * grid.dt) if steps.any() else None
    return _linear(nir, module.weight, module.bias), node


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().numpy().copy()


def _linear(nir: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> Any:
    if bias is None:
        return nir.Linear(weight=_array(weight))
    return nir.Affine(weight=_array(weight), bias=_array(bias))


def _convolution(nir: Any, where: str, module: nn.Conv1d | nn.Conv2d, shape: Shape) -> Any:
    if module.padding_mode != "zeros":
        raise ParameterError(
            f"{where}: NIR pads with zeros, not with padding_mode={module.padding_mode!r}."
        )
    weight = _array(module.weight)
    if len(set(weight.shape[2:])) > 1:
        raise ParameterError(
            f"{where}: the type check of NIR's files takes kernels to be square, and this is "
            f"{tuple(weight.shape[2:])}. Pad the smaller side with zeros."
        )
    if module.groups > 1:
        weight = _ungrouped(weight, module.groups)
    bias = np.zeros(weight.shape[0], weight.dtype) if module.bias is None else _array(module.bias)
    options: dict[str, Any] = {"weight": weight, "groups": 1, "bias": bias}
    names = ("stride", "padding", "dilation")
    given = {n: getattr(module, n) for n in names}
    if isinstance(module, nn.Conv1d):
        plain = {n: v if isinstance(v, str) else int(v[0]) for n, v in given.items()}
        return nir.Conv1d(input_shape=int(shape[1]), **plain, **options)
    return nir.Conv2d(input_shape=tuple(int(n) for n in shape[1:]), **given, **options)


def _ungrouped(weight: Any, groups: int) -> Any:
    """Return the dense kernel of a convolution in groups: NIR's type check knows no groups."""
    n_out, n_in = weight.shape[:2]
    dense = np.zeros((n_out, n_in * groups, *weight.shape[2:]), weight.dtype)
    size = n_out // groups
    for g in range(groups):
        dense[g * size : (g + 1) * size, g * n_in : (g + 1) * n_in] = weight[
            g * size : (g + 1) * size
        ]
    return dense


def _pair(value: Any) -> Any:
    return np.array(value if isinstance(value, tuple) else (value, value))


def _pool(nir: Any, where: str, module: nn.AvgPool2d) -> Any:
    kernel, stride, padding = (
        _pair(v) for v in (module.kernel_size, module.stride, module.padding)
    )
    if module.ceil_mode or (padding.any() and not module.count_include_pad):
        raise ParameterError(
            f"{where}: NIR's pools know no ceil_mode and count the padding; {module} does not."
        )
    if module.divisor_override not in (None, 1):
        raise ParameterError(f"{where}: NIR's pools have no divisor_override.")
    make = nir.SumPool2d if module.divisor_override == 1 else nir.AvgPool2d
    return make(kernel_size=kernel, stride=stride, padding=padding)


def _flatten(nir: Any, where: str, module: nn.Flatten, shape: Shape) -> Any:
    # torch counts the batch dimension, NIR does not
    n = len(shape)
    start = module.start_dim - 1 if module.start_dim > 0 else module.start_dim + n
    end = module.end_dim - 1 if module.end_dim >= 0 else module.end_dim + n
    if module.start_dim == 0 or not 0 <= start <= end < n:
        raise ParameterError(f"{where}: {module} of input of shape {shape} cannot be written.")
    return nir.Flatten(input_type={"input": np.array(shape)}, start_dim=start, end_dim=end)
