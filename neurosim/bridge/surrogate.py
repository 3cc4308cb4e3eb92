"""Surrogate derivatives: what replaces the derivative of the spike in the backward pass.

The spike is s = 1[u > 0] with u the distance to the threshold; a surrogate gives psi(u), used as
ds/du. A `Surrogate` carries psi as text of the equation language, so that the kernel generator
prints it into the backward kernel, and is itself a callable ``u -> s`` that snnTorch's neurons
accept as ``spike_grad``.

Formulae: Neftci, Mostafa & Zenke (2019), IEEE Signal Process. Mag. 36(6):51 (review); snnTorch 1.0
`surrogate` for the conventions (psi centred at u = 0, strict threshold).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

import torch

from neurosim.bridge.kernels.interpreter import evaluate
from neurosim.errors import ParameterError
from neurosim.expressions import Expression, parse_expression, symbols


@dataclass(frozen=True)
class Surrogate:
    """A surrogate derivative psi(u).

    Parameters
    ----------
    name : str
    text : str
        psi in the equation language, of ``u`` and the names in `parameters`.
    parameters : tuple of (str, float)
        Numbers handed to the kernel as arguments: another value compiles nothing.

    Examples
    --------
    >>> psi = Surrogate("lorentz", "1/(1 + (k*u)**2)", (("k", 3.0),))
    >>> psi.derivative(torch.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1000])
    """

    name: str
    text: str
    parameters: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        unknown = symbols(self.expression) - {"u", *dict(self.parameters)}
        if unknown:
            raise ParameterError(
                f"surrogate {self.name!r}: '{self.text}' uses {', '.join(sorted(unknown))}; "
                "only u and the parameters given with it can be used."
            )

    @property
    def expression(self) -> Expression:
        """The expression tree of psi."""
        return _parsed(self.name, self.text)

    def derivative(self, u: torch.Tensor) -> torch.Tensor:
        """Return psi(u), elementwise."""
        values = {"u": u} | {n: u.new_tensor(v) for n, v in self.parameters}
        return torch.as_tensor(evaluate(self.expression, values), dtype=u.dtype).expand(u.shape)

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """Return the spikes 1[u > 0], with psi as their derivative."""
        spikes: torch.Tensor = _Spike.apply(u, self, u > 0)  # type: ignore[no-untyped-call]
        return spikes

    def at_or_above(self, u: torch.Tensor) -> torch.Tensor:
        """Return the spikes 1[u >= 0], with psi as their derivative."""
        spikes: torch.Tensor = _Spike.apply(u, self, u >= 0)  # type: ignore[no-untyped-call]
        return spikes


class _Spike(torch.autograd.Function):
    """Heaviside step forward, psi backward."""

    @staticmethod
    def forward(
        ctx: Any, u: torch.Tensor, surrogate: Surrogate, fired: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(u)
        ctx.surrogate = surrogate
        return fired.to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (u,) = ctx.saved_tensors
        return gradients[0] * ctx.surrogate.derivative(u), None, None


@cache
def _parsed(name: str, text: str) -> Expression:
    return parse_expression(text, f"surrogate {name!r}")


def _positive(name: str, **values: float) -> tuple[tuple[str, float], ...]:
    for key, value in values.items():
        if not value > 0:
            raise ParameterError(f"surrogate {name}: {key} = {value!r} must be > 0.")
    return tuple((k, float(v)) for k, v in values.items())


def atan(alpha: float = 2.0) -> Surrogate:
    """Return psi = (alpha/2) / (1 + (pi alpha u/2)^2) (Fang et al. 2021); snnTorch's default."""
    text = "alpha/2/(1 + (1.5707963267948966*alpha*u)**2)"
    return Surrogate("atan", text, _positive("atan", alpha=alpha))


def fast_sigmoid(slope: float = 25.0) -> Surrogate:
    """Return psi = 1/(1 + slope |u|)^2 (SuperSpike; Zenke & Ganguli 2018)."""
    text = "1/(slope*abs(u) + 1)**2"
    return Surrogate("fast_sigmoid", text, _positive("fast_sigmoid", slope=slope))


def sigmoid(slope: float = 25.0) -> Surrogate:
    """Return psi = slope sig(slope u) (1 - sig(slope u))."""
    # written in |u|, where the exponential cannot overflow; psi is even
    text = "slope*exp(-slope*abs(u))/(exp(-slope*abs(u)) + 1)**2"
    return Surrogate("sigmoid", text, _positive("sigmoid", slope=slope))


def gaussian(width: float = 0.5) -> Surrogate:
    """Return psi = exp(-u^2/(2 width^2)) / (width sqrt(2 pi))."""
    text = "0.3989422804014327/width*exp(-0.5*(u/width)**2)"
    return Surrogate("gaussian", text, _positive("gaussian", width=width))


def multi_gaussian(
    gamma: float = 0.5, width: float = 0.5, height: float = 0.15, scale: float = 6.0
) -> Surrogate:
    """Return a Gaussian with two negative flanks (Yin, Corradi & Bohte 2021).

    psi = gamma [(1 + height) N(u; 0, width) - height N(u; width, scale width)
    - height N(u; -width, scale width)].
    """
    text = (
        "gamma*0.3989422804014327/width*((1 + height)*exp(-0.5*(u/width)**2)"
        " - height/scale*exp(-0.5*((u - width)/(scale*width))**2)"
        " - height/scale*exp(-0.5*((u + width)/(scale*width))**2))"
    )
    given = _positive("multi_gaussian", gamma=gamma, width=width, height=height, scale=scale)
    return Surrogate("multi_gaussian", text, given)


