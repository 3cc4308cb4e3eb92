"""Running states: what a stateful layer keeps between sequences, in buffers that are saved.

A state of its own has the buffer ``running_<name>``, empty before the first sequence. The state of
a connection inside the layer is a tree of dicts that only a run shows; it is kept in buffers
``running_connection/<name>/...``, which exist while there is something to keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from neurosim.errors import ParameterError

_PREFIX = "running_"
#: What joins the names in a tree of states; a buffer's name must not have a dot.
_JOIN = "/"


def declare_running(layer: nn.Module, names: Iterable[str]) -> None:
    """Register the empty buffers of states."""
    for name in names:
        layer.register_buffer(_PREFIX + name, torch.zeros(0))


def running_states(layer: nn.Module) -> dict[str, Any]:
    """Return what is kept, as `keep_running` was given it; empty before the first sequence."""
    found: dict[str, Any] = {}
    for buffer, value in layer.named_buffers(recurse=False):
        if buffer.startswith(_PREFIX) and (value.numel() or _JOIN in buffer):
            *branches, name = buffer.removeprefix(_PREFIX).split(_JOIN)
            tree = found
            for branch in branches:
                tree = tree.setdefault(branch, {})
            tree[name] = value
    return found


def keep_running(layer: nn.Module, states: Mapping[str, Any]) -> None:
    """Store states, or trees of them, in the buffers of a stateful layer, cut from the graph.

    Raises
    ------
    ParameterError
        If one is no tensor.
    """
    leaves = list(_leaves("", states))
    for path, value in leaves:
        if not isinstance(value, torch.Tensor):
            raise ParameterError(
                f"{layer!r}: the state {path!r} is a {type(value).__name__}, which cannot be kept; "
                "pass states explicitly instead of stateful=True."
            )
    _forget_trees(layer)
    for path, value in leaves:
        _set(layer, _PREFIX + path, value.detach().clone())


def clear_running(layer: nn.Module) -> None:
    """Empty the buffers of a stateful layer."""
    _forget_trees(layer)
    for name, value in list(layer.named_buffers(recurse=False)):
        if name.startswith(_PREFIX):
            setattr(layer, name, value.new_zeros(0))


def adopt_shapes(layer: nn.Module, state_dict: Mapping[str, Any], prefix: str) -> None:
    """Give the buffers of a stateful layer the shapes of saved ones, before those are loaded."""
    _forget_trees(layer)
    known = dict(layer.named_buffers(recurse=False))
    for key, saved in state_dict.items():
        name = key.removeprefix(prefix)
        if key.startswith(prefix + _PREFIX) and (name in known or _JOIN in name):
            _set(layer, name, torch.empty_like(saved))


def _leaves(path: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(f"{path}{name}{_JOIN}", value)
        else:
            yield path + name, value


def _forget_trees(layer: nn.Module) -> None:
    for name, _ in list(layer.named_buffers(recurse=False)):
        if name.startswith(_PREFIX) and _JOIN in name:
            delattr(layer, name)


def _set(layer: nn.Module, name: str, value: torch.Tensor) -> None:
    if name in layer._buffers:
        setattr(layer, name, value)
    else:
        layer.register_buffer(name, value)
