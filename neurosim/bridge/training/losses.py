"""Losses on sequences ``[T, B, C]``, and the class scores that belong to each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from neurosim.errors import ParameterError, unknown_name

LossFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Scores: TypeAlias = Callable[[Tensor], Tensor]


def rate_loss(out: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of every step's output, averaged over steps and batch.

    Equal to ``snntorch.functional.ce_rate_loss()``: the right class should spike in every step.

    Parameters
    ----------
    out : (T, B, C) tensor
        Spikes (or potentials) of the output layer.
    target : (B,) int64 tensor
        Classes.

    Returns
    -------
    scalar tensor
    """
    steps, batch, classes = out.shape
    repeated = target.expand(steps, batch).reshape(-1)
    return F.cross_entropy(out.reshape(steps * batch, classes), repeated)


def count_loss(out: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of spike counts; ``snntorch.functional.ce_count_loss()``.

    Parameters and result are those of `rate_loss`.
    """
    return F.cross_entropy(out.sum(0), target)


def membrane_sum_loss(out: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of probabilities that were summed over time.

    ``m = sum_t softmax(out[t])``, then cross-entropy of ``m``, which holds a second softmax
    (Hammouamri et al. 2024, setting "sum"; also Bittar & Garner 2022). For readouts that do not
    spike. Parameters and result are those of `rate_loss`.
    """
    return F.cross_entropy(summed_probabilities(out), target)


def membrane_mean_loss(out: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of the output's mean over time (as `rate_loss`)."""
    return F.cross_entropy(out.mean(0), target)


def membrane_max_loss(out: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of the output's maximum over time (as `rate_loss`).

    Equal to ``snntorch.functional.ce_max_membrane_loss()``; Zenke & Vogels (2021).
    """
    return F.cross_entropy(out.amax(0), target)


def membrane_last_loss(out: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of the output at the last step (as `rate_loss`)."""
    return F.cross_entropy(out[-1], target)


def counts(out: Tensor) -> Tensor:
    """Return ``out.sum(0)``: spike counts ``[B, C]`` of spikes ``[T, B, C]``."""
    return out.sum(0)


def summed_probabilities(out: Tensor) -> Tensor:
    """Return ``sum_t softmax(out[t])`` of ``[T, B, C]``, shape ``[B, C]``."""
    return torch.softmax(out, -1).sum(0)


def first_spike(out: Tensor) -> Tensor:
    """Return minus the step of each output's first spike, ``[B, C]``; ``-T`` where none came."""
    steps = out.shape[0]
    fired = (out != 0).any(0)
    return -torch.where(fired, (out != 0).int().argmax(0), steps).to(out.dtype)


def _maximum(out: Tensor) -> Tensor:
    return out.amax(0)


def _last(out: Tensor) -> Tensor:
    return out[-1]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss and how a class is read from the output that it is given.

    Parameters
    ----------
    name : str
        Shown in messages.
    function : callable
        ``function(out, target)`` returns the loss of ``out [T, B, C]``.
    scores : callable
        ``scores(out)`` returns ``[B, C]``; the largest is the predicted class.
    classifies : bool
        Whether targets are classes, so that they can be checked and counted.
    """

    name: str
    function: LossFunction
    scores: Scores
    classifies: bool = True

    def __call__(self, out: Tensor, target: Tensor) -> Tensor:
        """Return the loss as a scalar (snnTorch's ``ce_rate_loss`` returns one element)."""
        try:
            value = self.function(out, target)
        except (RuntimeError, ValueError, IndexError) as error:
            if type(error) not in (RuntimeError, ValueError, IndexError):  # such as one of memory
                raise
            raise ParameterError(
                f"loss {self.name} failed for the output [T, B, C] = {list(out.shape)} and the "
                f"target {list(target.shape)}: {error} A loss that knows no time takes "
                "the mean of the output over it: loss=lambda out, target: "
                "torch.nn.functional.cross_entropy(out.mean(0), target)."
            ) from error
        if value.numel() != 1:
            raise ParameterError(
                f"loss {self.name} returned shape {tuple(value.shape)} where one number is "
                "needed: use reduction='mean' or reduce it yourself."
            )
        return value.reshape(())


#: The losses that `fit` knows by name.
LOSSES: dict[str, Loss] = {
    "rate": Loss(name="rate", function=rate_loss, scores=counts),
    "count": Loss(name="count", function=count_loss, scores=counts),
    "membrane_sum": Loss(
        name="membrane_sum", function=membrane_sum_loss, scores=summed_probabilities
    ),
    "membrane_mean": Loss(name="membrane_mean", function=membrane_mean_loss, scores=counts),
    "membrane_max": Loss(name="membrane_max", function=membrane_max_loss, scores=_maximum),
    "membrane_last": Loss(name="membrane_last", function=membrane_last_loss, scores=_last),
}


def resolve_loss(loss: str | Loss | LossFunction, scores: Scores | None = None) -> Loss:
    """Return the `Loss` of a name, of a snnTorch functional loss or of any callable.

    Parameters
    ----------
    loss : str, Loss or callable
        A name of `LOSSES`, or ``loss(out, target)``.
    scores : callable, optional
        How classes are read from the output. By default what belongs to the loss: counts, or
        the order of first spikes for snnTorch's temporal losses, or counts of populations where a
        snnTorch loss has ``population_code=True``.

    Raises
    ------
    UnknownNameError
        If there is no loss of this name.
    ParameterError
        If `loss` is neither a name nor callable.

    Examples
    --------
    >>> resolve_loss("rate").name
    'rate'
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise unknown_name("loss", loss, LOSSES, "fit")
        loss = LOSSES[loss]
    if isinstance(loss, Loss):
        if scores is None:
            return loss
        return Loss(
            name=loss.name, function=loss.function, scores=scores, classifies=loss.classifies
        )
    if not callable(loss):
        raise ParameterError(
            f"loss = {loss!r}: expected a name ({', '.join(LOSSES)}) or a callable "
            "loss(out, target)."
        )
    name = getattr(loss, "__name__", type(loss).__name__)
    # A loss of unknown meaning may be a regression; classes are assumed for those we know.
    known = type(loss).__module__.startswith("snntorch.functional")
    return Loss(
        name=name,
        function=loss,
        scores=scores or _snntorch_scores(name, loss),
        classifies=known or scores is not None,
    )


def _snntorch_scores(name: str, loss: Any) -> Scores:
    if name in ("ce_temporal_loss", "mse_temporal_loss"):
        return first_spike
    if name == "ce_max_membrane_loss":
        return _maximum
    if getattr(loss, "population_code", False):
        classes = int(loss.num_classes)

        def population_counts(out: Tensor) -> Tensor:
            total = out.sum(0)
            return total.reshape(len(total), classes, -1).sum(-1)

        return population_counts
    return counts


def accuracy(scores: Tensor, target: Tensor) -> float:
    """Return the fraction of samples whose largest score is the target's.

    Parameters
    ----------
    scores : (B, C) tensor
    target : (B,) int64 tensor

    Examples
    --------
    >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    0.5
    """
    return float((scores.argmax(-1) == target).double().mean())
