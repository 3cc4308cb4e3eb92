"""A neuron with dendritic branches of different time constants."""

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
    spike_lines,
    step_of,
)
from neurosim.errors import ParameterError


class DendriticLIF(Neuron):
    """Leaky integrate-and-fire neuron fed by branches that filter their own input (DH-LIF).

    d_k[t] = alpha_k d_k[t-1] + (1 - alpha_k) x_k[t] for every branch k,
    mem[t] = beta mem[t-1] + (1 - beta) sum_k d_k[t] - threshold r[t].
    Zheng et al. (2024), Nat. Commun. 15:277 ("temporal dendritic heterogeneity").

    Parameters
    ----------
    branches : int
    shape : int or tuple of int, optional
        Shape of the layer; the input is [T, B, branches, *shape], for instance of a
        ``Linear(n, branches*m)`` followed by ``nn.Unflatten(1, (branches, m))``.
    alpha : float or tensor
        Factor by which a branch decays in a step: one value, [branches], or
        [branches, *shape]; limited to [0, 1].
    tau_branch, tau, dt : float or tensor; float
        Instead of alpha and beta: time constants.
    beta : float or tensor
        Factor by which the membrane decays in a step.
    learn_alpha, learn_beta, learn_threshold : bool, default False
    threshold, reset, spike_grad, reset_delay, detach_reset, stateful
        As in `LIF`; ``reset="zero"`` sets the membrane, not the branches, to 0.

    Examples
    --------
    >>> neuron = DendriticLIF(2, alpha=torch.tensor([0.0, 0.5]), beta=0.0, reset="none")
    >>> neuron(torch.ones(2, 1, 2, 1))[1]["mem"].item()
    1.75
    """

    alpha: torch.Tensor
    beta: torch.Tensor
    threshold: torch.Tensor

    def __init__(
        self,
        branches: int,
        shape: int | Sequence[int] | None = None,
        *,
        alpha: Value | None = None,
        tau_branch: Value | None = None,
        beta: Value | None = None,
        tau: Value | None = None,
        dt: float = 1.0,
        threshold: Value = 1.0,
        reset: str = "subtract",
        spike_grad: SpikeGrad = None,
        reset_delay: bool = True,
        detach_reset: bool = True,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        stateful: bool = False,
    ) -> None:
        name = type(self).__name__
        if branches < 1:
            raise ParameterError(f"{name}: branches = {branches!r} must be at least 1.")
        each = range(branches)
        delay = {"reset_delay": reset_delay, "detach_reset": detach_reset}
        drive = f"beta*mem + (1 - beta)*({' + '.join(f'd{k}' for k in each)})"
        update = {
            "subtract": f"mem = {drive} - r*threshold",
            "zero": f"mem = {drive}; mem = mem - mem*r",
            "none": f"mem = {drive}",
        }[checked_reset(name, reset)]
        program = "\n".join((
            earlier_spike(**delay),
            *(f"d{k} = alpha{k}*d{k} + (1 - alpha{k})*x{k}" for k in each),
            update, spike_lines(reset, graded=False, **delay),
        ))  # fmt: skip
        step = Step(
            name, (*(f"d{k}" for k in each), "mem"), tuple(f"x{k}" for k in each),
            (*(f"alpha{k}" for k in each), "beta", "threshold"), program,
        )  # fmt: skip
        super().__init__(step, shape=shape, spike_grad=spike_grad, stateful=stateful)
        self.branches = branches
        self.reset, self.reset_delay, self.detach_reset = reset, reset_delay, detach_reset
        self.made_for_dt = step_of(dt, tau, tau_branch)
        self.hold("beta", decay(name, beta, tau, dt, ("beta", "tau")), learn=learn_beta)
        self.hold("threshold", threshold, learn=learn_threshold)
        of_branch = decay(name, alpha, tau_branch, dt, ("alpha", "tau_branch"))
        self.register_alpha(of_branch, learn_alpha)

    def register_alpha(self, alpha: Value, learn: bool) -> None:
        """Hold the decay of the branches as [branches, ...].

        Raises
        ------
        ParameterError
            If it is neither one value nor begins with one dimension for the branches.
        """
        tensor = torch.as_tensor(alpha, dtype=torch.get_default_dtype()).detach().clone()
        if tensor.dim() == 0:
            tensor = tensor.repeat(self.branches)
        if tensor.shape[0] != self.branches:
            raise ParameterError(
                f"{self!r}: alpha has shape {tuple(tensor.shape)}; one value, "
                f"[{self.branches}] or [{self.branches}, *shape] is needed."
            )
        if learn:
            self.register_parameter("alpha", torch.nn.Parameter(tensor))
        else:
            self.register_buffer("alpha", tensor)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        alpha = clamped(self.alpha)
        return {
            **{f"alpha{k}": alpha[k] for k in range(self.branches)},
            "beta": clamped(self.beta), "threshold": self.threshold,
        }  # fmt: skip
