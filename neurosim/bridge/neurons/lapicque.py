"""Lapicque's neuron: an RC circuit with a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from neurosim.bridge.kernels.step import Step
from neurosim.bridge.neurons.base import Neuron, Value
from neurosim.bridge.neurons.lif import SpikeGrad, checked_reset, earlier_spike
from neurosim.errors import ParameterError


class Lapicque(Neuron):
    """RC circuit by forward Euler (snnTorch's ``Lapicque``).

    mem[t] = (1 - dt/(R C)) mem[t-1] + dt/(R C) R x[t] - threshold r[t]; ``reset="zero"`` sets
    mem[t] to 0 where r is 1. Lapicque (1907), J. Physiol. Pathol. Gen. 9:620.

    Parameters
    ----------
    shape : int or tuple of int, optional
    R, C : float or tensor, optional
        Resistance and capacitance. One of them may be left out if `beta` is given.
    beta : float, optional
        exp(-dt/(R C)), from which what was left out follows (R = 1 if both were).
    dt : float, default 1
        Step, in the unit of R C.
    learn_R, learn_C, learn_threshold : bool, default False
    threshold, reset, spike_grad, detach_reset, stateful
        As in `LIF`; the reset is always delayed.

    Raises
    ------
    ParameterError
        If R, C and beta do not determine the circuit, or are not positive.

    Examples
    --------
    >>> Lapicque(R=5.0, C=1.0, reset="none")(torch.ones(2, 1, 1))[1]["mem"].item()
    1.7999999523162842
    """

    R: torch.Tensor
    C: torch.Tensor
    threshold: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        R: Value | None = None,
        C: Value | None = None,
        beta: float | None = None,
        dt: float = 1.0,
        threshold: Value = 1.0,
        reset: str = "subtract",
        spike_grad: SpikeGrad = None,
        detach_reset: bool = True,
        learn_R: bool = False,
        learn_C: bool = False,
        learn_threshold: bool = False,
        stateful: bool = False,
    ) -> None:
        name = type(self).__name__
        R, C = _circuit(name, R, C, beta, dt)
        update = {
            "subtract": "mem = m - r*threshold", "zero": "mem = m - r*m", "none": "mem = m",
        }[checked_reset(name, reset)]  # fmt: skip
        program = "\n".join((
            earlier_spike(reset_delay=True, detach_reset=detach_reset),
            "m = x*R*rate*dt + keep*mem", update, "spk = spike(mem - threshold)",
        ))  # fmt: skip
        parameters = ("R", "rate", "dt", "keep", "threshold")
        step = Step(name, ("mem",), ("x",), parameters, program)
        super().__init__(step, shape=shape, spike_grad=spike_grad, stateful=stateful)
        self.reset, self.reset_delay, self.detach_reset = reset, True, detach_reset
        self.dt = self.made_for_dt = dt
        self.hold("R", R, learn=learn_R)
        self.hold("C", C, learn=learn_C)
        self.hold("threshold", threshold, learn=learn_threshold)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        constant = self.R * self.C
        return {
            "R": self.R, "rate": 1 / constant, "dt": self.R.new_tensor(self.dt),
            "keep": 1 - self.dt / constant, "threshold": self.threshold,
        }  # fmt: skip


def _circuit(
    name: str, R: Value | None, C: Value | None, beta: float | None, dt: float
) -> tuple[Value, Value]:
    """Return R and C, one of them from beta where it was left out."""
    given = sum(v is not None for v in (R, C, beta))
    if not (dt > 0 and all(bool((torch.as_tensor(v) > 0).all()) for v in (R, C) if v is not None)):
        raise ParameterError(f"{name}: R = {R!r}, C = {C!r} and dt = {dt!r} must be > 0.")
    if R is not None and C is not None:
        if given == 3:
            raise ParameterError(f"{name}: beta follows from R, C and dt; give two of the three.")
        return R, C
    if beta is None or not 0 < beta < 1:
        raise ParameterError(
            f"{name}: beta = {beta!r}; R and C are needed, or beta between 0 and 1 and at most "
            "one of them."
        )
    constant = -dt / math.log(beta)
    if C is not None:
        return constant / torch.as_tensor(C), C
    R = 1.0 if R is None else R
    return R, constant / torch.as_tensor(R)
