"""The loop behind `fit`: epochs, steps, checkpoints, stopping."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurosim.bridge.connections.delay_training import SigmaSchedule, clamp_delays_
from neurosim.bridge.training.batches import unpack
from neurosim.bridge.training.callbacks import Callback
from neurosim.bridge.training.checkpoint import (
    load_model,
    load_optimizer,
    read_checkpoint,
    save_checkpoint,
)
from neurosim.bridge.training.diagnosis import (
    Watch,
    check_batch,
    explain_nan_gradient,
    explain_nan_output,
)
from neurosim.bridge.training.evaluation import (
    Forward,
    autocasting,
    evaluate_batches,
    placement,
)
from neurosim.bridge.training.history import History
from neurosim.bridge.training.interrupts import TrainingInterrupted, interruptible
from neurosim.bridge.training.learning_rates import LearningRates
from neurosim.bridge.training.losses import Loss
from neurosim.bridge.training.regularisers import Regulariser
from neurosim.bridge.training.rng import Generators, capture_rng, restore_rng
from neurosim.bridge.training.spikes import SpikeMonitor
from neurosim.errors import FileFormatError, ParameterError


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stop when the monitored column of the history has not improved for a while.

    Parameters
    ----------
    patience : int
        Epochs without a new best value.
    min_delta : float, default 0
        How much better a value must be to count.
    """

    patience: int
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ParameterError(f"early_stopping: patience = {self.patience}: at least 1 epoch.")

    def due(self, history: History, column: str) -> bool:
        """Return whether to stop: a function of the history alone, so a resumed run agrees."""
        best, at = math.nan, 0
        sign = 1.0 if column.endswith("_loss") else -1.0
        for k, value in enumerate(sign * history[column]):
            if not math.isnan(value) and (math.isnan(best) or value < best - self.min_delta):
                best, at = value, k
        return len(history) - 1 - at >= self.patience


class _Broken(BaseException):
    """Leaves an epoch after Ctrl-C."""


