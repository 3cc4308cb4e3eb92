"""Exact propagators of linear systems with constant coefficients, by the matrix exponential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.expressions import Expression, affine, differentiate, evaluate
from neurosim.lower.expm import expm

Coefficient = Any  # float, or float64 array of shape (n,)


@dataclass(frozen=True)
class Propagator:
    """One exact step x <- P x + c + k I_injected + noise.

    Attributes
    ----------
    states : tuple of str
    generator : mapping of (row, column) to Coefficient
        A of dx/dt = A x + b.
    drive : mapping of state to Coefficient
        b.
    drive_injected : mapping of state to Coefficient
        Derivative of b with respect to the injected current.
    matrix : mapping of (row, column) to Coefficient
        The non-zero entries of P = exp(A h).
    offset : mapping of state to Coefficient
        c, where not zero.
    injected : mapping of state to Coefficient
        k, where not zero.
    noise : mapping of (state, source) to Coefficient
        Lower Cholesky factor of the covariance that white noise adds in a step (Van Loan 1978).
    """

    states: tuple[str, ...]
    generator: Mapping[tuple[str, str], Coefficient]
    drive: Mapping[str, Coefficient]
    drive_injected: Mapping[str, Coefficient]
    matrix: Mapping[tuple[str, str], Coefficient]
    offset: Mapping[str, Coefficient]
    injected: Mapping[str, Coefficient]
    noise: Mapping[tuple[str, str], Coefficient]


def linear_propagator(
    rhs: Mapping[str, Expression],
    constants: Mapping[str, Any],
    n: int,
    h: float,
    inject: str | None,
    noise: Mapping[str, Expression],
) -> Propagator:
    """Return the exact propagator of affine equations over a step.

    Parameters
    ----------
    rhs : mapping of state to Expression
        Right-hand sides, affine in the states with constant coefficients.
    constants : mapping
        Parameter values: float or (n,) array.
    n : int
        Number of neurons.
    h : float
        Step [ms].
    inject : str or None
        Parameter that an injected current is added to.
    noise : mapping of state to Expression
        Factor of white noise in each equation.
    """
    states = tuple(rhs)
    generator: dict[tuple[str, str], Coefficient] = {}
    drive: dict[str, Coefficient] = {}
    drive_injected: dict[str, Coefficient] = {}
    for row, expression in rhs.items():
        parts = affine(expression, states, set(constants))
        if parts is None:
            raise TypeError(f"{row} is not affine")
        for column, slope in parts[0].items():
            generator[row, column] = evaluate(slope, constants)
        drive[row] = evaluate(parts[1], constants)
        if inject is not None:
            by_current = differentiate(parts[1], inject)
            if by_current is not None:
                drive_injected[row] = evaluate(by_current, constants)
    A = _matrix(states, generator, n)
    G = _matrix(states, {(s, s): evaluate(e, constants) for s, e in noise.items()}, n)
    P, integral, covariance = _exponentials(A, G, h)
    b = _vector(states, drive, n)
    k = _vector(states, drive_injected, n)
    return Propagator(
        states,
        generator,
        drive,
        drive_injected,
        _entries(P, states, _pattern(A)),
        _rows(_apply(integral, b), states),
        _rows(_apply(integral, k), states),
        _entries(_cholesky(covariance), states, None) if noise else {},
    )


def _matrix(states: tuple[str, ...], entries: Mapping[tuple[str, str], Any], n: int) -> np.ndarray:
    """Return the matrix with shape (m, m), or (n, m, m) if an entry differs between neurons."""
    varied = any(np.ndim(v) for v in entries.values())
    m = len(states)
    matrix = np.zeros((n, m, m) if varied else (m, m))
    for (row, column), value in entries.items():
        matrix[..., states.index(row), states.index(column)] = value
    return matrix


def _vector(states: tuple[str, ...], entries: Mapping[str, Any], n: int) -> np.ndarray:
    varied = any(np.ndim(v) for v in entries.values())
    vector = np.zeros((n, len(states)) if varied else len(states))
    for row, value in entries.items():
        vector[..., states.index(row)] = value
    return vector


def _pattern(A: np.ndarray) -> np.ndarray:
    """Return which entries of exp(A h) can differ from zero: reachability along A."""
    any_A = (A != 0).any(axis=0) if A.ndim == 3 else A != 0
    m = any_A.shape[0]
    reach: np.ndarray = np.eye(m, dtype=bool) | any_A
    for _ in range(m.bit_length()):  # paths of length 1, 2, 4, ... to at least m
        reach = (reach.astype(float) @ reach.astype(float)) > 0
    return reach


def _exponentials(A: np.ndarray, G: np.ndarray, h: float) -> tuple[np.ndarray, ...]:
    """Return exp(A h), its integral over the step, and the covariance of the noise.

    Neurons with equal parameters share one exponential.
    """
    m = A.shape[-1]
    if A.ndim == 2 and G.ndim == 2:
        return _exponentials_of(A[None], G[None], h, squeeze=True)
    n = max(a.shape[0] for a in (A, G) if a.ndim == 3)
    both = np.concatenate([np.broadcast_to(x, (n, m, m)).reshape(n, m * m) for x in (A, G)], axis=1)
    unique, inverse = np.unique(both, axis=0, return_inverse=True)
    results = _exponentials_of(
        unique[:, : m * m].reshape(-1, m, m), unique[:, m * m :].reshape(-1, m, m), h, squeeze=False
    )
    return tuple(r[inverse.ravel()] for r in results)


def _exponentials_of(
    A: np.ndarray, G: np.ndarray, h: float, squeeze: bool
) -> tuple[np.ndarray, ...]:
    u, m = A.shape[:2]
    block = np.zeros((u, 2 * m, 2 * m))
    block[:, :m, :m] = A * h
    block[:, :m, m:] = np.eye(m) * h
    e = expm(block) if m else block
    P, integral = e[:, :m, :m], e[:, :m, m:]
    # Van Loan (1978), IEEE Trans. Autom. Control 23:395: exp([[-A, Q], [0, A^T]] h)
    loan = np.zeros((u, 2 * m, 2 * m))
    loan[:, :m, :m] = -A * h
    loan[:, :m, m:] = G @ G.swapaxes(1, 2) * h
    loan[:, m:, m:] = A.swapaxes(1, 2) * h
    f = expm(loan) if m and G.any() else np.zeros_like(loan)
    covariance = f[:, m:, m:].swapaxes(1, 2) @ f[:, :m, m:]
    if squeeze:
        return P[0], integral[0], covariance[0]
    return P, integral, covariance


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    """Return L with L L^T = covariance, for a positive semi-definite matrix (zero rows allowed)."""
    L = np.zeros_like(covariance)
    for j in range(covariance.shape[-1]):
        pivot = covariance[..., j, j] - (L[..., j, :j] ** 2).sum(-1)
        root = np.sqrt(np.maximum(pivot, 0.0))
        L[..., j, j] = root
        safe = np.where(root > 0, root, 1.0)
        for i in range(j + 1, covariance.shape[-1]):
            rest = covariance[..., i, j] - (L[..., i, :j] * L[..., j, :j]).sum(-1)
            L[..., i, j] = np.where(root > 0, rest / safe, 0.0)
    return L


def _apply(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    product: np.ndarray = np.einsum("...ij,...j->...i", matrix, vector)
    return product


def _entries(
    matrix: np.ndarray, states: tuple[str, ...], pattern: np.ndarray | None
) -> dict[tuple[str, str], Coefficient]:
    found = {}
    for i, row in enumerate(states):
        for j, column in enumerate(states):
            entry = matrix[..., i, j]
            if pattern[i, j] if pattern is not None else np.any(entry != 0):
                found[row, column] = uniform(entry)
    return found


def _rows(vector: np.ndarray, states: tuple[str, ...]) -> dict[str, Coefficient]:
    return {s: uniform(vector[..., i]) for i, s in enumerate(states) if np.any(vector[..., i] != 0)}


def uniform(values: Any) -> Coefficient:
    """Return a float if all values are equal, else a contiguous array."""
    array = np.asarray(values, dtype=float)
    if array.ndim == 0 or (array.size and (array == array.flat[0]).all()):
        return float(array.flat[0])
    return np.ascontiguousarray(array)
