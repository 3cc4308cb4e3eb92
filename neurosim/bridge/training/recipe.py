"""A training run as a TOML text: data, model, training. What ``neurosim train`` reads."""

from __future__ import annotations

import functools
import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import neurosim.bridge as bridge
import neurosim.datasets as datasets
from neurosim.bridge import surrogate
from neurosim.bridge.connections.delay_training import SigmaSchedule
from neurosim.bridge.container import Sequential
from neurosim.bridge.layer import Layer
from neurosim.bridge.training.losses import resolve_loss
from neurosim.bridge.training.regularisers import DelayRegulariser, RateRegulariser
from neurosim.bridge.training.rng import seeded
from neurosim.bridge.training.schedules import SCHEDULES
from neurosim.errors import FileFormatError, ParameterError, unknown_name

#: Modules of torch that a recipe may name, besides the layers of `neurosim.bridge`.
TORCH_LAYERS = (
    "AvgPool1d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "Dropout",
    "Flatten", "GELU", "Identity", "LayerNorm", "LeakyReLU", "MaxPool1d", "MaxPool2d", "ReLU",
    "Sigmoid", "Tanh", "Unflatten",
)  # fmt: skip
OPTIMIZERS = ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD")
REGULARISERS = {"rate": RateRegulariser, "delay": DelayRegulariser}
DATA_KEYS = (
    "name", "options", "train", "test", "validation", "transforms", "augment", "batch_size",
    "collate", "time_step", "n_steps", "binary", "workers",
)  # fmt: skip
TRAINING_KEYS = (
    "epochs", "loss", "optimizer", "learning_rate", "weight_decay", "schedule", "schedule_per",
    "clip_gradient", "regularisers", "early_stopping", "monitor", "restore_best", "round_delays",
    "sigma", "autocast", "initialise_rates", "tensorboard",
)  # fmt: skip
#: Of these, what is not an argument of `fit`.
_APART = ("initialise_rates", "tensorboard")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A parsed configuration; nothing is built before it is asked for.

    Attributes
    ----------
    text : str
        The TOML text.
    seed : int
        Of weights, order of samples, dropout and augmentation; default 0.
    data, training : mapping
    layers : list of mapping
    """

    text: str
    seed: int
    data: Mapping[str, Any]
    layers: list[Mapping[str, Any]]
    training: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str, source: str = "config") -> Recipe:
        """Read a TOML text, strictly: an unknown key is an error.

        Parameters
        ----------
        text : str
        source : str
            Where it is from, for messages.

        Raises
        ------
        FileFormatError
            If it is no TOML.
        ParameterError, UnknownNameError
            If a part is missing or a key does not exist.
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise FileFormatError(f"{source}: no valid TOML: {error}.") from error
        _check_keys(content, ("seed", "data", "model", "training"), source)
        for part, kind in (("data", dict), ("model", list), ("training", dict)):
            if not isinstance(content.get(part), kind):
                header = "[[model]]" if part == "model" else f"[{part}]"
                raise ParameterError(f"{source}: a part {header} is needed.")
        _check_keys(content["data"], DATA_KEYS, f"{source} [data]")
        _check_keys(content["training"], TRAINING_KEYS, f"{source} [training]")
        _need(content["data"], "name", f"{source} [data]")
        _need(content["training"], "epochs", f"{source} [training]")
        seed = content.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ParameterError(f"{source}: seed = {seed!r}: a whole number is needed.")
        return cls(
            text=text, seed=seed, data=content["data"], layers=content["model"],
            training=content["training"],
        )  # fmt: skip

    def model(self) -> Sequential:
        """Build the model; its weights depend on the seed alone.

        Raises
        ------
        ParameterError, UnknownNameError
            Naming the layer that cannot be built.
        """
        with seeded(self.seed):
            return Sequential(*(_layer(k, options) for k, options in enumerate(self.layers)))

    def dataset(self, options: Mapping[str, Any], *, augmented: bool) -> Any:
        """Return the data set with its transforms.

        Transforms with a parameter ``sensor_size`` that is not given get that of the data.

        Parameters
        ----------
        options : mapping
            Added to those of ``[data] options``, such as ``{"split": "test"}``.
        augmented : bool
            Whether to apply the augmentation as well, before the other transforms.
        """
        name, names = self.data["name"], _dataset_names()
        if name not in names:
            raise unknown_name("data set", name, names, "neurosim.datasets")
        made = {**self.data.get("options", {}), **options}
        data = _call(getattr(datasets, name), made, f"[data] {name}")
        steps = [*(self.data.get("augment", []) if augmented else [])]
        chain: list[Any] = []
        for step in [*steps, *self.data.get("transforms", [])]:
            chain.append(_transform(step, data.sensor_size))
            data.sensor_size = getattr(chain[-1], "output_size", data.sensor_size)
        if chain:
            data.transform = datasets.Compose(*chain)
        return data

    def loaders(self) -> dict[str, Any]:
        """Return loaders ``train`` and, where they are asked for, ``validation`` and ``test``.

        ``validation`` is a fraction of the training recordings, held back class by class and not
        augmented, or a table of options (an official split).
        """
        own = self.data.get("train", {})
        parts = {"train": self.dataset(own, augmented=True)}
        held_out = self.data.get("validation")
        if isinstance(held_out, Mapping):
            parts["validation"] = self.dataset(held_out, augmented=False)
        elif held_out is not None:
            if not isinstance(held_out, float) or not 0.0 < held_out < 1.0:
                raise ParameterError(
                    f"[data] validation = {held_out!r}: a fraction between 0 and 1, or a table of "
                    'options such as {split = "validation"}.'
                )
            sizes = [1.0 - held_out, held_out]
            plain = self.dataset(own, augmented=False)
            parts["train"] = datasets.split(parts["train"], sizes, seed=self.seed)[0]
            parts["validation"] = datasets.split(plain, sizes, seed=self.seed)[1]
        if "test" in self.data:
            parts["test"] = self.dataset(self.data["test"], augmented=False)
        return {part: self._loader(data, part == "train") for part, data in parts.items()}

    def _loader(self, data: Any, shuffle: bool) -> Any:
        kind = self.data.get("collate", "dense")
        makers = {"dense": datasets.collate_dense, "events": datasets.collate_events}
        if kind not in makers:
            raise unknown_name("collate", kind, makers, "[data]")
        grid = {k: self.data[k] for k in ("time_step", "n_steps", "binary") if k in self.data}
        return datasets.loader(
            data, self.data.get("batch_size", 64), shuffle=shuffle, seed=self.seed,
            collate=makers[kind](sensor_size=data.sensor_size, **grid),
            workers=self.data.get("workers", 0),
        )  # fmt: skip

    def fit_options(self) -> dict[str, Any]:
        """Return keyword arguments for `fit`."""
        options = {k: v for k, v in self.training.items() if k not in _APART}
        if "optimizer" in options:
            name, arguments = _named(options["optimizer"], "[training] optimizer")
            if name not in OPTIMIZERS:
                raise unknown_name("optimizer", name, OPTIMIZERS, "[training]")
            made = getattr(torch.optim, name)
            valid = [n for n in inspect.signature(made).parameters if n not in ("params", "lr")]
            _check_keys(arguments, valid, f"optimizer {name}", "option")
            options["optimizer"] = functools.partial(made, **arguments)
        if "schedule" in options:
            options["schedule"] = _schedule(options["schedule"])
        if "sigma" in options:
            options["sigma"] = _call(SigmaSchedule, options["sigma"], "[training] sigma")
        if "autocast" in options:
            options["autocast"] = _autocast(options["autocast"])
        penalties = []
        for entry in options.pop("regularisers", []):
            name, arguments = _named(entry, "[training] regularisers")
            if name not in REGULARISERS:
                raise unknown_name("regulariser", name, REGULARISERS, "[training]")
            penalties.append(_call(REGULARISERS[name], arguments, f"regulariser {name}"))
        resolve_loss(options.get("loss", "rate"))  # a mistake shows before anything is done
        return {**options, "regularisers": penalties, "seed": self.seed}


