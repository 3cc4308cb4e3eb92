"""Loss, accuracy, confusion and firing rates of a model on data it is not trained on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurosim.bridge.connections.delay_training import evaluate_rounded
from neurosim.bridge.training.batches import Collate, batches_of, unpack
from neurosim.bridge.training.diagnosis import check_batch
from neurosim.bridge.training.losses import Loss, LossFunction, Scores, resolve_loss
from neurosim.bridge.training.rng import unchanged_rng
from neurosim.bridge.training.spikes import SpikeMonitor, first_tensor
from neurosim.errors import ParameterError

#: How a batch goes through a model: ``forward(model, x)`` returns ``[T, B, C]``.
Forward = Callable[[nn.Module, Any], Tensor]


def run_model(model: nn.Module, x: Any) -> Tensor:
    """Return the first tensor of ``model(x)``: the output without the states.

    Raises
    ------
    ParameterError
        If the model returns none.
    """
    out = first_tensor(model(x))
    if out is None:
        raise ParameterError(
            f"{type(model).__name__} returned no tensor: choose the output with "
            "forward=lambda model, x: ..."
        )
    return out


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a model does on a data set.

    Attributes
    ----------
    loss : float
        Mean over samples.
    accuracy : float
        Fraction of right classes; NaN for losses that do not classify.
    confusion : (n_classes, n_classes) int64 array
        ``[i, j]`` samples of class i were taken for j. Empty without classes.
    rates, dead : dict of str to float
        Spikes per neuron and step, and fraction of silent neurons, by layer.
    predictions, targets : (n_samples,) int64 arrays
        In the order of the data.
    n_samples : int
    seconds : float
    """

    loss: float
    accuracy: float
    confusion: NDArray[np.int64]
    rates: dict[str, float]
    dead: dict[str, float]
    predictions: NDArray[np.int64] = field(repr=False)
    targets: NDArray[np.int64] = field(repr=False)
    n_samples: int
    seconds: float

    def plot(self, **options: Any) -> Any:
        """Return a figure of the confusion matrix; see `neurosim.plot.training`."""
        from neurosim.plot.training import confusion_matrix

        return confusion_matrix(self.confusion, **options)


def evaluate(
    model: nn.Module,
    data: Any,
    *,
    loss: str | Loss | LossFunction = "rate",
    scores: Scores | None = None,
    forward: Forward = run_model,
    batch_size: int | None = None,
    collate: Collate | None = None,
    autocast: torch.dtype | None = None,
    round_delays: bool = True,
) -> Evaluation:
    """Run a model over a data set in evaluation mode, without gradients.

    The model's mode (train or eval), its delays and the global random generators are afterwards
    what they were before.

    Parameters
    ----------
    model : torch.nn.Module
    data : loader, (x [T, N, ...], target [N]) or data set
        As for `fit`.
    loss : str, Loss or callable
        As for `fit`.
    scores : callable, optional
        ``scores(out)`` returns ``[B, C]``; by default what belongs to the loss.
    forward : callable, optional
        ``forward(model, x)`` returns the output ``[T, B, C]``; by default the first tensor of
        ``model(x)``.
    batch_size : int, optional
        For arrays and data sets; default 64.
    collate : callable, optional
        For data sets, as for `fit`.
    autocast : torch.dtype, optional
        Such as ``torch.bfloat16``.
    round_delays : bool, default True
        Evaluate with learned delays rounded to whole steps, as the network will be deployed.

    Returns
    -------
    Evaluation

    Raises
    ------
    ParameterError
        If the data are empty, or targets and outputs do not fit.
    """
    criterion = resolve_loss(loss, scores)
    batches = batches_of(data, batch_size=batch_size, collate=collate, shuffle=False, seed=0)
    return evaluate_batches(
        model, batches, criterion, forward=forward, autocast=autocast, round_delays=round_delays
    )


def evaluate_batches(
    model: nn.Module,
    batches: Iterable[Any],
    criterion: Loss,
    *,
    forward: Forward = run_model,
    autocast: torch.dtype | None = None,
    round_delays: bool = True,
) -> Evaluation:
    """Do the work of `evaluate` on batches and a loss that are already resolved."""
    began, total, n = time.perf_counter(), 0.0, 0
    device, dtype = placement(model)
    predictions, targets, classes = [], [], 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(unchanged_rng())
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(model))
        if round_delays:
            stack.enter_context(evaluate_rounded(model))
        monitor = stack.enter_context(SpikeMonitor(model))
        for batch in batches:
            x, target = unpack(batch, device, dtype)
            with autocasting(device, autocast):
                out = forward(model, x)
                check_batch(x, out, target, classifies=criterion.classifies)
                value = float(criterion(out, target))
            total, n = total + value * len(target), n + len(target)
            if criterion.classifies:
                scored = criterion.scores(out)
                classes = scored.shape[-1]
                predictions.append(scored.argmax(-1).cpu().numpy())
                targets.append(target.cpu().numpy())
    if not n:
        raise ParameterError("evaluate: the data hold no sample.")
    predicted, true = _joined(predictions), _joined(targets)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (true, predicted), 1)
    return Evaluation(
        loss=total / n,
        accuracy=float((predicted == true).mean()) if len(true) else float("nan"),
        confusion=confusion,
        rates=monitor.rates(),
        dead=monitor.dead(),
        predictions=predicted,
        targets=true,
        n_samples=n,
        seconds=time.perf_counter() - began,
    )


def _joined(parts: list[Any]) -> NDArray[np.int64]:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


def placement(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return device and precision of a model: those of its first floating-point tensor."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.get_default_dtype()


def autocasting(device: torch.device, dtype: torch.dtype | None) -> Any:
    """Return a context of automatic mixed precision, or one that does nothing."""
    if dtype is None:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode inside the block."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
