"""One of our neurons as a neuron of snnTorch: one time step a call."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.recurrent import Recurrent
from neurosim.errors import ParameterError, require

require("snntorch", "train", "SnnTorchNeuron")
from snntorch import SpikingNeuron  # type: ignore[import-untyped] # noqa: E402


class SnnTorchNeuron(SpikingNeuron):  # type: ignore[misc]
    """A layer of this package that stands in a network of snnTorch.

    ``spk, *states = layer(x, *states)``, one time step a call, with the states in the order of
    ``neuron.step.states``: ``spk, mem`` for `LIF`, ``spk, syn, mem`` for `CubaLIF`, ``spk, mem, a``
    for `ALIF`. For `Recurrent` the spikes are a state, too: ``spk, mem = layer(x, spk, mem)``.

    Parameters
    ----------
    neuron : Neuron or Recurrent
        With one input, and not stateful.
    init_hidden : bool, default False
        Keep the states in the layer and return only spikes, as in `nn.Sequential`.
    output : bool, default False
        With ``init_hidden=True``: return the states as well.

    Raises
    ------
    ParameterError
        If `neuron` cannot be stepped like this.

    Notes
    -----
    ``snntorch.utils.reset`` knows a fixed list of classes in snnTorch 1.0 and passes this one by;
    `neurosim.bridge.reset(net)` resets it and snnTorch's own. Unlike snnTorch's neurons it is not
    kept alive by the list ``SpikingNeuron.instances``.

    Examples
    --------
    >>> from neurosim.bridge import ALIF, reset
    >>> net = nn.Sequential(nn.Linear(4, 3), SnnTorchNeuron(ALIF(beta=0.9, rho=0.95),
    ...                                                     init_hidden=True))
    >>> reset(net)
    >>> torch.stack([net(torch.rand(2, 4)) for _ in range(5)]).shape
    torch.Size([5, 2, 3])
    """

    def __init__(
        self, neuron: Neuron | Recurrent, *, init_hidden: bool = False, output: bool = False
    ) -> None:
        # not SpikingNeuron's own: it would hold this neuron in a list of the process for good, and
        # register a threshold beside that of `neuron`
        nn.Module.__init__(self)
        if not isinstance(neuron, Neuron | Recurrent):
            raise ParameterError(
                f"SnnTorchNeuron: {neuron!r} is not a neuron layer of neurosim.bridge, such as LIF."
            )
        inner = neuron.neuron if isinstance(neuron, Recurrent) else neuron
        if neuron.stateful or len(inner.step.inputs) != 1:
            raise ParameterError(
                f"SnnTorchNeuron: {neuron!r} must have one input and not be stateful: the state is "
                "handed from call to call, or kept with init_hidden=True."
            )
        self.neuron = neuron
        self.init_hidden, self.output = init_hidden, output
        # what snnTorch's functions may ask a neuron for
        self.inhibition = self.surrogate_disable = self.state_quant = False
        self.spike_grad = inner.spike_grad
        self._reset_mechanism = getattr(inner, "reset", "none")
        own = inner.step.states
        self.state_names = ("spk", *own) if isinstance(neuron, Recurrent) else own
        for name in self.state_names:
            self.register_buffer(name, torch.zeros(0), persistent=False)

    @property
    def inner(self) -> Neuron:
        """The neuron layer itself, without recurrence."""
        return self.neuron.neuron if isinstance(self.neuron, Recurrent) else self.neuron

    @property
    def threshold(self) -> torch.Tensor:
        """The threshold of the neuron; infinite if it has none."""
        return getattr(self.inner, "threshold", torch.tensor(torch.inf))

    @property
    def graded_spikes_factor(self) -> torch.Tensor:
        """The amplitude of its spikes."""
        return getattr(self.inner, "graded_spikes_factor", torch.tensor(1.0))

    def forward(self, input_: torch.Tensor, *states: torch.Tensor, **named: torch.Tensor) -> Any:
        """Take one time step.

        Parameters
        ----------
        input_ : [B, *shape] tensor
        *states, **named : [B, *shape] tensors
            The states before the step, in their order or by name; those left out (or of another
            shape than the input, as `reset_mem` returns them) are those of the last call.

        Returns
        -------
        spk : [B, *shape] tensor
            With ``init_hidden=True`` and not `output`.
        spk, *states : tuple of tensors
            Else.

        Raises
        ------
        ParameterError
            If a state is no tensor.
        TypeError
            If states are given with ``init_hidden=True``, or they are not those of the neuron.
        """
        given = dict(zip(self.state_names, states, strict=False)) | named
        if len(states) > len(self.state_names) or set(given) - set(self.state_names):
            raise TypeError(f"{self.neuron!r} has the states {', '.join(self.state_names)}.")
        if not all(isinstance(v, torch.Tensor) for v in given.values()):
            raise ParameterError(
                f"{self.neuron!r}: states must be tensors. In neurosim.bridge.Sequential put the "
                "layer itself, which is the .neuron of this SnnTorchNeuron."
            )
        if self.init_hidden and given:
            raise TypeError("with init_hidden=True the layer keeps its states: give only the input")
        for name, value in given.items():
            setattr(self, name, value)
        current = {n: getattr(self, n) for n in self.state_names}
        before = {n: v for n, v in current.items() if v.shape == input_.shape}
        out, after = self.neuron(input_[None], before)
        for name in self.state_names:
            setattr(self, name, after[name])
        if self.init_hidden and not self.output:
            return out[0]
        states = tuple(getattr(self, n) for n in self.state_names if n != "spk")
        return out[0], *states

    def reset_mem(self) -> Any:
        """Forget the states and return what stands for their initial values.

        Returns
        -------
        states : tensor, or tuple of tensors if there are several
            Empty; the first step makes them of the right shape.
        """
        for name in self.state_names:
            setattr(self, name, getattr(self, name).new_zeros(0).detach())
        states = tuple(getattr(self, n) for n in self.state_names)
        return states[0] if len(states) == 1 else states

    def detach_hidden(self) -> None:
        """Cut the states from the graph, for truncated backpropagation through time."""
        for name in self.state_names:
            setattr(self, name, getattr(self, name).detach())

    def reset_hidden(self) -> None:
        """Forget the states."""
        self.reset_mem()
