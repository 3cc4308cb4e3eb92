"""What happens beside training: logs, progress and the user's own hooks."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurosim.errors import MissingPackageError, ParameterError

if TYPE_CHECKING:
    from neurosim.bridge.training.trainer import Trainer

log = logging.getLogger("neurosim.bridge.training")


class Callback:
    """Hooks into `fit`; every method does nothing unless it is defined.

    The `Trainer` that is passed has ``model``, ``optimizer``, ``history``, ``epoch`` (finished
    ones), ``epochs`` and ``step`` (finished batches of this epoch).
    """

    def start(self, trainer: Trainer) -> None:
        """Run before the first epoch, after a checkpoint was loaded."""

    def before_epoch(self, trainer: Trainer) -> None:
        """Run before each epoch."""

    def before_step(self, trainer: Trainer) -> None:
        """Run when all gradients are there (clipped, if asked for), before the optimiser's step."""

    def after_step(self, trainer: Trainer) -> None:
        """Run after the optimiser's step: the place for constraints and rewiring."""

    def after_epoch(self, trainer: Trainer, row: Mapping[str, float]) -> None:
        """Run after validation with the epoch's row of the history."""

    def stop(self, trainer: Trainer) -> None:
        """Run when training ends, whatever the reason."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, as tensors and plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""


class CsvLog(Callback):
    """Keep a CSV file of the history, complete after each epoch (`History.from_csv` reads it)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def after_epoch(self, trainer: Trainer, row: Mapping[str, float]) -> None:
        """Write the file; a resumed run's file holds the epochs before as well."""
        trainer.history.to_csv(self.path)


class TensorBoardLog(Callback):
    """Write every column of the history as a TensorBoard scalar, with the epoch as step.

    Parameters
    ----------
    target : str, Path or SummaryWriter
        A folder (needs the package ``tensorboard``), or a writer of your own, which stays open.

    Raises
    ------
    MissingPackageError
        If a folder is given and ``tensorboard`` is not installed.
    """

    def __init__(self, target: Any) -> None:
        self._own = isinstance(target, str | Path)
        if not self._own and not callable(getattr(target, "add_scalar", None)):
            raise ParameterError(
                f"tensorboard = {target!r}: expected a folder or an object with add_scalar."
            )
        self.writer = _summary_writer(target) if self._own else target

    def after_epoch(self, trainer: Trainer, row: Mapping[str, float]) -> None:
        """Write the scalars of an epoch; ``train_loss`` appears as ``loss/train``."""
        for column, value in row.items():
            if column == "epoch" or math.isnan(value):
                continue
            part, _, quantity = column.rpartition("_")
            joint = part in ("train", "validation")
            tag = f"{quantity}/{part}" if joint else column.replace(".", "/", 1)
            self.writer.add_scalar(tag, value, int(row["epoch"]))

    def stop(self, trainer: Trainer) -> None:
        """Flush, and close the writer if it is ours."""
        if self._own:
            self.writer.close()


def _summary_writer(folder: str | Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPackageError(
            f"tensorboard={str(folder)!r} needs the package tensorboard, which cannot be imported "
            f"({error}). Try: pip install tensorboard. logs='history.csv' needs no package."
        ) from error
    return SummaryWriter(str(folder))  # type: ignore[no-untyped-call]


class Progress(Callback):
    """A bar over batches and a line an epoch on stderr, or any function of an epoch's row."""

    def __init__(self, show: bool | Callable[[Mapping[str, float]], Any]) -> None:
        self._call = show if callable(show) else None
        self._bar_wanted = show is True and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self._bar: Any = None

    def before_epoch(self, trainer: Trainer) -> None:
        """Begin a bar."""
        if self._bar_wanted:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=trainer.n_batches, leave=False, unit="batch",
                desc=f"epoch {trainer.epoch + 1}/{trainer.epochs}",
            )  # fmt: skip

    def after_step(self, trainer: Trainer) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {trainer.mean_loss:.4g}", refresh=False)
            self._bar.update()

    def after_epoch(self, trainer: Trainer, row: Mapping[str, float]) -> None:
        """Show the epoch's line; it also goes to the log ``neurosim.bridge.training``."""
        line = describe(row, trainer.epochs)
        log.info("%s", line)
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
            self.stop(trainer)
        if self._call is not None:
            self._call(row)

    def stop(self, trainer: Trainer) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def describe(row: Mapping[str, float], epochs: int) -> str:
    """Return an epoch's row as one line of text.

    Examples
    --------
    >>> describe({"epoch": 1, "seconds": 2.0, "train_loss": 1.5, "train_accuracy": 0.25,
    ...           "rate.1": 0.02}, 10)
    'epoch  1/10  loss 1.5  accuracy 25.0 %  rates 0.020  (2.0 s)'
    """
    parts = [f"epoch {int(row['epoch']):{len(str(epochs))}d}/{epochs}"]
    for label, name in (("", "train"), ("validation ", "validation")):
        if f"{name}_loss" in row:
            parts.append(f"{label}loss {row[f'{name}_loss']:.4g}")
        if f"{name}_accuracy" in row:
            parts.append(f"{label}accuracy {100 * row[f'{name}_accuracy']:.1f} %")
    rates = [value for column, value in row.items() if column.startswith("rate.")]
    if rates:
        parts.append("rates " + " ".join(f"{rate:.3f}" for rate in rates))
    return "  ".join(parts) + f"  ({row['seconds']:.1f} s)"
