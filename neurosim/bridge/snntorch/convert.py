"""Whole networks from snnTorch, and back."""

from __future__ import annotations

import copy as copying
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from neurosim.bridge.connections import Conv1d, Conv2d, Linear
from neurosim.bridge.container import Sequential, parts
from neurosim.bridge.layer import Layer
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.bridge.snntorch.each_step import EachStep, MembraneOutput
from neurosim.bridge.snntorch.neurons import layer_of, snntorch_package
from neurosim.bridge.snntorch.neurons_back import to_neuron
from neurosim.bridge.snntorch.trace import Trace, traced
from neurosim.errors import ParameterError

#: Connections of torch by those of ours, which use that spikes are sparse, and the reverse.
_PLAIN: dict[type, type] = {Linear: nn.Linear, Conv1d: nn.Conv1d, Conv2d: nn.Conv2d}
_SPARSE = {plain: ours for ours, plain in _PLAIN.items()}
#: A module of a network with its name.
Named = tuple[str, nn.Module]


def from_snntorch(
    net: nn.Module,
    sample: Any = None,
    *,
    forward_order: Sequence[str | nn.Module] | None = None,
    copy: bool = False,
    output: Literal["spikes", "membrane"] = "spikes",
) -> Sequential:
    """Return the fused model that computes what a network of snnTorch does.

    Neurons become layers that run all time steps in one kernel; `nn.Linear` and convolutions become
    `Linear`, `Conv1d` and `Conv2d`, which use that spikes are sparse; other modules of torch are
    applied to all steps at once (those with `BatchNorm`, in training, step by step: `EachStep`).

    Parameters
    ----------
    net : nn.Module
        A neuron of snnTorch; an `nn.Sequential`, nested or not; or any module whose neurons and
        other modules follow each other in a chain, for which `sample` or `forward_order` is
        needed.
    sample : tensor or tuple, optional
        Arguments of ``net.forward``. The network is called once with them, without gradients and
        in evaluation mode, to see which modules follow each other. That they are a chain, with
        nothing computed between them, and that every time step uses the same ones, is checked.
        Neurons get their hidden states back.
    forward_order : sequence of str or nn.Module, optional
        Instead of `sample`: the modules in the order of one time step, by name (``"fc1"``,
        ``"block.lif"``) or, for what ``forward`` computes by functions, as modules:
        ``["conv", nn.MaxPool2d(2), "lif1", nn.Flatten(), "fc", "lif2"]``.
    copy : bool, default False
        False: weights and other parameters are the very same tensors, so that training one
        network trains both. True: they are copies.
    output : {"spikes", "membrane"}, default "spikes"
        What the last neurons return at every step.

    Returns
    -------
    model : Sequential
        Takes the input of all time steps, [T, B, ...]; ``out, states = model(x)``.

    Raises
    ------
    ParameterError
        If something cannot be converted; the message names it and says what to do.
    MissingPackageError
        If snnTorch is not installed.

    Notes
    -----
    Dropout draws a new mask for every step, as in the loop. What is hidden in the neurons
    (``init_hidden=True``) is not taken over: the model starts from zero, or from the `state` it
    is given.

    Examples
    --------
    >>> import snntorch as snn, torch
    >>> net = nn.Sequential(
    ...     nn.Linear(4, 3), snn.Leaky(0.9, init_hidden=True),
    ...     nn.Linear(3, 2), snn.Synaptic(0.5, 0.8, init_hidden=True, output=True))
    >>> from_snntorch(net)(torch.rand(10, 1, 4))[0].shape
    torch.Size([10, 1, 2])
    """
    snntorch_package()
    if output not in ("spikes", "membrane"):
        raise ParameterError(f"from_snntorch: output = {output!r} is not spikes or membrane.")
    trace: Trace | None = None
    if forward_order is not None:
        chain = [part for entry in forward_order for part in _declared(net, entry)]
    elif sample is not None and not _is_chain(net):
        trace = traced(net, sample)
        chain = [part for name, m in trace.chain() for part in _leaves(name, m)]
    else:
        chain = list(_leaves("", net))
    _check_reuse(chain)
    layers = [_converted(name, module, copy) for name, module in chain]
    if trace is not None:
        for (name, module), layer in zip(chain, layers, strict=True):
            if _spikes(module):
                trace.check(name, layer)
    if output == "membrane":
        layers[-1] = _membrane(layers[-1])
    return Sequential(*layers).train(net.training)


def to_snntorch(model: Sequential, *, copy: bool = False) -> nn.Sequential:
    """Return a network of snnTorch that computes, step by step, what a model does.

    Parameters
    ----------
    model : Sequential
        Of LIF, CubaLIF, AlphaLIF, Lapicque, of LIF or CubaLIF in `Recurrent`, of an LI at the
        end, and of modules of torch.
    copy : bool, default False
        As in `from_snntorch`.

    Returns
    -------
    net : nn.Sequential
        Its neurons have ``init_hidden=True``, the last also ``output=True``: a call takes one
        step, [B, ...], and returns the spikes and states of the last. Reset it with
        `neurosim.bridge.reset` or ``snntorch.utils.reset``.

    Raises
    ------
    ParameterError
        If snnTorch cannot say a layer; the message names it.

    Examples
    --------
    >>> import torch
    >>> from neurosim.bridge import LIF
    >>> net = to_snntorch(Sequential(nn.Linear(2, 1, bias=False), LIF(beta=0.5)))
    >>> spk, mem = net(torch.zeros(1, 2))
    >>> spk.item(), mem.item()
    (0.0, 0.0)
    """
    snntorch_package()
    parts = list(_own_leaves("", model))
    modules = [
        _returned(name, module, last=k == len(parts) - 1, copied=copy)
        for k, (name, module) in enumerate(parts)
    ]
    return nn.Sequential(*modules).train(model.training)


