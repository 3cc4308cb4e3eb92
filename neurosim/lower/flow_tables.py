"""What evaluating and bounding an exact flow needs, computed once for each set of parameters.

Evaluation. exp(A t) z for any t >= 0: with a unit s (a power of two) so small that ||A|| s <= 1/16,
t = s (k + f); the fraction f is a Taylor polynomial of degree 8 (truncated below 1e-17), the whole
number k one product for each of its digits in base 16. Nothing depends on eigenvectors, so equal
time constants need no special case.

Bounds. U is a matrix with |exp(A t)| <= U, entry by entry, for all t >= 0. So a derivative
y^(k) = c A^k exp(A t) z stays within |c A^k| U |z|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import matrix_balance, solve_continuous_lyapunov

from neurosim.lower.expm import expm

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Digits of the number of units: 16**8 units of about tau/32 are longer than any decay.
LEVELS, BASE = 8, 16
_PER_OCTAVE = 8
#: Smaller entries are zero, so that products never become denormal.
_TINY = 1e-150


@dataclass(frozen=True, eq=False)
class FlowTables:
    """Tables of G groups with m states.

    Attributes
    ----------
    unit : (G,) float64
        s [ms].
    row, column : (n_entries,) int64
        Where exp(A t) can differ from zero.
    power : (G, LEVELS, BASE, n_entries) float64
        exp(A s digit BASE**level).
    slopes : (G, 3, m) float64
        c, c A and c A**2.
    bound2, bound3 : (G, m) float64
        |y''| <= bound2.|z|, |y'''| <= bound3.|z| for all later times.
    sup, inf : (G, m) float64
        Bounds of c exp(A t) over t >= 0.
    look : (G,) float64
        How far to look for a spike at first [ms].
    """

    unit: F64
    row: I64
    column: I64
    power: F64
    slopes: F64
    bound2: F64
    bound3: F64
    sup: F64
    inf: F64
    look: F64


def flow_tables(A: F64, c: F64) -> FlowTables:
    """Return the tables of stable systems dz/dt = A z with margins c.z.

    Parameters
    ----------
    A : (G, m, m) float64
    c : (G, m) float64
    """
    unit = np.array([2.0 ** np.floor(np.log2(1.0 / (16.0 * _norm(a)))) for a in A])
    pattern = _pattern(A)
    row, column = np.nonzero(pattern)
    U = np.stack([_majorant(a) for a in A])
    slopes = np.stack([c, _times(c, A), _times(_times(c, A), A)], axis=1)
    bound2 = _times(np.abs(slopes[:, 2]), U)
    bound3 = _times(np.abs(_times(slopes[:, 2], A)), U)
    sup, inf = _bounds(A, c, unit, U)
    fastest = np.abs(np.linalg.eigvals(A)).max(axis=1)
    return FlowTables(
        unit, row, column, _powers(A, unit)[..., row, column], slopes, bound2, bound3, sup, inf,
        0.5 / fastest,
    )  # fmt: skip


def _norm(A: F64) -> float:
    """Return the size of A in units of the states that make it smallest."""
    balanced, _ = matrix_balance(A, permute=False)
    return float(np.linalg.norm(balanced, 1))


def _times(rows: F64, matrices: F64) -> F64:
    product: F64 = np.einsum("gi,gij->gj", rows, matrices)
    return product


def _pattern(A: F64) -> NDArray[np.bool_]:
    m = A.shape[-1]
    reach: NDArray[np.bool_] = np.eye(m, dtype=bool) | (A != 0).any(axis=0)
    for _ in range(m):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    return reach


def _powers(A: F64, unit: F64) -> F64:
    n_groups, m = A.shape[:2]
    powers = np.zeros((n_groups, LEVELS, BASE, m, m))
    one = expm(A * unit[:, None, None])
    for level in range(LEVELS):
        powers[:, level, 0] = np.eye(m)
        powers[:, level, 1] = one
        for digit in range(2, BASE):
            half = digit // 2
            powers[:, level, digit] = powers[:, level, half] @ powers[:, level, digit - half]
        one = powers[:, level, BASE // 2] @ powers[:, level, BASE // 2]
    powers[np.abs(powers) < _TINY] = 0.0
    return powers


def _majorant(A: F64) -> F64:
    """Return U with |exp(A t)| <= U for all t >= 0.

    With B = A but for absolute values off the diagonal, |exp(A t)| <= exp(B t). Where B is stable,
    column j of U is the steady state of B with state j clamped at 1: no entry of B U is positive,
    so U.|z| only shrinks. Otherwise (oscillations) from a Lyapunov function z.P.z that only
    shrinks: |[exp(A t)]_ij|**2 <= [P**-1]_ii P_jj.
    """
    m = A.shape[0]
    B = np.abs(A)
    np.fill_diagonal(B, np.diag(A))
    if np.linalg.eigvals(B).real.max() < -1e-12:
        U = np.eye(m)
        for j in range(m):
            others = np.arange(m) != j
            U[others, j] = np.linalg.solve(-B[np.ix_(others, others)], B[others, j])
        return U
    P = solve_continuous_lyapunov(A.T, -np.eye(m))
    return np.asarray(np.sqrt(np.outer(np.diag(np.linalg.inv(P)), np.diag(P))))


def _bounds(A: F64, c: F64, unit: F64, U: F64) -> tuple[F64, F64]:
    """Return sup and inf over t >= 0 of g(t) = c exp(A t).

    Times grow by eighths of an octave; between two of them g is at most the larger end plus the
    square of the distance times |g''|/8. What follows the last time is covered by U.
    """
    slowest = 1.0 / np.abs(np.linalg.eigvals(A).real).min(axis=1)
    octaves = int(np.ceil(np.log2(40.0 * (slowest / unit).max()))) + 5
    start = unit / 32.0
    eighths = 1.0 + np.arange(_PER_OCTAVE + 1) / _PER_OCTAVE
    steps = expm(A[:, None] * (start[:, None] * eighths)[..., None, None])
    curvature = np.abs(_times(_times(c, A), A))
    sup, inf = c.copy(), c.copy()  # at t = 0
    width = start.copy()

    def widen(g: F64, at: F64, h: F64) -> None:
        # g: (G, k, m) at the ends of intervals of length h that begin with the matrices `at`
        slack = np.einsum("gi,gij,gkjl->gkl", curvature, U, np.abs(at)) * (h**2)[:, None, None] / 8
        np.maximum(sup, (np.maximum(g[:, :-1], g[:, 1:]) + slack).max(axis=1), out=sup)
        np.minimum(inf, (np.minimum(g[:, :-1], g[:, 1:]) - slack).min(axis=1), out=inf)

    identity = np.broadcast_to(np.eye(A.shape[1]), (A.shape[0], 1, *A.shape[1:]))
    first = np.concatenate([identity, steps[:, :1]], axis=1)
    widen(np.einsum("gi,gkij->gkj", c, first), identity, width)
    for _ in range(octaves):
        widen(np.einsum("gi,gkij->gkj", c, steps), steps[:, :-1], width / _PER_OCTAVE)
        steps = steps @ steps
        width = width * 2
    tail = np.einsum("gi,gij,gjl->gl", np.abs(c), U, np.abs(steps[:, 0]))
    # a hair more, for rounding
    sup, inf = np.maximum(sup, tail), np.minimum(inf, -tail)
    return sup + 1e-12 * np.abs(sup), inf - 1e-12 * np.abs(inf)
