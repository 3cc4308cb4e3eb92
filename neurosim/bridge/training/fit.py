"""Train a model: one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurosim.bridge.connections.delay_training import SigmaSchedule
from neurosim.bridge.training.batches import ArrayBatches, Collate, batches_of, is_dataset
from neurosim.bridge.training.callbacks import Callback, CsvLog, Progress, TensorBoardLog
from neurosim.bridge.training.evaluation import Forward, run_model
from neurosim.bridge.training.groups import parameter_groups
from neurosim.bridge.training.history import History
from neurosim.bridge.training.learning_rates import LearningRates, Schedules
from neurosim.bridge.training.losses import Loss, LossFunction, Scores, resolve_loss
from neurosim.bridge.training.regularisers import Regulariser
from neurosim.bridge.training.rng import Generators, seeded
from neurosim.bridge.training.schedules import Schedule
from neurosim.bridge.training.trainer import EarlyStopping, Trainer
from neurosim.errors import ParameterError

Optimizer = torch.optim.Optimizer | Callable[[list[dict[str, Any]]], torch.optim.Optimizer] | None


def fit(
    model: nn.Module,
    data: Any,
    *,
    validation: Any = None,
    epochs: int,
    batch_size: int | None = None,
    collate: Collate | None = None,
    loss: str | Loss | LossFunction = "rate",
    scores: Scores | None = None,
    forward: Forward = run_model,
    optimizer: Optimizer = None,
    learning_rate: float | Mapping[str, float] = 1e-3,
    weight_decay: float = 0.0,
    schedule: Schedules = None,
    schedule_per: str = "epoch",
    clip_gradient: float | None = None,
    regularisers: Sequence[Regulariser] = (),
    early_stopping: int | EarlyStopping | None = None,
    monitor: str | None = None,
    restore_best: bool | None = None,
    sigma: SigmaSchedule | None = None,
    round_delays: bool = True,
    autocast: torch.dtype | None = None,
    seed: int | None = None,
    generators: Generators = (),
    checkpoint: str | Path | None = None,
    resume: bool | str | Path = False,
    logs: str | Path | None = None,
    tensorboard: Any = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | Callable[[Mapping[str, float]], Any] = False,
    notes: Mapping[str, Any] | None = None,
) -> History:
    """Train a model on sequences ``[T, B, ...]`` with classes (or other targets) ``[B]``.

    Parameters
    ----------
    model : torch.nn.Module
        `Sequential`, or any module; trained where it is (device, precision), in place.
    data : loader, (x [T, N, ...], target [N]), or data set
        A loader gives batches ``(x [T, B, ...], target [B])`` and can be run through again and
        again. Arrays and data sets of `neurosim.datasets` are cut into batches here.
    validation : as `data`, or float, optional
        Data to judge each epoch by, or the fraction of `data` (arrays and data sets only) to hold
        back for it, class by class. Never use the test set here: choosing an epoch by it makes
        its accuracy too good.
    epochs : int
        Epochs of the whole run, those before a resumption included.
    batch_size : int, optional
        For arrays and data sets; default 64.
    collate : callable, optional
        For data sets: ``collate_dense(...)`` or ``collate_events(...)`` of `neurosim.datasets`;
        not needed where a transform such as ``ToFrames`` makes arrays already.
    loss : str, Loss or callable, default "rate"
        A name of `LOSSES` (``rate``, ``count``, ``membrane_sum``, ``membrane_mean``,
        ``membrane_max``, ``membrane_last``), a functional loss of snnTorch, or any
        ``loss(out, target)`` on ``[T, B, C]``.
    scores : callable, optional
        ``scores(out)`` returns ``[B, C]``, whose largest value is the predicted class. By default
        what belongs to the loss; a callable of your own has no accuracy without it.
    forward : callable, optional
        ``forward(model, x)`` returns ``[T, B, C]``; by default the first tensor of ``model(x)``.
    optimizer : torch.optim.Optimizer, or callable, optional
        ``optimizer(groups)`` makes one from the groups of `parameter_groups`; default
        `torch.optim.Adam`. An optimiser that is ready brings its own learning rates.
    learning_rate : float or mapping, default 1e-3
        One, or by kind: ``{"weights": 1e-3, "delays": 0.1, "time_constants": 1e-2}``
        (see `parameter_groups`).
    weight_decay : float, default 0
        Of weights only.
    schedule : Schedule, str, mapping of kind to these, or callable, optional
        `OneCycle`, `Cosine`, `Exponential`, or a function that makes a scheduler of torch from
        the optimiser.
    schedule_per : "epoch" or "step", default "epoch"
    clip_gradient : float, optional
        Largest norm of all gradients together.
    regularisers : sequence of Regulariser
        Added to the loss: `RateRegulariser`, `DelayRegulariser`, your own.
    early_stopping : int or EarlyStopping, optional
        Epochs without improvement after which to stop; needs `validation`.
    monitor : str, optional
        Column of the history that decides what is best; default ``"validation_loss"``.
    restore_best : bool, optional
        Whether the model ends with the weights of its best epoch; default with early stopping.
    sigma : SigmaSchedule, optional
        Width of the windows of `DelayedLinear` in each epoch. Delays are kept in their range after
        every update in any case.
    round_delays : bool, default True
        Validate with learned delays rounded to whole steps.
    autocast : torch.dtype, optional
        Mixed precision, such as ``torch.bfloat16``.
    seed : int, optional
        Seeds torch, NumPy and Python for the run, and the order of samples; their states are put
        back afterwards. Without it the run continues their streams.
    generators : sequence of numpy.random.Generator or torch.Generator
        Others that the data use; their states are kept in the checkpoint.
    checkpoint : path, optional
        Written before the first and after every epoch, whole or not at all; an older file of
        this name is replaced.
    resume : bool or path, default False
        True goes on from `checkpoint` if that file exists, a path from that file. The result
        equals that of a run that never stopped, bit for bit on the same machine.
    logs : path, optional
        CSV file of the history.
    tensorboard : folder or SummaryWriter, optional
    callbacks : sequence of Callback
    progress : bool or callable, default False
        True shows a bar and a line an epoch on stderr (if that is a terminal, or in a notebook); a
        callable gets each epoch's row. Lines also go to the log ``neurosim.bridge.training``.
    notes : mapping, optional
        Plain values kept in the checkpoint.

    Returns
    -------
    History

    Raises
    ------
    ParameterError, UnknownNameError
        For options, data and targets that do not fit; before the first update where possible.
    SimulationError
        If loss or gradient become NaN; names the first module to blame.
    TrainingInterrupted
        After Ctrl-C, at the end of the batch (a `KeyboardInterrupt`); with a checkpoint the model
        is put back to the last finished epoch.
    MissingPackageError
        If `tensorboard` is a folder and the package is not installed.

    Warns
    -----
    TrainingWarning
        Naming layers that are silent, mostly dead or saturated.

    Examples
    --------
    >>> from neurosim.bridge import LI, LIF, Sequential
    >>> x, y = (torch.rand(10, 40, 4) < 0.5).float(), torch.arange(40) % 2
    >>> model = Sequential(nn.Linear(4, 8), LIF(beta=0.9), nn.Linear(8, 2), LI(beta=0.9))
    >>> history = fit(model, (x, y), epochs=2, loss="membrane_sum", validation=0.2, seed=1)
    >>> len(history), history.layers
    (2, ['1'])
    """
    _check(model, epochs, regularisers)
    training, held_out = _data(data, validation, batch_size=batch_size, collate=collate, seed=seed)
    stopping = EarlyStopping(patience=early_stopping) if isinstance(
        early_stopping, int) else early_stopping  # fmt: skip
    monitor = _monitor(monitor, stopping, held_out is not None)
    made = _optimizer(optimizer, model, learning_rate, weight_decay)
    path = Path(checkpoint) if checkpoint is not None else None
    source = _resume_from(resume, path)
    extra: list[Callback] = [] if logs is None else [CsvLog(logs)]
    if tensorboard is not None:
        extra.append(TensorBoardLog(tensorboard))
    criterion = resolve_loss(loss, scores)
    trainer = Trainer(
        model=model, optimizer=made, criterion=criterion, batches=training, validation=held_out,
        rates=LearningRates(made, schedule, epochs=epochs, per=schedule_per), epochs=epochs,
        forward=forward, clip_gradient=clip_gradient, regularisers=tuple(regularisers),
        callbacks=[*callbacks, *extra, Progress(progress)], early_stopping=stopping,
        monitor=monitor, checkpoint=path, generators=generators, autocast=autocast,
        restore_best=stopping is not None if restore_best is None else restore_best,
        round_delays=round_delays, sigma=sigma, notes=notes or {},
        settings={
            "seed": repr(seed), "loss": criterion.name, "optimizer": type(made).__name__,
            "learning_rate": repr(learning_rate), "weight_decay": repr(weight_decay),
            "schedule": _schedule_text(schedule, epochs),
            "schedule_per": schedule_per, "clip_gradient": repr(clip_gradient),
            "regularisers": _text(tuple(regularisers)), "early_stopping": repr(stopping),
            "monitor": repr(monitor), "batch_size": repr(getattr(training, "batch_size", None)),
            "autocast": repr(autocast), "round_delays": repr(round_delays),
            "sigma": repr(sigma),
        },
    )  # fmt: skip
    with seeded(seed):
        if source is not None:
            trainer.load(source)
        return trainer.run()


def _check(model: Any, epochs: Any, regularisers: Any) -> None:
    if not isinstance(model, nn.Module):
        raise ParameterError(
            f"fit: the model is {model!r:.60}; a module is needed (an object, not its class)."
        )
    if not isinstance(epochs, int) or epochs < 1:
        raise ParameterError(f"epochs = {epochs!r}: a whole number of at least 1.")
    if not isinstance(regularisers, Sequence) or not all(
        hasattr(r, "penalty") for r in regularisers
    ):
        raise ParameterError(
            f"regularisers = {regularisers!r}: a list of them is needed, such as "
            "[RateRegulariser(upper=0.3, strength=0.1)]."
        )


def _data(data: Any, validation: Any, *, seed: int | None, **options: Any) -> tuple[Any, Any]:
    """Return batches for training and for validation; `options` are batch_size and collate."""
    if isinstance(validation, float | int) and not isinstance(validation, bool):
        if not 0.0 < validation < 1.0:
            raise ParameterError(
                f"validation = {validation}: a fraction is between 0 and 1; or give data."
            )
        return _parted(data, float(validation), seed=seed, **options)
    training = batches_of(data, shuffle=True, seed=seed, **options)
    if validation is None:
        return training, None
    made_here = is_dataset(validation) or isinstance(validation, tuple)
    held_out = batches_of(
        validation, shuffle=False, seed=seed, what="validation",
        **(options if made_here else {"batch_size": None}),
    )  # fmt: skip
    return training, held_out


def _parted(data: Any, fraction: float, *, seed: int | None, **options: Any) -> tuple[Any, Any]:
    if isinstance(data, tuple) and len(data) == 2:
        data = batches_of(data, shuffle=True, seed=seed, **options)
    if isinstance(data, ArrayBatches):
        return data.parted(fraction)
    if is_dataset(data) and hasattr(data, "targets"):
        from neurosim.datasets import split

        rest, held = split(data, [1.0 - fraction, fraction], seed=seed or 0)
        return (
            batches_of(rest, shuffle=True, seed=seed, **options),
            batches_of(held, shuffle=False, seed=seed, **options),
        )
    raise ParameterError(
        f"validation = {fraction}: a {type(data).__name__} cannot be split here. Split the data "
        "set before making loaders (neurosim.datasets.split) and pass the second one."
    )


def _monitor(monitor: str | None, stopping: EarlyStopping | None, validated: bool) -> str | None:
    columns = ["train_loss", "train_accuracy"]
    if validated:
        columns = ["validation_loss", "validation_accuracy", *columns]
    if monitor is not None and monitor not in columns:
        hint = "" if validated else " The others need validation=..."
        raise ParameterError(f"monitor = {monitor!r}: expected one of {', '.join(columns)}.{hint}")
    if stopping is not None and not validated and monitor is None:
        raise ParameterError(
            "early_stopping needs data that are not trained on: pass validation=0.1 (a fraction "
            "of the training data) or a validation set. The test set is not for this."
        )
    return monitor or ("validation_loss" if validated else None)


def _optimizer(
    optimizer: Optimizer,
    model: nn.Module,
    learning_rate: float | Mapping[str, float],
    weight_decay: float,
) -> torch.optim.Optimizer:
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    if optimizer is not None and not callable(optimizer):
        raise ParameterError(
            f"optimizer = {optimizer!r}: expected a torch optimiser, or a function that makes one "
            "from groups, such as torch.optim.SGD."
        )
    groups = parameter_groups(model, learning_rate, weight_decay)
    made = (torch.optim.Adam if optimizer is None else optimizer)(groups)
    if not isinstance(made, torch.optim.Optimizer):
        raise ParameterError(
            f"optimizer returned a {type(made).__name__}: expected a torch optimiser, or a "
            "function that makes one from groups, such as torch.optim.SGD."
        )
    return made


def _resume_from(resume: bool | str | Path, checkpoint: Path | None) -> Path | None:
    if resume is False:
        return None
    if resume is not True:
        return Path(resume)
    if checkpoint is None:
        raise ParameterError("resume=True needs checkpoint=path, or write resume=path.")
    return checkpoint if checkpoint.is_file() else None


def _schedule_text(schedule: Schedules, epochs: int) -> str:
    """Describe a schedule; ours depend on the length of the run."""
    ours = isinstance(schedule, Schedule | str | Mapping)
    return f"{_text(schedule)} over {epochs} epochs" if ours else _text(schedule)


def _text(value: Any) -> str:
    """Return a description that is the same in the next process (no addresses)."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_text(v) for v in value) + ")"
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text