# --- the chain


def _spikes(module: nn.Module) -> bool:
    """Return whether there is a neuron of snnTorch in a module."""
    base = snntorch_package().SpikingNeuron
    return any(isinstance(m, base) for m in module.modules())


def _is_sequence(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _is_chain(module: nn.Module) -> bool:
    """Return whether the order of a module's parts needs no call to be known."""
    if _is_sequence(module):
        return all(_is_chain(m) for m in module.children())
    return isinstance(module, snntorch_package().SpikingNeuron) or not _spikes(module)


def _leaves(name: str, module: nn.Module) -> Iterator[Named]:
    """Yield the modules that are applied one after the other."""
    if _is_sequence(module):
        for key, part in parts(module):
            yield from _leaves(f"{name}.{key}" if name else key, part)
    elif _is_chain(module):
        yield name or type(module).__name__, module
    else:
        raise ParameterError(
            f"{name or 'from_snntorch'}: {type(module).__name__} has a forward of its own, which "
            "says more than the order of its parts. Give a sample, sample=x for net(x), and the "
            "order is taken from one call; or declare it, such as "
            f"forward_order={[n for n, _ in module.named_children()]!r}."
        )


def _declared(net: nn.Module, entry: str | nn.Module) -> Iterator[Named]:
    """Yield the modules that an entry of `forward_order` stands for."""
    if isinstance(entry, nn.Module):
        yield from _leaves(type(entry).__name__, entry)
        return
    try:
        module = net.get_submodule(entry)
    except AttributeError as error:
        names = ", ".join(n for n, _ in net.named_modules() if n)
        raise ParameterError(
            f"forward_order: {type(net).__name__} has no module {entry!r}. Modules: {names}."
        ) from error
    yield from _leaves(entry, module)


def _check_reuse(chain: Sequence[Named]) -> None:
    """Raise a ParameterError for a chain that is empty or uses a neuron twice in a step."""
    if not any(_spikes(module) for _, module in chain):
        raise ParameterError(
            "from_snntorch: there is no neuron of snnTorch in it, such as snntorch.Leaky."
        )
    seen: set[int] = set()
    for name, module in chain:
        if _spikes(module) and id(module) in seen:
            raise ParameterError(
                f"{name}: this neuron is used twice in a time step, so that its state advances "
                "twice; only a neuron used once can be converted. Use two of them."
            )
        seen.add(id(module))


# --- single modules


def _converted(name: str, module: nn.Module, copied: bool) -> nn.Module:
    if _spikes(module):
        return layer_of(module, name, copied=copied)
    if isinstance(module, Layer):
        raise ParameterError(
            f"{name}: {module!r} takes whole sequences and cannot stand in a network of snnTorch; "
            "wrap it in SnnTorchNeuron, or build a Sequential."
        )
    module = copying.deepcopy(module) if copied else module
    if type(module) in _SPARSE and not module._forward_hooks and not module._forward_pre_hooks:
        return _remade(module, _SPARSE[type(module)])
    if any(isinstance(m, _BatchNorm) for m in module.modules()):
        return EachStep(module)
    return module


def _remade(module: Any, make: Any) -> nn.Module:
    """Return a connection of another class with the same parameters."""
    if isinstance(module, nn.Linear):
        sizes: tuple[Any, ...] = (module.in_features, module.out_features)
        options: dict[str, Any] = {}
    else:
        sizes = (module.in_channels, module.out_channels, module.kernel_size)
        names = ("stride", "padding", "dilation", "groups", "padding_mode")
        options = {name: getattr(module, name) for name in names}
    made: Any = make(*sizes, bias=module.bias is not None, device="meta", **options)
    made.weight, made.bias = module.weight, module.bias
    return made  # type: ignore[no-any-return]


def _membrane(layer: nn.Module) -> nn.Module:
    if not isinstance(layer, Neuron):
        raise ParameterError(
            "from_snntorch: output='membrane' needs a network that ends in neurons that are not "
            f"recurrent, and this ends in {layer!r}."
        )
    return MembraneOutput(layer)


def _own_leaves(name: str, module: nn.Module) -> Iterator[Named]:
    if isinstance(module, Sequential) or _is_sequence(module):
        for key, part in parts(module):
            yield from _own_leaves(f"{name}.{key}" if name else key, part)
    else:
        yield name, module


def _returned(name: str, module: nn.Module, *, last: bool, copied: bool) -> nn.Module:
    """Return what stands for one of our layers in a network of snnTorch."""
    where = f"module {name}"
    if isinstance(module, MembraneOutput) and last:
        module = module.neuron
    if isinstance(module, EachStep):
        module = module.module
    if isinstance(module, Neuron | Recurrent):
        return to_neuron(module, where, output=last, copied=copied)
    if type(module) in _PLAIN:
        module = _remade(module, _PLAIN[type(module)])
    elif isinstance(module, Layer):
        raise ParameterError(
            f"{where}: {module!r} takes whole sequences; snnTorch has no counterpart of it."
        )
    return copying.deepcopy(module) if copied else module
