"""Adaptive neurons: a moving threshold (ALIF) or an adaptation current (AdLIF)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from neurosim.bridge.kernels.step import Step
from neurosim.bridge.neurons.base import Neuron, Value, clamped
from neurosim.bridge.neurons.lif import SpikeGrad, checked_reset, decay, step_of
from neurosim.bridge.surrogate import slayer
from neurosim.errors import ParameterError, ParameterWarning

#: A value for all neurons, or the bounds of a range that values are drawn from and stay in.
Range = float | tuple[float, float]


class ALIF(Neuron):
    """Leaky integrate-and-fire neuron whose threshold rises with every spike.

    a[t] = rho a[t-1] + s[t-1], mem[t] = beta mem[t-1] + x[t] - threshold s[t-1],
    s[t] = 1 where mem[t] > threshold + kappa a[t]. Bellec et al. (2018), NeurIPS 31, and (2020),
    Nat. Commun. 11:3625, eqs. 6-8, there with kappa written beta.

    Parameters
    ----------
    shape : int or tuple of int, optional
    beta, rho : float or tensor
        Factors by which membrane and adaptation decay in a step, limited to [0, 1].
    tau, tau_adaptation, dt : float or tensor; float
        Instead: time constants; beta = exp(-dt/tau), rho = exp(-dt/tau_adaptation).
    kappa : float or tensor, default 1.8
        Rise of the threshold per unit of a.
    detach_reset : bool, default True
        Whether the gradient ignores the spike in the reset; that of the adaptation counts.
    learn_beta, learn_rho, learn_kappa, learn_threshold : bool, default False
    threshold, reset, spike_grad, stateful
        As in `LIF`; the reset is always delayed.

    Examples
    --------
    >>> out, state = ALIF(beta=1.0, rho=0.5, kappa=1.0)(torch.full((4, 1, 1), 1.5))
    >>> out.flatten().tolist(), state["a"].item()
    ([1.0, 0.0, 1.0, 1.0], 1.25)
    """

    beta: torch.Tensor
    rho: torch.Tensor
    kappa: torch.Tensor
    threshold: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        beta: Value | None = None,
        tau: Value | None = None,
        rho: Value | None = None,
        tau_adaptation: Value | None = None,
        dt: float = 1.0,
        kappa: Value = 1.8,
        threshold: Value = 1.0,
        reset: str = "subtract",
        spike_grad: SpikeGrad = None,
        detach_reset: bool = True,
        learn_beta: bool = False,
        learn_rho: bool = False,
        learn_kappa: bool = False,
        learn_threshold: bool = False,
        stateful: bool = False,
    ) -> None:
        name = type(self).__name__
        distance = "spike(mem - (threshold + kappa*a))"
        update = {
            "subtract": "mem = beta*mem + x - r*threshold",
            "zero": "mem = beta*((1 - r)*mem) + x",
            "none": "mem = beta*mem + x",
        }[checked_reset(name, reset)]
        program = "\n".join((
            f"r = detached_{distance}" if detach_reset else f"r = {distance}",
            f"s = {distance}", "a = rho*a + s", update, f"spk = {distance}",
        ))  # fmt: skip
        step = Step(name, ("mem", "a"), ("x",), ("beta", "rho", "kappa", "threshold"), program)
        super().__init__(step, shape=shape, spike_grad=spike_grad, stateful=stateful)
        self.reset, self.reset_delay, self.detach_reset = reset, True, detach_reset
        self.made_for_dt = step_of(dt, tau, tau_adaptation)
        self.hold("beta", decay(name, beta, tau, dt, ("beta", "tau")), learn=learn_beta)
        rho = decay(name, rho, tau_adaptation, dt, ("rho", "tau_adaptation"))
        self.hold("rho", rho, learn=learn_rho)
        self.hold("kappa", kappa, learn=learn_kappa)
        self.hold("threshold", threshold, learn=learn_threshold)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        return {
            "beta": clamped(self.beta), "rho": clamped(self.rho), "kappa": self.kappa,
            "threshold": self.threshold,
        }  # fmt: skip


class AdLIF(Neuron):
    """Adaptive leaky integrate-and-fire neuron, integrated symplectically (SE-adLIF).

    With alpha = exp(-dt/tau_u), beta = exp(-dt/tau_w):
    v = alpha u[t-1] + (1 - alpha)(x[t] - w[t-1]), s[t] = 1 where v > threshold,
    u[t] = v (1 - s[t]), w[t] = beta w[t-1] + (1 - beta) q (a u[t] + b s[t]).
    Baronig et al. (2025), Nat. Commun.; the Euler-forward variant uses u[t-1] in the last line.

    Parameters
    ----------
    shape : int or tuple of int, optional
        Needed to draw one value a neuron from ranges.
    tau_u, tau_w, a, b : float or (float, float)
        Time constants of membrane and adaptation, coupling to the membrane and to spikes. A pair
        is a range: the values start uniformly in it, one a neuron if `shape` is given (else in
        its middle), and stay in it when learnt.
    q : float, default 120
        Scale of the adaptation.
    dt : float, default 1
        Step, in the unit of the time constants.
    symplectic : bool, default True
    learn : bool, default True
        Whether tau_u, tau_w, a and b are learnt.
    threshold, detach_reset, stateful
        As in `LIF`.
    spike_grad : Surrogate or callable, optional
        Default ``slayer(alpha=5, c=0.4)``, as in the paper's code.

    Warns
    -----
    ParameterWarning
        If neurons are unstable with the values that they start from.

    Notes
    -----
    Between spikes (u, w) is multiplied by a 2x2 matrix in each step. Its eigenvalues are inside
    the unit circle exactly if ``-1 < q a < bound`` with

    - bound = (1 + alpha)(1 + beta)/((1 - alpha)(1 - beta)), about 4 tau_u tau_w/dt^2: symplectic,
      whose matrix has the determinant alpha beta;
    - bound = (1 - alpha beta)/((1 - alpha)(1 - beta)), about (tau_u + tau_w)/dt: forward Euler.

    Outside, u and w grow without limit, or alternate in sign. The ranges of the defaults are
    stable everywhere (bound 1204 at their short end), but not with ``symplectic=False`` (bound 65).
    """

    threshold: torch.Tensor
    q: torch.Tensor

    def __init__(
        self,
        shape: int | Sequence[int] | None = None,
        *,
        tau_u: Range = (5.0, 25.0),
        tau_w: Range = (60.0, 300.0),
        a: Range = (0.0, 1.0),
        b: Range = (0.0, 2.0),
        q: float = 120.0,
        dt: float = 1.0,
        threshold: Value = 1.0,
        spike_grad: SpikeGrad = None,
        symplectic: bool = True,
        detach_reset: bool = True,
        learn: bool = True,
        stateful: bool = False,
    ) -> None:
        program = "\n".join((
            "before = u",
            "v = alpha*u + (1 - alpha)*(x - w)",
            "spk = spike(v - threshold)",
            f"r = {'detached_' if detach_reset else ''}spike(v - threshold)",
            "u = v*(1 - r)",
            f"w = beta*w + (1 - beta)*q*(a*{'u' if symplectic else 'before'} + b*spk)",
        ))  # fmt: skip
        parameters = ("alpha", "beta", "a", "b", "q", "threshold")
        step = Step(type(self).__name__, ("u", "w"), ("x",), parameters, program)
        super().__init__(
            step, shape=shape, spike_grad=slayer() if spike_grad is None else spike_grad,
            stateful=stateful,
        )  # fmt: skip
        self.dt = self.made_for_dt = dt
        self.ranges = {
            name: self._place(name, given, learn)
            for name, given in (("tau_u", tau_u), ("tau_w", tau_w), ("a", a), ("b", b))
        }
        self.hold("q", q, learn=False)
        self.hold("threshold", threshold, learn=False)
        self._warn_if_unstable(symplectic)

    def _warn_if_unstable(self, symplectic: bool) -> None:
        values = {name: v.detach().double() for name, v in self.coefficients().items()}
        coupling, bound = torch.broadcast_tensors(
            values["q"] * values["a"],
            _stable_below(values["alpha"], values["beta"], symplectic=symplectic),
        )  # type: ignore[no-untyped-call]
        wrong = (coupling <= -1) | (coupling >= bound)
        if bool(wrong.any()):
            share = f"{int(wrong.sum())} of {wrong.numel()}" if wrong.numel() > 1 else "all"
            warnings.warn(
                f"{self!r}: {share} neurons are unstable: q a = {float(coupling[wrong][0]):g} must "
                f"be above -1 and below {float(bound[wrong][0]):g} for their time constants, else "
                "u and w grow without limit. Lower q or a, or raise tau_u or tau_w over dt"
                f"{'' if symplectic else ', or use symplectic=True'}.",
                ParameterWarning,
                stacklevel=3,
            )

    def _place(self, name: str, given: Range, learn: bool) -> tuple[float, float] | None:
        """Hold a value, or in ``place_<name>`` where in its range, from 0 to 1, it lies."""
        low, high = given if isinstance(given, tuple) else (given, given)
        if not low <= high or (name.startswith("tau") and low <= 0):
            raise ParameterError(f"{self!r}: {name} = {given!r}; a positive, ascending range.")
        if not isinstance(given, tuple):
            self.hold(name, given, learn=learn)
            return None
        start = torch.tensor(0.5) if self.shape is None else torch.rand(self.shape)
        self.hold(f"place_{name}", start, learn=learn)
        return given

    def value(self, name: str) -> torch.Tensor:
        """Return tau_u, tau_w, a or b as they are now."""
        bounds = self.ranges[name]
        if bounds is None:
            held: torch.Tensor = getattr(self, name)
            return held
        return bounds[0] + clamped(getattr(self, f"place_{name}")) * (bounds[1] - bounds[0])

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step."""
        return {
            "alpha": torch.exp(-self.dt / self.value("tau_u")),
            "beta": torch.exp(-self.dt / self.value("tau_w")),
            "a": self.value("a"), "b": self.value("b"), "q": self.q, "threshold": self.threshold,
        }  # fmt: skip


def _stable_below(alpha: torch.Tensor, beta: torch.Tensor, *, symplectic: bool) -> torch.Tensor:
    """Return the coupling q a from which on the subthreshold map of `AdLIF` is unstable.

    By Jury's conditions |trace| < 1 + det and det < 1. Symplectic: trace = alpha + beta -
    (1 - alpha)(1 - beta) q a, det = alpha beta, and the first is violated; forward: trace =
    alpha + beta, det = alpha beta + (1 - alpha)(1 - beta) q a, and the second is.
    """
    scale = (1 - alpha) * (1 - beta)
    return ((1 + alpha) * (1 + beta) if symplectic else 1 - alpha * beta) / scale
