"""Exact propagators of a model's linear part as functions of learnt parameters, in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from neurosim.bridge.kernels.interpreter import evaluate
from neurosim.bridge.neurons.model_step import entry
from neurosim.expressions import Expression, affine, differentiate
from neurosim.lower.propagator import Propagator


def propagators(
    rhs: Mapping[str, Expression],
    values: Mapping[str, Any],
    h: float,
    inject: str | None,
    prefix: str,
    pattern: Propagator,
    noise: Mapping[str, Expression],
) -> dict[str, torch.Tensor]:
    """Return exp(A h) and its integral applied to the drive, as `linear_propagator` does."""
    states, m = tuple(rhs), len(rhs)
    zero = torch.zeros((), dtype=torch.float64)
    matrix: list[list[Any]] = [[zero] * m for _ in states]
    drive, injected, scales = [zero] * m, [zero] * m, [zero] * m
    for i, expression in enumerate(rhs.values()):
        parts = affine(expression, states, set(values))
        if parts is None:
            raise TypeError(f"{states[i]} is not affine")
        for column, slope in parts[0].items():
            matrix[i][states.index(column)] = _real(evaluate(slope, values))
        drive[i] = _real(evaluate(parts[1], values))
        by_current = None if inject is None else differentiate(parts[1], inject)
        if by_current is not None:
            injected[i] = _real(evaluate(by_current, values))
        if states[i] in noise:
            scales[i] = _real(evaluate(noise[states[i]], values))
    found = [*(e for row in matrix for e in row), *drive, *injected, *scales]
    device = next((e.device for e in found if e.device.type != "cpu"), zero.device)
    entries = torch.broadcast_tensors(*(e.to(device) for e in found))  # type: ignore[no-untyped-call]
    shape = entries[0].shape
    A = torch.stack(entries[: m * m], -1).reshape(*shape, m, m)
    b, k, g = (torch.stack(entries[m * m + j * m : m * m + j * m + m], -1) for j in range(3))
    block = A.new_zeros(*shape, 2 * m, 2 * m)
    block[..., :m, :m] = A * h
    block[..., :m, m:] = torch.eye(m).to(A) * h
    e = torch.linalg.matrix_exp(block)
    P, integral = e[..., :m, :m], e[..., :m, m:]
    offset, kick = ((integral @ v.unsqueeze(-1)).squeeze(-1) for v in (b, k))
    index = states.index
    return {
        **{entry(prefix, "matrix", r, c): P[..., index(r), index(c)] for r, c in pattern.matrix},
        **{entry(prefix, "offset", s): offset[..., index(s)] for s in pattern.offset},
        **{entry(prefix, "injected", s): kick[..., index(s)] for s in pattern.injected},
        **({
            entry(prefix, "noise", r, c): L[..., index(r), index(c)]
            for L in (_noise_scale(A, g, h),) for r, c in pattern.noise
        } if noise and pattern.noise else {}),
    }  # fmt: skip


def _noise_scale(A: torch.Tensor, g: torch.Tensor, h: float) -> torch.Tensor:
    """Return the Cholesky factor of what noise adds in a step, as `linear_propagator` does.

    Van Loan (1978), IEEE Trans. Autom. Control 23:395; rows without noise stay 0.
    """
    m = A.shape[-1]
    loan = A.new_zeros(*A.shape[:-2], 2 * m, 2 * m)
    loan[..., :m, :m] = -A * h
    loan[..., :m, m:] = torch.diag_embed(g * g) * h
    loan[..., m:, m:] = A.transpose(-1, -2) * h
    f = torch.linalg.matrix_exp(loan)
    covariance = f[..., m:, m:].transpose(-1, -2) @ f[..., :m, m:]
    columns: list[torch.Tensor] = []
    for j in range(m):
        rest = covariance[..., :, j]
        for done in columns:
            rest = rest - done * done[..., j : j + 1]
        pivot = rest[..., j : j + 1]
        there = pivot > 0
        root = torch.where(there, pivot, 1.0).sqrt()
        below = torch.arange(m, device=A.device) >= j
        columns.append(torch.where(there & below, rest / root, 0.0))
    return torch.stack(columns, -1)


def _real(value: Any) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64)
