// What the printed functions of plasticity rules use (emit_plastic.py).

// Weights often depend linearly on themselves, or not at all.
__device__ __forceinline__ REAL ns_power(REAL x, REAL y) {
  if (y == REAL(0.0)) return REAL(1.0);
  return y == REAL(1.0) ? x : ns_pow(x, y);
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
