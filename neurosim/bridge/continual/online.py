"""OTTT: learn forward in time, with a memory that does not grow with the sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosim.bridge.continual.layers import KINDS, find_layers
from neurosim.bridge.continual.rules import LocalRule
from neurosim.bridge.layer import Layer
from neurosim.bridge.neurons import LI, LIF, Neuron
from neurosim.errors import ParameterError, unknown_name

#: Modules that a trace passes: linear in their input and without memory.
_PASSIVE = (
    nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AvgPool1d,
    nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d,
)  # fmt: skip


class OTTT:
    """Online training through time of a feed-forward model.

    The error of a step goes back through the layers of that step only; what the membrane remembers
    of earlier input is carried forward by a trace of each layer's input,
    ``a[t] = leak a[t-1] + x[t]``, with the leak of the neurons that the layer excites. The gradient
    of a weight is ``sum_t error[t] a[t]^T``: exactly that of backpropagation through time for the
    last two layers (with detached resets and a readout without memory), an approximation below::

        online = OTTT(model, F.cross_entropy)
        loss, out = online(x, target)  # gradients of all steps are added up
        optimizer.step()

    or, to update the weights at every time step::

        loss, out = online(x, target, every_step=update)

    where ``update`` does ``optimizer.step(); optimizer.zero_grad()``.

    Parameters
    ----------
    model : Layer
        Feed-forward, such as `Sequential` of linear or convolutional layers, `LIF` and at most an
        `LI` at the end: ``out, state = model(x, state)``.
    loss : callable
        ``loss(out [B, ...], target)`` of one time step, a scalar.
    leaks : dict of float, optional
        Leak of the trace by layer name. Default: found in the neurons that follow each layer in
        the order of registration.

    Attributes
    ----------
    leaks : dict of float
        Leaks by layer name; 0 for a readout without memory.

    Raises
    ------
    ParameterError
        If the model is no `Layer`, or a layer is followed by something through which a trace has
        no single leak: neurons with one leak each, with more than one state or that reset to
        zero, recurrent neurons, nonlinear modules.

    Notes
    -----
    Xiao et al. (2022), "Online training through time for spiking neural networks", NeurIPS. The
    loss of a sequence is the mean of its steps' losses.
    """

    def __init__(
        self,
        model: Layer,
        loss: Callable[..., Tensor] = F.cross_entropy,
        *,
        leaks: Mapping[str, float] | None = None,
    ) -> None:
        if not isinstance(model, Layer):
            raise ParameterError(
                f"OTTT steps a model as out, state = model(x, state); {type(model).__name__} is no "
                "neurosim.bridge layer. Build it with neurosim.bridge.Sequential."
            )
        self.model, self.loss = model, loss
        self._layers = find_layers(model, recurrent="OTTT trains feed-forward models.")
        names = [layer.name for layer in self._layers]
        given = dict(leaks or {})
        for name in given:
            if name not in names:
                raise unknown_name("layer", name, names, "OTTT, leaks")
        self.leaks = {n: given[n] if n in given else leak_after(model, n) for n in names}

    def __call__(
        self, x: Tensor, target: Any, *, every_step: Callable[[], Any] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Train on one batch of sequences: adds gradients, or lets `every_step` use them.

        Parameters
        ----------
        x : Tensor [T, B, ...]
            Input; ``image.expand(T, ...)`` costs no memory.
        target
            Second argument of the loss, at every step.
        every_step : callable, optional
            Called after the backward pass of every time step.

        Returns
        -------
        loss : Tensor, scalar
            Mean over time, detached.
        out : Tensor [B, ...]
            Output, mean over time, detached.
        """
        n_steps = len(x)
        rules = [LocalRule.of(layer) for layer in self._layers]
        for rule, leak in zip(rules, self.leaks.values(), strict=True):
            rule.start(leak)
        state: Any = None
        loss_sum, out_sum = torch.zeros(()), torch.zeros(())
        try:
            for t in range(n_steps):
                out, state = self.model(x[t : t + 1], state)
                loss = self.loss(out[0], target) / n_steps
                torch.autograd.backward(loss)
                state = _detached(state)
                loss_sum = loss_sum.to(loss.device) + loss.detach()
                out_sum = out_sum.to(out.device) + out[0].detach() / n_steps
                if every_step is not None:
                    every_step()
        finally:
            for rule in rules:
                rule.start(None)
        return loss_sum, out_sum


def leak_after(model: nn.Module, name: str) -> float:
    """Return the leak of the neurons that a layer excites: 0 if it is the last.

    Raises
    ------
    ParameterError
        If there is no single leak, with the name of the module that is to blame.
    """
    named = model.named_modules(remove_duplicate=False)
    modules = [(n, m) for n, m in named if not any(True for _ in m.children())]
    after = modules[[n for n, _ in modules].index(name) + 1 :]
    for other, module in after:
        if isinstance(module, Neuron):
            return _leak(f"{other!r}", module)
        if not isinstance(module, (*KINDS, *_PASSIVE)):
            raise ParameterError(
                f"layer {name!r} is followed by {other!r} ({type(module).__name__}), and OTTT does "
                f"not know how a trace passes it. Give the leak: leaks={{{name!r}: ...}}."
            )
    return 0.0


def _leak(name: str, neuron: Neuron) -> float:
    kind = type(neuron).__name__
    if type(neuron) not in (LIF, LI):
        raise ParameterError(
            f"layer {name} ({kind}): OTTT needs neurons with one leaking state, LIF or LI. Train "
            "others by backpropagation through time."
        )
    if isinstance(neuron, LIF) and neuron.reset not in ("subtract", "none"):
        raise ParameterError(
            f"layer {name}: OTTT needs reset='subtract' or 'none'; a reset to zero (here "
            f"{neuron.reset!r}) would have to clear a trace for every synapse."
        )
    beta = neuron.coefficients()["beta"].detach()
    if bool((beta != beta.flatten()[0]).any()):
        raise ParameterError(
            f"layer {name}: OTTT needs one beta for all neurons of a layer; with one each, every "
            "synapse would need its own trace."
        )
    return float(beta.flatten()[0])


def _detached(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, Mapping):
        return {name: _detached(value) for name, value in state.items()}
    return state
