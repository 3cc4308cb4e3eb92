"""Find out why nothing is learned: silent or saturated layers, NaN, targets that do not fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from neurosim.bridge.training.spikes import first_tensor
from neurosim.errors import ParameterError, SimulationError

#: A layer is reported as mostly dead above this fraction of neurons without a spike, and as
#: saturated above this rate [spikes per neuron and step].
DEAD, SATURATED = 0.8, 0.5


class TrainingWarning(UserWarning):
    """Training goes on, but something hinders it."""


class Watch:
    """Warn once of each layer that is silent, mostly dead or saturated.

    Examples
    --------
    >>> watch = Watch()
    >>> watch.report({"1": 0.02}, {"1": 0.1})
    """

    def __init__(self) -> None:
        self.warned: set[tuple[str, str]] = set()

    def report(self, rates: Mapping[str, float], dead: Mapping[str, float]) -> None:
        """Warn of what is wrong with the rates of an epoch.

        Parameters
        ----------
        rates : mapping of str to float
            Spikes per neuron and step, by layer in the order of the model.
        dead : mapping of str to float
            Fraction of neurons that never spiked.

        Warns
        -----
        TrainingWarning
            For the first layer that is silent (those behind it have no input), and for each that
            is mostly dead or saturated.
        """
        names = list(rates)
        silent = next((name for name in names if rates[name] == 0.0), None)
        if silent is not None:
            behind = len(names) - names.index(silent) - 1
            rest = f" The {behind} spiking layers behind it get nothing from it." if behind else ""
            self._warn(
                silent,
                "silent",
                f"layer {silent!r} is silent: no spike in the whole epoch, so its weights hardly "
                f"learn.{rest} Before training, call initialise_rates_(model, batch), or raise "
                "the weights, lower the threshold, or add RateRegulariser(lower=0.01).",
            )
        for name in names:
            if rates[name] > SATURATED:
                self._warn(
                    name,
                    "saturated",
                    f"layer {name!r} is saturated: {rates[name]:.2f} spikes per neuron and step. "
                    "Before training, call initialise_rates_(model, batch), or lower the weights, "
                    "raise the threshold, or add RateRegulariser(upper=0.3).",
                )
            elif rates[name] > 0.0 and dead[name] > DEAD:
                self._warn(
                    name,
                    "dead",
                    f"{dead[name]:.0%} of the neurons of layer {name!r} were silent for a whole "
                    "epoch. RateRegulariser(lower=0.01) wakes them; initialise_rates_(model, "
                    "batch) before training, or a lower learning rate, may prevent it.",
                )

    def _warn(self, layer: str, kind: str, message: str) -> None:
        if (layer, kind) not in self.warned:
            self.warned.add((layer, kind))
            warnings.warn(message, TrainingWarning, stacklevel=4)


def check_batch(x: Any, out: Tensor, target: Tensor, *, classifies: bool) -> None:
    """Check that a batch's output and targets fit together.

    Parameters
    ----------
    x : tensor or batch of events
        What went into the model, ``[T, B, ...]``.
    out : (T, B, C) tensor
    target : (B,) tensor of int
        Classes, if `classifies`.

    Raises
    ------
    ParameterError
        If axes are in the wrong order, or targets are not classes that the output has.
    """
    n = len(target)
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) > 1 and shape[1] != n:
        hint = (
            " The batch seems to be in front: use x.transpose(0, 1)."
            if shape[0] == n
            else " Each sample needs one target."
        )
        raise ParameterError(
            f"the input has shape {list(shape)}, [T, B, ...] with B = {shape[1]}, but there are "
            f"{n} targets.{hint}"
        )
    if not classifies:
        return
    if out.dim() != 3 or out.shape[1] != n:
        raise ParameterError(
            f"the model's output has shape {list(out.shape)}; a loss on classes needs [T, B, C] "
            f"with B = {n}. Flatten other axes at the end of the model, or choose the right "
            "output with forward=lambda model, x: ..."
        )
    check_classes(target, out.shape[-1])


def check_classes(target: Tensor, n_classes: int) -> None:
    """Check that targets are classes from 0 to ``n_classes - 1``.

    Raises
    ------
    ParameterError
        If they are not integers, have several axes, or are out of range.
    """
    if target.dtype not in (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8):
        raise ParameterError(
            f"targets have type {target.dtype}: classes are integers. Convert them with "
            "target.long(), or give fit a loss for such targets."
        )
    if target.dim() != 1:
        raise ParameterError(
            f"targets have shape {list(target.shape)}: one class a sample is expected, [B]. "
            "One-hot targets become classes with target.argmax(-1)."
        )
    if len(target) and not 0 <= int(target.min()) <= int(target.max()) < n_classes:
        wrong = target[(target < 0) | (target >= n_classes)][0]
        raise ParameterError(
            f"target {int(wrong)} does not exist: the model has {n_classes} outputs, classes 0 to "
            f"{n_classes - 1}. Give the last layer as many outputs as there are classes; classes "
            "count from 0."
        )


def finite(tensor: Tensor | None) -> bool:
    """Return whether a tensor (or None) holds neither NaN nor infinity."""
    return tensor is None or bool(torch.isfinite(tensor).all())


def _explain_state(model: nn.Module, x: Any) -> SimulationError | None:
    """Return the error if input or parameters are not finite to begin with."""
    if isinstance(x, Tensor) and not finite(x):
        return SimulationError(
            "the input of the model holds NaN or infinity: look at the data and its transforms."
        )
    for name, parameter in model.named_parameters():
        if not finite(parameter):
            return SimulationError(
                f"parameter {name!r} is NaN or infinite after the last update. Lower its learning "
                "rate or use clip_gradient=1.0."
            )
    return None


def explain_nan_output(model: nn.Module, run: Callable[[], Any], x: Any) -> SimulationError:
    """Return the error for a loss that is not finite, naming the first module to blame.

    Parameters
    ----------
    model : torch.nn.Module
    run : callable
        Runs the forward pass again.
    x : tensor or batch of events
        The input of the pass.

    Returns
    -------
    SimulationError
        To be raised by the caller.
    """
    known = _explain_state(model, x)
    if known is not None:
        return known
    first = _outputs(model, run, stop_at=lambda out: not finite(out))
    if first:
        name, module, _ = first[-1]
        return SimulationError(
            f"module {name!r} ({type(module).__name__}) is the first whose output is NaN or "
            "infinite, its input being finite. Look at its parameters (a decay of exactly 1, a "
            "division by a rate of 0?) or lower the learning rate."
        )
    return SimulationError(
        "the loss is NaN or infinite, though the outputs of all modules are finite: look at the "
        "loss and the regularisers."
    )


def explain_nan_gradient(
    model: nn.Module, run: Callable[[], Any], backward: Callable[[Any], None], x: Any
) -> SimulationError:
    """Return the error for a gradient that is not finite, naming the first module to blame.

    Parameters
    ----------
    model : torch.nn.Module
    run : callable
        Runs the forward pass again and returns the loss.
    backward : callable
        Runs the backward pass of that loss.
    x : tensor or batch of events
        The input of the pass.

    Returns
    -------
    SimulationError
        To be raised by the caller.
    """
    known = _explain_state(model, x)
    if known is not None:
        return known
    gradients: dict[int, Tensor] = {}
    outputs: list[tuple[str, nn.Module, Tensor]] = []
    result: list[Any] = []
    for k, (name, module, out) in enumerate(_outputs(model, lambda: result.append(run()))):
        outputs.append((name, module, out))
        if out.requires_grad:
            out.register_hook(  # type: ignore[no-untyped-call]
                lambda gradient, k=k: gradients.__setitem__(k, gradient)
            )
    backward(result[0])
    remedy = (
        "Use clip_gradient=1.0 against large values; NaN itself comes from an operation without "
        "a derivative there (sqrt(0), 0/0, a surrogate that overflows)."
    )
    for k in reversed(range(len(outputs))):
        if finite(gradients.get(k)):
            continue
        # the gradient at k's output came out of what uses it: the module after k
        if k + 1 == len(outputs):
            return SimulationError(f"the gradient of the loss itself is NaN or infinite. {remedy}")
        name, module, _ = outputs[k + 1]
        return SimulationError(
            f"module {name!r} ({type(module).__name__}) turns a finite gradient into NaN or "
            f"infinity. {remedy}"
        )
    for name, parameter in model.named_parameters():
        if not finite(parameter.grad):
            return SimulationError(f"the gradient of parameter {name!r} is not finite. {remedy}")
    return SimulationError(
        "a gradient was NaN or infinite, but not when the batch was run again (dropout?). "
        "Use clip_gradient=1.0 or lower the learning rate."
    )


class _Stop(BaseException):
    """Ends a forward pass early."""


def _outputs(
    model: nn.Module, run: Callable[[], Any], stop_at: Callable[[Tensor], bool] | None = None
) -> list[tuple[str, nn.Module, Tensor]]:
    """Run a forward pass; return (name, module, output) of the leaf modules, as they finish.

    With `stop_at`, it ends at the first output that fulfils it, and only that is returned.
    """
    found: list[tuple[str, nn.Module, Tensor]] = []
    hooks = []
    for name, module in model.named_modules():
        if any(True for _ in module.children()):
            continue

        def record(module: nn.Module, _: Any, output: Any, name: str = name) -> None:
            out = first_tensor(output)
            if out is None:
                return
            if stop_at is None:
                found.append((name, module, out))
            elif stop_at(out):
                found.append((name, module, out))
                raise _Stop

        hooks.append(module.register_forward_hook(record))
    try:
        run()
    except _Stop:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return found
