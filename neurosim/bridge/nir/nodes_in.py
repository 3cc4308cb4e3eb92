"""Nodes of NIR as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from neurosim.bridge.connections import Conv1d, Conv2d, DelayedLinear, Linear
from neurosim.bridge.neurons.leaky_integrator import LI
from neurosim.bridge.neurons.lif import LIF
from neurosim.bridge.neurons.synaptic import CubaLIF
from neurosim.bridge.nir.delay import Delay
from neurosim.bridge.nir.grid import Array, Grid, is_one
from neurosim.bridge.nir.scale import Scale
from neurosim.errors import ParameterError

Shape = tuple[int, ...]


class Reader:
    """Makes layers of nodes.

    Parameters
    ----------
    grid : Grid
    dtype : torch.dtype
        Of the parameters.
    """

    def __init__(self, grid: Grid, dtype: torch.dtype) -> None:
        self.grid, self.dtype = grid, dtype

    def layers(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        """Return the layers that do what a node says.

        Parameters
        ----------
        name : str
        node : nir.NIRNode
        shape : tuple of int
            Of its input.

        Raises
        ------
        ParameterError
            If there is no such layer, or the shape does not fit; the node is named.
        """
        kind = type(node).__name__
        if kind not in _CONVERT:
            raise ParameterError(f"NIR node {name!r}: {kind} cannot be read.")
        return _CONVERT[kind](self, name, node, shape)

    # --- neurons

    def _lif(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        values = self._values(name, node, shape, "tau", "r", "v_leak", "v_threshold", "v_reset")
        beta = self.grid.decay(name, values["tau"])
        gain = values["r"] * (1 - beta)
        tolerance = self._tolerance(node.tau, beta)
        scale, threshold = self._threshold(name, values, gain, tolerance)
        neuron = LIF(shape, beta=self._number(beta), threshold=threshold, reset="zero")
        return [*scale, neuron]

    def _if(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        values = self._values(name, node, shape, "r", "v_threshold", "v_reset")
        values["v_leak"] = np.zeros(())
        gain = values["r"] * self.grid.dt
        scale, threshold = self._threshold(name, values, gain, self._tolerance(node.r))
        return [*scale, LIF(shape, beta=1.0, threshold=threshold, reset="zero")]

    def _cubalif(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        values = self._values(name, node, shape, "tau_syn", "tau_mem", "r", "w_in", "v_leak",
                              "v_threshold", "v_reset")  # fmt: skip
        alpha, beta, gain, tolerance = self._filters(name, node, values)
        scale, threshold = self._threshold(name, values, gain, tolerance)
        neuron = CubaLIF(
            shape, alpha=self._number(alpha), beta=self._number(beta), threshold=threshold,
            reset="zero", reset_delay=False,
        )  # fmt: skip
        return [*scale, neuron]

    def _step(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        threshold = self._values(name, node, shape, "threshold")["threshold"]
        return [LIF(shape, beta=0.0, threshold=self._number(threshold), reset="none")]

    def _li(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        values = self._values(name, node, shape, "tau", "r", "v_leak")
        _check_rest(name, values["v_leak"])
        beta = self.grid.decay(name, values["tau"])
        tolerance = self._tolerance(node.tau, beta)
        if is_one(values["r"], tolerance):
            return [LI(shape, beta=self._number(beta), normalise=True)]
        scale = self._scaled(values["r"] * (1 - beta), tolerance)
        return [*scale, LI(shape, beta=self._number(beta))]

    def _cubali(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        values = self._values(name, node, shape, "tau_syn", "tau_mem", "r", "w_in", "v_leak")
        _check_rest(name, values["v_leak"])
        alpha, beta, gain, tolerance = self._filters(name, node, values)
        scale = self._scaled(gain, tolerance)
        return [*scale, *(LI(shape, beta=self._number(v)) for v in (alpha, beta))]

    def _i(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        gain = self._values(name, node, shape, "r")["r"] * self.grid.dt
        return [*self._scaled(gain, self._tolerance(node.r)), LI(shape, beta=1.0)]

    # --- connections

    def _linear(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        return [self._weights(name, node, shape)]

    def _weights(self, name: str, node: Any, shape: Shape) -> Linear:
        weight = self._tensor(node.weight)
        if weight.dim() != 2 or shape != (weight.shape[1],):
            raise ParameterError(
                f"NIR node {name!r}: its weights {tuple(weight.shape)} do not fit its input of "
                f"shape {shape}."
            )
        bias = getattr(node, "bias", None)
        layer = Linear(weight.shape[1], weight.shape[0], bias is not None, dtype=self.dtype)
        layer.weight = nn.Parameter(weight)
        if bias is not None:
            values = self._tensor(bias)
            _check_shape(name, "bias", tuple(values.shape), (weight.shape[0],))
            layer.bias = nn.Parameter(values)
        return layer

    def _conv2d(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        return self._convolution(Conv2d, name, node, shape, 2)

    def _conv1d(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        return self._convolution(Conv1d, name, node, shape, 1)

    def _convolution(
        self, make: Callable[..., Any], name: str, node: Any, shape: Shape, n: int
    ) -> list[nn.Module]:
        weight, groups = self._tensor(node.weight), int(node.groups)
        if weight.dim() != n + 2 or len(shape) != n + 1 or shape[0] != weight.shape[1] * groups:
            raise ParameterError(
                f"NIR node {name!r}: its weights {tuple(weight.shape)} (groups={groups}) do not "
                f"fit its input of shape {shape}."
            )
        options = {
            key: getattr(node, key) if isinstance(getattr(node, key), str)
            else _integers(getattr(node, key), n)
            for key in ("stride", "padding", "dilation")
        }  # fmt: skip
        layer: Any = make(
            shape[0], weight.shape[0], tuple(weight.shape[2:]), groups=groups, dtype=self.dtype,
            **options,
        )  # fmt: skip
        layer.weight = nn.Parameter(weight)
        bias = self._tensor(np.broadcast_to(node.bias, (weight.shape[0],)))
        layer.bias = nn.Parameter(bias) if bool((bias != 0).any()) else None
        return [layer]

    def _avgpool2d(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        return [nn.AvgPool2d(**_pooling(node))]

    def _sumpool2d(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        # a mean that is divided by 1
        return [nn.AvgPool2d(**_pooling(node), divisor_override=1)]

    def _flatten(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        # torch counts the batch dimension, NIR does not
        start, end = (int(v) + (v >= 0) for v in (node.start_dim, node.end_dim))
        return [nn.Flatten(start, end)]

    def _scale(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        scale = self._values(name, node, shape, "scale")["scale"]
        return [] if (scale == 1).all() else [Scale(self._number(scale))]

    def delayed(self, name: str, node: Any, weights: Any) -> DelayedLinear:
        """Return the layer of a Delay node and the Linear after it.

        Raises
        ------
        ParameterError
            Unless the delays are whole steps.
        """
        shape = (weights.in_features,)
        steps = self._steps(name, node, shape)
        layer = DelayedLinear(
            weights.in_features, weights.out_features, max(1, int(steps.max())), kind="axon",
            delay_init=torch.from_numpy(np.broadcast_to(steps, shape).copy()), learn_delays=False,
            bias=weights.bias is not None, dtype=self.dtype,
        )  # fmt: skip
        layer.weight = weights.weight
        if weights.bias is not None:
            layer.bias = weights.bias
        return layer

    def _delay(self, name: str, node: Any, shape: Shape) -> list[nn.Module]:
        steps = self._steps(name, node, shape)
        return [Delay(torch.from_numpy(steps))] if steps.any() else []

    def _steps(self, name: str, node: Any, shape: Shape) -> Array:
        """Return the delays of a node, in whole steps."""
        delay = self._values(name, node, shape, "delay")["delay"] / self.grid.dt
        steps = np.round(delay)
        if (np.abs(delay - steps) > 1e-6 * np.maximum(steps, 1)).any():
            self.grid.lose(
                f"NIR node {name!r}", "its delays are not whole steps of dt", "the nearest ones"
            )
        if (steps < 0).any():
            raise ParameterError(f"NIR node {name!r}: a delay is negative: {delay.min():g} steps.")
        return steps

    # --- numbers

    def _values(self, name: str, node: Any, shape: Shape, *keys: str) -> dict[str, Array]:
        """Return parameters as float64: one number, or the shape of the layer."""
        found = {}
        for key in keys:
            value = np.asarray(getattr(node, key), dtype=np.float64)
            if not np.isfinite(value).all():
                raise ParameterError(f"NIR node {name!r}: {key} is not finite.")
            if value.size == 1:
                value = value.reshape(())
            else:
                _check_shape(name, key, value.shape, shape)
            found[key] = value
        return found

    def _filters(
        self, name: str, node: Any, values: dict[str, Array]
    ) -> tuple[Array, Array, Array, Array]:
        """Return the decays of current and membrane, the gain of both, and its rounding."""
        alpha, beta = (self.grid.decay(name, values[k]) for k in ("tau_syn", "tau_mem"))
        gain = values["w_in"] * (1 - alpha) * values["r"] * (1 - beta)
        tolerance = self._tolerance(node.tau_syn, alpha) + self._tolerance(node.tau_mem, beta)
        return alpha, beta, gain, tolerance

    def _tolerance(self, stored: Any, decay: Array | float = 0.0) -> Array:
        """Return what rounding may change of ``r*(1 - decay)``, relative."""
        dtype = np.asarray(stored).dtype
        eps = np.finfo(dtype if dtype.kind == "f" else np.float64).eps
        return np.asarray(8 * eps / (1 - decay))

    def _threshold(
        self, name: str, values: dict[str, Array], gain: Array, tolerance: Array
    ) -> tuple[list[nn.Module], torch.Tensor]:
        """Return the threshold in units of the input, or a Scale where that cannot be."""
        if (values["v_reset"] != values["v_leak"]).any():
            raise ParameterError(
                f"NIR node {name!r}: v_reset differs from "
                f"{'v_leak' if values['v_leak'].any() else '0, where the membrane starts'}; the "
                "layers reset to rest."
            )
        threshold = values["v_threshold"] - values["v_leak"]
        if not (threshold > 0).all():
            raise ParameterError(
                f"NIR node {name!r}: v_threshold must be above v_reset = v_leak; the smallest "
                f"distance is {threshold.min():g}."
            )
        if is_one(gain, tolerance):
            return [], self._number(threshold)
        if (gain > 0).all():
            return [], self._number(threshold / gain)
        return [Scale(self._number(gain))], self._number(threshold)

    def _scaled(self, gain: Array, tolerance: Array) -> list[nn.Module]:
        return [] if is_one(gain, tolerance) else [Scale(self._number(gain))]

    def _tensor(self, value: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(value)).to(self.dtype)

    def _number(self, value: Array) -> torch.Tensor:
        """Return a parameter, one number where all are equal."""
        if value.size and (value == value.flat[0]).all():
            value = value.reshape(-1)[0]
        return self._tensor(value)


#: By the type of a node; a table, so that no name of a file decides what is called.
_CONVERT: dict[str, Callable[[Reader, str, Any, Shape], list[nn.Module]]] = {
    "LIF": Reader._lif, "IF": Reader._if, "CubaLIF": Reader._cubalif, "Threshold": Reader._step,
    "LI": Reader._li, "CubaLI": Reader._cubali, "I": Reader._i, "Linear": Reader._linear,
    "Affine": Reader._linear, "Conv1d": Reader._conv1d, "Conv2d": Reader._conv2d,
    "AvgPool2d": Reader._avgpool2d, "SumPool2d": Reader._sumpool2d, "Flatten": Reader._flatten,
    "Scale": Reader._scale, "Delay": Reader._delay,
}  # fmt: skip


def _check_shape(name: str, key: str, shape: Sequence[int], needed: Shape) -> None:
    if tuple(shape) != needed:
        raise ParameterError(
            f"NIR node {name!r}: {key} has shape {tuple(shape)}, but shape {needed} arrives there."
        )


def _check_rest(name: str, rest: Array) -> None:
    if rest.any():
        raise ParameterError(
            f"NIR node {name!r}: v_leak must be 0 where the membrane is the output."
        )


def _integers(value: Any, n: int) -> tuple[int, ...]:
    return tuple(int(v) for v in np.broadcast_to(value, (n,)))


def _pooling(node: Any) -> dict[str, Any]:
    return {k: _integers(getattr(node, k), 2) for k in ("kernel_size", "stride", "padding")}
