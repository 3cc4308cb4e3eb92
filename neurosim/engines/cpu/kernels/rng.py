"""The functions of `neurosim.random` for Numba: the same operations in the same order.

Bitwise equal to the NumPy ones (tested), so neither may be rearranged alone, and no fast-math here.
The functions work on whole buffers in simple loops, which LLVM turns into vector code.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurosim import random
from neurosim.engines.cpu.kernels.cached import cached
from neurosim.engines.cpu.kernels.intrinsics import bits_of_float64, float64_from_bits
from neurosim.network.distributions import CONSTANT, LOGNORMAL, NORMAL, UNIFORM

_OPTIONS = {"error_model": "numpy", "nogil": True}
_INLINE = {"inline": "always", "error_model": "numpy"}

_M0, _M1 = (np.uint64(m) for m in random.PHILOX_MULTIPLIERS)
_W0, _W1 = (np.uint32(w) for w in random.PHILOX_WEYL)
_ROUNDS = random.PHILOX_ROUNDS
_HALF = np.uint64(32)
_20, _12 = np.uint64(20), np.uint64(12)
_LN2_HIGH, _LN2_LOW, _INV_LN2 = random.LN2_HIGH, random.LN2_LOW, random.INV_LN2
_SQRT_HALF = random.SQRT_HALF_BITS
_LOG, _EXP = random.LOG_COEFFICIENTS, random.EXP_COEFFICIENTS
_CENTRE, _TAIL = random.PPF_CENTRE, random.PPF_TAIL
_CENTRE_NUM, _CENTRE_DEN = random.PPF_CENTRE_NUM, random.PPF_CENTRE_DEN
_TAIL_NUM, _TAIL_DEN = random.PPF_TAIL_NUM, random.PPF_TAIL_DEN
_FAR_NUM, _FAR_DEN = random.PPF_FAR_NUM, random.PPF_FAR_DEN


@njit(**_INLINE)
def philox4(c0, c1, c2, c3, k0, k1):
    """Return the four random words of one counter; all arguments are uint32."""
    for _ in range(_ROUNDS):
        p0 = _M0 * np.uint64(c0)
        p1 = _M1 * np.uint64(c2)
        c0 = np.uint32(p1 >> _HALF) ^ c1 ^ k0
        c2 = np.uint32(p0 >> _HALF) ^ c3 ^ k1
        c1 = np.uint32(p1)
        c3 = np.uint32(p0)
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@cached(**_OPTIONS)
def philox_buffer(c0, c1, n, purpose, key0, key1, w0, w1, w2, w3):
    """Fill four buffers of words for the counters (c0[i], c1[i], purpose, 0), i < n."""
    for i in range(n):
        w0[i], w1[i], w2[i], w3[i] = philox4(c0[i], c1[i], purpose, np.uint32(0), key0, key1)


@njit(**_INLINE)
def uniform(word):
    """Map a 32-bit word to (0, 1)."""
    return (np.float64(word) + 0.5) * 2.0**-32


@njit(**_INLINE)
def uniform53(high, low):
    """Map two 32-bit words to (0, 1) with 52 random bits."""
    bits = (np.uint64(high) << _20) | (np.uint64(low) >> _12)
    return (np.float64(np.int64(bits)) + 0.5) * 2.0**-52


@njit(**_INLINE)
def integer_below(n, high, low):
    """Map two 32-bit words to 0 ... n - 1; `n` is a uint64 below 2**32."""
    carry = (np.uint64(low) * n) >> _HALF
    return np.int64((np.uint64(high) * n + carry) >> _HALF)


@njit(**_INLINE)
def log64(x):
    """Return the natural logarithm of a positive normal number."""
    bits = bits_of_float64(x)
    k = (bits - _SQRT_HALF) >> 52
    f = float64_from_bits(bits - (k << 52)) - 1.0
    exponent = np.float64(k)
    s = f / (2.0 + f)
    z = s * s
    p = _LOG[6]
    p = p * z + _LOG[5]
    p = p * z + _LOG[4]
    p = p * z + _LOG[3]
    p = p * z + _LOG[2]
    p = p * z + _LOG[1]
    p = p * z + _LOG[0]
    r = z * p
    half_square = 0.5 * f * f
    return exponent * _LN2_HIGH - (
        (half_square - (s * (half_square + r) + exponent * _LN2_LOW)) - f
    )


@njit(**_INLINE)
def exp_exact(x):
    """Return e**x for abs(x) <= 708."""
    k = np.floor(x * _INV_LN2 + 0.5)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    z = r * r
    p = _EXP[4]
    p = p * z + _EXP[3]
    p = p * z + _EXP[2]
    p = p * z + _EXP[1]
    p = p * z + _EXP[0]
    c = r - z * p
    mantissa = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    return mantissa * float64_from_bits((np.int64(k) + 1023) << 52)


@njit(**_INLINE)
def _seven(c, x):
    """Return the polynomial of degree 7 with ascending coefficients."""
    p = c[7]
    p = p * x + c[6]
    p = p * x + c[5]
    p = p * x + c[4]
    p = p * x + c[3]
    p = p * x + c[2]
    p = p * x + c[1]
    return p * x + c[0]


@njit(**_INLINE)
def ppf_centre(q):
    """Return the normal quantile of 0.5 + q, abs(q) <= 0.425."""
    squared = _CENTRE * _CENTRE - q * q
    return q * _seven(_CENTRE_NUM, squared) / _seven(_CENTRE_DEN, squared)


@cached(**_OPTIONS)
def ppf_tail(p):
    """Return the normal quantile of `p` outside the centre."""
    q = p - 0.5
    root = np.sqrt(-log64(p if q < 0.0 else 1.0 - p))
    if root <= _TAIL:
        near = root - 1.6
        z = _seven(_TAIL_NUM, near) / _seven(_TAIL_DEN, near)
    else:
        far = root - _TAIL
        z = _seven(_FAR_NUM, far) / _seven(_FAR_DEN, far)
    return -z if q < 0.0 else z


@cached(**_OPTIONS)
def ppf_buffer(u, n):
    """Replace the first n probabilities by normal quantiles.

    The centre (85 % of the draws) is done for all in one vector loop, the tails then one by one:
    a branch inside the loop would cost four times as much.
    """
    tails = np.empty(n, np.int64)
    n_tails = 0
    for i in range(n):
        tails[n_tails] = i
        n_tails += np.abs(u[i] - 0.5) > _CENTRE
    kept = np.empty(n_tails, np.float64)
    for k in range(n_tails):
        kept[k] = u[tails[k]]
    for i in range(n):
        u[i] = ppf_centre(u[i] - 0.5)
    for k in range(n_tails):
        u[tails[k]] = ppf_tail(kept[k])


@cached(**_OPTIONS)
def draw_buffer(kind, parameters, words, n, out):
    """Fill out[:n] with draws from a lowered distribution, one for each word.

    Parameters
    ----------
    kind : int64
    parameters : (4,) float64
    words : uint32 array
    n : int64
    out : float64 array
    """
    p0, p1, p2, p3 = parameters[0], parameters[1], parameters[2], parameters[3]
    if kind == CONSTANT:
        for i in range(n):
            out[i] = p0
    elif kind == UNIFORM:
        for i in range(n):
            out[i] = p0 + p1 * uniform(words[i])
    elif kind == NORMAL:
        for i in range(n):
            out[i] = p2 + p3 * uniform(words[i])
        ppf_buffer(out, n)
        for i in range(n):
            out[i] = p0 + p1 * out[i]
    elif kind == LOGNORMAL:
        for i in range(n):
            out[i] = uniform(words[i])
        ppf_buffer(out, n)
        for i in range(n):
            out[i] = exp_exact(p0 + p1 * out[i])
    else:
        for i in range(n):
            out[i] = -p0 * log64(1.0 - uniform(words[i]))
