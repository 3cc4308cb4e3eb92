"""``neurosim train config.toml`` and ``neurosim evaluate checkpoint``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurosim.errors import FileFormatError, ParameterError

if TYPE_CHECKING:
    from neurosim.bridge.training import Evaluation
    from neurosim.bridge.training.recipe import Recipe

#: Files of a run's folder.
CONFIG, CHECKPOINT, HISTORY, FIGURE = "config.toml", "checkpoint.pt", "history.csv", "history.png"
TENSORBOARD = "tensorboard"

#: More classes than this make the confusion matrix too wide for a terminal.
WIDEST = 35


def add_commands(commands: Any) -> None:
    """Add the parsers of both commands."""
    train = commands.add_parser("train", help="train a network described by a TOML file")
    train.add_argument("config", help="TOML file with [data], [[model]] and [training]")
    train.add_argument("--out", help="folder of the run; default runs/NAME of the file")
    train.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    train.add_argument("--quiet", action="store_true", help="print the result only")
    evaluate = commands.add_parser("evaluate", help="accuracy and rates of a trained network")
    evaluate.add_argument("checkpoint", help="file written by neurosim train")
    evaluate.add_argument(
        "--data", choices=("test", "validation", "train"), help="default: test if there is one"
    )
    evaluate.add_argument("--which", choices=("best", "last"), help="default: best if there is one")


def train(arguments: argparse.Namespace) -> int:
    """Train, write the folder of the run and print the result on the test data, if any."""
    from neurosim.bridge.training import TrainingInterrupted, fit, initialise_rates_
    from neurosim.bridge.training.callbacks import describe
    from neurosim.bridge.training.recipe import Recipe

    source = Path(arguments.config)
    recipe = Recipe.parse(_read(source), str(source))
    folder = Path(arguments.out) if arguments.out else Path("runs") / source.stem
    _check_folder(folder, recipe, resume=arguments.resume)
    model, loaders, options = recipe.model(), recipe.loaders(), recipe.fit_options()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(recipe.text, encoding="utf-8")
    rate = recipe.training.get("initialise_rates")
    if rate is not None and not (folder / CHECKPOINT).exists():
        loaders["train"].set_epoch(0)
        initialise_rates_(model, next(iter(loaders["train"])), target_rate=rate)
    epochs = recipe.training["epochs"]
    events = folder / TENSORBOARD if recipe.training.get("tensorboard") else None
    try:
        history = fit(
            model, loaders["train"], validation=loaders.get("validation"),
            checkpoint=folder / CHECKPOINT, resume=arguments.resume, logs=folder / HISTORY,
            progress=lambda row: arguments.quiet or print(describe(row, epochs), flush=True),
            tensorboard=events, notes={"config": recipe.text}, **options,
        )  # fmt: skip
    except TrainingInterrupted as interruption:
        again = f"neurosim train {source} --out {folder} --resume"
        print(f"\nneurosim: {interruption} Go on with: {again}", file=sys.stderr)
        return 130
    history.plot().savefig(folder / FIGURE, dpi=150)
    if history.stopped:
        print(history.stopped)
    if "test" in loaders:
        _show("test", _evaluated(recipe, model, loaders["test"]), classes=None)
    print(f"{folder}: {CONFIG}, {CHECKPOINT}, {HISTORY}, {FIGURE}")
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Print loss, accuracy, firing rates and the confusion matrix of a checkpoint."""
    from neurosim.bridge.training import load_checkpoint, read_checkpoint
    from neurosim.bridge.training.recipe import Recipe

    path = Path(arguments.checkpoint)
    content = read_checkpoint(path)
    text = (content.get("notes") or {}).get("config")
    if text is None:
        raise FileFormatError(
            f"{path}: it does not say how its model is built: it was not written by `neurosim "
            "train`. Use neurosim.bridge.evaluate(model, data) after load_checkpoint(path, model)."
        )
    recipe = Recipe.parse(text, f"the configuration in {path}")
    model, loaders = recipe.model(), recipe.loaders()
    part = arguments.data or next(p for p in ("test", "validation", "train") if p in loaders)
    if part not in loaders:
        raise ParameterError(
            f"{path}: its configuration has no {part} data, but {', '.join(loaders)}."
        )
    which = arguments.which or ("best" if content.get("best") else "last")
    load_checkpoint(path, model, which=which)
    epoch = content["best"]["epoch"] if which == "best" else content["epoch"]
    print(f"{path}: {which} model, epoch {epoch}")
    loader = loaders[part]
    loader.set_epoch(0)
    _show(part, _evaluated(recipe, model, loader), classes=loader.data.classes)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: cannot be read: {error}.") from error


def _check_folder(folder: Path, recipe: Recipe, *, resume: bool) -> None:
    """Refuse to overwrite a run, and to resume one with another configuration.

    A run that failed in its first epoch, because of its configuration as it seems, since that was
    changed afterwards, is not worth keeping.
    """
    from neurosim.bridge.training import read_checkpoint

    if not (folder / CHECKPOINT).exists():
        return
    changed = (folder / CONFIG).exists() and (folder / CONFIG).read_text("utf-8") != recipe.text
    if not resume and changed and read_checkpoint(folder / CHECKPOINT).get("epoch") == 0:
        (folder / CHECKPOINT).unlink()
        return
    if not resume:
        raise ParameterError(
            f"{folder} holds a run already: go on with it by --resume, or choose another --out."
        )
    if changed:
        raise ParameterError(
            f"{folder / CONFIG}, with which the run was begun, differs from the configuration "
            "given now: resume with that file, or choose another --out."
        )


def _evaluated(recipe: Recipe, model: Any, loader: Any) -> Evaluation:
    from neurosim.bridge.training import evaluate as evaluate_model

    options = recipe.fit_options()
    chosen = {k: options[k] for k in ("loss", "round_delays", "autocast") if k in options}
    return evaluate_model(model, loader, **chosen)


def _show(part: str, result: Evaluation, *, classes: tuple[str, ...] | None) -> None:
    print(
        f"{part}: accuracy {100.0 * result.accuracy:.2f} % of {result.n_samples} samples, "
        f"loss {result.loss:.4f}"
    )
    for name, rate in result.rates.items():
        print(
            f"layer {name}: {rate:.4f} spikes per neuron and step, "
            f"{100.0 * result.dead[name]:.1f} % silent neurons"
        )
    if classes is not None and len(result.confusion) <= WIDEST:
        print("confusion (rows: class, columns: prediction)")
        names = [*classes, *map(str, range(len(classes), len(result.confusion)))]
        wide = max(4, max(len(name) for name in names) + 1)
        width = max(4, len(str(result.confusion.max())) + 1)
        print(" " * wide + "".join(f"{name[: width - 1]:>{width}}" for name in names))
        for name, row in zip(names, result.confusion, strict=False):
            print(f"{name:>{wide}}" + "".join(f"{count:>{width}}" for count in row))
