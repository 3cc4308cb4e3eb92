// The draws of neurosim.random: the same operations in the same order. The constants come from
// there (NS_*, printed by source.py).

struct Words {
  uint32_t w0, w1, w2, w3;
};

// Philox4x32-10: four random words of one counter.
__device__ __forceinline__ Words ns_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                                           uint64_t key) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
#pragma unroll
  for (int round = 0; round < NS_PHILOX_ROUNDS; round++) {
    const uint64_t p0 = NS_PHILOX_M0 * c0, p1 = NS_PHILOX_M1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    k0 += NS_PHILOX_W0;
    k1 += NS_PHILOX_W1;
  }
  const Words words = {c0, c1, c2, c3};
  return words;
}

// The words of (entity, step): counter (entity, step, step / 2**32, draw).
__device__ __forceinline__ Words ns_words(uint32_t entity, long long step, uint32_t draw,
                                          uint64_t key) {
  return ns_philox(entity, (uint32_t)step, (uint32_t)((uint64_t)step >> 32), draw, key);
}

// A word as a number in (0, 1).
__device__ __forceinline__ double ns_uniform(uint32_t word) {
  return ((double)word + 0.5) * 2.3283064365386963e-10;
}

__device__ __forceinline__ double ns_polynomial(const double (&c)[8], double x) {
  double p = c[7];
#pragma unroll
  for (int k = 6; k >= 0; k--) p = p * x + c[k];
  return p;
}

// The natural logarithm of a positive normal number.
__device__ __forceinline__ double ns_draw_log(double x) {
  const double c[7] = NS_LOG_COEFFICIENTS;
  const long long bits = __double_as_longlong(x);
  const long long k = (bits - NS_SQRT_HALF_BITS) >> 52;
  const double f = __longlong_as_double((long long)((uint64_t)bits - ((uint64_t)k << 52))) - 1.0;
  const double exponent = (double)k, s = f / (2.0 + f), z = s * s;
  double p = c[6];
#pragma unroll
  for (int i = 5; i >= 0; i--) p = p * z + c[i];
  const double half_square = 0.5 * f * f;
  return exponent * NS_LN2_HIGH -
         ((half_square - (s * (half_square + z * p) + exponent * NS_LN2_LOW)) - f);
}

// e**x for |x| <= 708.
__device__ __forceinline__ double ns_draw_exp(double x) {
  const double coefficients[5] = NS_EXP_COEFFICIENTS;
  const double k = floor(x * NS_INV_LN2 + 0.5);
  const double high = x - k * NS_LN2_HIGH, low = k * NS_LN2_LOW;
  const double r = high - low, z = r * r;
  double p = coefficients[4];
#pragma unroll
  for (int i = 3; i >= 0; i--) p = p * z + coefficients[i];
  const double c = r - z * p;
  const double mantissa = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
  return mantissa * __longlong_as_double(((long long)k + 1023) << 52);
}

// The standard normal quantile (AS 241, PPND16) of a probability.
__device__ __forceinline__ double ns_quantile(double u) {
  const double q = u - 0.5;
  if (ns_abs(q) <= NS_PPF_CENTRE) {
    const double num[8] = NS_PPF_CENTRE_NUM, den[8] = NS_PPF_CENTRE_DEN;
    const double squared = NS_PPF_CENTRE * NS_PPF_CENTRE - q * q;
    return q * ns_polynomial(num, squared) / ns_polynomial(den, squared);
  }
  const double root = ns_sqrt(-ns_draw_log(q < 0.0 ? u : 1.0 - u));
  double z;
  if (root <= NS_PPF_TAIL) {
    const double num[8] = NS_PPF_TAIL_NUM, den[8] = NS_PPF_TAIL_DEN;
    z = ns_polynomial(num, root - 1.6) / ns_polynomial(den, root - 1.6);
  } else {
    const double num[8] = NS_PPF_FAR_NUM, den[8] = NS_PPF_FAR_DEN;
    z = ns_polynomial(num, root - NS_PPF_TAIL) / ns_polynomial(den, root - NS_PPF_TAIL);
  }
  return q < 0.0 ? -z : z;
}

// A standard normal number.
__device__ __forceinline__ double ns_normal(uint32_t word) { return ns_quantile(ns_uniform(word)); }
