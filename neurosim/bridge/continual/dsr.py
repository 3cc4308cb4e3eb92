"""DSR: train spiking neurons as functions between weighted firing rates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from neurosim.bridge.kernels.step import Step
from neurosim.bridge.layer import Layer, State
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.surrogate import straight_through
from neurosim.errors import ParameterError


def rate_weights(n_steps: int, decay: float, like: Tensor) -> Tensor:
    """Return the weight of each step in a rate, ``decay ** (T - t)`` for t = 1..T, of sum 1.

    Parameters
    ----------
    n_steps : int
        T, number of steps.
    decay : float
        Factor by which the membrane decays in a step, exp(-dt/tau).
    like : Tensor
        Gives device and type.

    Examples
    --------
    >>> rate_weights(2, 0.5, torch.zeros(0))
    tensor([0.3333, 0.6667])
    """
    back = torch.arange(n_steps - 1, -1, -1, device=like.device, dtype=like.dtype)
    weights = torch.as_tensor(decay).to(back) ** back
    normalised: Tensor = weights / weights.sum()
    return normalised


def weighted_rate(x: Tensor, decay: float) -> Tensor:
    """Return the exponentially weighted mean over time: [T, B, ...] to [B, ...].

    Parameters
    ----------
    x : Tensor [T, B, ...]
        Spikes, or any sequence.
    decay : float
        As in `rate_weights`.
    """
    rate: Tensor = torch.tensordot(rate_weights(len(x), decay, x), x, dims=1)
    return rate


class DSRLIF(Layer):
    """LIF neuron whose gradient is that of its weighted firing rate.

    Forward: ``v = d v + (1 - d) x``, ``d = exp(-dt/tau)``; where ``v >= alpha V_th`` it spikes,
    V_th is subtracted, and the output is ``V_th / dt``. Backward: with weighted rates `a` of the
    output and `r` of the input, ``a = clip(r, 0, V_th tau / dt) / tau``: one gradient for a whole
    sequence.

    Parameters
    ----------
    tau : float, default 1
        Membrane time constant, in the unit of `dt`.
    dt : float, default 0.05
        Time step.
    threshold : float, default 0.3
        First V_th, one for the layer.
    alpha : float, default 0.3
        Fraction of V_th at which a neuron spikes.
    learn_threshold : bool, default True
    lowest_threshold : float, default 5e-4
        Bound of V_th, kept in the forward pass.

    Attributes
    ----------
    threshold : Parameter or Tensor, scalar
    decay : float
        d, for `weighted_rate`: the output of a network is the weighted rate of its last layer.

    Raises
    ------
    ParameterError
        If tau, dt, threshold, alpha or the bound is not above 0.

    Notes
    -----
    Meng et al. (2022), "Training high-performance low-latency spiking neural networks by
    differentiation on spike representation", CVPR, with the constants of Xiao et al. (2024). The
    gradients are those of the equation above for the rates as they were, exactly: the sum over
    time of what comes from above, and to each step its weight in `r` of what goes below. (Their
    code takes weighted means instead and spreads evenly, 8 % off at T dt = tau.) V_th is moved by
    the gradient of saturated neurons times dt, as in their code, not divided by dt as the
    equation has it.

    Examples
    --------
    >>> out, _ = DSRLIF()(torch.full((20, 1, 1), 2.0))
    >>> round(weighted_rate(out, DSRLIF().decay).item(), 1)  # about 2 / tau
    2.1
    """

    threshold: Tensor

    def __init__(
        self,
        *,
        tau: float = 1.0,
        dt: float = 0.05,
        threshold: float = 0.3,
        alpha: float = 0.3,
        learn_threshold: bool = True,
        lowest_threshold: float = 5e-4,
    ) -> None:
        super().__init__()
        given = {"tau": tau, "dt": dt, "threshold": threshold, "alpha": alpha}
        for name, value in (*given.items(), ("lowest_threshold", lowest_threshold)):
            if not value > 0:
                raise ParameterError(f"DSRLIF: {name} = {value} must be > 0.")
        self.tau, self.dt, self.lowest_threshold = tau, dt, lowest_threshold
        self.decay = float(torch.exp(torch.tensor(-dt / tau, dtype=torch.float64)))
        self.spiking = _Spiking(self.decay, alpha)
        if learn_threshold:
            self.threshold = nn.Parameter(torch.tensor(threshold))
        else:
            self.register_buffer("threshold", torch.tensor(threshold))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Return the spikes, of amplitude V_th / dt, and the membrane after the last step.

        Parameters
        ----------
        x : Tensor [T, B, ...]
        state : dict, optional
            ``{"mem": Tensor [B, ...]}``; no gradient goes into it.
        """
        with torch.no_grad():
            self.threshold.clamp_(min=self.lowest_threshold)
            self.spiking.threshold = self.threshold.detach()
            spikes, final = self.spiking(x.detach(), state)
        amplitude = self.threshold.detach().to(spikes) / self.dt
        out = _rate(x, self.threshold, spikes * amplitude, self.decay, self.tau, self.dt)
        return out, final

    def extra_repr(self) -> str:
        """Describe the layer."""
        return f"tau={self.tau}, dt={self.dt}, threshold={float(self.threshold):.4g}"


class _Spiking(Neuron):
    """The forward dynamics, as a step of the fused kernels."""

    def __init__(self, decay: float, alpha: float) -> None:
        program = (
            "mem = decay*mem + (1 - decay)*x\n"
            "spk = spike(mem - alpha*threshold)\n"
            "mem = mem - threshold*spk"
        )
        parameters = ("decay", "alpha", "threshold")
        step = Step("DSRLIF", ("mem",), ("x",), parameters, program, strict=False)
        super().__init__(step, shape=None, spike_grad=straight_through(), stateful=False)
        self.decay, self.alpha = decay, alpha
        self.threshold = torch.tensor(0.0)

    def coefficients(self) -> dict[str, Tensor]:
        """Return the parameters of the step."""
        decay, alpha = torch.tensor([self.decay, self.alpha], dtype=torch.float64)
        return {"decay": decay, "alpha": alpha, "threshold": self.threshold}


class _Rate(torch.autograd.Function):
    """Spikes whose gradient is that of the clipped weighted rate."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, threshold: Tensor, out: Tensor, decay: float, tau: float, dt: float
    ) -> Tensor:
        rate = weighted_rate(x, decay)
        top = threshold.to(rate) * tau / dt
        ctx.save_for_backward((rate > 0) & (rate < top), rate > top)
        ctx.n_steps, ctx.decay, ctx.tau, ctx.dt = len(x), decay, tau, dt
        ctx.threshold_dtype = threshold.dtype
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        linear, saturated = ctx.saved_tensors
        of_rate = grad.sum(0)
        grad_x = grad_threshold = None
        if ctx.needs_input_grad[0]:
            weights = rate_weights(ctx.n_steps, ctx.decay, grad)
            inner = of_rate * linear / ctx.tau
            grad_x = weights.reshape(-1, *(1,) * inner.dim()) * inner
        if ctx.needs_input_grad[1]:
            grad_threshold = ((of_rate * saturated).sum() * ctx.dt).to(ctx.threshold_dtype)
        return grad_x, grad_threshold, None, None, None, None


_rate: Callable[..., Tensor] = _Rate.apply
