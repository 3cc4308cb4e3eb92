"""What flows between layers: a sum of linear maps of spikes, delayed by whole steps, and a bias."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array, vstack
from torch import nn

#: Name of the source that stands for the input of the model.
INPUT = "input"
#: Values of a batch of unit responses, in bytes.
_BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class Flow:
    """The value of a tensor [T, B, *shape] of the model, in terms of spikes.

    Attributes
    ----------
    shape : tuple of int
    terms : mapping of (source, lag) to (n_sources, n) csr_array
        Row i: what a spike of neuron i of a source adds to each value, `lag` steps later.
    bias : (n,) float64 array
    graded : str or None
        The layer whose membrane this is, if it is no sum of spikes.
    """

    shape: tuple[int, ...]
    terms: Mapping[tuple[str, int], csr_array]
    bias: np.ndarray
    graded: str | None = None

    @property
    def n(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def lags(self) -> dict[str, int]:
        """Shortest lag of each source."""
        found: dict[str, int] = {}
        for source, lag in self.terms:
            found[source] = min(lag, found.get(source, lag))
        return found

    def reshaped(self, shape: tuple[int, ...]) -> Flow:
        """Return the same values in another shape."""
        return Flow(shape, self.terms, self.bias, self.graded)

    def selected(self, columns: np.ndarray) -> Flow:
        """Return some of the values, in one dimension."""
        terms = {key: csr_array(m[:, columns]) for key, m in self.terms.items()}
        return Flow((columns.size,), terms, self.bias[columns], self.graded)

    def plus(self, other: Flow) -> Flow:
        """Return the sum of two flows of one shape."""
        terms = dict(self.terms)
        for key, matrix in other.terms.items():
            terms[key] = csr_array(terms[key] + matrix) if key in terms else matrix
        return Flow(self.shape, terms, self.bias + other.bias)


def spikes_of(source: str, shape: tuple[int, ...], amplitude: Any = 1.0) -> Flow:
    """Return the spikes of a layer (or of the input) themselves."""
    n = math.prod(shape)
    values = np.broadcast_to(np.asarray(amplitude, float).reshape(-1), (n,))
    identity = csr_array((values.copy(), (np.arange(n), np.arange(n))), shape=(n, n))
    return Flow(shape, {(source, 0): identity}, np.zeros(n))


def mapped(flow: Flow, module: nn.Module, apply: Callable[[nn.Module, Any], Any]) -> Flow:
    """Return a flow after an affine module.

    Its linear part is found from the response to what each source sends; a copy without bias is
    asked, so that no digit is lost to the bias.

    Parameters
    ----------
    flow : Flow
    module : nn.Module
        Affine in evaluation mode.
    apply : callable
        Applies it to a tensor [N, *shape].
    """
    exact = copy.deepcopy(module).double().eval()
    linear = copy.deepcopy(exact)
    for part in linear.modules():
        for name in ("bias", "running_mean"):
            value = getattr(part, name, None)
            if isinstance(value, torch.Tensor):
                value.data.zero_()
    with torch.no_grad():
        bias = apply(exact, torch.from_numpy(flow.bias).reshape(1, *flow.shape))
        shape = tuple(bias.shape[1:])
        terms = {
            key: _through(matrix, flow.shape, math.prod(shape), lambda x: apply(linear, x))
            for key, matrix in flow.terms.items()
        }
    return Flow(shape, terms, bias.reshape(-1).numpy().copy())


def _through(
    matrix: csr_array, shape: tuple[int, ...], n: int, apply: Callable[[Any], Any]
) -> csr_array:
    """Return the responses to the rows of a matrix."""
    rows = max(1, _BLOCK_BYTES // (8 * max(n, math.prod(shape))))
    blocks = []
    for first in range(0, matrix.shape[0], rows):
        dense = matrix[first : first + rows].toarray()
        out = apply(torch.from_numpy(dense).reshape(-1, *shape))
        blocks.append(csr_array(out.reshape(len(dense), n).numpy()))
    return csr_array(vstack(blocks)) if blocks else csr_array((0, n))


def delayed(flow: Flow, weight: np.ndarray, lags: np.ndarray, bias: np.ndarray | None) -> Flow:
    """Return a flow after weights that each act some whole steps later.

    Parameters
    ----------
    flow : Flow
        Without bias.
    weight, lags : (n_out, n) arrays
    bias : (n_out,) array, optional
    """
    n_out = weight.shape[0]
    terms: dict[tuple[str, int], csr_array] = {}
    for lag in np.unique(lags):
        step = csr_array(np.where(lags == lag, weight, 0.0).T)
        for (source, before), matrix in flow.terms.items():
            key = (source, before + int(lag))
            moved = csr_array(matrix @ step)
            moved.eliminate_zeros()
            terms[key] = csr_array(terms[key] + moved) if key in terms else moved
    terms = {key: m for key, m in terms.items() if m.nnz}
    return Flow((n_out,), terms, np.zeros(n_out) if bias is None else bias)


def synapses(flow: Flow, source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the synapses of one source: sources, targets, weights and lags [steps]."""
    parts = []
    for (name, lag), matrix in flow.terms.items():
        if name == source:
            coo = coo_array(matrix)
            kept = coo.data != 0
            row, column = coo.row[kept], coo.col[kept]
            parts.append((row, column, coo.data[kept], np.full(row.size, lag)))
    pre, post, weight, lags = (np.concatenate(p) for p in zip(*parts, strict=True))
    return pre.astype(np.int64), post.astype(np.int64), weight, lags.astype(np.int64)
