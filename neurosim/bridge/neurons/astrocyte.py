"""Spiking neurons that an astrocyte of their own modulates."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neurosim.bridge.kernels.step import Step
from neurosim.bridge.neurons.base import Neuron, Value, clamped
from neurosim.bridge.neurons.lif import SpikeGrad, checked_reset, decay, step_of
from neurosim.errors import ParameterError


class AstroLIF(Neuron):
    """Leaky integrate-and-fire neuron with a slow astrocyte that remembers its spikes.

    With the spikes s and the astrocyte's state A, which follows them slowly:

    - A[t] = rho A[t-1] + (1 - rho) s[t];
    - mem[t] = beta mem[t-1] + (1 + w_gain (A[t-1] - baseline)) x[t] + w_astro A[t-1]
      - threshold s[t-1];
    - s[t] = 1 where mem[t] > threshold + w_threshold A[t-1].

    The astrocyte-modulated spiking unit of AstroSNN (Shen et al. 2023, arXiv 2312.07625) in spirit:
    the paper's equations were not at hand, and these are a design of this package: a leaky trace
    of the neuron's activity that acts additively, on the gain, or on the threshold. Terms whose
    weight is 0 and not learnt are left out, so that without any the layer is `LIF` bit for bit.

    Parameters
    ----------
    shape : int or tuple of int, optional
    beta, rho : float or tensor
        Factors by which membrane and astrocyte decay in a step, limited to [0, 1].
    tau, tau_astro, dt : float or tensor; float
        Instead: time constants; beta = exp(-dt/tau), rho = exp(-dt/tau_astro). The astrocyte is
        meant to be slow: 50 to 500 steps.
    w_astro, w_gain, w_threshold : float or tensor, default 0
        Weights of the astrocyte in the input, its gain, and the threshold.
    baseline : float or tensor, default 0
        State of the astrocyte at which the gain is 1.
    learn_w_astro : bool, default True
    learn_beta, learn_rho, learn_w_gain, learn_w_threshold, learn_threshold : bool, default False
    detach_reset : bool, default True
        Whether the gradient ignores the spike in the reset; that of the astrocyte counts.
    threshold, reset, spike_grad, stateful
        As in `LIF`; the reset is always delayed.

    Raises
    ------
    ParameterError
        For values that are not possible.

    Examples
    --------
    >>> layer = AstroLIF(beta=0.5, rho=0.5, w_astro=2.0)
    >>> out, state = layer(torch.tensor([1.5, 0.4, 0.4]).reshape(3, 1, 1))
    >>> out.flatten().tolist(), state["a"].item()
    ([1.0, 1.0, 1.0], 0.75)
    """

    beta: torch.Tensor
    rho: torch.Tensor
    threshold: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        beta: Value | None = None,
        tau: Value | None = None,
        rho: Value | None = None,
        tau_astro: Value | None = None,
        dt: float = 1.0,
        w_astro: Value = 0.0,
        w_gain: Value = 0.0,
        w_threshold: Value = 0.0,
        baseline: Value = 0.0,
        threshold: Value = 1.0,
        reset: str = "subtract",
        spike_grad: SpikeGrad = None,
        detach_reset: bool = True,
        learn_beta: bool = False,
        learn_rho: bool = False,
        learn_w_astro: bool = True,
        learn_w_gain: bool = False,
        learn_w_threshold: bool = False,
        learn_threshold: bool = False,
        stateful: bool = False,
    ) -> None:
        name = type(self).__name__
        given = {
            "w_astro": (w_astro, learn_w_astro),
            "w_gain": (w_gain, learn_w_gain),
            "w_threshold": (w_threshold, learn_w_threshold),
        }
        self._used = [n for n, (value, learn) in given.items() if learn or _any(name, n, value)]
        if "w_gain" in self._used:
            self._used.append("baseline")
        parameters = ("beta", "rho", "threshold", *self._used)
        program = _program(checked_reset(name, reset), self._used, detach_reset=detach_reset)
        step = Step(name, ("mem", "a"), ("x",), parameters, program)
        super().__init__(step, shape=shape, spike_grad=spike_grad, stateful=stateful)
        self.reset, self.reset_delay, self.detach_reset = reset, True, detach_reset
        self.made_for_dt = step_of(dt, tau, tau_astro)
        self.hold("beta", decay(name, beta, tau, dt, ("beta", "tau")), learn=learn_beta)
        slow = decay(name, rho, tau_astro, dt, ("rho", "tau_astro"))
        self.hold("rho", slow, learn=learn_rho)
        self.hold("threshold", threshold, learn=learn_threshold)
        self.hold("baseline", baseline, learn=False)
        for weight, (value, learn) in given.items():
            self.hold(weight, value, learn=learn)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        return {
            "beta": clamped(self.beta), "rho": clamped(self.rho), "threshold": self.threshold,
            **{name: getattr(self, name) for name in self._used},
        }  # fmt: skip


def _program(reset: str, used: Sequence[str], *, detach_reset: bool) -> str:
    """Return the step; the astrocyte takes up a spike at the beginning of the next one."""
    level = "threshold + w_threshold*a" if "w_threshold" in used else "threshold"
    current = "(1 + w_gain*(a - baseline))*x" if "w_gain" in used else "x"
    if "w_astro" in used:
        current += " + w_astro*a"
    update = {
        "subtract": f"mem = beta*mem + {current} - r*threshold",
        "zero": f"mem = beta*((1 - r)*mem) + {current}",
        "none": f"mem = beta*mem + {current}",
    }[reset]
    return "\n".join((
        f"r = {'detached_' if detach_reset else ''}spike(mem - ({level}))",
        f"s = spike(mem - ({level}))",
        "a = rho*a + (1 - rho)*s",
        update,
        f"spk = spike(mem - ({level}))",
    ))  # fmt: skip


def _any(layer: str, name: str, value: Value) -> bool:
    try:
        return bool((torch.as_tensor(value) != 0).any())
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"{layer}: {name} = {value!r}; numbers are needed.") from error
