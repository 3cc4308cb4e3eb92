"""One hook that changes how a layer's weights learn, never what the layer computes.

The gradient of a weight is the product of a postsynaptic error and a presynaptic activity, and the
error is sent back through a matrix. `LocalRule` replaces any of the factors: the activity by its
trace (OTTT), by its part outside a subspace (HLOP), the matrix by another one (feedback alignment).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from neurosim.bridge.continual.layers import WeightLayer, dense


class _Product(torch.autograd.Function):
    """The output of a layer, with separate factors for the gradients of input and weight."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor, rule: LocalRule
    ) -> Tensor:
        activity, rows, gain = rule.presynaptic(x)
        ctx.layer, ctx.x_shape, ctx.gain = rule.layer, x.shape, gain
        ctx.rows, ctx.weight_dtype = rows, weight.dtype
        ctx.save_for_backward(activity, rule.back(weight) if rule.back else weight)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        activity, back = ctx.saved_tensors
        layer: WeightLayer = ctx.layer
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            shape = torch.empty(ctx.x_shape, device="meta")
            grad_x = layer.grad_input(grad, shape, back.to(grad.dtype))
        if ctx.needs_input_grad[1]:
            activity = activity.to(grad.dtype)
            if ctx.rows:
                grad_weight = (layer.grad_rows(grad).T @ activity).reshape(back.shape)
            else:
                grad_weight = layer.grad_weight(grad, activity)
            grad_weight = grad_weight.to(ctx.weight_dtype)
        if ctx.needs_input_grad[2]:
            grad_bias = (layer.grad_bias(grad) * ctx.gain).to(ctx.weight_dtype)
        return grad_x, grad_weight, grad_bias, None, None


_product: Callable[..., Tensor] = _Product.apply


class LocalRule:
    """A forward hook that replaces factors of a layer's weight gradient.

    Attributes
    ----------
    project : callable, optional
        Maps rows of activity ``(n_rows, n_inputs)`` to the part that may change the weights.
    back : callable, optional
        Maps the weight to the matrix, of the same shape, that carries the error back.
    leak : float, optional
        Decay of the presynaptic trace in one time step; None: no trace. Every call of the layer is
        one time step then; `start` begins a sequence.
    """

    def __init__(self, layer: WeightLayer) -> None:
        self.layer = layer
        self.project: Callable[[Tensor], Tensor] | None = None
        self.back: Callable[[Tensor], Tensor] | None = None
        self.leak: float | None = None
        self._trace: Tensor | None = None
        self._gain = 0.0

    @classmethod
    def of(cls, layer: WeightLayer) -> LocalRule:
        """Return the layer's rule; the first call attaches one."""
        for hook in layer.module._forward_hooks.values():
            if isinstance(hook, cls):
                return hook
        rule = cls(layer)
        layer.module.register_forward_hook(rule)
        return rule

    def start(self, leak: float | None) -> None:
        """Begin a sequence with an empty trace; ``leak=None`` ends tracing."""
        self.leak, self._trace, self._gain = leak, None, 0.0

    def presynaptic(self, x: Tensor) -> tuple[Tensor, bool, float]:
        """Return the presynaptic factor, whether it is rows, and that of the bias."""
        gain = 1.0
        if self.leak is not None:
            self._trace = x if self._trace is None else self.leak * self._trace + x
            self._gain = gain = self.leak * self._gain + 1.0
            x = self._trace
        if self.project is None:
            return x, False, gain
        return self.project(self.layer.rows(x)), True, gain

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Return the output with the rule's gradients, or None to leave it."""
        idle = self.project is None and self.back is None and self.leak is None
        if idle or not torch.is_grad_enabled():
            return None
        out, *rest = output if isinstance(output, tuple) else (output,)
        bias = getattr(module, "bias", None)
        x = args[0] if isinstance(args[0], Tensor) else dense(args[0])
        new = _product(x, self.layer.weight, bias, out.detach(), self)
        return (new, *rest) if isinstance(output, tuple) else new
