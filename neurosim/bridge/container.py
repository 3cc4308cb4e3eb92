"""Sequential: layers, torch modules and snnTorch neurons one after the other over a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from neurosim.bridge.events import EventBatch, events_of, inherit
from neurosim.bridge.layer import Layer, State, check_sequence
from neurosim.errors import ParameterError, unknown_name


class Sequential(Layer):
    """A chain of modules over sequences [T, B, ...].

    Parameters
    ----------
    *modules : nn.Module
        Layers of this package get their state and return it; neurons of snnTorch are stepped
        through time; every other module is applied to all steps in one call, on [T*B, ...].

    Raises
    ------
    ParameterError
        For what is not a module.

    Examples
    --------
    >>> from neurosim.bridge import LI, LIF
    >>> net = Sequential(nn.Linear(4, 3), LIF(beta=0.9), nn.Linear(3, 2), LI(beta=0.9))
    >>> out, states = net(torch.zeros(5, 1, 4))
    >>> out.shape, sorted(states)
    (torch.Size([5, 1, 2]), ['1', '3'])
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        for k, module in enumerate(modules):
            if not isinstance(module, nn.Module):
                hint = " Give modules one by one: Sequential(*modules)." if isinstance(
                    module, list | tuple) else ""  # fmt: skip
                raise ParameterError(f"Sequential: module {k} is {module!r}, no module.{hint}")
            if _keeps_state(module) and any(module is other for other in modules[:k]):
                raise ParameterError(
                    f"Sequential: module {k} ({type(module).__name__}) stands there twice and "
                    "keeps its state, which would go on from one place to the other. Use two."
                )
            self.add_module(str(k), module)

    def forward(self, x: Any, state: State | None = None) -> tuple[Any, dict[str, Any]]:
        """Run the chain over a sequence.

        Parameters
        ----------
        x : [T, B, ...] tensor or EventBatch
        state : dict, optional
            By the index of a module as text: the state to start it from.

        Returns
        -------
        out : [T, B, ...] tensor
        states : dict
            The states after the sequence of the modules that have one.

        Raises
        ------
        ParameterError
            From a module; the message begins with its index.
        """
        if state is not None and not isinstance(state, Mapping):
            raise ParameterError(
                f"Sequential: the state is a {type(state).__name__}; a dict of the modules' states "
                "such as the one that was returned is needed."
            )
        given = dict(state or {})
        for key in given:
            if key not in self._modules:
                raise unknown_name("module", key, self._modules, "Sequential")
        states: dict[str, Any] = {}
        for key, module in parts(self):
            try:
                if _comes_from(module, "neurosim.bridge."):
                    x, after = module(x, given.get(key))
                    if after:
                        states[key] = after
                elif _comes_from(module, "snntorch."):
                    x, states[key] = _stepped(module, x, given.get(key))
                else:
                    x = folded(module, x)
            except ParameterError as error:
                raise ParameterError(f"module {key}: {error}") from error
        return x, states

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[nn.Module]:
        return (module for _, module in parts(self))

    def __getitem__(self, index: int) -> nn.Module:
        return list(self)[index]


def parts(chain: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of a chain by name; ``named_children`` leaves out those that come again."""
    return ((key, module) for key, module in chain._modules.items() if module is not None)


def folded(module: nn.Module, x: torch.Tensor | EventBatch) -> torch.Tensor:
    """Apply a module that knows no time to all steps in one call, on [T*B, ...].

    A batch of events is made dense for it.

    Raises
    ------
    ParameterError
        If `x` has no time and batch dimension, or the module does not fit it.
    """
    check_sequence(module, x)
    if not isinstance(x, torch.Tensor):
        x = events_of(x).dense().reshape(tuple(x.shape))
    if x.dim() < 2:
        raise ParameterError(
            f"{type(module).__name__}: the input has shape {tuple(x.shape)}; [T, B, ...] is needed."
        )
    rows = x.flatten(0, 1)
    try:
        out: torch.Tensor = module(rows)
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # such as one of memory
            raise
        raise ParameterError(
            f"{module!r} does not take all time steps of {list(x.shape)} as {list(rows.shape)}: "
            f"{error}"
        ) from error
    if not isinstance(out, torch.Tensor):
        raise ParameterError(
            f"{type(module).__name__} returned a {type(out).__name__}, not a tensor. A module with "
            "a state of its own or several outputs needs a module around it that returns one."
        )
    if out.dim() == 0 or out.shape[0] != rows.shape[0]:
        raise ParameterError(
            f"{module!r} returned {list(out.shape)} for {list(rows.shape)}, all time steps and "
            "samples; it must keep the first dimension."
        )
    whole = out.reshape(*x.shape[:2], *out.shape[1:])
    return inherit(whole, x) if _unchanged(whole, x) else whole


def _unchanged(out: torch.Tensor, x: torch.Tensor) -> bool:
    """Return whether a module only gave its input another shape, as `nn.Flatten` does."""
    same_memory = out._is_view() and out._base is (x._base if x._is_view() else x)  # type: ignore[no-untyped-call]
    both = out.is_contiguous() and x.is_contiguous()
    same_place = out.data_ptr() == x.data_ptr() and out.numel() == x.numel()
    return same_memory and both and same_place and out.dtype == x.dtype


def _keeps_state(module: nn.Module) -> bool:
    """Return whether a module of this package or snnTorch goes on from its last call."""
    return bool(getattr(module, "stateful", False) or getattr(module, "init_hidden", False))


def _comes_from(module: nn.Module, package: str) -> bool:
    """Return whether a module or what it derives from is defined in a package."""
    return any(c.__module__.startswith(package) for c in type(module).__mro__)


def _stepped(
    module: nn.Module, x: torch.Tensor, state: State | None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Step a neuron of snnTorch through time; its state is what it returns after the spikes."""
    names: list[str] = [
        n for n in ("spk", "syn_exc", "syn_inh", "syn", "mem") if n in dict(module.named_buffers())
    ]
    hidden = bool(getattr(module, "init_hidden", False))
    if not hidden and state is None:
        module.reset_mem()  # type: ignore[operator]
    current: dict[str, Any] = {} if hidden or state is None else dict(state)
    outputs = []
    for row in x.unbind(0):
        result = module(row, **current)
        spikes, *after = result if isinstance(result, tuple) else (result,)
        outputs.append(spikes)
        if not hidden:
            current = dict(zip([n for n in names if n != "spk"], after, strict=True))
            if "spk" in names:
                current["spk"] = spikes
    final = {n: getattr(module, n) for n in names} if hidden else current
    return torch.stack(outputs) if outputs else x, final