def _dataset_names() -> list[str]:
    skipped = ("Dataset", "Recordings", "Subset", "Compose", "DiskCache", "EventBatch", "Loader")
    return [
        name
        for name in datasets.__all__
        if name not in skipped
        and "transform" in getattr(_signature(getattr(datasets, name)), "parameters", ())
    ]


def _layer(k: int, options: Mapping[str, Any]) -> nn.Module:
    where = f"[[model]] {k}"
    _need(options, "layer", where)
    return _module(options, where)


def _module(options: Mapping[str, Any], where: str) -> nn.Module:
    name = options["layer"]
    known = {**{n: getattr(nn, n) for n in TORCH_LAYERS}, **_own_layers()}
    if name not in known:
        raise unknown_name("layer", name, sorted(known), where)
    arguments = {key: _argument(key, v, where) for key, v in options.items() if key != "layer"}
    made = _call(known[name], arguments, f"{where} ({name})")
    if not isinstance(made, nn.Module):
        raise ParameterError(f"{where}: {name} is no layer.")
    return made


def _own_layers() -> dict[str, Any]:
    named = ((name, getattr(bridge, name)) for name in bridge.__all__)
    return {
        name: value
        for name, value in named
        if inspect.isclass(value) and issubclass(value, Layer)
        and not inspect.isabstract(value) and value is not Sequential
    }  # fmt: skip


