"""Contexts of tasks: their names, or the mean of their inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurosim.errors import ParameterError


def one_hot_context(task: int, n_tasks: int) -> Tensor:
    """Return the context that names a task, (n_tasks,).

    Raises
    ------
    ParameterError
        If the task is not one of ``0 .. n_tasks - 1``.

    Examples
    --------
    >>> one_hot_context(1, 3)
    tensor([0., 1., 0.])
    """
    if not 0 <= task < n_tasks:
        raise ParameterError(f"task {task} of {n_tasks}: choose 0 to {n_tasks - 1}.")
    return F.one_hot(torch.tensor(task), n_tasks).to(torch.get_default_dtype())


class Prototypes(nn.Module):
    """Contexts that are the mean inputs of tasks, found again from an input.

    While a task is learned its context is the mean of its inputs; later the context of an input
    is the prototype nearest to it.

    Parameters
    ----------
    n_features : int
        Length of an input.

    Attributes
    ----------
    means : Tensor (n_tasks, n_features)

    Notes
    -----
    Iyer et al. (2022), with tasks told apart while training.

    Examples
    --------
    >>> prototypes = Prototypes(2)
    >>> prototypes.add(torch.tensor([[0.0, 1.0], [0.0, 3.0]]))
    tensor([0., 2.])
    >>> _ = prototypes.add(torch.tensor([[5.0, 0.0]]))
    >>> prototypes.task_of(torch.tensor([[4.0, 1.0], [1.0, 1.0]]))
    tensor([1, 0])
    """

    means: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(0, n_features))

    def add(self, x: Tensor) -> Tensor:
        """Remember the mean of a task's inputs (n, n_features), and return it.

        Raises
        ------
        ParameterError
            If `x` is empty or of another length.
        """
        if x.dim() != 2 or x.shape[1] != self.means.shape[1] or not len(x):
            raise ParameterError(
                f"the inputs of a task have shape {tuple(x.shape)}; (n, {self.means.shape[1]}) "
                "with n > 0 is needed."
            )
        mean = x.mean(0).to(self.means)
        self.means = torch.cat([self.means, mean[None]])
        return mean

    def task_of(self, x: Tensor) -> Tensor:
        """Return the index of the nearest prototype (Euclidean) of inputs [..., n_features].

        Raises
        ------
        ParameterError
            If there is no prototype yet.
        """
        if not len(self.means):
            raise ParameterError("there is no prototype yet: call add() with a task's inputs.")
        return torch.cdist(x.flatten(0, -2), self.means).argmin(1).reshape(x.shape[:-1])

    def context_of(self, x: Tensor) -> Tensor:
        """Return the nearest prototype of each input, shaped like `x`."""
        return self.means[self.task_of(x)]

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        saved = state_dict.get(prefix + "means")
        if saved is not None and saved.shape[1:] == self.means.shape[1:]:
            self.means = self.means.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
