"""Layers that are a matrix product with their input, seen as a matrix: rows, gradients, size.

Projection, traces and feedback matrices all need the same view of a layer: an activity is a set of
rows ``(n_rows, n_inputs)``, and the weight a matrix ``(n_outputs, n_inputs)``. For a convolution
the rows are the unfolded patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn import grad as conv_grad

from neurosim.bridge.connections.masks import Sparse
from neurosim.bridge.events import events_of
from neurosim.bridge.neurons import Recurrent
from neurosim.errors import ParameterError, unknown_name

#: Gradients of convolutions by number of dimensions of space.
_OF_INPUT: dict[int, Callable[..., Tensor]] = {
    1: conv_grad.conv1d_input, 2: conv_grad.conv2d_input,
}  # fmt: skip
_OF_WEIGHT: dict[int, Callable[..., Tensor]] = {
    1: conv_grad.conv1d_weight, 2: conv_grad.conv2d_weight,
}  # fmt: skip
#: Classes (with their subclasses) that `WeightLayer` describes.
KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d)


class WeightLayer:
    """A linear or convolutional layer as a matrix that meets rows of activity.

    Parameters
    ----------
    name : str
        Name of the layer in its model, for messages.
    module : Module
        A `torch.nn.Linear`, `Conv1d` or `Conv2d`, or a subclass. It may get and return sequences
        ``[T, B, ...]`` as well as batches ``[B, ...]``.
    loop : Recurrent, optional
        The neurons that the layer feeds their own spikes.

    Raises
    ------
    ParameterError
        If the module is of another class, or is a convolution with groups, with a padding mode
        other than zeros, or with ``padding="same"`` and an even kernel.
    """

    def __init__(self, name: str, module: nn.Module, loop: Recurrent | None = None) -> None:
        self.name, self.loop = name, loop
        if not isinstance(module, KINDS):
            raise ParameterError(
                f"layer {name!r} ({type(module).__name__}) is no linear or convolutional layer. "
                "Name only layers that are (subclasses of) torch.nn.Linear, Conv1d or Conv2d."
            )
        self.module = module
        if isinstance(module, nn.Linear):
            return
        if module.groups != 1 or module.padding_mode != "zeros":
            raise ParameterError(
                f"layer {name!r}: convolutions with groups={module.groups} and "
                f"padding_mode={module.padding_mode!r} have no single matrix of patches. Use "
                "groups=1 and padding_mode='zeros', or exclude the layer."
            )
        self._padding = self._numeric_padding(module)

    def _numeric_padding(self, module: nn.Conv1d | nn.Conv2d) -> tuple[int, ...]:
        padding = module.padding
        if not isinstance(padding, str):
            return tuple(padding)
        if padding == "valid":
            return (0,) * len(module.kernel_size)
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            raise ParameterError(
                f"layer {self.name!r}: padding='same' with the even kernel {module.kernel_size} "
                "pads one side more than the other. Use an odd kernel or give the padding as "
                "numbers."
            )
        return tuple(span // 2 for span in spans)

    @property
    def weight(self) -> Tensor:
        """The layer's weight, in its own shape."""
        weight: Tensor = self.module.weight
        return weight

    def require_own_weight(self, model: nn.Module) -> None:
        """Raise a ParameterError unless the weight is a parameter that the layer uses as it is."""
        masked = any(isinstance(m, Sparse) and m.layer is self.module for m in model.modules())
        if masked or not isinstance(self.weight, nn.Parameter):
            raise ParameterError(
                f"layer {self.name!r} computes its weight from a parameter (a mask, a "
                "parametrization), so a projected gradient would not keep the weight in the "
                f"allowed subspace. Exclude it, exclude=({self.name!r},), or use a plain layer."
            )

    @property
    def n_inputs(self) -> int:
        """Length of a row: inputs of a linear layer, channels times kernel of a convolution."""
        return self.weight[0].numel()

    def batch(self, x: Tensor) -> Tensor:
        """Return `x` with all leading dimensions folded into one."""
        features = 1 if isinstance(self.module, nn.Linear) else len(self.module.kernel_size) + 1
        return x.reshape(-1, *x.shape[-features:])

    def rows(self, x: Tensor) -> Tensor:
        """Return the activities that meet the weight matrix.

        Parameters
        ----------
        x : Tensor [..., in_features] or [..., C, *space]
            Input of the layer.

        Returns
        -------
        Tensor (n_rows, n_inputs)
            One row an element of the batch, or one a patch.
        """
        module = self.module
        x = self.batch(x)
        if isinstance(module, nn.Linear):
            return x
        kernel, dilation = module.kernel_size, module.dilation
        padding, stride = self._padding, module.stride
        if len(kernel) == 1:
            x = x.unsqueeze(2)
            kernel, dilation, padding, stride = (
                (1, *kernel), (1, *dilation), (0, *padding), (1, *stride),
            )  # fmt: skip
        patches = F.unfold(x, kernel, dilation, padding, stride)
        return patches.transpose(1, 2).reshape(-1, self.n_inputs)

    def grad_rows(self, grad: Tensor) -> Tensor:
        """Return the gradient of the output as rows ``(n_rows, n_outputs)``, one for each row."""
        grad = self.batch(grad)
        if isinstance(self.module, nn.Linear):
            return grad
        return grad.flatten(2).transpose(1, 2).reshape(-1, grad.shape[1])

    def grad_input(self, grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """Return the gradient of the input for the gradient of the output.

        Parameters
        ----------
        grad : Tensor
            Gradient of the output, shaped like the output.
        x : Tensor
            The input; only its shape matters.
        weight : Tensor
            The matrix that carries the error back, shaped like the layer's weight.
        """
        if isinstance(self.module, nn.Linear):
            return grad @ weight
        module, shape = self.module, self.batch(x).shape
        found = _OF_INPUT[len(module.kernel_size)](
            shape, weight, self.batch(grad), module.stride, self._padding, module.dilation
        )
        return found.reshape(x.shape)

    def grad_weight(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient of the weight for an input `x` and the output's gradient."""
        module, x, grad = self.module, self.batch(x), self.batch(grad)
        if isinstance(module, nn.Linear):
            return grad.T @ x
        return _OF_WEIGHT[len(module.kernel_size)](
            x, self.weight.shape, grad, module.stride, self._padding, module.dilation
        )

    def grad_bias(self, grad: Tensor) -> Tensor:
        """Return the gradient of the bias for the gradient of the output."""
        grad = self.batch(grad)
        return grad.sum(dim=[d for d in range(grad.dim()) if d != 1])


def dense(x: Any) -> Tensor:
    """Return the input of a layer as a tensor without a graph: events become [T, B, *shape]."""
    if isinstance(x, Tensor):
        return x.detach()
    return events_of(x).dense().reshape(tuple(x.shape))


def fed_back(args: tuple[Any, ...], out: Tensor) -> Tensor:
    """Return the input of a recurrent connection: the spikes of the step before each step.

    Parameters
    ----------
    args : tuple
        Arguments of `Recurrent`: the input and perhaps a state.
    out : Tensor [T, B, *shape]
        Its spikes.
    """
    state = args[1] if len(args) > 1 else None
    before = out[:-1].detach()
    if state and "spk" in state:
        before = torch.cat([state["spk"][None].detach().to(out), before])
    return before


def find_layers(
    model: nn.Module,
    names: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    *,
    recurrent: str = "",
) -> list[WeightLayer]:
    """Return the linear and convolutional layers of a model in the order of their registration.

    Parameters
    ----------
    model : Module
        Any module.
    names : iterable of str, optional
        Only these layers, named as in ``model.named_modules()``. Default: all.
    exclude : iterable of str, optional
        Names of layers, or of modules whose layers are all left out.
    recurrent : str, optional
        Why recurrent connections are refused; default: they are not.

    Raises
    ------
    UnknownNameError
        If a name does not exist in the model.
    ParameterError
        If a named module is no such layer, if a module that is not named has a weight of another
        kind, if a connection is recurrent and must not be, or if nothing is left.
    """
    modules = dict(model.named_modules())
    excluded = tuple(exclude)
    for name in (*(names or ()), *excluded):
        if name not in modules:
            raise unknown_name("layer", name, [n for n in modules if n], type(model).__name__)
    loops = {m.connection: m for m in modules.values() if isinstance(m, Recurrent)}
    chosen = modules if names is None else {name: modules[name] for name in names}
    found = []
    for name, module in chosen.items():
        if any(name == e or name.startswith(e + ".") for e in excluded):
            continue
        if isinstance(module, KINDS) or names is not None:
            found.append(WeightLayer(name, module, loops.get(module)))
        elif any(p.dim() > 1 for p in module.parameters(recurse=False)):
            raise ParameterError(
                f"layer {name!r} ({type(module).__name__}) has weights that are not those of a "
                f"linear or convolutional layer. Exclude it: exclude=({name!r},)."
            )
        if recurrent and found and found[-1].loop is not None:
            raise ParameterError(f"layer {found[-1].name!r} is a recurrent connection: {recurrent}")
    if not found:
        raise ParameterError(
            f"{type(model).__name__} has no linear or convolutional layer that is not excluded."
        )
    return found