def _argument(key: str, value: Any, where: str) -> Any:
    """Return an option of a layer: a layer, a surrogate, a tensor or the value itself."""
    if isinstance(value, Mapping) and "layer" in value:
        return _module(value, f"{where}.{key}")
    if key == "spike_grad":
        name, arguments = _named(value, f"{where}.{key}")
        names = [n for n in dir(surrogate) if inspect.isfunction(getattr(surrogate, n))]
        public = [n for n in names if not n.startswith("_") and n != "resolve"]
        if name not in public:
            raise unknown_name("surrogate", name, public, where)
        return _call(getattr(surrogate, name), arguments, f"{where}.{key}")
    if key == "connection" and isinstance(value, int | float | list):
        return nn.Parameter(torch.tensor(value, dtype=torch.get_default_dtype()))
    return tuple(value) if isinstance(value, list) else value


def _transform(step: Any, sensor_size: tuple[int, int, int]) -> Any:
    from neurosim.datasets import transforms

    name, arguments = _named(step, "[data] transforms")
    known = [n for n in transforms.__all__ if n not in ("Compose", "Transform") and n[0].isupper()]
    if name not in known:
        raise unknown_name("transform", name, known, "neurosim.datasets")
    made = getattr(transforms, name)
    if "sensor_size" in _signature(made).parameters:
        arguments = {"sensor_size": sensor_size, **arguments}
    return _call(made, arguments, f"transform {name}")


def _schedule(value: Any) -> Any:
    if isinstance(value, Mapping) and "name" not in value:
        return {kind: _schedule(one) for kind, one in value.items()}
    name, arguments = _named(value, "[training] schedule")
    if name not in SCHEDULES:
        raise unknown_name("schedule", name, SCHEDULES, "[training]")
    return _call(SCHEDULES[name], arguments, f"schedule {name}")


def _autocast(name: Any) -> torch.dtype:
    types = {"bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in types:
        raise unknown_name("type", name, types, "[training] autocast")
    return types[name]


def _named(value: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Return name and options of ``"name"`` or ``{name = "name", option = value}``."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return value["name"], {k: v for k, v in value.items() if k != "name"}
    raise ParameterError(
        f'{where} = {value!r}: expected a name, or a table {{name = "...", option = value}}.'
    )


def _signature(function: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _call(function: Callable[..., Any], options: Mapping[str, Any], where: str) -> Any:
    """Call with options from a file: unknown and missing ones are errors that name the place."""
    signature = inspect.signature(function)
    _check_keys(options, list(signature.parameters), where, "option")
    try:
        signature.bind(**options)
    except TypeError as error:
        raise ParameterError(f"{where}: {error}.") from error
    try:
        return function(**options)
    except TypeError as error:
        raise ParameterError(f"{where}: an option is of a wrong type ({error}).") from error


def _check_keys(given: Mapping[str, Any], valid: Any, where: str, kind: str = "key") -> None:
    for key in given:
        if key not in valid:
            raise unknown_name(kind, key, valid, where)


def _need(given: Mapping[str, Any], key: str, where: str) -> None:
    if key not in given:
        raise ParameterError(f"{where}: {key} is missing.")
