"""Penalties on firing rates and delays, to be added to a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neurosim.bridge.training.groups import parameters_of_kind
from neurosim.errors import ParameterError, unknown_name


class Regulariser(ABC):
    """Something that is added to the loss: a function of the model and of its spikes."""

    #: Whether the spikes have to be kept during the forward pass.
    needs_spikes: bool = False

    @abstractmethod
    def penalty(self, model: nn.Module, spikes: Mapping[str, Tensor]) -> Tensor:
        """Return the penalty, a scalar.

        Parameters
        ----------
        model : torch.nn.Module
        spikes : mapping of str to (T, B, ...) tensor
            Spikes of each spiking layer in this forward pass (`SpikeMonitor.spikes`).
        """


@dataclass(frozen=True, kw_only=True)
class RateRegulariser(Regulariser):
    """Keep mean rates between two bounds.

    With the rate ``r_n`` of neuron n (spikes per step, mean over time and batch)::

        strength * mean_n( max(0, lower - r_n)**2 + max(0, r_n - upper)**2 )

    summed over layers; squared hinges as in Zenke & Vogels (2021), Neural Comput. 33:899.
    ``over="layer"`` puts the bounds on the layer's mean rate instead.

    Parameters
    ----------
    lower, upper : float, optional
        Bounds [spikes per neuron and step].
    strength : float, default 1
        Factor of the penalty.
    over : "neuron" or "layer"
        Whose rate is bounded.
    layers : sequence of str, optional
        Names of the spiking layers; all by default.

    Raises
    ------
    ParameterError
        If there is no bound, or they are in the wrong order or outside of 0 to 1.

    Examples
    --------
    >>> spikes = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])
    >>> RateRegulariser(lower=0.1, upper=0.5)(spikes)
    tensor(0.1300)
    """

    lower: float | None = None
    upper: float | None = None
    strength: float = 1.0
    over: str = "neuron"
    layers: Sequence[str] | None = None
    needs_spikes = True

    def __post_init__(self) -> None:
        low = 0.0 if self.lower is None else self.lower
        high = 1.0 if self.upper is None else self.upper
        if self.lower is None and self.upper is None:
            raise ParameterError("RateRegulariser: give lower=, upper= or both.")
        if not 0.0 <= low < high <= 1.0:
            raise ParameterError(
                f"RateRegulariser: lower = {self.lower}, upper = {self.upper}: rates are spikes "
                "per neuron and step, 0 <= lower < upper <= 1."
            )
        if self.over not in ("neuron", "layer"):
            raise ParameterError(
                f"RateRegulariser: over = {self.over!r}: expected 'neuron' or 'layer'."
            )

    def __call__(self, spikes: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Return the penalty of recorded spikes ``[T, B, ...]``, one tensor or one a layer."""
        if isinstance(spikes, Tensor):
            return self._of(spikes)
        for name in self.layers or ():
            if name not in spikes:
                raise unknown_name("spiking layer", name, spikes, "the model")
        chosen = [spikes[name] for name in (spikes if self.layers is None else self.layers)]
        if not chosen:
            raise ParameterError("RateRegulariser: the model has no spiking layer.")
        return torch.stack([self._of(tensor) for tensor in chosen]).sum()

    def penalty(self, model: nn.Module, spikes: Mapping[str, Tensor]) -> Tensor:
        """Return the penalty of the layers' spikes."""
        return self(spikes)

    def _of(self, spikes: Tensor) -> Tensor:
        rate = spikes.flatten(0, 1).mean(0)
        if self.over == "layer":
            rate = rate.mean()
        total = torch.zeros_like(rate)
        if self.lower is not None:
            total = total + torch.relu(self.lower - rate).square()
        if self.upper is not None:
            total = total + torch.relu(rate - self.upper).square()
        return self.strength * total.mean()


@dataclass(frozen=True, kw_only=True)
class DelayRegulariser(Regulariser):
    """Prefer short delays, or delays near a value.

    ``strength * mean(|d - target|**power)`` over all learned delays of all layers [steps].

    Parameters
    ----------
    strength : float, default 1e-3
    target : float, default 0
        Delay [steps] that costs nothing.
    power : float, default 1
        1 for the absolute value, 2 for the square.
    """

    strength: float = 1e-3
    target: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        if self.power < 1.0:
            raise ParameterError(f"DelayRegulariser: power = {self.power}: must be at least 1.")

    def __call__(self, model: nn.Module) -> Tensor:
        """Return the penalty of a model's delays.

        Raises
        ------
        ParameterError
            If the model has no learned delays.
        """
        delays = list(parameters_of_kind(model, "delays").values())
        if not delays:
            raise ParameterError(
                f"DelayRegulariser: {type(model).__name__} has no learned delays; leave the "
                "regulariser out or use DelayedLinear."
            )
        distances = torch.cat([(delay - self.target).abs().reshape(-1) for delay in delays])
        return self.strength * (distances if self.power == 1.0 else distances**self.power).mean()

    def penalty(self, model: nn.Module, spikes: Mapping[str, Tensor]) -> Tensor:
        """Return the penalty of the model's delays."""
        return self(model)
