"""Linear neurons that learn the principal subspace of an activity (Oja's subspace rule)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurosim.errors import ParameterError


def _shared(mean: Tensor) -> Tensor:
    """Return a mean over a batch as the mean over the batches of all processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(mean)
        mean /= torch.distributed.get_world_size()
    return mean


class OjaSubspace(nn.Module):
    """Rows that come to span the principal subspace of the activities they see.

    A population of linear neurons ``y = x H^T`` reconstructs the activity as ``y H``. Hebbian and
    anti-Hebbian plasticity, ``G = mean(y^T (x - y H))``, turns the rows of H into an orthonormal
    basis of the directions of largest mean square. Frozen rows keep their values; new rows learn
    what the frozen ones do not explain.

    Parameters
    ----------
    n_inputs : int
        Length of an activity.
    rate : float, default 0.01
        Learning rate of the rows.
    momentum : float, default 0.9
        The gradient is averaged exponentially: ``m = momentum m + (1 - momentum) G``.
    iterations : int, default 5
        Updates for each batch.
    clip : float, default 10
        Bound of the elements of G.
    lateral_steps : int, optional
        Quantise y to this many levels on each side, as neurons that spike for so many steps
        would. Default: exact y.
    lateral_scale : float, default 20
        Largest quantised y.

    Attributes
    ----------
    H : Tensor (n_rows, n_inputs)
        The rows, frozen ones first.
    n_frozen : int
        Number of frozen rows.

    Notes
    -----
    Xiao et al. (2024), "Hebbian learning based orthogonal projection", ICLR. Differences: new rows
    start orthogonal to the rows that exist (theirs: among themselves). The update is
    rearranged: with ``x' = x - x H_frozen^T H_frozen``, computed once,
    ``G_new = y_new^T x' - (y_new^T y_new) H_new``, so an iteration costs nothing for frozen rows;
    when there are many more activities than inputs, ``C = x^T x`` is computed once and
    ``y_new^T x' = H_new C (1 - H_frozen^T H_frozen)``. Where `torch.distributed` is initialised,
    G is averaged over its processes, so that all have the same rows.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> space = OjaSubspace(3)
    >>> space.grow(1, torch.Generator().manual_seed(0))
    >>> x = torch.randn(64, 1) * torch.tensor([[3.0, 0.0, 4.0]]) / 5  # on a line
    >>> for _ in range(200):
    ...     space.learn(x)
    >>> space.H.abs().round(decimals=2)
    tensor([[0.6000, 0.0000, 0.8000]])
    """

    H: Tensor
    average: Tensor

    def __init__(
        self,
        n_inputs: int,
        *,
        rate: float = 0.01,
        momentum: float = 0.9,
        iterations: int = 5,
        clip: float = 10.0,
        lateral_steps: int | None = None,
        lateral_scale: float = 20.0,
    ) -> None:
        super().__init__()
        self.rate, self.momentum, self.iterations, self.clip = rate, momentum, iterations, clip
        self.lateral_steps, self.lateral_scale = lateral_steps, lateral_scale
        self.n_frozen = 0
        self.register_buffer("H", torch.zeros(0, n_inputs))
        self.register_buffer("average", torch.zeros(0, n_inputs))

    @property
    def n_rows(self) -> int:
        """Number of rows, frozen and learning."""
        return self.H.shape[0]

    def grow(self, n_rows: int, generator: torch.Generator) -> None:
        """Add learning rows: a random orthonormal block, orthogonal to the rows that exist.

        Raises
        ------
        ParameterError
            If there would be more rows than inputs.
        """
        n_inputs = self.H.shape[1]
        if n_rows < 0 or self.n_rows + n_rows > n_inputs:
            raise ParameterError(
                f"{n_rows} new subspace rows after {self.n_rows} for {n_inputs} inputs: there can "
                f"be 0 to {n_inputs - self.n_rows} more. Give fewer rows a task."
            )
        new = torch.randn(n_rows, n_inputs, generator=generator, dtype=torch.float64)
        old = torch.linalg.qr(self.H.T.double().cpu())[0]
        new -= new @ old @ old.T
        new = torch.linalg.qr(new.T)[0].T.to(self.H)
        self.H = torch.cat([self.H, new])
        self.average = torch.cat([self.average, torch.zeros_like(new)])

    def freeze(self) -> None:
        """Merge all rows into the frozen block."""
        self.n_frozen = self.n_rows

    def lateral(self, x: Tensor, rows: Tensor) -> Tensor:
        """Return the lateral neurons' activity ``x rows^T``, quantised if they spike."""
        y = x @ rows.T
        if self.lateral_steps is None:
            return y
        unit = self.lateral_scale / self.lateral_steps
        return (y.clamp(-self.lateral_scale, self.lateral_scale) / unit).round() * unit

    def outside(self, x: Tensor) -> Tensor:
        """Return activities ``(n, n_inputs)`` without their part in the frozen subspace."""
        frozen = self.H[: self.n_frozen].to(x)
        return x - self.lateral(x, frozen) @ frozen

    def project_weight(self, matrix: Tensor) -> Tensor:
        """Return a matrix ``(n_outputs, n_inputs)`` that maps the frozen subspace to zero."""
        frozen = self.H[: self.n_frozen].to(matrix)
        return matrix - (matrix @ frozen.T) @ frozen

    @torch.no_grad()
    def learn(self, x: Tensor) -> None:
        """Let the learning rows see a batch of activities ``(n, n_inputs)``."""
        n, n_inputs = x.shape
        n_new = self.n_rows - self.n_frozen
        if n_new == 0 or n == 0:
            return
        x = x.to(self.H)
        new, average = self.H[self.n_frozen :], self.average[self.n_frozen :]
        # Operations of K iterations: 4 n N m each with the activities, 2 N^2 m each (after
        # n N^2 once) with their second moment.
        by_moment = self.lateral_steps is None and (
            n_inputs * (n + self.iterations * n_new) < 2 * self.iterations * n * n_new
        )
        if by_moment:
            moment = _shared(x.T @ x / n)
            outside = self.outside(moment)
        else:
            outside = self.outside(x) / n
        for _ in range(self.iterations):
            if by_moment:
                gradient = new @ outside
                gradient -= (new @ moment @ new.T) @ new
            else:
                y = self.lateral(x, new)
                gradient = y.T @ outside
                gradient -= (y.T @ y / n) @ new
                gradient = _shared(gradient)
            gradient.clamp_(-self.clip, self.clip)
            average.lerp_(gradient, 1 - self.momentum)
            new.add_(average, alpha=self.rate)

    def get_extra_state(self) -> dict[str, int]:
        """Return what the buffers do not hold."""
        return {"n_frozen": self.n_frozen}

    def set_extra_state(self, state: Any) -> None:
        """Restore what `get_extra_state` returned."""
        self.n_frozen = int(state["n_frozen"])

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for name in ("H", "average"):  # the number of rows is part of the state
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.shape[1:] == getattr(self, name).shape[1:]:
                setattr(self, name, getattr(self, name).new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