def triangular(gamma: float = 1.0, width: float = 1.0) -> Surrogate:
    """Return the tent psi = gamma max(0, 1 - |u|/width) (Bellec et al. 2018: gamma = 0.3)."""
    text = "gamma*max(0, 1 - abs(u)/width)"
    return Surrogate("triangular", text, _positive("triangular", gamma=gamma, width=width))


def rectangular(width: float = 0.5) -> Surrogate:
    """Return psi = 1/(2 width) for |u| < width, else 0 (STBP; Wu et al. 2018)."""
    text = "where(abs(u) < width, 0.5/width, 0)"
    return Surrogate("rectangular", text, _positive("rectangular", width=width))


def slayer(alpha: float = 5.0, c: float = 0.4) -> Surrogate:
    """Return psi = (alpha c/2) exp(-alpha |u|) (SLAYER; Shrestha & Orchard 2018)."""
    text = "0.5*alpha*c*exp(-alpha*abs(u))"
    return Surrogate("slayer", text, _positive("slayer", alpha=alpha, c=c))


def straight_through() -> Surrogate:
    """Return psi = 1."""
    return Surrogate("straight_through", "1")


def spike_operator() -> Surrogate:
    """Return psi = s, 1 above the threshold and 0 below (snnTorch's ``heaviside``)."""
    return Surrogate("spike_operator", "where(u > 0, 1, 0)")


def leaky_spike_operator(slope: float = 0.1) -> Surrogate:
    """Return psi = 1 above the threshold and `slope` below."""
    given = _positive("leaky_spike_operator", slope=slope)
    return Surrogate("leaky_spike_operator", "where(u > 0, 1, slope)", given)


def sparse_fast_sigmoid(slope: float = 25.0, B: float = 1.0) -> Surrogate:
    """Return the fast sigmoid's psi where u > B, else 0 (snnTorch's ``SFS``)."""
    given = (*_positive("sparse_fast_sigmoid", slope=slope), ("B", float(B)))
    return Surrogate("sparse_fast_sigmoid", "where(u > B, 1/(slope*abs(u) + 1)**2, 0)", given)


def spike_rate_escape(beta: float = 1.0, slope: float = 25.0) -> Surrogate:
    """Return psi = slope exp(-beta |u - 1|), as snnTorch computes it."""
    given = _positive("spike_rate_escape", beta=beta, slope=slope)
    return Surrogate("spike_rate_escape", "slope*exp(-beta*abs(u - 1))", given)


def snntorch_triangular(threshold: float = 1.0) -> Surrogate:
    """Return what snnTorch calls triangular: +threshold for u < 0, -threshold elsewhere.

    Kept for porting; the tent is `triangular`.
    """
    given = (("threshold", float(threshold)),)
    return Surrogate("snntorch_triangular", "where(u < 0, threshold, -threshold)", given)


#: snnTorch's factories by name, with the names of what their closures hold. Its LSO and SSO apply
#: a stochastic operator and are not here: they take the slow path.
_SNNTORCH: dict[str, tuple[Callable[..., Surrogate], tuple[str, ...]]] = {
    "atan": (atan, ("alpha",)),
    "fast_sigmoid": (fast_sigmoid, ("slope",)),
    "sigmoid": (sigmoid, ("slope",)),
    "straight_through_estimator": (straight_through, ()),
    "heaviside": (spike_operator, ()),
    "triangular": (snntorch_triangular, ("threshold",)),
    "SFS": (sparse_fast_sigmoid, ("slope", "B")),
    "spike_rate_escape": (spike_rate_escape, ("beta", "slope")),
}


def resolve(spike_grad: Any) -> Surrogate | Callable[[torch.Tensor], torch.Tensor]:
    """Return the Surrogate that a ``spike_grad`` argument means, where there is one.

    Parameters
    ----------
    spike_grad : Surrogate, callable or None
        None means `atan()`. What a factory of ``snntorch.surrogate`` returned is recognised and
        becomes the Surrogate of the same formula. Any other callable ``u -> spikes`` is returned
        as it is; a layer then steps through time in plain PyTorch and says so.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if spike_grad is None:
        return atan()
    if isinstance(spike_grad, Surrogate):
        return spike_grad
    if not callable(spike_grad):
        raise ParameterError(
            f"spike_grad = {spike_grad!r}; a surrogate such as surrogate.atan(), one of "
            "snntorch.surrogate, or a callable u -> spikes is needed."
        )
    if isinstance(spike_grad, FunctionType) and spike_grad.__module__ == __name__:
        name = spike_grad.__name__
        raise ParameterError(
            f"spike_grad = surrogate.{name}: this makes a surrogate when it is called; write "
            f"surrogate.{name}()."
        )
    if getattr(spike_grad, "__module__", None) == "snntorch.surrogate":
        factory = getattr(spike_grad, "__qualname__", "").split(".")[0]
        if factory in _SNNTORCH:
            ours, names = _SNNTORCH[factory]
            held = dict(
                zip(
                    spike_grad.__code__.co_freevars,
                    (c.cell_contents for c in spike_grad.__closure__ or ()),
                    strict=True,
                )
            )
            return ours(**{name: float(held[name]) for name in names})
    function: Callable[[torch.Tensor], torch.Tensor] = spike_grad
    return function
