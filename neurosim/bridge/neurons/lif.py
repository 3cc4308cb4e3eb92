"""Leaky integrate-and-fire neurons, with the numbers and conventions of snnTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from neurosim.bridge.kernels.step import Step
from neurosim.bridge.neurons.base import Neuron, Value, clamped
from neurosim.bridge.surrogate import Surrogate
from neurosim.errors import ParameterError

RESETS = ("subtract", "zero", "none")
SpikeGrad = Surrogate | Callable[[torch.Tensor], torch.Tensor] | None


def decay(
    what: str, given: Value | None, tau: Value | None, dt: float, names: tuple[str, str]
) -> Value:
    """Return a decay factor per step, given itself or as a time constant: exp(-dt/tau).

    Raises
    ------
    ParameterError
        If both or none of them is given, or the time constant is not positive.
    """
    if (given is None) == (tau is None):
        raise ParameterError(
            f"{what}: give either {names[0]}, the factor by which it decays in a step, or "
            f"{names[1]}, its time constant, and dt."
        )
    if given is not None:
        return given
    constant = torch.as_tensor(tau, dtype=torch.float64)
    if not ((constant > 0).all() and dt > 0):
        raise ParameterError(f"{what}: {names[1]} = {tau!r} and dt = {dt!r} must be > 0.")
    if constant.dim() == 0:
        return math.exp(-dt / float(constant))
    return torch.exp(-dt / constant).to(torch.get_default_dtype())


def step_of(dt: float, *taus: Value | None) -> float | None:
    """Return the step for which decays are made, where one is given as a time constant."""
    return dt if any(tau is not None for tau in taus) else None


def checked_reset(what: str, reset: str, allowed: Sequence[str] = RESETS) -> str:
    """Return a reset mechanism if it is one.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if reset not in allowed:
        raise ParameterError(f"{what}: reset = {reset!r} is not one of {', '.join(allowed)}.")
    return reset


def spike_lines(reset: str, *, reset_delay: bool, detach_reset: bool, graded: bool) -> str:
    """Return the lines that end a step: the spike, and its reset where that is not delayed.

    Without delay, the reset of the spike follows at once; a neuron that is still above threshold
    after it was already reset by the line before (`r`), hence ``spk - r`` (as in snnTorch).
    """
    lines = ["spk = spike(mem - threshold)"]
    if not reset_delay and reset != "none":
        now = "now = detached_spike(mem - threshold)" if detach_reset else "now = spk"
        amount = "threshold" if reset == "subtract" else "mem"
        lines += [now, f"mem = mem - (now - r)*{amount}"]
    if graded:
        lines.append("spk = spk*graded")
    return "\n".join(lines)


def earlier_spike(*, reset_delay: bool, detach_reset: bool) -> str:
    """Return the line that recalls the last step's spike as `r`.

    Cut from the graph, unless a delayed reset is to be differentiated.
    """
    function = "spike" if reset_delay and not detach_reset else "detached_spike"
    return f"r = {function}(mem - threshold)"


class LIF(Neuron):
    """Leaky integrate-and-fire neuron (snnTorch's ``Leaky``).

    mem[t] = beta mem[t-1] + x[t] - threshold r[t], spike[t] = 1 where mem[t] > threshold, with
    r[t] = 1 where mem[t-1] > threshold; ``reset="zero"`` sets mem[t-1] to 0 instead where r is 1.

    Parameters
    ----------
    shape : int or tuple of int, optional
        Shape of the layer; input of another shape is an error then.
    beta : float or tensor
        Factor by which the membrane decays in a step, limited to [0, 1] in the forward pass.
    tau, dt : float or tensor; float
        Instead of `beta`: time constant, and step in the same unit; beta = exp(-dt/tau).
    threshold : float or tensor, default 1
    reset : {"subtract", "zero", "zero_all", "none"}
        ``"zero_all"`` sets mem[t] to 0 where r is 1, so that the input of the step is lost, too
        (what snnTorch's ``RLeaky`` calls zero).
    spike_grad : Surrogate or callable, optional
        Default ``atan(alpha=2)``.
    reset_delay : bool, default True
        Whether the reset acts in the step after the spike.
    detach_reset : bool, default True
        Whether the gradient ignores the spike in the reset.
    learn_beta, learn_threshold, learn_graded_spikes_factor : bool, default False
    graded_spikes_factor : float or tensor, default 1
        Amplitude of a spike in the output.
    stateful : bool, default False
        See `Neuron`.

    Raises
    ------
    ParameterError
        For values that are not possible.

    Examples
    --------
    >>> out, state = LIF(beta=0.5, reset="none")(torch.ones(3, 1, 1))
    >>> out.flatten().tolist(), state["mem"].item()
    ([0.0, 1.0, 1.0], 1.75)
    """

    beta: torch.Tensor
    threshold: torch.Tensor
    graded_spikes_factor: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        beta: Value | None = None,
        tau: Value | None = None,
        dt: float = 1.0,
        threshold: Value = 1.0,
        reset: str = "subtract",
        spike_grad: SpikeGrad = None,
        reset_delay: bool = True,
        detach_reset: bool = True,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        graded_spikes_factor: Value = 1.0,
        learn_graded_spikes_factor: bool = False,
        stateful: bool = False,
    ) -> None:
        name = type(self).__name__
        graded = learn_graded_spikes_factor or not is_one(graded_spikes_factor)
        delay = {"reset_delay": reset_delay, "detach_reset": detach_reset}
        update = {
            "subtract": "mem = beta*mem + x - r*threshold",
            "zero": "mem = beta*((1 - r)*mem) + x",
            "zero_all": "mem = beta*mem + x; mem = mem - r*mem",
            "none": "mem = beta*mem + x",
        }[checked_reset(name, reset, (*RESETS, "zero_all"))]
        lines = (earlier_spike(**delay), update, spike_lines(reset, graded=graded, **delay))
        parameters = ("beta", "threshold", *(("graded",) if graded else ()))
        step = Step(name, ("mem",), ("x",), parameters, "\n".join(lines))
        super().__init__(step, shape=shape, spike_grad=spike_grad, stateful=stateful)
        self.reset, self.reset_delay, self.detach_reset = reset, reset_delay, detach_reset
        self.made_for_dt = step_of(dt, tau)
        self.hold("beta", decay(name, beta, tau, dt, ("beta", "tau")), learn=learn_beta)
        self.hold("threshold", threshold, learn=learn_threshold)
        self.hold("graded_spikes_factor", graded_spikes_factor, learn=learn_graded_spikes_factor)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        return {
            "beta": clamped(self.beta), "threshold": self.threshold,
            **graded_coefficient(self),
        }  # fmt: skip


def is_one(value: Any) -> bool:
    """Return whether a factor is 1 everywhere and can be left out."""
    return bool((torch.as_tensor(value) == 1).all())


def graded_coefficient(neuron: Any) -> dict[str, torch.Tensor]:
    """Return the amplitude of spikes, where the step of a neuron uses it."""
    return {"graded": neuron.graded_spikes_factor} if "graded" in neuron.step.parameters else {}
