"""Leaky integrator: a readout that does not spike."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neurosim.bridge.kernels.step import Step
from neurosim.bridge.neurons.base import Neuron, Value, clamped
from neurosim.bridge.neurons.lif import decay, step_of
from neurosim.bridge.surrogate import straight_through


class LI(Neuron):
    """Leaky integrator: mem[t] = beta mem[t-1] + gain x[t]; its output is the membrane.

    Parameters
    ----------
    shape : int or tuple of int, optional
    beta : float or tensor
        Factor by which the membrane decays in a step, limited to [0, 1] in the forward pass.
    tau, dt : float or tensor; float
        Instead of `beta`: beta = exp(-dt/tau).
    normalise : bool, default False
        Whether the gain is 1 - beta (a running mean) rather than 1.
    learn_beta : bool, default False
    stateful : bool, default False
        See `Neuron`.

    Examples
    --------
    >>> LI(beta=0.5)(torch.ones(3, 1, 1))[0].flatten().tolist()
    [1.0, 1.5, 1.75]
    """

    beta: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        beta: Value | None = None,
        tau: Value | None = None,
        dt: float = 1.0,
        normalise: bool = False,
        learn_beta: bool = False,
        stateful: bool = False,
    ) -> None:
        update = "mem = beta*mem + (1 - beta)*x" if normalise else "mem = beta*mem + x"
        step = Step("LI", ("mem",), ("x",), ("beta",), update, ("mem",))
        # nothing spikes: any surrogate will do
        super().__init__(step, shape=shape, spike_grad=straight_through(), stateful=stateful)
        self.normalise = normalise
        self.made_for_dt = step_of(dt, tau)
        self.hold("beta", decay("LI", beta, tau, dt, ("beta", "tau")), learn=learn_beta)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        return {"beta": clamped(self.beta)}
