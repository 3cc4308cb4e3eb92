"""Transcendental functions that LLVM can turn into vector code.

exp by reduction to |r| <= ln(2)/2 and a polynomial (Taylor; the truncation is below half a unit in
the last place), scaled through the exponent bits. Relative error below 3e-16 in double and 2e-7 in
single precision (tested against NumPy).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from neurosim.engines.cpu.kernels.intrinsics import (
    INNER,
    bits_of_float32,
    bits_of_float64,
    float32_from_bits,
    float64_from_bits,
)

_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693145751953125, 1.4286068203094173e-06
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to the nearest integer
_ROUND_F = np.float32(12582912.0)  # 1.5 * 2**23
_LN2_HIGH_F, _LN2_LOW_F = np.float32(0.693359375), np.float32(-2.12194440e-4)
_C = tuple(1.0 / math.factorial(k) for k in range(14))
_F = tuple(np.float32(c) for c in _C[:8])
_ONE_F, _HALF_F, _LAST_F = np.float32(1.0), np.float32(0.5), np.float32(_C[8])
_LOW_F, _HIGH_F, _LOG2E_F = np.float32(-87.0), np.float32(88.0), np.float32(_LOG2E)


def _double(compiled):
    """Return exp and exprel in double precision."""

    @compiled
    def series(p, r):
        """Go on from the term of degree 13 to that of degree 1, in Horner's scheme."""
        p = p * r + _C[12]
        p = p * r + _C[11]
        p = p * r + _C[10]
        p = p * r + _C[9]
        p = p * r + _C[8]
        p = p * r + _C[7]
        p = p * r + _C[6]
        p = p * r + _C[5]
        p = p * r + _C[4]
        p = p * r + _C[3]
        p = p * r + _C[2]
        return p * r + 1.0

    @compiled
    def exp(x):
        """Return exp(x); arguments are limited to [-708, 709]."""
        x = min(max(x, -708.0), 709.0)
        t = x * _LOG2E + _ROUND
        k = t - _ROUND
        r = (x - k * _LN2_HIGH) - k * _LN2_LOW
        p = series(_C[13], r) * r + 1.0
        return p * float64_from_bits((bits_of_float64(t) + 1023) << 52)

    @compiled
    def exprel(x):
        """Return (exp(x) - 1)/x; by its series for |x| < 1/2, where the difference would cancel."""
        r = min(max(x, -0.5), 0.5)
        p = series(_C[13] / 14.0 * r + _C[13], r)
        safe = 1.0 if r == x else x
        return p if r == x else (exp(safe) - 1.0) / safe

    return exp, exprel


def _single(compiled):
    """Return exp and exprel in single precision."""

    @compiled
    def series(p, r):
        """Go on from the term of degree 7 to that of degree 1, in Horner's scheme."""
        p = p * r + _F[6]
        p = p * r + _F[5]
        p = p * r + _F[4]
        p = p * r + _F[3]
        p = p * r + _F[2]
        return p * r + _ONE_F

    @compiled
    def exp(x):
        """Return exp(x); arguments are limited to [-87, 88]."""
        x = min(max(x, _LOW_F), _HIGH_F)
        t = x * _LOG2E_F + _ROUND_F
        k = t - _ROUND_F
        r = (x - k * _LN2_HIGH_F) - k * _LN2_LOW_F
        p = series(_F[7], r) * r + _ONE_F
        return p * float32_from_bits(np.int32((bits_of_float32(t) + np.int32(127)) << np.int32(23)))

    @compiled
    def exprel(x):
        """Return (exp(x) - 1)/x; by its series for |x| < 1/2, where the difference would cancel."""
        r = min(max(x, -_HALF_F), _HALF_F)
        p = series(_LAST_F * r + _F[7], r)
        safe = _ONE_F if r == x else x
        return p if r == x else (exp(safe) - _ONE_F) / safe

    return exp, exprel


# LLVM puts them into the loops that call them (`forceinline`). Numba's own inlining would do the
# same to its intermediate form, and then type each copy: a model of Hodgkin-Huxley type would take
# two to three times as long to compile.
_CONTRACTED = njit(fastmath={"contract"}, forceinline=True, **INNER)
_EXACT = njit(fastmath=False, forceinline=True, **INNER)

exp64, exprel64 = _double(_CONTRACTED)
exp32, exprel32 = _single(_CONTRACTED)
#: Every product rounded before it is added, for sums that have to be the same bits everywhere.
exp64_exact, exprel64_exact = _double(_EXACT)
exp32_exact, exprel32_exact = _single(_EXACT)


@njit(error_model="numpy")
def binomial(draw, n, p):
    """Return which binomial number a uniform one stands for (`expressions.evaluate.binomial`)."""
    draw, n, p = np.float64(draw), np.float64(n), np.float64(p)
    rare = min(p, 1.0 - p)
    if not (n >= 0.0 and n <= 1000.0 and n == np.floor(n) and rare >= 0.0):
        return np.nan
    odds, term, found = rare / (1.0 - rare), (1.0 - rare) ** n, 0.0
    below = term
    while draw > below and found < n:
        found += 1.0
        term = term * ((n - found + 1.0) / found) * odds
        below += term
    return n - found if p > 0.5 else found
