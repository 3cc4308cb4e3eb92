"""Random numbers as a function of (seed, purpose, counter), never as a stream.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3",
SC11): four counter words and two key words give four random words. Whoever knows the counter of
a draw can make it, in any order and on any device.

The transcendental functions here use only ``+ - * /``, square roots and the bits of a float64,
all of which IEEE 754 defines exactly. So every platform and every engine draws the same values;
the C library's ``log`` differs between platforms in the last digit.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

U32 = NDArray[np.uint32]
F64 = NDArray[np.float64]

PHILOX_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
PHILOX_WEYL = (0x9E3779B9, 0xBB67AE85)
PHILOX_ROUNDS = 10

# log and exp: the minimax coefficients and the split of ln 2 of FreeBSD's e_log.c and e_exp.c
# (Sun Microsystems 1993, freely distributable).
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
INV_LN2 = 1.44269504088896338700e00
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD  # the bit pattern of sqrt(1/2), rounded up
LOG_COEFFICIENTS = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
EXP_COEFFICIENTS = (
    1.66666666666666019037e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)

# The normal quantile: algorithm AS 241, routine PPND16 (Wichura 1988, Applied Statistics 37:477),
# relative error about 1e-16. Numerator and denominator, ascending powers, for three ranges.
PPF_CENTRE = 0.425
PPF_CENTRE_NUM = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
PPF_CENTRE_DEN = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
PPF_TAIL = 5.0
PPF_TAIL_NUM = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
PPF_TAIL_DEN = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
PPF_FAR_NUM = (
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)
PPF_FAR_DEN = (
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)


def stream_key(seed: int, *parts: str) -> tuple[int, int]:
    """Return the Philox key of a named random stream.

    Parameters
    ----------
    seed : int
        Any integer.
    *parts : str
        What the stream is for, such as ``"connect", "exc", "inh", "exc->inh"``.

    Returns
    -------
    key : tuple of two int
        Two 32-bit words: the BLAKE2b hash of seed and parts.

    Examples
    --------
    >>> stream_key(42, "noise", "exc") == stream_key(42, "noise", "inh")
    False
    """
    digest = hashlib.blake2b(str(int(seed)).encode(), digest_size=8)
    for part in parts:
        encoded = part.encode()
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    value = digest.digest()
    return int.from_bytes(value[:4], "little"), int.from_bytes(value[4:], "little")


def philox(
    c0: ArrayLike, c1: ArrayLike, c2: ArrayLike, c3: ArrayLike, k0: int, k1: int
) -> tuple[U32, U32, U32, U32]:
    """Return four random words for each counter (Philox4x32-10).

    Parameters
    ----------
    c0, c1, c2, c3 : array_like of uint32
        Counter words, broadcast against each other.
    k0, k1 : int
        Key words, below 2**32.

    Returns
    -------
    w0, w1, w2, w3 : ndarray of uint32
        Random words of the broadcast shape.

    Examples
    --------
    >>> [hex(int(word)) for word in philox(0, 0, 0, 0, 0, 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    m0, m1 = (np.uint64(m) for m in PHILOX_MULTIPLIERS)
    words = np.broadcast_arrays(*(np.asarray(c, np.uint32) for c in (c0, c1, c2, c3)))
    x0, x1, x2, x3 = (word.astype(np.uint64) for word in words)
    for r in range(PHILOX_ROUNDS):
        key0 = np.uint64((k0 + r * PHILOX_WEYL[0]) & 0xFFFFFFFF)
        key1 = np.uint64((k1 + r * PHILOX_WEYL[1]) & 0xFFFFFFFF)
        p0, p1 = m0 * x0, m1 * x2
        x0, x1, x2, x3 = (p1 >> half) ^ x1 ^ key0, p1 & low, (p0 >> half) ^ x3 ^ key1, p0 & low
    w0, w1, w2, w3 = (np.asarray(x).astype(np.uint32) for x in (x0, x1, x2, x3))
    return w0, w1, w2, w3


def uniform(word: ArrayLike) -> F64:
    """Map 32-bit words to the open interval (0, 1): ``(word + 0.5) * 2**-32``.

    Examples
    --------
    >>> float(uniform(np.uint32(2**31)))
    0.5000000001164153
    """
    return (np.asarray(word, np.uint32).astype(np.float64) + 0.5) * 2.0**-32


def uniform53(high: ArrayLike, low: ArrayLike) -> F64:
    """Map pairs of 32-bit words to (0, 1) with 52 random bits.

    Half a unit of the last place is added, so that neither end is reached: 52 bits and the half
    fill the 53 bits of a float64 exactly.
    """
    bits = (np.asarray(high, np.uint64) << np.uint64(20)) | (
        np.asarray(low, np.uint64) >> np.uint64(12)
    )
    return (bits.astype(np.float64) + 0.5) * 2.0**-52


def integer_below(n: int, high: ArrayLike, low: ArrayLike) -> NDArray[np.int64]:
    """Map pairs of 32-bit words to the integers 0 ... n - 1, ``n`` at most 2**32 - 1.

    The 64 random bits are read as a fraction and multiplied by `n`, so that two integers differ
    in probability by less than 2**-64 * n.
    """
    size = np.uint64(n)
    half = np.uint64(32)
    carry = (np.asarray(low, np.uint64) * size) >> half
    return ((np.asarray(high, np.uint64) * size + carry) >> half).astype(np.int64)


def _polynomial(coefficients: tuple[float, ...], x: F64) -> F64:
    """Return the polynomial with ascending `coefficients`, by Horner's rule."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def log(x: ArrayLike) -> F64:
    """Return the natural logarithm of positive normal float64 numbers, within 1 ulp.

    ``x = 2**k * (1 + f)`` with ``sqrt(1/2) <= 1 + f < sqrt(2)``; with ``s = f / (2 + f)`` the
    logarithm of ``1 + f`` is ``2 s + s R(s**2)``.

    Examples
    --------
    >>> float(log(10.0))
    2.302585092994046
    """
    bits = np.asarray(x, np.float64).view(np.int64)
    k = (bits - SQRT_HALF_BITS) >> 52
    f = (bits - (k << 52)).view(np.float64) - 1.0
    exponent = k.astype(np.float64)
    s = f / (2.0 + f)
    z = s * s
    r = z * _polynomial(LOG_COEFFICIENTS, z)
    half_square = 0.5 * f * f
    return exponent * LN2_HIGH - ((half_square - (s * (half_square + r) + exponent * LN2_LOW)) - f)


def exp(x: ArrayLike) -> F64:
    """Return e**x for ``abs(x) <= 708``, within 1 ulp.

    Examples
    --------
    >>> float(exp(-2.0))
    0.1353352832366127
    """
    value = np.asarray(x, np.float64)
    k = np.floor(value * INV_LN2 + 0.5)
    high = value - k * LN2_HIGH
    low = k * LN2_LOW
    r = high - low
    z = r * r
    c = r - z * _polynomial(EXP_COEFFICIENTS, z)
    mantissa = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    scale = ((k.astype(np.int64) + 1023) << 52).view(np.float64)
    return mantissa * scale


def log1p(x: float) -> float:
    """Return log(1 + x) of one number above -1, accurate for small `x`."""
    y = 1.0 + x
    # Kahan's correction: the rounding error of 1 + x cancels in the quotient.
    return x if y == 1.0 else float(log(y)) * (x / (y - 1.0))


def normal_ppf(u: ArrayLike) -> F64:
    """Return the quantile of the standard normal distribution (AS 241, PPND16).

    Parameters
    ----------
    u : array_like of float64
        Probabilities, 0 < u < 1.

    Examples
    --------
    >>> round(float(normal_ppf(0.975)), 9)
    1.959963985
    """
    p = np.asarray(u, np.float64)
    q = p - 0.5
    squared = PPF_CENTRE * PPF_CENTRE - q * q
    centre = q * _polynomial(PPF_CENTRE_NUM, squared) / _polynomial(PPF_CENTRE_DEN, squared)
    smaller = np.where(q < 0.0, p, 1.0 - p)
    root = np.sqrt(-log(smaller))
    near, far = root - 1.6, root - PPF_TAIL
    tail = np.where(
        root <= PPF_TAIL,
        _polynomial(PPF_TAIL_NUM, near) / _polynomial(PPF_TAIL_DEN, near),
        _polynomial(PPF_FAR_NUM, far) / _polynomial(PPF_FAR_DEN, far),
    )
    return np.asarray(
        np.where(np.abs(q) <= PPF_CENTRE, centre, np.where(q < 0.0, -tail, tail)), np.float64
    )


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal variable is below `z`.

    It is the inverse of `normal_ppf` by bisection, so that cutting a distribution at `z` and
    drawing from it use one and the same function. Accurate in the lower tail down to z = -37;
    in the upper tail use ``normal_cdf(-z)``.

    Examples
    --------
    >>> round(normal_cdf(-1.96), 12)
    0.024997895148
    """
    if math.isnan(z):
        return math.nan
    if z > 0.0:
        return 1.0 - normal_cdf(-z)
    # Positive floats are ordered like their bit patterns: 62 halvings reach the last digit.
    low = int(np.float64(1e-300).view(np.int64))
    high = int(np.float64(0.5).view(np.int64))
    if float(normal_ppf(1e-300)) >= z:
        return 0.0
    while high - low > 1:
        middle = (low + high) // 2
        if float(normal_ppf(np.int64(middle).view(np.float64))) < z:
            low = middle
        else:
            high = middle
    return float(np.int64(high).view(np.float64))
