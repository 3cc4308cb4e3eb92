// What the printed functions of plasticity rules use (emit_plastic.py).

// Weights often depend linearly on themselves, or not at all.
__device__ __forceinline__ REAL ns_power(REAL x, REAL y) {
  if (y == REAL(0.0)) return REAL(1.0);
  return y == REAL(1.0) ? x : ns_pow(x, y);
}

// Which binomial number a uniform one stands for, by inversion (expressions/evaluate.py).
__device__ inline REAL ns_binomial(double draw, double n, double p) {
  const double rare = p < 1.0 - p ? p : 1.0 - p;
  if (!(n >= 0.0 && n <= 1000.0 && n == floor(n) && rare >= 0.0))
    return (REAL)(NS_INFINITY - NS_INFINITY);
  const double odds = rare / (1.0 - rare);
  double term = pow(1.0 - rare, n), found = 0.0, below = term;
  while (draw > below && found < n) {
    found += 1.0;
    term = term * ((n - found + 1.0) / found) * odds;
    below += term;
  }
  return (REAL)(p > 0.5 ? n - found : found);
}

// The magnitude of a number with the sign of a weight, which may be a negative zero.
__device__ __forceinline__ double ns_signed(double x, double weight) { return copysign(x, weight); }
__device__ __forceinline__ float ns_signed(float x, float weight) { return copysignf(x, weight); }

// Let what a synapse sends arrive at a neuron.
__device__ __forceinline__ void ns_send(const Net& net, const Rule& x, int receptor, long long i,
                                        long long t, REAL sent) {
  ns_amount* place = ns_slot(net, t) + x.channel + receptor * x.n_targets + i;
#if NS_DETERMINISTIC
  ns_add(place, (ns_amount)rint((double)sent / x.scale[receptor]));
#else
  ns_add(place, sent);
#endif
}