@dataclass(kw_only=True, eq=False)
class Trainer:
    """Everything a run of `fit` works with; callbacks get it.

    Attributes
    ----------
    model, optimizer, history
    epoch : int
        Finished epochs.
    epochs : int
        Epochs of the whole run.
    step : int
        Finished batches of the current epoch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    rates: LearningRates
    criterion: Loss
    batches: Iterable[Any]
    validation: Iterable[Any] | None
    epochs: int
    forward: Forward
    clip_gradient: float | None = None
    regularisers: Sequence[Regulariser] = ()
    callbacks: Sequence[Callback] = ()
    early_stopping: EarlyStopping | None = None
    monitor: str | None = None
    restore_best: bool = False
    checkpoint: Path | None = None
    generators: Generators = ()
    autocast: torch.dtype | None = None
    round_delays: bool = True
    sigma: SigmaSchedule | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    history: History = field(default_factory=History)
    best: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.n_batches = len(self.batches) if isinstance(self.batches, Sized) else None
        self.parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        self.watch = Watch()
        self.mean_loss = math.nan
        self._device, self._dtype = placement(self.model)

    def run(self) -> History:
        """Train to the last epoch, or until it is time to stop; return the history."""
        if self.checkpoint is not None and self.epoch == 0:
            self.save()  # an unwritable folder is found before hours of work
        modes = {module: module.training for module in self.model.modules()}
        try:
            with interruptible() as interrupted:
                self._tell("start")
                while self.epoch < self.epochs and not self.history.stopped:
                    self._epoch(interrupted)
        except _Broken:
            raise self._interruption() from None
        finally:
            self._tell("stop")
            for module, mode in modes.items():
                module.training = mode
        if self.restore_best and self.best is not None:
            self.model.load_state_dict(self.best["model"])
        return self.history

    def _epoch(self, interrupted: Callable[[], bool]) -> None:
        began = time.perf_counter()
        announce(self.batches, self.epoch)
        self.step, self.mean_loss = 0, math.nan
        if self.sigma is not None:
            self.sigma.apply(self.model, self.epoch)
        self._tell("before_epoch")
        self.model.train()
        keep = any(r.needs_spikes for r in self.regularisers)
        with SpikeMonitor(self.model, keep=keep) as spikes:
            sums = self._batches(spikes, interrupted)
        row = self._row(sums, spikes)
        row["seconds"] = time.perf_counter() - began
        self.rates.epoch_done()
        self.history.append(row)
        self.epoch, self.step = self.epoch + 1, 0
        self._remember_best(row)
        stopping = self.early_stopping
        if stopping and self.monitor and stopping.due(self.history, self.monitor):
            self.history.stopped = (
                f"stopped after epoch {self.epoch}: {self.monitor} was best in epoch "
                f"{self.history.best(self.monitor) + 1}"
            )
        self._tell("after_epoch", row)
        if self.checkpoint is not None:
            self.save()
        self.watch.report(spikes.rates(), spikes.dead())
        if interrupted() and self.epoch < self.epochs:
            raise _Broken

    def _batches(self, spikes: SpikeMonitor, interrupted: Callable[[], bool]) -> dict[str, float]:
        """Train on all batches; return sums over samples, and over batches of the gradient norm."""
        sums = {"n": 0.0, "loss": 0.0, "right": 0.0, "norm": 0.0}
        with contextlib.ExitStack() as stack:
            stack.enter_context(_loader_errors(interrupted))
            for batch in self.batches:
                x, target = unpack(batch, self._device, self._dtype)
                n = len(target)
                loss, right, norm = self._step(x, target, spikes)
                for name, value in (("n", n), ("loss", loss * n), ("right", right), ("norm", norm)):
                    sums[name] += value
                self.step += 1
                self.mean_loss = sums["loss"] / sums["n"]
                self.rates.step_done()
                self._tell("after_step")
                if interrupted() and self.step != self.n_batches:
                    raise _Broken
        if not self.step:
            raise ParameterError("fit: the data hold no batch. A loader can be run through again "
                                 "and again; a generator cannot.")  # fmt: skip
        return sums

    def _step(self, x: Any, target: Tensor, spikes: SpikeMonitor) -> tuple[float, float, float]:
        self.rates.set(self.epoch, self.step, self.n_batches)
        self.optimizer.zero_grad(set_to_none=True)
        spikes.begin()
        out, loss = self._loss(x, target, spikes)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise explain_nan_output(self.model, lambda: self.forward(self.model, x), x)
        _backward(loss)
        limit = math.inf if self.clip_gradient is None else self.clip_gradient
        norm = float(nn.utils.clip_grad_norm_(self.parameters, limit))
        if not math.isfinite(norm):
            raise self._gradient_error(x, target, spikes)
        self._tell("before_step")
        self.optimizer.step()
        clamp_delays_(self.model)
        right = 0.0
        if self.criterion.classifies:
            predicted = self.criterion.scores(out.detach()).argmax(-1)
            right = float((predicted == target).sum())
        return value, right, norm

    def _loss(self, x: Any, target: Tensor, spikes: SpikeMonitor) -> tuple[Tensor, Tensor]:
        with autocasting(self._device, self.autocast):
            out = self.forward(self.model, x)
            check_batch(x, out, target, classifies=self.criterion.classifies)
            loss = self.criterion(out, target)
            recorded = spikes.spikes() if spikes.keep else {}
            for regulariser in self.regularisers:
                loss = loss + regulariser.penalty(self.model, recorded)
        return out, loss

    def _gradient_error(self, x: Any, target: Tensor, spikes: SpikeMonitor) -> Exception:
        def run() -> Tensor:
            spikes.begin()
            return self._loss(x, target, spikes)[1]

        self.optimizer.zero_grad(set_to_none=True)
        return explain_nan_gradient(self.model, run, _backward, x)

    def _row(self, sums: Mapping[str, float], spikes: SpikeMonitor) -> dict[str, float]:
        n, classifies = sums["n"], self.criterion.classifies
        row = {"epoch": self.epoch + 1, "seconds": 0.0, "train_loss": sums["loss"] / n}
        if classifies:
            row["train_accuracy"] = sums["right"] / n
        if self.validation is not None:
            announce(self.validation, 0)  # random transforms are the same in every epoch
            result = evaluate_batches(
                self.model, self.validation, self.criterion, forward=self.forward,
                autocast=self.autocast, round_delays=self.round_delays,
            )  # fmt: skip
            row["validation_loss"] = result.loss
            if classifies:
                row["validation_accuracy"] = result.accuracy
        row["gradient_norm"] = sums["norm"] / self.step
        row |= {f"learning_rate.{kind}": rate for kind, rate in self.rates.current().items()}
        row |= {f"rate.{name}": rate for name, rate in spikes.rates().items()}
        return row | {f"dead.{name}": share for name, share in spikes.dead().items()}

    def _remember_best(self, row: Mapping[str, float]) -> None:
        if self.monitor is None or math.isnan(row[self.monitor]):
            return
        if self.history.best(self.monitor) == len(self.history) - 1:
            model = {name: v.detach().clone() for name, v in self.model.state_dict().items()}
            self.best = {"epoch": self.epoch, "value": row[self.monitor], "model": model}

    def _tell(self, event: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *arguments)

    def save(self) -> None:
        """Write the checkpoint of the last finished epoch."""
        loader = getattr(self.batches, "state_dict", None)
        if self.checkpoint is None:
            raise ParameterError("this run has no checkpoint=path to save to.")
        save_checkpoint(
            self.checkpoint, self.model, self.optimizer,
            epoch=self.epoch, history=self.history.state(), best=self.best,
            schedule=self.rates.state_dict(), rng=capture_rng(self.generators),
            loader=loader() if callable(loader) else None,
            callbacks=[callback.state_dict() for callback in self.callbacks],
            settings=dict(self.settings), notes=dict(self.notes),
            warned=[list(pair) for pair in sorted(self.watch.warned)],
        )  # fmt: skip

    def load(self, path: Path) -> None:
        """Take over a checkpoint, so that training continues as if it had never stopped."""
        content = read_checkpoint(path)
        if "rng" not in content or "settings" not in content:
            raise FileFormatError(
                f"{path}: this checkpoint was not written by fit; load_checkpoint(path, model) "
                "loads its weights."
            )
        self._check_settings(content["settings"], path)
        load_model(self.model, content["model"], path)
        load_optimizer(self.optimizer, content["optimizer"], path)
        self.rates.load_state_dict(content["schedule"])
        self.epoch, self.best = int(content["epoch"]), content["best"]
        self.history = History.from_state(content["history"])
        self.watch.warned = {(layer, kind) for layer, kind in content["warned"]}
        if content["loader"] is not None and hasattr(self.batches, "load_state_dict"):
            self.batches.load_state_dict(content["loader"])
        for callback, state in zip(self.callbacks, content["callbacks"], strict=True):
            callback.load_state_dict(state)
        restore_rng(content["rng"], self.generators)

    def _check_settings(self, saved: Mapping[str, str], path: Path) -> None:
        for name, value in self.settings.items():
            if saved.get(name) != value:
                raise ParameterError(
                    f"resume: {name} was {saved.get(name)} in {path} and is {value} now; the run "
                    "would not be the one that was begun. Give the same value, or start a new run "
                    "from its weights: load_checkpoint(path, model), then fit without resume."
                )

    def _interruption(self) -> TrainingInterrupted:
        where = f"in epoch {self.epoch + 1} after {self.step} batches" if self.step else ""
        if self.checkpoint is not None:
            content = read_checkpoint(self.checkpoint, self._device)
            load_model(self.model, content["model"], self.checkpoint)
            message = (
                f"training was interrupted {where or f'after epoch {self.epoch}'}. The model and "
                f"{self.checkpoint} hold the end of epoch {self.epoch}; the same call with "
                "resume=True goes on from there as if it had never stopped."
            )
        else:
            message = (
                f"training was interrupted {where or f'after epoch {self.epoch}'}; the model holds "
                "its last update. With checkpoint=path a run can be resumed."
            )
        return TrainingInterrupted(message, self.history)


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def announce(batches: Any, epoch: int) -> None:
    """Tell a loader, or its sampler, which epoch comes: orders depend on it, not on the past."""
    for target in (batches, getattr(batches, "sampler", None)):
        set_epoch = getattr(target, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)


@contextlib.contextmanager
def _loader_errors(interrupted: Callable[[], bool]) -> Iterator[None]:
    """Take the death of a loader's workers after Ctrl-C, which they get too, for the Ctrl-C."""
    try:
        yield
    except RuntimeError as error:
        if interrupted() and "DataLoader worker" in str(error):
            raise _Broken from error
        raise
