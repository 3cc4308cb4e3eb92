"""Neurons with synaptic currents: one exponential (CubaLIF) or a difference of two (AlphaLIF)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neurosim.bridge.kernels.step import Step
from neurosim.bridge.neurons.base import Neuron, Value, clamped
from neurosim.bridge.neurons.lif import (
    SpikeGrad,
    checked_reset,
    decay,
    earlier_spike,
    graded_coefficient,
    is_one,
    spike_lines,
    step_of,
)
from neurosim.errors import ParameterError


class CubaLIF(Neuron):
    """Leaky integrate-and-fire neuron with a decaying input current (snnTorch's ``Synaptic``).

    syn[t] = alpha syn[t-1] + x[t], mem[t] = beta mem[t-1] + syn[t] - threshold r[t]; spikes and
    resets as in `LIF` (``reset="zero"`` sets mem[t] to 0, and leaves the current).

    Parameters
    ----------
    shape : int or tuple of int, optional
    alpha, beta : float or tensor
        Factors by which current and membrane decay in a step, limited to [0, 1].
    tau_syn, tau_mem, dt : float or tensor; float
        Instead: time constants, and step in the same unit; alpha = exp(-dt/tau_syn).
    learn_alpha, learn_beta, learn_threshold, learn_graded_spikes_factor : bool, default False
    threshold, reset, spike_grad, reset_delay, detach_reset, graded_spikes_factor, stateful
        As in `LIF`.

    Examples
    --------
    >>> out, state = CubaLIF(alpha=0.5, beta=0.5)(torch.ones(2, 1, 1))
    >>> state["syn"].item(), state["mem"].item()
    (1.5, 2.0)
    """

    alpha: torch.Tensor
    beta: torch.Tensor
    threshold: torch.Tensor
    graded_spikes_factor: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        alpha: Value | None = None,
        beta: Value | None = None,
        tau_syn: Value | None = None,
        tau_mem: Value | None = None,
        dt: float = 1.0,
        threshold: Value = 1.0,
        reset: str = "subtract",
        spike_grad: SpikeGrad = None,
        reset_delay: bool = True,
        detach_reset: bool = True,
        learn_alpha: bool = False,
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
            "subtract": "mem = beta*mem + syn - r*threshold",
            "zero": "mem = beta*mem + syn; mem = mem - mem*r",
            "none": "mem = beta*mem + syn",
        }[checked_reset(name, reset)]
        lines = (
            earlier_spike(**delay), "syn = alpha*syn + x", update,
            spike_lines(reset, graded=graded, **delay),
        )  # fmt: skip
        parameters = ("alpha", "beta", "threshold", *(("graded",) if graded else ()))
        step = Step(name, ("syn", "mem"), ("x",), parameters, "\n".join(lines))
        super().__init__(step, shape=shape, spike_grad=spike_grad, stateful=stateful)
        self.reset, self.reset_delay, self.detach_reset = reset, reset_delay, detach_reset
        self.made_for_dt = step_of(dt, tau_syn, tau_mem)
        alpha = decay(name, alpha, tau_syn, dt, ("alpha", "tau_syn"))
        self.hold("alpha", alpha, learn=learn_alpha)
        self.hold("beta", decay(name, beta, tau_mem, dt, ("beta", "tau_mem")), learn=learn_beta)
        self.hold("threshold", threshold, learn=learn_threshold)
        self.hold("graded_spikes_factor", graded_spikes_factor, learn=learn_graded_spikes_factor)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        return {
            "alpha": clamped(self.alpha), "beta": clamped(self.beta),
            "threshold": self.threshold, **graded_coefficient(self),
        }  # fmt: skip


class AlphaLIF(Neuron):
    """Neuron whose membrane is an alpha-like filter of its input (snnTorch's ``Alpha``).

    syn_exc[t] = alpha syn_exc[t-1] + x[t], syn_inh[t] = beta syn_inh[t-1] - x[t],
    mem[t] = k (syn_exc[t] + syn_inh[t]) with k = ln(alpha)/(ln(beta) - ln(alpha)) + 1.

    ``reset="zero"`` sets currents and membrane to 0 in the step after a spike.
    ``reset="subtract"`` is what snnTorch computes: the threshold is subtracted from syn_exc,
    syn_inh is set to 0, and its value of the step before is added to the membrane.

    Parameters
    ----------
    shape : int or tuple of int, optional
    alpha, beta : float or tensor
        Decay factors of the two currents, 0 < beta < alpha < 1.
    reset : {"zero", "subtract", "none"}, default "zero"
    learn_alpha, learn_beta, learn_threshold : bool, default False
    threshold, spike_grad, detach_reset, stateful
        As in `LIF`; the reset is always delayed.

    Raises
    ------
    ParameterError
        Unless beta < alpha and both are between 0 and 1.

    Examples
    --------
    >>> neuron = AlphaLIF(alpha=0.8, beta=0.4)
    >>> trace = neuron.traces(torch.tensor([1.0, 0, 0]).reshape(3, 1, 1))["mem"].flatten()
    >>> [round(v, 3) for v in trace.tolist()]
    [0.0, 0.529, 0.635]
    """

    alpha: torch.Tensor
    beta: torch.Tensor
    threshold: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        alpha: Value,
        beta: Value,
        threshold: Value = 1.0,
        reset: str = "zero",
        spike_grad: SpikeGrad = None,
        detach_reset: bool = True,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        stateful: bool = False,
    ) -> None:
        name = type(self).__name__
        resets = {
            "subtract": "mem = mem + before*r; syn_exc = syn_exc - threshold*r\n"
            "syn_inh = syn_inh - syn_inh*r",
            "zero": "mem = mem - mem*r; syn_exc = syn_exc - syn_exc*r\n"
            "syn_inh = syn_inh - syn_inh*r",
            "none": "",
        }
        program = "\n".join((
            earlier_spike(reset_delay=True, detach_reset=detach_reset),
            "before = syn_inh",
            "syn_exc = alpha*syn_exc + x",
            "syn_inh = beta*syn_inh - x",
            "mem = k*(syn_exc + syn_inh)",
            resets[checked_reset(name, reset)],
            "spk = spike(mem - threshold)",
        ))  # fmt: skip
        step = Step(
            name, ("syn_exc", "syn_inh", "mem"), ("x",), ("alpha", "beta", "k", "threshold"),
            program,
        )  # fmt: skip
        super().__init__(step, shape=shape, spike_grad=spike_grad, stateful=stateful)
        self.reset, self.reset_delay, self.detach_reset = reset, True, detach_reset
        self.hold("alpha", alpha, learn=learn_alpha)
        self.hold("beta", beta, learn=learn_beta)
        self.hold("threshold", threshold, learn=learn_threshold)
        ordered = (self.beta < self.alpha) & (self.beta > 0) & (self.alpha < 1)
        if not bool(ordered.all()):
            raise ParameterError(
                f"{name}: alpha = {alpha!r}, beta = {beta!r}; 0 < beta < alpha < 1 is needed."
            )

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        alpha, beta = clamped(self.alpha), clamped(self.beta)
        k = torch.log(alpha) / (torch.log(beta) - torch.log(alpha)) + 1
        return {"alpha": alpha, "beta": beta, "k": k, "threshold": self.threshold}
